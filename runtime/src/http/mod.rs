//! A small HTTP/1.1 server (RFC 9110, RFC 9112), for the web site of a server and for what its operator watches; and what a
//! client of the web needs to be told ([`HttpResolver`] is one).
//!
//! It answers GET and HEAD and nothing else: no bodies, no uploads, no upgrades. A [`Handler`] makes a response from a
//! request at once; what needs a disk or a network has to be ready before. [`Endpoint::web`] and [`Endpoint::web_tls`]
//! bind it to an address, [`Endpoint::shared`] to a port that serves SMP as well.
//!
//! ```
//! use std::sync::Arc;
//! use smp_runtime::http::{Handler, Request, Response, Status};
//!
//! let handler: Handler = Arc::new(|request: &Request| match request.path() {
//!     "/healthz" => Response::new(Status::OK, "text/plain; charset=utf-8", "ok\n"),
//!     _ => Response::status(Status::NOT_FOUND),
//! });
//! ```
//!
//! What peers may make it hold or do is in [`Limits`]:
//!
//! | | bound |
//! |---|---|
//! | connections of the web | [`Limits::http_connections`], beside the bounds that all connections have |
//! | the head of a request | [`Limits::http_head_bytes`], [`HEADERS_MAX`] |
//! | the time for TLS and a request, for each piece of a response, between requests | [`Limits::http_timeout`] |
//! | requests of a connection | [`Limits::http_requests`] |
//! | output | one piece of [`PIECE_LEN`] bytes; the next request is read when the response has left |
//!
//! [`HttpResolver`]: crate::server::HttpResolver
//! [`Endpoint::web`]: crate::server::Endpoint::web
//! [`Endpoint::web_tls`]: crate::server::Endpoint::web_tls
//! [`Endpoint::shared`]: crate::server::Endpoint::shared

mod authorization;
mod channel;
mod client;
mod connection;
mod exchange;
mod request;
mod response;
mod tls;
mod url;

pub use authorization::{AUTHORIZATION_MAX, Authorization, AuthorizationError};
pub use client::{Roots, RootsError};
pub use exchange::PIECE_LEN;
pub use request::{HEADERS_MAX, Method, Request};
pub use response::{Response, Status};
pub use tls::{WebTls, WebTlsError};
pub use url::{Url, UrlError};

pub(crate) use channel::Channel;
pub(crate) use client::{Answer, HttpClient, HttpFailure};
pub(crate) use connection::HttpConnection;

use std::sync::Arc;

#[cfg(doc)]
use smp_core::server::Limits;

/// What answers requests. It runs on the task of the connection, so it must return soon; a panic ends that connection.
pub type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;
