//! CIFAR-100's binary records.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("cifar100", bytes));
