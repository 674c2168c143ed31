//! See [`smp_fuzz::certificates::pem`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::certificates::pem);
