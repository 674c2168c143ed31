//! An agent as a process of its own: a command line, a database and clients that speak plain text.

mod cli;
mod database;
mod desk;
mod dispatch;
mod outbox;
mod serve;
mod servers;
mod session;
mod short_links;
mod translate;

use std::process::ExitCode;

use clap::Parser;
use smp_program::terminal::complain;

fn main() -> ExitCode {
    match serve::run(&cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(env!("CARGO_PKG_NAME"), &failure);
            ExitCode::FAILURE
        }
    }
}
