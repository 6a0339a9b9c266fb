//! Reads the block list of a UKI and plans an update with it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::update::payload_blocks(data));
