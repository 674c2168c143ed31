//! See [`smp_fuzz::web::web_sockets`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::web::web_sockets);
