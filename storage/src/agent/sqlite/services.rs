//! Services, and which queues servers count among theirs.

use std::sync::Arc;

use rusqlite::{Connection as Database, params};
use smp_core::agent::store::{QueueNumber, UserService};
use smp_core::agent::{ConnectionId, UserId};
use smp_core::transport::identity::IdentityKey;
use smp_core::wire::{EntityId, IdsHash, QueueSet, ServerAddress};

use super::failure::Result;
use super::statement::{all, execute, put};
use super::values;

pub(super) fn put_service(database: &Database, service: &UserService) -> Result<()> {
    put!(database, services, { user: service.user.0, server: values::server(&service.server) }, {
        certificate: &service.certificate[..],
        key: &service.key.to_pkcs8()[..],
        service_id: service.id.as_ref().map(EntityId::as_bytes),
        surplus_count: service.surplus.count,
        surplus_hash: service.surplus.hash.0,
    })?;
    Ok(())
}

pub(super) fn delete(database: &Database, user: UserId, server: &ServerAddress) -> Result<()> {
    let sql = "DELETE FROM services WHERE user = ? AND server = ?";
    execute(database, sql, params![user.0, values::server(server)])?;
    Ok(())
}

pub(super) fn find_all(database: &Database) -> Result<Vec<UserService>> {
    all(database, "services", "SELECT * FROM services ORDER BY user, server", [], |row| {
        Ok(UserService {
            user: UserId(row.plain("user")?),
            server: row.wire("server", ServerAddress::decode)?,
            certificate: row.bytes("certificate")?,
            key: Arc::new(row.decoded("key", IdentityKey::from_pkcs8)?),
            id: row.optional("service_id", EntityId::new)?,
            surplus: QueueSet {
                count: row.plain("surplus_count")?,
                hash: IdsHash(row.array("surplus_hash")?),
            },
        })
    })
}

pub(super) fn associate(
    database: &Database,
    queues: &[(ConnectionId, QueueNumber)],
    is_associated: bool,
) -> Result<()> {
    let sql = "UPDATE receive_queues SET is_associated = ? WHERE connection = ? AND number = ?";
    for (connection, number) in queues {
        execute(database, sql, params![is_associated, connection.as_bytes(), number.0])?;
    }
    Ok(())
}
