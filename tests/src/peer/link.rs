//! A TCP connection with TLS on it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use smp_core::transport::tls::{ClientTls, ServerTls, TlsFault, TlsStream};

use super::clock::{GUARD, now};
use super::keys;

/// How the other side ended the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// TLS ended with an alert, or is broken.
    Tls(TlsFault),
    /// The stream ended, with or without a goodbye of TLS.
    Eof,
    /// The connection was reset.
    Reset,
}

/// A socket with TLS on it. Whatever takes longer than [`GUARD`] fails the test.
pub struct Link {
    socket: TcpStream,
    tls: TlsStream,
    received: Vec<u8>,
    /// While reading must not wait.
    is_writing: bool,
    /// Set when nothing more will come.
    ended: Option<Ended>,
}

impl Link {
    /// Connects as a client and does the TLS handshake.
    ///
    /// # Errors
    /// When the server, or this side, refuses.
    pub fn connect(address: SocketAddr, tls: &ClientTls) -> Result<Self, Ended> {
        let socket = TcpStream::connect(address).expect("a server listens");
        let tls = TlsStream::client(tls, keys::bytes(), now()).map_err(Ended::Tls)?;
        Self::new(socket, tls).handshake()
    }

    /// Does the TLS handshake as the server of a client that connected.
    ///
    /// # Errors
    /// When the client, or this side, refuses.
    pub fn accept(socket: TcpStream, tls: &ServerTls) -> Result<Self, Ended> {
        let tls = TlsStream::server(tls, keys::bytes(), now()).map_err(Ended::Tls)?;
        Self::new(socket, tls).handshake()
    }

    fn new(socket: TcpStream, tls: TlsStream) -> Self {
        socket.set_nodelay(true).expect("an open socket");
        socket.set_read_timeout(Some(GUARD)).expect("an open socket");
        Self { socket, tls, received: Vec::new(), is_writing: false, ended: None }
    }

    fn handshake(mut self) -> Result<Self, Ended> {
        while self.tls.is_handshaking() {
            self.flush()?;
            self.read()?;
        }
        self.flush()?;
        Ok(self)
    }

    /// The channel binding of the connection.
    #[must_use]
    pub fn session_id(&self) -> [u8; 32] {
        *self.tls.session_id().expect("the handshake is done")
    }

    /// The TLS layer.
    #[must_use]
    pub const fn tls(&self) -> &TlsStream {
        &self.tls
    }

    /// Sends plaintext, in as many records as it needs.
    ///
    /// # Errors
    /// When the other side ended the connection.
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), Ended> {
        self.tls.send(now(), plaintext).map_err(Ended::Tls)?;
        self.flush()
    }

    /// Sends bytes below TLS.
    ///
    /// # Errors
    /// When the other side ended the connection.
    pub fn send_below_tls(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.write(bytes)
    }

    /// Receives exactly `count` bytes.
    ///
    /// # Errors
    /// When the other side ended the connection before.
    #[track_caller]
    pub fn receive(&mut self, count: usize) -> Result<Vec<u8>, Ended> {
        while self.received.len() < count {
            // The end of the connection may have come together with the last bytes.
            match self.read().and_then(|()| self.flush()) {
                Err(ended) if self.received.len() < count => return Err(ended),
                _ => {}
            }
        }
        let rest = self.received.split_off(count);
        Ok(core::mem::replace(&mut self.received, rest))
    }

    /// Waits for the other side to end the connection.
    ///
    /// # Panics
    /// When it sends something else instead.
    #[track_caller]
    pub fn closed(&mut self) -> Ended {
        match self.receive(1) {
            Err(ended) => ended,
            Ok(_) => panic!("bytes where the end of the connection was expected"),
        }
    }

    /// Says goodbye in TLS, and leaves the socket open.
    ///
    /// # Errors
    /// When the other side ended the connection before.
    pub fn say_goodbye(&mut self) -> Result<(), Ended> {
        self.tls.close_notify(now());
        self.flush()
    }

    /// Ends the sending direction of the socket, without a goodbye of TLS.
    pub fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).expect("an open socket");
    }

    fn flush(&mut self) -> Result<(), Ended> {
        while let Some(bytes) = self.tls.poll_transmit() {
            self.write(&bytes)?;
        }
        Ok(())
    }

    /// Writes all of `bytes`. Where the socket takes no more it reads, so that two sides that both write do not wait
    /// for each other for ever.
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        let start = Instant::now();
        self.set_writing(true);
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(start.elapsed() < GUARD, "the other side takes nothing");
                    thread::sleep(Duration::from_millis(1));
                    self.read()?;
                }
                Err(_) => return Err(Ended::Reset),
            }
        }
        self.set_writing(false);
        Ok(())
    }

    fn set_writing(&mut self, is_writing: bool) {
        self.is_writing = is_writing;
        self.socket.set_nonblocking(is_writing).expect("an open socket");
    }

    /// Takes what has arrived. Waits for it, except while [`write`](Self::write) is at work.
    #[track_caller]
    fn read(&mut self) -> Result<(), Ended> {
        if self.ended.is_none() {
            self.ended = self.try_read().err();
        }
        self.ended.clone().map_or(Ok(()), Err)
    }

    #[track_caller]
    fn try_read(&mut self) -> Result<(), Ended> {
        let mut buffer = [0; 32 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(Ended::Eof),
            Ok(count) => {
                let result = self.tls.receive(now(), &buffer[..count]);
                self.received.extend(self.tls.take_plaintext());
                match result {
                    Err(fault) => Err(self.broken(fault)),
                    Ok(()) if self.tls.is_closed_by_peer() => Err(Ended::Eof),
                    Ok(()) => Ok(()),
                }
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                assert!(self.is_writing, "nothing came from the other side");
                Ok(())
            }
            Err(_) => Err(Ended::Reset),
        }
    }

    /// Tells the other side why, if it still listens.
    fn broken(&mut self, fault: TlsFault) -> Ended {
        while let Some(alert) = self.tls.poll_transmit() {
            let _ = self.socket.write(&alert);
        }
        Ended::Tls(fault)
    }
}
