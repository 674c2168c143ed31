//! See [`smp_fuzz::web::requests`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::web::requests);
