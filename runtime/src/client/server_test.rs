//! Whether a server works.

use std::future::poll_fn;
use std::task::{Context, Poll};

use smp_core::client::{ServerTest, TestFailure, TestInput, TestOutput, TestStep};
use smp_core::transport::Transport;
use smp_core::wire::{Password, ServerAddress};

use super::{ConnectError, Connector};
use crate::Runtime;
use crate::link::Link;
use crate::timer::Timer;

/// Which step of the test of a server failed, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTestFailure {
    /// The server was not reached; the step is [`TestStep::Connect`].
    #[error("connect: {0}")]
    Unreachable(#[from] ConnectError),
    /// It was reached, and then a step failed.
    #[error(transparent)]
    Failed(#[from] TestFailure),
}

impl ServerTestFailure {
    /// The step that failed.
    #[must_use]
    pub const fn step(&self) -> TestStep {
        match self {
            Self::Unreachable(_) => TestStep::Connect,
            Self::Failed(failure) => failure.step,
        }
    }
}

impl<R: Runtime> Connector<R> {
    /// Tests a server: connects, creates a queue with the password that the server asks for, secures and
    /// deletes it.
    ///
    /// # Errors
    /// Tells the step that failed, and why.
    pub async fn test(
        &self,
        server: &ServerAddress,
        password: Option<Password>,
    ) -> Result<(), ServerTestFailure> {
        let config = self.config(server)?;
        let link = Link::new(self.open_any(server).await?);
        let mut entropy = self.entropy()?;
        let now = self.runtime.now();
        let transport = Transport::client(config, entropy.fork_seed(), now);
        let machine = ServerTest::new(transport, password, entropy.fork_seed(), now);
        let timer = Timer::new(self.runtime.clone());
        let mut test = Test { machine, link, timer, runtime: self.runtime.clone() };
        let result = poll_fn(|cx| test.poll(cx)).await;
        Ok(result?)
    }
}

/// The test machine with its socket.
struct Test<R: Runtime> {
    machine: ServerTest,
    link: Link<R::Stream>,
    timer: Timer<R>,
    runtime: R,
}

impl<R: Runtime> Test<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TestFailure>> {
        loop {
            if let Some(result) = self.carry_out() {
                // A failure to write the goodbye is no failure of the server.
                _ = self.link.poll_write(cx);
                return Poll::Ready(result);
            }
            // One step after another, so that the output of each is carried out first.
            if !(self.write(cx) || self.check_time(cx) || self.read(cx)) {
                return Poll::Pending;
            }
        }
    }

    fn carry_out(&mut self) -> Option<Result<(), TestFailure>> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                TestOutput::Send(bytes) => self.link.send(bytes),
                // The socket is closed when the result is there, which is next.
                TestOutput::Close => {}
                TestOutput::Done(result) => return Some(result),
            }
        }
        None
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(written) = self.link.poll_write(cx) else { return false };
        self.input(written.map_or(TestInput::Eof, TestInput::Sent));
        true
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.timer.poll(cx, self.machine.poll_timeout()).is_pending() {
            return false;
        }
        self.input(TestInput::Timeout);
        true
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.machine.wants_input() {
            return false;
        }
        let Self { link, machine, runtime, .. } = self;
        let read = link.poll_read(cx, |bytes| {
            let input = if bytes.is_empty() { TestInput::Eof } else { TestInput::Received(bytes) };
            machine.handle(runtime.now(), input);
        });
        match read {
            Poll::Pending => return false,
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => self.input(TestInput::Eof),
        }
        true
    }

    fn input(&mut self, input: TestInput<'_>) {
        self.machine.handle(self.runtime.now(), input);
    }
}
