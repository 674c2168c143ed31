//! What carries the blocks: TLS, or a plain stream of bytes for fuzzers and tests of what lies above.

use bytes::Bytes;
use core::mem;
use std::collections::VecDeque;

use super::TransportFault;
#[cfg(feature = "tls")]
use super::tls::TlsStream;
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

pub(super) enum Pipe {
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
    Plain(Plain),
}

impl Pipe {
    pub(super) fn plain(peer: PlainPeer) -> Self {
        Self::Plain(Plain { peer, plaintext: Vec::new(), outgoing: VecDeque::new(), is_closed: false })
    }

    pub(super) fn receive(&mut self, now: UnixTime, bytes: &[u8]) -> Result<(), TransportFault> {
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
    pub(super) fn holds_part(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.holds_part(),
            Self::Plain(_) => false,
        }
    }

    pub(super) fn take_plaintext(&mut self) -> Vec<u8> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.take_plaintext(),
            Self::Plain(plain) => mem::take(&mut plain.plaintext),
        }
    }

    pub(super) fn send(&mut self, now: UnixTime, block: Vec<u8>) -> Result<(), TransportFault> {
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

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_transmit(),
            Self::Plain(plain) => plain.outgoing.pop_front(),
        }
    }

    pub(super) fn close_notify(&mut self, now: UnixTime) {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.close_notify(now),
            Self::Plain(plain) => {
                let _ = now;
                plain.is_closed = true;
            }
        }
    }

    pub(super) fn is_closed_by_peer(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_closed_by_peer(),
            Self::Plain(_) => false,
        }
    }

    /// What the SMP handshake needs to know, once it may begin.
    pub(super) fn peer(&self) -> Option<PlainPeer> {
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

pub(super) struct Plain {
    peer: PlainPeer,
    plaintext: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
    /// Nothing is sent after a goodbye.
    is_closed: bool,
}
