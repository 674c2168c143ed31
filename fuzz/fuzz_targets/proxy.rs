//! See [`smp_fuzz::proxy::proxy`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::proxy::proxy);
