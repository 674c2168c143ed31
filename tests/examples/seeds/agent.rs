//! Seeds of what agents say, from the vectors, and of how they talk with their users.

use smp_tests::vectors::{Fields, load};

use super::tagged;

/// Envelopes and messages.
pub(crate) fn agent_envelopes() -> Vec<Vec<u8>> {
    let file = load("agent_messages.json");
    let envelopes = file.items("envelopes").iter().map(|case| tagged(0, case, "encoded"));
    envelopes.chain(file.items("agent_messages").iter().map(|case| tagged(1, case, "encoded"))).collect()
}

/// A session of each direction, whole and in pieces, and one with what is refused.
pub(crate) fn agent_text() -> Vec<Vec<u8>> {
    let session = |kind: u8, length: u8, lines: &[&str]| {
        let stream: String = lines
            .iter()
            .enumerate()
            .map(|(number, line)| format!("{number}\r\nYWJj\r\n{line}\r\n"))
            .collect();
        [&[kind, length], stream.as_bytes()].concat()
    };
    let refused = b"\0\x07\n\n\n\n1\n\nSUB\n2\nYWJj\nSEND 2\nabc\n3\nYWJj\nSEND 99\nabc\n";
    vec![
        session(0, 255, COMMANDS),
        session(0, 1, COMMANDS),
        session(1, 255, EVENTS),
        session(1, 1, EVENTS),
        refused.to_vec(),
    ]
}

const COMMANDS: &[&str] = &[
    "NEW INV",
    "NEW CON SHORT :data",
    "JOIN simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io :me",
    "LET YWJj 2\r\nme",
    "ACPT YWJj :me",
    "RJCT YWJj",
    "SUB",
    "SEND 5\r\nhello",
    "ACK 7",
    "ACK 7 0\r\n",
    "OFF",
    "DEL",
    "LSET :data",
    "LDEL",
    "LGET simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io",
    "SWCH",
    "RSYNC FORCE",
    "STAT",
];
const EVENTS: &[&str] = &[
    "OK",
    "ERR CMD SYNTAX",
    "ERR AGENT A_CRYPTO RATCHET_SKIPPED 600",
    "ERR AGENT A_LINK OWNERS",
    "ERR BROKER smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@a.io NETWORK CONNECT refused",
    "INV simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io",
    "INV simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io",
    "LINK simplex:/a#AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI?h=a.io",
    "LDATA :data",
    "MID 5",
    "STAT duplex 7 ok R=smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@a.io",
    "CONF YWJj :you",
    "REQ YWJj :you",
    "INFO 3\r\nyou",
    "CON",
    "MSG OK R=3,2026-12-31T23:59:59.123Z B=YWJj,1970-01-01T00:00:00Z S=2 5\r\nhello",
    "MSG ERR NO_ID 4 5 R=3,2026-12-31T23:59:59Z B=YWJj,1970-01-01T00:00:00Z S=6 0\r\n",
    "RCVD 5 OK",
    "SENT 5",
    "MERR 5 SMP smp://AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=@a.io AUTH",
    "END",
    "DOWN",
    "UP",
    "QCONT",
    "DELD",
    "SWITCH rcv started",
    "RSYNC required",
];
