//! Numbers of what was done at servers.

use std::collections::BTreeMap;

use crate::agent::UserId;
use crate::time::UnixTime;
use crate::wire::ServerAddress;

/// What was done at servers since a time.
#[derive(Clone, PartialEq, Eq)]
pub struct Statistics {
    /// When counting began.
    pub since: UnixTime,
    /// What a user did at a server.
    pub servers: BTreeMap<(UserId, ServerAddress), ServerCounters>,
}

macro_rules! counters {
    ($($(#[$doc:meta])+ $field:ident: $name:literal,)+) => {
        /// How often something was done at a server for a user.
        ///
        /// Of requests are counted those that went out to a session with the server, and their answers. What may be tried again
        /// shows in the attempts alone.
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct ServerCounters {
            $($(#[$doc])+ pub $field: u64,)+
        }

        impl ServerCounters {
            /// All of them, with their names, in an order that never changes: what is new comes at the end.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),+]
            }

            /// The counters with these values, in the order of [`Self::all`]; those behind are 0, and further values are left out.
            #[must_use]
            pub fn of_values(values: impl IntoIterator<Item = u64>) -> Self {
                let mut values = values.into_iter();
                Self { $($field: values.next().unwrap_or(0)),+ }
            }

            /// Adds those of another time.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }
        }
    };
}

counters! {
    /// Messages of all kinds that the server took from us: SEND. `sentDirect`.
    sent_direct: "sent-direct",
    /// Messages that the server took through a proxy. `sentViaProxy`.
    sent_via_proxy: "sent-via-proxy",
    /// Messages for other servers that were sent through this one as proxy. `sentProxied`.
    forwarded: "forwarded",
    /// Attempts to send without a proxy. `sentDirectAttempts`.
    attempts_direct: "attempts-direct",
    /// Attempts to send to this server through a proxy. `sentViaProxyAttempts`.
    attempts_via_proxy: "attempts-via-proxy",
    /// Attempts to send to other servers through this one. `sentProxiedAttempts`.
    attempts_forwarded: "attempts-forwarded",
    /// The server knew no such queue, or not our key: AUTH. `sentAuthErrs`.
    send_refused: "send-refused",
    /// The recipient's queue was full: QUOTA. `sentQuotaErrs`.
    send_full: "send-full",
    /// Messages that were given up because they could not be sent for long. `sentExpiredErrs`.
    send_expired: "send-expired",
    /// Messages that were not sent for other reasons, which do not pass. `sentOtherErrs`.
    send_failed: "send-failed",
    /// Messages of all kinds that came. `recvMsgs`.
    received: "received",
    /// Those among them that had come before. `recvDuplicates`.
    received_again: "received-again",
    /// Those that could not be decrypted. `recvCryptoErrs`.
    received_unreadable: "received-unreadable",
    /// Those that were wrong in another way. `recvErrs`.
    received_wrong: "received-wrong",
    /// Messages that the server deleted because we have them: ACK. `ackMsgs`.
    acknowledged: "acknowledged",
    /// Attempts to acknowledge. `ackAttempts`.
    acknowledge_attempts: "acknowledge-attempts",
    /// The server had no such message: NO_MSG. `ackNoMsgErrs`.
    acknowledge_unknown: "acknowledge-unknown",
    /// Acknowledgements that failed for other reasons, which do not pass. `ackOtherErrs`.
    acknowledge_failed: "acknowledge-failed",
    /// Receive queues that the server made for new connections: NEW. `connCreated`.
    queues_created: "queues-created",
    /// Receive queues that we gave the sender's key, because he could not: KEY. `connSecured`.
    queues_secured: "queues-secured",
    /// Connections whose first receive queue is there and with which both sides can send, by either handshake. `connCompleted`.
    connected: "connected",
    /// Receive queues that the server deleted, or did not know any more: DEL. `connDeleted`.
    queues_deleted: "queues-deleted",
    /// Attempts to delete. `connDelAttempts`.
    delete_attempts: "delete-attempts",
    /// Deletions that failed for reasons that do not pass. `connDelErrs`.
    delete_failed: "delete-failed",
    /// Subscriptions that were made: SUB. `connSubscribed`.
    subscribed: "subscribed",
    /// Attempts to subscribe. `connSubAttempts`.
    subscribe_attempts: "subscribe-attempts",
    /// Answers to them that came, or will not come, when they were of no use any more. `connSubIgnored`.
    subscribe_ignored: "subscribe-ignored",
    /// Subscriptions that failed for reasons that do not pass. `connSubErrs`.
    subscribe_failed: "subscribe-failed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_order_and_names_of_their_own() {
        let counters = ServerCounters::of_values(1..);
        let values: Vec<_> = counters.all().into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, (1..=values.len() as u64).collect::<Vec<_>>());
        assert_eq!((counters.sent_direct, counters.subscribe_failed), (1, 28));
        assert!(ServerCounters::of_values(values) == counters);
        let mut names: Vec<_> = counters.all().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 28);
        let of_older = ServerCounters::of_values([7]);
        assert_eq!((of_older.sent_direct, of_older.sent_via_proxy), (7, 0));
    }

    #[test]
    fn counters_of_two_times_are_added() {
        let mut sum = ServerCounters::of_values([1, u64::MAX]);
        sum.add(&ServerCounters::of_values([2, 3, 4]));
        assert!(sum == ServerCounters::of_values([3, u64::MAX, 4]));
    }
}
