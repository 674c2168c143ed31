//! The encoding of values as text: base64url with padding, and the query strings of addresses.

use core::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::codec::{DecodeError, Decoded};

/// `bytes` as base64url with padding (RFC 4648, section 5): the text form of keys, hashes and ids.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// The bytes of base64url text.
///
/// # Errors
/// For other characters, missing padding, or bits left over: each byte string has one text form.
pub fn from_base64url(text: &str) -> Decoded<Vec<u8>> {
    URL_SAFE.decode(text).map_err(|_| DecodeError)
}

/// `bytes` as base64url without padding: the text form in short links.
#[must_use]
pub fn to_base64url_unpadded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of base64url text, with all of its padding, some or none: what people copy from a link or from a log.
///
/// # Errors
/// For other characters, too much padding, or bits left over.
pub fn from_base64url_any(text: &str) -> Decoded<Vec<u8>> {
    ANY_PADDING.decode(text).map_err(|_| DecodeError)
}

/// The parameters of a query, in their order: `name=value&name=value`, both percent-encoded (RFC 3986).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// A query without parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Reads what follows the `?`. A parameter without `=` has an empty value.
    ///
    /// # Errors
    /// When a decoded value is not UTF-8.
    pub fn parse(text: &str) -> Decoded<Self> {
        let decode = |part: &str| {
            percent_decode_str(part).decode_utf8().map(|text| text.into_owned()).map_err(|_| DecodeError)
        };
        text.split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Decoded<_>>()
            .map(Self)
    }

    /// True when there is no parameter.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first parameter with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "&" };
            let [name, value] = [name, value].map(|text| utf8_percent_encode(text, RESERVED));
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

/// Names only: values hold addresses and keys.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"\xff", "_w=="),
            (b"\xff\xef", "_-8="),
            (b"\xfb\xef\xbe", "----"),
            (b"abc", "YWJj"),
        ] {
            assert_eq!(to_base64url(bytes), text);
            assert_eq!(from_base64url(text).as_deref(), Ok(bytes));
        }
        for text in ["_w", "_w=", "_x==", "/w==", "+++=", "YWJj=", "YWJj\n", " YWJj", "Y"] {
            assert_eq!(from_base64url(text), Err(DecodeError), "{text}");
        }
    }

    #[test]
    fn base64url_with_padding_or_without() {
        for text in ["_w==", "_w=", "_w"] {
            assert_eq!(from_base64url_any(text).as_deref(), Ok(&b"\xff"[..]));
        }
        assert_eq!(to_base64url_unpadded(b"\xff"), "_w");
        for text in ["_x", "/w", "_w===", "_w ", "Y"] {
            assert_eq!(from_base64url_any(text), Err(DecodeError), "{text}");
        }
    }

    #[test]
    fn queries() {
        let query = Query::new().with("v", "1-4").with("dh", "a_b-c=").with("srv", "one.example,[::1]");
        let text = "v=1-4&dh=a_b-c%3D&srv=one.example%2C%5B%3A%3A1%5D";
        assert_eq!(query.to_string(), text);
        assert_eq!(Query::parse(text), Ok(query.clone()));
        assert_eq!(query.value("dh"), Some("a_b-c="));
        assert_eq!(query.value("d"), None);
        assert_eq!(format!("{query:?}"), r#"["v", "dh", "srv"]"#);
    }

    #[test]
    fn lenient_queries() {
        let query = Query::parse("a=b=c&&a=second&flag&").unwrap();
        assert_eq!(query, Query::new().with("a", "b=c").with("a", "second").with("flag", ""));
        assert_eq!(query.value("a"), Some("b=c"));
        assert_eq!(Query::parse(""), Ok(Query::new()));
        assert_eq!(Query::parse("a=%ff"), Err(DecodeError));
        // An escape that is not one stays as it is.
        assert_eq!(Query::parse("a=%zz").unwrap().value("a"), Some("%zz"));
    }

    quickcheck::quickcheck! {
        fn base64url_round_trip(bytes: Vec<u8>) -> bool {
            from_base64url(&to_base64url(&bytes)) == Ok(bytes)
        }

        fn query_round_trip(parameters: Vec<(String, String)>) -> bool {
            let query = Query(parameters);
            Query::parse(&query.to_string()) == Ok(query)
        }

        fn parsing_never_panics(text: String) -> bool {
            let _ = from_base64url(&text);
            Query::parse(&text).map_or(true, |query| Query::parse(&query.to_string()) == Ok(query))
        }
    }
}
