//! manifest.json, of which the variants of kernels are taken.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("manifest", bytes));
