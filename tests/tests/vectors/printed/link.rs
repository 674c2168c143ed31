//! Links and their data.

use smp_core::crypto::OpenedLink;
use smp_core::wire::link::{
    ConnectionRequest, ContactKind, LinkKind, LinkOwner, LinkServer, RatchetKeys, ShortLink, UserLinkData,
};
use smp_core::wire::{ConnectionMode, QueueAddress, QueueMode, QueueUri, VersionRange};

use super::command::{protocol_server, server};
use super::{boolean, bytes, dh_key, entity, optional, text};

/// The form of a link's text, which our values do not keep.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Simplex,
    Https,
}

/// A short link of either mode.
pub(crate) fn any_short_link(link: &ShortLink, form: Form) -> String {
    format!("ACSL {} ({})", mode(link.mode()), short_link(link, form))
}

/// A full link of either mode.
pub(crate) fn any_request(request: &ConnectionRequest) -> String {
    format!("ACR {} ({})", mode(request.mode()), self::request(request))
}

/// Both parts of the data of a link.
pub(crate) fn opened(link: &OpenedLink) -> String {
    let fixed = &link.fixed;
    format!(
        "(FixedLinkData {{agentVRange = {}, rootKey = {}, linkConnReq = {}, linkEntityId = {}}},{})",
        versions(fixed.versions),
        ed25519(&fixed.root_key.0),
        request(&fixed.request),
        optional(fixed.entity_id.as_ref().map(|id| bytes(id.as_bytes()))),
        user(&link.user)
    )
}

fn mode(mode: ConnectionMode) -> &'static str {
    match mode {
        ConnectionMode::Invitation => "SCMInvitation",
        ConnectionMode::Contact => "SCMContact",
    }
}

fn short_link(link: &ShortLink, form: Form) -> String {
    let form = match form {
        Form::Simplex => "SLSSimplex",
        Form::Https => "SLSServer",
    };
    let (server, key) = (link_server(&link.server), bytes(link.key.as_bytes()));
    match &link.kind {
        LinkKind::Invitation(id) => {
            format!("CSLInvitation {form} ({server}) ({}) (LinkKey {key})", entity(id))
        }
        LinkKind::Contact(kind) => {
            let kind = match kind {
                ContactKind::Contact => "CCTContact",
                ContactKind::Channel => "CCTChannel",
                ContactKind::Group => "CCTGroup",
                ContactKind::Relay => "CCTRelay",
            };
            format!("CSLContact {form} {kind} ({server}) (LinkKey {key})")
        }
    }
}

/// What is known of the server: a key hash that is not is printed as an empty one.
fn link_server(link: &LinkServer) -> String {
    match link.address() {
        Some(address) => server(&address),
        None => protocol_server(link.hosts(), None, &[]),
    }
}

fn request(request: &ConnectionRequest) -> String {
    let queues: Vec<_> = request.queues().iter().map(queue).collect();
    let (first, rest) = queues.split_first().expect("a request has a queue");
    let data = format!(
        "ConnReqUriData {{crScheme = SSSimplex, crAgentVRange = {}, crSmpQueues = {first} :| [{}], \
         crClientData = {}}}",
        versions(request.versions),
        rest.join(","),
        optional(request.client_data().map(text))
    );
    match &request.ratchet {
        Some(keys) => format!("CRInvitationUri ({data}) ({})", ratchet_keys(keys)),
        None => format!("CRContactUri ({data})"),
    }
}

pub(super) fn queue(queue: &QueueUri) -> String {
    format!(
        "SMPQueueUri {{clientVRange = {}, queueAddress = {}}}",
        versions(queue.versions),
        queue_address(&queue.address)
    )
}

pub(super) fn queue_address(address: &QueueAddress) -> String {
    let mode = address.mode.map(|mode| match mode {
        QueueMode::Messaging => "QMMessaging".to_owned(),
        QueueMode::Contact => "QMContact".to_owned(),
    });
    format!(
        "SMPQueueAddress {{smpServer = {}, senderId = {}, dhPublicKey = {}, queueMode = {}}}",
        server(&address.server),
        entity(&address.sender_id),
        dh_key(&address.dh_key),
        optional(mode)
    )
}

fn ratchet_keys(keys: &RatchetKeys) -> String {
    let key = |raw: &[u8]| format!("PublicKeyX448 (PublicKey {})", bytes(raw));
    let kem =
        keys.kem.as_ref().map(|key| format!("(RKParamsProposed (KEMPublicKey_ {}))", bytes(key.as_bytes())));
    format!(
        "E2ERatchetParamsUri ({}) ({}) ({}) {}",
        versions(keys.versions),
        key(&keys.first.0),
        key(&keys.second.0),
        kem.map_or_else(|| "Nothing".to_owned(), |kem| format!("(Just {kem})"))
    )
}

fn user(user: &UserLinkData) -> String {
    let data = format!("UserLinkData {}", bytes(&user.data));
    match &user.contact {
        None => format!("InvitationLinkData ({}) ({data})", versions(user.versions)),
        Some(contact) => {
            let owners: Vec<_> = contact.owners.iter().map(owner).collect();
            let relays: Vec<_> = contact.relays.iter().map(|link| short_link(link, Form::Https)).collect();
            format!(
                "ContactLinkData ({}) (UserContactData {{direct = {}, owners = [{}], relays = [{}], \
                 userData = {data}}})",
                versions(user.versions),
                boolean(contact.direct),
                owners.join(","),
                relays.join(",")
            )
        }
    }
}

fn owner(owner: &LinkOwner) -> String {
    format!(
        "OwnerAuth {{ownerId = {}, ownerKey = {}, authOwnerSig = SignatureEd25519 (Signature {})}}",
        bytes(owner.id()),
        ed25519(&owner.key().0),
        bytes(owner.signature())
    )
}

fn ed25519(raw: &[u8; 32]) -> String {
    format!("PublicKeyEd25519 (PublicKey {})", bytes(raw))
}

fn versions(range: VersionRange) -> String {
    format!("VRange {{minVersion = Version {}, maxVersion = Version {}}}", range.min(), range.max())
}
