//! The messages that open a connection.

use smp_core::wire::codec::decode_all;
use smp_core::wire::{CertChainPubKey, ClientHello, ServerHello, ServiceResponse, SignedKey};

use crate::check_round_trip;
use crate::input::Input;

/// The hello of a server or a client, the answer to a service, or a signed key; the first byte says which.
pub fn handshakes(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(4);
    let content = input.rest();
    match kind {
        0 => {
            check_round_trip(&content, |content| ServerHello::decode(content).ok(), ServerHello::encode);
            if let Ok(ServerHello { auth: Some(auth), .. }) = ServerHello::decode(&content) {
                signed_key(&auth);
            }
        }
        1 => {
            check_round_trip(&content, |content| ClientHello::decode(content).ok(), ClientHello::encode);
            if let Ok(ClientHello { service: Some(service), .. }) = ClientHello::decode(&content) {
                signed_key(&service.auth);
            }
        }
        2 => check_round_trip(
            &content,
            |content| ServiceResponse::decode(content).ok(),
            ServiceResponse::encode,
        ),
        _ => check_round_trip(
            &content,
            |content| decode_all(content, CertChainPubKey::decode).ok(),
            CertChainPubKey::encode,
        ),
    }
}

/// A signed key has one encoding.
fn signed_key(auth: &CertChainPubKey) {
    if let Ok(key) = SignedKey::from_der(&auth.signed_key) {
        assert_eq!(key.to_der(), auth.signed_key);
    }
}
