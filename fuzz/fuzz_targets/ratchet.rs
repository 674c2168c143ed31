//! See [`smp_fuzz::ratchet::ratchet`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::ratchet::ratchet);
