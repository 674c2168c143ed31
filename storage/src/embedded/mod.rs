//! The durable store of one machine: an embedded database, one thread that writes, and group commit.

mod engine;
mod error;
mod executor;
mod expiry;
mod layout;
mod links;
mod messages;
mod notifications;
mod queue;
mod readers;
mod services;
mod writer;

pub use error::OpenError;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_channel::oneshot::{self, Receiver};
use smp_core::server::store::{BatchReply, QueueKey, QueueOp, StoreFailure};

use crate::{Backend, LookUpReply};
use engine::{Engine, EngineError};
use queue::Queue;
use readers::LookUp;
use writer::Job;

/// A store in one folder, for up to tens of millions of queues.
///
/// A thread of its own takes the batches that have queued up, carries them out, syncs once for all of them
/// and then completes their futures: while one group syncs, the next one gathers. Few look-ups are made at
/// the call; many at once go to reader threads, so that a look-up which has to read the disk does not hold up
/// the executor.
///
/// When a write or a sync fails, that group and everything after it fails, look-ups too: what the database
/// shows then may not be what is on the disk. The store must be opened again, which goes back to what is
/// durable. A record that cannot be decoded fails only the keys and operations that need it; expiry and scans
/// go on behind it. Both are logged, without identifiers.
///
/// A deleted message is not overwritten at once. One that was deleted soon is only in the journal, and gone
/// from the disk when the journal has moved on by at most [`EmbeddedOptions::journal_bytes`]; one that waited
/// longer is gone when the file it was in is compacted, which further traffic brings about. So the disk space
/// of deleted messages is reused, but a store without traffic may keep the last of them. Whoever must not
/// find them needs an encrypted disk.
///
/// Dropping it does what [`close`](Backend::close) does, and waits for it; only a close can report a failure.
///
/// ```
/// use smp_core::server::store::{OpResult, QueueOp};
/// use smp_storage::{Backend, Embedded, EmbeddedOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # pollster::block_on(async {
/// let store = Embedded::open(folder.path().join("store"), EmbeddedOptions::default())?;
/// let reply = store.run(vec![QueueOp::Count]).await;
/// assert!(matches!(reply.as_deref(), Ok([OpResult::Counts(counts)]) if counts.queues == 0));
/// store.close().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Embedded {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How an [`Embedded`] store is opened.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// When a reply is given. Default: [`Durability::Always`].
    pub durability: Durability,
    /// Whether a missing store is created. The folder above it must exist. Default: yes.
    pub create: bool,
    /// Memory for parts of the database that were read, in bytes. Default: 128 MiB. Up to about 100 MiB come
    /// on top for what was written last.
    pub cache_bytes: u64,
    /// How large the journal may become, in bytes, at least 64 MiB. A larger one makes for fewer writes and a
    /// longer start after a crash. Default: 256 MiB.
    pub journal_bytes: u64,
    /// How much the batches that wait for the writer may hold, in bytes. More are refused; see
    /// [`Backend::ready`]. Default: 32 MiB.
    pub queue_bytes: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            create: true,
            cache_bytes: 128 << 20,
            journal_bytes: 256 << 20,
            queue_bytes: 32 << 20,
        }
    }
}

/// What "durable" means when a reply is given. With each of them a crash of the process loses nothing that
/// was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On the disk: a power cut loses nothing that was answered.
    Always,
    /// With the operating system, and on the disk at most this much later: a power cut loses what was
    /// answered within.
    Interval(Duration),
    /// With the operating system, and on the disk when it sees fit or the store is closed.
    OnExit,
}

impl Embedded {
    /// Opens the store in a folder, and creates it if the options say so.
    ///
    /// Blocks for as long as it takes to read the journal: a second or so, whatever the number of queues. A store of
    /// format 1, which knew no links, no notifiers and no services, is brought up to date; older versions refuse it from
    /// then on.
    ///
    /// # Errors
    /// [`OpenError`] when that is not possible. A store that is there then holds what it held, in the format that it had.
    pub fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let engine = Engine::open(path, &options)?;
        let shared = Arc::new(Shared {
            path: path.into(),
            engine: RwLock::new(Some(engine)),
            jobs: Queue::new(options.queue_bytes),
            look_ups: Queue::new(readers::QUEUED_KEYS),
            failed: AtomicBool::new(false),
            damage_reported: AtomicBool::new(false),
        });
        let store = Self { shared, threads: Mutex::default() };
        let fail = |source| OpenError::Io { path: path.into(), source };
        for _ in 0..readers::THREADS {
            store.keep(readers::spawn(&store.shared).map_err(fail)?);
        }
        store.keep(writer::spawn(&store.shared, options.durability).map_err(fail)?);
        Ok(store)
    }

    fn keep(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }
}

impl Backend for Embedded {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        let job = Job::Run(ops, sender);
        let weight = job.weight();
        // A job that is refused is dropped with its sender, which tells the caller.
        let refused = self.shared.check().is_ok() && self.shared.jobs.push(job, weight).is_err();
        if refused && !self.shared.jobs.is_closed() {
            log::error!("the message store refused a batch: too many wait");
        }
        received(reply)
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        let look_up = LookUp { keys, reply: sender };
        let count = look_up.keys.len();
        let refused =
            if count <= readers::INLINE_KEYS { Some(look_up) } else { self.shared.hand_over(look_up, count) };
        if let Some(look_up) = refused {
            look_up.answer(&self.shared);
        }
        received(reply)
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        std::future::poll_fn(move |context| shared.jobs.poll_ready(context.waker()))
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        // A job that is refused is dropped with its sender, which tells the caller.
        let _ = self.shared.jobs.push(Job::Sync(sender), 0);
        received(reply)
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        // On a store that is closed the sender is dropped, which tells the caller.
        let _ = self.shared.jobs.push_last(Job::Close(sender));
        received(reply)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.jobs.close();
        self.shared.look_ups.close();
        let threads = std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a thread of the message store at {} panicked", self.shared.path.display());
            }
        }
    }
}

/// What the threads and the callers share.
struct Shared {
    path: PathBuf,
    /// `None` once it is closed.
    engine: RwLock<Option<Engine>>,
    jobs: Queue<Job>,
    look_ups: Queue<LookUp>,
    /// Something could not be written. Nothing is answered any more but [`StoreFailure`].
    failed: AtomicBool,
    /// The operator was told that a value is damaged.
    damage_reported: AtomicBool,
}

impl Shared {
    fn engine(&self) -> RwLockReadGuard<'_, Option<Engine>> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the files, after the look-ups that are under way.
    fn let_go(&self) {
        self.look_ups.close();
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn check(&self) -> Result<(), StoreFailure> {
        if self.failed.load(Ordering::Acquire) { Err(StoreFailure) } else { Ok(()) }
    }

    fn mark_failed(&self) -> bool {
        !self.failed.swap(true, Ordering::AcqRel)
    }

    /// Notes that the database failed, and says so once.
    fn fail(&self, error: &EngineError) {
        if self.mark_failed() {
            let path = self.path.display();
            log::error!(
                "the message store at {path} failed and refuses everything until it is opened again: {error}"
            );
        }
    }

    /// Says that one look-up failed.
    fn report(&self, error: &fjall::Error) {
        log::error!("the message store at {} could not answer: {error:?}", self.path.display());
    }

    /// Says once that a queue is lost: whoever asks for it may ask again and again.
    fn report_damage(&self, keyspace: &str) {
        if !self.damage_reported.swap(true, Ordering::AcqRel) {
            let path = self.path.display();
            log::error!(
                "the message store at {path} holds damaged values, in keyspace {keyspace} at least: the queues they belong \
                 to are answered with errors, all others work. To have them back, stop the server and restore the folder \
                 from a backup; check the disk"
            );
        }
    }

    /// Gives a look-up to the readers, or back when they have too many.
    fn hand_over(&self, look_up: LookUp, weight: usize) -> Option<LookUp> {
        self.look_ups.push(look_up, weight).err()
    }
}

/// A reply, or a failure when nobody is there any more to give one.
async fn received<T>(reply: Receiver<Result<T, StoreFailure>>) -> Result<T, StoreFailure> {
    reply.await.unwrap_or(Err(StoreFailure))
}
