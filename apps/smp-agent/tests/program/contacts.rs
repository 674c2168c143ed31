//! Addresses for anybody, as people use them.

use crate::client::{Client, Told};
use crate::harness::{Place, Signal};

/// The first words that a client is told of a connection; where its messages come from and go to, as letters.
fn status(client: &mut Client, connection: &str) -> (String, String) {
    let told = client.ask(connection, "STAT");
    let words: Vec<_> = told.line.split(' ').collect();
    assert!(words.len() >= 4 && words[0] == "STAT", "{told:?}");
    let sides = words[4..].iter().map(|word| {
        let (side, server) = word.split_once('=').expect("a side and a server");
        assert!(server.starts_with("smp://"), "{told:?}");
        side
    });
    (words[1..4].join(" "), sides.collect())
}

fn is(kind: &str, sides: &str) -> (String, String) {
    (format!("{kind} 7 ok"), sides.to_owned())
}

fn request(owner: &mut Client, address: &str, from: &str) -> Told {
    let told = owner.event();
    assert_eq!((told.word(0), &*told.connection, &*told.body), ("REQ", address, from));
    told
}

#[test]
fn people_ask_at_an_address_and_are_accepted_or_rejected() {
    let place = Place::new();
    let [at_home, away] = ["home", "away"].map(|name| place.agent(name));
    let (mut owner, mut guest) = (Client::to(&at_home), Client::to(&away));
    let made = owner.ask("", "NEW CON");
    let address = made.connection;
    let link = made.line.strip_prefix("INV ").expect("an address");
    assert!(link.starts_with("simplex:/contact#"), "{link}");
    assert_eq!(status(&mut owner, &address), is("contact", "R"));
    // It is for nothing else.
    owner.expect(&address, "SEND :hello", "ERR CONN SIMPLEX");
    for command in ["SWCH", "RSYNC FORCE", "LDEL"] {
        owner.expect(&address, command, "ERR CMD PROHIBITED");
    }
    owner.expect("AAAAAAAAAAAAAAAA", "STAT", "ERR CONN NOT_FOUND");

    let [first, second] = ["Bob", "Carol"].map(|name| {
        let joined = guest.ask("", &format!("JOIN {link} :{name}"));
        assert_eq!(joined.line, "OK");
        joined.connection
    });
    assert_eq!(status(&mut guest, &first), is("rcv", "R"));
    let bob = request(&mut owner, &address, "Bob");
    let carol = request(&mut owner, &address, "Carol");
    // Both wait for whoever subscribes.
    let mut other = Client::to(&at_home);
    other.expect(&address, "SUB", "OK");
    assert_eq!(owner.event().line, "END");
    assert_eq!([other.event(), other.event()], [bob.clone(), carol.clone()]);
    owner.expect("", &format!("RJCT {}", bob.word(1)), "ERR CMD NO_CONN");
    owner.expect(&address, &format!("RJCT {}", bob.word(1)), "OK");
    owner.expect(&address, &format!("RJCT {}", bob.word(1)), "ERR CONN NOT_FOUND");
    assert_eq!(owner.ask("", &format!("ACPT {} :Alice", bob.word(1))).line, "ERR CONN NOT_FOUND");

    // What was neither accepted nor rejected waits, also when nobody is there and the agent dies.
    at_home.signal(Signal::KILL);
    let at_home = place.agent("home");
    let mut owner = Client::to(&at_home);
    owner.expect(&address, "SUB", "OK");
    assert_eq!(request(&mut owner, &address, "Carol"), carol);
    assert_eq!(status(&mut owner, &address), is("contact", "R"));
    let accepted = owner.ask("", &format!("ACPT {} :Alice", carol.word(1)));
    assert_eq!(accepted.line, "OK");
    let confirmed = guest.event();
    assert_eq!((confirmed.word(0), &*confirmed.connection, &*confirmed.body), ("CONF", &*second, "Alice"));
    guest.expect(&second, &format!("LET {} :Carol", confirmed.word(1)), "OK");
    let info = owner.event();
    assert_eq!((info.word(0), &*info.connection, &*info.body), ("INFO", &*accepted.connection, "Carol"));
    for (client, connection) in [(&mut owner, &accepted.connection), (&mut guest, &second)] {
        let told = client.event();
        assert_eq!((&*told.line, &told.connection), ("CON", connection));
        assert_eq!(status(client, connection), is("duplex", "RS"));
    }
    assert_eq!(guest.ask(&second, "SEND :hello").word(0), "MID");
    assert_eq!(owner.event().body, "hello");
    // Of the rejection nobody is told.
    assert_eq!(status(&mut guest, &first), is("rcv", "R"));
    guest.hears_nothing();

    // It goes, and who was accepted stays.
    owner.expect(&address, "OFF", "OK");
    let refused = guest.ask("", &format!("JOIN {link} :Dave"));
    assert_eq!(refused.line, "ERR CONN NOT_AVAILABLE");
    owner.expect(&address, "DEL", "OK");
    let deleted = owner.event();
    assert_eq!((&*deleted.line, &*deleted.connection), ("DELD", &*address));
    owner.expect(&address, "STAT", "ERR CONN NOT_FOUND");
    assert_eq!(owner.ask(&accepted.connection, "SEND :still here").word(0), "MID");
    assert_eq!(guest.event().body, "still here");
    owner.hears_nothing();
}
