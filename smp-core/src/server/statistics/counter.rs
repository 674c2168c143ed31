//! The counters.

/// Makes [`Counter`] and what has to name each of them.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Something that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Counter {
            $($(#[doc = $doc])+ $name,)+
            /// Sessions with relays that clients asked for.
            Relays(ProxyCounter),
            /// Those with relays of the operator.
            OwnRelays(ProxyCounter),
            /// Commands that clients had forwarded.
            Forwards(ProxyCounter),
            /// Those to relays of the operator.
            OwnForwards(ProxyCounter),
            /// What services that receive messages did.
            MessagingServices(ServiceCounter),
            /// What services that are notified did.
            NotifierServices(ServiceCounter),
        }

        /// The counters that are not of a family, and their names.
        const SINGLE: &[(Counter, &str)] = &[$((Counter::$name, $text),)+];

        /// Their places.
        enum Single {
            $($name,)+
        }

        impl Counter {
            /// How many there are.
            pub const COUNT: usize = OF_SERVICES + 2 * ServiceCounter::ALL.len();

            /// Its place: a number below [`Self::COUNT`], another for each.
            #[must_use]
            pub const fn index(self) -> usize {
                match self {
                    $(Self::$name => Single::$name as usize,)+
                    Self::Relays(counter) => of_proxy(0, counter),
                    Self::OwnRelays(counter) => of_proxy(1, counter),
                    Self::Forwards(counter) => of_proxy(2, counter),
                    Self::OwnForwards(counter) => of_proxy(3, counter),
                    Self::MessagingServices(counter) => of_service(0, counter),
                    Self::NotifierServices(counter) => of_service(1, counter),
                }
            }
        }
    };
}

counters! {
    /// Queues created.
    QueuesCreated = "qCreated",
    /// Queues that got the key of their sender.
    QueuesSecured = "qSecured",
    /// Queues deleted by their recipients.
    QueuesDeleted = "qDeletedAll",
    /// Those that had no sender key.
    QueuesDeletedNew = "qDeletedNew",
    /// Those that had one.
    QueuesDeletedSecured = "qDeletedSecured",
    /// Blocks of several commands that began with DEL.
    DeleteBatches = "qDeletedAllB",
    /// Queues blocked by the operator.
    QueuesBlocked = "qBlocked",
    /// Subscriptions to queues with messages.
    Subscriptions = "qSub",
    /// Blocks of several commands that began with SUB.
    SubscribeBatches = "qSubAllB",
    /// SUB without the right.
    SubscriptionsRefused = "qSubAuth",
    /// SUB of a queue that the connection is subscribed to.
    SubscriptionsRepeated = "qSubDuplicate",
    /// SUB of a queue that the connection receives by GET.
    SubscriptionsProhibited = "qSubProhibited",
    /// Subscriptions that ended because somebody else subscribed or deleted the queue, of which the connection was told.
    SubscriptionsEnded = "qSubEnd",
    /// Blocks in which that was told.
    EndBatches = "qSubEndB",
    /// Notifiers set by NKEY.
    NotifiersCreated = "ntfCreated",
    /// Queues created with a notifier.
    NotifiersCreatedNew = "ntfNewCreated",
    /// Notifiers deleted by NDEL.
    NotifiersDeleted = "ntfDeleted",
    /// Blocks of several commands that began with NDEL.
    NotifierDeleteBatches = "ntfDeletedB",
    /// Subscriptions of notifiers, without those of services.
    NotifierSubscriptions = "ntfSub",
    /// Blocks of several commands that began with NSUB.
    NotifierSubscribeBatches = "ntfSubB",
    /// NSUB without the right.
    NotifierSubscriptionsRefused = "ntfSubAuth",
    /// NSUB of a notifier that the connection is subscribed to.
    NotifierSubscriptionsRepeated = "ntfSubDuplicate",
    /// Messages accepted.
    MessagesSent = "msgSent",
    /// SEND without the right, or to a queue that is off.
    MessagesRefused = "msgSentAuth",
    /// SEND to a full queue.
    MessagesOverQuota = "msgSentQuota",
    /// SEND of too large a message.
    MessagesTooLarge = "msgSentLarge",
    /// SEND to a blocked queue.
    MessagesBlocked = "msgSentBlock",
    /// Messages acknowledged.
    MessagesReceived = "msgRecv",
    /// Those that were delivered by GET.
    MessagesReceivedByGet = "msgRecvGet",
    /// Messages delivered by GET.
    Gets = "msgGet",
    /// GET of a queue without messages.
    GetsEmpty = "msgGetNoMsg",
    /// GET without the right.
    GetsRefused = "msgGetAuth",
    /// GET while the message that an earlier one delivered is not acknowledged.
    GetsRepeated = "msgGetDuplicate",
    /// GET of a queue that the connection is subscribed to.
    GetsProhibited = "msgGetProhibited",
    /// Messages that were too old, quota markers included.
    MessagesExpired = "msgExpired",
    /// Messages accepted that were to be notified.
    NotifiedSent = "msgSentNtf",
    /// Messages acknowledged that were to be notified.
    NotifiedReceived = "msgRecvNtf",
    /// Notifications told.
    Notifications = "msgNtfs",
    /// Blocks in which they were told.
    NotificationBatches = "msgNtfsB",
    /// Notifications stored while nobody was subscribed to the notifier.
    NotificationsWithoutSubscriber = "msgNtfNoSub",
    /// Notifications that gave way to newer ones, because too many waited.
    NotificationsLost = "msgNtfLost",
    /// Notifications that were too old.
    NotificationsExpired = "msgNtfExpired",
    /// Commands that proxies forwarded to this server.
    ForwardsReceived = "pMsgFwdsRecv",
    /// Messages that waited for services when they subscribed to all of their queues.
    ServiceMessages = "rcvServicesSubMsg",
    /// Queues of which a service had the message already when it subscribed to all of its queues.
    ServiceMessagesRepeated = "rcvServicesSubDuplicate",
    /// Names asked for.
    Names = "rslvReqs",
    /// Names found.
    NamesFound = "rslvSucc",
    /// Names that are not registered.
    NamesNotFound = "rslvNotFound",
    /// Names that the resolver could not tell about.
    NamesFailed = "rslvResolverErrs",
    /// Names asked for although there is no resolver.
    NamesDisabled = "rslvDisabled",
}

/// Makes a family of counters, with their names.
macro_rules! family {
    ($(#[doc = $about:literal])+ $family:ident: $($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $family {
            $($(#[doc = $doc])+ $name,)+
        }

        impl $family {
            /// All of them, and their names.
            pub const ALL: &[(Self, &str)] = &[$((Self::$name, $text),)+];
        }
    };
}

family! {
    /// Requests to the proxy, by what came of them.
    ProxyCounter:
    /// All that ended.
    Requests = "requests",
    /// Done, be the relay's answer an error.
    Successes = "successes",
    /// The relay could not be reached, or did not answer.
    Unreachable = "errorsConnect",
    /// There was no common version.
    Incompatible = "errorsCompat",
    /// Anything else.
    Failed = "errorsOther",
}

family! {
    /// What services did.
    ServiceCounter:
    /// Queues that became the service's and were nobody's before.
    AssociationsNew = "assocNew",
    /// Subscriptions to queues that were the service's before.
    AssociationsRepeated = "assocDuplicate",
    /// Queues that were another service's.
    AssociationsMoved = "assocUpdated",
    /// Queues that a client which is no service subscribed to.
    AssociationsRemoved = "assocRemoved",
    /// Connections that began to be subscribed for their service.
    Subscriptions = "subCount",
    /// Repeated subscriptions to all of a service's queues.
    SubscriptionsRepeated = "subDuplicate",
    /// Queues that became part of what a connection is subscribed to, one by one.
    Queues = "subQueues",
    /// Connections whose subscription another connection of the service took over.
    SubscriptionsEnded = "subEnd",
    /// Subscriptions to all, when the service knew the same queues.
    Same = "subOk",
    /// When the server had more queues.
    More = "subMore",
    /// When the server had fewer.
    Fewer = "subFewer",
    /// When it had as many, and others.
    Different = "subDiff",
    /// How many more, in all.
    MoreTotal = "subMoreTotal",
    /// How many fewer, in all.
    FewerTotal = "subFewerTotal",
}

impl Counter {
    /// Each counter once, in the order of [`Counts`], with the name that operators know.
    pub fn all() -> impl Iterator<Item = (Self, String)> {
        let of_proxy = [
            (Self::Relays as fn(_) -> _, "pRelays"),
            (Self::OwnRelays, "pRelaysOwn"),
            (Self::Forwards, "pMsgFwds"),
            (Self::OwnForwards, "pMsgFwdsOwn"),
        ];
        let of_services =
            [(Self::MessagingServices as fn(_) -> _, "rcvServices"), (Self::NotifierServices, "ntfServices")];
        let single = SINGLE.iter().map(|(counter, name)| (*counter, (*name).to_owned()));
        let proxy = of_proxy.into_iter().flat_map(|(of, family)| {
            ProxyCounter::ALL.iter().map(move |(counter, name)| (of(*counter), format!("{family}.{name}")))
        });
        let services = of_services.into_iter().flat_map(|(of, family)| {
            ServiceCounter::ALL.iter().map(move |(counter, name)| (of(*counter), format!("{family}.{name}")))
        });
        single.chain(proxy).chain(services)
    }
}

const fn of_proxy(family: usize, counter: ProxyCounter) -> usize {
    SINGLE.len() + family * ProxyCounter::ALL.len() + counter as usize
}

const fn of_service(family: usize, counter: ServiceCounter) -> usize {
    OF_SERVICES + family * ServiceCounter::ALL.len() + counter as usize
}

/// The place of the first counter of services.
const OF_SERVICES: usize = SINGLE.len() + 4 * ProxyCounter::ALL.len();

/// How often what happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts([u64; Counter::COUNT]);

impl Counts {
    /// How often this happened.
    #[must_use]
    pub fn of(&self, counter: Counter) -> u64 {
        self.0.get(counter.index()).copied().unwrap_or_default()
    }

    /// It happened `times` more.
    pub fn add(&mut self, counter: Counter, times: u64) {
        if let Some(count) = self.0.get_mut(counter.index()) {
            *count = count.saturating_add(times);
        }
    }

    /// What is in `other` happened as well.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count = count.saturating_add(more));
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self([0; Counter::COUNT])
    }
}
