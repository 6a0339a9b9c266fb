//! Reads the body of a channel file, judges it and asks when machines are due.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::update::payload_channel(data));
