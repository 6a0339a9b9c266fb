//! Reads the names of a FAT32, and takes out what is half made.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::disks::fat_names(data));
