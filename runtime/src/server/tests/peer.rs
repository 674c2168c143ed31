//! A client that does only what it is told.

use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport, TransportEvent};
use smp_core::wire::{BatchWriter, SessionId, Version, decode_batch};

use super::World;
use crate::Runtime;
use crate::testing::TestStream;
use crate::tests::server_address;

pub(super) struct Peer {
    pub(super) stream: TestStream,
    transport: Transport,
    version: Version,
    session_id: SessionId,
    /// What the stream had no room for.
    unsent: Vec<u8>,
}

impl Peer {
    /// A client from this address whose handshake is done.
    pub(super) fn connect(world: &World, from: &str) -> Self {
        Self::over(world, world.connect(from), ClientOptions::default())
    }

    /// A client whose handshake is done, on a connection on which something else may have been said before.
    pub(super) fn over(world: &World, stream: TestStream, options: ClientOptions) -> Self {
        let config = ClientTransportConfig::new(*server_address().key_hash(), options);
        let transport = Transport::client(config.unwrap(), [5; 32], world.runtime.now());
        let (version, session_id) = (Version::MAX, SessionId::new(&[]).unwrap());
        let mut peer = Self { stream, transport, version, session_id, unsent: Vec::new() };
        for _ in 0..100 {
            peer.send(world);
            world.runtime.run();
            for event in peer.events(world) {
                if let TransportEvent::Ready(parameters) = event {
                    peer.send(world);
                    world.runtime.run();
                    (peer.version, peer.session_id) = (parameters.version, parameters.session_id.clone());
                    return peer;
                }
            }
        }
        panic!("the handshake failed");
    }

    /// Queues a block of as many PINGs and gives the stream what it has room for; false when it has no room for all.
    pub(super) fn ping(&mut self, world: &World, count: usize) -> bool {
        let transmission = [&[0][..], &self.session(), &[0, 0], b"PING"].concat();
        let mut writer = BatchWriter::new(self.transport.content_max());
        for _ in 0..count {
            assert!(writer.push(&transmission).unwrap().is_none());
        }
        self.transport.send_block(&writer.finish().unwrap());
        self.send(world)
    }

    /// Sends a block of commands on a queue that there is not.
    pub(super) fn bad_commands(&mut self, world: &World, count: usize) {
        let transmission =
            [&[64][..], &[7; 64], b"0", &self.session(), &[24], &[8; 24], &[24], &[9; 24], b"SUB"].concat();
        let mut writer = BatchWriter::new(self.transport.content_max());
        for _ in 0..count {
            assert!(writer.push(&transmission).unwrap().is_none());
        }
        self.transport.send_block(&writer.finish().unwrap());
        assert!(self.send(world));
    }

    /// Gives the stream what it has room for.
    pub(super) fn send(&mut self, _: &World) -> bool {
        while let Some(bytes) = self.transport.poll_transmit() {
            self.unsent.extend(bytes);
        }
        let given = self.stream.give(&self.unsent);
        self.unsent.drain(..given);
        self.unsent.is_empty()
    }

    /// Reads what is there, and counts the transmissions.
    pub(super) fn answers(&mut self, world: &World) -> usize {
        let count = |event| match event {
            TransportEvent::Block(content) => decode_batch(&content).unwrap().len(),
            _ => 0,
        };
        self.events(world).into_iter().map(count).sum()
    }

    /// Transmissions carry the session id in old versions only.
    fn session(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.version < Version::AUTH_COMMANDS {
            self.session_id.encode(&mut bytes);
        }
        bytes
    }

    fn events(&mut self, world: &World) -> Vec<TransportEvent> {
        self.transport.receive(world.runtime.now(), &self.stream.take()).unwrap();
        std::iter::from_fn(|| self.transport.poll_event()).collect()
    }
}
