//! Runs the program, and a server for it, in folders of their own.

use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

/// A folder with a server and databases.
pub(crate) struct Place {
    root: TempDir,
    server: Option<Running>,
    /// Where the server was reached first, and is again.
    address: String,
    port: String,
}

/// How a run of the program ended.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) err: String,
}

impl Place {
    /// A place without a server, whose address leads nowhere.
    pub(crate) fn without_server() -> Self {
        let address = "smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@127.0.0.1:1".to_owned();
        Self { root: tempfile::tempdir().unwrap(), server: None, address, port: "0".to_owned() }
    }

    /// A place with a server that runs.
    pub(crate) fn new() -> Self {
        let mut place = Self::without_server();
        place.start_server();
        place
    }

    pub(crate) fn start_server(&mut self) {
        let mut command = Command::new(server_program());
        command.args([
            "run",
            "--data-dir",
            "server",
            "--bind",
            "127.0.0.1",
            "--host",
            "127.0.0.1",
            "--port",
            &self.port,
        ]);
        let server = self.start(command, "server", "Store: ");
        self.address = server.line("Server address: ").to_owned();
        self.port = server.line("Listening on 127.0.0.1:").to_owned();
        self.server = Some(server);
    }

    pub(crate) fn stop_server(&mut self, signal: Signal) {
        self.server.take().unwrap().signal(signal);
    }

    /// The agent with a database of this name, which serves on a free port.
    pub(crate) fn agent(&self, name: &str) -> Running {
        self.agent_with(name, &["--port", "0"])
    }

    pub(crate) fn agent_with(&self, name: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smp-agent"));
        command.args(["--servers", &self.address, "--database", name]).args(arguments);
        self.start(command, name, "Listening on ")
    }

    /// Runs the program with arguments with which it ends by itself.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smp-agent"));
        let output = command.args(arguments).current_dir(self.root.path()).output().unwrap();
        Outcome { code: output.status.code(), err: String::from_utf8(output.stderr).unwrap() }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What the last run with this name logged.
    pub(crate) fn log(&self, name: &str) -> String {
        read_to_string(self.file(&format!("{name}.log"))).unwrap()
    }

    pub(crate) fn start(&self, mut command: Command, name: &str, last: &str) -> Running {
        let log = self.file(&format!("{name}.log"));
        command.current_dir(self.root.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with(last)) {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "{lines:?}\n{}", read_to_string(&log).unwrap());
            lines.push(line.trim_end().to_owned());
        }
        Running { child, out, lines }
    }
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed until it served.
    lines: Vec<String>,
}

impl Running {
    /// What the line that starts so goes on with.
    pub(crate) fn line(&self, start: &str) -> &str {
        let found: Vec<&str> = self.lines.iter().filter_map(|line| line.strip_prefix(start)).collect();
        assert_eq!(found.len(), 1, "{start}: {:?}", self.lines);
        found[0]
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server program is another package's: cargo builds it with all tests of the workspace, and here if it is missing.
fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_smp-agent")).parent().unwrap();
        let program = folder.join(format!("smp-server{}", std::env::consts::EXE_SUFFIX));
        if !program.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--package", "smp-server", "--target-dir"]).arg(folder.parent().unwrap());
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "the server cannot be built");
        }
        program
    })
}
