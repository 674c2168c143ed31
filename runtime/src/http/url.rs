//! Addresses of web servers.

use std::fmt;
use std::str::FromStr;

use smp_core::wire::Host;

/// The address of a web server and a folder there, such as `https://names.example.org/v1` (RFC 3986).
///
/// Only what a client here can use: `http` or `https`, a host that is no onion name, a port, a path. Neither a log-in nor
/// a query nor a fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: Host,
    port: u16,
    /// Empty, or with `/` at its beginning and none at its end.
    path: String,
}

/// The text is no [`Url`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an address with http:// or https://, a host, and if need be a port and a path")]
pub struct UrlError;

impl Url {
    /// Whether connections are in TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether it names this machine: a loopback address, or `localhost`.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) | Host::Onion(name) => name.as_str().eq_ignore_ascii_case("localhost"),
        }
    }

    /// The host, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> String {
        self.host.without_brackets()
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the header `Host` has them.
    pub(crate) fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
        if text.len() > URL_MAX || !path.bytes().all(is_plain) {
            return Err(UrlError);
        }
        // The colons of an IPv6 address are inside brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0).ok_or(UrlError)?
            }
            Some(_) => return Err(UrlError),
            None => default_port(secure),
        };
        let host: Host = host.parse().map_err(|_| UrlError)?;
        if host.is_onion() {
            return Err(UrlError);
        }
        Ok(Self { secure, host, port, path: path.trim_end_matches('/').to_owned() })
    }
}

/// Only the type: where a server asks is its operator's business.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url")
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// More than any address of people has.
const URL_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, secure, host, port, authority, path, local) in [
            ("http://127.0.0.1:8000", false, "127.0.0.1", 8000, "127.0.0.1:8000", "", true),
            ("http://[::1]/", false, "::1", 80, "[::1]", "", true),
            ("HTTP://localhost:80/a/b//", false, "localhost", 80, "localhost", "/a/b", true),
            ("https://names.example:443/a", true, "names.example", 443, "names.example", "/a", false),
            ("https://[2001:db8::1]:8443", true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "", false),
            ("http://localhost.example", false, "localhost.example", 80, "localhost.example", "", false),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.is_secure(), url.is_local()), (secure, local), "{text}");
            assert_eq!((url.host().as_str(), url.port(), url.path()), (host, port, path), "{text}");
            assert_eq!(url.authority(), authority);
        }
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "localhost:8000",
            "ftp://a",
            "https://",
            "https:///a",
            "http://user:secret@a",
            "http://a?b",
            "http://a/b?c",
            "http://a/#b",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://a:+80",
            "http://[::1",
            "http://::1",
            "http://a b",
            "http://abc.onion",
            &format!("http://a/{}", "b".repeat(URL_MAX)),
        ] {
            assert_eq!(text.parse::<Url>(), Err(UrlError), "{text}");
        }
    }
}
