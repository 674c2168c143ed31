//! See [`smp_fuzz::wire::server_transmissions`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::wire::server_transmissions);
