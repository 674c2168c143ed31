//! Transmissions on a connection that is ready.

use std::collections::VecDeque;

use bytes::Bytes;
use smp_core::crypto::padding::{pad, unpad};
use smp_core::crypto::{AuthPrivateKey, BlockChain, Ed25519PrivateKey, Nonce};
use smp_core::wire::codec::{put_large, put_optional, put_short};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    CorrelationId, DhPublicKey, EntityId, ServerTransmission, SessionId, Version, decode_batch,
};

use super::keys;
use super::link::{Ended, Link};
use super::received::Received;

/// How a command is authorised.
#[derive(Clone, Copy)]
pub enum Auth<'a> {
    /// It is not.
    None,
    /// By the owner of this key.
    Key(&'a AuthPrivateKey),
    /// With these bytes, whatever they are.
    Bytes(&'a [u8]),
    /// By the key of the session of a service.
    Service,
}

/// What a client is that said that it is a service.
pub struct ServiceSession {
    /// The id that the server gave.
    pub id: EntityId,
    pub(super) fingerprint: [u8; 32],
    pub(super) key: Ed25519PrivateKey,
}

/// A command with what goes around it.
pub struct Request<'a> {
    /// Its authorisation.
    pub auth: Auth<'a>,
    /// 24 random bytes, unless the test is about others.
    pub correlation_id: CorrelationId,
    /// What it is about.
    pub entity_id: EntityId,
    /// The command.
    pub command: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A command with a new correlation id.
    #[must_use]
    pub fn new(auth: Auth<'a>, entity_id: &EntityId, command: impl Into<Vec<u8>>) -> Self {
        let correlation_id = CorrelationId::from(keys::bytes::<24>());
        Self { auth, correlation_id, entity_id: entity_id.clone(), command: command.into() }
    }

    /// With another correlation id.
    ///
    /// # Panics
    /// For more than 255 bytes.
    #[must_use]
    pub fn correlated(mut self, id: &[u8]) -> Self {
        self.correlation_id = CorrelationId::new(id).expect("at most 255 bytes");
        self
    }
}

/// A client whose handshake is done.
pub struct Peer {
    /// The connection.
    pub link: Link,
    /// The agreed version.
    pub version: Version,
    /// The session id.
    pub session_id: SessionId,
    /// The service that it is.
    pub service: Option<ServiceSession>,
    server_key: Option<DhPublicKey>,
    /// The keys of the blocks that it sends, and of those that it receives.
    chains: Option<(BlockChain, BlockChain)>,
    inbox: VecDeque<Received>,
    /// Events that came before the answer to a command.
    events: VecDeque<Received>,
}

impl Peer {
    pub(super) fn new(
        link: Link,
        version: Version,
        session_id: SessionId,
        server_key: Option<DhPublicKey>,
        chains: Option<(BlockChain, BlockChain)>,
    ) -> Self {
        Self {
            link,
            version,
            session_id,
            service: None,
            server_key,
            chains,
            inbox: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Whether blocks are encrypted inside TLS.
    #[must_use]
    pub const fn encrypts(&self) -> bool {
        self.chains.is_some()
    }

    /// Whether keys can authenticate instead of signing.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.version >= Version::AUTH_COMMANDS
    }

    /// The bytes of a transmission.
    #[must_use]
    pub fn transmission(&self, request: &Request<'_>) -> Vec<u8> {
        let Request { auth, correlation_id, entity_id, command } = request;
        let signed = authorized_bytes(&self.session_id, correlation_id, entity_id, command);
        let service = self.service.as_ref().filter(|_| is_signed_by_services(command));
        let auth = match auth {
            Auth::None => Vec::new(),
            Auth::Bytes(bytes) => bytes.to_vec(),
            Auth::Service => self.service.as_ref().expect("a service").key.sign(&signed).to_vec(),
            Auth::Key(key) => {
                let fingerprint = service.map(|service| &service.fingerprint[..]).unwrap_or_default();
                let bytes = [fingerprint, &signed].concat();
                let nonce = Nonce::from_slice(correlation_id.as_bytes());
                key.authorize(self.server_key.as_ref(), &nonce, &bytes).expect("a key of the server")
            }
        };
        let mut out = Vec::new();
        put_short(&mut out, &auth);
        if self.version >= Version::SERVICES && !auth.is_empty() {
            put_optional(&mut out, service, |out, service| put_short(out, &service.key.sign(&signed)));
        }
        if self.version < Version::AUTH_COMMANDS {
            self.session_id.encode(&mut out);
        }
        correlation_id.encode(&mut out);
        entity_id.encode(&mut out);
        out.extend_from_slice(command);
        out
    }

    /// The bytes of a transmission that is signed by a key, with a signature of a service that is none.
    ///
    /// # Panics
    /// Before version 16, and when it is not authorised by 64 bytes or has such a signature already.
    #[must_use]
    pub fn transmission_of_service(&self, request: &Request<'_>) -> Vec<u8> {
        let plain = self.transmission(request);
        let (auth, rest) = plain.split_at(1 + 64);
        assert!(self.version >= Version::SERVICES && auth[0] == 64 && rest[0] == b'0', "another form");
        [auth, b"1\x40", &keys::bytes::<64>(), &rest[1..]].concat()
    }

    /// Sends one block with these transmissions.
    pub fn send_batch(&mut self, transmissions: &[Vec<u8>]) {
        let mut content = vec![u8::try_from(transmissions.len()).expect("at most 255 transmissions")];
        transmissions.iter().for_each(|bytes| put_large(&mut content, bytes));
        self.send_content(&content);
    }

    /// Sends one block with these requests.
    pub fn send(&mut self, requests: &[Request<'_>]) {
        let transmissions: Vec<_> = requests.iter().map(|request| self.transmission(request)).collect();
        self.send_batch(&transmissions);
    }

    /// Sends a block with this content, padded, and encrypted if blocks are.
    ///
    /// # Panics
    /// When it does not fit.
    pub fn send_content(&mut self, content: &[u8]) {
        let block = match &mut self.chains {
            None => pad(content, BLOCK).expect("a content that fits"),
            Some((ours, _)) => {
                let (key, nonce) = ours.step();
                key.box_key().seal_padded(&nonce, content, BLOCK - TAG).expect("a content that fits")
            }
        };
        self.send_block(&block);
    }

    /// Sends the bytes of a block as they are.
    ///
    /// # Panics
    /// When the server ended the connection.
    pub fn send_block(&mut self, block: &[u8]) {
        self.link.send(block).expect("an open connection");
    }

    /// Moves the keys on, as a block does that the server cannot open.
    pub fn skip_key(&mut self) {
        if let Some((ours, _)) = &mut self.chains {
            let _ = ours.step();
        }
    }

    /// The transmissions of the next block.
    ///
    /// # Panics
    /// When the connection ends instead.
    #[track_caller]
    pub fn receive_block(&mut self) -> Vec<Received> {
        assert!(self.inbox.is_empty(), "transmissions of the last block were not looked at");
        self.read_block().expect("a block")
    }

    /// The next transmission.
    ///
    /// # Panics
    /// When the connection ends instead.
    #[track_caller]
    pub fn receive(&mut self) -> Received {
        self.try_receive().expect("a block")
    }

    /// The next transmission.
    ///
    /// # Errors
    /// How the connection ended instead.
    #[track_caller]
    pub fn try_receive(&mut self) -> Result<Received, Ended> {
        loop {
            if let Some(next) = self.inbox.pop_front() {
                return Ok(next);
            }
            let block = self.read_block()?;
            self.inbox.extend(block);
        }
    }

    /// The next event: one that was passed over, or what comes next.
    ///
    /// # Panics
    /// When an answer comes instead.
    #[track_caller]
    pub fn event(&mut self) -> Received {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let event = self.receive();
        assert!(event.is_event(), "{event:?} is no event");
        event
    }

    /// Sends a request and returns the answer. Events before it are kept.
    ///
    /// # Panics
    /// When the answer is not about what was asked.
    #[track_caller]
    pub fn ask(&mut self, auth: Auth<'_>, entity_id: &EntityId, command: impl Into<Vec<u8>>) -> Received {
        let request = Request::new(auth, entity_id, command);
        self.send(core::slice::from_ref(&request));
        self.answer(&request)
    }

    /// The answer to a request.
    ///
    /// # Panics
    /// When another answer comes, or it is not about what was asked.
    #[track_caller]
    pub fn answer(&mut self, request: &Request<'_>) -> Received {
        loop {
            let next = self.receive();
            if next.is_event() && !request.correlation_id.is_empty() {
                self.events.push_back(next);
                continue;
            }
            assert_eq!(next.correlation_id, request.correlation_id, "{next:?}");
            assert_eq!(next.entity_id, request.entity_id, "{next:?}");
            return next;
        }
    }

    /// Sends requests in one block and returns the answers in the same order, in whatever order they came.
    ///
    /// # Panics
    /// When something else is answered.
    #[track_caller]
    pub fn ask_all(&mut self, requests: &[Request<'_>]) -> Vec<Received> {
        self.send(requests);
        self.answers(requests)
    }

    /// The answers to requests, in the order of the requests.
    ///
    /// # Panics
    /// When something else is answered.
    #[track_caller]
    pub fn answers(&mut self, requests: &[Request<'_>]) -> Vec<Received> {
        let mut answers: Vec<Option<Received>> = vec![None; requests.len()];
        while answers.iter().any(Option::is_none) {
            let next = self.receive();
            if next.is_event() {
                self.events.push_back(next);
                continue;
            }
            let position = requests.iter().position(|request| request.correlation_id == next.correlation_id);
            let position = position.expect("an answer to one of the requests");
            assert_eq!(next.entity_id, requests[position].entity_id, "{next:?}");
            assert!(answers[position].replace(next).is_none(), "a second answer");
        }
        answers.into_iter().flatten().collect()
    }

    /// Asserts that nothing came that was not asked for: after a PING, PONG is the next thing.
    #[track_caller]
    pub fn assert_silent(&mut self) {
        assert_eq!(self.ask(Auth::None, &EntityId::empty(), "PING"), "PONG");
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// The answer to a SUB that succeeded, of a client that is no service.
    #[must_use]
    pub fn subscribed(&self) -> &'static str {
        if self.version >= Version::SERVICES { "SOK 0" } else { "OK" }
    }

    #[track_caller]
    fn read_block(&mut self) -> Result<Vec<Received>, Ended> {
        let block = self.link.receive(BLOCK)?;
        let content = match &mut self.chains {
            None => unpad(&block).expect("a padded block").to_vec(),
            Some((_, theirs)) => {
                let (key, nonce) = theirs.step();
                key.box_key().open_padded(&nonce, &block).expect("an encrypted block")
            }
        };
        let items = decode_batch(&Bytes::from(content)).expect("a batch");
        Ok(items.iter().map(|item| self.decode(item)).collect())
    }

    #[track_caller]
    fn decode(&self, item: &Bytes) -> Received {
        let transmission = ServerTransmission::decode(self.version, &self.session_id, item);
        let ServerTransmission { correlation_id, entity_id, message } =
            transmission.expect("a transmission of a server");
        let received = Received { correlation_id, entity_id, message, version: self.version };
        let _ = received.decode();
        received
    }
}

/// The commands that services sign with their own key too.
fn is_signed_by_services(command: &[u8]) -> bool {
    let word = command.split(|byte| *byte == b' ').next().unwrap_or_default();
    [&b"NEW"[..], b"SUB", b"NSUB"].contains(&word)
}

/// Bytes of a block.
const BLOCK: usize = 16384;
/// Bytes of the tag of an encryption.
const TAG: usize = 16;
