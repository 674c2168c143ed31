//! One connection to the control port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zeroize::{Zeroize, Zeroizing};

use super::access::{Access, Role};
use super::command::{Command, HELP, Line};

/// What all connections share: the passwords, and one guess at a time.
pub(super) struct Door {
    access: Access,
    /// Held while a wrong password is answered, so that more connections do not make for more guesses.
    guess: Mutex<()>,
}

impl Door {
    pub(super) fn new(access: Access) -> Self {
        Self { access, guess: Mutex::new(()) }
    }

    async fn knock(&self, password: &str) -> Option<Role> {
        let _one = self.guess.lock().await;
        let role = self.access.role(password.as_bytes());
        if role.is_none() {
            sleep(FAILURE_DELAY).await;
        }
        role
    }
}

/// A command on its way to the server.
pub(super) struct Request {
    pub(super) role: Role,
    pub(super) command: Command,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The lines of an answer, each with its end, or what is wrong.
pub(super) type Answer = Result<String, String>;

/// Serves a connection to its end, or until it has to stop; then what was said before is answered.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    door: Arc<Door>,
    requests: mpsc::Sender<Request>,
    stops: watch::Receiver<bool>,
) {
    let login = Instant::now() + LOGIN_TIME;
    let session = Session {
        stream,
        lines: Lines::new(),
        door,
        requests,
        role: None,
        login,
        failures: 0,
        left: LOGIN_LINES,
    };
    // Whoever went away needs no answer.
    let _ = session.run(stops).await;
}

struct Session<S> {
    stream: S,
    lines: Lines,
    door: Arc<Door>,
    requests: mpsc::Sender<Request>,
    role: Option<Role>,
    /// When somebody has to be logged in.
    login: Instant,
    /// Wrong passwords.
    failures: u32,
    /// Lines until somebody has to be logged in.
    left: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn run(mut self, mut stops: watch::Receiver<bool>) -> io::Result<()> {
        self.write(GREETING).await?;
        loop {
            let input = tokio::select! {
                biased;
                input = self.next() => input?,
                () = told(&mut stops) => return Ok(()),
            };
            let line = match input {
                Input::Line(line) => line,
                Input::End => return Ok(()),
                Input::Refused(why) => return self.refuse(why).await,
            };
            let Ok(line) = std::str::from_utf8(&line).map(str::trim) else {
                self.refuse("this is not text").await?;
                continue;
            };
            if line.is_empty() {
                continue;
            }
            match Line::parse(line) {
                Ok(Line::Quit) => return self.write("ok\n").await,
                Ok(Line::Help) => self.answer(&Ok(HELP.to_owned())).await?,
                Ok(Line::Auth(password)) => {
                    if !self.log_in(password).await? {
                        return Ok(());
                    }
                }
                Ok(Line::Command(command)) => {
                    let answer = self.ask(command).await;
                    self.answer(&answer).await?;
                }
                Err(problem) => self.refuse(problem).await?,
            }
        }
    }

    /// The next line, within the time and number that there are for it.
    async fn next(&mut self) -> io::Result<Input> {
        if self.role.is_some() {
            let line = timeout(IDLE_TIME, self.lines.next(&mut self.stream)).await;
            return line.unwrap_or(Ok(Input::Refused("nothing was said for too long")));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(Input::Refused("nobody has logged in"));
        };
        self.left = left;
        let line = timeout_at(self.login, self.lines.next(&mut self.stream)).await;
        line.unwrap_or(Ok(Input::Refused("nobody has logged in for too long")))
    }

    /// Takes a password; false when there were too many wrong ones.
    async fn log_in(&mut self, password: &str) -> io::Result<bool> {
        if let Some(role) = self.door.knock(password).await {
            self.role = Some(role);
            log::info!("somebody logged in to the control port as {role}");
            self.answer(&Ok(format!("role: {role}\n"))).await?;
            return Ok(true);
        }
        self.failures += 1;
        log::warn!("a wrong password was given on the control port");
        if self.failures >= FAILURES {
            self.refuse("wrong password, too often").await?;
            return Ok(false);
        }
        self.refuse("wrong password").await?;
        Ok(true)
    }

    async fn ask(&self, command: Command) -> Answer {
        let Some(role) = self.role else {
            return Err("log in first: auth <password>".to_owned());
        };
        if role < command.role() {
            return Err("this needs the password of admins".to_owned());
        }
        let gone = || "the server is stopping".to_owned();
        let (answer, answered) = oneshot::channel();
        let asking = async {
            self.requests.send(Request { role, command, answer }).await.map_err(|_| gone())?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        };
        let late = |_| Err("the server took too long. What was asked may be done later, or not".to_owned());
        timeout(ANSWER_TIME, asking).await.unwrap_or_else(late)
    }

    async fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        match answer {
            Ok(lines) => self.write(&format!("{lines}ok\n")).await,
            Err(problem) => self.refuse(problem).await,
        }
    }

    async fn refuse(&mut self, problem: &str) -> io::Result<()> {
        self.write(&format!("error: {problem}\n")).await
    }

    async fn write(&mut self, text: &str) -> io::Result<()> {
        timeout(WRITE_TIME, self.stream.write_all(text.as_bytes())).await?
    }
}

/// Waits until it is told to stop.
async fn told(stops: &mut watch::Receiver<bool>) {
    // Whoever would tell so may be gone, which means the same.
    let _ = stops.wait_for(|stop| *stop).await;
}

/// Takes lines out of what is read. What was in them is wiped.
struct Lines {
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
}

enum Input {
    Line(Zeroizing<Vec<u8>>),
    End,
    /// No more is read, for this reason.
    Refused(&'static str),
}

impl Lines {
    fn new() -> Self {
        Self { buffer: Zeroizing::new(vec![0; LINE_BYTES]), filled: 0 }
    }

    /// The next line. The last one may be without its end.
    async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Input> {
        loop {
            let read = self.buffer.get(..self.filled).unwrap_or_default();
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                return Ok(self.take(end, end + 1));
            }
            let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
            if free.is_empty() {
                return Ok(Input::Refused("the line is too long"));
            }
            match stream.read(free).await? {
                0 if self.filled == 0 => return Ok(Input::End),
                0 => return Ok(self.take(self.filled, self.filled)),
                count => self.filled += count,
            }
        }
    }

    /// Takes a line, and with `used` bytes of the buffer its end.
    fn take(&mut self, length: usize, used: usize) -> Input {
        let line = Zeroizing::new(self.buffer.get(..length).unwrap_or_default().to_vec());
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        self.buffer.get_mut(self.filled..).unwrap_or_default().zeroize();
        Input::Line(line)
    }
}

const GREETING: &str = "SMP server, control port. `help` lists the commands.\n";
/// Bytes of a line, with its end. The longest command has a link.
pub(super) const LINE_BYTES: usize = 4096;
/// How long the answer to a wrong password takes, one after the other for all connections.
pub(super) const FAILURE_DELAY: Duration = Duration::from_secs(1);
/// Wrong passwords that end a connection.
pub(super) const FAILURES: u32 = 3;
/// Lines until somebody has to be logged in.
pub(super) const LOGIN_LINES: u32 = 16;
/// How long that may take.
pub(super) const LOGIN_TIME: Duration = Duration::from_secs(60);
/// How long a connection may say nothing when somebody is logged in.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(600);
/// How long the server may take, when its store is slow.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long an answer may take to be taken.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
