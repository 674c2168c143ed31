//! See [`smp_fuzz::agent::agent_text`].

#![cfg_attr(fuzzing, no_main)]

smp_fuzz::target!(smp_fuzz::agent::agent_text);
