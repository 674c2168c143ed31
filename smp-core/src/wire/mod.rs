//! Types and codecs of everything that SMP puts on the wire. One file per family; no state, no cryptography.
//!
//! The negotiated version is an argument of the codecs that depend on it, never part of a value. A decoder accepts
//! exactly the bytes that a peer of that version may send: [`codec::decode_all`] refuses bytes that are left over,
//! and the few places where the protocol lets later versions append data are named at their type.

pub mod address;
pub mod chain;
pub mod codec;
pub mod host;
pub mod id;
pub mod key;
pub mod password;
pub mod queue_mode;
pub mod queue_uri;
pub mod signed_key;
pub mod text;
pub mod version;

pub use address::{Scheme, ServerAddress, ServerUri, UriError};
pub use chain::{CertChain, CertChainPubKey};
pub use codec::{DecodeError, Reader};
pub use host::Host;
pub use id::{CorrelationId, EntityId, MessageId, SessionId};
pub use key::{AuthPublicKey, DhPublicKey};
pub use password::Password;
pub use queue_mode::QueueMode;
pub use queue_uri::{QueueAddress, QueueInfo, QueueUri};
pub use signed_key::{KeySignature, SessionKey, SignedKey};
pub use version::{Version, VersionRange};
