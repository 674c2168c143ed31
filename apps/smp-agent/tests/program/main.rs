//! The program as its users meet it: a command line, files, signals, and lines of text over TCP.

#![allow(clippy::unwrap_used)]

mod client;
mod contacts;
mod conversation;
mod documents;
mod harness;
mod sessions;
mod short_links;
mod starting;
