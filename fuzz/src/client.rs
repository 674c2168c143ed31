//! A client behind its handshake: the input is a program of what its caller asks and what a server answers.
//!
//! Each command must be answered exactly once, unless it is cancelled, and time must move the timers.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use smp_core::client::{Client, ClientInput, ClientLimits, ClientOutput, CommandId, QueueKeys, Request};
use smp_core::transport::block::BlockCodec;
use smp_core::transport::{ClientOptions, ClientTransportConfig, PlainPeer, Transport, TransportEvent};
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::{
    BatchWriter, BrokerMessage, ClientTransmission, Command, CorrelationId, EntityId, MessageId,
    ServerTransmission, SessionId, Version, VersionRange, decode_batch,
};
use smp_core::{Now, SeededEntropy, Timestamp};

use crate::certificates::NOW;
use crate::input::Input;
use crate::server::world::{KEY_HASH, TRANSPORT};

/// What a server and a caller do to a client.
///
/// # Panics
/// When the client breaks a promise.
pub fn client(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut run = Run::new(input.version());
    run.drain();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.drain();
    }
    run.input(ClientInput::Close);
    run.drain();
    assert!(run.is_closed && run.open.is_empty(), "commands without an answer");
    assert_eq!(run.client.commands(), 0);
}

struct Run {
    client: Client,
    /// The server's transport; what is above it is the input.
    server: Transport,
    version: Version,
    /// Commands that wait for their answer.
    open: BTreeSet<CommandId>,
    /// What the client sent: the ids that answers go to.
    asked: Vec<(CorrelationId, EntityId)>,
    keys: QueueKeys,
    last_command: u64,
    /// Bytes that the socket has not taken, and whether it takes any.
    waiting: usize,
    is_slow: bool,
    is_closed: bool,
    now: Now,
}

impl Run {
    fn new(version: Version) -> Self {
        let now = Now { mono: Timestamp::ZERO, unix: NOW };
        let mut entropy = SeededEntropy::new([2; 32]);
        let options = ClientOptions {
            versions: VersionRange::new(Version::MIN, version).expect("no less than the least"),
            sends_key: false,
            ..ClientOptions::default()
        };
        let config = ClientTransportConfig::new(*KEY_HASH, options).expect("a usable configuration");
        let peer = PlainPeer { session_id: SESSION_ID, has_alpn: true, ..PlainPeer::default() };
        let server = Transport::plain_server(TRANSPORT.clone(), peer.clone(), entropy.fork_seed(), now);
        let peer = PlainPeer { certificates: server_chain(), ..peer };
        let transport = Transport::plain_client(config, peer, entropy.fork_seed(), now);
        let mut limits = ClientLimits::default();
        (limits.commands, limits.late_answers, limits.waiting_bytes) = (16, 8, 40_000);
        Self {
            client: Client::new(limits, transport, entropy.fork_seed(), now),
            server,
            version,
            open: BTreeSet::new(),
            asked: Vec::new(),
            keys: QueueKeys::generate(&mut entropy),
            last_command: 0,
            waiting: 0,
            is_slow: false,
            is_closed: false,
            now,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0 => self.input(ClientInput::Received(input.slice())),
            1 => self.say(input.slice()),
            2 => self.pass(Duration::from_millis(1 << input.below(24))),
            3 => self.is_slow = input.below(2) == 1,
            4 if input.below(8) == 0 => self.input(ClientInput::Eof),
            4 => {
                let id = CommandId(self.last_command.saturating_sub(input.u8().into()));
                self.open.remove(&id);
                self.input(ClientInput::Cancel(id));
            }
            5..=10 => self.answer(input),
            _ => self.ask(input),
        }
    }

    fn ask(&mut self, input: &mut Input<'_>) {
        let queue = EntityId::from([input.u8() % 4; 24]);
        let key = self.keys.auth.clone();
        let message = MessageId::from([3; 24]);
        let request = match input.below(10) {
            0 => Request::create(self.keys.new_queue(SubscriptionMode::Subscribe), key),
            1 | 2 => Request::subscribe(queue, key),
            3 => Request::receive(queue, key),
            4 => Request::acknowledge(queue, key, message),
            5 => Request::queue_info(queue, key),
            6 => Request::ping(),
            7 => Request::delete(queue, key).with_timeout(Duration::from_millis(input.u16().into())),
            8 => {
                let body = Bytes::from(vec![0; usize::from(input.u16() % 17_000)]);
                Request::send(queue, Some(key), MessageFlags { notification: true }, body)
            }
            _ => match Command::decode(self.version, &Bytes::copy_from_slice(input.slice())) {
                Ok(command) => Request::raw(command, queue, Some(key)).with_correlation_id([input.u8(); 24]),
                Err(_) => return,
            },
        };
        self.last_command += 1;
        let id = CommandId(self.last_command);
        self.open.insert(id);
        self.input(ClientInput::Command(id, request));
    }

    /// A block with a few transmissions, each the answer to a command or to none.
    fn answer(&mut self, input: &mut Input<'_>) {
        let mut writer = BatchWriter::new(BlockCodec::Plain.content_max());
        for _ in 0..=input.below(4) {
            let asked = self.asked.iter().rev().nth(input.u8().into()).cloned();
            let (mut correlation_id, mut entity_id) = asked.unwrap_or_default();
            match input.below(8) {
                0 => correlation_id = CorrelationId::empty(),
                1 => entity_id = EntityId::from([input.u8() % 4; 24]),
                _ => {}
            }
            let message = match input.below(6) {
                0 => Bytes::from_static(b"PONG"),
                1 => Bytes::from_static(b"END"),
                2 => self.message(&BrokerMessage::Msg { id: MessageId::from([3; 24]), body: Bytes::new() }),
                3 | 4 => Bytes::copy_from_slice(input.slice()),
                _ => Bytes::from_static(b"OK"),
            };
            let mut item = Vec::new();
            let transmission = ServerTransmission { correlation_id, entity_id, message };
            transmission.encode(self.version, &session(), &mut item);
            if let Ok(Some(content)) = writer.push(&item) {
                self.say(&content);
            }
        }
        if let Some(content) = writer.finish() {
            self.say(&content);
        }
    }

    fn message(&self, message: &BrokerMessage) -> Bytes {
        let mut out = Vec::new();
        message.encode(self.version, &mut out);
        out.into()
    }

    /// The server sends a block.
    fn say(&mut self, content: &[u8]) {
        if let Ok(block) = BlockCodec::Plain.write(content) {
            self.input(ClientInput::Received(&block));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        self.drain();
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.advanced_to(due);
            self.input(ClientInput::Timeout);
            self.drain();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now.mono), "a timer fired and did not move");
        }
        self.now = self.now.advanced_to(end);
    }

    fn input(&mut self, input: ClientInput<'_>) {
        self.client.handle(self.now, input);
    }

    /// Carries out what the client wants, and what the server's transport answers in the handshake.
    fn drain(&mut self) {
        loop {
            while let Some(bytes) = self.server.poll_transmit() {
                self.input(ClientInput::Received(&bytes));
            }
            let due = self.client.poll_timeout();
            let Some(output) = self.client.poll_output() else { break };
            assert!(due.is_some_and(|due| due <= self.now.mono), "output would wait");
            self.carry_out(output);
        }
        assert_eq!(self.client.commands(), self.open.len(), "it forgot a command, or remembers one");
    }

    fn carry_out(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Send(bytes) => {
                assert!(!self.is_closed, "it speaks after the end");
                self.waiting += bytes.len();
                // A server that the client has broken with may not take all.
                let _ = self.server.receive(self.now, &bytes);
                self.read();
            }
            ClientOutput::Answer(id, _) => assert!(self.open.remove(&id), "an answer that nobody waits for"),
            ClientOutput::Close(_) => {
                assert!(!self.is_closed, "it ends twice");
                self.is_closed = true;
            }
            ClientOutput::Connected(version) => assert_eq!(version, self.version),
            ClientOutput::Event(_) => {}
        }
        if !self.is_slow && self.waiting > 0 {
            let count = std::mem::take(&mut self.waiting);
            self.input(ClientInput::Sent(count));
        }
    }

    /// Reads what the client sent: a server must be able to.
    fn read(&mut self) {
        while let Some(event) = self.server.poll_event() {
            let TransportEvent::Block(content) = event else { continue };
            for item in decode_batch(&content).expect("a batch") {
                let item =
                    ClientTransmission::decode(self.version, &session(), &item).expect("a transmission");
                Command::decode(self.version, &item.command).expect("a command");
                self.asked.push((item.correlation_id, item.entity_id));
            }
        }
    }
}

fn server_chain() -> Vec<Bytes> {
    crate::server::world::IDENTITY.chain().to_vec()
}

fn session() -> SessionId {
    SessionId::new(&SESSION_ID).expect("32 bytes")
}

const SESSION_ID: [u8; 32] = [b's'; 32];
const STEPS_MAX: usize = 64;
