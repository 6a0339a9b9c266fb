//! Reads versions, names of boot entries and labels of slots.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::slot_names(data));
