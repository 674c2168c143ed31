//! See [`smp_fuzz::wire::client_transmissions`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::wire::client_transmissions);
