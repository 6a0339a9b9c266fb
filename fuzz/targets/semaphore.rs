//! Reads the semaphore of a group and changes it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::locksmith::semaphore(data));
