//! A client that can seal any record: it has the keys of its TLS connection.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, KeyLog, SignatureScheme};
use smp_core::crypto::padding::pad;
use smp_core::server::{CloseReason, ConnectionId, SessionInput};
use smp_core::wire::{ClientHello, Version};
use smp_tests::in_memory::InMemoryServer;

use super::BLOCK;

/// Types of content (RFC 8446 section 5.1).
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// A client of version 6, whose blocks are not encrypted, with a connection of its own.
pub(crate) struct Raw {
    pub(crate) id: ConnectionId,
    secret: Vec<u8>,
    sequence: u64,
}

impl Raw {
    /// Connects; TLS and SMP handshake are done.
    pub(crate) fn connect(server: &mut InMemoryServer) -> Self {
        let id = server.accept();
        let keys = Arc::new(Keys::default());
        let mut tls = connection(&keys);
        let mut received = 0;
        while received < BLOCK {
            let mut bytes = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut bytes).expect("room");
            }
            server.input(id, SessionInput::Received(&bytes));
            let output = server.take_output(id).concat();
            server.input(id, SessionInput::Sent(output.len()));
            let mut output = &output[..];
            assert!(!output.is_empty(), "the handshake failed: {:?}", server.closed(id));
            while !output.is_empty() {
                tls.read_tls(&mut output).expect("bytes");
                let state = tls.process_new_packets().expect("a server");
                let mut content = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut content).expect("bytes that are there");
                received += content.len();
            }
        }
        let mut raw = Self { id, secret: keys.0.lock().expect("a secret").clone(), sequence: 0 };
        let hello = ClientHello {
            version: Version(6),
            key_hash: server.key_hash(),
            session_key: None,
            proxy_server: false,
            service: None,
        };
        let mut content = Vec::new();
        hello.encode(&mut content);
        let block = pad(&content, BLOCK).expect("a hello that fits");
        raw.send(server, APPLICATION_DATA, &block);
        assert_eq!(server.closed(id), None);
        raw
    }

    /// Sends one record.
    pub(crate) fn send(&mut self, server: &mut InMemoryServer, content_type: u8, content: &[u8]) {
        let record = self.record(content_type, content, 0);
        server.input(self.id, SessionInput::Received(&record));
    }

    /// A record with this content (RFC 8446 section 5.2), and zeros behind it.
    pub(crate) fn record(&mut self, content_type: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &expand(&self.secret, b"key", 32)).expect("a key");
        let mut nonce: [u8; 12] = expand(&self.secret, b"iv", 12).try_into().expect("12 bytes");
        for (to, from) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *to ^= from;
        }
        self.sequence += 1;
        let mut sealed = [content, &[content_type], &vec![0; padding]].concat();
        let length = u16::try_from(sealed.len() + 16).expect("a record").to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, length[0], length[1]];
        let nonce = Nonce::assume_unique_for_key(nonce);
        LessSafeKey::new(key)
            .seal_in_place_append_tag(nonce, Aad::from(header), &mut sealed)
            .expect("a sealed record");
        [&header[..], &sealed].concat()
    }

    /// Asks the server to update its keys, and updates its own (RFC 8446 section 4.6.3).
    pub(crate) fn update_keys(&mut self, server: &mut InMemoryServer) {
        self.send(server, HANDSHAKE, &[24, 0, 0, 1, 1]);
        self.secret = expand(&self.secret, b"traffic upd", 32);
        self.sequence = 0;
    }

    /// How the server ended the connection.
    pub(crate) fn closed(&self, server: &InMemoryServer) -> Option<CloseReason> {
        server.closed(self.id)
    }

    /// Takes what the server sent, and counts its bytes.
    pub(crate) fn read(&self, server: &mut InMemoryServer) -> usize {
        let count = server.take_output(self.id).iter().map(Vec::len).sum();
        server.input(self.id, SessionInput::Sent(count));
        count
    }
}

/// The first bytes of a client.
pub(crate) fn first_flight() -> Vec<u8> {
    let mut bytes = Vec::new();
    connection(&Arc::default()).write_tls(&mut bytes).expect("room");
    bytes
}

fn connection(keys: &Arc<Keys>) -> ClientConnection {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.key_log = keys.clone();
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
fn expand(secret: &[u8], label: &[u8], length: usize) -> Vec<u8> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = [b"tls13 ", label].concat();
    let short = |length: usize| u8::try_from(length).expect("short");
    let info = [&[0, short(length), short(label.len())], &label[..], &[0]].concat();
    let mut out = vec![0; length];
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    let parts = [&info[..]];
    prk.expand(&parts, Length(length)).and_then(|okm| okm.fill(&mut out)).expect("a short key");
    out
}

/// Hears the secret of what the client sends.
#[derive(Default)]
struct Keys(Mutex<Vec<u8>>);

impl KeyLog for Keys {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "CLIENT_TRAFFIC_SECRET_0" {
            *self.0.lock().expect("no panic before") = secret.to_vec();
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Accepts any server: what it is about comes after.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ED448]
    }
}

/// A block with this content.
pub(crate) fn block(content: &[u8]) -> Bytes {
    pad(content, BLOCK).expect("a content that fits").into()
}
