//! The examples that people talk to, as processes: a server, two people in a chat, and somebody who uses the link of the bot.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::Algorithm;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::{Host, Scheme, ServerAddress, ServerUri};
use smp_runtime::server::{Server, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Memory;
use smp_tests::server::identity;

#[test]
fn two_people_chat_and_go_on_after_a_restart() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let (server, address) = tokio.block_on(serve());
    let folder = tempfile::tempdir().unwrap();
    let mut alice = Talker::start("chat", folder.path(), &["alice.db", &address]);
    alice.hears("* give this link to one person:");
    let link = alice.line();
    let mut bob = Talker::start("chat", folder.path(), &["bob.db", &address, &link]);
    alice.hears("* connected");
    bob.hears("* connected");
    alice.says("hello, Bob");
    bob.hears("> hello, Bob");
    bob.says("I must go");
    alice.hears("> I must go");
    bob.stop();
    alice.says("see you");
    let mut bob = Talker::start("chat", folder.path(), &["bob.db", &address]);
    bob.hears("> see you");
    bob.says("I am back");
    alice.hears("> I am back");
    alice.stop();
    bob.stop();
    tokio.block_on(server.stop(Duration::from_secs(5))).unwrap();
}

#[test]
fn the_bot_answers_whoever_connects() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let (server, address) = tokio.block_on(serve());
    let folder = tempfile::tempdir().unwrap();
    let mut bot = Talker::start("echo_bot", folder.path(), &["bot.db", &address]);
    let link = bot.link();
    for name in ["alice.db", "bob.db"] {
        let mut person = Talker::start("chat", folder.path(), &[name, &address, &link]);
        person.hears("* connected");
        for text in ["hello", "is this a bot?"] {
            person.says(text);
            person.hears(&format!("> {text}"));
        }
        person.stop();
    }
    bot.stop();
    // It has the same address, and whoever is connected is answered again.
    let mut bot = Talker::start("echo_bot", folder.path(), &["bot.db", &address]);
    assert_eq!(bot.link(), link);
    let mut bob = Talker::start("chat", folder.path(), &["bob.db", &address]);
    bob.says("still there?");
    bob.hears("> still there?");
    bob.stop();
    bot.stop();
    tokio.block_on(server.stop(Duration::from_secs(5))).unwrap();
}

/// A process that talks.
struct Talker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    fn start(example: &str, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(built(example));
        command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it talks on").unwrap()
    }

    /// Waits for this line; those before it are about servers.
    fn hears(&mut self, text: &str) {
        let line = std::iter::repeat_with(|| self.line()).find(|line| !line.contains("server"));
        assert_eq!(line.as_deref(), Some(text));
    }

    /// The next link, under its code.
    fn link(&mut self) -> String {
        let mut lines = std::iter::repeat_with(|| self.line());
        let code = lines.by_ref().find(|line| line.contains('█')).unwrap();
        assert!(code.chars().count() > 40, "{code}");
        lines.find(|line| line.starts_with("simplex:/")).unwrap()
    }

    fn says(&self, text: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{text}").unwrap();
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // It has ended already unless an assertion failed.
        let _ = self.child.kill();
    }
}

/// Examples are built with the tests, in a folder beside theirs.
fn built(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}

async fn serve() -> (ServerHandle<TokioRuntime, Memory>, String) {
    let identity = identity(Algorithm::Ed25519);
    let fingerprint = *identity.fingerprint();
    let transport = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
    let runtime = TokioRuntime::current().unwrap();
    let server = Server::new(runtime, Memory::new(), transport, ServerConfig::default());
    let server = server.serve(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.unwrap();
    let host = "127.0.0.1".parse::<Host>().unwrap();
    let port = server.addresses()[0].port();
    let server_address = ServerAddress::new(vec![host], Some(port), fingerprint).unwrap();
    let uri = ServerUri { scheme: Scheme::Smp, server: server_address, password: None };
    (server, uri.to_string())
}
