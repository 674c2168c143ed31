//! Parameters of the commands to a proxy.

use bytes::Bytes;

use super::super::address::ServerAddress;
use super::super::codec::{Decoded, Reader, put_optional};
use super::super::key::DhPublicKey;
use super::super::password::Password;
use super::super::version::Version;

/// The parameters of PRXY: server address, optional password.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayRequest {
    /// The relay to connect to.
    pub relay: ServerAddress,
    /// The password of the proxy.
    pub password: Option<Password>,
}

opaque_debug!(RelayRequest);

impl RelayRequest {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { relay: ServerAddress::decode(reader)?, password: reader.optional(Password::decode)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.relay.encode(out);
        put_optional(out, self.password.as_ref(), |out, password| password.encode(out));
    }
}

/// The parameters of PFWD: version, short string of the key, the rest encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardRequest {
    /// The version that the client speaks with the relay. Not checked by anyone.
    pub version: Version,
    /// The client's key for this command alone.
    pub key: DhPublicKey,
    /// A batch of one transmission, encrypted for the relay.
    pub encrypted: Bytes,
}

opaque_debug!(ForwardRequest);

impl ForwardRequest {
    /// Reads the parameters up to the end.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            version: Version::decode(reader)?,
            key: DhPublicKey::decode(reader)?,
            encrypted: reader.tail(),
        })
    }

    /// Writes the parameters.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        self.key.encode(out);
        out.extend_from_slice(&self.encrypted);
    }
}
