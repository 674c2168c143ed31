//! See [`smp_fuzz::server::server`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::server::server);
