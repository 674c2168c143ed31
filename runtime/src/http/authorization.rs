//! How a client logs in to a web server.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// The value of the header `Authorization`.
#[derive(Clone)]
pub struct Authorization(Zeroizing<String>);

/// The token, name or password cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not 1 to {AUTHORIZATION_MAX} printable ASCII characters")]
pub struct AuthorizationError;

impl Authorization {
    /// A token (RFC 6750).
    ///
    /// # Errors
    /// When it is empty, longer than [`AUTHORIZATION_MAX`], or has other characters than visible ASCII.
    pub fn bearer(token: &str) -> Result<Self, AuthorizationError> {
        let fits =
            (1..=AUTHORIZATION_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(Zeroizing::new(format!("Bearer {token}")))) } else { Err(AuthorizationError) }
    }

    /// A name and a password (RFC 7617).
    ///
    /// # Errors
    /// When the name is empty or has a colon, when both together are longer than [`AUTHORIZATION_MAX`], or have control
    /// characters.
    pub fn basic(name: &str, password: &str) -> Result<Self, AuthorizationError> {
        let pair = Zeroizing::new(format!("{name}:{password}"));
        let fits = !name.is_empty() && !name.contains(':') && pair.len() <= AUTHORIZATION_MAX;
        if !fits || pair.chars().any(char::is_control) {
            return Err(AuthorizationError);
        }
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
        Ok(Self(Zeroizing::new(format!("Basic {}", *encoded))))
    }

    pub(crate) fn header(&self) -> &str {
        &self.0
    }
}

/// Only the type.
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization")
    }
}

/// Bytes of a token, or of a name and a password together.
pub const AUTHORIZATION_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_header() {
        assert_eq!(Authorization::bearer("abc.def=").unwrap().header(), "Bearer abc.def=");
        // The example of RFC 7617 section 2.
        let basic = Authorization::basic("Aladdin", "open sesame").unwrap();
        assert_eq!(basic.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{basic:?}"), "Authorization");
    }

    #[test]
    fn what_would_break_the_header_is_refused() {
        let long = "a".repeat(AUTHORIZATION_MAX + 1);
        for token in ["", "a b", "a\r\nX: y", "\u{e9}", long.as_str()] {
            assert!(Authorization::bearer(token).is_err(), "{token}");
        }
        for (name, password) in [("", "a"), ("a:b", "c"), ("a", "b\n"), ("a", long.as_str())] {
            assert!(Authorization::basic(name, password).is_err(), "{name}");
        }
    }
}
