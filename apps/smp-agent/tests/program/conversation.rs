//! Two agents and a server, each a process, which end and begin again while people talk.

use std::thread;

use crate::client::{Client, meet};
use crate::harness::{Place, Running, Signal};

/// Messages that each side sends.
const MESSAGES: u32 = 1000;
/// Messages between two restarts.
const ROUND: u32 = 100;

/// A person, whose agent is a process.
struct Side {
    name: &'static str,
    agent: Option<Running>,
    client: Client,
    connection: String,
    sent: u32,
    heard: u32,
}

impl Side {
    fn restart(&mut self, place: &Place, signal: Signal) {
        let status = self.agent.take().unwrap().signal(signal);
        assert_eq!(status.success(), signal == Signal::TERM, "{}", place.log(self.name));
        let agent = place.agent(self.name);
        self.client = Client::to(&agent);
        self.agent = Some(agent);
        self.client.expect(&self.connection, "SUB", "OK");
    }

    fn send_up_to(&mut self, count: u32) {
        while self.sent < count {
            // Each body has bytes that a line could not have.
            let body = format!("number\r\n{}", self.sent);
            let command = format!("SEND {}\r\n{body}", body.len());
            let told = self.client.ask(&self.connection, &command);
            assert_eq!(told.word(0), "MID", "{told:?}");
            self.sent += 1;
        }
    }

    fn hear_up_to(&mut self, count: u32) {
        while self.heard < count {
            let told = self.client.event();
            let id = told.message_id();
            assert_eq!(told.body, format!("number\r\n{}", self.heard), "{told:?}");
            self.client.expect(&self.connection, &format!("ACK {id}"), "OK");
            self.heard += 1;
        }
    }
}

#[test]
fn a_thousand_messages_both_ways_with_restarts_between() {
    let mut place = Place::new();
    let agents = ["alice", "bob"].map(|name| place.agent(name));
    let [mut alice, mut bob] = agents.each_ref().map(Client::to);
    let connections = meet(&mut alice, &mut bob);
    let [agent_a, agent_b] = agents;
    let [at_alice, at_bob] = connections;
    let side = |name, agent, client, connection| Side {
        name,
        agent: Some(agent),
        client,
        connection,
        sent: 0,
        heard: 0,
    };
    let mut alice = side("alice", agent_a, alice, at_alice);
    let mut bob = side("bob", agent_b, bob, at_bob);
    for (round, up_to) in
        (1..).map(|round| (round, round * ROUND)).take_while(|(_, up_to)| *up_to <= MESSAGES)
    {
        thread::scope(|scope| {
            for side in [&mut alice, &mut bob] {
                scope.spawn(|| {
                    // What is sent last is on its way, or waits, while something ends.
                    side.send_up_to(up_to - ROUND / 2);
                    side.hear_up_to(up_to - ROUND / 2);
                    side.send_up_to(up_to);
                });
            }
        });
        match round % 6 {
            0 => alice.restart(&place, Signal::TERM),
            1 => bob.restart(&place, Signal::KILL),
            2 => restart_server(&mut place, Signal::TERM),
            3 => alice.restart(&place, Signal::KILL),
            4 => bob.restart(&place, Signal::TERM),
            _ => restart_server(&mut place, Signal::KILL),
        }
    }
    alice.hear_up_to(MESSAGES);
    bob.hear_up_to(MESSAGES);
    for side in [&mut alice, &mut bob] {
        assert_eq!((side.sent, side.heard), (MESSAGES, MESSAGES));
        side.client.hears_nothing();
    }
    for side in [alice, bob] {
        let mut side = side;
        assert!(side.agent.take().unwrap().signal(Signal::TERM).success());
        assert!(side.client.is_cut());
        for line in place.log(side.name).lines() {
            assert!(!line.contains(" error ") && !line.contains(&side.connection), "{line}");
        }
    }
    place.stop_server(Signal::TERM);
}

fn restart_server(place: &mut Place, signal: Signal) {
    place.stop_server(signal);
    place.start_server();
}
