//! Lists what is in a `.deb`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::debian::deb_package(data));
