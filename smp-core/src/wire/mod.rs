//! Types and codecs of everything that SMP puts on the wire. One file per family; no state, no cryptography.
//!
//! The negotiated version is an argument of the codecs that depend on it, never part of a value. A decoder accepts
//! exactly the bytes that a peer of that version may send: [`codec::decode_all`] refuses bytes that are left over,
//! and the few places where the protocol lets later versions append data are named at their type.
//!
//! ```
//! use smp_core::wire::command::MessageFlags;
//! use smp_core::wire::{BrokerMessage, Command, ServerAddress, ServerUri, Version};
//!
//! let mut bytes = Vec::new();
//! let command = Command::Send { flags: MessageFlags { notification: true }, body: "sealed".into() };
//! command.encode(Version::MAX, &mut bytes);
//! assert_eq!(bytes, b"SEND T sealed");
//! assert!(Command::decode(Version::MAX, &bytes.into()).unwrap() == command);
//! assert!(BrokerMessage::decode(Version::MAX, &"PONG".into()).unwrap() == BrokerMessage::Pong);
//!
//! let hash = format!("{}=", "A".repeat(43)); // of the server's identity certificate, in base64url
//! let uri: ServerUri = format!("smp://{hash}@smp.example.com,backup.example.com:5223").parse()?;
//! assert_eq!(uri.server, ServerAddress::new(uri.server.hosts().to_vec(), Some(5223), [0; 32]).unwrap());
//! # Ok::<(), smp_core::wire::UriError>(())
//! ```

/// A `Debug` that writes the name of the type alone: logs carry no ids, keys, names or messages.
macro_rules! opaque_debug {
    ($type:ident) => {
        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    };
}

pub mod address;
pub mod agent;
pub mod agent_text;
pub mod batch;
pub mod broker;
pub mod chain;
pub mod client_message;
pub mod codec;
pub mod command;
pub mod error;
pub mod forward;
pub mod handshake;
pub mod host;
pub mod id;
mod json;
pub mod key;
pub mod link;
pub mod message;
pub mod names;
pub mod password;
pub mod queue_mode;
pub mod queue_set;
pub mod queue_uri;
pub mod signed_key;
pub mod text;
pub mod transmission;
pub mod version;

pub use address::{Scheme, ServerAddress, ServerUri, UriError};
pub use agent::{AMessage, AgentEnvelope, AgentError, AgentMessage};
pub use batch::{BatchWriter, decode_batch, encode_single};
pub use broker::BrokerMessage;
pub use chain::{CertChain, CertChainPubKey};
pub use client_message::{ClientMessage, ClientMessageEnvelope};
pub use codec::{DecodeError, Reader};
pub use command::Command;
pub use error::{CommandError, ErrorType};
pub use forward::{FwdResponse, FwdTransmission};
pub use handshake::{ClientHello, ServerHello, ServiceHello, ServiceResponse, ServiceRole};
pub use host::Host;
pub use id::{CorrelationId, EntityId, MessageId, SessionId};
pub use key::{AuthPublicKey, DhPublicKey, Ed25519PublicKey, X448PublicKey};
pub use link::{ConnectionLink, ConnectionMode, ConnectionRequest, LinkError, LinkKey, ShortLink};
pub use message::{NotificationMeta, ReceivedBody};
pub use names::{Name, NameRecord};
pub use password::Password;
pub use queue_mode::QueueMode;
pub use queue_set::{IdsHash, QueueSet};
pub use queue_uri::{QueueAddress, QueueInfo, QueueUri};
pub use signed_key::{KeySignature, SessionKey, SignedKey};
pub use transmission::{
    Authorization, ClientTransmission, ServerTransmission, ServiceSignature, TransmissionError,
};
pub use version::{Version, VersionRange};
