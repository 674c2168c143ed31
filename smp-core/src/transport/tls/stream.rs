//! One TLS connection.

use core::mem;
use std::collections::VecDeque;

use bytes::Bytes;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};
use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName};

use super::ambient::{self, Handshake};
use super::{ClientTls, ServerTls, TlsFault};
use crate::UnixTime;

/// A TLS connection as a machine: ciphertext in by [`TlsStream::receive`], out by [`TlsStream::poll_transmit`];
/// plaintext in by [`TlsStream::send`], out by [`TlsStream::take_plaintext`].
///
/// After a fault the connection only hands out the alert that tells the peer. An idle connection holds no buffer.
pub struct TlsStream {
    connection: Connection,
    /// Until the handshake is over.
    handshake: Option<Box<Handshake>>,
    session_id: Option<[u8; 32]>,
    has_shown_certificate: bool,
    /// Ciphertext that is not a whole record yet.
    incoming: Vec<u8>,
    plaintext: Vec<u8>,
    outgoing: VecDeque<Vec<u8>>,
    end: End,
}

impl TlsStream {
    /// The server's end of a new connection. All its randomness is a function of `seed`.
    ///
    /// # Errors
    /// When rustls refuses its configuration.
    pub fn server(config: &ServerTls, seed: [u8; 32], now: UnixTime) -> Result<Self, TlsFault> {
        let mut handshake = Some(Handshake::new(seed));
        let connection =
            ambient::lend(now, &mut handshake, || UnbufferedServerConnection::new(config.0.clone()))
                .map_err(TlsFault::of)?;
        Ok(Self::new(Connection::Server(connection), handshake))
    }

    /// The client's end of a new connection. Its first flight is ready to be sent.
    ///
    /// # Errors
    /// When rustls refuses its configuration.
    pub fn client(config: &ClientTls, seed: [u8; 32], now: UnixTime) -> Result<Self, TlsFault> {
        let mut handshake = Some(Handshake::new(seed));
        // rustls wants a name, which is neither sent nor verified.
        let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
        let connection =
            ambient::lend(now, &mut handshake, || UnbufferedClientConnection::new(config.0.clone(), nobody))
                .map_err(TlsFault::of)?;
        let mut stream = Self::new(Connection::Client(connection), handshake);
        stream.run(now, Task::Receive)?;
        Ok(stream)
    }

    /// Takes ciphertext from the peer.
    ///
    /// # Errors
    /// When the connection has failed, now or before.
    pub fn receive(&mut self, now: UnixTime, mut ciphertext: &[u8]) -> Result<(), TlsFault> {
        if let End::Fault(fault) = &self.end {
            return Err(fault.clone());
        }
        while !ciphertext.is_empty() && self.end != End::Peer {
            let room = PENDING_MAX - self.incoming.len();
            let (piece, rest) = ciphertext.split_at(room.min(ciphertext.len()));
            self.incoming.extend_from_slice(piece);
            ciphertext = rest;
            self.run(now, Task::Receive)?;
            if self.incoming.len() >= PENDING_MAX {
                return Err(self.fail(TlsFault::TooLarge));
            }
        }
        Ok(())
    }

    /// Encrypts `plaintext` as one record if it has at most 16384 bytes.
    ///
    /// Before the end of the handshake, and after its own end, the connection does not send.
    ///
    /// # Errors
    /// When the connection has failed or cannot send.
    pub fn send(&mut self, now: UnixTime, plaintext: &[u8]) -> Result<(), TlsFault> {
        if let End::Fault(fault) = &self.end {
            return Err(fault.clone());
        }
        if self.is_handshaking() {
            return Err(TlsFault::Protocol("not ready to send".into()));
        }
        self.run(now, Task::Send(plaintext))
    }

    /// Tells the peer that nothing more will be sent. Does nothing during the handshake and after a fault.
    pub fn close_notify(&mut self, now: UnixTime) {
        if !self.is_handshaking() && !matches!(self.end, End::Fault(_)) {
            // A failure to say goodbye is the end of the connection all the same, and stays in `end`.
            let _fault = self.run(now, Task::Close);
        }
    }

    /// The next bytes for the peer.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let next = self.outgoing.pop_front();
        if self.outgoing.is_empty() {
            self.outgoing = VecDeque::new();
        }
        next
    }

    /// What the peer has sent and was not taken yet.
    #[must_use]
    pub fn take_plaintext(&mut self) -> Vec<u8> {
        mem::take(&mut self.plaintext)
    }

    /// Whether a part of a record is held, the rest of which the peer has not sent.
    #[must_use]
    pub const fn holds_part(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Until both Finished messages were exchanged.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.session_id.is_none()
    }

    /// The `verify_data` of the client's Finished message, which both ends know after the handshake: the SMP session
    /// identifier.
    #[must_use]
    pub const fn session_id(&self) -> Option<&[u8; 32]> {
        self.session_id.as_ref()
    }

    /// The peer's chain, leaf first; empty for a client without a certificate. Its signature was verified.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Bytes> {
        let certificates = self.connection.common().peer_certificates().unwrap_or_default();
        certificates.iter().map(|certificate| Bytes::copy_from_slice(certificate)).collect()
    }

    /// True for a client that was asked for its certificate and gave it.
    #[must_use]
    pub const fn has_shown_certificate(&self) -> bool {
        self.has_shown_certificate
    }

    /// The application protocol that was agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.common().alpn_protocol()
    }

    /// True after the peer's `close_notify`: it sends nothing more, and what it sent arrived whole.
    #[must_use]
    pub fn is_closed_by_peer(&self) -> bool {
        self.end == End::Peer
    }

    fn new(connection: Connection, handshake: Option<Box<Handshake>>) -> Self {
        Self {
            connection,
            handshake,
            session_id: None,
            has_shown_certificate: false,
            incoming: Vec::new(),
            plaintext: Vec::new(),
            outgoing: VecDeque::new(),
            end: End::Open,
        }
    }

    /// Runs rustls until it needs more from the peer.
    fn run(&mut self, now: UnixTime, task: Task<'_>) -> Result<(), TlsFault> {
        let mut handshake = self.handshake.take();
        let result = ambient::lend(now, &mut handshake, || self.step_until_idle(task));
        self.handshake = handshake;
        match result {
            Ok(()) => self.finish_handshake(),
            Err(fault) => Err(self.fail(fault)),
        }
    }

    fn step_until_idle(&mut self, mut task: Task<'_>) -> Result<(), TlsFault> {
        let mut used = 0;
        let result = loop {
            let pending = self.incoming.get_mut(used..).unwrap_or_default();
            let mut buffers = Buffers { plaintext: &mut self.plaintext, outgoing: &mut self.outgoing };
            let (discard, progress) = self.connection.step(pending, &mut buffers, &mut task);
            used += discard;
            match progress {
                Ok(Progress::Again) => {}
                Ok(Progress::Idle) => break Ok(()),
                Ok(Progress::PeerClosed) => self.end = End::Peer,
                Err(error) => break Err(error),
            }
        };
        if used >= self.incoming.len() || self.end == End::Peer {
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..used);
        }
        if result.is_err() {
            self.flush_alert();
        }
        result
    }

    /// After an error rustls has its alert still to be encoded.
    fn flush_alert(&mut self) {
        self.incoming = Vec::new();
        while self.connection.common().wants_write() {
            let mut buffers = Buffers { plaintext: &mut self.plaintext, outgoing: &mut self.outgoing };
            let (_, progress) = self.connection.step(&mut [], &mut buffers, &mut Task::Receive);
            if !matches!(progress, Ok(Progress::Again)) {
                break;
            }
        }
    }

    fn finish_handshake(&mut self) -> Result<(), TlsFault> {
        if self.session_id.is_none() && !self.connection.common().is_handshaking() {
            let handshake = self.handshake.take();
            self.has_shown_certificate = handshake.as_ref().is_some_and(|it| it.has_shown_certificate());
            self.session_id = handshake.and_then(|handshake| handshake.client_finished());
            if self.session_id.is_none() {
                return Err(self.fail(TlsFault::NoSessionId));
            }
        }
        Ok(())
    }

    fn fail(&mut self, fault: TlsFault) -> TlsFault {
        self.incoming = Vec::new();
        self.handshake = None;
        self.end = End::Fault(fault.clone());
        fault
    }
}

/// How far the connection is from its end.
#[derive(PartialEq, Eq)]
enum End {
    Open,
    /// The peer has said goodbye; we may still send.
    Peer,
    Fault(TlsFault),
}

enum Connection {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl Connection {
    fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }

    /// One step of rustls: how many bytes of `incoming` were used up, and whether there is more to do.
    fn step(
        &mut self,
        incoming: &mut [u8],
        buffers: &mut Buffers<'_>,
        task: &mut Task<'_>,
    ) -> (usize, Result<Progress, TlsFault>) {
        match self {
            Self::Server(connection) => buffers.step(connection.process_tls_records(incoming), task),
            Self::Client(connection) => buffers.step(connection.process_tls_records(incoming), task),
        }
    }
}

/// What the caller wants besides receiving.
enum Task<'a> {
    Receive,
    Send(&'a [u8]),
    Close,
}

enum Progress {
    Again,
    Idle,
    PeerClosed,
}

struct Buffers<'a> {
    plaintext: &'a mut Vec<u8>,
    outgoing: &'a mut VecDeque<Vec<u8>>,
}

impl Buffers<'_> {
    fn step<Data>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Data>,
        task: &mut Task<'_>,
    ) -> (usize, Result<Progress, TlsFault>) {
        let UnbufferedStatus { mut discard, state } = status;
        let progress = match state {
            Err(error) => Err(TlsFault::of(error)),
            Ok(ConnectionState::ReadTraffic(mut records)) => loop {
                match records.next_record() {
                    None => break Ok(Progress::Again),
                    Some(Err(error)) => break Err(TlsFault::of(error)),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        self.plaintext.extend_from_slice(record.payload);
                    }
                }
            },
            Ok(ConnectionState::EncodeTlsData(record)) => self.encode(record).map(|()| Progress::Again),
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                transmit.done();
                Ok(Progress::Again)
            }
            Ok(ConnectionState::WriteTraffic(traffic)) => self.write(traffic, task).map(|()| Progress::Idle),
            Ok(ConnectionState::PeerClosed) => Ok(Progress::PeerClosed),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => Ok(Progress::Idle),
            Ok(_) => Err(TlsFault::of(Error::General("early data, which was not offered".into()))),
        };
        (discard, progress)
    }

    fn encode<Data>(&mut self, mut record: EncodeTlsData<'_, Data>) -> Result<(), TlsFault> {
        // With no room rustls says how much it needs.
        let Err(EncodeError::InsufficientSize(size)) = record.encode(&mut []) else { return Ok(()) };
        let mut buffer = vec![0; size.required_size];
        let written = record.encode(&mut buffer).map_err(|error| TlsFault::Protocol(error.to_string()))?;
        buffer.truncate(written);
        self.outgoing.push_back(buffer);
        Ok(())
    }

    fn write<Data>(
        &mut self,
        mut traffic: WriteTraffic<'_, Data>,
        task: &mut Task<'_>,
    ) -> Result<(), TlsFault> {
        let written = match mem::replace(task, Task::Receive) {
            Task::Receive => return Ok(()),
            Task::Send(plaintext) => {
                let records = plaintext.len().div_ceil(RECORD_PLAINTEXT_MAX);
                let size = plaintext.len() + records * RECORD_OVERHEAD;
                with_room(size, |buffer| traffic.encrypt(plaintext, buffer))
            }
            Task::Close => with_room(RECORD_OVERHEAD + ALERT, |buffer| traffic.queue_close_notify(buffer)),
        };
        let written = written.map_err(|error| TlsFault::Protocol(error.to_string()))?;
        if !written.is_empty() {
            self.outgoing.push_back(written);
        }
        Ok(())
    }
}

/// A buffer of `size` bytes, or of as many as rustls then asks for because a message of its own goes first.
fn with_room(
    size: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<Vec<u8>, EncryptError> {
    let mut buffer = vec![0; size];
    let written = match write(&mut buffer) {
        Err(EncryptError::InsufficientSize(size)) => {
            buffer.resize(size.required_size, 0);
            write(&mut buffer)?
        }
        other => other?,
    };
    buffer.truncate(written);
    Ok(buffer)
}

/// The most plaintext in one record (RFC 8446 section 5.1).
const RECORD_PLAINTEXT_MAX: usize = 16384;
/// Header, content type and tag.
const RECORD_OVERHEAD: usize = 5 + 1 + 16;
/// Level and description.
const ALERT: usize = 2;
/// Header and the largest ciphertext (RFC 8446 section 5.2), and one byte more, at which something is wrong.
const PENDING_MAX: usize = 5 + RECORD_PLAINTEXT_MAX + 256 + 1;
