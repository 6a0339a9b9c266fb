//! Reads an envelope and the payload manifest in it, and lays the sections out.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::update::payload_envelope(data));
