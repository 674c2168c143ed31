//! The program as its operator meets it: commands, files, messages, signals.

#![allow(clippy::unwrap_used)]

mod browser;
mod client;
mod control;
mod documents;
mod files;
mod harness;
mod names;
mod queues;
mod serving;
mod site;
mod statistics;
mod web;
mod web_socket;
