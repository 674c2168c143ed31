//! Settings of a server.

use core::fmt;
use core::time::Duration;

use super::Limits;
use crate::wire::{Password, ServerAddress};

/// Settings of a server, the same for all of its connections.
#[derive(Clone)]
pub struct ServerConfig {
    /// Whether queues may be created. Default: yes.
    pub new_queues: bool,
    /// The password for creating queues. Default: none, anybody may.
    pub password: Option<Password>,
    /// Whether names are resolved, for which there must be a resolver. Default: no.
    pub names: bool,
    /// Whether commands of clients are forwarded to relays (private routing), for those with the password if there is one.
    /// Default: yes. To be a relay for others needs no setting.
    pub proxy: bool,
    /// Domains of servers by the same operator, which are counted apart. Default: none.
    pub own_server_domains: Vec<String>,
    /// Bytes of new queue ids, 16 to 32. Default: 24, which message ids always have.
    pub id_bytes: usize,
    /// Messages that a queue holds before it is closed to senders. Default: 128.
    pub message_quota: u32,
    /// After how long a message is deleted that was not received. Default: 21 days. `None`: never.
    pub message_ttl: Option<Duration>,
    /// How often old messages are looked for. Default: 2 hours.
    pub expiry_interval: Duration,
    /// Whether old messages are looked for when the server starts. Default: yes.
    pub expire_on_start: bool,
    /// Whether a SEND first deletes the old messages of its queue. Default: no.
    pub expire_on_send: bool,
    /// How long a notification may wait for others, to be sent together. Default: 1.5 seconds.
    pub notification_interval: Duration,
    /// After how long a notification is deleted for which no notifier came. Default: 24 hours. `None`: never.
    pub notification_ttl: Option<Duration>,
    /// How often old notifications are looked for. Default: 1 hour.
    pub notification_expiry_interval: Duration,
    /// How long the news that a subscription ended may wait for others, to be sent together. Default: 0.5 seconds.
    pub end_interval: Duration,
    /// When connections without subscriptions are closed. Default: after 6 hours. `None`: never.
    pub idle_clients: Option<IdleClients>,
    /// What peers may make the server hold or do.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            new_queues: true,
            password: None,
            names: false,
            proxy: true,
            own_server_domains: Vec::new(),
            id_bytes: 24,
            message_quota: 128,
            message_ttl: Some(Duration::from_secs(21 * 86_400)),
            expiry_interval: Duration::from_secs(7200),
            expire_on_start: true,
            expire_on_send: false,
            notification_interval: Duration::from_millis(1500),
            notification_ttl: Some(Duration::from_secs(86_400)),
            notification_expiry_interval: Duration::from_secs(3600),
            end_interval: Duration::from_millis(500),
            idle_clients: Some(IdleClients::default()),
            limits: Limits::default(),
        }
    }
}

impl ServerConfig {
    /// Whether a server can work with these settings and limits.
    ///
    /// # Errors
    /// Names the first that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        self.limits.validate()?;
        let quota = usize::try_from(self.message_quota).unwrap_or(usize::MAX);
        InvalidSetting::check_numbers(&[
            ("id_bytes", self.id_bytes, 16, 32),
            ("message_quota", quota, 1, 1_000_000),
        ])?;
        let idle = self.idle_clients.unwrap_or_default();
        InvalidSetting::check_times(&[
            ("message_ttl", self.message_ttl.unwrap_or(MILLISECOND), MILLISECOND, CENTURY),
            ("expiry_interval", self.expiry_interval, MILLISECOND, CENTURY),
            ("notification_interval", self.notification_interval, Duration::ZERO, HOUR),
            ("notification_ttl", self.notification_ttl.unwrap_or(MILLISECOND), MILLISECOND, CENTURY),
            ("notification_expiry_interval", self.notification_expiry_interval, MILLISECOND, CENTURY),
            ("end_interval", self.end_interval, Duration::ZERO, HOUR),
            ("idle_clients.ttl", idle.ttl, MILLISECOND, CENTURY),
            ("idle_clients.check_interval", idle.check_interval, MILLISECOND, CENTURY),
        ])
    }
}

impl ServerConfig {
    /// Whether this is the password, if there has to be one.
    pub(super) fn accepts(&self, given: Option<&Password>) -> bool {
        self.password.is_none() || self.password.as_ref() == given
    }

    /// Whether a server is one of the same operator.
    pub(super) fn is_own(&self, server: &ServerAddress) -> bool {
        let is_below = |name: &str, domain: &str| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            name.strip_suffix(&domain.to_ascii_lowercase())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        server.hosts().iter().any(|host| {
            let host = host.to_string();
            self.own_server_domains.iter().any(|domain| is_below(&host, domain))
        })
    }
}

/// When a connection without subscriptions is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdleClients {
    /// How long it may be silent. Default: 6 hours.
    pub ttl: Duration,
    /// How often that is checked. Default: 1 hour.
    pub check_interval: Duration,
}

impl Default for IdleClients {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(21_600), check_interval: Duration::from_secs(3600) }
    }
}

/// A setting or limit with which a server could not work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{setting}` has to be from {min} to {max}")]
#[non_exhaustive]
pub struct InvalidSetting {
    /// Its name, as in [`ServerConfig`] or [`Limits`].
    pub setting: &'static str,
    /// The least that it may be, in words.
    pub min: String,
    /// The most that it may be, in words.
    pub max: String,
}

impl InvalidSetting {
    /// Checks numbers: name, value, least, most.
    pub(super) fn check_numbers(rows: &[(&'static str, usize, usize, usize)]) -> Result<(), Self> {
        Self::check(rows, |number| number)
    }

    /// Checks lengths of time: name, value, least, most.
    pub(super) fn check_times(rows: &[(&'static str, Duration, Duration, Duration)]) -> Result<(), Self> {
        Self::check(rows, |time| format!("{time:?}"))
    }

    fn check<T: Copy + PartialOrd, W: fmt::Display>(
        rows: &[(&'static str, T, T, T)],
        words: impl Fn(T) -> W,
    ) -> Result<(), Self> {
        match rows.iter().find(|(_, value, min, max)| value < min || value > max) {
            None => Ok(()),
            Some((setting, _, min, max)) => {
                Err(Self { setting, min: words(*min).to_string(), max: words(*max).to_string() })
            }
        }
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// More is a mistake, and would overflow what is computed from it.
const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);
