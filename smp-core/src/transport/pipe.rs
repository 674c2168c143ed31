//! What carries the blocks: TLS, or a plain stream of bytes for fuzzers and tests of what lies above; and WebSocket frames
//! on it, if there are to be any.

use bytes::Bytes;
use core::mem;
use std::collections::VecDeque;

use super::TransportFault;
#[cfg(feature = "tls")]
use super::tls::TlsStream;
use super::web_socket::WebSocket;
use crate::time::UnixTime;

/// What TLS would have found out, for a connection without it.
#[derive(Clone, Debug, Default)]
pub struct PlainPeer {
    /// The session identifier, which both ends must be given alike.
    pub session_id: [u8; 32],
    /// The peer's chain, leaf first, taken as verified.
    pub certificates: Vec<Bytes>,
    /// Whether an application protocol was negotiated.
    pub has_alpn: bool,
    /// Whether this end, a client, has shown its certificate.
    pub has_shown_certificate: bool,
}

/// TLS or a plain stream, and over it WebSocket frames if there are to be any.
pub(super) struct Pipe {
    carrier: Carrier,
    web_socket: Option<Box<WebSocket>>,
}

impl Pipe {
    #[cfg(feature = "tls")]
    pub(super) fn tls(stream: TlsStream) -> Self {
        Self { carrier: Carrier::Tls(Box::new(stream)), web_socket: None }
    }

    /// TLS, if it is there.
    #[cfg(all(test, feature = "tls"))]
    pub(super) fn tls_stream(&self) -> Option<&TlsStream> {
        match &self.carrier {
            Carrier::Tls(stream) => Some(stream),
            Carrier::Plain(_) => None,
        }
    }

    pub(super) fn plain(peer: PlainPeer) -> Self {
        let plain = Plain { peer, plaintext: Vec::new(), outgoing: VecDeque::new(), is_closed: false };
        Self { carrier: Carrier::Plain(plain), web_socket: None }
    }

    /// The same with WebSocket frames, as their server.
    pub(super) fn in_web_socket(mut self) -> Self {
        self.web_socket = Some(Box::new(WebSocket::server()));
        self
    }

    /// Takes bytes from the socket. What the peer sent before a fault has arrived all the same.
    pub(super) fn receive(&mut self, now: UnixTime, bytes: &[u8]) -> Result<(), TransportFault> {
        let received = self.carrier.receive(now, bytes);
        let Some(web_socket) = &mut self.web_socket else { return received };
        let framed = web_socket.receive(&self.carrier.take_plaintext());
        self.flush(now)?;
        received?;
        Ok(framed?)
    }

    /// Whether a part of a record or frame is held.
    pub(super) fn holds_part(&self) -> bool {
        self.carrier.holds_part()
            || self.web_socket.as_ref().is_some_and(|web_socket| web_socket.holds_part())
    }

    pub(super) fn take_plaintext(&mut self) -> Vec<u8> {
        match &mut self.web_socket {
            Some(web_socket) => web_socket.take_payload(),
            None => self.carrier.take_plaintext(),
        }
    }

    pub(super) fn send(&mut self, now: UnixTime, block: Vec<u8>) -> Result<(), TransportFault> {
        match &self.web_socket {
            Some(web_socket) if web_socket.is_closed() => Err(TransportFault::Closed),
            Some(web_socket) => self.carrier.send(now, web_socket.frame(&block)),
            None => self.carrier.send(now, block),
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.carrier.poll_transmit()
    }

    pub(super) fn close_notify(&mut self, now: UnixTime) {
        if let Some(web_socket) = &mut self.web_socket {
            web_socket.close();
            // A failure to say goodbye is the end all the same.
            let _fault = self.flush(now);
        }
        self.carrier.close_notify(now);
    }

    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.carrier.is_closed_by_peer()
            || self.web_socket.as_ref().is_some_and(|web_socket| web_socket.is_closed())
    }

    /// What the SMP handshake needs to know, once it may begin.
    pub(super) fn peer(&self) -> Option<PlainPeer> {
        let may_begin = self.web_socket.as_ref().is_none_or(|web_socket| web_socket.is_open());
        if may_begin { self.carrier.peer() } else { None }
    }

    /// Sends what the WebSocket itself has to say.
    fn flush(&mut self, now: UnixTime) -> Result<(), TransportFault> {
        let output = self.web_socket.as_mut().map(|web_socket| web_socket.take_output()).unwrap_or_default();
        if output.is_empty() { Ok(()) } else { self.carrier.send(now, output) }
    }
}

enum Carrier {
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
    Plain(Plain),
}

impl Carrier {
    fn receive(&mut self, now: UnixTime, bytes: &[u8]) -> Result<(), TransportFault> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Ok(stream.receive(now, bytes)?),
            Self::Plain(plain) => {
                let _ = now;
                plain.plaintext.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Whether a part of a record is held.
    fn holds_part(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.holds_part(),
            Self::Plain(_) => false,
        }
    }

    fn take_plaintext(&mut self) -> Vec<u8> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.take_plaintext(),
            Self::Plain(plain) => mem::take(&mut plain.plaintext),
        }
    }

    fn send(&mut self, now: UnixTime, block: Vec<u8>) -> Result<(), TransportFault> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Ok(stream.send(now, &block)?),
            Self::Plain(plain) if plain.is_closed => Err(TransportFault::Closed),
            Self::Plain(plain) => {
                let _ = now;
                plain.outgoing.push_back(block);
                Ok(())
            }
        }
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_transmit(),
            Self::Plain(plain) => plain.outgoing.pop_front(),
        }
    }

    fn close_notify(&mut self, now: UnixTime) {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.close_notify(now),
            Self::Plain(plain) => {
                let _ = now;
                plain.is_closed = true;
            }
        }
    }

    fn is_closed_by_peer(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_closed_by_peer(),
            Self::Plain(_) => false,
        }
    }

    /// What the SMP handshake needs to know, once it may begin.
    fn peer(&self) -> Option<PlainPeer> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.session_id().map(|session_id| PlainPeer {
                session_id: *session_id,
                certificates: stream.peer_certificates(),
                has_alpn: stream.alpn().is_some(),
                has_shown_certificate: stream.has_shown_certificate(),
            }),
            Self::Plain(plain) => Some(plain.peer.clone()),
        }
    }
}

struct Plain {
    peer: PlainPeer,
    plaintext: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
    /// Nothing is sent after a goodbye.
    is_closed: bool,
}
