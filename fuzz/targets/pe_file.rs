//! Reads a PE file, checks it as a UKI and makes an addon of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::pe_file(data));
