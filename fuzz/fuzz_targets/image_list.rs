//! Lists of images: CSV.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("image_list", bytes));
