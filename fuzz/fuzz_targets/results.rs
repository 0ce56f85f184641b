//! results.json of a run folder, with its manifest.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("results", bytes));
