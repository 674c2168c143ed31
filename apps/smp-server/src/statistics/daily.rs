//! The line of a day: comma-separated values in the order that the tools of operators know.

use smp_core::server::statistics::{Active, Counter, Day, ProxyCounter, ServiceCounter};
use smp_core::server::store::QueueCounts;
use time::OffsetDateTime;

/// The line, with its end.
pub(super) fn line(day: &Day, now: &QueueCounts) -> String {
    use Counter as C;
    let of = |counter| day.counts.of(counter).to_string();
    let mut line = vec![date(day.since.as_millis() / 1000)];
    line.extend(
        [C::QueuesCreated, C::QueuesSecured, C::QueuesDeleted, C::MessagesSent, C::MessagesReceived].map(of),
    );
    line.extend(active(day.active));
    line.extend([C::NotifiedSent, C::NotifiedReceived].map(of));
    line.extend(active(day.active_notified));
    line.extend([now.queues, now.messages].map(|count| count.to_string()));
    line.extend([C::MessagesExpired, C::QueuesDeletedNew, C::QueuesDeletedSecured].map(of));
    for family in [C::Relays, C::OwnRelays, C::Forwards, C::OwnForwards] {
        line.extend(ProxyCounter::ALL.iter().map(|(counter, _)| of(family(*counter))));
    }
    line.push(of(C::ForwardsReceived));
    line.extend(OF_SUBSCRIPTIONS.map(of));
    line.push(NOTHING.to_owned());
    line.extend(
        [C::MessagesReceivedByGet, C::Gets, C::GetsEmpty, C::GetsRefused, C::GetsRepeated, C::GetsProhibited]
            .map(of),
    );
    line.extend([NOTHING; 3].map(str::to_owned));
    line.push(now.queues.to_string());
    line.extend(
        [
            C::NotifiersCreated,
            C::NotifiersDeleted,
            C::NotifierSubscriptions,
            C::NotifierSubscriptionsRefused,
            C::NotifierSubscriptionsRepeated,
        ]
        .map(of),
    );
    line.push(now.notifiers.to_string());
    line.extend(OF_BATCHES.map(of));
    line.extend(
        [
            now.notifications,
            now.messaging_services,
            now.notifier_services,
            now.messaging_service_queues,
            now.notifier_service_queues,
        ]
        .map(|count| count.to_string()),
    );
    for family in [C::MessagingServices, C::NotifierServices] {
        line.extend(OF_SERVICES.map(|counter| of(family(counter))));
    }
    line.extend([C::Names, C::NamesFound, C::NamesNotFound, C::NamesFailed, C::NamesDisabled].map(of));
    line.join(",") + "\n"
}

fn active(active: Active) -> [String; 3] {
    [active.day, active.week, active.month]
        .map(|count| count.map_or_else(String::new, |count| count.to_string()))
}

/// The day of a time, as 2026-01-31 (UTC).
fn date(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

/// What came of subscriptions and of messages.
const OF_SUBSCRIPTIONS: [Counter; 10] = [
    Counter::Subscriptions,
    Counter::SubscriptionsRefused,
    Counter::SubscriptionsRepeated,
    Counter::SubscriptionsProhibited,
    Counter::MessagesRefused,
    Counter::MessagesOverQuota,
    Counter::MessagesTooLarge,
    Counter::Notifications,
    Counter::NotificationsWithoutSubscriber,
    Counter::NotificationsLost,
];
/// Batches of commands and of news, and what expired.
const OF_BATCHES: [Counter; 8] = [
    Counter::DeleteBatches,
    Counter::SubscribeBatches,
    Counter::SubscriptionsEnded,
    Counter::EndBatches,
    Counter::NotifierDeleteBatches,
    Counter::NotifierSubscribeBatches,
    Counter::NotificationBatches,
    Counter::NotificationsExpired,
];
/// What services did, as far as the line tells it.
const OF_SERVICES: [ServiceCounter; 8] = [
    ServiceCounter::AssociationsNew,
    ServiceCounter::AssociationsRepeated,
    ServiceCounter::AssociationsMoved,
    ServiceCounter::AssociationsRemoved,
    ServiceCounter::Subscriptions,
    ServiceCounter::SubscriptionsRepeated,
    ServiceCounter::Queues,
    ServiceCounter::SubscriptionsEnded,
];

/// A value that is in the line only so that those behind it keep their places: nobody counts it any more.
const NOTHING: &str = "0";

#[cfg(test)]
mod tests {
    use smp_core::UnixTime;
    use smp_core::server::statistics::Statistics;
    use smp_core::wire::EntityId;

    use super::*;

    #[test]
    fn each_value_is_in_its_place() {
        // 2024-02-29, a Thursday.
        let mut statistics = Statistics::new(UnixTime::from_secs(86_400 * 19_782));
        for (index, (counter, _)) in Counter::all().enumerate() {
            statistics.counts.add(counter, 1000 + index as u64);
        }
        statistics.active.insert(&EntityId::new(b"queue").unwrap());
        let day = statistics.end_day(UnixTime::from_secs(86_400 * 19_783), true).unwrap();
        let mut now = QueueCounts::default();
        (now.queues, now.messages, now.notifiers, now.notifications) = (1, 2, 3, 4);
        (now.messaging_services, now.notifier_services) = (5, 6);
        (now.messaging_service_queues, now.notifier_service_queues) = (7, 8);
        let line = line(&day, &now);
        let values: Vec<&str> = line.trim_end().split(',').collect();
        let counted = |counter: Counter| (1000 + counter.index()).to_string();
        assert_eq!(values.len(), 101);
        assert_eq!(values[0], "2024-02-29");
        // The day ended, the week did not, the month did.
        assert_eq!(&values[6..9], ["1", "", "1"]);
        assert_eq!(&values[11..14], ["0", "", "0"]);
        for (place, counter) in [
            (1, Counter::QueuesCreated),
            (5, Counter::MessagesReceived),
            (9, Counter::NotifiedSent),
            (16, Counter::MessagesExpired),
            (19, Counter::Relays(ProxyCounter::Requests)),
            (24, Counter::OwnRelays(ProxyCounter::Requests)),
            (38, Counter::OwnForwards(ProxyCounter::Failed)),
            (39, Counter::ForwardsReceived),
            (40, Counter::Subscriptions),
            (49, Counter::NotificationsLost),
            (51, Counter::MessagesReceivedByGet),
            (61, Counter::NotifiersCreated),
            (67, Counter::DeleteBatches),
            (74, Counter::NotificationsExpired),
            (80, Counter::MessagingServices(ServiceCounter::AssociationsNew)),
            (95, Counter::NotifierServices(ServiceCounter::SubscriptionsEnded)),
            (96, Counter::Names),
        ] {
            assert_eq!(values[place], counted(counter), "place {place}: {counter:?}");
        }
        assert_eq!((values[14], values[15], values[60], values[66]), ("1", "2", "1", "3"));
        assert_eq!(&values[75..80], ["4", "5", "6", "7", "8"]);
    }
}
