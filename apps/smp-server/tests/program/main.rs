//! The program as its operator meets it: commands, files, messages, signals.

#![allow(clippy::unwrap_used)]

mod files;
mod harness;
mod serving;
