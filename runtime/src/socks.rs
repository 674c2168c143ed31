//! Connections through a SOCKS proxy (RFC 1928), such as that of Tor.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;

use smp_core::crypto::hash::sha256;

use crate::ByteStream;

/// A SOCKS proxy, and what it is used for. Names are given to it unresolved, so the name service does not learn them.
#[derive(Clone)]
pub struct Socks {
    /// The host of the proxy, a name or an IP address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Which connections go through it.
    pub mode: SocksMode,
    credentials: Option<Credentials>,
}

/// Which connections go through a SOCKS proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocksMode {
    /// Those to onion names.
    Onion,
    /// All.
    Always,
}

/// A username and a password (RFC 1929), 32 bytes each.
#[derive(Clone)]
struct Credentials {
    username: String,
    password: String,
}

impl Socks {
    /// A proxy that asks for no password.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, mode: SocksMode) -> Self {
        Self { host: host.into(), port, mode, credentials: None }
    }

    /// Gives the proxy a username and a password that are made of `key`. Tor lets connections with different ones share no
    /// circuit, so that a server cannot tell that they are of one person.
    #[must_use]
    pub fn isolated(mut self, key: &[u8]) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = sha256(key);
        let (username, password) = digest.split_at(16);
        self.credentials = Some(Credentials { username: hex(username), password: hex(password) });
        self
    }

    /// Asks the proxy, on a connection to it, for a connection to `host`. When this is done, the stream is that connection.
    pub(crate) async fn connect(
        &self,
        stream: &mut impl ByteStream,
        host: &Destination,
        port: u16,
    ) -> io::Result<()> {
        let method = if self.credentials.is_some() { PASSWORD } else { NO_AUTHENTICATION };
        write(stream, &[VERSION, 1, method]).await?;
        let [version, chosen] = read(stream).await?;
        if version != VERSION || chosen != method {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the SOCKS proxy wants another log-in",
            ));
        }
        if let Some(Credentials { username, password }) = &self.credentials {
            let mut request = vec![1];
            put_short(&mut request, username.as_bytes());
            put_short(&mut request, password.as_bytes());
            write(stream, &request).await?;
            let [_, status] = read(stream).await?;
            if status != 0 {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the SOCKS proxy refused the log-in",
                ));
            }
        }
        let mut request = vec![VERSION, CONNECT, 0];
        match host {
            Destination::Address(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Destination::Address(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            Destination::Name(name) => {
                request.push(NAME);
                put_short(&mut request, name.as_bytes());
            }
        }
        request.extend(port.to_be_bytes());
        write(stream, &request).await?;
        read_reply(stream).await
    }
}

/// What a proxy is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    Address(IpAddr),
    /// At most 253 bytes.
    Name(String),
}

/// The proxy's answer, with the address that it is connected from, which is of no use here.
async fn read_reply(stream: &mut impl ByteStream) -> io::Result<()> {
    let [version, code, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let rest = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => read::<1>(stream).await.map(|[length]| usize::from(length))?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    for _ in 0..rest + 2 {
        let [_] = read(stream).await?;
    }
    Err(match code {
        0 => return Ok(()),
        2 => io::ErrorKind::PermissionDenied,
        3 => io::ErrorKind::NetworkUnreachable,
        4 => io::ErrorKind::HostUnreachable,
        5 => io::ErrorKind::ConnectionRefused,
        6 => io::ErrorKind::TimedOut,
        7 | 8 => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    }
    .into())
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    // Names and credentials are shorter than 256 bytes by their types.
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend(bytes.iter().take(255));
}

async fn write(stream: &mut impl ByteStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Exactly so many bytes: what follows belongs to the connection that was asked for.
async fn read<const N: usize>(stream: &mut impl ByteStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        match poll_fn(|cx| stream.poll_read(cx, rest)).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(bytes)
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Runtime;
    use crate::testing::{TestRuntime, TestStream};

    /// Lets a connection be asked for, with what the proxy says in turn, a byte at a time; gives what it was sent.
    fn asked(
        socks: Socks,
        destination: Destination,
        script: &[&[u8]],
    ) -> (Vec<Vec<u8>>, Option<io::Result<()>>) {
        let runtime = TestRuntime::default();
        let (mut ours, proxy) = TestStream::pair();
        let outcome = std::sync::Arc::new(std::sync::Mutex::new(None));
        let told = std::sync::Arc::clone(&outcome);
        runtime.spawn(async move {
            let result = socks.connect(&mut ours, &destination, 5223).await;
            *told.lock().unwrap() = Some((result, ours));
        });
        runtime.run();
        let mut sent = vec![proxy.take()];
        for answer in script {
            for byte in *answer {
                proxy.give(&[*byte]);
                runtime.run();
            }
            sent.push(proxy.take());
        }
        let outcome = outcome.lock().unwrap().take();
        (sent, outcome.map(|(result, _)| result))
    }

    fn proxy() -> Socks {
        Socks::new("127.0.0.1", 9050, SocksMode::Onion)
    }

    #[test]
    fn asks_for_names_and_addresses_without_a_password() {
        let granted: &[u8] = &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80];
        let (sent, result) = asked(proxy(), Destination::Name("a.onion".into()), &[&[5, 0], granted]);
        let name: &[u8] = b"\x05\x01\x00\x03\x07a.onion\x14\x67";
        assert_eq!(sent, [&[5, 1, 0][..], name, b""]);
        assert!(result.unwrap().is_ok());

        let address = Destination::Address("192.0.2.1".parse().unwrap());
        let (sent, result) = asked(proxy(), address, &[&[5, 0], &[5, 0, 0, 3, 2, b'x', b'y', 0, 80]]);
        assert_eq!(sent[1], [5, 1, 0, 1, 192, 0, 2, 1, 0x14, 0x67]);
        assert!(result.unwrap().is_ok());

        let address = Destination::Address("2001:db8::1".parse().unwrap());
        let (sent, result) = asked(proxy(), address, &[&[5, 0], &[&[5, 0, 0, 4][..], &[0; 18]].concat()]);
        assert_eq!((sent[1].len(), sent[1][3]), (22, 4));
        assert!(result.unwrap().is_ok());
    }

    #[test]
    fn each_key_has_a_username_and_a_password_of_its_own() {
        let script: &[&[u8]] = &[&[5, 2], &[1, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]];
        let log_in = |key: &[u8]| {
            let (sent, result) = asked(proxy().isolated(key), Destination::Name("a.onion".into()), script);
            assert!(result.unwrap().is_ok());
            assert_eq!(sent[0], [5, 1, 2]);
            assert_eq!((sent[1][0], sent[1][1], sent[1][34], sent[1].len()), (1, 32, 32, 67));
            sent[1].clone()
        };
        assert_eq!(log_in(b"one"), log_in(b"one"));
        assert_ne!(log_in(b"one"), log_in(b"two"));
    }

    #[test]
    fn refusals_have_their_reasons() {
        let name = || Destination::Name("a.onion".into());
        for (script, kind) in [
            (&[&[5, 0xff][..]][..], io::ErrorKind::PermissionDenied),
            (&[&[4, 0]], io::ErrorKind::PermissionDenied),
            (&[&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], io::ErrorKind::ConnectionRefused),
            (&[&[5, 0], &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]], io::ErrorKind::HostUnreachable),
            (&[&[5, 0], &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0]], io::ErrorKind::Other),
            (&[&[5, 0], &[5, 0, 0, 9]], io::ErrorKind::InvalidData),
            (&[&[5, 0], &[4, 0, 0, 1]], io::ErrorKind::InvalidData),
        ] {
            let (_, result) = asked(proxy(), name(), script);
            assert_eq!(result.unwrap().err().map(|error| error.kind()), Some(kind), "{script:?}");
        }
        let (_, result) = asked(proxy().isolated(b"key"), name(), &[&[5, 2], &[1, 1]]);
        assert_eq!(result.unwrap().err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied));
        let (_, result) = asked(proxy(), name(), &[&[5, 0], &[5, 0, 0]]);
        assert!(result.is_none(), "it waits for the rest");
    }
}
