//! The queues of one server over all of its lives, and what its clients were told of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smp_core::client::{Answer, ClientLimits, QueueKeys, Rejection, Request, RequestError};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey};
use smp_core::transport::ClientOptions;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::MessageFlags;
use smp_core::wire::error::ErrorType;
use smp_core::wire::{EntityId, ServerAddress};
use smp_runtime::client::{Client, ConnectLimits, Connector, Events};
use smp_runtime_tokio::TokioRuntime;

use crate::dice::Dice;
use crate::ledger::{Counts, Ledger};
use crate::program::GUARD;

/// Messages that a queue takes.
pub(crate) const QUOTA: usize = 24;

/// Queues, what was told of them, and what went wrong.
#[derive(Default)]
pub(crate) struct World {
    queues: Mutex<Vec<Arc<Queue>>>,
    faults: Mutex<Vec<String>>,
    /// NEWs that nobody knows the outcome of.
    pub(crate) unknown_creations: AtomicU64,
    /// Commands that were answered, and those among them that the store failed.
    pub(crate) answered: AtomicU64,
    pub(crate) store_failures: AtomicU64,
    /// The server is going to end: connections may, too.
    pub(crate) may_end: AtomicBool,
    /// The store may fail.
    pub(crate) may_fail: AtomicBool,
    connections: AtomicU64,
}

/// A queue, its keys, and what is known of it.
pub(crate) struct Queue {
    pub(crate) keys: QueueKeys,
    pub(crate) recipient: EntityId,
    pub(crate) sender: EntityId,
    pub(crate) secret: DhSecret,
    pub(crate) sender_key: AuthPrivateKey,
    pub(crate) known: Mutex<Known>,
    ledger: Mutex<Ledger>,
    /// One that lives long and is sent to in every round.
    pub(crate) is_busy: bool,
}

/// What was asked about a queue beside its messages.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) secured: Claim,
    pub(crate) deleted: Claim,
}

/// How sure something is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody asked for it.
    #[default]
    No,
    /// It was asked for, and not answered.
    Asked,
    /// It was answered OK.
    Holds,
}

/// What came of a command.
pub(crate) enum Told {
    Answer(Answer),
    Error(ErrorType),
    /// The store failed; it may have been carried out or not.
    StoreFailed,
    /// It never left, because the connection has ended.
    NotSent,
    /// The connection ended before its answer.
    Unknown,
}

/// A connection, with a number that no other has.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) world: Arc<World>,
    pub(crate) client: Client,
    pub(crate) number: u64,
}

impl World {
    /// Notes what must not happen.
    pub(crate) fn check(&self, verdict: Result<(), String>) {
        if let Err(fault) = verdict {
            lock(&self.faults).push(fault);
        }
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }

    pub(crate) fn add(&self, queue: Arc<Queue>) {
        lock(&self.queues).push(queue);
    }

    pub(crate) fn queues(&self) -> Vec<Arc<Queue>> {
        lock(&self.queues).clone()
    }

    /// What happened to the messages of all queues.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for queue in self.queues() {
            let Counts { accepted, received, again, refused } = queue.ledger().counts;
            sum.accepted += accepted;
            sum.received += received;
            sum.again += again;
            sum.refused += refused;
        }
        sum
    }

    /// Messages that were answered OK and not acknowledged.
    pub(crate) fn owed(&self) -> usize {
        self.queues().iter().map(|queue| queue.owed()).sum()
    }

    /// Connects. Only when the server is going to end may that fail.
    pub(crate) async fn connect(self: &Arc<Self>, address: &ServerAddress) -> Option<(Connection, Events)> {
        // A busy machine is no fault of the server.
        let (mut limits, mut connecting) = (ClientLimits::default(), ConnectLimits::default());
        (limits.answer, limits.stalled_output, connecting.tcp) = (GUARD, GUARD, GUARD);
        let options = ClientOptions { handshake_timeout: GUARD, ..ClientOptions::default() };
        let connector = Connector::new(TokioRuntime::current().expect("a runtime"));
        let connector = connector.limits(limits).connect_limits(connecting).options(options);
        match connector.connect(address).await {
            Ok((client, events)) => {
                let number = self.connections.fetch_add(1, Ordering::Relaxed);
                Some((Connection { world: Arc::clone(self), client, number }, events))
            }
            Err(error) => {
                self.ended(&format!("cannot connect: {error}"));
                None
            }
        }
    }

    fn ended(&self, how: &str) {
        if !self.may_end.load(Ordering::SeqCst) {
            self.check(Err(format!("nobody ended the server, and: {how}")));
        }
    }
}

impl Connection {
    /// Sends a command and waits for what comes of it.
    pub(crate) async fn ask(&self, request: Request) -> Told {
        let answer = self.client.request(request).await;
        self.told(answer)
    }

    /// What an answer tells. Faults of the connection are noted.
    pub(crate) fn told(&self, answer: Result<Answer, RequestError>) -> Told {
        if matches!(answer, Ok(_) | Err(RequestError::Server(_))) {
            self.world.answered.fetch_add(1, Ordering::SeqCst);
        }
        match answer {
            Ok(answer) => Told::Answer(answer),
            Err(RequestError::Server(ErrorType::Store(why))) => {
                self.world.store_failures.fetch_add(1, Ordering::SeqCst);
                if !self.world.may_fail.load(Ordering::SeqCst) {
                    self.world.check(Err(format!("the store failed: {why}")));
                }
                Told::StoreFailed
            }
            Err(RequestError::Server(error)) => Told::Error(error),
            Err(RequestError::NotSent | RequestError::Rejected(Rejection::Closed)) => {
                self.world.ended("a command could not be sent");
                Told::NotSent
            }
            Err(RequestError::OutcomeUnknown) => {
                self.world.ended("a command was not answered");
                Told::Unknown
            }
            Err(other) => {
                self.world.check(Err(format!("a command was answered wrongly: {other}")));
                Told::Unknown
            }
        }
    }

    /// Notes an answer that must not come. Returns whether it was none because of the end of the connection.
    pub(crate) fn wrong(&self, what: &str, told: &Told) {
        let was = match told {
            Told::Answer(answer) => format!("{answer:?}"),
            Told::Error(error) => error.to_string(),
            Told::StoreFailed | Told::NotSent | Told::Unknown => return,
        };
        self.world.check(Err(format!("{what}: answered {was}")));
    }
}

impl Queue {
    pub(crate) fn new(keys: QueueKeys, created: CreatedQueue, dice: &mut Dice, is_busy: bool) -> Arc<Self> {
        Arc::new(Self {
            secret: keys.secret(&created).expect("a good key of the server"),
            sender_key: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(dice.entropy())),
            recipient: created.recipient_id,
            sender: created.sender_id,
            keys,
            known: Mutex::default(),
            ledger: Mutex::new(Ledger::new(QUOTA)),
            is_busy,
        })
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn known(&self) -> Known {
        *lock(&self.known)
    }

    pub(crate) fn set_known(&self, change: impl FnOnce(&mut Known)) {
        change(&mut lock(&self.known));
    }

    fn owed(&self) -> usize {
        if self.known().deleted == Claim::No { self.ledger().owed() } else { 0 }
    }

    /// A message with a body of about that many bytes, signed if the queue is secured.
    pub(crate) fn send(&self, number: u64, length: usize) -> Request {
        let key = (self.known().secured != Claim::No).then(|| self.sender_key.clone());
        self.send_as(key, number, length)
    }

    /// The same, as the owner of a key or as anybody.
    pub(crate) fn send_as(&self, key: Option<AuthPrivateKey>, number: u64, length: usize) -> Request {
        Request::send(self.sender.clone(), key, MessageFlags::default(), self.body(number, length))
    }

    /// The number of a message, whose body must be as it was sent.
    pub(crate) fn number_of(&self, body: &Bytes) -> Result<u64, String> {
        let number = body.get(..8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let number = number.ok_or("a body without a number")?;
        match *body == self.body(number, body.len()) {
            true => Ok(number),
            false => Err(format!("message {number} is not as it was sent to this queue")),
        }
    }

    /// The number, the sender id, and a pattern of both.
    fn body(&self, number: u64, length: usize) -> Bytes {
        let mut body = number.to_be_bytes().to_vec();
        body.extend_from_slice(self.sender.as_bytes());
        let step = number as usize % 251 + 1;
        body.extend((body.len()..length).map(|at| (at * step) as u8));
        body.into()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
