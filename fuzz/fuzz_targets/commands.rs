//! See [`smp_fuzz::wire::commands`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::wire::commands);
