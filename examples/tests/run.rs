//! The examples that end by themselves, as processes, on every runtime that they support.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const RUNTIMES: [&str; 3] = ["tokio", "async-std", "smol"];

#[test]
fn the_quickstart_loses_nothing() {
    runs_everywhere("quickstart", "All messages arrived, in order and once. Nothing was lost.");
}

#[test]
fn clients_talk_without_agents() {
    runs_everywhere("client", "All messages arrived, in order and once. Nothing was lost.");
}

#[test]
fn a_server_runs_inside_another_program() {
    runs_everywhere("embedded_server", "All clients were told of the end.");
}

#[test]
fn no_frame_of_a_graphical_program_waits() {
    let last = runs_everywhere("gui_loop", "All lines were answered, and none of ");
    let frames = |line: &String| line.split(' ').find_map(|word| word.parse::<u32>().ok()).unwrap();
    // Each of three answers took ten frames.
    assert!(last.iter().all(|line| frames(line) >= 30), "{last:?}");
}

#[test]
fn threads_are_enough() {
    runs("blocking", &[], "All messages arrived, in order. Nothing was lost.");
}

#[test]
fn a_runtime_that_there_is_not_is_an_error() {
    for example in ["quickstart", "client", "embedded_server", "gui_loop"] {
        let output = command(example, &["--runtime", "none"]).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--runtime tokio"), "{said}");
    }
}

/// The last line of each run.
fn runs_everywhere(example: &str, last: &str) -> Vec<String> {
    RUNTIMES.iter().map(|runtime| runs(example, &["--runtime", runtime], last)).collect()
}

/// Runs an example, whose last line begins like this, and gives that.
fn runs(example: &str, arguments: &[&str], last: &str) -> String {
    let output = command(example, arguments).output().unwrap();
    let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{example} {arguments:?}:\n{said}{wrong}");
    let line = said.lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with(last), "{example} {arguments:?}:\n{said}");
    line
}

/// Examples are built with the tests, in a folder beside theirs.
fn command(example: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut command =
        Command::new(folder.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX)));
    command.args(arguments);
    command
}
