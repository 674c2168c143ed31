//! See [`smp_fuzz::names::name_records`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::names::name_records);
