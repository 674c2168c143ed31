//! What a connection is, found out from its first bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::Acceptor as HelloReader;
use smp_core::server::CloseReason;
use smp_core::{Now, SeededEntropy};
use smp_storage::Backend;

use super::accept::Acceptor;
use super::admission::{Handshaking, Permit};
use super::endpoint::{Endpoint, Service};
use super::event::Disconnect;
use super::hub::Attachment;
use super::phase::Phase;
use super::proxy_header::{self, Header};
use crate::Runtime;
use crate::link::Link;
use crate::timer::Timer;

/// A connection that was accepted and nothing more.
pub(super) struct Newcomer<R: Runtime, B: Backend + 'static> {
    pub(super) link: Link<R::Stream>,
    pub(super) place: Attachment<R, B>,
    pub(super) handshaking: Handshaking,
    pub(super) entropy: SeededEntropy,
    pub(super) accepted: Now,
}

/// Reads the header of the proxy and the ClientHello of a connection, as far as its endpoint needs them.
pub(super) struct Front<R: Runtime, B: Backend + 'static> {
    pub(super) acceptor: Arc<Acceptor<R, B>>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) newcomer: Newcomer<R, B>,
    /// What was read and belongs to whoever serves the connection.
    pub(super) bytes: Vec<u8>,
    awaits_header: bool,
    hello: HelloReader,
    /// How many bytes the reader of the hello has.
    shown: usize,
    timer: Timer<R>,
}

/// Who serves a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Smp,
    Web,
}

impl<R: Runtime, B: Backend + 'static> Front<R, B> {
    pub(super) fn new(
        acceptor: Arc<Acceptor<R, B>>,
        endpoint: Arc<Endpoint>,
        newcomer: Newcomer<R, B>,
    ) -> Self {
        Self {
            timer: Timer::new(acceptor.runtime.clone()),
            acceptor,
            awaits_header: endpoint.behind_proxy,
            endpoint,
            newcomer,
            bytes: Vec::new(),
            hello: HelloReader::default(),
            shown: 0,
        }
    }

    /// Reads until it is clear who serves the connection, within the time that a handshake may take.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        permit: &mut Permit,
    ) -> Poll<Result<Verdict, Disconnect>> {
        if self.newcomer.place.mailbox.take(cx, &mut VecDeque::new()) != Phase::Running {
            return Poll::Ready(Err(Disconnect::Cut));
        }
        let deadline = self.newcomer.accepted.mono + self.acceptor.config.limits.handshake_timeout;
        if self.timer.poll(cx, Some(deadline)).is_ready() {
            return Poll::Ready(Err(Disconnect::Session(CloseReason::Handshake)));
        }
        loop {
            if self.awaits_header {
                self.take_header(permit)?;
            }
            if !self.awaits_header
                && let Some(verdict) = self.verdict()
            {
                return Poll::Ready(Ok(verdict));
            }
            let Self { newcomer, bytes, .. } = self;
            match ready!(newcomer.link.poll_read(cx, |read| bytes.extend_from_slice(read))) {
                Ok(true) => {}
                Ok(false) if self.awaits_header => return Poll::Ready(Err(Disconnect::NoProxyHeader)),
                // A session knows what an end before its beginning means.
                Ok(false) => return Poll::Ready(Ok(Verdict::Smp)),
                Err(error) => return Poll::Ready(Err(Disconnect::Io(error.kind()))),
            }
        }
    }

    fn take_header(&mut self, permit: &mut Permit) -> Result<(), Disconnect> {
        match proxy_header::read(&self.bytes) {
            Header::Partial => return Ok(()),
            Header::None => return Err(Disconnect::NoProxyHeader),
            Header::Whole(None, length) => _ = self.bytes.drain(..length),
            Header::Whole(Some(address), length) => {
                self.bytes.drain(..length);
                let now = self.acceptor.runtime.now().mono;
                let identified = self.acceptor.admission.identify(permit, address, now);
                identified.map_err(Disconnect::Refused)?;
            }
        }
        self.awaits_header = false;
        Ok(())
    }

    fn verdict(&mut self) -> Option<Verdict> {
        match self.endpoint.service {
            Service::Smp(_) => Some(Verdict::Smp),
            Service::Web(..) => Some(Verdict::Web),
            Service::Shared(..) => self.look_for_name(),
        }
    }

    /// What is no ClientHello, or one that names no server, is for SMP to answer.
    fn look_for_name(&mut self) -> Option<Verdict> {
        loop {
            match self.hello.accept() {
                Err(_) => return Some(Verdict::Smp),
                Ok(Some(accepted)) => {
                    let named = accepted.client_hello().server_name().is_some();
                    return Some(if named { Verdict::Web } else { Verdict::Smp });
                }
                Ok(None) => {}
            }
            let mut rest = self.bytes.get(self.shown..).unwrap_or_default();
            if rest.is_empty() {
                return (self.bytes.len() > HELLO_MAX).then_some(Verdict::Smp);
            }
            match self.hello.read_tls(&mut rest) {
                Ok(count) if count > 0 => self.shown += count,
                // The reader wants no more, though it has no hello.
                Ok(_) | Err(_) => return Some(Verdict::Smp),
            }
        }
    }
}

/// Bytes in which a ClientHello has to end. Browsers send about 2000.
const HELLO_MAX: usize = 8 * 1024;
