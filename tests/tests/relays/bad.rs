//! Relays that do not do what they should.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use smp_core::crypto::ForwardLayer;
use smp_core::transport::identity::{Algorithm, ServerIdentity};
use smp_core::transport::tls::{Alpn, ServerTls};
use smp_core::transport::{Parameters, ServerOptions, ServerTransportConfig, Transport, TransportEvent};
use smp_core::wire::codec::decode_all;
use smp_core::wire::{
    BrokerMessage, ClientTransmission, Command, CorrelationId, EntityId, FwdResponse, FwdTransmission,
    ServerTransmission, Version, decode_batch, encode_single,
};
use smp_core::{Now, Timestamp};
use smp_tests::peer::{Address, Link, bytes, now};
use smp_tests::server::identity;

/// The body of the messages that are answered by a relay that answers some.
pub(crate) const ANSWERED: &[u8] = b"please";

/// What is wrong with a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Conduct {
    /// It answers the messages that are [`ANSWERED`], and no other.
    AnswersSome,
    /// It answers none.
    Silent,
    /// It closes the connection when it gets one.
    Cuts,
    /// It closes the connection in the handshake, each time at another point.
    HangsUp,
    /// It stops in the handshake, likewise.
    Stalls,
}

/// A bad relay. It ends with the process.
pub(crate) struct BadRelay {
    pub(crate) address: Address,
    seen: Arc<AtomicUsize>,
}

impl Conduct {
    pub(crate) const ALL: [Self; 5] =
        [Self::AnswersSome, Self::Silent, Self::Cuts, Self::HangsUp, Self::Stalls];
}

impl BadRelay {
    pub(crate) fn start(conduct: Conduct) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let identity = identity(Algorithm::Ed25519);
        let socket = listener.local_addr().expect("an address");
        let address = Address { socket, fingerprint: *identity.fingerprint() };
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        thread::spawn(move || {
            for (attempt, socket) in listener.incoming().enumerate() {
                let (identity, seen) = (identity.clone(), Arc::clone(&counted));
                let socket = socket.expect("a connection");
                // A proxy that gives up a connection is no failure of its relay.
                thread::spawn(move || _ = conduct.serve(socket, attempt, identity, &seen));
            }
        });
        Self { address, seen }
    }

    /// Commands and connections that it has seen, which it counts by its conduct.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Conduct {
    /// `None` when the proxy ended the connection.
    fn serve(
        self,
        socket: TcpStream,
        attempt: usize,
        identity: ServerIdentity,
        seen: &AtomicUsize,
    ) -> Option<()> {
        match self {
            Self::AnswersSome | Self::Silent | Self::Cuts => self.take_commands(socket, identity, seen),
            Self::HangsUp | Self::Stalls => {
                seen.fetch_add(1, Ordering::Relaxed);
                self.break_off(socket, attempt, &identity)
            }
        }
    }

    /// Up to a point of the handshake: nothing, TLS, or TLS and a part of the hello.
    fn break_off(self, mut socket: TcpStream, attempt: usize, identity: &ServerIdentity) -> Option<()> {
        let point = attempt % 3;
        if point == 0 {
            return if self == Self::Stalls { wait_for_end(&mut socket) } else { None };
        }
        let tls = ServerTls::new(identity, Alpn::server(), false).expect("a configuration of TLS");
        let mut link = Link::accept(socket, &tls).ok()?;
        if point == 2 {
            link.send(&[0; 1000]).ok()?;
        }
        if self == Self::Stalls { link.receive(1).map(|_| ()).ok() } else { None }
    }

    fn take_commands(
        self,
        mut socket: TcpStream,
        identity: ServerIdentity,
        seen: &AtomicUsize,
    ) -> Option<()> {
        let now = || Now { mono: Timestamp::ZERO, unix: now() };
        let config = ServerTransportConfig::new(identity, ServerOptions::default()).expect("TLS");
        let mut transport = Transport::server(config, bytes(), now());
        let mut session = None;
        let mut buffer = [0; 16 * 1024];
        loop {
            while let Some(output) = transport.poll_transmit() {
                socket.write_all(&output).ok()?;
            }
            match transport.poll_event() {
                Some(TransportEvent::Ready(parameters)) => session = Some(parameters),
                Some(TransportEvent::Block(content)) => {
                    seen.fetch_add(1, Ordering::Relaxed);
                    let session = session.as_ref().expect("a handshake");
                    match self {
                        Self::Cuts => return None,
                        Self::AnswersSome => answer(session, &content)
                            .into_iter()
                            .for_each(|answer| transport.send_block(&answer)),
                        _ => {}
                    }
                }
                Some(_) => return None,
                None => {
                    let count = socket.read(&mut buffer).ok().filter(|count| *count > 0)?;
                    transport.receive(now(), &buffer[..count]).ok()?;
                }
            }
        }
    }
}

/// Takes what comes. What else there is to say of the end, nobody listens to.
fn wait_for_end(socket: &mut TcpStream) -> Option<()> {
    while socket.read(&mut [0; 1024]).ok()? > 0 {}
    None
}

/// The answer to a forwarded message, if it is one that is answered: OK, in both layers.
fn answer(session: &Parameters, content: &Bytes) -> Option<Vec<u8>> {
    let read = |version, content: &Bytes| {
        let items = decode_batch(content).expect("a batch");
        let item =
            ClientTransmission::decode(version, &session.session_id, &items[0]).expect("one transmission");
        let command = Command::decode(version, &item.command).expect("a command");
        (item.correlation_id, item.entity_id, command)
    };
    let key = session.session_key.as_ref().expect("a key of this server");
    let proxys = session.peer_key.as_ref().expect("a key of the proxy");

    let (outer, _, Command::Rfwd(sealed)) = read(session.version, content) else { panic!("no RFWD") };
    let proxy = ForwardLayer::of_proxy(&key.diffie_hellman(proxys).expect("a good key").box_key(), &outer);
    let opened = proxy.open_command(&sealed).expect("the layer of the proxy").into();
    let forwarded = decode_all(&opened, FwdTransmission::decode).expect("what a client sent");
    let FwdTransmission { correlation_id, request } = forwarded;

    let client =
        ForwardLayer::of_client(&key.diffie_hellman(&request.key).expect("a good key"), &correlation_id);
    let opened = client.open_command(&request.encrypted).expect("the layer of the client").into();
    let (inner, entity, Command::Send { body, .. }) = read(request.version, &opened) else {
        panic!("no SEND")
    };
    if body != ANSWERED {
        return None;
    }
    let ok = batch(session, request.version, inner, entity, &BrokerMessage::Ok);
    let encrypted = client.seal_answer(&ok).expect("a short answer").into();
    let mut response = Vec::new();
    FwdResponse { correlation_id, encrypted }.encode(&mut response);
    let answer =
        BrokerMessage::RRes(proxy.seal_answer(&response).expect("it has no length of its own").into());
    Some(batch(session, session.version, outer, EntityId::empty(), &answer))
}

fn batch(
    session: &Parameters,
    version: Version,
    correlation_id: CorrelationId,
    entity_id: EntityId,
    answer: &BrokerMessage,
) -> Vec<u8> {
    let (mut message, mut item) = (Vec::new(), Vec::new());
    answer.encode(version, &mut message);
    ServerTransmission { correlation_id, entity_id, message: message.into() }.encode(
        version,
        &session.session_id,
        &mut item,
    );
    encode_single(&item).expect("it fits")
}
