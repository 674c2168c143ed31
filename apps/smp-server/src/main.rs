//! The server program: a command line, folders and files around [`serve`].

mod address;
mod cli;
mod commands;
mod control;
mod folders;
mod identity;
mod ini;
mod listen;
mod maintenance;
mod reference_store;
mod serve;
mod settings;
mod statistics;
mod terminal;
mod web;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;
use folders::Folders;
use smp_program::terminal::complain;
use smp_program::{failure, logging, signals};

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(env!("CARGO_PKG_NAME"), &failure);
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    let folders = Folders::from_environment();
    let mut answers = std::io::stdin().lock();
    match command {
        Command::Init(flags) => commands::init(*flags, &folders, &mut answers),
        Command::Start(flags) => commands::start(&flags, &folders),
        Command::Run(flags) => commands::run(&flags),
        Command::Cert(flags) => commands::cert(flags, &folders),
        Command::Delete(flags) => commands::delete(&flags, &folders, &mut answers),
        Command::Journal(flags) => Err(unavailable("journal", &flags.rest)),
        Command::Database(flags) => Err(unavailable("database", &flags.rest)),
    }
}

fn unavailable(command: &str, rest: &[String]) -> Failure {
    let asked = rest.first().map(|rest| format!(" {rest}")).unwrap_or_default();
    Failure::new(format!(
        "{command}{asked}: not available. This server has an embedded store and cannot import or export that of the \
         reference server yet"
    ))
}

impl From<ini::IniError> for Failure {
    fn from(error: ini::IniError) -> Self {
        Self::new(error.to_string())
    }
}
