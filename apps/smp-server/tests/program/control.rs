//! The control port of the real program, with queues of a client.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smp_core::client::{Answer, ClientEvent, QueueKeys, Request};
use smp_core::crypto::hash::hkdf_sha512;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{
    ContactLink, LinkData, MessagingLink, NewQueue, QueueRequestData, SubscriptionMode,
};
use smp_core::wire::error::{BlockingInfo, BlockingReason, ErrorType, Notice};
use smp_core::wire::{CorrelationId, EntityId, VersionRange};

use crate::client::{Connection, entropy};
use crate::harness::{Place, Serving, Signal};
use crate::queues::{create, refused, send, take};

const ADMIN: &str = "the-password-of-admins";
const USER: &str = "the-password-of-users";

/// A place where the control port is open, and users may block two queues a day.
fn place() -> Place {
    let place = Place::initialised();
    let ini = place.read("smp-server.ini");
    let set = |key: &str, value: &str| {
        let line = ini.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        place.replace(line, &format!("{key} = {value}"));
    };
    set("control_port_admin_password", ADMIN);
    set("control_port_user_password", USER);
    place.replace("# control_port = 5224", "control_port = 0");
    place.replace("# daily_block_queue_quota = 20", "daily_block_queue_quota = 2");
    place
}

/// Somebody at the control port.
struct Operator(BufReader<TcpStream>);

impl Operator {
    fn at(serving: &Serving) -> Self {
        let stream = TcpStream::connect(serving.line("Control port: ")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut operator = Self(BufReader::new(stream));
        assert!(operator.line().starts_with("SMP server, control port."));
        operator
    }

    fn with(serving: &Serving, password: &str) -> Self {
        let mut operator = Self::at(serving);
        assert!(operator.ask(&format!("auth {password}")).ends_with("ok"));
        operator
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The whole answer to a line.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.0.get_mut(), "{line}").unwrap();
        let mut answer = Vec::new();
        loop {
            let line = self.line();
            let is_last = line == "ok" || line.starts_with("error: ") || line.is_empty();
            answer.push(line);
            if is_last {
                return answer.join("\n");
            }
        }
    }

    fn status(&mut self, target: &str) -> String {
        let answer = self.ask(&format!("status {target}"));
        answer.strip_prefix("status: ").unwrap_or(&answer).trim_end_matches("\nok").to_owned()
    }
}

const UNKNOWN: &str = "error: there is no queue with this id or link";

fn text(id: &EntityId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// A queue to which a connection of the recipient is subscribed.
fn subscribed(serving: &Serving) -> (Connection, QueueKeys, Box<CreatedQueue>) {
    let mut connection = Connection::to(serving);
    let keys = QueueKeys::generate(&mut entropy());
    let password = connection.address.password.clone();
    let queue = create(&mut connection, &keys, password).unwrap();
    let subscribe = Request::subscribe(queue.recipient_id.clone(), keys.auth.clone());
    assert!(matches!(connection.request(subscribe), Ok(Answer::Subscribed { .. })));
    (connection, keys, queue)
}

#[test]
fn a_queue_is_blocked_by_its_sender_id_until_it_is_unblocked_also_over_a_restart() {
    let place = place();
    let serving = place.serve(&["start", "--log-level", "debug"]);
    let (mut recipient, keys, queue) = subscribed(&serving);
    let id = text(&queue.sender_id);
    let mut user = Operator::with(&serving, USER);
    assert_eq!(user.status(&id), "active");
    assert_eq!(user.status(&text(&queue.recipient_id)), UNKNOWN);
    assert_eq!(user.ask(&format!("block {id} reason=spam,notice={{\"ttl\":3600}}")), "ok");
    assert_eq!(user.status(&id), "blocked reason=spam,notice={\"ttl\":3600}");

    let info = BlockingInfo { reason: BlockingReason::Spam, notice: Some(Notice { ttl: Some(3600) }) };
    let blocked = ErrorType::Blocked(info);
    assert_eq!(recipient.event(), ClientEvent::Error(queue.recipient_id.clone(), blocked.clone()));
    assert_eq!(refused(send(&mut recipient, &queue, "no")), blocked);
    let mut old = Connection::speaking(&serving, "6-11".parse::<VersionRange>().unwrap());
    assert_eq!(old.version.0, 11);
    assert_eq!(refused(send(&mut old, &queue, "no")), ErrorType::Auth);
    drop((recipient, old));
    assert!(serving.signal(Signal::TERM).success());

    let log = place.log();
    assert!(
        log.contains("logged in to the control port as user") && log.contains("a queue was blocked"),
        "{log}"
    );
    for secret in [USER, &id, &text(&queue.recipient_id), "127.0.0.1"] {
        assert!(!log.contains(secret), "{log}");
    }

    let serving = place.serve(&["start"]);
    let mut recipient = Connection::to(&serving);
    assert_eq!(refused(send(&mut recipient, &queue, "no")), blocked);
    let mut user = Operator::with(&serving, USER);
    assert_eq!(user.ask(&format!("unblock {id}")), "ok");
    assert_eq!(user.status(&id), "active");
    assert_eq!(send(&mut recipient, &queue, "yes"), Ok(Answer::Done));
    assert!(take(&mut recipient, &queue, &keys).is_some());
    assert!(serving.signal(Signal::TERM).success());
}

#[test]
fn admins_delete_queues_and_who_is_subscribed_is_told() {
    let place = place();
    let serving = place.serve(&["start"]);
    let (mut recipient, _, queue) = subscribed(&serving);
    let id = text(&queue.sender_id);
    let refusal = "error: this needs the password of admins";
    assert_eq!(Operator::with(&serving, USER).ask(&format!("delete {id}")), refusal);
    let mut admin = Operator::with(&serving, ADMIN);
    assert_eq!(admin.ask(&format!("delete {id}")), "ok");
    assert_eq!(recipient.event(), ClientEvent::Deleted(queue.recipient_id.clone()));
    assert_eq!(refused(send(&mut recipient, &queue, "no")), ErrorType::Auth);
    for line in ["delete", "status", "unblock"] {
        assert_eq!(admin.ask(&format!("{line} {id}")), UNKNOWN);
    }
    assert_eq!(admin.ask(&format!("block {id} reason=content")), UNKNOWN);
    assert!(serving.signal(Signal::TERM).success());
}

#[test]
fn users_have_a_daily_quota_and_admins_have_none() {
    let place = place();
    let serving = place.serve(&["start"]);
    let mut connection = Connection::to(&serving);
    let password = connection.address.password.clone();
    let ids: Vec<String> = (0..4)
        .map(|_| {
            let keys = QueueKeys::generate(&mut entropy());
            text(&create(&mut connection, &keys, password.clone()).unwrap().sender_id)
        })
        .collect();
    let block = |operator: &mut Operator, id: &str| operator.ask(&format!("block {id} reason=content"));
    let mut user = Operator::with(&serving, USER);
    // What blocks nothing is not counted.
    assert_eq!(block(&mut user, "AAAA"), UNKNOWN);
    assert_eq!([block(&mut user, &ids[0]), block(&mut user, &ids[1])], ["ok", "ok"]);
    let mut another = Operator::with(&serving, USER);
    assert!(block(&mut another, &ids[2]).starts_with("error: users may block no more queues today"));
    assert_eq!(another.status(&ids[2]), "active");
    assert_eq!(another.ask(&format!("unblock {}", ids[0])), "ok");
    let mut admin = Operator::with(&serving, ADMIN);
    assert_eq!([block(&mut admin, &ids[2]), block(&mut admin, &ids[3])], ["ok", "ok"]);
    assert_eq!(admin.status(&ids[3]), "blocked reason=content");
    assert!(serving.signal(Signal::TERM).success());
}

/// A queue that a link leads to.
fn linked(connection: &mut Connection, link: impl FnOnce([u8; 24]) -> QueueRequestData) -> Box<CreatedQueue> {
    let correlation = entropy().bytes::<24>();
    let keys = QueueKeys::generate(&mut entropy());
    let queue = NewQueue {
        password: connection.address.password.clone(),
        queue_data: Some(link(correlation)),
        ..keys.new_queue(SubscriptionMode::OnlyCreate)
    };
    let request = Request::create(queue, keys.auth.clone()).with_correlation_id(correlation);
    match connection.request(request) {
        Ok(Answer::Created(queue)) => queue,
        other => panic!("{other:?}"),
    }
}

#[test]
fn queues_are_found_by_their_links() {
    let place = place();
    let serving = place.serve(&["start"]);
    let mut connection = Connection::to(&serving);
    let data = || LinkData { fixed: "f".into(), user: "u".into() };
    let chosen = |correlation| smp_core::crypto::chosen_sender_id(&CorrelationId::from(correlation));

    let key = URL_SAFE_NO_PAD.encode([7; 32]);
    let invitation = linked(&mut connection, |correlation| {
        QueueRequestData::Messaging(Some(MessagingLink { sender_id: chosen(correlation), data: data() }))
    });
    let link_id = text(invitation.link_id.as_ref().unwrap());
    let mut derived = [0; 56];
    hkdf_sha512(b"", &[7; 32], b"SimpleXContactLink", &mut derived).unwrap();
    let contact_id = EntityId::new(&derived[..24]).unwrap();
    let contact = linked(&mut connection, |correlation| {
        QueueRequestData::Contact(Some(ContactLink {
            link_id: contact_id.clone(),
            sender_id: chosen(correlation),
            data: data(),
        }))
    });

    let mut admin = Operator::with(&serving, ADMIN);
    for (queue, links) in [
        (invitation, [link_id.clone(), format!("https://localhost/i#{link_id}/{key}")]),
        (contact, [text(&contact_id), format!("simplex:/a#{key}?h=localhost")]),
    ] {
        for link in links {
            assert_eq!(admin.ask(&format!("block {link} reason=spam")), "ok", "{link}");
            assert_eq!(admin.status(&text(&queue.sender_id)), "blocked reason=spam");
            assert_eq!(admin.ask(&format!("unblock {link}")), "ok");
            assert_eq!(admin.status(&text(&queue.sender_id)), "active");
        }
    }
    let other = URL_SAFE_NO_PAD.encode([8; 32]);
    assert_eq!(admin.status(&format!("simplex:/a#{other}?h=localhost")), UNKNOWN);
    assert!(serving.signal(Signal::TERM).success());
}

#[test]
fn what_an_operator_said_before_the_server_stops_is_answered() {
    let place = place();
    let serving = place.serve(&["start"]);
    let mut operator = Operator::at(&serving);
    // The answer to a wrong password takes a second, and is under way when that to the line before it has come.
    assert!(operator.ask("help\nauth wrong").ends_with("\nok"));
    assert!(serving.signal(Signal::TERM).success());
    assert_eq!([operator.line(), operator.line()], ["error: wrong password", ""]);
}

#[test]
fn operators_see_numbers_and_admins_can_save() {
    let place = place();
    place.replace("# durability = always", "durability = on-exit");
    let serving = place.serve(&["start"]);
    let (mut recipient, _, queue) = subscribed(&serving);
    assert_eq!(send(&mut Connection::to(&serving), &queue, "one"), Ok(Answer::Done));
    assert!(matches!(recipient.event(), ClientEvent::Message(..)));
    let mut admin = Operator::with(&serving, ADMIN);
    assert_eq!(admin.ask("save"), "ok");
    for (command, lines) in [
        ("server-info", &["version: ", "SMP versions: 6-18\n", "store: ", "relays connected: 0\n"][..]),
        (
            "stats",
            &["queues: 1\n", "messages: 1\n", "subscriptions: 1\n", "msgSent: 1\n", "pMsgFwds.requests: 0\n"],
        ),
        ("clients", &["connections: ", "subscriptions: 1\n"]),
        ("sockets", &["accepted: 2\n", "refused: 0\n", "handshakes: 2\n"]),
    ] {
        let answer = admin.ask(command);
        assert!(answer.ends_with("\nok"), "{answer}");
        assert!(lines.iter().all(|line| answer.contains(line)), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "{answer}");
    }
    let mut user = Operator::with(&serving, USER);
    assert!(!user.ask("server-info").contains("store: "));
    assert_eq!(user.ask("clients"), "error: this needs the password of admins");
    assert_eq!(user.ask("suspend"), "error: not implemented");
    assert!(serving.signal(Signal::TERM).success());
}

#[test]
fn the_port_is_closed_without_a_password_and_to_wrong_ones() {
    let place = place();
    let serving = place.serve(&["start"]);
    let mut stranger = Operator::at(&serving);
    assert_eq!(stranger.ask("stats"), "error: log in first: auth <password>");
    let wrong = "error: wrong password";
    assert_eq!([stranger.ask("auth a"), stranger.ask("auth a")], [wrong, wrong]);
    assert_eq!([stranger.ask("auth a"), stranger.line()], ["error: wrong password, too often", ""]);
    assert!(serving.signal(Signal::TERM).success());

    let without = |key: &str| {
        let ini = place.read("smp-server.ini");
        let line = ini.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        place.replace(&line, "");
    };
    without("control_port_admin_password");
    assert!(place.serve(&["start"]).line("Control port: ").starts_with("127.0.0.1:"));
    without("control_port_user_password");
    let serving = place.serve(&["start"]);
    assert!(!serving.lines.iter().any(|line| line.starts_with("Control port")), "{:?}", serving.lines);
    assert!(serving.signal(Signal::TERM).success());
    assert_eq!(place.log().matches("[TRANSPORT] control_port").count(), 1, "{}", place.log());
}

#[test]
fn a_busy_control_port_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place();
    let busy = taken.local_addr().unwrap();
    place.replace("control_port = 0", &format!("control_port = {}", busy.port()));
    let failed = place.run(&["start"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains(&format!("cannot listen on {busy} for the control port")), "{}", failed.err);
}

#[test]
fn floods_of_lines_and_of_connections_keep_nobody_from_the_server() {
    let place = place();
    let serving = place.serve(&["start"]);
    let mut flooding = Operator::with(&serving, USER);
    let lines = "status AAAA\nwhat\n".repeat(10_000);
    let mut input = flooding.0.get_ref().try_clone().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let reader = std::thread::spawn(move || {
        for _ in 0..10_000 {
            assert_eq!(flooding.line(), UNKNOWN);
            assert!(flooding.line().starts_with("error: unknown command"));
        }
    });
    let (mut recipient, _, queue) = subscribed(&serving);
    assert_eq!(send(&mut recipient, &queue, "meanwhile"), Ok(Answer::Done));
    writer.join().unwrap().unwrap();
    reader.join().unwrap();

    let mut endless = Operator::at(&serving);
    // The server closes while this is written.
    let _ = endless.0.get_mut().write_all(&[b'x'; 100_000]);
    drop(endless);
    // Those that have just ended may still be counted.
    let mut open = Vec::new();
    loop {
        let mut connection =
            Operator(BufReader::new(TcpStream::connect(serving.line("Control port: ")).unwrap()));
        let line = connection.line();
        if line == "error: there are too many connections" {
            break;
        }
        assert!(line.starts_with("SMP server, control port."), "{line}");
        open.push(connection);
        assert!(open.len() <= 8);
    }
    assert!(open.len() >= 6);
    assert!(open.pop().unwrap().ask("help").ends_with("ok"));
    assert!(serving.signal(Signal::TERM).success());
}
