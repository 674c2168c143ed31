//! See [`smp_fuzz::store_records::store_records`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::store_records::store_records);
