//! The durable store of an agent: one file, one connection, one transaction for each batch.

mod connections;
mod error;
mod failure;
mod key;
mod messages;
mod migrations;
mod notices;
mod open;
mod queues;
mod record;
mod requests;
mod services;
mod skipped;
mod statement;
mod statistics;
mod tasks;
#[cfg(all(test, feature = "conformance"))]
mod tests;
mod values;
mod words;

pub use error::AgentOpenError;
pub use key::DatabaseKey;

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use smp_core::agent::store::{AgentOp, AgentQuery, Found, StoreFailure};

use super::AgentStore;
use failure::{Failure, Result};

/// A store in one file, by SQLite.
///
/// Beside the file is one that ends with `.lock`, which keeps other processes out, and while the database is open one
/// that ends with `-wal`; a crash leaves that behind, and it belongs to what is kept. The tables have a version: an
/// older one is brought up to date when the database is opened, a newer one is refused.
///
/// When the disk fails, everything after that fails too: what the database shows then may not be what is on the disk.
/// The store must be opened again. A record that cannot be decoded fails only what needs it.
///
/// # Secrets
/// What is deleted is overwritten in the file. Memory that SQLite used is not wiped when it is given back, and
/// without a key whoever can read the file can read everything. With feature `sqlcipher` the whole file is encrypted
/// by SQLCipher, which is well tried and what other clients of the protocol use. To encrypt only columns with keys
/// was decided against: it would be a construction of our own, and leave open who is connected with whom and when.
/// The feature is off by default because it compiles OpenSSL, which takes minutes; a system with encrypted storage
/// for each app has less need of it.
///
/// ```
/// use smp_core::agent::UserId;
/// use smp_core::agent::store::{AgentOp, AgentQuery, Found, User};
/// use smp_storage::agent::{AgentStore, SqliteAgentStore, SqliteOptions};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("alice.db");
/// let mut store = SqliteAgentStore::open(&path, &SqliteOptions::default())?;
/// store.run(vec![AgentOp::PutUser(User { id: UserId(1), is_deleted: false })])?;
/// drop(store);
/// let mut again = SqliteAgentStore::open(&path, &SqliteOptions::default())?;
/// assert!(matches!(again.read(&AgentQuery::Users)?, Found::Users(users) if users.len() == 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteAgentStore {
    path: PathBuf,
    database: Connection,
    /// Something could not be read or written. Nothing is answered any more but [`StoreFailure`].
    failed: bool,
    /// Held until the database is closed, which the order of fields says.
    _lock: File,
}

/// How a [`SqliteAgentStore`] is opened.
pub struct SqliteOptions {
    /// Whether a missing file is created. Its folder must exist. Default: yes.
    pub create: bool,
    /// What the file is encrypted with, from the beginning (feature `sqlcipher`). Default: it is not.
    pub key: Option<DatabaseKey>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { create: true, key: None }
    }
}

impl SqliteAgentStore {
    /// Opens the store in a file, and creates it if the options say so.
    ///
    /// # Errors
    /// [`AgentOpenError`] when that is not possible. A database that is there then holds what it held.
    pub fn open(
        path: impl AsRef<Path>,
        options: &SqliteOptions,
    ) -> std::result::Result<Self, AgentOpenError> {
        let path = path.as_ref();
        let (database, lock) = open::open(path, options)?;
        Ok(Self { path: path.into(), database, failed: false, _lock: lock })
    }

    /// Writes everything into the one file and closes it. Dropping does that too, but cannot tell of a failure.
    ///
    /// # Errors
    /// [`StoreFailure`] when that could not be done. What was answered is durable nevertheless.
    pub fn close(self) -> std::result::Result<(), StoreFailure> {
        let Self { path, database, _lock, .. } = self;
        database.close().map_err(|(_, error)| {
            log::error!("the agent's database at {} was not closed: {error}", path.display());
            StoreFailure
        })
    }

    /// Encrypts all of the database with another key, which then opens it.
    ///
    /// # Errors
    /// [`StoreFailure`] when that could not be done: when it has no key, or the disk fails. Then it must be opened again,
    /// with the key that it had.
    pub fn change_key(&mut self, key: &DatabaseKey) -> std::result::Result<(), StoreFailure> {
        self.guarded(|store| if key.replace(&store.database) { Ok(()) } else { Err(Failure::Key) })
    }

    fn carry_out(&mut self, ops: &[AgentOp]) -> Result<()> {
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        ops.iter().try_for_each(|op| carry_out(&transaction, op))?;
        // Here nothing is refused any more.
        transaction.commit().map_err(Failure::Database)
    }

    /// Does `work` if nothing failed before.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> std::result::Result<T, StoreFailure> {
        if self.failed {
            return Err(StoreFailure);
        }
        let done = work(self);
        done.map_err(|failure| {
            let path = self.path.display();
            // After a refusal the transaction has ended, or the database does not do what it should.
            self.failed =
                matches!(failure, Failure::Database(_) | Failure::Key) || !self.database.is_autocommit();
            if self.failed {
                log::error!("the agent's database at {path} failed and must be opened again: {failure}");
            } else {
                log::error!("the agent's database at {path} did not do what it was asked for: {failure}");
            }
            StoreFailure
        })
    }
}

impl AgentStore for SqliteAgentStore {
    fn run(&mut self, ops: Vec<AgentOp>) -> std::result::Result<(), StoreFailure> {
        self.guarded(|store| store.carry_out(&ops))
    }

    fn read(&mut self, query: &AgentQuery) -> std::result::Result<Found, StoreFailure> {
        self.guarded(|store| find(&store.database, query))
    }
}

fn carry_out(database: &Connection, op: &AgentOp) -> Result<()> {
    match op {
        AgentOp::PutUser(user) => connections::put_user(database, user),
        AgentOp::DeleteUser(id) => connections::delete_user(database, *id),
        AgentOp::PutConnection(id, state) => connections::put(database, *id, state),
        AgentOp::DeleteConnection(id) => connections::delete(database, *id),
        AgentOp::PutAgreement(id, agreement) => connections::put_agreement(database, *id, agreement),
        AgentOp::ChangeSkipped(id, changes) => skipped::change(database, *id, changes),
        AgentOp::ClearSkipped(id) => skipped::clear(database, *id),
        AgentOp::PutReceiveQueue(id, queue) => queues::put_receive(database, *id, queue),
        AgentOp::DeleteReceiveQueue(id, number) => queues::delete_receive(database, *id, *number),
        AgentOp::PutSendQueue(id, queue) => queues::put_send(database, *id, queue),
        AgentOp::DeleteSendQueue(id, number) => queues::delete_send(database, *id, *number),
        AgentOp::OrderQueues(id, receive, send) => queues::order(database, *id, receive, send),
        AgentOp::PutTasks(id, tasks) => tasks::replace(database, *id, tasks),
        AgentOp::PutConfirmation(confirmation) => requests::put_confirmation(database, confirmation),
        AgentOp::DeleteConfirmations(id) => requests::delete_confirmations(database, *id),
        AgentOp::PutInvitation(invitation) => requests::put_invitation(database, invitation),
        AgentOp::DeleteInvitation(id) => requests::delete_invitation(database, *id),
        AgentOp::PutIncoming(message) => messages::put_incoming(database, message),
        AgentOp::PutOutgoing(message) => messages::put_outgoing(database, message),
        AgentOp::PutService(service) => services::put_service(database, service),
        AgentOp::DeleteService(user, server) => services::delete(database, *user, server),
        AgentOp::SetAssociated(queues, is_associated) => {
            services::associate(database, queues, *is_associated)
        }
        AgentOp::PutSeen(id, hash, time) => messages::put_seen(database, *id, hash, *time),
        AgentOp::PutDelivery(delivery) => messages::put_delivery(database, delivery),
        AgentOp::MoveDeliveries(id, from, to) => messages::move_deliveries(database, *id, *from, *to),
        AgentOp::DeleteDelivery(delivery) => messages::delete_delivery(database, delivery),
        AgentOp::PutNotice(notice) => notices::put_one(database, notice),
        AgentOp::DeleteNotice(server, queue) => notices::delete(database, server, queue),
        AgentOp::ForgetMessagesBefore(time) => messages::forget_before(database, *time),
        AgentOp::PutStatistics(statistics) => statistics::replace(database, statistics),
    }
}

fn find(database: &Connection, query: &AgentQuery) -> Result<Found> {
    Ok(match query {
        AgentQuery::Users => Found::Users(connections::users(database)?),
        AgentQuery::LastUser => Found::LastUser(connections::last_user(database)?),
        AgentQuery::Queues => Found::Queues(queues::waiting(database)?),
        AgentQuery::Services => Found::Services(services::find_all(database)?),
        AgentQuery::Notices => Found::Notices(notices::all_kept(database)?),
        AgentQuery::Unfinished => Found::Connections(connections::unfinished(database)?),
        AgentQuery::Connections => Found::States(connections::states(database)?),
        AgentQuery::Connection(id) => Found::Connection(connections::find(database, *id)?),
        AgentQuery::Skipped(id) => Found::Skipped(skipped::find(database, *id)?),
        AgentQuery::Confirmation(id) => Found::Confirmation(requests::find_confirmation(database, *id)?),
        AgentQuery::Invitation(id) => Found::Invitation(requests::find_invitation(database, *id)?),
        AgentQuery::Invitations(id) => Found::Invitations(requests::find_invitations(database, *id)?),
        AgentQuery::InvitationIds(id) => Found::InvitationIds(requests::find_invitation_ids(database, *id)?),
        AgentQuery::Incoming(id, message) => {
            Found::Incoming(messages::find_incoming(database, *id, *message)?)
        }
        AgentQuery::Waiting(id) => Found::Waiting {
            confirmations: requests::waiting(database, *id)?,
            messages: messages::waiting(database, *id)?,
        },
        AgentQuery::NextDelivery(id, queue) => {
            Found::Outgoing(messages::find_next_delivery(database, *id, *queue)?)
        }
        AgentQuery::Sent(id, sender_id) => Found::Outgoing(messages::find_sent(database, *id, *sender_id)?),
        AgentQuery::Seen(id, hash) => Found::Seen(messages::was_seen(database, *id, hash)?),
        AgentQuery::Statistics => Found::Statistics(statistics::find(database)?),
        AgentQuery::SentAll(id, sender_ids) => {
            Found::SentAll(messages::find_all_sent(database, *id, sender_ids)?)
        }
    })
}
