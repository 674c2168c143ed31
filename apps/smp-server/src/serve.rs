//! Serving, from the settings to the end.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::address::say_address;
use crate::failure::Failure;
use crate::identity::Loaded;
use crate::settings::{Durability, Settings, Store};
use crate::signals::Signals;
use crate::terminal::say;

/// What to serve, and from where.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) identity: Loaded,
    pub(crate) addresses: Vec<SocketAddr>,
    /// The folder of the embedded store.
    pub(crate) store: PathBuf,
    /// Open the store, do what is due, and end.
    pub(crate) maintenance: bool,
}

/// How a command ended that did not fail.
pub(crate) enum Ended {
    /// With everything done and written.
    InOrder,
    /// Because of a second signal.
    AtOnce,
}

/// Serves until a signal.
pub(crate) fn serve(plan: Plan) -> Result<Ended, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|e| Failure::new(format!("the system does not give what serving needs: {e}")))?;
    runtime.block_on(serve_until_stopped(plan))
}

async fn serve_until_stopped(plan: Plan) -> Result<Ended, Failure> {
    let mut signals = Signals::new().map_err(|e| Failure::new(format!("signals cannot be received: {e}")))?;
    announce(&plan, &plan.addresses)?;
    if plan.maintenance {
        return Ok(Ended::InOrder);
    }
    signals.next().await;
    log::info!("stopping");
    Ok(Ended::InOrder)
}

/// The lines that people look for when a server starts.
fn announce(plan: &Plan, addresses: &[SocketAddr]) -> Result<(), Failure> {
    let ports: Vec<u16> = addresses.iter().map(SocketAddr::port).collect();
    say_address(&plan.identity, &plan.settings, &ports)?;
    for address in addresses {
        say(&format!("Listening on {address}"));
    }
    say(&match plan.settings.store {
        Store::Memory => "Store: in memory".to_owned(),
        Store::Embedded(embedded) => {
            let durability = match embedded.durability {
                Durability::Always => "always".to_owned(),
                Durability::Interval(interval) => format!("every {} ms", interval.as_millis()),
                Durability::OnExit => "on exit".to_owned(),
            };
            format!("Store: {}, durable {durability}", plan.store.display())
        }
    });
    Ok(())
}
