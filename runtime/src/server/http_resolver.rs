//! A resolver of names that is asked over HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls_pki_types::ServerName;
use smp_core::wire::error::NameError;
use smp_core::wire::names::{Name, NameRecord};

use super::Resolved;
use crate::Runtime;
use crate::http::{Answer, Authorization, HttpClient, HttpFailure, Roots, RootsError, Url};
use crate::timer::within;

/// Resolves names by asking a web server: `GET {address}/resolve/{name}`, with the record as JSON in the answer.
///
/// | answer | what clients are told |
/// |---|---|
/// | 200 with a [`NameRecord`] | the record |
/// | 400, 404 | `NAME NOT_FOUND` |
/// | anything else, or none in time | `NAME RESOLVER` and a few words |
///
/// Nothing is remembered from one question to the next, and each has a connection of its own. Redirects are not followed.
/// A question that is dropped leaves nothing behind. Cheap to clone; the bounds are for all clones together.
pub struct HttpResolver<R: Runtime>(Arc<Inner<R>>);

/// How a resolver is asked, and what it may make this server hold.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// How to log in to it. Default: not at all.
    pub authorization: Option<Authorization>,
    /// Whom to trust for `https`. Default: `None`, whom the system trusts.
    pub roots: Option<Roots>,
    /// How long a question may take, from the look-up of the resolver's address to the end of its answer. Default: 3 s.
    pub timeout: Duration,
    /// Bytes of an answer, without its head, of which 8 KiB are taken. Default: 16,000. What makes an RNAME that does not
    /// fit in a block, about 16,300 bytes, is answered `LARGE_MSG`.
    pub answer_bytes: usize,
    /// Questions at the same time. More are answered `NAME RESOLVER` at once. Default: 1000.
    pub questions: usize,
}

/// Why a resolver cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// Anybody on the way could read how to log in.
    #[error("logging in takes https, or a resolver on this machine")]
    Exposed,
    /// The host of an `https` address is nothing that a certificate can be for.
    #[error("the host is no name for a certificate")]
    Host,
    /// Nobody is trusted.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The TLS library refused.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
}

/// Why a resolver did not answer as it should. What it says names nobody, and is what clients are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(transparent)]
pub struct ResolverFailure(Failure);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum Failure {
    #[error("busy")]
    Busy,
    #[error("timeout")]
    Timeout,
    #[error("HTTP {0}")]
    Status(u16),
    #[error("malformed record")]
    Record,
    #[error(transparent)]
    Http(#[from] HttpFailure),
}

struct Inner<R> {
    runtime: R,
    client: HttpClient<R>,
    timeout: Duration,
    answer_bytes: usize,
    questions_max: usize,
    questions: AtomicUsize,
    /// When a failure is logged again: the time in microseconds of the runtime's clock.
    quiet_until: AtomicU64,
}

impl<R: Runtime> HttpResolver<R> {
    /// A resolver at `address`, which is asked by `runtime`. For `https` this may read the certificates of the system.
    ///
    /// # Errors
    /// When logging in would be seen by others, or there is no TLS for the address.
    pub fn new(runtime: R, address: Url, options: ResolverOptions) -> Result<Self, ResolverError> {
        if options.authorization.is_some() && !address.is_secure() && !address.is_local() {
            return Err(ResolverError::Exposed);
        }
        let tls = if address.is_secure() {
            let roots = options.roots.map_or_else(Roots::system, Ok)?;
            let config =
                roots.config(runtime.clone()).map_err(|error| ResolverError::Tls(error.to_string()))?;
            Some((config, ServerName::try_from(address.host()).map_err(|_| ResolverError::Host)?))
        } else {
            None
        };
        Ok(Self(Arc::new(Inner {
            client: HttpClient::new(runtime.clone(), address, tls, options.authorization),
            runtime,
            timeout: options.timeout,
            answer_bytes: options.answer_bytes,
            questions_max: options.questions,
            questions: AtomicUsize::new(0),
            quiet_until: AtomicU64::new(0),
        })))
    }

    /// Resolves a name, for [`Server::resolver`](super::Server::resolver).
    pub fn resolve(&self, name: Name) -> impl Future<Output = Resolved> + Send + use<R> {
        let inner = Arc::clone(&self.0);
        async move { inner.ask(&name).await }
    }

    /// Asks whether the resolver is there: `GET {address}/health`, which is answered with a status from 200 to 299.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn check(&self) -> Result<(), ResolverFailure> {
        let answer = self.0.get("/health", None).await.map_err(ResolverFailure)?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(ResolverFailure(Failure::Status(status))),
        }
    }
}

impl<R: Runtime> Inner<R> {
    async fn ask(&self, name: &Name) -> Resolved {
        let Some(_question) = Question::new(self) else { return Err(self.failed(Failure::Busy)) };
        let path = format!("/resolve/{}", utf8_percent_encode(name.as_str(), ENCODED));
        let failure = match self.get(&path, Some(self.answer_bytes)).await {
            Ok(Answer { status: 200, body }) => match NameRecord::from_json(&body) {
                Ok(record) => return Ok(Box::new(record)),
                Err(_) => Failure::Record,
            },
            Ok(Answer { status: 400 | 404, .. }) => return Err(NameError::NotFound),
            Ok(Answer { status, .. }) => Failure::Status(status),
            Err(failure) => failure,
        };
        Err(self.failed(failure))
    }

    async fn get(&self, path: &str, body_max: Option<usize>) -> Result<Answer, Failure> {
        let answer = within(&self.runtime, self.timeout, self.client.get(path, body_max)).await;
        answer.ok_or(Failure::Timeout)?.map_err(Failure::Http)
    }

    /// What the client is told. The operator is told too, but not as often as clients may ask.
    fn failed(&self, failure: Failure) -> NameError {
        let now = self.runtime.now().mono;
        let quiet_until = (now + QUIET).as_micros();
        let next = |quiet| (quiet <= now.as_micros()).then_some(quiet_until);
        if self.quiet_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok() {
            log::warn!("a name could not be resolved: {failure}");
        }
        NameError::Resolver(failure.to_string())
    }
}

impl<R: Runtime> Clone for HttpResolver<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Runtime> fmt::Debug for HttpResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpResolver")
    }
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self {
            authorization: None,
            roots: None,
            timeout: Duration::from_secs(3),
            answer_bytes: 16_000,
            questions: 1000,
        }
    }
}

/// A question that is under way.
struct Question<'a>(&'a AtomicUsize);

impl<'a> Question<'a> {
    /// `None` when there are as many as there may be.
    fn new<R>(inner: &'a Inner<R>) -> Option<Self> {
        let more = |questions| (questions < inner.questions_max).then_some(questions + 1);
        let taken = inner.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // Not `then_some`: what that makes and drops would give back what was never taken.
        taken.is_ok().then(|| Self(&inner.questions))
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long the log says nothing of further failures.
const QUIET: Duration = Duration::from_secs(60);
/// All but the unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
