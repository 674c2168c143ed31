//! Metrics in the text format of Prometheus (exposition format 0.0.4), with the names that the dashboards of SMP servers know,
//! their spelling included.

use std::fmt::{Display, Write as _};

use smp_core::server::statistics::{Counter as C, Counts, ProxyCounter, ServiceCounter, Times};

use super::Snapshot;

/// All metrics.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut page = Page { text: String::new(), counts: &snapshot.statistics.counts };
    let since = snapshot.statistics.since.as_millis() / 1000;
    _ = writeln!(page.text, "# Counted since {since}, told at {} (seconds since 1970).\n", snapshot.now);
    queues(&mut page, snapshot);
    subscriptions(&mut page, snapshot);
    messages(&mut page, snapshot);
    notifications(&mut page, snapshot);
    relays(&mut page);
    services(&mut page, snapshot);
    names(&mut page);
    deliveries(&mut page, snapshot);
    process(&mut page, snapshot);
    page.text
}

fn queues(page: &mut Page<'_>, snapshot: &Snapshot) {
    let (active, notified) = (&snapshot.statistics.active, &snapshot.statistics.active_notified);
    page.counter("queues_created", "Queues created.", C::QueuesCreated);
    page.counter("queues_secured", "Queues that got the key of their sender.", C::QueuesSecured);
    let types =
        [("all", C::QueuesDeleted), ("new", C::QueuesDeletedNew), ("secured", C::QueuesDeletedSecured)];
    page.counters("queues_deleted", "Queues deleted by their recipients.", "type", &types);
    page.counter("queues_deleted_batch", "Blocks of several commands that began with DEL.", C::DeleteBatches);
    page.counter("queues_blocked", "Queues blocked by the operator.", C::QueuesBlocked);
    for name in ["queues_total1", "queues_total2"] {
        page.gauge(name, "Queues.", snapshot.counts.queues);
    }
    page.gauge("queues_daily", "Queues used today.", active.day.count());
    page.gauge("queues_weekly", "Queues used in this week.", active.week.count());
    page.gauge("queues_monthly", "Queues used in this month.", active.month.count());
    page.gauge("queues_notify_daily", "Queues used today with notifications.", notified.day.count());
    page.gauge("queues_notify_weekly", "Queues used in this week with notifications.", notified.week.count());
    page.gauge(
        "queues_notify_monthly",
        "Queues used in this month with notifications.",
        notified.month.count(),
    );
    page.counter("queues_notify_created", "Notifiers set.", C::NotifiersCreated);
    page.counter("queues_notify_new_created", "Queues created with a notifier.", C::NotifiersCreatedNew);
    page.counter("queues_notify_deleted", "Notifiers deleted.", C::NotifiersDeleted);
    let batches = "Blocks of several commands that began with NDEL.";
    page.counter("queues_notify_deleted_batch", batches, C::NotifierDeleteBatches);
    page.gauge("queues_notify_total1", "Notifications that wait.", snapshot.counts.notifications);
    page.gauge("queues_notify_total2", "Queues with a notifier.", snapshot.counts.notifiers);
}

fn subscriptions(page: &mut Page<'_>, snapshot: &Snapshot) {
    let survey = &snapshot.survey;
    page.counter("subscribtion_successes", "Subscriptions to queues with messages.", C::Subscriptions);
    let batches = "Blocks of several commands that began with SUB.";
    page.counter("subscribtion_successes_batch", batches, C::SubscribeBatches);
    page.counter("subscribtion_end", "Subscriptions that others ended.", C::SubscriptionsEnded);
    page.counter("subscribtion_end_batch", "Blocks in which that was told.", C::EndBatches);
    let errors = [
        ("auth", C::SubscriptionsRefused),
        ("duplicate", C::SubscriptionsRepeated),
        ("prohibited", C::SubscriptionsProhibited),
    ];
    page.counters("subscribtion_errors", "SUB that was refused or repeated.", "type", &errors);
    page.gauge("subscribtion_total", "Subscriptions to queues.", survey.subscriptions);
    page.gauge("subscribtion_clients_total", "Connections with such.", survey.subscribers);
    page.gauge(
        "subscribtion_services_total",
        "Subscribed services that receive messages.",
        survey.messaging_services,
    );
    page.gauge("subscribtion_service_subs_total", "Queues of those.", survey.messaging_service_queues);
    page.counter("subscription_ntf_requests", "Subscriptions of notifiers.", C::NotifierSubscriptions);
    let batches = "Blocks of several commands that began with NSUB.";
    page.counter("subscription_ntf_requests_batch", batches, C::NotifierSubscribeBatches);
    let errors = [("auth", C::NotifierSubscriptionsRefused), ("duplicate", C::NotifierSubscriptionsRepeated)];
    page.counters("subscribtion_ntf_errors", "NSUB that was refused or repeated.", "type", &errors);
    page.gauge("subscription_ntf_total", "Subscriptions of notifiers.", survey.notifier_subscriptions);
    page.gauge("subscription_ntf_clients_total", "Connections with such.", survey.notifier_subscribers);
    page.gauge(
        "subscribtion_nts_services_total",
        "Subscribed services that are notified.",
        survey.notifier_services,
    );
    page.gauge("subscription_ntf_service_subs_total", "Notifiers of those.", survey.notifier_service_queues);
}

fn messages(page: &mut Page<'_>, snapshot: &Snapshot) {
    page.counter("messages_sent", "Messages accepted.", C::MessagesSent);
    let errors = [
        ("auth", C::MessagesRefused),
        ("quota", C::MessagesOverQuota),
        ("large", C::MessagesTooLarge),
        ("block", C::MessagesBlocked),
    ];
    page.counters("messages_sent_errors", "Messages refused.", "type", &errors);
    page.counter("messages_received", "Messages acknowledged.", C::MessagesReceived);
    page.counter("messages_expired", "Messages that were too old.", C::MessagesExpired);
    page.gauge("messages_total", "Messages in queues.", snapshot.counts.messages);
    page.counter("messages_notify_sent", "Messages accepted that were to be notified.", C::NotifiedSent);
    page.counter("messages_notify_received", "Messages acknowledged that were to be.", C::NotifiedReceived);
    page.counter("messages_notify_get_sent", "Messages delivered by GET.", C::Gets);
    page.counter("messages_notify_get_received", "Those that were acknowledged.", C::MessagesReceivedByGet);
    let errors = [
        ("nomsg", C::GetsEmpty),
        ("auth", C::GetsRefused),
        ("duplicate", C::GetsRepeated),
        ("prohibited", C::GetsProhibited),
    ];
    page.counters("messages_notify_get_errors", "GET without a new message.", "type", &errors);
}

fn notifications(page: &mut Page<'_>, _: &Snapshot) {
    page.counter("messages_ntf_successes", "Notifications told.", C::Notifications);
    page.counter("messages_ntf_successes_batch", "Blocks in which they were told.", C::NotificationBatches);
    let errors = [
        ("nosub", C::NotificationsWithoutSubscriber),
        ("lost", C::NotificationsLost),
        ("expired", C::NotificationsExpired),
    ];
    page.counters("messages_ntf_errors", "Notifications not told at once, or not at all.", "type", &errors);
}

fn relays(page: &mut Page<'_>) {
    let sessions =
        ("relay_sessions", "Sessions with relays", C::Relays as fn(_) -> _, C::OwnRelays as fn(_) -> _);
    let forwards =
        ("relay_messages", "Commands forwarded", C::Forwards as fn(_) -> _, C::OwnForwards as fn(_) -> _);
    for (name, what, all, own) in [sessions, forwards] {
        let requests = [("all", all(ProxyCounter::Requests)), ("own", own(ProxyCounter::Requests))];
        page.counters(&format!("{name}_requests"), &format!("{what}: asked for."), "source", &requests);
        let done = [("all", all(ProxyCounter::Successes)), ("own", own(ProxyCounter::Successes))];
        page.counters(&format!("{name}_successes"), &format!("{what}: done."), "source", &done);
        let errors = format!("{name}_errors");
        page.head(&errors, &format!("{what}: failed."), "counter");
        for (source, of) in [("all", all), ("own", own)] {
            for (kind, counter) in [
                ("connect", ProxyCounter::Unreachable),
                ("compat", ProxyCounter::Incompatible),
                ("other", ProxyCounter::Failed),
            ] {
                let value = page.counts.of(of(counter));
                page.value(&errors, &format!("{{source=\"{source}\",type=\"{kind}\"}}"), value);
            }
        }
    }
    page.counter(
        "relay_messages_received",
        "Commands that proxies forwarded to this server.",
        C::ForwardsReceived,
    );
}

fn services(page: &mut Page<'_>, snapshot: &Snapshot) {
    let counts = &snapshot.counts;
    page.gauge("rcv_services_count", "Services that receive messages.", counts.messaging_services);
    page.gauge("rcv_services_queues_count", "Queues of those.", counts.messaging_service_queues);
    page.gauge("ntf_services_count", "Services that are notified.", counts.notifier_services);
    page.gauge("ntf_services_queues_count", "Notifiers of those.", counts.notifier_service_queues);
    let waited = "Messages that waited for services.";
    page.counter("rcv_services_sub_msg_count", waited, C::ServiceMessages);
    let repeated = "Messages that services had when they subscribed to all.";
    page.counter("rcv_services_sub_duplicate_count", repeated, C::ServiceMessagesRepeated);
    for (prefix, of) in [("rcv", C::MessagingServices as fn(_) -> _), ("ntf", C::NotifierServices)] {
        for (name, about, counter) in OF_SERVICES {
            page.counter(&format!("{prefix}_services_{name}"), about, of(*counter));
        }
    }
}

fn names(page: &mut Page<'_>) {
    page.counter("names_reqs", "Names asked for.", C::Names);
    page.counter("names_success", "Names found.", C::NamesFound);
    page.counter("names_not_found", "Names that are not registered.", C::NamesNotFound);
    page.counter("names_resolver_errs", "Names that the resolver could not tell about.", C::NamesFailed);
    page.counter("names_disabled", "Names asked for without a resolver.", C::NamesDisabled);
}

fn deliveries(page: &mut Page<'_>, snapshot: &Snapshot) {
    let (acknowledged, survey) = (&snapshot.statistics.acknowledged, &snapshot.survey);
    page.gauge("delivered_total", "Messages delivered and not acknowledged.", survey.delivered.count());
    let clients = "Connections that have such messages.";
    page.gauge("delivered_clients_total", clients, survey.delivered_to.len());
    let name = "delivery_ack_confirmed_time";
    page.head(name, "Seconds from the delivery of a message to its acknowledgement.", "histogram");
    let mut sum = 0;
    for (bound, count) in Times::BOUNDS.iter().zip(acknowledged.buckets()) {
        sum += count;
        page.value(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), sum);
    }
    page.value(&format!("{name}_bucket"), "{le=\"+Inf\"}", acknowledged.count());
    page.value(&format!("{name}_sum"), "", acknowledged.sum());
    page.value(&format!("{name}_count"), "", acknowledged.count());
    page.periods("delivery_ack_confirmed_count", "Acknowledgements by seconds.", "counter", acknowledged);
    page.periods("delivery_ack_pending_count", "Deliveries without one.", "gauge", &survey.delivered);
    page.gauge("delivery_ack_time_max", "Seconds of the oldest of those.", survey.delivered.max());
}

fn process(page: &mut Page<'_>, snapshot: &Snapshot) {
    page.head("info", "The server.", "gauge");
    page.value("info", concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
    for (name, about, of) in [
        ("sockets_accepted", "Connections accepted.", 0),
        ("sockets_closed", "Connections that ended in order.", 1),
        ("sockets_active", "Connections.", 2),
        ("sockets_leaked", "Connections that ended by a defect.", 3),
    ] {
        page.head(name, about, "gauge");
        for (address, socket) in &snapshot.sockets {
            let leaked = socket.accepted.saturating_sub(socket.closed + socket.active);
            let value =
                [socket.accepted, socket.closed, socket.active, leaked].get(of).copied().unwrap_or_default();
            page.value(name, &format!("{{port=\"{}\",address=\"{}\"}}", address.port(), address.ip()), value);
        }
    }
    page.gauge("threads_total", "Tasks of the runtime.", snapshot.tasks);
    page.gauge("clients_total", "Connections.", snapshot.connections);
    let in_memory = |count| if snapshot.in_memory { count } else { 0 };
    page.gauge("loaded_queues_queue_count", "Queues in memory.", in_memory(snapshot.counts.queues));
    page.gauge("loaded_queues_ntf_count", "Notifiers in memory.", in_memory(snapshot.counts.notifiers));
    for name in ["open_journal", "queue_lock", "ntf_lock"] {
        page.gauge(&format!("loaded_queues_{name}_count"), "The stores of this server have none.", 0);
    }
}

/// The text so far.
struct Page<'a> {
    text: String,
    counts: &'a Counts,
}

impl Page<'_> {
    fn head(&mut self, name: &str, about: &str, kind: &str) {
        // Writing into a string does not fail.
        _ = writeln!(self.text, "# HELP {PREFIX}{name} {about}\n# TYPE {PREFIX}{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        _ = writeln!(self.text, "{PREFIX}{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, about: &str, value: impl Display) {
        self.head(name, about, "gauge");
        self.value(name, "", value);
    }

    fn counter(&mut self, name: &str, about: &str, counter: C) {
        self.head(name, about, "counter");
        self.value(name, "", self.counts.of(counter));
    }

    fn counters(&mut self, name: &str, about: &str, label: &str, counters: &[(&str, C)]) {
        self.head(name, about, "counter");
        for (value, counter) in counters {
            self.value(name, &format!("{{{label}=\"{value}\"}}"), self.counts.of(*counter));
        }
    }

    /// How many times there are of a minute, five, twenty, an hour, and more.
    fn periods(&mut self, name: &str, about: &str, kind: &str, times: &Times) {
        self.head(name, about, kind);
        for (period, from, to) in [
            ("0-60", None, 60),
            ("60-300", Some(60), 300),
            ("300-1200", Some(300), 1200),
            ("1200-3600", Some(1200), 3600),
        ] {
            let is_in = |bound: u64| from.is_none_or(|from| bound > from) && bound <= to;
            let counted = Times::BOUNDS.iter().zip(times.buckets()).filter(|(bound, _)| is_in(**bound));
            let sum: u64 = counted.map(|(_, count)| count).sum();
            self.value(name, &format!("{{period=\"{period}\"}}"), sum);
        }
        self.value(name, "{period=\"3600+\"}", times.buckets().last().copied().unwrap_or_default());
    }
}

/// What services did: the end of the metric's name, what it is, and its counter.
const OF_SERVICES: &[(&str, &str, ServiceCounter)] = &[
    ("assoc_new", "Queues that became a service's.", ServiceCounter::AssociationsNew),
    ("assoc_duplicate", "Queues that were the service's before.", ServiceCounter::AssociationsRepeated),
    ("assoc_updated", "Queues that were another service's.", ServiceCounter::AssociationsMoved),
    ("assoc_removed", "Queues that are no service's any more.", ServiceCounter::AssociationsRemoved),
    ("sub_count", "Connections that began to be subscribed as services.", ServiceCounter::Subscriptions),
    ("sub_duplicate", "Repeated subscriptions to all.", ServiceCounter::SubscriptionsRepeated),
    ("sub_queues", "Queues subscribed to by services one by one.", ServiceCounter::Queues),
    ("sub_end", "Connections taken over by others of their service.", ServiceCounter::SubscriptionsEnded),
    ("sub_ok", "Subscriptions to all: the service knew the same queues.", ServiceCounter::Same),
    ("sub_more", "Subscriptions to all: the server had more queues.", ServiceCounter::More),
    ("sub_fewer", "Subscriptions to all: the server had fewer queues.", ServiceCounter::Fewer),
    ("sub_diff", "Subscriptions to all: the server had other queues.", ServiceCounter::Different),
    ("sub_more_total", "How many more queues, in all.", ServiceCounter::MoreTotal),
    ("sub_fewer_total", "How many fewer queues, in all.", ServiceCounter::FewerTotal),
];

const PREFIX: &str = "simplex_smp_";

#[cfg(test)]
mod tests;
