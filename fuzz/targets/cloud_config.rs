//! Reads user data, plans it and writes the plan's words.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::user_data::cloud_config(data));
