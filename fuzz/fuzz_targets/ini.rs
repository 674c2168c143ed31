//! See [`smp_fuzz::ini::ini`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::ini::ini);
