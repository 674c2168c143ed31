//! What is said to the person at the terminal.

use std::io::Write;

use crate::failure::Failure;

/// Prints a line to the standard output, at once also when that is a pipe.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: no reason to stop.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says on the standard error output why a program ends.
pub fn complain(program: &str, failure: &Failure) {
    let _ = writeln!(std::io::stderr().lock(), "{program}: {failure}");
}
