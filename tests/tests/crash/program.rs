//! The program under test: built, set up in a folder of its own, started, killed, and never left behind.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use smp_core::wire::{ServerAddress, ServerUri};
use tempfile::TempDir;

use crate::world::QUOTA;

/// How long anything may take that must happen. Only there so that a hung test ends.
pub(crate) const GUARD: Duration = Duration::from_secs(300);

/// The program, as it is in the source now, built like this test and next to it.
///
/// Cargo gives the path of a program only to the tests of its own package, so it is asked to build it: that takes a
/// moment when it is built already, and needs no network.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        // What cargo tells this test about its package must not reach the build scripts of others: they would run
        // again, and once more at the next build.
        for (name, _) in std::env::vars_os() {
            let of_this = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
            if name.to_str().is_some_and(|name| of_this.iter().any(|start| name.starts_with(start))) {
                cargo.env_remove(name);
            }
        }
        let built = cargo
            .args(["build", "--locked", "--package", "smp-server", "--bin", "smp-server"])
            .args(["--profile", profile, "--message-format", "json-render-diagnostics", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(built.status.success(), "smp-server could not be built, see above");
        let messages = String::from_utf8(built.stdout).expect("messages of cargo");
        let executable = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_program = message["target"]["name"] == "smp-server";
            message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
        });
        executable.expect("cargo says where the program is")
    })
}

/// A folder with settings, an identity and the data of one server. It is kept when a test fails.
pub(crate) struct Place {
    root: TempDir,
    starts: AtomicU32,
    program: PathBuf,
    /// What starts the program: a command that ends with the name of another one.
    starter: Vec<OsString>,
    /// The user and group that the program runs as, if not those of the test.
    user: Option<u32>,
}

impl Place {
    /// After `init`, on a free port of this machine alone.
    pub(crate) fn new(name: &str) -> Self {
        let root =
            tempfile::Builder::new().prefix(&format!("smp-crash-{name}-")).tempdir().expect("a folder");
        let program = program().to_owned();
        let place = Self { root, starts: AtomicU32::new(0), program, starter: Vec::new(), user: None };
        let flags = ["init", "-y", "-n", "127.0.0.1", "--no-password", "--disable-web"];
        let (made, said) = place.run(&flags);
        assert!(made.success(), "{said}");
        place.set("port = 5223", "port = 0\nbind = 127.0.0.1");
        place.set("# msg_queue_quota = 128", &format!("msg_queue_quota = {QUOTA}"));
        // A busy machine is no fault of the clients.
        place.set("# handshake_timeout = 10s", "handshake_timeout = 5m");
        place.set("# stalled_output = 40s", "stalled_output = 5m");
        place
    }

    fn set(&self, from: &str, to: &str) {
        let file = self.config().join("smp-server.ini");
        let ini = fs::read_to_string(&file).expect("the settings");
        assert_eq!(ini.matches(&format!("\n{from}\n")).count(), 1, "{from}");
        fs::write(file, ini.replace(&format!("\n{from}\n"), &format!("\n{to}\n"))).expect("a file");
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    fn config(&self) -> PathBuf {
        self.root().join("etc")
    }

    /// The folder of the data.
    pub(crate) fn data(&self) -> PathBuf {
        self.root().join("var")
    }

    /// The folder of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.data().join("smp-server-store")
    }

    /// Starts the program by means of another one from now on.
    pub(crate) fn start_by(&mut self, starter: impl IntoIterator<Item = impl Into<OsString>>) {
        self.starter = starter.into_iter().map(Into::into).collect();
    }

    /// Gives the folder to another user, and runs the program as that one from now on.
    pub(crate) fn give_to(&mut self, user: u32) -> io::Result<()> {
        // That user may not be able to reach the folders of this test.
        let copy = self.root().join("smp-server");
        fs::copy(&self.program, &copy)?;
        self.program = copy;
        self.user = Some(user);
        for file in self.files(self.root())? {
            chown(file, Some(user), Some(user))?;
        }
        self.command(&["--version"]).stdout(Stdio::null()).status().map(drop)
    }

    /// All files and folders below a folder, and that folder itself.
    pub(crate) fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![folder.to_owned()];
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => found.extend(self.files(&entry.path())?),
                false => found.push(entry.path()),
            }
        }
        Ok(found)
    }

    /// The program with arguments, in the folders of this place.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.starter.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(arguments).current_dir(self.root());
        command.env("SMP_SERVER_CFG_PATH", self.config()).env("SMP_SERVER_LOG_PATH", self.data());
        command.stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs a command that ends by itself; returns how it ended and all that it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let server = self.spawn(self.command(arguments));
        let ended = server.ended();
        (ended.0, ended.1)
    }

    /// Starts the server. It may not be ready yet.
    pub(crate) fn start(&self) -> Server {
        self.spawn(self.command(&["start"]))
    }

    /// Starts a command of the server. What it logs goes to a file of its own.
    fn spawn(&self, mut command: Command) -> Server {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.root().join(format!("log-{number:04}"));
        command.stdout(Stdio::piped()).stderr(File::create(&log).expect("a file for the log"));
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        thread::spawn(move || {
            out.lines().map_while(Result::ok).take_while(|line| sender.send(line.clone()).is_ok()).count()
        });
        Server { child, lines, said: String::new(), log }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            self.root.disable_cleanup(true);
            eprintln!("the data and the logs of the server are kept in {}", self.root().display());
        }
    }
}

/// A running program. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    said: String,
    log: PathBuf,
}

impl Server {
    /// Waits until it serves, and returns its address; `None` if it ends instead.
    pub(crate) fn ready(&mut self) -> Option<ServerAddress> {
        let deadline = Instant::now() + GUARD;
        let mut address = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server neither serves nor ends: {}", self.told());
            let Ok(line) = self.lines.recv_timeout(left) else {
                return None;
            };
            self.said.push_str(&line);
            self.said.push('\n');
            if let Some(uri) = line.strip_prefix("Server address: ") {
                address = Some(uri.parse::<ServerUri>().expect("an address").server);
            }
            if line.starts_with("Store: ") {
                return address;
            }
        }
    }

    /// Waits until it serves.
    #[track_caller]
    pub(crate) fn serving(&mut self) -> ServerAddress {
        match self.ready() {
            Some(address) => address,
            None => panic!("the server does not start: {}", self.told()),
        }
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// SIGKILL, which no program can catch.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child that can be killed");
        self.child.wait().expect("a child that ends");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child that is not waited for yet");
    }

    /// From now on no file may grow beyond this many bytes.
    pub(crate) fn limit_files(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: None };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("a limit of a child");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end; returns how it ended and all that it said.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + GUARD;
        while self.is_running() {
            assert!(Instant::now() < deadline, "the program does not end: {}", self.told());
            thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.wait().expect("it has ended");
        // All of it: whoever reads may be behind.
        for line in self.lines.iter() {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        (status, format!("{}{}", self.said, self.logged()))
    }

    /// What it printed and logged so far.
    pub(crate) fn told(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(1)) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        format!("{}{}", self.said, self.logged())
    }

    /// What it logged.
    pub(crate) fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log")).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
