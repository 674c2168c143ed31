//! Whether a server works: connect, create a queue, secure it, delete it.

use super::{
    Answer, Client, ClientInput, ClientLimits, ClientOutput, CloseReason, CommandId, QueueKeys, Request,
    RequestError,
};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey};
use crate::entropy::SeededEntropy;
use crate::time::{Now, Timestamp};
use crate::transport::Transport;
use crate::wire::command::SubscriptionMode;
use crate::wire::{EntityId, Password, QueueMode};

/// A step of the test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestStep {
    /// The connection and the handshakes.
    Connect,
    /// NEW.
    CreateQueue,
    /// SKEY, or KEY if the server did not make a queue that its sender can secure: before version 9.
    SecureQueue,
    /// DEL.
    DeleteQueue,
}

/// Which step failed, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{step:?}: {error}")]
#[non_exhaustive]
pub struct TestFailure {
    /// The step.
    pub step: TestStep,
    /// Why.
    pub error: TestError,
}

/// Why a step failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The connection ended.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// The command failed.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// An input of a [`ServerTest`].
pub enum TestInput<'a> {
    /// Bytes from the socket.
    Received(&'a [u8]),
    /// The server closed its side.
    Eof,
    /// The socket took this many bytes.
    Sent(usize),
    /// The time of `poll_timeout` came.
    Timeout,
}

/// An effect that the shell carries out, in order.
pub enum TestOutput {
    /// Write these bytes to the socket.
    Send(Vec<u8>),
    /// Close the socket.
    Close,
    /// The result. Nothing follows.
    Done(Result<(), TestFailure>),
}

/// The machine of the test: a [`Client`] and the next step. A shell drives it as it drives a client.
pub struct ServerTest {
    client: Client,
    password: Option<Password>,
    keys: QueueKeys,
    sender: AuthPrivateKey,
    step: TestStep,
    /// The queue, once it was created.
    queue: EntityId,
    /// Its name for the sender, if he can secure it.
    sender_id: Option<EntityId>,
    result: Option<Result<(), TestFailure>>,
    now: Now,
}

impl ServerTest {
    /// A test of a server, with the password that it asks for.
    #[must_use]
    pub fn new(transport: Transport, password: Option<Password>, seed: [u8; 32], now: Now) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        Self {
            client: Client::new(ClientLimits::default(), transport, entropy.fork_seed(), now),
            password,
            keys: QueueKeys::generate(&mut entropy),
            sender: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy)),
            step: TestStep::Connect,
            queue: EntityId::empty(),
            sender_id: None,
            result: None,
            now,
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: TestInput<'_>) {
        self.now = now;
        let input = match input {
            TestInput::Received(bytes) => ClientInput::Received(bytes),
            TestInput::Eof => ClientInput::Eof,
            TestInput::Sent(bytes) => ClientInput::Sent(bytes),
            TestInput::Timeout => ClientInput::Timeout,
        };
        self.client.handle(now, input);
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<TestOutput> {
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Send(bytes) => return Some(TestOutput::Send(bytes)),
                ClientOutput::Connected(_) => self.begin(TestStep::CreateQueue),
                ClientOutput::Answer(_, result) => self.answered(result),
                ClientOutput::Event(_) => {}
                ClientOutput::Close(reason) => {
                    let step = self.step;
                    self.result.get_or_insert_with(|| Err(TestFailure { step, error: reason.into() }));
                    return Some(TestOutput::Close);
                }
            }
        }
        if self.client.is_closed() { self.result.take().map(TestOutput::Done) } else { None }
    }

    /// When to call `handle` with [`TestInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.client.poll_timeout()
    }

    /// Whether to read from the socket.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.client.wants_input()
    }

    fn begin(&mut self, step: TestStep) {
        self.step = step;
        let (queue, key) = (self.queue.clone(), self.keys.auth.clone());
        let request = match step {
            TestStep::Connect => return,
            TestStep::CreateQueue => {
                let mut new = self.keys.new_queue(SubscriptionMode::OnlyCreate);
                new.password = self.password.take();
                Request::create(new, key)
            }
            TestStep::SecureQueue => match self.sender_id.take() {
                Some(queue) => Request::secure_by_sender(queue, self.sender.clone()),
                None => Request::secure(queue, key, self.sender.public()),
            },
            TestStep::DeleteQueue => Request::delete(queue, key),
        };
        self.client.handle(self.now, ClientInput::Command(CommandId(0), request));
    }

    fn answered(&mut self, result: Result<Answer, RequestError>) {
        match (self.step, result) {
            (TestStep::CreateQueue, Ok(Answer::Created(queue))) => {
                let can_secure = queue.mode.is_some_and(QueueMode::sender_can_secure);
                self.sender_id = can_secure.then_some(queue.sender_id);
                self.queue = queue.recipient_id;
                self.begin(TestStep::SecureQueue);
            }
            (TestStep::SecureQueue, Ok(_)) => self.begin(TestStep::DeleteQueue),
            (TestStep::DeleteQueue, Ok(_)) => self.finish(Ok(())),
            (step, Ok(_)) => self.finish(Err(TestFailure { step, error: RequestError::Unexpected.into() })),
            // When the connection ends, that is the better reason; it comes next.
            (_, Err(RequestError::NotSent | RequestError::OutcomeUnknown)) => {}
            (step, Err(error)) => self.finish(Err(TestFailure { step, error: error.into() })),
        }
    }

    fn finish(&mut self, result: Result<(), TestFailure>) {
        self.result.get_or_insert(result);
        self.client.handle(self.now, ClientInput::Close);
    }
}
