//! CIFAR-100's gzipped tar archive.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hindsight_fuzz::read("cifar100_archive", bytes));
