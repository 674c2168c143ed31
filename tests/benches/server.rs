//! `cargo bench -p smp-tests`: blocks and messages through the machines, each beside the sum of its cryptographic
//! primitives, measured in turn in the same run. Ratios are for people; nothing fails by them.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce as TlsNonce, UnboundKey};
use smp_core::SeededEntropy;
use smp_core::crypto::{
    AuthPrivateKey, BlockChain, BoxKey, DhSecret, Ed25519PrivateKey, Nonce, SecretKey, ed25519,
};
use smp_core::server::{ServerConfig, SessionInput};
use smp_core::transport::block::BlockCodec;
use smp_core::transport::{ClientOptions, ServerOptions};
use smp_core::wire::command::SubscriptionMode;
use smp_core::wire::{BrokerMessage, Command, MessageId, Version};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, TestQueue, send};

const BLOCK: usize = 16384;

/// Two connections to a server, and a queue between them.
struct World {
    server: InMemoryServer,
    recipient: InMemoryPeer,
    sender: InMemoryPeer,
    queue: TestQueue,
    sender_key: AuthPrivateKey,
    command: Command,
}

impl World {
    fn new() -> Self {
        let mut server = InMemoryServer::new(ServerConfig::default(), ServerOptions::default());
        let mut recipient = server.connect(ClientOptions::default());
        let sender = server.connect(ClientOptions::default());
        let queue = recipient.create(&mut server, SubscriptionMode::Subscribe);
        let key = recipient.new_key();
        let secure = Command::Key(key.public());
        recipient.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &secure);
        let command = send(&vec![7; Version::MAX.message_length_max()]);
        Self { server, recipient, sender, queue, sender_key: key, command }
    }

    /// SEND, its OK, MSG, its ACK, and the OK of that: five blocks. Counts the server's time alone.
    fn message(&mut self) -> Duration {
        let send = self.sender.block(Some(&self.sender_key), &self.queue.sender_id, &self.command);
        let mut spent = self.give(true, &send);
        let message = self.take(false).expect("a message");
        assert!(self.take(true).is_none());
        let ack = Command::Ack(message);
        let ack = self.recipient.block(Some(&self.queue.recipient_key), &self.queue.recipient_id, &ack);
        spent += self.give(false, &ack);
        assert!(self.take(false).is_none());
        spent
    }

    fn give(&mut self, sender: bool, blocks: &[Vec<u8>]) -> Duration {
        let id = if sender { self.sender.id } else { self.recipient.id };
        let start = Instant::now();
        for bytes in blocks {
            self.server.input(id, SessionInput::Received(black_box(bytes)));
        }
        start.elapsed()
    }

    /// Reads what the server sent, and tells which message was in it.
    fn take(&mut self, sender: bool) -> Option<MessageId> {
        let peer = if sender { &mut self.sender } else { &mut self.recipient };
        for bytes in self.server.take_output(peer.id) {
            peer.take_bytes(self.server.now, &bytes);
            self.server.input(peer.id, SessionInput::Sent(bytes.len()));
        }
        peer.take().into_iter().find_map(|(_, message)| match message {
            BrokerMessage::Msg { id, .. } => Some(id),
            _ => None,
        })
    }
}

/// The cryptographic primitives of one message on the server.
struct Primitives {
    tls: LessSafeKey,
    key: BoxKey,
    chain: BlockChain,
    public: [u8; 32],
    body: Vec<u8>,
    body_signature: [u8; 64],
    ack_signature: [u8; 64],
    buffer: Vec<u8>,
}

impl Primitives {
    fn new() -> Self {
        let key = Ed25519PrivateKey::generate(&mut SeededEntropy::new([1; 32]));
        let body = vec![7; Version::MAX.message_length_max() + 100];
        let tls = UnboundKey::new(&CHACHA20_POLY1305, &[3; 32]).expect("a key");
        Self {
            tls: LessSafeKey::new(tls),
            key: SecretKey::new([2; 32]).box_key(),
            chain: BlockChain::pair(&[4; 32], &DhSecret::new([5; 32])).0,
            public: key.public(),
            body_signature: key.sign(&body),
            ack_signature: key.sign(&body[..120]),
            body,
            buffer: vec![0; BLOCK],
        }
    }

    fn tls_record(&mut self) {
        let nonce = TlsNonce::assume_unique_for_key([0; 12]);
        let tag = self.tls.seal_in_place_separate_tag(nonce, Aad::empty(), black_box(&mut self.buffer));
        let _ = black_box(tag.expect("a tag"));
    }

    /// A key of the chain and a box: what encrypting or decrypting a block takes inside TLS.
    fn block_box(&mut self) {
        let (key, nonce) = self.chain.step();
        key.box_key().seal_in_place(&nonce, black_box(&mut self.buffer)).expect("a box");
    }

    fn block(&mut self) {
        self.tls_record();
        self.block_box();
    }

    /// Five blocks, the box around the delivered body, and two verifications.
    fn message(&mut self) {
        (0..5).for_each(|_| self.block());
        self.key.seal_in_place(&Nonce::from_bytes([0; 24]), black_box(&mut self.buffer)).expect("a box");
        assert!(ed25519::verify(&self.public, black_box(&self.body), &self.body_signature));
        assert!(ed25519::verify(&self.public, black_box(&self.body[..120]), &self.ack_signature));
    }
}

fn codecs() -> (BlockCodec, BlockCodec) {
    let secret = DhSecret::new([5; 32]);
    let (server, client) = BlockChain::pair(&[4; 32], &secret);
    let (server2, client2) = BlockChain::pair(&[4; 32], &secret);
    (
        BlockCodec::Encrypted { sent: server, received: client },
        BlockCodec::Encrypted { sent: client2, received: server2 },
    )
}

fn benches(criterion: &mut Criterion) {
    let content = vec![7; BLOCK - 18];
    let (mut writer, mut reader) = codecs();
    let mut primitives = Primitives::new();
    let mut group = criterion.benchmark_group("block");
    group.bench_function("encode", |b| b.iter(|| writer.write(black_box(&content)).expect("it fits")));
    let (mut writer2, _) = codecs();
    group.bench_function("decode", |b| {
        b.iter_batched(
            || writer2.write(&content).expect("it fits"),
            |block| reader.read(block).expect("a good block"),
            criterion::BatchSize::NumIterations(1),
        );
    });
    group.bench_function("primitives", |b| b.iter(|| primitives.block_box()));
    group.finish();
    let mut world = World::new();
    let mut group = criterion.benchmark_group("message");
    group.bench_function("SEND to MSG to ACK", |b| {
        b.iter_custom(|count| (0..count).map(|_| world.message()).sum());
    });
    group.bench_function("primitives", |b| b.iter(|| primitives.message()));
    group.finish();
    ratios(&mut world, &mut primitives, &content);
}

/// The same once more, in turn, so that a change of the machine's speed changes both sides.
fn ratios(world: &mut World, primitives: &mut Primitives, content: &[u8]) {
    let (mut writer, mut reader) = codecs();
    let (mut encode, mut decode, mut message) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2000 {
        let boxed = time(|| primitives.block_box());
        let mut block = Vec::new();
        encode.push(ratio(time(|| block = writer.write(content).expect("it fits")), boxed));
        let boxed = time(|| primitives.block_box());
        decode.push(ratio(
            time(|| drop(reader.read(std::mem::take(&mut block)).expect("a good block"))),
            boxed,
        ));
        let sum = time(|| primitives.message());
        message.push(ratio(world.message(), sum));
    }
    println!("ratio to the sum of the primitives, median of {}:", message.len());
    println!("  encode a block        {:.2}", median(encode));
    println!("  decode a block        {:.2}", median(decode));
    println!("  SEND to MSG to ACK    {:.2}", median(message));
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

criterion_group!(all, benches);
criterion_main!(all);
