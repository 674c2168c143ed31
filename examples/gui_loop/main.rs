//! `cargo run --release --example gui_loop`, or with `-- --runtime tokio|async-std|smol` behind it.
//!
//! An agent in a program with a graphical interface: the main thread draws about sixty frames a second and must never wait, the
//! agent works on a runtime in the background. What a frame wants of the agent it begins, and later frames look whether that is
//! done; what has happened is taken in each frame, as far as it is there.
//!
//! Here the window is a list of lines. Alice writes some, and Bob, elsewhere, answers each when he has thought about it for ten frames (`bob.rs`):
//! a frame that waited for him would wait for ever. Prints what is shown and how many frames that took, ends by itself, and
//! with an error if an answer is missing.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

mod bob;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use smp_core::agent::{Event, UserId};
use smp_core::wire::agent::AgentError;
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{ConnectionRequest, ServerAddress};
use smp_examples::{Outcome, server_in_memory};
use smp_runtime::Runtime;
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime_async_std::AsyncStdRuntime;
use smp_runtime_smol::SmolRuntime;
use smp_runtime_tokio::TokioRuntime;
use tokio::runtime::Runtime as Tokio;

const USER: UserId = UserId(1);
const FLAGS: MessageFlags = MessageFlags { notification: true };
const LINES: [&str; 3] = ["hello", "do you see me?", "bye"];
/// A minute. By then everything has happened, or never will.
const FRAMES_MAX: u64 = 3600;

fn main() -> Outcome<()> {
    // Before there is a window a program may wait.
    match &*std::env::args().skip(1).collect::<Vec<_>>().join(" ") {
        "" | "--runtime tokio" => {
            let tokio = Tokio::new()?;
            let runtime = tokio.block_on(async { TokioRuntime::current() })?;
            let (_server, address) = tokio.block_on(server_in_memory(&runtime))?;
            show(&runtime, &address)
        }
        "--runtime async-std" => {
            let runtime = AsyncStdRuntime::new();
            let (_server, address) = async_std::task::block_on(server_in_memory(&runtime))?;
            show(&runtime, &address)
        }
        "--runtime smol" => {
            let runtime = SmolRuntime::global();
            let (_server, address) = smol::block_on(server_in_memory(&runtime))?;
            show(&runtime, &address)
        }
        _ => Err("gui_loop takes --runtime tokio, --runtime async-std, --runtime smol, or nothing".into()),
    }
}

type Call = Pin<Box<dyn Future<Output = Result<(), AgentError>>>>;

/// What the main thread has.
struct Window {
    agent: Agent,
    events: Events,
    /// What was begun and was not done yet.
    calls: Vec<Call>,
    /// What comes from Bob outside of SMP: a link, or why there is none.
    links: Receiver<Outcome<ConnectionRequest>>,
    answers: usize,
}

/// The loop of frames. Nothing in it waits, but for the time of the next frame.
fn show(runtime: &impl Runtime, server: &ServerAddress) -> Outcome<()> {
    let (agent, events) = bob::agent(runtime, server)?;
    let (tell, links) = channel();
    let (frames, mut window) =
        (Arc::default(), Window { agent, events, calls: Vec::new(), links, answers: 0 });
    runtime.spawn(bob::answer(runtime.clone(), server.clone(), Arc::clone(&frames), tell));
    while window.answers < LINES.len() {
        window.frame()?;
        if frames.fetch_add(1, Ordering::Relaxed) > FRAMES_MAX {
            return Err("nothing happens any more".into());
        }
        thread::sleep(Duration::from_millis(16));
    }
    println!("All lines were answered, and none of {} frames waited.", frames.load(Ordering::Relaxed));
    Ok(())
}

impl Window {
    fn frame(&mut self) -> Outcome<()> {
        if let Ok(link) = self.links.try_recv() {
            let joining = self.agent.join(new_connection_id()?, USER, link?, "Alice".into(), true);
            self.begin(joining);
        }
        while let Poll::Ready(event) = self.events.try_next() {
            self.take(event.ok_or("the agent has stopped")?)?;
        }
        // Nobody need be woken: the next frame looks again.
        let cx = &mut Context::from_waker(Waker::noop());
        for mut call in std::mem::take(&mut self.calls) {
            match call.as_mut().poll(cx) {
                Poll::Ready(outcome) => outcome?,
                Poll::Pending => self.calls.push(call),
            }
        }
        Ok(())
    }

    /// A call of the agent is on its way when it is made. That its future is kept is only to learn what comes of it.
    fn begin<T>(&mut self, call: impl Future<Output = Result<T, AgentError>> + 'static) {
        self.calls.push(Box::pin(async { call.await.map(|_| ()) }));
    }

    fn take(&mut self, event: Event) -> Outcome<()> {
        match event {
            Event::Connected(connection) => {
                for line in LINES {
                    println!("alice: {line}");
                    self.begin(self.agent.send(connection, line.into(), FLAGS));
                }
            }
            Event::Message(message) if message.body == LINES[self.answers] => {
                println!("bob:   {}", LINES[self.answers]);
                self.answers += 1;
                self.begin(self.agent.acknowledge(message.connection, message.id));
            }
            Event::Message(_) => return Err("not the next answer".into()),
            Event::NotSent(_, _, error) | Event::Error(_, error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }
}
