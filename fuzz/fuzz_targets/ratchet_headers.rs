//! See [`smp_fuzz::ratchet::ratchet_headers`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::ratchet::ratchet_headers);
