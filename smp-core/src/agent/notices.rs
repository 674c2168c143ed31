//! Notices of servers: one that blocks a queue of ours may say for how long it takes no new contact address of ours.
//!
//! Kept for each queue, from when the server said so first, until it subscribes the queue again or says that it is blocked without
//! notice. They add up: of all that concern a server, the times are counted together from when the last one came. What
//! concerns one of the preset servers concerns all of them, because they are of those who made the app.

use std::collections::BTreeMap;

use super::making::QueueOptions;
use super::queues::QueuePurpose;
use super::step::Step;
use super::store::{AgentOp, ServerNotice};
use super::users::Writer;
use super::{Agent, LinkId, Shared};
use crate::client::RequestError;
use crate::time::UnixTime;
use crate::wire::agent::AgentError;
use crate::wire::error::{ErrorType, Notice};
use crate::wire::{EntityId, ServerAddress};

/// All notices that are kept: at most one for each queue that the agent ever had.
#[derive(Default)]
pub(super) struct Notices(BTreeMap<(ServerAddress, EntityId), ServerNotice>);

impl Notices {
    pub(super) fn new(kept: Vec<ServerNotice>) -> Self {
        Self(kept.into_iter().map(|of| ((of.server.clone(), of.queue.clone()), of)).collect())
    }

    /// Until when no new address is to be made on a server; without a time, for good.
    fn until(&self, server: &ServerAddress, presets: &[ServerAddress]) -> Option<Option<UnixTime>> {
        let is_preset = is_among(server, presets);
        let concerns = |notice: &&ServerNotice| match is_preset {
            true => is_among(&notice.server, presets),
            false => notice.server == *server,
        };
        let concerning: Vec<_> = self.0.values().filter(concerns).collect();
        let last = concerning.iter().map(|notice| notice.created_at).max()?;
        let seconds = concerning.iter().map(|notice| notice.ttl);
        let whole = seconds.sum::<Option<Seconds>>();
        Some(whole.map(|Seconds(whole)| {
            UnixTime::from_millis(last.as_millis().saturating_add(whole.saturating_mul(1000)))
        }))
    }
}

impl Step<'_> {
    /// Refuses a new address on a server that has given notice, if the app wants that.
    pub(super) fn check_notices(
        &self,
        server: &ServerAddress,
        purpose: QueuePurpose,
    ) -> Result<(), AgentError> {
        match purpose {
            QueuePurpose::Address => self.shared.check_notices(server, self.running.options),
            _ => Ok(()),
        }
    }
}

impl Shared {
    /// The same for an address that is made, or prepared, like this.
    pub(super) fn check_notices(
        &self,
        server: &ServerAddress,
        options: QueueOptions,
    ) -> Result<(), AgentError> {
        let presets = &self.config.preset_servers;
        let until = self.notices.until(server, presets).filter(|_| options.check_notices);
        match until {
            Some(until) if until.is_none_or(|until| self.now.unix < until) => Err(AgentError::Notice {
                server: Box::new(server.clone()),
                is_preset: is_among(server, presets),
                expires_at: until,
            }),
            _ => Ok(()),
        }
    }
}

impl Agent {
    /// A server has subscribed a queue, or shown its messages, or has not, for this reason.
    pub(super) fn heed(&mut self, server: &ServerAddress, queue: &EntityId, error: Option<&RequestError>) {
        let notice = match error {
            None => None,
            Some(RequestError::Server(ErrorType::Blocked(info))) => info.notice,
            Some(_) => return,
        };
        let kept = &mut self.shared.notices.0;
        if notice.is_none() && kept.is_empty() {
            return;
        }
        let key = (server.clone(), queue.clone());
        let op = match notice {
            Some(Notice { ttl }) => {
                let now = self.shared.now.unix;
                let before = kept.get(&key);
                if before.is_some_and(|before| before.ttl == ttl) {
                    return;
                }
                let created_at = before.map_or(now, |before| before.created_at);
                let notice = ServerNotice { server: server.clone(), queue: queue.clone(), created_at, ttl };
                kept.insert(key, notice.clone());
                AgentOp::PutNotice(Box::new(notice))
            }
            None if kept.remove(&key).is_some() => AgentOp::DeleteNotice(Box::new(server.clone()), key.1),
            None => return,
        };
        // If the store fails the server says it again after the next start.
        self.write(Writer::Notice, vec![op]);
    }

    /// The same of a queue of a link.
    pub(super) fn heed_at(&mut self, link: LinkId, queue: &EntityId, error: Option<&RequestError>) {
        if let Some(server) = self.links.get(link).map(|link| link.server().clone()) {
            self.heed(&server, queue, error);
        }
    }
}

/// A sum of seconds that is not more than there is room for.
struct Seconds(i64);

impl std::iter::Sum<i64> for Seconds {
    fn sum<I: Iterator<Item = i64>>(seconds: I) -> Self {
        Self(seconds.fold(0, i64::saturating_add))
    }
}

/// Whether a server is one of these: none of its names is another one's, and port and identity are the same.
fn is_among(server: &ServerAddress, presets: &[ServerAddress]) -> bool {
    presets.iter().any(|preset| {
        let is_port = match (preset.port(), server.port()) {
            (None, Some(port)) => matches!(port, 443 | 5223),
            (preset, port) => preset == port,
        };
        is_port
            && preset.key_hash() == server.key_hash()
            && server.hosts().iter().all(|host| preset.hosts().contains(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: Option<u16>) -> ServerAddress {
        ServerAddress::new(vec![host.parse().unwrap()], port, [1; 32]).unwrap()
    }

    fn notice(server: &ServerAddress, queue: u8, at: i64, ttl: Option<i64>) -> ServerNotice {
        let (server, queue) = (server.clone(), [queue; 24].into());
        ServerNotice { server, queue, created_at: UnixTime::from_secs(at), ttl }
    }

    #[test]
    fn times_add_up_from_the_last_one() {
        let (one, other) = (server("a.example", None), server("b.example", None));
        let until = |notices: &[ServerNotice], presets: &[ServerAddress]| {
            let notices = Notices::new(notices.to_vec());
            [&one, &other].map(|server| notices.until(server, presets).map(|of| of.map(|at| at.as_millis())))
        };
        let both = [notice(&one, 1, 10, Some(5)), notice(&other, 1, 20, Some(7))];
        assert_eq!(until(&[], &[]), [None, None]);
        assert_eq!(until(&both, &[]), [Some(Some(15_000)), Some(Some(27_000))]);
        let presets = [one.clone(), other.clone()];
        assert_eq!(until(&both, &presets), [Some(Some(32_000)); 2], "one concerns all that are preset");
        assert_eq!(until(&both[..1], &presets[..1]), [Some(Some(15_000)), None]);
        let for_good = [notice(&one, 1, 10, Some(5)), notice(&one, 2, 1, None)];
        assert_eq!(until(&for_good, &[]), [Some(None), None]);
        for huge in [i64::MAX, i64::MIN] {
            let huge = [notice(&one, 1, 10, Some(huge)), notice(&one, 2, 1, Some(huge))];
            assert!(until(&huge, &[])[0].flatten().is_some());
        }
    }

    #[test]
    fn a_preset_server_is_known_by_its_usual_ports() {
        let (plain, alone) = ([server("a.example", None)], [server("a.example", Some(443))]);
        for (port, expected) in [(None, true), (Some(443), true), (Some(5223), true), (Some(80), false)] {
            assert_eq!(is_among(&server("a.example", port), &plain), expected, "{port:?}");
            assert_eq!(is_among(&server("a.example", port), &alone), port == Some(443), "{port:?}");
        }
        assert!(!is_among(&server("b.example", None), &plain));
        let hosts = ["a.example", "b.example"].map(|host| host.parse().unwrap()).to_vec();
        let wider = ServerAddress::new(hosts, None, [1; 32]).unwrap();
        assert!(!is_among(&wider, &plain) && is_among(&plain[0], &[wider]));
        let stranger = ServerAddress::new(vec!["a.example".parse().unwrap()], None, [2; 32]).unwrap();
        assert!(!is_among(&stranger, &plain));
    }
}
