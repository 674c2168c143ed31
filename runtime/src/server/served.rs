//! What the task of a connection runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use smp_core::server::Session;
use smp_core::transport::{ServerTransportConfig, Transport};
use smp_storage::Backend;

use super::accept::Acceptor;
use super::admission::{Permit, WebPermit};
use super::connection::Connection;
use super::endpoint::{Endpoint, Service};
use super::event::Disconnect;
use super::front::{Front, Newcomer, Verdict};
use super::hub::Attachment;
use super::phase::Phase;
use crate::Runtime;
use crate::http::{Channel, Handler, HttpConnection, WebTls};

/// A connection: SMP, the web, or not known yet.
pub(super) enum Served<R: Runtime, B: Backend + 'static> {
    Front(Box<Front<R, B>>),
    Smp(Box<Connection<R, B>>),
    Web(Box<Web<R, B>>),
    Ended(Disconnect),
}

/// A connection of the web and its place at the hub, which is there for the phase of the server only.
pub(super) struct Web<R: Runtime, B: Backend + 'static> {
    place: Attachment<R, B>,
    connection: HttpConnection<R>,
    _permit: WebPermit,
}

impl<R: Runtime, B: Backend + 'static> Served<R, B> {
    /// What serves a new connection of this endpoint.
    pub(super) fn new(
        acceptor: &Arc<Acceptor<R, B>>,
        endpoint: &Arc<Endpoint>,
        newcomer: Newcomer<R, B>,
    ) -> Self {
        match &endpoint.service {
            Service::Smp(transport) if !endpoint.behind_proxy => {
                Self::Smp(smp(acceptor, transport.as_ref(), newcomer, &[]))
            }
            _ => Self::Front(Box::new(Front::new(Arc::clone(acceptor), Arc::clone(endpoint), newcomer))),
        }
    }

    /// Serves the connection to its end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, permit: &mut Permit) -> Poll<Disconnect> {
        loop {
            match self {
                Self::Smp(connection) => return connection.poll(cx),
                Self::Web(web) => return web.poll(cx),
                Self::Ended(how) => return Poll::Ready(*how),
                Self::Front(front) => {
                    let verdict = ready!(front.poll(cx, permit));
                    let before = std::mem::replace(self, Self::Ended(Disconnect::Cut));
                    if let Self::Front(front) = before {
                        *self = verdict.and_then(|verdict| front.settle(verdict)).unwrap_or_else(Self::Ended);
                    }
                }
            }
        }
    }
}

impl<R: Runtime, B: Backend + 'static> Front<R, B> {
    fn settle(self, verdict: Verdict) -> Result<Served<R, B>, Disconnect> {
        let Self { acceptor, endpoint, newcomer, bytes, .. } = self;
        match (&endpoint.service, verdict) {
            (Service::Smp(transport), _) => {
                Ok(Served::Smp(smp(&acceptor, transport.as_ref(), newcomer, &bytes)))
            }
            (Service::Shared(..), Verdict::Smp) => Ok(Served::Smp(smp(&acceptor, None, newcomer, &bytes))),
            (Service::Shared(tls, handler), Verdict::Web) => {
                web(&acceptor, Some(tls), handler, newcomer, &bytes)
            }
            (Service::Web(tls, handler), _) => web(&acceptor, tls.as_ref(), handler, newcomer, &bytes),
        }
    }
}

impl<R: Runtime, B: Backend + 'static> Web<R, B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        let phase = self.place.mailbox.take(cx, &mut VecDeque::new());
        if phase == Phase::Ended {
            return Poll::Ready(Disconnect::Cut);
        }
        self.connection.poll(cx, phase == Phase::Stopping).map(|()| Disconnect::Web)
    }
}

/// A connection of SMP. The time for its handshake began when it was accepted.
fn smp<R: Runtime, B: Backend + 'static>(
    acceptor: &Acceptor<R, B>,
    transport: Option<&ServerTransportConfig>,
    newcomer: Newcomer<R, B>,
    first: &[u8],
) -> Box<Connection<R, B>> {
    let Newcomer { link, mut place, handshaking, mut entropy, accepted } = newcomer;
    place.begin_session();
    let transport = transport.unwrap_or(&acceptor.transport).clone();
    let transport = Transport::server(transport, entropy.fork_seed(), accepted);
    let session = Session::new(Arc::clone(&acceptor.config), transport, entropy.fork_seed(), accepted);
    let mut connection = Connection::new(
        session,
        link,
        (place, Arc::clone(&acceptor.relays)),
        (Arc::clone(&acceptor.backend), Arc::clone(&acceptor.resolver)),
        acceptor.runtime.clone(),
        acceptor.config.limits,
        (handshaking, acceptor.budget.share()),
        Arc::clone(&acceptor.watcher),
    );
    if !first.is_empty() {
        connection.receive(first);
    }
    Box::new(connection)
}

fn web<R: Runtime, B: Backend + 'static>(
    acceptor: &Acceptor<R, B>,
    tls: Option<&WebTls>,
    handler: &Handler,
    newcomer: Newcomer<R, B>,
    first: &[u8],
) -> Result<Served<R, B>, Disconnect> {
    let permit = acceptor.admission.admit_web().map_err(Disconnect::Refused)?;
    let channel = Channel::new(tls).map_err(|error| {
        log::error!("TLS of the web site cannot be used: {error}");
        Disconnect::Web
    })?;
    let (runtime, limits) = (acceptor.runtime.clone(), acceptor.config.limits);
    let Newcomer { link, place, .. } = newcomer;
    let connection = HttpConnection::new(link, channel, Arc::clone(handler), runtime, limits, first);
    Ok(Served::Web(Box::new(Web { place, connection, _permit: permit })))
}
