//! Names that a server resolves to contact addresses (version 20), and what it finds for them.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec::{DecodeError, Decoded, Reader};
use super::json;

/// A domain name: at least two labels with dots between them, at most 253 bytes, in lower case.
///
/// A label has 1 to 63 ASCII letters, digits and hyphens; hyphens stand alone and inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The whole name, with its top-level domain.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the name is registered.
    #[must_use]
    pub fn registry(&self) -> NameRegistry {
        match self.0.rsplit_once('.') {
            Some((_, "simplex")) => NameRegistry::Simplex,
            Some((_, "testing")) => NameRegistry::Testing,
            _ => NameRegistry::Web,
        }
    }

    /// The part that is registered: the label before `simplex` or `testing`, a whole name of the web.
    #[must_use]
    pub fn domain(&self) -> &str {
        match (self.registry(), self.0.rsplit_once('.')) {
            (NameRegistry::Simplex | NameRegistry::Testing, Some((rest, _))) => {
                rest.rsplit_once('.').map_or(rest, |(_, domain)| domain)
            }
            _ => &self.0,
        }
    }

    /// The labels before [`Self::domain`], from right to left.
    pub fn subdomains(&self) -> impl Iterator<Item = &str> {
        let skip = if self.registry() == NameRegistry::Web { usize::MAX } else { 2 };
        self.0.rsplit('.').skip(skip)
    }

    /// Reads a name up to white space; what follows is ignored.
    ///
    /// # Errors
    /// When it is not well-formed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let name = reader.take_till(|byte| matches!(byte, b' ' | b'\t'..=b'\r'));
        reader.tail();
        core::str::from_utf8(name).map_err(|_| DecodeError)?.parse()
    }

    /// Writes the name.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl FromStr for Name {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        let well_formed =
            text.len() <= NAME_LENGTH_MAX && text.contains('.') && text.split('.').all(is_label);
        if well_formed { Ok(Self(text.to_ascii_lowercase())) } else { Err(DecodeError) }
    }
}

/// Only the type: a name tells whom a person looks for.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name")
    }
}

/// Where a name is registered, told by its top-level domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameRegistry {
    /// `simplex`.
    Simplex,
    /// `testing`.
    Testing,
    /// Any other.
    Web,
}

/// What a name stands for. JSON with these keys in this order; further keys are ignored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameRecord {
    /// The name.
    pub name: String,
    /// A display name, or nothing.
    pub nickname: String,
    /// A link, or nothing.
    pub website: String,
    /// A place, or nothing.
    pub location: String,
    /// Contact addresses.
    pub simplex_contact: Vec<String>,
    /// Channel links.
    pub simplex_channel: Vec<String>,
    /// An Ethereum address.
    pub eth: Option<String>,
    /// A Bitcoin address.
    pub btc: Option<String>,
    /// A Monero address.
    pub xmr: Option<String>,
    /// A Polkadot address.
    pub dot: Option<String>,
    /// The account that owns the name, `0x` and hexadecimal digits.
    pub owner: String,
    /// The contract that resolved the name, likewise.
    pub resolver: String,
}

impl NameRecord {
    /// Reads a record from JSON, as in RNAME and as resolvers answer: `eth`, `btc`, `xmr` and `dot` may be absent or null,
    /// all else has to be there.
    ///
    /// # Errors
    /// When it is no such object.
    pub fn from_json(bytes: &[u8]) -> Decoded<Self> {
        json::decode(&mut Reader::new(&Bytes::copy_from_slice(bytes)))
    }
}

opaque_debug!(NameRecord);

const NAME_LENGTH_MAX: usize = 253;
const LABEL_LENGTH_MAX: usize = 63;

fn is_label(label: &str) -> bool {
    label.len() <= LABEL_LENGTH_MAX
        && label.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    fn decode(bytes: &[u8]) -> Decoded<Name> {
        decode_all(&bytes.to_vec().into(), Name::decode)
    }

    #[test]
    fn well_formed_names() {
        for (text, registry, domain, subdomains) in [
            ("a.b.alice.simplex", NameRegistry::Simplex, "alice", vec!["b", "a"]),
            ("al-ice.testing", NameRegistry::Testing, "al-ice", vec![]),
            ("simplex.simplex", NameRegistry::Simplex, "simplex", vec![]),
            ("www.example.com", NameRegistry::Web, "www.example.com", vec![]),
            ("1.2", NameRegistry::Web, "1.2", vec![]),
        ] {
            let name: Name = text.to_ascii_uppercase().parse().unwrap();
            assert_eq!((name.as_str(), name.registry(), name.domain()), (text, registry, domain));
            assert_eq!(name.subdomains().collect::<Vec<_>>(), subdomains);
            for end in ["", " x", "\nx", "\t", "\r\n"] {
                assert_eq!(decode(format!("{text}{end}").as_bytes()), Ok(name.clone()));
            }
        }
    }

    #[test]
    fn malformed_names() {
        let long_label = format!("{}.simplex", "a".repeat(64));
        let long_name = format!("{}simplex", "abc.".repeat(62));
        for text in [
            "",
            ".",
            "alice",
            "alice.",
            ".simplex",
            "a..b",
            "-a.b",
            "a-.b",
            "a--b.c",
            "a_b.c",
            "a.b/",
            "\u{430}.b",
            &long_label,
            &long_name,
        ] {
            assert_eq!(text.parse::<Name>(), Err(DecodeError), "{text}");
            assert_eq!(decode(text.as_bytes()), Err(DecodeError), "{text}");
        }
        assert_eq!(decode(b"\xffa.b"), Err(DecodeError));
        assert_eq!("a.b c".parse::<Name>(), Err(DecodeError));
        assert!(long_name[2..].parse::<Name>().is_ok());
    }

    #[test]
    fn records() {
        let bytes = br#"{"name":"a.simplex","nickname":"A \"\\\n","website":"","location":"","simplexContact":["x"],"#;
        let bytes =
            [&bytes[..], br#""simplexChannel":[],"eth":null,"btc":"b","xmr":null,"dot":null,"owner":"0x0","#]
                .concat();
        let bytes = [&bytes[..], br#""resolver":"0x1"}"#].concat();
        let record: NameRecord = decode_all(&bytes.clone().into(), json::decode).unwrap();
        assert!(NameRecord::from_json(&bytes) == Ok(record.clone()));
        assert_eq!((record.nickname.as_str(), record.btc.as_deref()), ("A \"\\\n", Some("b")));
        assert_eq!((record.owner.as_str(), record.resolver.as_str()), ("0x0", "0x1"));
        let mut out = Vec::new();
        json::encode(&record, &mut out);
        assert_eq!(out, bytes);
        for cut in 0..bytes.len() {
            assert!(decode_all::<NameRecord>(&bytes[..cut].to_vec().into(), json::decode).is_err());
        }
        let list = br#"["a","","","",[],[],null,null,null,null,"",""]"#;
        assert!(decode_all::<NameRecord>(&list.to_vec().into(), json::decode).is_err());
    }
}
