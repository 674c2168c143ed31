//! The handshake of the client, step by step.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use smp_core::crypto::padding::{pad, unpad};
use smp_core::crypto::{BlockChain, Ed25519PrivateKey, X25519PrivateKey};
use smp_core::transport::identity::{self, Algorithm, IdentityKey, fingerprint, self_signed_client};
use smp_core::transport::tls::{Alpn, ClientTls};
use smp_core::wire::chain::{CertChain, CertChainPubKey};
use smp_core::wire::signed_key::{KeySignature, SessionKey, SignedKey};
use smp_core::wire::{
    ClientHello, DhPublicKey, ServerHello, ServiceHello, ServiceResponse, ServiceRole, SessionId, Version,
};

use super::clock::now;
use super::link::{Ended, Link};
use super::session::{Peer, ServiceSession};
use super::{Address, keys};

/// How a client connects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The version that it asks for.
    pub version: Version,
    /// Whether it names an application protocol.
    pub alpn: bool,
    /// Whether it sends a key in its hello, and so has its blocks encrypted from version 11.
    pub key: bool,
    /// Whether it says that it is a proxy.
    pub proxy: bool,
}

impl Form {
    /// An ordinary client of a version.
    #[must_use]
    pub const fn new(version: u16) -> Self {
        Self { version: Version(version), alpn: true, key: version >= 7, proxy: false }
    }

    /// Without a key in the hello.
    #[must_use]
    pub const fn without_key(mut self) -> Self {
        self.key = false;
        self
    }

    /// Without the extension that names an application protocol.
    #[must_use]
    pub const fn without_alpn(mut self) -> Self {
        self.alpn = false;
        self
    }

    /// As a proxy.
    #[must_use]
    pub const fn as_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Whether blocks are encrypted inside TLS.
    #[must_use]
    pub const fn encrypts(self) -> bool {
        self.version.0 >= 11 && self.key && !self.proxy
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn = if self.alpn { "" } else { " without ALPN" };
        let key = if self.key { " with a key" } else { " without a key" };
        let proxy = if self.proxy { " as a proxy" } else { "" };
        write!(f, "version {}{alpn}{key}{proxy}", self.version)
    }
}

/// The certificate of a service and the hello that goes with it.
pub struct Service {
    chain: Vec<Bytes>,
    key: Arc<IdentityKey>,
    role: ServiceRole,
}

impl Service {
    /// A new service.
    #[must_use]
    pub fn new(role: ServiceRole) -> Self {
        let issued = self_signed_client("service", Algorithm::Ed25519, &mut keys::entropy(), now());
        let issued = issued.expect("a certificate");
        Self { chain: vec![issued.certificate], key: Arc::new(issued.key), role }
    }

    /// What the service says in its hello.
    #[must_use]
    pub fn hello(&self) -> ServiceHello {
        self.hello_with(&Ed25519PrivateKey::generate(&mut keys::entropy()))
    }

    /// The same certificate in another role.
    #[must_use]
    pub fn in_role(&self, role: ServiceRole) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone(), role }
    }

    fn hello_with(&self, key: &Ed25519PrivateKey) -> ServiceHello {
        let key = SessionKey::Ed25519(key.public());
        let signature = self.key.sign(&key.signed_bytes());
        let chain = CertChain::new(self.chain.clone()).expect("one certificate");
        ServiceHello {
            role: self.role,
            auth: CertChainPubKey { chain, signed_key: SignedKey { key, signature }.to_der().into() },
        }
    }
}

/// A connection on which the server has said its hello.
pub struct Greeting {
    /// The connection.
    pub link: Link,
    /// What the server said.
    pub hello: ServerHello,
    fingerprint: [u8; 32],
}

impl Greeting {
    /// Connects, does the TLS handshake and receives the server's hello.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn new(address: &Address, alpn: Alpn, service: Option<&Service>) -> Result<Self, Ended> {
        let certificate = service.map(|service| (&service.chain[..], service.key.clone()));
        let tls = ClientTls::new(address.fingerprint, alpn, certificate).expect("a configuration of TLS");
        let mut link = Link::connect(address.socket, &tls)?;
        let block = link.receive(BLOCK)?;
        let content = Bytes::copy_from_slice(unpad(&block).expect("a padded hello"));
        let hello = ServerHello::decode(&content).expect("the hello of a server");
        Ok(Self { link, hello, fingerprint: address.fingerprint })
    }

    /// The server's key, whose signature and session are checked.
    ///
    /// # Panics
    /// When the hello does not prove that it is the server's and of this connection.
    #[must_use]
    pub fn verified_key(&self) -> Option<DhPublicKey> {
        assert_eq!(self.hello.session_id.as_bytes(), self.link.session_id());
        let auth = self.hello.auth.as_ref()?;
        let chain = auth.chain.certificates();
        assert_eq!(chain, self.link.tls().peer_certificates());
        assert_eq!(fingerprint(&chain[1]), self.fingerprint);
        let leaf = identity::leaf_key(chain).expect("a key in the certificate");
        let signed = SignedKey::from_der(&auth.signed_key).expect("a signed key");
        let signature = match &signed.signature {
            KeySignature::Ed25519(raw) => &raw[..],
            KeySignature::Ed448(raw) => &raw[..],
        };
        assert!(identity::verify(&leaf, &signed.key.signed_bytes(), signature));
        match signed.key {
            SessionKey::X25519(key) => Some(key),
            SessionKey::Ed25519(_) => panic!("a server's key is for key agreement"),
        }
    }

    /// A hello that the server accepts.
    #[must_use]
    pub fn answer(&self, form: Form, key: Option<DhPublicKey>) -> ClientHello {
        ClientHello {
            version: form.version,
            key_hash: self.fingerprint,
            session_key: key,
            proxy_server: form.proxy,
            service: None,
        }
    }

    /// Sends a hello.
    ///
    /// # Errors
    /// When the server ended the connection.
    pub fn send(&mut self, hello: &ClientHello) -> Result<(), Ended> {
        let mut content = Vec::new();
        hello.encode(&mut content);
        self.link.send(&pad(&content, BLOCK).expect("a hello that fits"))
    }

    /// Says hello as a client of this form, and is connected.
    ///
    /// # Errors
    /// When the server ended the connection.
    pub fn finish(self, form: Form) -> Result<Peer, Ended> {
        self.finish_as(form, None)
    }

    /// Says hello as a service, if it is one, and is connected when the server knows it.
    ///
    /// # Errors
    /// When the server ended the connection.
    ///
    /// # Panics
    /// When the server refuses the service.
    pub fn finish_as(mut self, form: Form, service: Option<&Service>) -> Result<Peer, Ended> {
        let server_key = self.verified_key();
        let key = form.key.then(|| X25519PrivateKey::generate(&mut keys::entropy()));
        let mut hello = self.answer(form, key.as_ref().map(X25519PrivateKey::public));
        let service_key = Ed25519PrivateKey::generate(&mut keys::entropy());
        hello.service = service.map(|service| service.hello_with(&service_key));
        self.send(&hello)?;
        let service = service.map(|service| {
            let answer = self.link.receive(BLOCK).expect("the answer to a service");
            let answer = unpad(&answer).expect("a padded answer").to_vec();
            match ServiceResponse::decode(&answer.into()).expect("the answer to a service") {
                ServiceResponse::Accepted(id) => {
                    ServiceSession { id, fingerprint: fingerprint(&service.chain[0]), key: service_key }
                }
                ServiceResponse::Refused(error) => panic!("the service is refused: {error:?}"),
            }
        });
        let chains = key.filter(|_| form.encrypts()).map(|key| {
            let secret = key.diffie_hellman(&server_key.expect("a key of the server")).expect("a good key");
            let (theirs, ours) = BlockChain::pair(&self.link.session_id(), &secret);
            (ours, theirs)
        });
        let session_id = SessionId::new(&self.link.session_id()).expect("32 bytes");
        let mut peer = Peer::new(self.link, form.version, session_id, server_key, chains);
        peer.service = service;
        Ok(peer)
    }
}

impl Peer {
    /// Connects as a client of this form.
    ///
    /// # Panics
    /// When the server does not accept it.
    #[track_caller]
    #[must_use]
    pub fn connect(address: &Address, form: Form) -> Self {
        let alpn = if form.alpn { Alpn::smp() } else { Alpn::none() };
        let greeting = Greeting::new(address, alpn, None).expect("the hello of the server");
        assert!(greeting.hello.versions.contains(form.version), "{:?}", greeting.hello.versions);
        greeting.finish(form).expect("a connection")
    }

    /// Connects as a service.
    ///
    /// # Panics
    /// When the server does not accept it.
    #[track_caller]
    #[must_use]
    pub fn connect_service(address: &Address, form: Form, service: &Service) -> Self {
        let greeting = Greeting::new(address, Alpn::smp(), Some(service)).expect("the hello of the server");
        greeting.finish_as(form, Some(service)).expect("a connection")
    }
}

/// Bytes of a block.
const BLOCK: usize = 16384;
