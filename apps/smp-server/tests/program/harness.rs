//! Runs the program in folders of its own.

use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

/// A place with a configuration folder and a data folder.
pub(crate) struct Place {
    root: TempDir,
}

/// How a run of the program ended.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// A place where nothing is yet.
    pub(crate) fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// A place with the configuration folder of the reference server.
    pub(crate) fn of_reference(algorithm: &str) -> Self {
        let place = Self::empty();
        let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
        std::fs::create_dir(place.config()).unwrap();
        std::fs::create_dir(place.data()).unwrap();
        std::fs::copy(reference.join("smp-server.ini"), place.file("smp-server.ini")).unwrap();
        for file in std::fs::read_dir(reference.join(algorithm)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), place.config().join(file.file_name())).unwrap();
        }
        place
    }

    /// A place after `init`, on a free port of this machine alone.
    pub(crate) fn initialised() -> Self {
        let place = Self::empty();
        assert_eq!(place.run(&["init", "-y", "-n", "localhost"]).code, Some(0));
        place.replace("port = 5223,443", "port = 0\nbind = 127.0.0.1");
        place
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.path().join("etc")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("var")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.config().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        read_to_string(self.file(name)).unwrap()
    }

    /// What the last run that served has logged.
    pub(crate) fn log(&self) -> String {
        read_to_string(self.root.path().join("log")).unwrap()
    }

    /// Replaces a part of the settings that is in them once.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        let ini = self.read("smp-server.ini");
        assert_eq!(ini.matches(from).count(), 1, "{from}");
        std::fs::write(self.file("smp-server.ini"), ini.replace(from, to)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smp-server"));
        command.args(arguments).current_dir(self.root.path());
        command.env("SMP_SERVER_CFG_PATH", self.config()).env("SMP_SERVER_LOG_PATH", self.data());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that ends by itself.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.answer(arguments, "")
    }

    /// The same, with these lines on the standard input.
    pub(crate) fn answer(&self, arguments: &[&str], answers: &str) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A program that asks nothing may have ended before it gets the answers.
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command that serves, and waits until it does.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        let log = self.root.path().join("log");
        let mut child = self.command(arguments).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("Store: ")) {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "{lines:?}\n{}", read_to_string(&log).unwrap());
            lines.push(line.trim_end().to_owned());
        }
        Serving { child, out, lines }
    }
}

/// A program that serves.
pub(crate) struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed until it served.
    pub(crate) lines: Vec<String>,
}

impl Serving {
    /// What the line that starts so goes on with.
    pub(crate) fn line(&self, start: &str) -> &str {
        let found: Vec<&str> = self.lines.iter().filter_map(|line| line.strip_prefix(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {:?}", self.lines);
        found[0]
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
