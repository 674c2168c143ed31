//! See [`smp_fuzz::messages::messages`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::messages::messages);
