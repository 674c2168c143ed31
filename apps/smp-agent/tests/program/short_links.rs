//! Short links, as people type them.

use crate::client::Client;
use crate::harness::{Place, Signal};

/// The full link and the short one.
fn links(line: &str) -> (String, String) {
    let (full, short) = line.strip_prefix("INV ").unwrap_or(line).split_once(' ').expect("two links");
    assert!(full.starts_with("simplex:/") && short.starts_with("simplex:/") && short.len() < 200, "{line}");
    (full.to_owned(), short.to_owned())
}

#[test]
fn an_invitation_is_looked_at_and_used_by_its_short_link() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut alice, mut bob) = (Client::to(&at_home), Client::to(&away));
    let invited = alice.ask("", "NEW INV SHORT 11\r\nThis is\nme.");
    let (full, short) = links(&invited.line);
    assert!(full.starts_with("simplex:/invitation#") && short.starts_with("simplex:/i#"));
    let mut look = |connection: &str| bob.ask(connection, &format!("LGET {short}"));
    let shown = look("");
    assert_eq!((&*shown.line, &*shown.body), ("LDATA 11", "This is\nme."));
    let again = look(&shown.connection);
    assert_eq!(
        (again.connection, again.body),
        (shown.connection.clone(), shown.body),
        "as often as one likes"
    );
    let other = look("");
    assert!(other.line.starts_with("ERR SMP ") && other.line.ends_with(" AUTH"), "one may: {other:?}");

    // Another client of Bob's agent uses it, after that one was started again.
    away.signal(Signal::TERM);
    let away = place.agent("away");
    let mut bob = Client::to(&away);
    let here = shown.connection;
    bob.expect(&here, &format!("JOIN {short} :Bob"), "OK");
    bob.expect(&here, &format!("JOIN {short} :Bob"), "OK");
    let confirmed = alice.event();
    assert_eq!((confirmed.word(0), &*confirmed.body), ("CONF", "Bob"));
    let there = invited.connection;
    alice.expect(&there, &format!("LET {} :Alice", confirmed.word(1)), "OK");
    assert_eq!(bob.event().body, "Alice");
    assert_eq!(bob.event().line, "CON");
    assert_eq!(alice.event().line, "CON");
    alice.expect(&there, "LSET :too late", "ERR CMD PROHIBITED");
    alice.expect(&there, "LDEL", "ERR CMD PROHIBITED");
}

#[test]
fn an_invitation_is_used_by_its_short_link_alone() {
    let mut place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut alice, mut bob) = (Client::to(&at_home), Client::to(&away));
    let (_, short) = links(&alice.ask("", "NEW INV SHORT :me").line);
    place.stop_server(Signal::KILL);
    let failed = bob.ask("", &format!("JOIN {short} :Bob"));
    assert!(failed.line.starts_with("ERR BROKER "), "{failed:?}");
    place.start_server();
    // The same connection goes on, when the failure is no longer remembered.
    let join = format!("JOIN {short} :Bob");
    let joined = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        bob.ask(&failed.connection, &join)
    });
    let mut answers = joined.skip_while(|told| told.line.starts_with("ERR BROKER "));
    assert_eq!(answers.next().expect("an answer").line, "OK");
    drop(answers);
    let confirmed = alice.event();
    assert_eq!((confirmed.word(0), &*confirmed.body), ("CONF", "Bob"));
}

#[test]
fn an_address_shows_what_its_owner_sets() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut owner, mut guest) = (Client::to(&at_home), Client::to(&away));
    let made = owner.ask("", "NEW CON SHORT :one");
    let (_, short) = links(&made.line);
    assert!(short.starts_with("simplex:/a#"), "{short}");
    let look = |guest: &mut Client| {
        let shown = guest.ask("", &format!("LGET {short}"));
        assert_eq!(shown.connection, "", "nothing is kept of it");
        (shown.line, shown.body)
    };
    assert_eq!(look(&mut guest), ("LDATA 3".into(), "one".into()));
    owner.expect(&made.connection, "LSET :other", &format!("LINK {short}"));
    assert_eq!(look(&mut guest), ("LDATA 5".into(), "other".into()));
    owner.expect(&made.connection, "LDEL", "OK");
    assert!(look(&mut guest).0.ends_with(" AUTH"), "it leads nowhere");
    owner.expect(&made.connection, "LSET 5\r\nagain", &format!("LINK {short}"));
    let joined = guest.ask("", &format!("JOIN {short} :Bob"));
    assert_eq!(joined.line, "OK");
    let request = owner.event();
    assert_eq!((request.word(0), &*request.body), ("REQ", "Bob"));
    assert_eq!(owner.ask("", &format!("ACPT {} :Alice", request.word(1))).line, "OK");
    assert_eq!((guest.event().body, &*joined.connection), ("Alice".into(), &*joined.connection));

    // One without a short link gets it when it is set.
    let plain = owner.ask("", "NEW CON");
    owner.expect(&plain.connection, "LDEL", "ERR CMD PROHIBITED");
    let set = owner.ask(&plain.connection, "LSET :late");
    let late = set.line.strip_prefix("LINK ").expect("a link");
    assert_eq!(guest.ask("", &format!("LGET {late}")).body, "late");
}

/// Each is answered with what is wrong, and the session goes on.
#[test]
fn what_cannot_be_done_with_short_links() {
    let place = Place::new();
    let agent = place.agent("home");
    let mut client = Client::to(&agent);
    let plain = client.ask("", "NEW INV").connection;
    client.expect(&plain, "LSET :x", "ERR CMD PROHIBITED");
    let unknown = "AAAAAAAAAAAAAAAA";
    for command in ["LSET :x", "LDEL"] {
        client.expect(unknown, command, "ERR CONN NOT_FOUND");
        client.expect("YWJj", command, "ERR CONN NOT_FOUND");
        client.expect("", command, "ERR CMD NO_CONN");
    }
    let invitation = links(&client.ask("", "NEW INV SHORT :data").line).1;
    client.expect("YWJj", &format!("LGET {invitation}"), "ERR CMD SYNTAX");
    client.expect(&plain, &format!("LGET {invitation}"), "ERR CONN DUPLICATE");
    let short = links(&client.ask("", "NEW CON SHORT :data").line).1;
    let (start, end) = short.split_once('#').expect("a link");
    let (key, query) = end.split_once('?').expect("a server");
    let other_key = key.chars().rev().collect::<String>();
    let told = client.ask("", &format!("LGET {start}#{other_key}?{query}"));
    assert!(told.line.starts_with("ERR "), "{told:?}");
    client.expect("", &format!("LGET {start}#{key}?h=127.0.0.9"), "ERR AGENT A_LINK ADDRESS");
    client.expect("", "LGET simplex:/a#short", "ERR CMD SYNTAX");
    client.expect(&plain, &format!("LGET {short}"), "LDATA 4");
    let large = "x".repeat(14_000);
    for command in [format!("NEW CON SHORT 14000\r\n{large}"), format!("NEW INV SHORT 14000\r\n{large}")] {
        client.expect("", &command, "ERR CMD LARGE");
    }
}
