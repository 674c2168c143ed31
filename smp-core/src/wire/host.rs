//! Names under which a server is reached.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use super::codec::{DecodeError, Decoded, Reader, put_short};

/// A host of a server. Text and bytes have the same form; on the wire it is a short string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `192.0.2.1`.
    Ipv4(Ipv4Addr),
    /// `[2001:db8::1]`.
    Ipv6(Ipv6Addr),
    /// A name under `.onion`, reached through Tor only: it must never be given to the name service.
    Onion(HostName),
    /// Any other name.
    Domain(HostName),
}

/// 1 to 253 letters, digits, hyphens, dots and underscores (RFC 1035, as widely practised).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Host {
    /// True for a host that is reached through Tor only.
    #[must_use]
    pub const fn is_onion(&self) -> bool {
        matches!(self, Self::Onion(_))
    }

    /// The host as name services and certificates have it: like its text, but an IPv6 address is without brackets.
    #[must_use]
    pub fn without_brackets(&self) -> String {
        match self {
            Self::Ipv6(address) => address.to_string(),
            Self::Ipv4(_) | Self::Onion(_) | Self::Domain(_) => self.to_string(),
        }
    }

    /// Reads a host.
    ///
    /// # Errors
    /// When bytes are missing or are not a host.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        core::str::from_utf8(reader.short()?).map_err(|_| DecodeError)?.parse()
    }

    /// Writes the host.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, self.to_string().as_bytes());
    }
}

impl FromStr for Host {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        if let Some(address) = text.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or(DecodeError)?;
            return address.parse().map(Self::Ipv6).map_err(|_| DecodeError);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ipv4(address));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(allowed) {
            return Err(DecodeError);
        }
        let name = HostName(text.into());
        let top_level = text.rsplit('.').find(|label| !label.is_empty()).unwrap_or_default();
        if top_level.eq_ignore_ascii_case("onion") { Ok(Self::Onion(name)) } else { Ok(Self::Domain(name)) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => write!(f, "[{address}]"),
            Self::Onion(name) | Self::Domain(name) => f.write_str(name.as_str()),
        }
    }
}

/// Only the kind.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4(_) => "Ipv4",
            Self::Ipv6(_) => "Ipv6",
            Self::Onion(_) => "Onion",
            Self::Domain(_) => "Domain",
        })
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostName")
    }
}

/// The onion name of a server that was first known by its domain alone.
///
/// Addresses of client version 1 hold one host. The servers that the SimpleX apps came with at that time,
/// which still appear in such addresses, have since announced these second names.
#[must_use]
pub fn known_onion(host: &Host) -> Option<Host> {
    let Host::Domain(name) = host else { return None };
    let (_, onion) = KNOWN_ONIONS.iter().find(|(domain, _)| *domain == name.as_str())?;
    Some(Host::Onion(HostName((*onion).into())))
}

/// As in the public lists of preset servers.
const KNOWN_ONIONS: [(&str, &str); 6] = [
    ("smp4.simplex.im", "o5vmywmrnaxalvz6wi3zicyftgio6psuvyniis6gco6bp6ekl4cqj4id.onion"),
    ("smp5.simplex.im", "jjbyvoemxysm7qxap7m5d5m35jzv5qq6gnlv7s4rsn7tdwwmuqciwpid.onion"),
    ("smp6.simplex.im", "bylepyau3ty4czmn77q4fglvperknl4bi2eb2fdy2bh4jxtf32kf73yd.onion"),
    ("smp8.simplex.im", "beccx4yfxxbvyhqypaavemqurytl6hozr47wfc7uuecacjqdvwpw2xid.onion"),
    ("smp9.simplex.im", "jssqzccmrcws6bhmn77vgmhfjmhwlyr3u7puw4erkyoosywgl67slqqd.onion"),
    ("smp10.simplex.im", "rb2pbttocvnbrngnwziclp2f4ckjq65kebafws6g4hy22cdaiv5dwjqd.onion"),
];

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    #[test]
    fn kinds_of_hosts() {
        for (text, kind) in [
            ("127.0.0.1", "Ipv4"),
            ("[::1]", "Ipv6"),
            ("[2001:db8::a:1]", "Ipv6"),
            ("abcdefghijklmnop.onion", "Onion"),
            ("www.ABC234.ONION", "Onion"),
            ("abc.onion.", "Onion"),
            ("onion.example", "Domain"),
            ("smp.example.com", "Domain"),
            ("localhost", "Domain"),
            ("my_host-1", "Domain"),
            ("256.0.0.1", "Domain"),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!(format!("{host:?}"), kind, "{text}");
            assert_eq!(host.to_string(), text);
            assert_eq!(host.without_brackets(), text.trim_matches(['[', ']']));
            let mut out = Vec::new();
            host.encode(&mut out);
            assert_eq!(usize::from(out[0]), text.len());
            assert_eq!(decode_all(&out.into(), Host::decode), Ok(host));
        }
    }

    #[test]
    fn what_is_not_a_host() {
        let long = "a".repeat(254);
        for text in
            ["", "a b", "a:b", "::1", "[::1", "[a]", "[]", "a/b", "a@b", "a,b", "h\u{f6}st", "a%41", &long]
        {
            assert_eq!(text.parse::<Host>(), Err(DecodeError), "{text}");
        }
        assert_eq!(decode_all(&vec![1, 0xff].into(), Host::decode), Err(DecodeError));
    }

    #[test]
    fn known_onions_are_version_3_names() {
        for (domain, onion) in KNOWN_ONIONS {
            let found = known_onion(&domain.parse().unwrap()).unwrap();
            assert_eq!(found, onion.parse().unwrap());
            let label = onion.strip_suffix(".onion").unwrap();
            assert_eq!(label.len(), 56);
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
        }
        assert_eq!(known_onion(&"smp7.simplex.im".parse().unwrap()), None);
        assert_eq!(known_onion(&"127.0.0.1".parse().unwrap()), None);
    }

    quickcheck::quickcheck! {
        fn any_text_is_read_as_what_it_is_or_refused(text: String) -> bool {
            text.parse::<Host>().map_or(true, |host| host.to_string().parse() == Ok(host))
        }

        fn ipv6_round_trip(bits: u128) -> bool {
            let host = Host::Ipv6(bits.into());
            host.to_string().parse() == Ok(host)
        }
    }
}
