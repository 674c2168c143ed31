//! A client of the web that asks for one thing at a time: GET, HTTP/1.1, no redirects, no cookies, no cache, no second
//! request on a connection.

mod answer;
mod tls;

pub use tls::{Roots, RootsError};

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use zeroize::Zeroizing;

use super::channel::{Broken, Channel};
use super::{Authorization, Url};
use crate::Runtime;
use crate::connect::{Unreachable, connect_to};
use crate::link::Link;
use answer::{AnswerReader, HEAD_MAX};

pub(crate) use answer::Answer;

/// A client of one server.
///
/// It waits without end: who calls it sets a time, and drops the future.
pub(crate) struct HttpClient<R> {
    runtime: R,
    url: Url,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    authorization: Option<Authorization>,
}

/// Why there is no answer. What it says names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum HttpFailure {
    #[error("cannot be reached ({0})")]
    Io(io::ErrorKind),
    #[error("certificate not trusted")]
    Certificate,
    #[error("TLS failed")]
    Tls,
    #[error("answer too large")]
    TooLarge,
    #[error("malformed answer")]
    Malformed,
}

impl<R: Runtime> HttpClient<R> {
    /// A client that logs in with `authorization`, if it is given. `tls` and the name of the server are for `https`.
    pub(crate) fn new(
        runtime: R,
        url: Url,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        authorization: Option<Authorization>,
    ) -> Self {
        Self { runtime, url, tls, authorization }
    }

    /// Asks for `path` below the address, which has to be percent-encoded; takes a body of at most so many bytes, or with
    /// `None` ends behind the head.
    pub(crate) async fn get(&self, path: &str, body_max: Option<usize>) -> Result<Answer, HttpFailure> {
        let link = Link::new(self.connect().await?);
        let channel = Channel::client(self.tls.clone()).map_err(|_| HttpFailure::Tls)?;
        exchange(link, channel, &self.request(path), body_max).await
    }

    async fn connect(&self) -> Result<R::Stream, HttpFailure> {
        // Whatever `localhost` is taken for: a secret leaves this machine in TLS only.
        let stays_here = self.authorization.is_some() && !self.url.is_secure();
        let allowed = |address: IpAddr| !stays_here || address.is_loopback();
        let connected = connect_to(&self.runtime, &self.url.host(), self.url.port(), allowed).await;
        connected.map_err(|why| match why {
            Unreachable::Forbidden => HttpFailure::Io(io::ErrorKind::NotFound),
            Unreachable::Io(kind) => HttpFailure::Io(kind),
        })
    }

    fn request(&self, path: &str) -> Zeroizing<String> {
        let host = self.url.authority();
        let mut parts = vec!["GET ", self.url.path(), path, " HTTP/1.1\r\nHost: ", &host, "\r\n"];
        if let Some(authorization) = &self.authorization {
            parts.extend(["Authorization: ", authorization.header(), "\r\n"]);
        }
        parts.push(concat!("User-Agent: smp-runtime/", env!("CARGO_PKG_VERSION"), "\r\n"));
        parts.push("Accept: application/json\r\nConnection: close\r\n\r\n");
        // In one allocation of its final length, so that no part of the secret stays behind.
        Zeroizing::new(parts.concat())
    }
}

/// Sends the request and reads the answer. The connection ends with it.
async fn exchange<S: crate::ByteStream>(
    mut link: Link<S>,
    mut channel: Channel,
    request: &str,
    body_max: Option<usize>,
) -> Result<Answer, HttpFailure> {
    let mut reader = AnswerReader::new(body_max);
    // What carries the body may be longer than it, but not without end.
    let mut input_left = INPUT_EXTRA + body_max.unwrap_or_default().saturating_mul(CHUNK_FACTOR);
    let io = |error: io::Error| HttpFailure::Io(error.kind());
    channel.send(request.as_bytes());
    loop {
        link.send(channel.transmit());
        while link.queued() > 0 {
            poll_fn(|cx| link.poll_write(cx)).await.map_err(io)?;
        }
        let (mut length, mut received) = (0, Ok(true));
        let read = poll_fn(|cx| {
            link.poll_read(cx, |bytes| {
                length = bytes.len();
                received = channel.receive(bytes, |plain| reader.receive(plain));
            })
        });
        let open = read.await.map_err(io)?;
        input_left = input_left.checked_sub(length).ok_or(HttpFailure::TooLarge)?;
        match received {
            // Many servers of the web end TLS without a goodbye. An answer that was cut there is no JSON.
            Ok(more) if !open || !more => reader.end(),
            Ok(_) => {}
            Err(broken) => {
                link.send(channel.transmit());
                if link.queued() > 0 {
                    // The server is told why, if it listens.
                    _ = poll_fn(|cx| link.poll_write(cx)).await;
                }
                return Err(broken.into());
            }
        }
        if let Some(answer) = reader.take() {
            return answer;
        }
    }
}

impl From<Broken> for HttpFailure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Certificate => Self::Certificate,
            Broken::Protocol => Self::Tls,
        }
    }
}

/// Bytes beside the body: a handshake of TLS with a long chain, and heads.
const INPUT_EXTRA: usize = 128 * 1024 + 4 * HEAD_MAX;
/// A body in chunks of a byte each, with their lines.
const CHUNK_FACTOR: usize = 8;
