//! See [`smp_fuzz::wire::broker_messages`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::wire::broker_messages);
