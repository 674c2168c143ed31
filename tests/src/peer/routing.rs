//! Private routing, layer by layer: what a client of a proxy sends and reads.

use bytes::Bytes;
use smp_core::crypto::{AuthPrivateKey, ForwardLayer, Nonce, X25519PrivateKey};
use smp_core::transport::relay_key;
use smp_core::wire::codec::{put_large, put_short};
use smp_core::wire::command::{ForwardRequest, RelayRequest};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    BrokerMessage, Command, CorrelationId, DhPublicKey, EntityId, Host, Password, ServerAddress,
    ServerTransmission, SessionId, Version, VersionRange, decode_batch,
};

use super::clock::now;
use super::received::Received;
use super::session::{Auth, Peer, Request};
use super::{Address, keys};

/// A relay as a client of a proxy knows it.
pub struct Relay {
    /// The session between proxy and relay.
    pub session: SessionId,
    /// What the client may speak with the relay.
    pub versions: VersionRange,
    key: DhPublicKey,
}

/// A command in the client's layer, and what its answer is opened with.
pub struct Forwarded {
    /// The request to the proxy.
    pub request: Request<'static>,
    layer: ForwardLayer,
    version: Version,
    session: SessionId,
}

impl Address {
    /// The address as clients pass it to a proxy.
    ///
    /// # Panics
    /// Never: it has one host.
    #[must_use]
    pub fn to_server_address(&self) -> ServerAddress {
        let host = match self.socket.ip() {
            std::net::IpAddr::V4(address) => Host::Ipv4(address),
            std::net::IpAddr::V6(address) => Host::Ipv6(address),
        };
        ServerAddress::new(vec![host], Some(self.socket.port()), self.fingerprint).expect("one host")
    }
}

impl Relay {
    /// Asks a proxy for a session with a relay.
    ///
    /// # Errors
    /// What the proxy answers instead.
    ///
    /// # Panics
    /// When the session is not proved to be with the relay.
    #[track_caller]
    pub fn try_new(proxy: &mut Peer, relay: &Address, password: Option<&str>) -> Result<Self, Received> {
        let request = Self::request(proxy.version, relay.to_server_address(), password);
        proxy.send(core::slice::from_ref(&request));
        Self::from_answer(relay, proxy.answer(&request))
    }

    /// PRXY, for who does not wait for the answer.
    ///
    /// # Panics
    /// When the password is none.
    #[must_use]
    pub fn request(version: Version, relay: ServerAddress, password: Option<&str>) -> Request<'static> {
        let password = password.map(|word| Password::new(word.as_bytes()).expect("a password"));
        let mut command = Vec::new();
        Command::Prxy(RelayRequest { relay, password }).encode(version, &mut command);
        Request::new(Auth::None, &EntityId::empty(), command)
    }

    /// The session in an answer to PRXY.
    ///
    /// # Errors
    /// What the proxy answered instead.
    ///
    /// # Panics
    /// When the session is not proved to be with the relay.
    #[track_caller]
    pub fn from_answer(relay: &Address, answer: Received) -> Result<Self, Received> {
        let BrokerMessage::PKey(session) = answer.decode() else { return Err(answer) };
        let key =
            relay_key(&session.key, &relay.fingerprint, now()).expect("a key that the relay has signed");
        Ok(Self { session: session.session_id, versions: session.versions, key })
    }

    /// Asks a proxy for a session with a relay.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn new(proxy: &mut Peer, relay: &Address) -> Self {
        match Self::try_new(proxy, relay, None) {
            Ok(relay) => relay,
            Err(refusal) => panic!("no relay: {refusal:?}"),
        }
    }

    /// The entity of PFWD.
    ///
    /// # Panics
    /// Never: the id is short.
    #[must_use]
    pub fn entity(&self) -> EntityId {
        EntityId::new(self.session.as_bytes()).expect("an id")
    }

    /// A command in the layer of the client.
    #[must_use]
    pub fn seal(
        &self,
        version: Version,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &[u8],
    ) -> Forwarded {
        let correlation = CorrelationId::from(keys::bytes::<24>());
        let item = self.item(version, key, &correlation, entity, command);
        self.seal_items(version, &correlation, &[item])
    }

    /// A transmission for the relay.
    ///
    /// # Panics
    /// When the key cannot authorise.
    #[must_use]
    pub fn item(
        &self,
        version: Version,
        key: Option<&AuthPrivateKey>,
        correlation: &CorrelationId,
        entity: &EntityId,
        command: &[u8],
    ) -> Vec<u8> {
        let authorized = authorized_bytes(&self.session, correlation, entity, command);
        let nonce = Nonce::from_slice(correlation.as_bytes());
        let auth = key.map_or(Vec::new(), |key| {
            key.authorize(Some(&self.key), &nonce, &authorized).expect("a key of the relay")
        });
        let mut item = Vec::new();
        put_short(&mut item, &auth);
        if version >= Version::SERVICES && !auth.is_empty() {
            item.push(b'0');
        }
        correlation.encode(&mut item);
        entity.encode(&mut item);
        item.extend_from_slice(command);
        item
    }

    /// Transmissions in the layer of the client.
    ///
    /// # Panics
    /// When they do not fit.
    #[must_use]
    pub fn seal_items(&self, version: Version, correlation: &CorrelationId, items: &[Vec<u8>]) -> Forwarded {
        let mut batch = vec![u8::try_from(items.len()).expect("a few")];
        items.iter().for_each(|item| put_large(&mut batch, item));
        let ours = X25519PrivateKey::generate(&mut keys::entropy());
        let secret = ours.diffie_hellman(&self.key).expect("a good key");
        let layer = ForwardLayer::of_client(&secret, correlation);
        let encrypted = layer.seal_command(&batch).expect("it fits").into();
        let mut command = Vec::new();
        Command::Pfwd(ForwardRequest { version, key: ours.public(), encrypted })
            .encode(version, &mut command);
        let mut request = Request::new(Auth::None, &self.entity(), command);
        request.correlation_id = correlation.clone();
        Forwarded { request, layer, version, session: self.session.clone() }
    }

    /// Sends a command through the proxy, and gives the relay's answer.
    ///
    /// # Panics
    /// When the proxy refuses.
    #[track_caller]
    pub fn ask(
        &self,
        proxy: &mut Peer,
        version: Version,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &[u8],
    ) -> Received {
        let forwarded = self.seal(version, key, entity, command);
        proxy.send(core::slice::from_ref(&forwarded.request));
        let answer = proxy.answer(&forwarded.request);
        let opened = forwarded.open(&answer);
        assert_eq!(opened.correlation_id, forwarded.request.correlation_id);
        assert_eq!(opened.entity_id, *entity);
        opened
    }
}

impl Forwarded {
    /// The relay's answer in the proxy's.
    ///
    /// # Panics
    /// When the proxy refused, or the answer is not one to this command.
    #[track_caller]
    #[must_use]
    pub fn open(&self, answer: &Received) -> Received {
        let BrokerMessage::PRes(sealed) = answer.decode() else { panic!("refused: {answer:?}") };
        let batch = self.layer.open_answer(&sealed).expect("an answer for this client");
        let items = decode_batch(&Bytes::from(batch)).expect("a batch");
        assert_eq!(items.len(), 1, "one answer");
        let sent =
            ServerTransmission::decode(self.version, &self.session, &items[0]).expect("a transmission");
        let ServerTransmission { correlation_id, entity_id, message } = sent;
        Received { correlation_id, entity_id, message, version: self.version }
    }
}
