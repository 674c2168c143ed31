//! See [`smp_fuzz::wire::blocks`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::wire::blocks);
