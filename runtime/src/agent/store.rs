//! Where the store of an agent does its work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use smp_core::agent::AgentInput;
use smp_core::agent::store::{AgentQuery, Batch, ReadId, StoreFailure};
use smp_storage::agent::AgentStore;

use super::shared::{Input, Shared};

/// Something for the store to do.
pub(super) enum Job {
    Run(Batch),
    Read(ReadId, AgentQuery),
}

/// The store, and where it works: in the task of the agent, or in a thread of its own that ends with this.
pub(super) enum Storing<S> {
    Inline(S),
    /// What waits is bounded by the machine: a batch or a read for each connection in which something happens.
    Thread(mpsc::Sender<Job>),
}

impl<S: AgentStore + 'static> Storing<S> {
    /// Starts the thread of a store.
    pub(super) fn on_thread(mut store: S, shared: &Arc<Shared>) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        let (part, shared) = (shared.part(), Arc::clone(shared));
        thread::Builder::new().name("agent store".to_owned()).spawn(move || {
            // Until the agent is gone. What it handed over before is carried out.
            while let Ok(job) = jobs.recv() {
                let reply = carry_out(&mut store, job);
                shared.push(Input::Store(reply));
            }
            drop(store);
            drop(part);
        })?;
        Ok(Self::Thread(sender))
    }

    /// Hands over a job; its reply, if it is there at once. Else it comes to the inbox.
    pub(super) fn hand_over(&mut self, job: Job) -> Option<AgentInput> {
        match self {
            Self::Inline(store) => Some(carry_out(store, job)),
            Self::Thread(sender) => sender.send(job).err().map(|mpsc::SendError(job)| refuse(&job)),
        }
    }
}

/// A store that panics had no effect, because its transaction ended without being committed.
fn carry_out(store: &mut impl AgentStore, job: Job) -> AgentInput {
    match job {
        Job::Run(Batch { id, ops }) => AgentInput::Stored(id, caught(|| store.run(ops))),
        Job::Read(id, query) => AgentInput::Read(id, caught(|| store.read(&query))),
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, StoreFailure>) -> Result<T, StoreFailure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        log::error!("the store of an agent panicked");
        Err(StoreFailure)
    })
}

fn refuse(job: &Job) -> AgentInput {
    match job {
        Job::Run(batch) => AgentInput::Stored(batch.id, Err(StoreFailure)),
        Job::Read(id, _) => AgentInput::Read(*id, Err(StoreFailure)),
    }
}
