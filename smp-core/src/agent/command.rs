//! Calls as they are kept.
//!
//! ```text
//! 1  user, pq, or `L`: later                    invite
//! 2  user                                       make an address
//! 3  user, pq, content                          make either with a short link
//! 4  content                                    set the short link
//! 5                                             delete it
//! 6  user, link                                 open one
//! 7  user, pq, info, request                    join
//! 8                                             go on with that
//! 9  user, pq, invitation id, info              accept
//! 10 confirmation id, info                      allow
//! 11                                            switch
//! 12 content, prepared link                     make an address that was prepared
//! 13 content, key                               set the short link, signed with this
//! 14 options, call                              a call whose queues are made in another way
//! 15 server                                     switch the queue on this server
//! ```
//!
//! The first byte is the number. A user is an `i64`; link and request are in their text form, a key in PKCS #8; what has no fixed length has four bytes
//! of length before it. The name of the connection is not written.

use bytes::Bytes;

use super::{
    Call, ConfirmationId, ConnectionId, InitialKeys, InvitationId, LinkContent, PreparedLink, QueueOptions,
    UserId,
};
use crate::crypto::Ed25519PrivateKey;
use crate::wire::codec::{DecodeError, Decoded, Reader, decode_all, put_bool};
use crate::wire::link::{ContactDetails, UserLinkData};
use crate::wire::{ServerAddress, Version, VersionRange};

/// The call as it is kept; none, if it is not one that can be.
pub(super) fn encode(call: &Call) -> Option<Bytes> {
    let mut out = Vec::new();
    match call {
        Call::Invite { user, pq } => {
            put_head(&mut out, INVITE, *user);
            out.push(match pq {
                InitialKeys::Off => b'F',
                InitialKeys::Later => b'L',
                InitialKeys::InLink => b'T',
            });
        }
        Call::CreateAddress { user } => put_head(&mut out, CREATE_ADDRESS, *user),
        Call::CreateWithLink { user, content, pq } => {
            put_head(&mut out, CREATE_WITH_LINK, *user);
            put_bool(&mut out, *pq);
            put_content(&mut out, content)?;
        }
        Call::SetLink(_, content) => {
            out.push(SET_LINK);
            put_content(&mut out, content)?;
        }
        Call::DeleteLink(_) => out.push(DELETE_LINK),
        Call::OpenLink { user, link, .. } => {
            put_head(&mut out, OPEN_LINK, *user);
            put_bytes(&mut out, link.to_string().as_bytes());
        }
        Call::Join { user, request, info, pq, .. } => {
            put_head(&mut out, JOIN, *user);
            put_bool(&mut out, *pq);
            put_bytes(&mut out, info);
            put_bytes(&mut out, request.to_string().as_bytes());
        }
        Call::Rejoin(_) => out.push(REJOIN),
        Call::Accept { user, invitation, info, pq, .. } => {
            put_head(&mut out, ACCEPT, *user);
            put_bool(&mut out, *pq);
            out.extend_from_slice(invitation.as_bytes());
            put_bytes(&mut out, info);
        }
        Call::Allow { confirmation, info, .. } => {
            out.push(ALLOW);
            out.extend_from_slice(confirmation.as_bytes());
            put_bytes(&mut out, info);
        }
        Call::Switch(_) => out.push(SWITCH),
        Call::CreateForLink { prepared, content } => {
            out.push(CREATE_FOR_LINK);
            put_content(&mut out, content)?;
            put_bytes(&mut out, &prepared.encode());
        }
        Call::SetLinkSigned(_, content, signer) => {
            out.push(SET_LINK_SIGNED);
            put_content(&mut out, content)?;
            put_bytes(&mut out, &signer.to_pkcs8_der());
        }
        Call::SwitchFrom(_, server) => {
            out.push(SWITCH_FROM);
            server.encode(&mut out);
        }
        Call::With(options, call) if call.makes_queues() => {
            out.extend_from_slice(&[WITH, options.queues.unwrap_or(0)]);
            put_bool(&mut out, options.only_create);
            put_bool(&mut out, options.check_notices);
            out.extend_from_slice(&encode(call)?);
        }
        _ => return None,
    }
    Some(out.into())
}

/// Reads what [`encode`] wrote, for this connection.
pub(super) fn decode(connection: ConnectionId, bytes: &Bytes) -> Option<Call> {
    decode_all(bytes, |reader| call(connection, reader)).ok()
}

fn call(connection: ConnectionId, reader: &mut Reader<'_>) -> Decoded<Call> {
    match reader.u8()? {
        WITH => {
            let queues = Some(reader.u8()?).filter(|queues| *queues > 0);
            let (only_create, check_notices) = (reader.bool()?, reader.bool()?);
            let options = QueueOptions { queues, only_create, check_notices };
            let call = plain_call(reader.u8()?, connection, reader)?;
            if call.makes_queues() { Ok(Call::With(options, Box::new(call))) } else { Err(DecodeError) }
        }
        kind => plain_call(kind, connection, reader),
    }
}

fn plain_call(kind: u8, connection: ConnectionId, reader: &mut Reader<'_>) -> Decoded<Call> {
    Ok(match kind {
        INVITE => {
            let user = user(reader)?;
            let pq = match reader.u8()? {
                b'F' => InitialKeys::Off,
                b'L' => InitialKeys::Later,
                b'T' => InitialKeys::InLink,
                _ => return Err(DecodeError),
            };
            Call::Invite { user, pq }
        }
        CREATE_ADDRESS => Call::CreateAddress { user: user(reader)? },
        CREATE_WITH_LINK => {
            let (user, pq) = (user(reader)?, reader.bool()?);
            Call::CreateWithLink { user, content: content(reader)?, pq }
        }
        SET_LINK => Call::SetLink(connection, content(reader)?),
        DELETE_LINK => Call::DeleteLink(connection),
        OPEN_LINK => Call::OpenLink { connection, user: user(reader)?, link: Box::new(text(reader)?) },
        JOIN => {
            let (user, pq, info) = (user(reader)?, reader.bool()?, counted(reader)?);
            Call::Join { connection, user, request: Box::new(text(reader)?), info, pq }
        }
        REJOIN => Call::Rejoin(connection),
        ACCEPT => {
            let (user, pq) = (user(reader)?, reader.bool()?);
            let invitation = InvitationId::new(reader.array()?);
            Call::Accept { connection, user, invitation, info: counted(reader)?, pq }
        }
        ALLOW => {
            let confirmation = ConfirmationId::new(reader.array()?);
            Call::Allow { connection, confirmation, info: counted(reader)? }
        }
        SWITCH => Call::Switch(connection),
        CREATE_FOR_LINK => {
            let content = content(reader)?;
            let prepared = PreparedLink::decode(&counted(reader)?)?;
            if prepared.connection() != connection {
                return Err(DecodeError);
            }
            Call::CreateForLink { prepared: Box::new(prepared), content }
        }
        SET_LINK_SIGNED => {
            let content = content(reader)?;
            let signer = Ed25519PrivateKey::from_pkcs8_der(&counted(reader)?).map_err(|_| DecodeError)?;
            Call::SetLinkSigned(connection, content, Box::new(signer))
        }
        SWITCH_FROM => Call::SwitchFrom(connection, Box::new(ServerAddress::decode(reader)?)),
        _ => return Err(DecodeError),
    })
}

fn put_head(out: &mut Vec<u8>, kind: u8, user: UserId) {
    out.push(kind);
    out.extend_from_slice(&user.0.to_be_bytes());
}

fn user(reader: &mut Reader<'_>) -> Decoded<UserId> {
    reader.i64().map(UserId)
}

/// Four bytes of length, then the bytes.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn counted(reader: &mut Reader<'_>) -> Decoded<Bytes> {
    let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError)?;
    reader.take(length).map(Bytes::copy_from_slice)
}

fn text<T: core::str::FromStr>(reader: &mut Reader<'_>) -> Decoded<T> {
    let bytes = counted(reader)?;
    core::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or(DecodeError)
}

/// Details as in the data of a link, which has room for no more; then the app's own data.
fn put_content(out: &mut Vec<u8>, content: &LinkContent) -> Option<()> {
    let contact = content.contact.as_deref().cloned();
    let fits = |contact: &ContactDetails| contact.owners.len() <= 255 && contact.relays.len() <= 255;
    if !contact.as_ref().is_none_or(fits) {
        return None;
    }
    let mut details = Vec::new();
    UserLinkData { versions: ANY, contact, data: Bytes::new() }.encode(&mut details);
    put_bytes(out, &details);
    put_bytes(out, &content.data);
    Some(())
}

fn content(reader: &mut Reader<'_>) -> Decoded<Box<LinkContent>> {
    let (details, data) = (counted(reader)?, counted(reader)?);
    let contact: Option<ContactDetails> = decode_all(&details, UserLinkData::decode)?.contact;
    Ok(Box::new(LinkContent { contact: contact.map(Box::new), data }))
}

/// Not read.
const ANY: VersionRange = VersionRange::only(Version(1));

const INVITE: u8 = 1;
const CREATE_ADDRESS: u8 = 2;
const CREATE_WITH_LINK: u8 = 3;
const SET_LINK: u8 = 4;
const DELETE_LINK: u8 = 5;
const OPEN_LINK: u8 = 6;
const JOIN: u8 = 7;
const REJOIN: u8 = 8;
const ACCEPT: u8 = 9;
const ALLOW: u8 = 10;
const SWITCH: u8 = 11;
const CREATE_FOR_LINK: u8 = 12;
const SET_LINK_SIGNED: u8 = 13;
const WITH: u8 = 14;
const SWITCH_FROM: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;
    use crate::crypto::X25519PrivateKey;
    use crate::wire::link::{ContactKind, LinkKey, LinkKind, ShortLink};
    use crate::wire::queue_uri::{QueueAddress, QueueUri};
    use crate::wire::{ConnectionRequest, QueueMode};

    const AT: ConnectionId = ConnectionId::new([3; 12]);

    fn calls() -> Vec<Call> {
        let server = || ServerAddress::new(vec!["smp.example".parse().unwrap()], None, [1; 32]).unwrap();
        let dh_key = X25519PrivateKey::generate(&mut SeededEntropy::new([1; 32])).public();
        let mode = Some(QueueMode::Contact);
        let address = QueueAddress { server: server(), sender_id: [2; 24].into(), dh_key, mode };
        let queue = QueueUri { versions: VersionRange::only(Version(4)), address };
        let request = ConnectionRequest::new(VersionRange::only(Version(7)), vec![queue], None).unwrap();
        let kind = LinkKind::Contact(ContactKind::Contact);
        let link = ShortLink { kind, server: server().into(), key: LinkKey::new([4; 32]) };
        let (user, pq, info) = (UserId(-5), true, Bytes::from(vec![7; 70_000]));
        let details = ContactDetails { direct: true, owners: Vec::new(), relays: vec![link.clone()] };
        let address = LinkContent { contact: Some(Box::new(details)), data: info.clone() };
        let content = || LinkContent { contact: None, data: "data".into() };
        vec![
            Call::Invite { user, pq: InitialKeys::InLink },
            Call::CreateAddress { user },
            Call::CreateWithLink { user, content: Box::new(address), pq },
            Call::SetLink(AT, Box::new(content())),
            Call::DeleteLink(AT),
            Call::OpenLink { connection: AT, user, link: Box::new(link) },
            Call::Join { connection: AT, user, request: Box::new(request), info: info.clone(), pq },
            Call::Rejoin(AT),
            Call::Accept {
                connection: AT,
                user,
                invitation: InvitationId::new([5; 12]),
                info: info.clone(),
                pq,
            },
            Call::Allow { connection: AT, confirmation: ConfirmationId::new([6; 12]), info },
            Call::Switch(AT),
            Call::CreateForLink {
                prepared: Box::new(PreparedLink::sample(AT)),
                content: Box::new(content()),
            },
            Call::SetLinkSigned(AT, Box::new(content()), Box::new(Ed25519PrivateKey::from_bytes(&[8; 32]))),
            Call::With(
                QueueOptions { queues: Some(3), only_create: true, check_notices: false },
                Box::new(Call::CreateAddress { user }),
            ),
            Call::SwitchFrom(AT, Box::new(server())),
        ]
    }

    #[test]
    fn a_prepared_link_is_of_one_connection() {
        let prepared = Box::new(PreparedLink::sample(AT));
        let content = Box::new(LinkContent { contact: None, data: Bytes::new() });
        let bytes = encode(&Call::CreateForLink { prepared, content }).expect("it can be kept");
        assert!(decode(AT, &bytes).is_some());
        assert!(decode(ConnectionId::new([4; 12]), &bytes).is_none());
    }

    #[test]
    fn calls_are_read_as_they_were_written() {
        for (call, number) in calls().iter().zip(1..) {
            let bytes = encode(call).expect("it can be kept");
            assert_eq!(bytes.first(), Some(&number));
            let read = decode(AT, &bytes).expect("it can be read");
            assert!(encode(&read) == Some(bytes.clone()), "call {number}");
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert!(decode(AT, &longer.into()).is_none(), "call {number}");
            assert!((0..bytes.len()).rev().take(60).all(|end| decode(AT, &bytes.slice(..end)).is_none()));
        }
        for pq in [InitialKeys::Off, InitialKeys::Later, InitialKeys::InLink] {
            let bytes = encode(&Call::Invite { user: UserId(1), pq }).expect("it can be kept");
            assert!(matches!(decode(AT, &bytes), Some(Call::Invite { pq: read, .. }) if read == pq));
        }
        let with = |call| Call::With(QueueOptions::default(), Box::new(call));
        assert!(encode(&with(Call::Switch(AT))).is_none() && encode(&with(with(Call::Rejoin(AT)))).is_none());
        let nested = [WITH, 0, b'F', b'F', WITH, 0, b'F', b'F', REJOIN];
        assert!(decode(AT, &nested.to_vec().into()).is_none());
        assert!(encode(&Call::Users).is_none() && encode(&Call::Many(Vec::new())).is_none());
    }
}
