//! See [`smp_fuzz::client::client`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::client::client);
