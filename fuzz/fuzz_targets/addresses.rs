//! See [`smp_fuzz::addresses::addresses`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::addresses::addresses);
