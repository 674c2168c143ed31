//! Each limit that the shell keeps: what happens when it is reached. Those of the machines have their tests where the
//! machines are joined in memory.

use smp_core::server::Limits;

use super::peer::Peer;
use super::*;

macro_rules! every_limit {
    (shell: $($shell:ident)+; machines: $($machine:ident)+;) => {
        mod of_the_shell {
            $(#[test] fn $shell() { super::$shell(); })+
        }

        #[test]
        fn there_are_no_others() {
            let Limits { $($shell: _,)+ $($machine: _,)+ } = Limits::default();
        }
    };
}

every_limit! {
    shell:
        connections connections_per_address new_connections_per_address new_connections_interval handshakes
        handshake_timeout accepts_in_turn accept_pause_min accept_pause_max verifications_in_turn rounds_in_turn
        queued_output queued_bytes closing_timeout closing_input http_connections http_head_bytes http_requests
        http_timeout;
    machines:
        commands_in_flight input_bytes stalled_input output_bytes stalled_output deliveries_in_flight
        subscriptions get_queues recipient_keys notifications services client_forwards relay_forwards relays relay_failures
        relay_failure_ttl relay_connecting relay_answer relay_idle forwarded_keys expiry_queues;
}

use super::web::{http_connections, http_head_bytes, http_requests, http_timeout};

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_millis(1);
const BLOCK: usize = 16384;

fn world(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::default();
    change(&mut limits);
    World::new(limits)
}

impl World {
    /// How many connections from this address are let in, of ten at once. They stay.
    fn let_in(&self, from: &str) -> usize {
        let streams: Vec<_> = (0..10).map(|_| self.connect(from)).collect();
        let open = streams.iter().filter(|stream| !stream.is_at_end()).count();
        std::mem::forget(streams);
        open
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusal = |event| match event {
            ServerEvent::Refused(refusal) => Some(refusal),
            _ => None,
        };
        self.events().into_iter().filter_map(refusal).collect()
    }
}

fn connections() {
    let world = world(|limits| limits.connections = 3);
    assert_eq!(world.let_in("192.0.2.1"), 3);
    assert_eq!(world.refusals(), [Refusal::Full; 7]);
}

fn connections_per_address() {
    let world = world(|limits| limits.connections_per_address = 3);
    assert_eq!(world.let_in("192.0.2.1"), 3);
    assert_eq!(world.refusals(), [Refusal::AddressFull; 7]);
    // Others get in, this machine as often as it likes.
    assert_eq!((world.let_in("192.0.2.2"), world.let_in("127.0.0.1")), (3, 10));
}

/// Connections that come and go at once are refused as well.
fn new_connections_per_address() {
    let world = world(|limits| limits.new_connections_per_address = 3);
    for _ in 0..3 {
        let stream = world.connect("192.0.2.1");
        assert!(!stream.is_at_end());
        stream.break_other_side(Fault::Error(io::ErrorKind::ConnectionReset));
        world.runtime.run();
    }
    assert_eq!(world.connections(), 0);
    assert_eq!(world.let_in("192.0.2.1"), 0);
    assert_eq!(world.refusals(), [Refusal::AddressTooFast; 10]);
    assert_eq!((world.let_in("192.0.2.2"), world.let_in("::1")), (3, 10));
}

fn new_connections_interval() {
    let world = world(|limits| {
        (limits.new_connections_per_address, limits.new_connections_interval) = (3, 5 * SECOND);
    });
    assert_eq!(world.let_in("192.0.2.1"), 3);
    world.runtime.advance(5 * SECOND - INSTANT);
    assert_eq!(world.let_in("192.0.2.1"), 0);
    world.runtime.advance(INSTANT);
    assert_eq!(world.let_in("192.0.2.1"), 3);
}

fn handshakes() {
    let world = world(|limits| limits.handshakes = 3);
    // Whoever speaks SMP counts no more.
    let connected: Vec<_> = (0..5).map(|_| Peer::connect(&world, "192.0.2.1")).collect();
    assert_eq!(world.let_in("127.0.0.1"), 3);
    assert_eq!(world.refusals(), [Refusal::Handshakes; 7]);
    world.runtime.advance(Limits::default().handshake_timeout);
    assert_eq!(world.let_in("127.0.0.1"), 3, "those before were closed");
    drop(connected);
}

fn handshake_timeout() {
    let world = world(|limits| limits.handshake_timeout = 3 * SECOND);
    let stream = world.connect("192.0.2.1");
    world.runtime.advance(3 * SECOND - INSTANT);
    assert!(!stream.is_at_end());
    world.runtime.advance(INSTANT);
    stream.take();
    assert!(stream.is_at_end());
}

/// A flood of connections leaves those that are there their turn.
fn accepts_in_turn() {
    let most_at_once = |accepts_in_turn| {
        let world = world(|limits| limits.accepts_in_turn = accepts_in_turn);
        for _ in 0..50 {
            let stream = world.runtime.connect_from([192, 0, 2, 1].into(), LISTENS_ON).unwrap();
            stream.break_other_side(Fault::Error(io::ErrorKind::ConnectionReset));
        }
        world.runtime.run();
        let events = world.events();
        let runs = events.split(|event| !matches!(event, ServerEvent::Accepted(_)));
        runs.map(<[_]>::len).max().unwrap()
    };
    assert_eq!((most_at_once(7), most_at_once(50)), (7, 50));
}

fn accept_pause_min() {
    let world = world(|limits| limits.accept_pause_min = Duration::from_millis(30));
    world.runtime.fail_accept(LISTENS_ON, io::ErrorKind::Other);
    let _stream = world.connect("192.0.2.1");
    world.runtime.advance(Duration::from_millis(29));
    assert_eq!(world.connections(), 0);
    world.runtime.advance(INSTANT);
    assert_eq!(world.connections(), 1);
}

fn accept_pause_max() {
    let pause = Duration::from_millis(15);
    let world = world(|limits| limits.accept_pause_max = pause);
    for _ in 0..10 {
        world.runtime.fail_accept(LISTENS_ON, io::ErrorKind::Other);
    }
    let _stream = world.connect("192.0.2.1");
    world.runtime.advance(Limits::default().accept_pause_min + 9 * pause - INSTANT);
    assert_eq!(world.connections(), 0);
    world.runtime.advance(INSTANT);
    assert_eq!(world.connections(), 1);
}

/// Commands that cost processor time are answered a few at a time, and others have their turn in between.
fn verifications_in_turn() {
    let turns = |verifications_in_turn| {
        let world = world(|limits| limits.verifications_in_turn = verifications_in_turn);
        let (mut peer, mut honest) = (Peer::connect(&world, "192.0.2.1"), Peer::connect(&world, "192.0.2.2"));
        peer.bad_commands(&world, 20);
        world.runtime.run();
        let mut turns = 0;
        while peer.answers(&world) == 0 {
            assert!(honest.ping(&world, 1));
            world.runtime.advance(Duration::from_micros(1));
            assert_eq!(honest.answers(&world), 1);
            turns += 1;
            assert!(turns < 1000);
        }
        turns
    };
    assert_eq!((turns(1), turns(5), turns(20)), (19, 3, 0));
}

fn rounds_in_turn() {
    let turns = |rounds_in_turn| {
        let world = world(|limits| limits.rounds_in_turn = rounds_in_turn);
        let mut peer = Peer::connect(&world, "192.0.2.1");
        for _ in 0..3 {
            assert!(peer.ping(&world, 1));
        }
        std::iter::from_fn(|| world.runtime.step(|_| 0).then_some(())).count()
    };
    // Two blocks; their answers and one block; its answer; nothing. Or all at once.
    assert_eq!((turns(1), turns(1000)), (4, 1));
}

/// How many blocks of a peer that reads nothing are read.
fn blocks_read(limits: impl FnOnce(&mut Limits)) -> usize {
    let world = world(limits);
    let mut peer = Peer::connect(&world, "192.0.2.1");
    let blocks = (0..100).take_while(|_| {
        let sent = peer.ping(&world, 1);
        world.runtime.run();
        sent || peer.send(&world)
    });
    blocks.count()
}

fn queued_output() {
    let (little, much) = (
        blocks_read(|limits| limits.queued_output = BLOCK),
        blocks_read(|limits| limits.queued_output = 10 * BLOCK),
    );
    // The first four answers are in the stream, as many questions wait in the other direction.
    assert!((6..=11).contains(&little), "{little}");
    assert!(much >= little + 8, "{little} and {much}");
}

/// Peers that send and do not read hold no more than all may together, and others are served.
fn queued_bytes() {
    const PEERS: usize = 12;
    /// What each may hold beside: what was read at a time, two blocks, has answers of as many.
    const BESIDE: usize = 3 * (BLOCK + 22);
    let budget = 10 * BLOCK;
    let world = world(|limits| limits.queued_bytes = budget);
    let held = |world: &World| world.server.as_ref().unwrap().queued_bytes();
    let mut honest = Peer::connect(&world, "192.0.2.2");
    let mut stuck: Vec<_> = (0..PEERS).map(|_| Peer::connect(&world, "192.0.2.1")).collect();
    for peer in &mut stuck {
        for _ in 0..100 {
            if !peer.ping(&world, 1) {
                break;
            }
            world.runtime.run();
        }
    }
    assert!(held(&world) >= budget, "{}", held(&world));
    assert!(held(&world) <= budget + PEERS * BESIDE, "{}", held(&world));
    for _ in 0..10 {
        assert!(honest.ping(&world, 255));
        world.runtime.run();
        assert_eq!(honest.answers(&world), 255);
    }
    assert!(!Peer::connect(&world, "192.0.2.2").stream.is_at_end());
    // Those that read are read again; the others are closed, and nothing is left.
    let mut reader = stuck.pop().unwrap();
    world.runtime.advance(Limits::default().stalled_output / 2);
    for _ in 0..1000 {
        let all_sent = reader.send(&world);
        world.runtime.run();
        if reader.answers(&world) == 0 && all_sent {
            break;
        }
    }
    world.runtime.advance(Limits::default().stalled_output);
    let stalled = world.closed();
    assert!(
        stalled.iter().filter(|how| **how == Disconnect::Session(CloseReason::Stalled)).count() == PEERS - 1
    );
    assert_eq!(held(&world), 0);
}

/// A peer that does not end its side is cut.
fn closing_timeout() {
    let world = world(|limits| limits.closing_timeout = 5 * SECOND);
    let _stream = world.connect("192.0.2.1");
    world.runtime.advance(Limits::default().handshake_timeout + 5 * SECOND - INSTANT);
    assert_eq!(world.connections(), 1);
    world.runtime.advance(INSTANT);
    assert_eq!(world.connections(), 0);
}

/// A peer that goes on sending after the end is cut before that.
fn closing_input() {
    let world = world(|limits| limits.closing_input = 100_000);
    let stream = world.connect("192.0.2.1");
    world.runtime.advance(Limits::default().handshake_timeout);
    let mut given = 0;
    while world.connections() > 0 {
        given += stream.give(&[0; 1000]);
        world.runtime.run();
    }
    assert_eq!(given, 101_000);
}
