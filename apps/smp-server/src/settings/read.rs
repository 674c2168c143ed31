//! From the ini file to the settings.

mod control;
mod names;
mod web;

use std::time::Duration;

use smp_core::server::{IdleClients, Limits, ServerConfig};
use smp_core::wire::Password;
use smp_runtime::client::HostMode;
use smp_runtime::{Socks, SocksMode};

use super::table;
use super::value::{self, Parsed, Unit, bytes, duration, number, one_of, switch, unless_off};
use super::{Control, Durability, Embedded, Outgoing, Port, Settings, Statistics, Store, Web};
use crate::ini::{Entry, Ini, IniError};

/// The settings of a file, and what its operator should know about it.
pub(crate) fn read(ini: &Ini) -> Result<(Settings, Vec<String>), IniError> {
    let from = Source { ini };
    refuse_database(&from)?;
    let web = web::web(&from)?;
    let (ports, web_sockets) = web::ports(&from, &web)?;
    let known = Ports { smp: &ports, web_sockets: &web_sockets, web: &web };
    let control = control::control(&from, &known)?;
    let settings = Settings {
        statistics: statistics(&from, &known, control.as_ref())?,
        control,
        store: store(&from)?,
        hosts: from.get("TRANSPORT", "host", value::hosts)?,
        proxy_protocol: web::proxy_protocol(&from, &known)?,
        ports,
        web_sockets,
        web,
        information: web::information(&from)?,
        bind: from.get("TRANSPORT", "bind", value::bind)?,
        versions: from.get("TRANSPORT", "smp_versions", value::versions)?,
        accepts_services: from.get("TRANSPORT", "accept_service_credentials", switch)?,
        log_tls_errors: from.get("TRANSPORT", "log_tls_errors", switch)?,
        stop_timeout: from.get(
            "LIMITS",
            "stop_timeout",
            duration(Unit::Seconds, Duration::ZERO..=seconds(8)),
        )?,
        outgoing: outgoing(&from)?,
        names: names::names(&from)?,
        server: server(&from)?,
    };
    let mut notes = notes(ini, &settings);
    notes.extend(names::note(ini, &settings));
    Ok((settings, notes))
}

fn store(from: &Source<'_>) -> Result<Store, IniError> {
    let enabled = from.get("STORE_LOG", "enable", switch)?;
    from.get("STORE_LOG", "restore_messages", switch)?;
    let interval =
        from.get("STORE_LOG", "durability_interval", duration(Unit::Millis, MILLISECOND..=seconds(3600)))?;
    let durability =
        from.get("STORE_LOG", "durability", one_of(&[("always", 0), ("interval", 1), ("on-exit", 2)]))?;
    let durability = match durability {
        0 => Durability::Always,
        1 => Durability::Interval(interval),
        _ => Durability::OnExit,
    };
    let embedded = Embedded {
        durability,
        cache: from.get("STORE_LOG", "cache_size", bytes(MIB..=HUGE))?,
        journal: from.get("STORE_LOG", "journal_size", bytes(64 * MIB..=HUGE))?,
        write_queue: from.get("STORE_LOG", "write_queue_size", bytes(MIB..=GIB))?,
    };
    Ok(if enabled { Store::Embedded(embedded) } else { Store::Memory })
}

/// Serving from an empty store while the queues are in a database would look like the loss of them all.
fn refuse_database(from: &Source<'_>) -> Result<(), IniError> {
    for (key, known) in [
        ("store_queues", one_of(&[("memory", false), ("database", true)])),
        ("store_messages", one_of(&[("memory", false), ("journal", false), ("database", true)])),
    ] {
        if from.get("STORE_LOG", key, known)? {
            return Err(from.error(
                "STORE_LOG",
                key,
                "`database` is not supported: this server cannot use the PostgreSQL store yet. Set `memory` to use \
                 the embedded store, which starts empty",
            ));
        }
    }
    Ok(())
}

fn statistics(
    from: &Source<'_>,
    known: &Ports<'_>,
    control: Option<&Control>,
) -> Result<Statistics, IniError> {
    let port = from.optional("TRANSPORT", "metrics_port", number(0..=u16::MAX))?;
    if let Some(port) = port.filter(|port| *port != 0)
        && (known.has(port) || control.is_some_and(|control| control.port == port))
    {
        let problem = format!("port {port} is also for something else, and this one is for metrics alone");
        return Err(from.error("TRANSPORT", "metrics_port", &problem));
    }
    let interval = duration(Unit::Seconds, seconds(1)..=seconds(86_400));
    Ok(Statistics {
        daily: from.get("STORE_LOG", "log_stats", switch)?,
        interval: from.optional("STORE_LOG", "prometheus_interval", interval)?,
        port,
    })
}

fn server(from: &Source<'_>) -> Result<ServerConfig, IniError> {
    let ttl = |unit| unless_off(duration(unit, MILLISECOND..=CENTURY));
    let mut server = ServerConfig::default();
    server.new_queues = from.get("AUTH", "new_queues", switch)?;
    server.password = from.optional("AUTH", "create_password", password)?;
    server.names = from.get("NAMES", "enable", switch)?;
    server.proxy = from.get("PROXY", "enable", switch)?;
    server.own_server_domains =
        from.optional("PROXY", "own_server_domains", value::domains)?.unwrap_or_default();
    server.id_bytes = from.get("LIMITS", "queue_id_length", number(16..=32))?;
    server.message_quota = from.get("LIMITS", "msg_queue_quota", number(1..=1_000_000))?;
    server.message_ttl = from.get("STORE_LOG", "expire_messages_days", ttl(Unit::Days))?;
    server.expiry_interval =
        from.get("STORE_LOG", "expire_messages_interval", duration(Unit::Seconds, MILLISECOND..=CENTURY))?;
    server.expire_on_start = from.get("STORE_LOG", "expire_messages_on_start", switch)?;
    server.expire_on_send = from.get("STORE_LOG", "expire_messages_on_send", switch)?;
    server.notification_ttl = from.get("STORE_LOG", "expire_ntfs_hours", ttl(Unit::Hours))?;
    server.notification_expiry_interval =
        from.get("STORE_LOG", "expire_ntfs_interval", duration(Unit::Seconds, MILLISECOND..=CENTURY))?;
    server.notification_interval =
        from.get("LIMITS", "notification_interval", duration(Unit::Millis, Duration::ZERO..=seconds(3600)))?;
    server.end_interval =
        from.get("LIMITS", "end_interval", duration(Unit::Millis, Duration::ZERO..=seconds(3600)))?;
    server.idle_clients = idle_clients(from)?;
    server.limits = limits(from)?;
    // What is read above is within these bounds; should it ever not be, this says so before anything is served.
    server.validate().map_err(|wrong| from.error("LIMITS", wrong.setting, &wrong.to_string()))?;
    Ok(server)
}

fn outgoing(from: &Source<'_>) -> Result<Outgoing, IniError> {
    let hosts = one_of(&[("public", HostMode::Public), ("onion", HostMode::Onion)]);
    let mode = one_of(&[("onion", SocksMode::Onion), ("always", SocksMode::Always)]);
    let mode = from.get("PROXY", "socks_mode", mode)?;
    let socks = from.optional("PROXY", "socks_proxy", value::host_and_port)?;
    let outgoing = Outgoing {
        hosts: from.get("PROXY", "host_mode", hosts)?,
        required: from.get("PROXY", "required_host_mode", switch)?,
        socks: socks.map(|(host, port)| Socks::new(host, port, mode)),
        private: from.get("PROXY", "allow_private_relays", switch)?,
    };
    if outgoing.required && outgoing.hosts == HostMode::Onion && outgoing.socks.is_none() {
        return Err(from.error(
            "PROXY",
            "required_host_mode",
            "onion names alone can be used through a SOCKS proxy only: set `socks_proxy`, or `host_mode = public`",
        ));
    }
    Ok(outgoing)
}

fn idle_clients(from: &Source<'_>) -> Result<Option<IdleClients>, IniError> {
    let time = || duration(Unit::Seconds, MILLISECOND..=CENTURY);
    let idle = IdleClients {
        ttl: from.get("INACTIVE_CLIENTS", "ttl", time())?,
        check_interval: from.get("INACTIVE_CLIENTS", "check_interval", time())?,
    };
    Ok(from.get("INACTIVE_CLIENTS", "disconnect", switch)?.then_some(idle))
}

fn limits(from: &Source<'_>) -> Result<Limits, IniError> {
    let count = |key| from.get("LIMITS", key, number(1..=100_000_000));
    let unless_off_count = |key| from.get("LIMITS", key, unless_off(number(1..=100_000_000)));
    let size = |key| from.get("LIMITS", key, bytes(BLOCK..=GIB));
    let time = |key| from.get("LIMITS", key, duration(Unit::Seconds, MILLISECOND..=seconds(3600)));
    let pause = |key, least| from.get("LIMITS", key, duration(Unit::Millis, least..=seconds(3600)));
    let accept_pause_min = pause("accept_pause_min", MILLISECOND)?;
    // All of them are named, so that a new limit cannot be forgotten here.
    Ok(Limits {
        connections: count("connections")?,
        connections_per_address: unless_off_count("connections_per_address")?.unwrap_or(usize::MAX),
        new_connections_per_address: unless_off_count("new_connections_per_address")?.unwrap_or(usize::MAX),
        new_connections_interval: time("new_connections_interval")?,
        handshakes: count("handshakes")?,
        handshake_timeout: time("handshake_timeout")?,
        accepts_in_turn: from.get("LIMITS", "accepts_in_turn", number(1..=10_000))?,
        accept_pause_min,
        accept_pause_max: pause("accept_pause_max", accept_pause_min)?,
        commands_in_flight: from.get("LIMITS", "commands_in_flight", number(1..=100_000))?,
        input_bytes: size("input_bytes")?,
        stalled_input: time("stalled_input")?,
        verifications_in_turn: from.get("LIMITS", "verifications_in_turn", number(1..=10_000))?,
        rounds_in_turn: from.get("LIMITS", "rounds_in_turn", number(1..=10_000))?,
        output_bytes: size("output_bytes")?,
        queued_output: size("queued_output")?,
        stalled_output: time("stalled_output")?,
        deliveries_in_flight: from.get("LIMITS", "deliveries_in_flight", number(1..=10_000))?,
        queued_bytes: from.get("LIMITS", "queued_bytes", bytes(BLOCK..=HUGE))?,
        closing_timeout: time("closing_timeout")?,
        closing_input: from.get("LIMITS", "closing_input", bytes(0..=GIB))?,
        subscriptions: count("subscriptions")?,
        get_queues: count("get_queues")?,
        recipient_keys: from.get("LIMITS", "recipient_keys", number(1..=255))?,
        notifications: from.get("LIMITS", "notifications", number(1..=1_000_000))?,
        services: from.get("LIMITS", "services", number(0..=100_000_000))?,
        http_connections: count("http_connections")?,
        http_head_bytes: from.get("LIMITS", "http_head_bytes", bytes(256..=MIB))?,
        http_requests: count("http_requests")?,
        http_timeout: time("http_timeout")?,
        client_forwards: from.get("PROXY", "client_concurrency", number(1..=1000))?,
        relay_forwards: from.get("LIMITS", "relay_forwards", number(1..=100_000))?,
        relays: from.get("LIMITS", "relays", number(1..=100_000))?,
        relay_failures: from.get("LIMITS", "relay_failures", number(0..=1_000_000))?,
        relay_failure_ttl: from.get(
            "LIMITS",
            "relay_failure_ttl",
            duration(Unit::Seconds, Duration::ZERO..=seconds(3600)),
        )?,
        relay_connecting: time("relay_connecting")?,
        relay_answer: time("relay_answer")?,
        relay_idle: from.get(
            "LIMITS",
            "relay_idle",
            duration(Unit::Seconds, MILLISECOND..=seconds(86_400)),
        )?,
        forwarded_keys: from.get("LIMITS", "forwarded_keys", number(1..=1_000_000))?,
        expiry_queues: from.get("LIMITS", "expiry_queues", number(1..=1_000_000))?,
    })
}

/// The password for creating queues.
fn password(text: &str) -> Parsed<Password> {
    let password = Password::new(text.as_bytes()).ok().filter(|password| !password.as_str().is_empty());
    password.ok_or_else(|| {
        "has to be 1 to 255 printable ASCII characters without space, `@`, `:` and `/`; without the line anybody can \
         create queues"
            .to_owned()
    })
}

/// What the file has that has no effect, so that nobody relies on it: a line for each reason.
fn notes(ini: &Ini, settings: &Settings) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for entry in ini.entries() {
        let Some(reason) = without_effect(entry, settings) else { continue };
        let line = entry.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let place = format!("[{}] {}{line}", entry.section, entry.key);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, places)) => places.push(place),
            None => reasons.push((reason, vec![place])),
        }
    }
    let file = ini.file().display();
    let note = |(reason, places): (String, Vec<String>)| {
        format!("{file}: without effect, because {reason}: {}", places.join(", "))
    };
    reasons.into_iter().map(note).collect()
}

/// Why a setting has no effect, if it has none.
fn without_effect(entry: &Entry, settings: &Settings) -> Option<String> {
    let (section, key, value) = (entry.section.as_str(), entry.key.as_str(), entry.value.as_str());
    let Some(setting) = table::find(section, key) else {
        return Some("this server does not know it".to_owned());
    };
    if (section, key, value) == ("STORE_LOG", "restore_messages", "off") && settings.store != Store::Memory {
        return Some("the embedded store keeps messages with their queues".to_owned());
    }
    if (section, key) == ("TRANSPORT", "control_port") && settings.control.is_none() {
        return Some(NO_CONTROL.to_owned());
    }
    let feature = setting.later.filter(|_| setting.default != Some(value))?;
    Some(format!("this server does not have {feature} yet"))
}

/// The ports that people connect to.
struct Ports<'a> {
    smp: &'a [Port],
    web_sockets: &'a [u16],
    web: &'a Web,
}

impl Ports<'_> {
    fn has(&self, port: u16) -> bool {
        self.smp.iter().any(|smp| smp.number == port)
            || self.web_sockets.contains(&port)
            || [self.web.http, self.web.https].contains(&Some(port))
    }
}

/// Where values come from, and who is to blame for them.
struct Source<'a> {
    ini: &'a Ini,
}

impl Source<'_> {
    /// A setting with a default.
    fn get<T>(&self, section: &str, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Result<T, IniError> {
        let default = table::find(section, key).and_then(|setting| setting.default);
        let text = self.ini.entry(section, key).map(|entry| entry.value.as_str()).or(default);
        parse(text.unwrap_or_default()).map_err(|problem| self.error(section, key, &problem))
    }

    /// A setting without one.
    fn optional<T>(
        &self,
        section: &str,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Result<Option<T>, IniError> {
        self.ini.entry(section, key).map(|_| self.get(section, key, parse)).transpose()
    }

    /// A setting without one, which a line without a value leaves open.
    fn unless_empty<T>(
        &self,
        section: &str,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Result<Option<T>, IniError> {
        let given = self.ini.entry(section, key).filter(|entry| !entry.value.is_empty());
        given.map(|_| self.get(section, key, parse)).transpose()
    }

    fn error(&self, section: &str, key: &str, problem: &str) -> IniError {
        let line = self.ini.entry(section, key).and_then(|entry| entry.line);
        IniError { file: self.ini.file().to_owned(), line, problem: format!("[{section}] {key}: {problem}") }
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whoever can connect to the port could do everything.
const NO_CONTROL: &str = "the port is not opened while neither [AUTH] control_port_admin_password nor \
                          control_port_user_password is set";
const MILLISECOND: Duration = Duration::from_millis(1);
/// More is a mistake, and would overflow what is computed from it.
const CENTURY: Duration = seconds(36_500 * 86_400);
/// Less could not hold one answer.
const BLOCK: usize = 16_384;
const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;
/// A TiB, where there are such sizes.
const HUGE: usize = GIB.saturating_mul(1024);

#[cfg(test)]
mod tests;
