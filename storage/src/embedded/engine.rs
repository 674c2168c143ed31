//! The database: its keyspaces, and how it is opened.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use smp_core::server::store::{QueueCounts, QueueKey, QueueRecord};
use smp_core::wire::EntityId;
use smp_core::wire::codec::Decoded;

use super::layout::{self, FORMAT, FORMER_FORMAT};
use super::{EmbeddedOptions, OpenError};

/// An open database. Look-ups may come from any thread; all writes come from the writer.
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) queues: Keyspace,
    pub(super) senders: Keyspace,
    pub(super) links: Keyspace,
    pub(super) link_data: Keyspace,
    pub(super) notifiers: Keyspace,
    pub(super) notifications: Keyspace,
    pub(super) services: Keyspace,
    pub(super) certificates: Keyspace,
    pub(super) service_queues: Keyspace,
    pub(super) backlogs: Keyspace,
    pub(super) messages: Keyspace,
    pub(super) meta: Keyspace,
    /// Held from before the first look into the folder until everything else is let go of.
    _lock: File,
}

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// The database cannot read or write its files. Nothing may be written after that.
    #[error("{0:?}")]
    Database(#[from] fjall::Error),
    /// A value is not what its keyspace should hold. Other values are not touched by that.
    #[error("a value in keyspace {0} is damaged")]
    Corrupt(&'static str),
}

pub(super) type Result<T> = std::result::Result<T, EngineError>;

impl Engine {
    /// Opens or creates the database in a folder.
    pub(super) fn open(path: &Path, options: &EmbeddedOptions) -> std::result::Result<Self, OpenError> {
        let lock = prepare_folder(path, options.create)?;
        // Damaged metadata makes the database panic at some places where it should return an error.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_keyspaces(path, options, lock)));
        let engine = match opened {
            Ok(opened) => opened.map_err(|error| open_error(path, error))?,
            Err(panic) => return Err(corrupt(path, panic_message(&*panic))),
        };
        engine.check_format(path)?;
        Ok(engine)
    }

    fn open_keyspaces(path: &Path, options: &EmbeddedOptions, lock: File) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes.max(MIN_JOURNAL_BYTES))
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()?;
        let options = |memtable_mib: u64| {
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(memtable_mib << 20)
        };
        let small = |name, memtable_mib| database.keyspace(name, || options(memtable_mib));
        // Large values that outlive the memtable go to files of their own, so that compaction does not copy
        // them again and again: with a backlog of 1 GB of messages that wrote a third of the bytes.
        let large = |name, memtable_mib| {
            let separation = Some(KvSeparationOptions::default());
            database.keyspace(name, || options(memtable_mib).with_kv_separation(separation))
        };
        Ok(Self {
            queues: small("queues", 16)?,
            senders: small("senders", 8)?,
            links: small("links", 4)?,
            link_data: large("link_data", 8)?,
            notifiers: small("notifiers", 4)?,
            notifications: small("notifications", 8)?,
            services: small("services", 1)?,
            certificates: small("certificates", 1)?,
            service_queues: small("service_queues", 8)?,
            backlogs: small("backlogs", 8)?,
            messages: large("messages", 32)?,
            meta: small("meta", 1)?,
            database,
            _lock: lock,
        })
    }

    /// Checks the format and the counters, then brings the former format up to date; or writes both into a new database.
    fn check_format(&self, path: &Path) -> std::result::Result<(), OpenError> {
        let fail = |error| open_error(path, error);
        if let Some(bytes) = self.meta.get(META_FORMAT).map_err(fail)? {
            let found = <[u8; 2]>::try_from(&*bytes).map(u16::from_be_bytes);
            let is_former = match found {
                Ok(FORMAT) => false,
                Ok(FORMER_FORMAT) => true,
                Ok(found) if found > FORMAT => return Err(OpenError::Newer { path: path.into(), found }),
                _ => return Err(corrupt(path, "keyspace meta: the format is unreadable".into())),
            };
            match self.counters() {
                Ok(_) if is_former => return self.upgrade().map_err(fail),
                Ok(_) => return Ok(()),
                Err(EngineError::Database(error)) => return Err(fail(error)),
                Err(error @ EngineError::Corrupt(_)) => return Err(corrupt(path, error.to_string())),
            }
        }
        for keyspace in self.keyspaces() {
            if !keyspace.is_empty().map_err(fail)? {
                return Err(corrupt(path, "keyspace meta: the format is missing".into()));
            }
        }
        let mut batch = self.database.batch();
        batch.insert(&self.meta, META_FORMAT, FORMAT.to_be_bytes().to_vec());
        batch.insert(&self.meta, META_COUNTERS, layout::put_counters(QueueCounts::default()));
        batch.commit().and_then(|()| self.database.persist(PersistMode::SyncAll)).map_err(fail)
    }

    /// From format 1: its new keyspaces have been made, and are rightly empty. Records are read as they are, and written
    /// anew when they change; that the format says so keeps older versions out, which could not read those.
    fn upgrade(&self) -> fjall::Result<()> {
        self.meta.insert(META_FORMAT, FORMAT.to_be_bytes())?;
        self.database.persist(PersistMode::SyncAll)
    }

    fn keyspaces(&self) -> [&Keyspace; 12] {
        [
            &self.queues,
            &self.senders,
            &self.links,
            &self.link_data,
            &self.notifiers,
            &self.notifications,
            &self.services,
            &self.certificates,
            &self.service_queues,
            &self.backlogs,
            &self.messages,
            &self.meta,
        ]
    }

    /// The counters as they were written last.
    pub(super) fn counters(&self) -> Result<QueueCounts> {
        let bytes = self.meta.get(META_COUNTERS)?.ok_or(EngineError::Corrupt("meta"))?;
        decoded("meta", layout::counters(&bytes.into()))
    }

    /// The queue with a recipient id.
    pub(super) fn queue(&self, recipient: &EntityId) -> Result<Option<QueueRecord>> {
        let Some(bytes) = self.queues.get(recipient.as_bytes())? else { return Ok(None) };
        decoded("queues", layout::queue(recipient.clone(), &bytes.into())).map(Some)
    }

    /// The queue that a key leads to.
    pub(super) fn look_up(&self, key: &QueueKey) -> Result<Option<QueueRecord>> {
        let recipient = match key {
            QueueKey::Recipient(id) => return self.queue(id),
            QueueKey::Sender(id) => Self::led_to("senders", &self.senders, id),
            QueueKey::Link(id) => Self::led_to("links", &self.links, id),
            QueueKey::Notifier(id) => Self::led_to("notifiers", &self.notifiers, id),
        };
        recipient?.map_or(Ok(None), |recipient| self.queue(&recipient))
    }

    /// The recipient id that another id leads to.
    pub(super) fn led_to(name: &'static str, keyspace: &Keyspace, id: &EntityId) -> Result<Option<EntityId>> {
        let recipient = keyspace.get(id.as_bytes())?;
        recipient.map(|recipient| decoded(name, EntityId::new(&recipient))).transpose()
    }

    /// A value of a keyspace.
    pub(super) fn value(keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(keyspace.get(key)?.map(Bytes::from))
    }
}

/// A decoded value, or the corruption of its keyspace.
pub(super) fn decoded<T>(keyspace: &'static str, value: Decoded<T>) -> Result<T> {
    value.map_err(|_| EngineError::Corrupt(keyspace))
}

/// Key of the counters in `meta`.
pub(super) const META_COUNTERS: &[u8] = b"counters";
/// Key of the format in `meta`.
const META_FORMAT: &[u8] = b"format";
/// Our lock.
const LOCK: &str = "store.lock";
/// A file that is made to see whether files can be made. A crash may leave it behind, and the database ignores it.
const PROBE: &str = "store.probe";
/// Tells that the database was created.
const DATABASE_MARKER: &str = "version";
/// The journal of a new database.
const FIRST_JOURNAL: &str = "0.jnl";
/// What may be there before [`DATABASE_MARKER`].
const CREATED_FIRST: [&str; 4] = [LOCK, "lock", "keyspaces", FIRST_JOURNAL];
/// The least that the database takes.
const MIN_JOURNAL_BYTES: u64 = 64 << 20;

/// Makes the folder if that is allowed, locks it, and refuses one that holds something else.
fn prepare_folder(path: &Path, create: bool) -> std::result::Result<File, OpenError> {
    let fail = |source| OpenError::Io { path: path.into(), source };
    let names = match file_names(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
            create_private(path).map_err(fail)?;
            Vec::new()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { path: path.into() });
        }
        names => names.map_err(fail)?,
    };
    let is_store = names.iter().any(|name| name == DATABASE_MARKER);
    if !is_store && !names.iter().all(|name| CREATED_FIRST.iter().any(|first| name == first)) {
        return Err(OpenError::NotAStore { path: path.into() });
    }
    if !is_store && !create {
        return Err(OpenError::Missing { path: path.into() });
    }
    let lock = lock(path)?;
    if is_store { try_new_file(path) } else { remove_unfinished(path) }.map_err(fail)?;
    Ok(lock)
}

/// The database opens also where it may write its files and make no new ones. The first one that it needs comes with
/// tens of megabytes of traffic, and then it fails: better to be told now.
fn try_new_file(path: &Path) -> io::Result<()> {
    let probe = path.join(PROBE);
    File::create(&probe)?;
    fs::remove_file(probe)
}

/// The database makes its marker last. A journal without it is what a creation left that was interrupted, and
/// empty.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    // Someone else may have finished it between the look into the folder and the lock.
    if path.join(DATABASE_MARKER).try_exists()? {
        return Ok(());
    }
    match fs::remove_file(path.join(FIRST_JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Keeps other processes out. The database has a lock too, but takes it after the first changes to a folder.
fn lock(path: &Path) -> std::result::Result<File, OpenError> {
    let fail = |source| OpenError::Io { path: path.into(), source };
    let file = File::create(path.join(LOCK)).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

fn file_names(path: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Makes a folder that only its owner can read.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_error(path: &Path, error: fjall::Error) -> OpenError {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            OpenError::Io { path: path.into(), source }
        }
        fjall::Error::Locked => OpenError::Locked { path: path.into() },
        error => corrupt(path, format!("{error:?}")),
    }
}

fn corrupt(path: &Path, what: String) -> OpenError {
    OpenError::Corrupt { path: path.into(), what }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unreadable metadata").to_owned()
}
