//! Reads and changes the serial number in a FAT boot sector.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| slipway_fuzz::fat_boot_sector(data));
