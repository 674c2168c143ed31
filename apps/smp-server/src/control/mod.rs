//! The control port: where an operator looks at the server and moderates queues while it runs.
//!
//! A protocol of lines on 127.0.0.1, for people with telnet and for scripts. Each line is a command; its answer is no, one or
//! several lines and then `ok`, or one line that begins with `error: `. Nothing but `help` and `quit` works before
//! `auth`, and the password decides what does.
//!
//! What is bounded, and by what:
//!
//! | | bound |
//! |---|---|
//! | connections | [`CONNECTIONS`]; more are told so and closed |
//! | a line | [`session::LINE_BYTES`]; a longer one ends the connection |
//! | wrong passwords | one a [`session::FAILURE_DELAY`] for all connections together; [`session::FAILURES`] end a connection |
//! | a connection without a password | [`session::LOGIN_LINES`] lines, [`session::LOGIN_TIME`] |
//! | a connection that says nothing | [`session::IDLE_TIME`] |
//! | answers that are not taken | [`session::WRITE_TIME`] |
//! | commands under way | one for each connection, carried out one after the other, [`session::ANSWER_TIME`] |
//! | queues that users block | `daily_block_queue_quota` |
//!
//! When the server stops, what was said before is answered, for as long as the caller of [`Control::run`] waits.

mod access;
mod command;
mod desk;
mod quota;
mod session;
mod target;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use smp_runtime::server::ServerHandle;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Backend;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

#[cfg(test)]
pub(crate) use access::Role;
pub(crate) use access::{Access, Passphrase};
pub(crate) use desk::About;
pub(crate) use quota::Quota;

use crate::failure::Failure;
use crate::settings::Settings;
use desk::Desk;
use session::{Door, Request};

/// The control port, listened on.
pub(crate) struct Control {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
    quota: Quota,
}

impl Control {
    /// Listens, if the settings ask for it. Whatever they say about other addresses, this port is on 127.0.0.1 alone.
    pub(crate) async fn open(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(chosen) = &settings.control else { return Ok(None) };
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, chosen.port));
        let refused = |e| {
            Failure::new(format!(
                "cannot listen on {wanted} for the control port: {e}. Set another [TRANSPORT] control_port, or none"
            ))
        };
        let listener = TcpListener::bind(wanted).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Some(Self { listener, address, access: chosen.access.clone(), quota: chosen.quota }))
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stopping` completes, and then until all that was said is answered; its connections end with it.
    pub(crate) async fn run<B: Backend + 'static>(
        self,
        server: &ServerHandle<TokioRuntime, B>,
        about: About,
        stopping: impl Future<Output = ()>,
    ) {
        let (requests, mut received) = mpsc::channel::<Request>(CONNECTIONS);
        let mut desk = Desk::new(server, about, self.quota);
        let working = async {
            while let Some(Request { role, command, answer }) = received.recv().await {
                if answer.is_closed() {
                    continue;
                }
                // Whoever asked may be gone.
                let _ = answer.send(desk.carry_out(role, command).await);
            }
            // The door below holds a sender.
            std::future::pending().await
        };
        tokio::select! {
            () = working => {}
            () = accept(&self.listener, Arc::new(Door::new(self.access)), requests, stopping) => {}
        }
    }
}

/// Accepts connections, and lets each have a task. Waits for them when it has to stop.
async fn accept(
    listener: &TcpListener,
    door: Arc<Door>,
    requests: mpsc::Sender<Request>,
    stopping: impl Future<Output = ()>,
) {
    let mut stopping = pin!(stopping);
    let (stop, stops) = watch::channel(false);
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stopping => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if sessions.len() < CONNECTIONS => {
                    sessions.spawn(session::talk(stream, Arc::clone(&door), requests.clone(), stops.clone()));
                }
                Ok((stream, _)) => turn_away(stream),
                Err(error) => {
                    log::warn!("the control port cannot accept connections: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = sessions.join_next() => note(&ended),
        }
    }
    stop.send_replace(true);
    while let Some(ended) = sessions.join_next().await {
        note(&ended);
    }
}

fn note(ended: &Result<(), JoinError>) {
    if ended.is_err() {
        log::error!("a connection of the control port ended by a defect of the server");
    }
}

/// Says why, if the system takes it at once.
fn turn_away(stream: TcpStream) {
    // Tokio would have to hear from the system first that it does.
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(b"error: there are too many connections\n");
    }
}

/// Connections at the same time: one for each of a few people and scripts.
const CONNECTIONS: usize = 8;
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
