//! Names, which somebody else resolves.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use smp_core::wire::error::NameError;
use smp_core::wire::names::{Name, NameRecord};

/// What a resolver found for a name.
pub type Resolved = Result<Box<NameRecord>, NameError>;

/// The future of a [`Resolved`].
pub(crate) type Resolving = Pin<Box<dyn Future<Output = Resolved> + Send>>;

/// Resolves names. It must give up after a bounded time: the client waits for it.
pub(crate) type Resolver = Arc<dyn Fn(Name) -> Resolving + Send + Sync>;

/// The resolver of a server without one.
pub(crate) fn no_resolver() -> Resolver {
    Arc::new(|_| Box::pin(async { Err(NameError::NoResolver) }))
}
