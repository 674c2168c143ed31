//! Names of what an agent has.

use core::fmt;

use crate::Entropy;
use crate::wire::text::{from_base64url, to_base64url};

/// A local user of an agent: an identity of its own, with servers of its own. Other people learn nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId(pub i64);

/// The number of a message in a connection, as its own agent counts: sent and received ones together, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LocalMessageId(pub i64);

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 12 bytes drawn at random; as text, base64url. Means nothing to anybody else.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// An id of these bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// A new one.
            pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
                let mut bytes = [0; 12];
                entropy.fill(&mut bytes);
                Self(bytes)
            }

            /// The bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }

            /// Reads what `Display` writes.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                from_base64url(text).ok()?.try_into().ok().map(Self)
            }
        }

        /// For the app, never for a log.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_base64url(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

random_id! {
    /// A connection of an agent.
    ConnectionId
}
random_id! {
    /// Somebody who used an invitation and waits to be allowed.
    ConfirmationId
}
random_id! {
    /// Somebody who wants to connect to a contact address.
    InvitationId
}
