//! The program as its operator meets it: commands, files, messages, signals.

mod files;
mod harness;
mod serving;
