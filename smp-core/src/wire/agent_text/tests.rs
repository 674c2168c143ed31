use quickcheck::quickcheck;

use super::*;
use crate::UnixTime;
use crate::wire::agent::{ConnectionError, MessageIntegrity};
use crate::wire::link::{ConnectionLink, ConnectionMode, ShortLink};
use crate::wire::{MessageId, Version};

const LIMITS: TextLimits = TextLimits { line_max: 400, body_max: 50 };
const LINK: &str = "simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io";

type Outcome<T> = Result<Transmission<T>, Refused>;

/// All of `input`, which comes in pieces of this length.
fn read_in_pieces<T: Line>(input: &[u8], length: usize) -> Vec<Outcome<T>> {
    let mut reader = TextReader::new(LIMITS);
    let mut read = Vec::new();
    for mut piece in input.chunks(length.max(1)) {
        while let Some(outcome) = reader.read(&mut piece) {
            read.push(outcome);
        }
        assert!(piece.is_empty(), "what makes no transmission is taken");
    }
    read
}

fn read<T: Line>(input: &[u8]) -> Vec<Outcome<T>> {
    read_in_pieces(input, input.len())
}

fn written<T: Line>(transmission: &Transmission<T>) -> Vec<u8> {
    let mut out = Vec::new();
    transmission.encode(&mut out);
    out
}

fn transmission<T>(correlation: &str, connection: &[u8], content: T) -> Transmission<T> {
    Transmission {
        correlation: TextCorrelation::new(correlation).unwrap(),
        connection: TextConnectionId::new(connection).unwrap(),
        content,
    }
}

fn link() -> Box<ConnectionLink> {
    Box::new(LINK.parse().unwrap())
}

fn short_link() -> Box<ShortLink> {
    Box::new(LINK.parse().unwrap())
}

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn commands() -> Vec<(AgentCommand, String)> {
    let confirmation = TextConfirmationId::new(b"abc").unwrap();
    let request = TextInvitationId::new(b"abc").unwrap();
    let (invitation, contact) = (ConnectionMode::Invitation, ConnectionMode::Contact);
    vec![
        (AgentCommand::New { mode: invitation, short_link: None }, "NEW INV".into()),
        (AgentCommand::New { mode: contact, short_link: None }, "NEW CON".into()),
        (
            AgentCommand::New { mode: contact, short_link: Some(body("data")) },
            "NEW CON SHORT 4\r\ndata".into(),
        ),
        (AgentCommand::Join { link: link(), info: body("a\r\nb") }, format!("JOIN {LINK} 4\r\na\r\nb")),
        (AgentCommand::Let { confirmation, info: body("") }, "LET YWJj 0\r\n".into()),
        (AgentCommand::Accept { request: request.clone(), info: body("info") }, "ACPT YWJj 4\r\ninfo".into()),
        (AgentCommand::Reject { request }, "RJCT YWJj".into()),
        (AgentCommand::Subscribe, "SUB".into()),
        (AgentCommand::Send(body("hello")), "SEND 5\r\nhello".into()),
        (AgentCommand::Acknowledge { message: 7, receipt: None }, "ACK 7".into()),
        (AgentCommand::Acknowledge { message: 7, receipt: Some(body("")) }, "ACK 7 0\r\n".into()),
        (AgentCommand::Suspend, "OFF".into()),
        (AgentCommand::Delete, "DEL".into()),
        (AgentCommand::SetLink(body("data")), "LSET 4\r\ndata".into()),
        (AgentCommand::DeleteLink, "LDEL".into()),
        (AgentCommand::LookUpLink(short_link()), format!("LGET {LINK}")),
        (AgentCommand::Switch, "SWCH".into()),
        (AgentCommand::SyncRatchet { force: false }, "RSYNC".into()),
        (AgentCommand::SyncRatchet { force: true }, "RSYNC FORCE".into()),
        (AgentCommand::Status, "STAT".into()),
        (AgentCommand::Statistics, "STATS".into()),
        (AgentCommand::ResetStatistics, "STATS RESET".into()),
    ]
}

fn message(integrity: MessageIntegrity) -> AgentEvent {
    AgentEvent::Message(Box::new(MessageEvent {
        integrity,
        id: 3,
        received_at: UnixTime::from_millis(1_798_761_599_123),
        broker_id: MessageId::new(b"abc").unwrap(),
        broker_received_at: UnixTime::from_secs(0),
        sender_message_id: -2,
        body: body("hi S=1 5"),
    }))
}

fn message_text(integrity: &str) -> String {
    format!("MSG {integrity} R=3,2026-12-31T23:59:59.123Z B=YWJj,1970-01-01T00:00:00Z S=-2 8\r\nhi S=1 5")
}

fn events() -> Vec<(AgentEvent, String)> {
    let server = || "smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@a.io,b.onion:443".to_owned();
    let error = AgentError::Connection(ConnectionError::NotFound);
    let status = |receive_from, send_to| ConnectionStatus {
        kind: ConnectionKind::Duplex,
        version: Version(7),
        ratchet: RatchetSync::Ok,
        receive_from,
        send_to,
    };
    let address = || vec![server().parse().unwrap()];
    vec![
        (AgentEvent::Ok, "OK".into()),
        (AgentEvent::Error(error.clone()), "ERR CONN NOT_FOUND".into()),
        (AgentEvent::Invitation { link: link(), short: None }, format!("INV {LINK}")),
        (AgentEvent::Invitation { link: link(), short: Some(short_link()) }, format!("INV {LINK} {LINK}")),
        (AgentEvent::Link(short_link()), format!("LINK {LINK}")),
        (AgentEvent::LinkData(body("data")), "LDATA 4\r\ndata".into()),
        (AgentEvent::MessageId(5), "MID 5".into()),
        (AgentEvent::Status(Box::new(status(vec![], vec![]))), "STAT duplex 7 ok".into()),
        (
            AgentEvent::Status(Box::new(status(address(), address()))),
            format!("STAT duplex 7 ok R={0} S={0}", server()),
        ),
        (
            AgentEvent::Confirmation { id: TextConfirmationId::new(b"abc").unwrap(), info: body("info") },
            "CONF YWJj 4\r\ninfo".into(),
        ),
        (
            AgentEvent::Request { id: TextInvitationId::new(b"abc").unwrap(), info: body("") },
            "REQ YWJj 0\r\n".into(),
        ),
        (
            AgentEvent::Statistics { since: UnixTime::from_secs(0), servers: body("a b=1\nc") },
            "STATS 1970-01-01T00:00:00Z 7\r\na b=1\nc".into(),
        ),
        (AgentEvent::Info(body("info")), "INFO 4\r\ninfo".into()),
        (AgentEvent::Connected, "CON".into()),
        (message(MessageIntegrity::Ok), message_text("OK")),
        (message(MessageIntegrity::Skipped { from: 4, to: 5 }), message_text("ERR NO_ID 4 5")),
        (message(MessageIntegrity::BadId { previous: 6 }), message_text("ERR ID 6")),
        (message(MessageIntegrity::BadHash), message_text("ERR HASH")),
        (message(MessageIntegrity::Duplicate), message_text("ERR DUPLICATE")),
        (AgentEvent::Received { id: 5, integrity: MessageIntegrity::Ok }, "RCVD 5 OK".into()),
        (AgentEvent::Received { id: 5, integrity: MessageIntegrity::BadHash }, "RCVD 5 ERR HASH".into()),
        (AgentEvent::Sent(5), "SENT 5".into()),
        (AgentEvent::SendFailed { id: 5, error: error.clone() }, "MERR 5 CONN NOT_FOUND".into()),
        (AgentEvent::SendDelayed { id: 5, error }, "MWARN 5 CONN NOT_FOUND".into()),
        (AgentEvent::End, "END".into()),
        (AgentEvent::Down, "DOWN".into()),
        (AgentEvent::Up, "UP".into()),
        (
            AgentEvent::Switch { side: SwitchSide::Receiving, phase: SwitchPhase::Secured },
            "SWITCH rcv secured".into(),
        ),
        (AgentEvent::RatchetSync(RatchetSync::Agreed), "RSYNC agreed".into()),
        (AgentEvent::QueueContinue, "QCONT".into()),
        (AgentEvent::Deleted, "DELD".into()),
    ]
}

/// Checks that each value is written as its text and read from it, alone and all in one stream, and that what is
/// incomplete is waited for.
fn check_both_ways<T: Line + Clone + PartialEq + fmt::Debug>(cases: Vec<(T, String)>) {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (content, text) in cases {
        let sent = transmission("c1", b"abc", content);
        let bytes = format!("c1\r\nYWJj\r\n{text}\r\n").into_bytes();
        assert_eq!(String::from_utf8(written(&sent)), String::from_utf8(bytes.clone()));
        assert_eq!(read(&bytes), [Ok(sent.clone())], "{text}");
        for end in 0..bytes.len() {
            assert_eq!(read::<T>(&bytes[..end]), [], "{text}: {end} bytes");
        }
        stream.extend(bytes);
        expected.push(Ok(sent));
    }
    for length in [1, 2, 3, 10, stream.len()] {
        assert_eq!(read_in_pieces(&stream, length), expected, "pieces of {length} bytes");
    }
}

#[test]
fn commands_both_ways() {
    check_both_ways(commands());
}

#[test]
fn events_both_ways() {
    check_both_ways(events());
}

#[test]
fn what_people_type() {
    let sent = || AgentCommand::Send(body("hello there"));
    for typed in
        ["\nYWJj\nSEND :hello there\n", "\r\nYWJj\r\nSEND :hello there\r\n", "\nYWJj\nSEND 11\nhello there\n"]
    {
        assert_eq!(read(typed.as_bytes()), [Ok(transmission("", b"abc", sent()))], "{typed:?}");
    }
    // Base64url without its padding, bytes that are not UTF-8, a colon in the text.
    let typed = b"1\n_w\nSEND ::\xff\n";
    let sent = AgentCommand::Send(Bytes::from_static(b":\xff"));
    assert_eq!(read(typed), [Ok(transmission("1", &[0xff], sent))]);
    let empty = AgentCommand::Send(Bytes::new());
    assert_eq!(read(b"\nYWJj\nSEND :\n"), [Ok(transmission("", b"abc", empty))]);
}

fn refused(correlation: &str, connection: &[u8], error: AgentCommandError) -> Outcome<AgentCommand> {
    let Transmission { correlation, connection, .. } = transmission(correlation, connection, ());
    Err(Refused { correlation, connection, error })
}

/// Checks that `bad` is refused, that the answer has its ids, and that what follows is read.
fn check_refused(bad: &[u8], expected: Outcome<AgentCommand>) {
    let next = b"next\r\nYWJj\r\nSUB\r\n";
    let stream = [bad, &next[..]].concat();
    for length in [1, 2, 7, stream.len()] {
        let next = Ok(transmission("next", b"abc", AgentCommand::Subscribe));
        assert_eq!(read_in_pieces(&stream, length), [expected.clone(), next], "{}", bad.escape_ascii());
    }
}

#[test]
fn malformed_commands() {
    let long_word = format!("ACK {}", "1".repeat(30));
    for line in [
        "NO",
        "sub",
        "SUB ",
        " SUB",
        "SUB 1",
        "NEW",
        "NEW ",
        "NEW BOTH",
        "NEW INV SHORT",
        "NEW INV LONG :x",
        "JOIN",
        "JOIN :x",
        "JOIN link :x",
        "LET :x",
        "LET YWJj",
        "LET YWJ* :x",
        "LET  :x",
        "ACPT YWJj",
        "RJCT",
        "RJCT YWJj :x",
        "SEND",
        "SEND x",
        "SEND -1",
        "SEND +1",
        "SEND 1x",
        "SEND 1000000000",
        "SEND :a\rb",
        "SEND :a\0b",
        "ACK",
        "ACK x",
        "ACK +1",
        "ACK 1 2x",
        &long_word,
        "OFF 1",
        "DEL x",
        "LSET",
        "LDEL x",
        "LGET",
        "LGET x",
        "SWCH x",
        "RSYNC x",
        "RSYNC FORCE x",
        "STAT x",
        "PING",
        "OK",
        "\u{ff}",
    ] {
        let bad = format!("id\r\nYWJj\r\n{line}\r\n");
        check_refused(bad.as_bytes(), refused("id", b"abc", AgentCommandError::Syntax));
    }
    check_refused(b"id\r\nYWJj\r\n\xff\r\n", refused("id", b"abc", AgentCommandError::Syntax));
    // A full link has no data to look up.
    let bad = b"id\r\n\r\nLGET simplex:/contact#/?v=2-7&smp=\r\n";
    check_refused(bad, refused("id", b"", AgentCommandError::Syntax));
}

#[test]
fn malformed_ids() {
    let long = "i".repeat(256);
    for id in ["a b", "\u{e9}", "\t", &long] {
        let bad = format!("{id}\r\nYWJj\r\nSEND 5\r\nhello\r\n");
        check_refused(bad.as_bytes(), refused("", b"abc", AgentCommandError::Syntax));
    }
    let long = "QUJD".repeat(86);
    for connection in ["Y", "YWJ*", "YW Jj", &long] {
        let bad = format!("id\r\n{connection}\r\nSEND 5\r\nhello\r\n");
        check_refused(bad.as_bytes(), refused("id", b"", AgentCommandError::Syntax));
    }
    for (command, text) in commands() {
        let bytes = format!("id\r\n\r\n{text}\r\n").into_bytes();
        if command.needs_connection() {
            check_refused(&bytes, refused("id", b"", AgentCommandError::NoConnection));
        } else {
            assert_eq!(read(&bytes), [Ok(transmission("id", b"", command))], "{text}");
        }
    }
}

#[test]
fn what_is_too_long_is_dropped() {
    let large = || refused("id", b"abc", AgentCommandError::Large);
    let fits = "x".repeat(LIMITS.body_max);
    for body in [format!(":{fits}"), format!("{}\r\n{fits}", fits.len())] {
        let bytes = format!("id\r\nYWJj\r\nSEND {body}\r\n").into_bytes();
        let sent = AgentCommand::Send(fits.clone().into());
        assert_eq!(read(&bytes), [Ok(transmission("id", b"abc", sent))]);
    }
    for body in [format!(":x{fits}"), format!("{}\r\nx{fits}", fits.len() + 1)] {
        check_refused(format!("id\r\nYWJj\r\nSEND {body}\r\n").as_bytes(), large());
    }
    let line = |length: usize| "S".repeat(length);
    for (length, error) in
        [(LIMITS.line_max, AgentCommandError::Syntax), (LIMITS.line_max + 1, AgentCommandError::Large)]
    {
        for end in ["\n", "\r\n"] {
            let bad = format!("id\r\nYWJj\r\n{}{end}", line(length));
            check_refused(bad.as_bytes(), refused("id", b"abc", error));
        }
    }
    let bad = format!("id\r\n{}\r\nSEND 5\r\nhello\r\n", line(10_000));
    check_refused(bad.as_bytes(), refused("id", b"", AgentCommandError::Large));
    let bad = format!("{}\r\nYWJj\r\nSEND 5\r\nhello\r\n", line(10_000));
    check_refused(bad.as_bytes(), refused("", b"abc", AgentCommandError::Large));
}

#[test]
fn a_body_of_another_length_ends_with_its_line() {
    for body in ["4\r\nhello", "4\r\nhell o", "0\r\nhello", "3\r\nhello", "5\r\nhello\r"] {
        let bad = format!("id\r\nYWJj\r\nSEND {body}\r\n");
        check_refused(bad.as_bytes(), refused("id", b"abc", AgentCommandError::Size));
    }
    // A longer body than there is takes what follows.
    let stream = b"id\r\nYWJj\r\nSEND 8\r\nhello\r\nxyz\r\n";
    assert_eq!(read(stream), [refused("id", b"abc", AgentCommandError::Size)]);
}

#[test]
fn three_empty_lines_and_a_correlation_id_start_anew() {
    for lost in ["", "\r\n", "a\r\n", "a\r\nYWJj\r\n", "a\r\nYWJj\r\nNO 5\r\nhello\r\n"] {
        let stream = format!("{lost}\r\n\r\n\r\nnext\r\nYWJj\r\nSUB\r\n").into_bytes();
        let read = read::<AgentCommand>(&stream);
        let (last, before) = read.split_last().unwrap();
        assert_eq!(*last, Ok(transmission("next", b"abc", AgentCommand::Subscribe)), "{lost:?}");
        let syntax = |outcome: &Outcome<_>| matches!(outcome, Err(e) if e.error == AgentCommandError::Syntax);
        assert!(!before.is_empty() && before.iter().all(syntax), "{lost:?}");
    }
    // Without it, the answer of a command that was told apart says so.
    let read = read::<AgentCommand>(b"\n\n\n\n\nnext\n\nNEW INV\n");
    let new = AgentCommand::New { mode: ConnectionMode::Invitation, short_link: None };
    assert_eq!(read, [refused("", b"", AgentCommandError::Syntax), Ok(transmission("next", b"", new))]);
}

#[test]
fn refusals_have_an_answer() {
    let Some(Err(refused)) = read::<AgentCommand>(b"id\nYWJj\nNO\n").pop() else { panic!("it is refused") };
    assert_eq!(written(&refused.answer()), b"id\r\nYWJj\r\nERR CMD SYNTAX\r\n");
}

#[test]
fn malformed_events() {
    let message = message_text("OK").replace("\r\nhi S=1 5", "").replace(" 8", "");
    let lines = [
        "OK 1",
        "ERR",
        "ERR ",
        "ERR CMD",
        "ERR CMD NO",
        "INV",
        "INV x",
        &format!("INV {LINK} x"),
        &format!("INV {LINK} {LINK} {LINK}"),
        &format!("INV {LINK} "),
        "LINK x",
        "LDATA",
        "LDATA x",
        "MID",
        "MID x",
        "STAT",
        "STAT duplex",
        "STAT duplex 7",
        "STAT other 7 ok",
        "STAT duplex 7 ok X=y",
        "STAT duplex 7 ok R=x",
        "CONF :x",
        "CONF YWJj",
        "REQ  :x",
        "INFO",
        "CON 1",
        "MSG",
        "MSG :x",
        "RCVD 1",
        "RCVD OK",
        "RCVD 1 NO",
        "SENT x",
        "MERR 1",
        "MERR 1 NO",
        "MERR x CMD SIZE",
        "SWITCH rcv",
        "SWITCH rcv no",
        "SWITCH no started",
        "RSYNC no",
        "SUB",
        &message,
        &format!("{message} x"),
        &format!("{} :x", message.replace("OK", "NO")),
        &format!("{} :x", message.replace("R=3", "R=x")),
        &format!("{} :x", message.replace("B=YWJj", "B=")),
        &format!("{} :x", message.replace("59.123Z", "60")),
        &format!("{} :x", message.replace(" B=", " b=")),
    ]
    .map(str::to_owned);
    for line in lines {
        let bytes = format!("\r\nYWJj\r\n{line}\r\n").into_bytes();
        let refused =
            matches!(&read::<AgentEvent>(&bytes)[..], [Err(e)] if e.error == AgentCommandError::Syntax);
        assert!(refused, "{line}");
    }
    assert!(read::<AgentEvent>(format!("\n\n{message} :x\n").as_bytes())[0].is_ok());
}

#[test]
fn nothing_secret_is_shown() {
    let shown: Vec<_> = commands().iter().map(|(command, _)| format!("{command:?}")).collect();
    assert_eq!(shown[3..5], ["JOIN", "LET"]);
    let event = transmission("c1", b"abc", message(MessageIntegrity::Ok));
    let shown = format!("{event:?}");
    assert!(shown.contains("content: MSG") && !shown.contains("c1") && !shown.contains("hi"), "{shown}");
}

quickcheck! {
    fn bodies_round_trip(correlation: u32, connection: Vec<u8>, sent: Vec<u8>, length: usize) -> bool {
        let connection = [&[1][..], &connection].concat();
        let connection = &connection[..connection.len().min(255)];
        let sent: Bytes = sent.into_iter().take(LIMITS.body_max).collect::<Vec<_>>().into();
        let transmission = transmission(&correlation.to_string(), connection, AgentCommand::Send(sent));
        let mut bytes = written(&transmission);
        bytes.extend(written(&transmission));
        read_in_pieces(&bytes, length % 100) == [Ok(transmission.clone()), Ok(transmission)]
    }

    fn streams_are_read_alike_however_they_are_cut(choices: Vec<u8>, length: usize) -> bool {
        let pieces: [&[u8]; 16] = [
            b"\n", b"\r\n", b"id", b"YWJj", b"SEND ", b":", b"5", b"hello", b"NEW INV", b"ACK 7", b" ", b"MSG OK ", b"S=1 ",
            b"\xff", b"SUB", b"60\n",
        ];
        let stream: Vec<_> = choices.iter().flat_map(|choice| pieces[usize::from(choice % 16)]).copied().collect();
        read_in_pieces::<AgentCommand>(&stream, length % 50) == read(&stream)
            && read_in_pieces::<AgentEvent>(&stream, length % 50) == read(&stream)
    }
}
