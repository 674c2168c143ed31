//! See [`smp_fuzz::links::link_data`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::links::link_data);
