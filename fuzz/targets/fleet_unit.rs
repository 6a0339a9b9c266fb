//! Reads a unit's name, its file and what that asks of machines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::fleet::fleet_unit(data));
