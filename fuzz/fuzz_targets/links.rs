//! See [`smp_fuzz::links::links`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::links::links);
