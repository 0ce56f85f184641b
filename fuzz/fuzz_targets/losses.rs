//! runs.jsonl of a run folder.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("losses", bytes));
