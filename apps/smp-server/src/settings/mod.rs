//! What the ini file says, as plain values.

mod read;
mod table;
mod template;
mod value;

use std::net::IpAddr;
use std::time::Duration;

use smp_core::server::ServerConfig;
use smp_core::wire::{Host, VersionRange};
use smp_runtime::Socks;
use smp_runtime::client::HostMode;

pub(crate) use read::read;
pub(crate) use template::{Choice, render};

/// Everything that serving needs to know.
pub(crate) struct Settings {
    /// Where queues and messages are kept.
    pub(crate) store: Store,
    /// Names or addresses for the server's address.
    pub(crate) hosts: Vec<Host>,
    /// What to listen on.
    pub(crate) ports: Vec<Port>,
    /// Addresses of this machine to listen on; none stands for all.
    pub(crate) bind: Vec<IpAddr>,
    /// The versions offered to clients.
    pub(crate) versions: VersionRange,
    /// Whether clients may be services.
    pub(crate) accepts_services: bool,
    /// Whether to log connections that fail before they speak SMP.
    pub(crate) log_tls_errors: bool,
    /// How long commands may take to finish when the server is told to stop.
    pub(crate) stop_timeout: Duration,
    /// How other servers are connected to.
    pub(crate) outgoing: Outgoing,
    /// The settings of the protocol.
    pub(crate) server: ServerConfig,
}

/// How other servers are connected to, for private routing.
pub(crate) struct Outgoing {
    /// Which of their names come first.
    pub(crate) hosts: HostMode,
    /// Whether those of the other kind are not used at all.
    pub(crate) required: bool,
    /// The SOCKS proxy.
    pub(crate) socks: Option<Socks>,
    /// Whether private addresses may be connected to.
    pub(crate) private: bool,
}

/// Where queues and messages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    /// Nowhere but in memory.
    Memory,
    /// In the embedded store in the data folder.
    Embedded(Embedded),
}

/// The choices of the embedded store. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Embedded {
    /// When it says that something is stored.
    pub(crate) durability: Durability,
    /// Memory for what was read.
    pub(crate) cache: usize,
    /// How large the journal may become.
    pub(crate) journal: usize,
    /// How much may wait to be written.
    pub(crate) write_queue: usize,
}

/// When the embedded store says that something is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// When it is on disk.
    Always,
    /// At once; it is written to disk this often.
    Interval(Duration),
    /// At once; it is written to disk when the server stops.
    OnExit,
}

/// A port to listen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Port {
    /// Its number; 0 is one that the system chooses.
    pub(crate) number: u16,
    /// It is the port of the web page as well, so another program may have it.
    pub(crate) web: bool,
}
