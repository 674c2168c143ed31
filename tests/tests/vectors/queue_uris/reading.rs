//! The reference's debug print of a queue address, taken apart into fields.

use smp_core::wire::{Host, QueueAddress, QueueMode, VersionRange};

/// What an address says, in plain types.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    versions: (u16, u16),
    /// The constructor of each host, and its text.
    hosts: Vec<(&'static str, String)>,
    port: String,
    key_hash: Vec<u8>,
    sender_id: Vec<u8>,
    dh_key: Vec<u8>,
    mode: Option<QueueMode>,
}

impl Reading {
    /// Our reading.
    pub(crate) fn of(versions: VersionRange, address: &QueueAddress) -> Self {
        let kind = |host: &Host| match host {
            Host::Ipv4(_) => "THIPv4",
            Host::Ipv6(_) => "THIPv6",
            Host::Onion(_) => "THOnionHost",
            Host::Domain(_) => "THDomainName",
        };
        Self {
            versions: (versions.min().0, versions.max().0),
            hosts: address.server.hosts().iter().map(|host| (kind(host), host.to_string())).collect(),
            port: address.server.port().map(|port| port.to_string()).unwrap_or_default(),
            key_hash: address.server.key_hash().to_vec(),
            sender_id: address.sender_id.as_bytes().to_vec(),
            dh_key: address.dh_key.0.to_vec(),
            mode: address.mode,
        }
    }

    /// The reference's reading, from its print.
    pub(crate) fn parse(print: &str) -> Self {
        assert!(print.starts_with("Right ("), "the reference refuses it: {print}");
        let between = |start: &str, end: &str| {
            let (_, rest) = print.split_once(start).unwrap_or_else(|| panic!("no {start} in {print}"));
            rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {start} in {print}")).0
        };
        let version = |name: &str| after(print, &format!("{name} = Version "));
        let versions = if print.contains("clientVRange") {
            (number(version("minVersion")), number(version("maxVersion")))
        } else {
            (number(version("clientVersion")), number(version("clientVersion")))
        };
        let port = string(after(print, "port = "));
        Self {
            versions,
            hosts: hosts(between("host = ", ", port = ")),
            port: String::from_utf8(port).expect("port"),
            key_hash: string(after(print, "unKeyHash = ")),
            sender_id: string(after(print, "unEntityId = ")),
            dh_key: string(after(print, "PublicKeyX25519 (PublicKey ")),
            mode: mode(between("queueMode = ", "}")),
        }
    }
}

/// A mode as printed.
pub(crate) fn mode(print: &str) -> Option<QueueMode> {
    match print {
        "Nothing" => None,
        "Just QMMessaging" => Some(QueueMode::Messaging),
        "Just QMContact" => Some(QueueMode::Contact),
        other => panic!("unknown mode {other}"),
    }
}

fn after<'a>(print: &'a str, start: &str) -> &'a str {
    print.split_once(start).unwrap_or_else(|| panic!("no {start} in {print}")).1
}

fn number(print: &str) -> u16 {
    let end = print.find(|c: char| !c.is_ascii_digit()).unwrap_or(print.len());
    print[..end].parse().expect("number")
}

/// `THDomainName "a" :| [THOnionHost "b",THIPv4 (127,0,0,1)]`
fn hosts(print: &str) -> Vec<(&'static str, String)> {
    const KINDS: [&str; 4] = ["THIPv4", "THIPv6", "THOnionHost", "THDomainName"];
    let mut starts: Vec<_> =
        KINDS.iter().flat_map(|kind| print.match_indices(kind).map(move |(at, _)| (at, *kind))).collect();
    starts.sort_unstable();
    let host = |&(at, kind): &(usize, &'static str)| {
        let value = print[at + kind.len()..].trim_start();
        let text = if let Some(octets) = value.strip_prefix('(') {
            assert_eq!(kind, "THIPv4", "no way to read {value}");
            octets.split_once(')').expect("octets").0.replace(',', ".")
        } else {
            String::from_utf8(string(value)).expect("host")
        };
        (kind, text)
    };
    starts.iter().map(host).collect()
}

/// The bytes of a Haskell string literal at the start of `print`.
fn string(print: &str) -> Vec<u8> {
    const CONTROLS: [&str; 33] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
        "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS",
        "RS", "US", "SP",
    ];
    let mut rest = print.strip_prefix('"').unwrap_or_else(|| panic!("not a string: {print}"));
    let mut bytes = Vec::new();
    loop {
        let (first, more) = rest.split_at(1);
        match first {
            "\"" => return bytes,
            "\\" => {}
            plain => {
                bytes.extend_from_slice(plain.as_bytes());
                rest = more;
                continue;
            }
        }
        let digits = more.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            bytes.push(more[..digits].parse().expect("a byte"));
            rest = &more[digits..];
            continue;
        }
        // The longest name wins: SOH is not SO and H.
        let control = CONTROLS.iter().enumerate().filter(|(_, name)| more.starts_with(**name));
        if let Some((code, name)) = control.max_by_key(|(_, name)| name.len()) {
            bytes.push(u8::try_from(code).expect("a control code"));
            rest = &more[name.len()..];
        } else if let Some(more) = more.strip_prefix("DEL") {
            bytes.push(0x7f);
            rest = more;
        } else {
            let (letter, more) = more.split_at(1);
            match "abtnvfr".find(letter) {
                Some(code) => bytes.push(7 + u8::try_from(code).expect("a control code")),
                // `\&` only separates.
                None if letter == "&" => {}
                None => bytes.extend_from_slice(letter.as_bytes()),
            }
            rest = more;
        }
    }
}
