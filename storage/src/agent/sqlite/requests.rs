//! Who used an invitation, or wants to connect to an address.

use rusqlite::Connection as Database;
use smp_core::agent::store::{Confirmation, Invitation};
use smp_core::agent::{ConfirmationId, ConnectionId, InvitationId};
use smp_core::crypto::ratchet::Ratchet;
use smp_core::wire::agent::MessageHash;
use smp_core::wire::{AuthPublicKey, ConnectionRequest, DhPublicKey, Version};

use super::failure::Result;
use super::record::Record;
use super::statement::{all, execute, first, put};
use super::values;

pub(super) fn put_confirmation(database: &Database, confirmation: &Confirmation) -> Result<()> {
    put!(database, confirmations, { id: confirmation.id.as_bytes() }, {
        connection: confirmation.connection.as_bytes(),
        sender_key: confirmation.sender_key.map(|key| key.to_der()),
        e2e_key: confirmation.e2e_key.0,
        ratchet: &confirmation.ratchet.to_bytes()[..],
        hash: confirmation.hash.as_bytes(),
        queues: values::queues(&confirmation.queues),
        version: confirmation.version.0,
        info: &confirmation.info[..],
    })?;
    Ok(())
}

pub(super) fn delete_confirmations(database: &Database, connection: ConnectionId) -> Result<()> {
    execute(database, "DELETE FROM confirmations WHERE connection = ?", [connection.as_bytes()])?;
    Ok(())
}

pub(super) fn find_confirmation(
    database: &Database,
    id: ConfirmationId,
) -> Result<Option<Box<Confirmation>>> {
    let sql = "SELECT * FROM confirmations WHERE id = ?";
    first(database, "confirmations", sql, [id.as_bytes()], |row| confirmation(row, id).map(Box::new))
}

/// The confirmations of a connection.
pub(super) fn waiting(database: &Database, connection: ConnectionId) -> Result<Vec<Confirmation>> {
    let sql = "SELECT * FROM confirmations WHERE connection = ? ORDER BY id";
    all(database, "confirmations", sql, [connection.as_bytes()], |row| {
        confirmation(row, ConfirmationId::new(row.array("id")?))
    })
}

pub(super) fn put_invitation(database: &Database, invitation: &Invitation) -> Result<()> {
    put!(database, invitations, { id: invitation.id.as_bytes() }, {
        connection: invitation.connection.as_bytes(),
        request: values::encoded(|out| invitation.request.encode(out)),
        info: &invitation.info[..],
        received_at: invitation.received_at.as_millis(),
    })?;
    Ok(())
}

pub(super) fn delete_invitation(database: &Database, id: InvitationId) -> Result<()> {
    execute(database, "DELETE FROM invitations WHERE id = ?", [id.as_bytes()])?;
    Ok(())
}

pub(super) fn find_invitation(database: &Database, id: InvitationId) -> Result<Option<Box<Invitation>>> {
    let sql = "SELECT * FROM invitations WHERE id = ?";
    first(database, "invitations", sql, [id.as_bytes()], |row| invitation(row, id).map(Box::new))
}

/// Those that were sent to an address, by time and id.
pub(super) fn find_invitations(database: &Database, address: ConnectionId) -> Result<Vec<Invitation>> {
    let sql = "SELECT * FROM invitations WHERE connection = ? ORDER BY received_at, id";
    all(database, "invitations", sql, [address.as_bytes()], |row| {
        invitation(row, row.array("id").map(InvitationId::new)?)
    })
}

/// Their ids, in order.
pub(super) fn find_invitation_ids(database: &Database, address: ConnectionId) -> Result<Vec<InvitationId>> {
    let sql = "SELECT id FROM invitations WHERE connection = ? ORDER BY id";
    all(database, "invitations", sql, [address.as_bytes()], |row| row.array("id").map(InvitationId::new))
}

fn confirmation(row: &Record<'_>, id: ConfirmationId) -> Result<Confirmation> {
    Ok(Confirmation {
        id,
        connection: row.connection("connection")?,
        sender_key: row.optional("sender_key", AuthPublicKey::from_der)?,
        e2e_key: DhPublicKey(row.array("e2e_key")?),
        ratchet: Box::new(row.decoded("ratchet", Ratchet::from_bytes)?),
        hash: row.decoded("hash", MessageHash::new)?,
        queues: row.wire("queues", values::decode_queues)?,
        version: Version(row.plain("version")?),
        info: row.bytes("info")?,
    })
}

fn invitation(row: &Record<'_>, id: InvitationId) -> Result<Invitation> {
    Ok(Invitation {
        id,
        connection: row.connection("connection")?,
        request: row.wire("request", ConnectionRequest::decode)?,
        info: row.bytes("info")?,
        received_at: row.time("received_at")?,
    })
}
