//! Reads a `Packages` index and closes over it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::debian::deb_index(data));
