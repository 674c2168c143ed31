//! What the ini file says, as plain values.

mod read;
mod table;
mod template;
mod value;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use smp_core::server::ServerConfig;
use smp_core::wire::{Host, VersionRange};
use smp_runtime::Socks;
use smp_runtime::client::HostMode;
use smp_runtime::http::Url;
use smp_runtime::server::ResolverOptions;

use crate::control::{Access, Quota};
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
    /// Ports for SMP over WebSockets.
    pub(crate) web_sockets: Vec<u16>,
    /// Which ports are behind a proxy that tells who connected.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// The web site.
    pub(crate) web: Web,
    /// Who runs the server.
    pub(crate) information: Information,
    /// How statistics are told.
    pub(crate) statistics: Statistics,
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
    /// The control port, if there is one.
    pub(crate) control: Option<Control>,
    /// Who resolves names, if anybody does.
    pub(crate) names: Option<Names>,
    /// The settings of the protocol.
    pub(crate) server: ServerConfig,
}

/// How statistics are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Statistics {
    /// A line is written every day.
    pub(crate) daily: bool,
    /// How often metrics are written to a file, if they are.
    pub(crate) interval: Option<Duration>,
    /// The port on 127.0.0.1 where they are, if there is one.
    pub(crate) port: Option<u16>,
}

/// Where operators look at the server and moderate queues while it runs.
pub(crate) struct Control {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    /// The passwords, of which there is one at least.
    pub(crate) access: Access,
    /// How many queues users may block.
    pub(crate) quota: Quota,
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

/// Who resolves names.
pub(crate) struct Names {
    /// Where it is.
    pub(crate) resolver: Url,
    /// How it is asked.
    pub(crate) options: ResolverOptions,
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
    /// It is the port of the web site as well, so another program may have it.
    pub(crate) web: bool,
}

/// Where the web site is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Web {
    /// The folder with files of the operator.
    pub(crate) static_path: Option<PathBuf>,
    /// The port for plain HTTP.
    pub(crate) http: Option<u16>,
    /// The port for HTTPS.
    pub(crate) https: Option<u16>,
    /// The certificate for HTTPS.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// Which ports are behind a proxy that tells who connected (PROXY protocol).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ProxyProtocol {
    /// None.
    Off,
    /// All.
    All,
    /// These.
    Ports(Vec<u16>),
}

impl ProxyProtocol {
    /// Whether this port is.
    pub(crate) fn covers(&self, port: u16) -> bool {
        match self {
            Self::Off => false,
            Self::All => true,
            Self::Ports(ports) => ports.contains(&port),
        }
    }
}

/// Who runs the server, as it tells on its web site.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Information {
    pub(crate) source_code: Option<String>,
    pub(crate) usage_conditions: Option<String>,
    pub(crate) condition_amendments: Option<String>,
    pub(crate) server_country: Option<String>,
    pub(crate) operator: Option<String>,
    pub(crate) operator_country: Option<String>,
    pub(crate) website: Option<String>,
    pub(crate) admin: Contact,
    pub(crate) complaints: Contact,
    pub(crate) hosting: Option<String>,
    pub(crate) hosting_country: Option<String>,
    pub(crate) hosting_type: Option<String>,
}

/// How somebody is reached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Contact {
    pub(crate) simplex: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) pgp: Option<String>,
    pub(crate) pgp_fingerprint: Option<String>,
}

/// The settings of a file with this text, for tests.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Settings {
    let ini = crate::ini::Ini::parse(std::path::Path::new("f.ini"), text).expect("an ini file");
    read(&ini).expect("good settings").0
}
