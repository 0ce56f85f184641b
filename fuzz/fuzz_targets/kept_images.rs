//! Decoded images that are kept.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("kept_images", bytes));
