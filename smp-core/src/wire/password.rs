//! The password that a server may ask for before it creates a queue or forwards a command.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::codec::{DecodeError, Decoded, Reader, put_short};

/// A server's password: at most 255 printable ASCII characters, none of them a space or one of `@ : /`, which
/// delimit it in the text of a server address. Compared in constant time, erased when dropped, never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// A password of these characters. An empty one is well-formed here, though not in an address.
    ///
    /// # Errors
    /// When it is too long or has another character.
    pub fn new(bytes: &[u8]) -> Decoded<Self> {
        let allowed = |b: &u8| b.is_ascii_graphic() && !b"@:/".contains(b);
        if bytes.len() <= 255 && bytes.iter().all(allowed) {
            Ok(Self(Zeroizing::new(bytes.to_vec())))
        } else {
            Err(DecodeError)
        }
    }

    /// The characters. A caller takes care not to log them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("a password is ASCII by construction")
    }

    /// Reads a password: a short string.
    ///
    /// # Errors
    /// When bytes are missing or one is not allowed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::new(reader.short()?)
    }

    /// Writes the password.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.0);
    }
}

/// Takes the same time wherever the two differ; only different lengths are told at once.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    #[test]
    fn characters() {
        for text in ["", "a", "server_password", "~!#$%^&*()", &"x".repeat(255)] {
            let password = Password::new(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            password.encode(&mut out);
            assert_eq!(decode_all(&out.clone().into(), Password::decode).as_ref(), Ok(&password));
            assert_eq!(password.as_str(), text);
            assert_eq!(format!("{password:?}"), "Password");
            for cut in 0..out.len() {
                assert!(decode_all(&out[..cut].to_vec().into(), Password::decode).is_err());
            }
        }
        for text in ["a b", "a@b", "a:b", "a/b", "a\n", "\u{e9}", "\0", &"x".repeat(256)] {
            assert_eq!(Password::new(text.as_bytes()).err(), Some(DecodeError), "{text}");
        }
    }

    #[test]
    fn equality() {
        let password = |text: &str| Password::new(text.as_bytes()).unwrap();
        assert_eq!(password("secret"), password("secret"));
        assert_ne!(password("secret"), password("secres"));
        assert_ne!(password("secret"), password("secre"));
    }
}
