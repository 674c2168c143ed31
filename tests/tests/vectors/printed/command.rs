//! Commands.

use smp_core::wire::command::{
    Command, ContactLink, MessagingLink, NewQueue, NotifierKeys, Party, QueueRequestData, SubscriptionMode,
};
use smp_core::wire::names::{Name, NameRegistry};
use smp_core::wire::{Host, Password, ServerAddress};

use super::{auth_key, boolean, bytes, dh_key, entity, link_data, optional, queue_set, text};

/// A command, as `Cmd SParty (COMMAND parameters)`.
pub(crate) fn command(command: &Command) -> String {
    let tag = command.tag();
    let parameters = match command {
        Command::New(new) => format!("({})", new_queue(new)),
        Command::Subs(queues) | Command::NSubs(queues) => queue_set(queues),
        Command::Key(key) | Command::SKey(key) | Command::LKey(key) => format!("({})", auth_key(key)),
        Command::RKey(keys) => {
            let keys: Vec<_> = keys.iter().map(auth_key).collect();
            let (first, rest) = keys.split_first().expect("RKEY has a key");
            format!("({first} :| [{}])", rest.join(","))
        }
        Command::LSet { link_id, data } => format!("({}) {}", entity(link_id), link_data(data)),
        Command::NKey(keys) => notifier_keys(keys),
        Command::Ack(id) => bytes(id.as_bytes()),
        Command::Send { flags, body } => {
            format!("(MsgFlags {{notification = {}}}) {}", boolean(flags.notification), bytes(body))
        }
        Command::Prxy(request) => {
            let password = optional(request.password.as_ref().map(|p| format!("({})", password(p))));
            let password = if request.password.is_some() { format!("({password})") } else { password };
            format!("({}) {password}", server(&request.relay))
        }
        Command::Pfwd(request) => format!(
            "(Version {}) ({}) (EncTransmission {})",
            request.version,
            dh_key(&request.key),
            bytes(&request.encrypted)
        ),
        Command::Rfwd(encrypted) => format!("(EncFwdTransmission {})", bytes(encrypted)),
        Command::Rslv(name) => format!("({})", domain(name)),
        _ => return format!("Cmd {} {tag}", party(command)),
    };
    format!("Cmd {} ({tag} {parameters})", party(command))
}

/// A name.
pub(crate) fn domain(name: &Name) -> String {
    let subdomains: Vec<_> = name.subdomains().map(text).collect();
    format!(
        "SimplexNameDomain {{nameTLD = {}, domain = {}, subDomain = [{}]}}",
        registry(name),
        text(name.domain()),
        subdomains.join(",")
    )
}

/// Where a name is registered.
pub(crate) fn registry(name: &Name) -> &'static str {
    match name.registry() {
        NameRegistry::Simplex => "TLDSimplex",
        NameRegistry::Testing => "TLDTesting",
        NameRegistry::Web => "TLDWeb",
    }
}

fn party(command: &Command) -> &'static str {
    match command.party() {
        Party::Creator => "SCreator",
        Party::Recipient => "SRecipient",
        Party::RecipientService => "SRecipientService",
        Party::Sender => "SSender",
        Party::SenderLink => "SSenderLink",
        Party::Idle => "SIdleClient",
        Party::Notifier => "SNotifier",
        Party::NotifierService => "SNotifierService",
        Party::ProxiedClient => "SProxiedClient",
        Party::Proxy => "SProxyService",
        Party::Resolver => "SResolver",
    }
}

fn new_queue(new: &NewQueue) -> String {
    let mode = match new.subscribe {
        SubscriptionMode::Subscribe => "SMSubscribe",
        SubscriptionMode::OnlyCreate => "SMOnlyCreate",
    };
    let notifier = new.notifier.as_ref().map(|keys| format!("(NewNtfCreds {})", notifier_keys(keys)));
    format!(
        "NewQueueReq {{rcvAuthKey = {}, rcvDhKey = {}, auth_ = {}, subMode = {mode}, queueReqData = {}, ntfCreds = {}}}",
        auth_key(&new.recipient_key),
        dh_key(&new.dh_key),
        optional(new.password.as_ref().map(|p| format!("({})", password(p)))),
        optional(new.queue_data.as_ref().map(|data| format!("({})", queue_data(data)))),
        optional(notifier),
    )
}

fn queue_data(data: &QueueRequestData) -> String {
    let (name, link) = match data {
        QueueRequestData::Messaging(link) => ("QRMessaging", link.as_ref().map(messaging_link)),
        QueueRequestData::Contact(link) => ("QRContact", link.as_ref().map(contact_link)),
    };
    match link {
        Some(link) => format!("{name} (Just {link})"),
        None => format!("{name} Nothing"),
    }
}

fn messaging_link(link: &MessagingLink) -> String {
    format!("({},{})", entity(&link.sender_id), link_data(&link.data))
}

fn contact_link(link: &ContactLink) -> String {
    format!("({},({},{}))", entity(&link.link_id), entity(&link.sender_id), link_data(&link.data))
}

fn notifier_keys(keys: &NotifierKeys) -> String {
    format!("({}) ({})", auth_key(&keys.auth_key), dh_key(&keys.dh_key))
}

fn password(password: &Password) -> String {
    format!("BasicAuth {{unBasicAuth = {}}}", text(password.as_str()))
}

pub(super) fn server(server: &ServerAddress) -> String {
    protocol_server(server.hosts(), server.port(), server.key_hash())
}

/// A server of which not everything need be known.
pub(super) fn protocol_server(hosts: &[Host], port: Option<u16>, key_hash: &[u8]) -> String {
    let hosts: Vec<_> = hosts.iter().map(host).collect();
    let (first, rest) = hosts.split_first().expect("a server has a host");
    format!(
        "ProtocolServer {{scheme = SPSMP, host = {first} :| [{}], port = {}, keyHash = KeyHash {{unKeyHash = {}}}}}",
        rest.join(","),
        text(&port.map(|port| port.to_string()).unwrap_or_default()),
        bytes(key_hash)
    )
}

fn host(host: &Host) -> String {
    match host {
        Host::Ipv4(address) => {
            format!("THIPv4 ({})", address.octets().map(|octet| octet.to_string()).join(","))
        }
        Host::Ipv6(address) => format!("THIPv6 {address}"),
        Host::Onion(name) => format!("THOnionHost {}", text(name.as_str())),
        Host::Domain(name) => format!("THDomainName {}", text(name.as_str())),
    }
}
