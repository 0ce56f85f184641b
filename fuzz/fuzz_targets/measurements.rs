//! Files of measurements that `hindsight bench` writes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("measurements", bytes));
