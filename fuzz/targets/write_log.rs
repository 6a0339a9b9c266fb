//! Reads a log of writes and walks through its cuts.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::disks::write_log(data));
