//! Several clients of one agent, and what they do wrong.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::client::{Client, Told, meet};
use crate::harness::{Place, Signal};

#[test]
fn events_go_to_the_client_that_was_the_last_to_subscribe() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut first, mut second, mut bob) = (Client::to(&at_home), Client::to(&at_home), Client::to(&away));
    let [one, bob_one] = meet(&mut first, &mut bob);
    let [two, bob_two] = meet(&mut first, &mut bob);

    second.expect(&one, "SUB", "OK");
    let end = first.event();
    assert_eq!((&*end.connection, &*end.line), (&*one, "END"));
    bob.ask(&bob_one, "SEND :for one");
    bob.ask(&bob_two, "SEND :for two");
    let (message, other) = (second.event(), first.event());
    assert_eq!((&*message.connection, &*message.body), (&*one, "for one"));
    assert_eq!((&*other.connection, &*other.body), (&*two, "for two"));
    first.hears_nothing();
    second.hears_nothing();

    // Told and not acknowledged: told again to whoever subscribes, and once.
    first.expect(&one, "SUB", "OK");
    assert_eq!(second.event().line, "END");
    assert_eq!(first.event(), message);
    drop(first);
    second.expect(&two, "SUB", "OK");
    assert_eq!(second.event(), other);
    second.expect(&one, "SUB", "OK");
    assert_eq!(second.event(), message);
    // Anybody may acknowledge.
    let mut third = Client::to(&at_home);
    third.expect(&one, &format!("ACK {}", message.message_id()), "OK");
    third.expect(&one, &format!("ACK {}", message.message_id()), "OK");
    second.expect(&one, "SUB", "OK");
    second.hears_nothing();
    // And send; who subscribed is told that it was.
    assert_eq!(third.ask(&one, "SEND :hello").word(0), "MID");
    assert_eq!(bob.event().body, "hello");
    third.hears_nothing();
}

#[test]
fn a_connection_is_looked_after_and_deleted() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut alice, mut bob) = (Client::to(&at_home), Client::to(&away));
    let [at_alice, at_bob] = meet(&mut alice, &mut bob);
    let mut other = Client::to(&at_home);

    // With a receipt.
    bob.ask(&at_bob, "SEND :hello");
    let message = alice.event();
    alice.expect(&at_alice, &format!("ACK {} 3\r\ninf", message.message_id()), "OK");
    let receipt = bob.event();
    assert!(receipt.line.starts_with("RCVD ") && receipt.line.ends_with(" OK"), "{receipt:?}");

    // How it is; a new queue, and a new ratchet.
    let told = other.ask(&at_alice, "STAT").line;
    assert!(told.starts_with("STAT duplex 7 ok R=") && told.contains(" S="), "{told}");
    other.expect(&at_alice, "RSYNC", "ERR CMD PROHIBITED");
    other.expect(&at_alice, "RSYNC FORCE", "OK");
    let is_done = |event: &Told| event.line == "RSYNC ok";
    while !is_done(&alice.event()) {}
    while !is_done(&bob.event()) {}
    other.expect(&at_alice, "SWCH", "OK");
    for (client, line) in [(&mut alice, "SWITCH rcv completed"), (&mut bob, "SWITCH snd completed")] {
        while client.event().line != line {}
    }
    assert_eq!(other.ask(&at_alice, "SEND :still here").word(0), "MID");
    assert_eq!(bob.event().body, "still here");

    // What was done at servers; the body is a line for each.
    let told = other.ask("", "STATS");
    let lines: Vec<_> = told.body.lines().collect();
    assert!(told.line.starts_with("STATS 2"), "{told:?}");
    assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("smp://")), "{told:?}");
    assert!(lines.iter().any(|line| line.contains(" queues-created=1 connected=1")), "{told:?}");
    assert!(lines.iter().any(|line| line.contains(" sessions=1 ")), "{told:?}");
    other.expect("", "STATS RESET", "OK");
    assert!(!other.ask("", "STATS").body.contains("connected"));

    // Suspended it takes nothing more.
    other.expect(&at_alice, "OFF", "OK");
    let refused = bob.ask(&at_bob, "SEND :too late");
    assert_eq!(refused.word(0), "MID");
    let failed = bob.event().line;
    assert!(failed.starts_with("MERR ") && failed.ends_with(" AUTH"), "{failed}");

    // And deleted it is gone for all.
    other.expect(&at_alice, "DEL", "OK");
    assert_eq!(alice.event().line, "DELD");
    for command in ["SUB", "SEND :x", "DEL"] {
        other.expect(&at_alice, command, "ERR CONN NOT_FOUND");
    }
}

#[test]
fn what_happens_while_no_client_is_there_waits() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut alice, mut bob) = (Client::to(&at_home), Client::to(&away));
    let invited = alice.ask("", "NEW INV");
    drop(alice);
    let link = invited.line.strip_prefix("INV ").unwrap();
    let joined = bob.ask("", &format!("JOIN {link} :Bob"));
    // The same again goes on with what there is.
    bob.expect(&joined.connection, &format!("JOIN {link} :Bob"), "OK");
    let here = joined.connection;
    drop(bob);
    let mut alice = Client::to(&at_home);
    alice.expect(&invited.connection, "SUB", "OK");
    let confirmed = alice.event();
    assert_eq!((confirmed.word(0), &*confirmed.body), ("CONF", "Bob"));
    alice.expect(&invited.connection, "SUB", "OK");
    assert_eq!(alice.event(), confirmed);
    let id = confirmed.word(1).to_owned();
    at_home.signal(Signal::TERM);
    assert!(alice.is_cut());

    let at_home = place.agent("home");
    let mut alice = Client::to(&at_home);
    alice.expect(&invited.connection, "SUB", "OK");
    assert_eq!(alice.event(), confirmed);
    alice.expect(&invited.connection, &format!("LET {id} :Alice"), "OK");
    assert_eq!(alice.event().line, "CON");
    alice.expect(&invited.connection, &format!("LET {id} :Alice"), "ERR CONN NOT_FOUND");
    // Nobody has heard at the other side yet. What needs no answer is told once.
    alice.ask(&invited.connection, "SEND :hello");
    let mut bob = Client::to(&away);
    bob.expect(&here, "SUB", "OK");
    assert_eq!(bob.event().line, "INFO 5");
    assert_eq!(bob.event().line, "CON");
    assert_eq!(bob.event().body, "hello");
    bob.expect(&here, "SUB", "OK");
    assert_eq!(bob.event().body, "hello");
    bob.hears_nothing();
}

/// Each is answered with an error that names it, and the session goes on.
#[test]
fn what_is_wrong_is_answered() {
    let place = Place::without_server();
    let agent = place.agent("agent");
    let mut client = Client::to(&agent);
    let unknown = "QUJDREVGR0hJSktM";
    for (connection, command, answer) in [
        ("", "", "ERR CMD SYNTAX"),
        ("", "WHAT", "ERR CMD SYNTAX"),
        ("", "new INV", "ERR CMD SYNTAX"),
        ("", "NEW", "ERR CMD SYNTAX"),
        ("", "NEW INV INV", "ERR CMD SYNTAX"),
        ("", "JOIN simplex:/what :x", "ERR CMD SYNTAX"),
        ("", "SUB", "ERR CMD NO_CONN"),
        ("*", "SUB", "ERR CMD SYNTAX"),
        (unknown, "SUB", "ERR CONN NOT_FOUND"),
        ("YWJj", "SUB", "ERR CONN NOT_FOUND"),
        (unknown, "SEND :x", "ERR CONN NOT_FOUND"),
        (unknown, "SEND x", "ERR CMD SYNTAX"),
        (unknown, "ACK 1", "ERR CONN NOT_FOUND"),
        (unknown, "ACK one", "ERR CMD SYNTAX"),
        (unknown, "LET YWJj :x", "ERR CONN NOT_FOUND"),
        (unknown, "LET QUJDREVGR0hJSktM :x", "ERR CONN NOT_FOUND"),
    ] {
        let told = client.ask(connection, command);
        assert_eq!(told.line, answer, "{connection} {command}");
        if connection != "*" {
            assert_eq!(told.connection, connection);
        }
    }
    let link = include_str!("invitation.txt").trim();
    let told = client.ask("YWJj", &format!("JOIN {link} :x"));
    assert_eq!(told.line, "ERR CMD SYNTAX", "a connection of 3 bytes");
    let told = client.ask("", "NEW INV");
    assert!(told.line.starts_with("ERR BROKER "), "no server is there: {told:?}");
    // Too much is read and dropped.
    let long = "x".repeat(100_000);
    for command in [format!("SEND :{long}"), format!("SEND {}\r\n{long}", long.len()), long.clone()] {
        assert_eq!(client.ask(unknown, &command).line, "ERR CMD LARGE");
    }
    // Not text at all, and the way back.
    client.stream.write_all(&[0xff; 50_000]).unwrap();
    client.write("\r\n\r\n\r\n\r\n\r\n\r\n");
    client.write("back\n\nSUB\n");
    while client.read().correlation != "back" {}
    client.expect(unknown, "SUB", "ERR CONN NOT_FOUND");
    assert!(agent.signal(Signal::INT).success());
}

/// A client that takes nothing: its commands are not read any more, everybody else's are, and nothing is lost for it.
#[test]
fn who_takes_no_answers_holds_up_nobody_else() {
    let place = Place::without_server();
    let agent = place.agent("agent");
    let mut slow = Client::to(&agent);
    slow.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let command = b"1\r\nQUJDREVGR0hJSktM\r\nSUB\r\n";
    let (mut given, mut part) = (0_usize, 0);
    loop {
        match slow.stream.write(&command[part..]) {
            Ok(count) => {
                part += count;
                if part == command.len() {
                    (given, part) = (given + 1, 0);
                }
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                break;
            }
        }
    }
    assert!(given > 1000, "{given}");
    let mut other = Client::to(&agent);
    other.expect("QUJDREVGR0hJSktM", "SUB", "ERR CONN NOT_FOUND");
    for _ in 0..given {
        assert_eq!(slow.read().line, "ERR CONN NOT_FOUND");
    }
    let rest = std::str::from_utf8(&command[part..]).unwrap();
    slow.write(rest);
    assert_eq!(slow.read().line, "ERR CONN NOT_FOUND");
    // One that takes nothing does not keep the agent from its end.
    let started = Instant::now();
    assert!(agent.signal(Signal::TERM).success());
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_client_that_ends_its_input_gets_its_answers_and_too_many_are_turned_away() {
    let place = Place::without_server();
    let agent = place.agent("agent");
    let mut client = Client::to(&agent);
    client.write("1\n\nNEW INV\n2\nQUJDREVGR0hJSktM\nSUB\n");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = [client.read(), client.read()];
    answers.sort_by(|one, other| one.correlation.cmp(&other.correlation));
    assert!(answers[0].line.starts_with("ERR BROKER "), "{answers:?}");
    assert_eq!(answers[1].line, "ERR CONN NOT_FOUND");
    assert!(client.is_cut());

    let mut many: Vec<_> = (0..256).map(|_| Client::to(&agent)).collect();
    for client in &mut many {
        client.hears_nothing();
    }
    let mut one_more = Client::to(&agent);
    assert_eq!(one_more.read().line, "ERR INTERNAL too many clients");
    assert!(one_more.is_cut());
    many[0].hears_nothing();
    drop(many);
    loop {
        let mut again = Client::to(&agent);
        again.stream.write_all(b"1\r\n\r\nWHAT\r\n").unwrap();
        match again.read().line.as_str() {
            "ERR INTERNAL too many clients" => {}
            line => break assert_eq!(line, "ERR CMD SYNTAX"),
        }
    }
}
