//! Reads, changes and writes back a partition table.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::gpt_table(data));
