//! How the program starts, and what keeps it from that.

use std::net::TcpListener;

use crate::client::Client;
use crate::harness::{Place, Signal};

const SERVER: &str = "smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:secret@localhost";

/// A start that fails: what it says.
fn refused(place: &Place, arguments: &[&str]) -> String {
    let outcome = place.run(&[&["--servers", SERVER, "--port", "0"], arguments].concat());
    assert_eq!(outcome.code, Some(1), "{}", outcome.err);
    let last = outcome.err.lines().last().unwrap().to_owned();
    assert!(last.starts_with("smp-agent: ") && !outcome.err.contains("secret"), "{}", outcome.err);
    last
}

#[test]
fn a_start_that_fails_says_why_and_what_to_do() {
    let place = Place::without_server();
    assert_eq!(place.run(&[]).code, Some(2));
    assert_eq!(place.run(&["--servers", SERVER, "--port", "many"]).code, Some(2));
    assert_eq!(place.run(&["--help"]).code, Some(0));
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let said = place.run(&["--servers", SERVER, "-d", "a", "--port", &address.port().to_string()]);
    assert!(
        said.code == Some(1) && said.err.contains(&address.to_string()) && said.err.contains("--port"),
        "{}",
        said.err
    );

    let said = place.run(&["--servers", "smp://secret@localhost", "-d", "a"]);
    assert!(said.code == Some(1) && said.err.contains("--servers: "), "{}", said.err);
    assert!(!said.err.contains("secret"), "{}", said.err);
    std::fs::write(place.file("servers"), format!("# none\nsmp://secret\n{SERVER}")).unwrap();
    let said = refused(&place, &["--servers-file", "servers"]);
    assert!(said.contains("servers: line 2: "), "{said}");
    let said = refused(&place, &["--servers-file", "absent"]);
    assert!(said.contains("absent: ") && said.contains("--servers-file"), "{said}");
    let said = refused(&place, &["-d", "a", "--host", "0.0.0.0"]);
    assert!(said.contains("--host 0.0.0.0") && said.contains("--allow-remote"), "{said}");
    assert!(!place.file("a").exists() || std::fs::metadata(place.file("a")).unwrap().len() > 0);

    let said = refused(&place, &["-d", "absent/a"]);
    assert!(said.contains("absent/a") && said.contains("--database"), "{said}");
    std::fs::write(place.file("text"), "this is no database, but it is long enough for one\n".repeat(20))
        .unwrap();
    let said = refused(&place, &["-d", "text"]);
    assert!(said.contains("text: wrong key, or not a database"), "{said}");
    for (file, contents, what) in
        [("empty", "\nsecret", "first line is empty"), ("nothing", "", "first line is empty")]
    {
        std::fs::write(place.file(file), contents).unwrap();
        let said = refused(&place, &["-d", "a", "--key-file", file]);
        assert!(said.contains(file) && said.contains("--key-file") && said.contains(what), "{said}");
    }
    let said = refused(&place, &["-d", "a", "--key-file", "absent"]);
    assert!(said.contains("absent: ") && said.contains("--key-file"), "{said}");
}

#[test]
fn a_database_has_one_agent_and_no_older_one() {
    let place = Place::without_server();
    let agent = place.agent("agent.db");
    let said = refused(&place, &["-d", "agent.db"]);
    assert!(said.contains("agent.db is in use: stop the other program"), "{said}");
    Client::to(&agent).hears_nothing();
    assert!(agent.signal(Signal::INT).success());
    assert!(!place.file("agent.db-wal").exists(), "everything is in the one file");

    let database = rusqlite::Connection::open(place.file("agent.db")).unwrap();
    database.execute("INSERT INTO migrations (version) VALUES (1000)", []).unwrap();
    drop(database);
    let said = refused(&place, &["-d", "agent.db"]);
    assert!(said.contains("version 1000") && said.contains("use a newer program"), "{said}");
}

#[test]
fn a_passphrase_is_needed_where_there_was_one() {
    let place = Place::without_server();
    for (file, text) in [("right", "it's a passphrase\r\n"), ("wrong", "another\n")] {
        std::fs::write(place.file(file), text).unwrap();
    }
    if cfg!(feature = "sqlcipher") {
        for _ in 0..2 {
            let agent = place.agent_with("agent.db", &["--port", "0", "--key-file", "right"]);
            assert!(agent.signal(Signal::TERM).success());
        }
        for arguments in [&["-d", "agent.db"][..], &["-d", "agent.db", "--key-file", "wrong"]] {
            let said = refused(&place, arguments);
            assert!(said.contains("wrong key") && said.contains("--key-file"), "{said}");
        }
    } else {
        let said = refused(&place, &["-d", "agent.db", "--key-file", "right"]);
        assert!(said.contains("without encryption (feature sqlcipher"), "{said}");
        assert!(!place.file("agent.db").exists(), "nothing is written for all to read");
    }
}

#[test]
fn without_a_name_the_database_is_in_a_folder_of_its_own() {
    let place = Place::without_server();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_smp-agent"));
    command.args(["--servers", SERVER, "--port", "0", "--log-level", "warn"]);
    let agent = place.start(command, "usual", "Listening on ");
    assert!(agent.line("Listening on ").starts_with("127.0.0.1:"));
    let file = place.file(agent.line("Database: "));
    assert!(file.ends_with("smp-agent-data/agent.db") && file.exists());
    #[cfg(unix)]
    for path in [file.parent().unwrap(), &file] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert!(agent.signal(Signal::TERM).success());
    assert_eq!(place.log("usual"), "");
}
