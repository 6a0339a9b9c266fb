//! Reads a verity superblock and verifies against a hash device.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::verity_device(data));
