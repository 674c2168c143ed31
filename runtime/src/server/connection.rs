//! The task of one connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use smp_core::Timestamp;
use smp_core::server::store::{Found, StoreFailure};
use smp_core::server::{
    BrokerInput, BrokerRequest, CloseReason, Limits, LookUpId, ResolveId, Session, SessionEvent,
    SessionInput, SessionOutput,
};
use smp_storage::Backend;

use super::admission::Handshaking;
use super::budget::Share;
use super::event::{Disconnect, ServerEvent, Watcher};
use super::hub::Attachment;
use super::mailbox::Letter;
use super::phase::Phase;
use super::relays::Relays;
use super::resolve::{Resolver, Resolving};
use crate::Runtime;
use crate::link::{Closing, Link};
use crate::timer::Timer;

/// A connection: its session, its socket, its place at the hub, and whom it asks beside: the store, the resolver of names
/// and the proxy.
///
/// One task owns all of it. In each round local work comes first: what the session gave out is carried out
/// right after the input that caused it. Then output is written; then the answers of the store, the resolver, the broker
/// and the proxy and the time are taken, which the protocol bounds; and only then more is read, while the session wants
/// it, little output waits, and there is room in the budget. After some rounds, and when commands wait for the processor,
/// the other tasks of the thread get their turn.
pub(crate) struct Connection<R: Runtime, B: Backend + 'static> {
    session: Session,
    link: Link<R::Stream>,
    place: Attachment<R, B>,
    relays: Arc<Relays<R>>,
    backend: Arc<B>,
    resolver: Resolver,
    runtime: R,
    timer: Timer<R>,
    limits: Limits,
    /// Until the handshake is over.
    handshaking: Option<Handshaking>,
    /// What the session and the link hold.
    share: Share,
    watcher: Watcher,
    look_ups: Vec<(LookUpId, LookUp)>,
    resolving: Vec<(ResolveId, Resolving)>,
    replies: VecDeque<Letter>,
    requests: Vec<BrokerRequest>,
    /// The peer has not ended its side.
    open: bool,
    stopping: bool,
    ended: Option<Disconnect>,
    /// How the session ended, until when its last output may be written, and how far that is.
    closing: Option<(Disconnect, Timestamp, Closing)>,
}

type Records = Result<Vec<Found>, StoreFailure>;
type LookUp = Pin<Box<dyn Future<Output = Records> + Send>>;

impl<R: Runtime, B: Backend + 'static> Connection<R, B> {
    pub(crate) fn new(
        session: Session,
        link: Link<R::Stream>,
        (place, relays): (Attachment<R, B>, Arc<Relays<R>>),
        (backend, resolver): (Arc<B>, Resolver),
        runtime: R,
        limits: Limits,
        (handshaking, share): (Handshaking, Share),
        watcher: Watcher,
    ) -> Self {
        Self {
            session,
            link,
            place,
            relays,
            backend,
            resolver,
            timer: Timer::new(runtime.clone()),
            runtime,
            limits,
            handshaking: Some(handshaking),
            share,
            watcher,
            look_ups: Vec::new(),
            resolving: Vec::new(),
            replies: VecDeque::new(),
            requests: Vec::new(),
            open: true,
            stopping: false,
            ended: None,
            closing: None,
        }
    }

    /// Serves the connection to its end.
    ///
    /// This is no async function, because the future of one would hold the connection several times over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        if self.closing.is_none() {
            let ended = ready!(self.poll_session(cx));
            self.place.end_session();
            self.handshaking = None;
            // Nobody polls them any more, and what they hold is somebody else's to use.
            (self.look_ups, self.resolving) = (Vec::new(), Vec::new());
            if !matches!(ended, Disconnect::Session(reason) if reason != CloseReason::Stalled) {
                // The socket failed, or its peer takes nothing.
                return Poll::Ready(ended);
            }
            let deadline = self.runtime.now().mono + self.limits.closing_timeout;
            self.closing = Some((ended, deadline, Closing::new(self.limits.closing_input)));
        }
        self.poll_close(cx)
    }

    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        for _ in 0..self.limits.rounds_in_turn {
            let progress = self.round(cx);
            if let Some(ended) = self.ended {
                return Poll::Ready(ended);
            }
            if !progress {
                return Poll::Pending;
            }
            if self.session.has_work() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what is there from each source, once. When nothing was, the task will be woken by any of them.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        let wrote = self.write(cx);
        let looked_up = self.take_look_ups(cx) | self.take_resolved(cx);
        let told = self.take_replies(cx);
        let fired = self.check_time(cx);
        let read = self.read(cx);
        wrote | looked_up | told | fired | read
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.ended.is_none()
            && let Poll::Ready(written) = self.link.poll_write(cx)
        {
            progress = true;
            match written {
                Ok(written) => self.input(SessionInput::Sent(written)),
                Err(error) => self.ended = Some(Disconnect::Io(error.kind())),
            }
        }
        progress
    }

    fn take_look_ups(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        let mut at = 0;
        while self.ended.is_none()
            && let Some((id, records)) = next_done(&mut self.look_ups, &mut at, cx)
        {
            progress = true;
            self.input(SessionInput::LookedUp(id, records));
        }
        progress
    }

    fn take_resolved(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        let mut at = 0;
        while self.ended.is_none()
            && let Some((id, found)) = next_done(&mut self.resolving, &mut at, cx)
        {
            progress = true;
            self.input(SessionInput::Resolved(id, found));
        }
        progress
    }

    fn take_replies(&mut self, cx: &Context<'_>) -> bool {
        let phase = self.place.mailbox.take(cx, &mut self.replies);
        let progress = !self.replies.is_empty();
        while self.ended.is_none()
            && let Some(reply) = self.replies.pop_front()
        {
            self.input(match reply {
                Letter::Broker(reply) => SessionInput::FromBroker(reply),
                Letter::Proxy(reply) => SessionInput::FromProxy(reply),
            });
        }
        if self.replies.capacity() > IDLE_REPLIES {
            self.replies = VecDeque::new();
        }
        if phase == Phase::Ended {
            self.ended.get_or_insert(Disconnect::Cut);
        } else if phase == Phase::Stopping && self.ended.is_none() && !self.stopping {
            self.stopping = true;
            self.input(SessionInput::Stop);
            return true;
        }
        progress
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ended.is_some() || self.timer.poll(cx, self.session.poll_timeout()).is_pending() {
            return false;
        }
        self.input(SessionInput::Timeout);
        true
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let reads = self.open && self.session.wants_input() && self.link.queued() < self.limits.queued_output;
        if self.ended.is_some()
            || !reads
            || !self.share.may_grow()
            || !self.place.hub.gate.is_open(self.place.id, cx)
        {
            return false;
        }
        let Self { link, session, runtime, .. } = self;
        let read = link.poll_read(cx, |bytes| {
            let input = if bytes.is_empty() { SessionInput::Eof } else { SessionInput::Received(bytes) };
            session.handle(runtime.now(), input);
        });
        match read {
            Poll::Pending => return false,
            Poll::Ready(Ok(open)) => self.open = open,
            Poll::Ready(Err(error)) => self.ended = Some(Disconnect::Io(error.kind())),
        }
        self.carry_out();
        true
    }

    /// Takes the first bytes of the peer, when they were read before it was known that they are for a session.
    pub(crate) fn receive(&mut self, first: &[u8]) {
        self.input(SessionInput::Received(first));
    }

    fn input(&mut self, input: SessionInput<'_>) {
        self.session.handle(self.runtime.now(), input);
        self.carry_out();
    }

    /// Carries out what the session gives out. All that is for the broker goes there in one step.
    fn carry_out(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                SessionOutput::Send(bytes) => self.link.send(bytes),
                SessionOutput::LookUp(id, keys) => {
                    self.look_ups.push((id, Box::pin(self.backend.look_up(keys))));
                }
                SessionOutput::Resolve(id, name) => self.resolving.push((id, (self.resolver)(name))),
                SessionOutput::ToBroker(request) => self.requests.push(request),
                SessionOutput::ToProxy(request) => {
                    self.relays.ask(self.place.id, &self.place.mailbox, request);
                }
                SessionOutput::Close(reason) => _ = self.ended.get_or_insert(Disconnect::Session(reason)),
                SessionOutput::Event(event) => {
                    if let SessionEvent::Ready(_) = event {
                        self.handshaking = None;
                    }
                    (self.watcher)(ServerEvent::Session(self.place.id, event));
                }
            }
        }
        self.share.set(self.session.queued_bytes());
        if !self.requests.is_empty() {
            let id = self.place.id;
            let requests = std::mem::take(&mut self.requests);
            let inputs = requests.into_iter().map(|request| BrokerInput::Request(id, request));
            if self.place.hub.handle(inputs).is_err() {
                self.ended.get_or_insert(Disconnect::Cut);
            }
        }
    }

    /// Writes the last output and ends the connection, for as long as the limits allow.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Disconnect> {
        let cut = self.place.mailbox.take(cx, &mut self.replies) == Phase::Ended;
        self.replies.clear();
        let Some((ended, deadline, closing)) = &mut self.closing else { return Poll::Pending };
        if !cut && self.timer.poll(cx, Some(*deadline)).is_pending() {
            // An error ends the connection, which is what was wanted.
            _ = ready!(self.link.poll_close(cx, closing));
        }
        Poll::Ready(*ended)
    }
}

/// The output of the first of these futures, from `at` on, that is done, and who waits for it. The last one takes its
/// place.
fn next_done<I: Copy, F: Future + Unpin>(
    futures: &mut Vec<(I, F)>,
    at: &mut usize,
    cx: &mut Context<'_>,
) -> Option<(I, F::Output)> {
    while let Some((id, future)) = futures.get_mut(*at) {
        if let Poll::Ready(output) = Pin::new(future).poll(cx) {
            let id = *id;
            drop(futures.swap_remove(*at));
            return Some((id, output));
        }
        *at += 1;
    }
    None
}

/// Room for replies that an idle connection may keep.
const IDLE_REPLIES: usize = 16;
