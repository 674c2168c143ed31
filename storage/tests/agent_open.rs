//! What opening the database of an agent refuses, and with which words; and what is in its files.
#![cfg(feature = "sqlite")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use smp_core::UnixTime;
use smp_core::agent::UserId;
use smp_core::agent::store::{AgentOp, AgentQuery, Found, Incoming, User};
use smp_storage::agent::{AgentOpenError, AgentStore, DatabaseKey, SqliteAgentStore, SqliteOptions};
use smp_storage::conformance::agent::samples::{Samples, connection_id, user_id};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(path: &Path) -> SqliteAgentStore {
    SqliteAgentStore::open(path, &SqliteOptions::default()).expect("a database")
}

/// The error, which must name the file and say these words.
fn refusal(path: &Path, options: &SqliteOptions, words: &str) -> AgentOpenError {
    let error = SqliteAgentStore::open(path, options).err().expect("this must not be opened");
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "no path in: {message}");
    assert!(message.contains(words), "not '{words}' in: {message}");
    error
}

fn users(store: &mut SqliteAgentStore) -> Vec<User> {
    match store.read(&AgentQuery::Users) {
        Ok(Found::Users(users)) => users,
        _ => panic!("not read"),
    }
}

fn user(id: i64) -> User {
    User { id: UserId(id), is_deleted: false }
}

/// Someone who knows nothing of the lock.
fn stranger(path: &Path) -> Connection {
    let database = Connection::open(path).expect("SQLite opens everything");
    database.busy_timeout(Duration::ZERO).expect("it does not wait");
    database
}

#[test]
fn a_missing_database_is_created_only_when_allowed() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    let never = SqliteOptions { create: false, key: None };
    assert!(matches!(refusal(&path, &never, "correct the path"), AgentOpenError::Missing { .. }));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is made");
    refusal(&folder.path().join("no/agent.db"), &SqliteOptions::default(), "Check the folder");
    open(&path).close().expect("it is written");
    drop(SqliteAgentStore::open(&path, &never).expect("it is there now"));
}

#[test]
fn other_files_are_left_alone() {
    let folder = folder();
    let options = SqliteOptions::default();
    let letter = folder.path().join("letter.txt");
    let text = "dear ".repeat(1000);
    fs::write(&letter, &text).expect("a file");
    let error = refusal(&letter, &options, "wrong key, or not a database of this program");
    assert!(matches!(error, AgentOpenError::Unreadable { .. }));
    assert_eq!(fs::read_to_string(&letter).expect("the file"), text);
    let other = folder.path().join("other.db");
    stranger(&other).execute_batch("CREATE TABLE migrations (name TEXT)").expect("a table");
    assert!(matches!(refusal(&other, &options, "another program"), AgentOpenError::Foreign { .. }));
    let tables: String =
        stranger(&other).query_row("SELECT sql FROM sqlite_schema", [], |row| row.get(0)).expect("one table");
    assert_eq!(tables, "CREATE TABLE migrations (name TEXT)");
}

#[test]
fn a_database_is_opened_once() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    let store = open(&path);
    let error = refusal(&path, &SqliteOptions::default(), "stop the other program");
    assert!(matches!(error, AgentOpenError::Locked { .. }));
    let read = stranger(&path).query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0));
    assert!(read.is_err(), "others that know nothing of the lock are kept out too");
    drop(store);
    let stranger = stranger(&path);
    stranger.execute_batch("BEGIN EXCLUSIVE").expect("nobody has it");
    let error = refusal(&path, &SqliteOptions::default(), "stop the other program");
    assert!(matches!(error, AgentOpenError::Locked { .. }));
    drop(stranger);
    drop(open(&path));
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    let mut store = open(&path);
    store.run(vec![AgentOp::PutUser(user(1))]).expect("the store works");
    drop(store);
    stranger(&path).execute("INSERT INTO migrations VALUES (99)", []).expect("a version");
    let error = refusal(&path, &SqliteOptions::default(), "version 99, and this program knows version ");
    assert!(matches!(error, AgentOpenError::Newer { found: 99, known: 1, .. }));
    stranger(&path).execute("DELETE FROM migrations WHERE version = 99", []).expect("a version");
    assert_eq!(users(&mut open(&path)), [user(1)]);
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    open(&path).close().expect("it is written");
    let mut bytes = fs::read(&path).expect("the file");
    bytes[100..4096].fill(0xff);
    fs::write(&path, &bytes).expect("the file");
    assert!(matches!(refusal(&path, &SqliteOptions::default(), "backup"), AgentOpenError::Damaged { .. }));
}

#[test]
fn a_damaged_record_fails_only_what_needs_it() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    let samples = &mut Samples::new(1);
    let mut store = open(&path);
    let mut ops = vec![AgentOp::PutUser(user(0))];
    for number in 0..2 {
        let mut state = samples.state();
        state.user = user_id(0);
        ops.push(AgentOp::PutConnection(connection_id(number), Box::new(state)));
    }
    store.run(ops).expect("the store works");
    drop(store);
    let id = connection_id(0);
    let sql = "UPDATE connections SET progress = 'nonsense' WHERE id = ?";
    assert_eq!(stranger(&path).execute(sql, [id.as_bytes()]), Ok(1));
    let mut store = open(&path);
    assert!(store.read(&AgentQuery::Connection(id)).is_err());
    assert!(matches!(store.read(&AgentQuery::Connection(connection_id(1))), Ok(Found::Connection(Some(_)))));
    store.run(vec![AgentOp::DeleteConnection(id)]).expect("it can be deleted");
    assert!(matches!(store.read(&AgentQuery::Connection(id)), Ok(Found::Connection(None))));
}

#[test]
fn what_is_deleted_is_not_in_the_file() {
    let folder = folder();
    let path = folder.path().join("agent.db");
    let samples = &mut Samples::new(2);
    let mut store = open(&path);
    let (id, mut state) = (connection_id(0), samples.state());
    state.user = user_id(0);
    let secret = b"what nobody is to find".repeat(200);
    let message = Incoming { connection: id, body: Some(secret.clone().into()), ..samples.incoming() };
    let put = vec![
        AgentOp::PutUser(user(0)),
        AgentOp::PutConnection(id, Box::new(state)),
        AgentOp::PutIncoming(Box::new(message.clone())),
    ];
    store.run(put).expect("the store works");
    store.close().expect("it is written");
    let holds = |text: &[u8]| {
        let bytes = fs::read(&path).expect("the file");
        bytes.windows(text.len()).any(|window| window == text)
    };
    assert!(holds(b"what nobody is to find"));
    let mut store = open(&path);
    let acknowledged = Incoming { body: None, received_at: UnixTime::from_secs(1), ..message };
    store.run(vec![AgentOp::PutIncoming(Box::new(acknowledged))]).expect("the store works");
    store.close().expect("it is written");
    assert!(!holds(b"what nobody is to find") && !holds(b"nobody"));
    let names: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), 2, "the database and its lock: {names:?}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let mut store = open(&folder.path().join("agent.db"));
    store.run(vec![AgentOp::PutUser(user(1))]).expect("the store works");
    for name in ["agent.db", "agent.db-wal"] {
        let mode = fs::metadata(folder.path().join(name)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_is_no_passphrase() {
    assert!(DatabaseKey::passphrase("").is_none());
    assert!(DatabaseKey::passphrase("ends\0here").is_none());
}

/// SQLite ignores what it does not know.
#[cfg(not(feature = "sqlcipher"))]
#[test]
fn a_key_is_not_changed_without_encryption() {
    let folder = folder();
    let mut store = open(&folder.path().join("agent.db"));
    assert!(store.change_key(&DatabaseKey::random(&[7; 32])).is_err());
}

#[cfg(not(feature = "sqlcipher"))]
#[test]
fn nothing_is_written_that_a_key_was_to_protect() {
    let folder = folder();
    let options = SqliteOptions { create: true, key: DatabaseKey::passphrase("a phrase") };
    let error = refusal(&folder.path().join("agent.db"), &options, "built without encryption");
    assert!(matches!(error, AgentOpenError::NoEncryption { .. }));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[cfg(feature = "sqlcipher")]
mod encrypted {
    use super::*;

    fn with(key: Option<DatabaseKey>) -> SqliteOptions {
        SqliteOptions { create: true, key }
    }

    #[test]
    fn only_the_key_opens_it() {
        let mut other = [7; 32];
        other[31] = 8;
        let long = "a long phrase ".repeat(20);
        let keys: [&dyn Fn() -> Option<DatabaseKey>; 6] = [
            &|| DatabaseKey::passphrase("it's \"a' phrase"),
            &|| DatabaseKey::passphrase("it's \"a"),
            &|| DatabaseKey::passphrase(&(long.clone() + "a")),
            &|| DatabaseKey::passphrase(&(long.clone() + "b")),
            &|| Some(DatabaseKey::random(&[7; 32])),
            &|| Some(DatabaseKey::random(&other)),
        ];
        for (place, key) in keys.iter().enumerate() {
            let folder = folder();
            let path = folder.path().join("agent.db");
            let mut store = SqliteAgentStore::open(&path, &with(key())).expect("a database");
            store.run(vec![AgentOp::PutUser(user(1))]).expect("the store works");
            drop(store);
            let bytes = fs::read(&path).expect("the file");
            assert!(!bytes.starts_with(b"SQLite"), "nothing tells what it is");
            assert!(!bytes.windows(10).any(|window| window == b"migrations"), "nor what is in it");
            for (other, key) in keys.iter().enumerate().filter(|(other, _)| *other != place) {
                let error = refusal(&path, &with(key()), "wrong key");
                assert!(matches!(error, AgentOpenError::Unreadable { .. }), "key {other}");
            }
            refusal(&path, &with(None), "wrong key");
            let mut store = SqliteAgentStore::open(&path, &with(key())).expect("the key is right");
            assert_eq!(users(&mut store), [user(1)]);
        }
    }

    #[test]
    fn the_key_is_changed() {
        let folder = folder();
        let path = folder.path().join("agent.db");
        let [former, latter] = ["former", "latter"].map(|text| move || DatabaseKey::passphrase(text));
        let mut store = SqliteAgentStore::open(&path, &with(former())).expect("a database");
        store.run(vec![AgentOp::PutUser(user(1))]).expect("the store works");
        store.change_key(&latter().expect("a key")).expect("it is changed");
        store.run(vec![AgentOp::PutUser(user(2))]).expect("the store works");
        drop(store);
        refusal(&path, &with(former()), "wrong key");
        let mut store = SqliteAgentStore::open(&path, &with(latter())).expect("the key is right");
        assert_eq!(users(&mut store), [user(1), user(2)]);
    }

    #[test]
    fn a_database_without_a_key_is_given_none() {
        let folder = folder();
        let path = folder.path().join("agent.db");
        let mut store = open(&path);
        assert!(store.change_key(&DatabaseKey::random(&[7; 32])).is_err());
        assert!(store.read(&AgentQuery::Users).is_err(), "it must be opened again");
        drop(store);
        assert!(users(&mut open(&path)).is_empty());
    }

    #[test]
    fn a_database_without_a_key_is_not_opened_with_one() {
        let folder = folder();
        let path = folder.path().join("agent.db");
        drop(open(&path));
        refusal(&path, &with(DatabaseKey::passphrase("any")), "wrong key");
        drop(open(&path));
    }

    /// The forms in which other programs give keys.
    #[test]
    fn other_programs_open_it_with_the_same_key() {
        let random = "\"x'".to_owned() + &"07".repeat(32) + "'\"";
        for (key, form) in [
            (DatabaseKey::passphrase("it's a phrase"), "'it''s a phrase'"),
            (Some(DatabaseKey::random(&[7; 32])), &random),
        ] {
            let folder = folder();
            let path = folder.path().join("agent.db");
            let mut store = SqliteAgentStore::open(&path, &with(key)).expect("a database");
            store.run(vec![AgentOp::PutUser(user(1))]).expect("the store works");
            drop(store);
            let database = stranger(&path);
            database.execute_batch(&format!("PRAGMA key = {form}")).expect("a key");
            let count = database.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0));
            assert_eq!(count, Ok(1), "{form}");
        }
    }
}
