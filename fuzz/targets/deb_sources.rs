//! Reads a `Sources` index.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::debian::deb_sources(data));
