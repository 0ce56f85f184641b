//! tuned.json of `hindsight tune`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("tuned", bytes));
