//! See [`smp_fuzz::handshakes::handshakes`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::handshakes::handshakes);
