//! What carries the bytes of the web: TLS, or nothing between.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConnection};

use super::WebTls;

/// A layer between a socket and an exchange, as a machine.
pub(crate) enum Channel {
    /// The bytes as they are.
    Plain(Vec<u8>),
    /// TLS.
    Tls(Box<Connection>),
}

/// The peer broke TLS. What is left to transmit tells it why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// Its certificate is not one to trust for its name.
    Certificate,
    /// Anything else.
    Protocol,
}

impl Channel {
    /// The side of a server, with TLS if it is configured.
    pub(crate) fn new(tls: Option<&WebTls>) -> Result<Self, rustls::Error> {
        Ok(match tls {
            Some(tls) => Self::Tls(Box::new(ServerConnection::new(Arc::clone(&tls.0))?.into())),
            None => Self::Plain(Vec::new()),
        })
    }

    /// The side of a client of the server with this name, with TLS if it is configured.
    pub(crate) fn client(
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Self, rustls::Error> {
        Ok(match tls {
            Some((config, name)) => Self::Tls(Box::new(ClientConnection::new(config, name)?.into())),
            None => Self::Plain(Vec::new()),
        })
    }

    /// Takes bytes from the socket and gives what they carry to `take`. False when the peer has said goodbye.
    pub(crate) fn receive(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<bool, Broken> {
        let Self::Tls(connection) = self else {
            take(bytes);
            return Ok(true);
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            connection.read_tls(&mut rest).map_err(|_| Broken::Protocol)?;
            if !take_plaintext(connection, &mut take)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes bytes for the peer. They are few enough for the layer to hold.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Plain(output) => output.extend_from_slice(bytes),
            Self::Tls(connection) => {
                // Writing to memory only fails above a limit of rustls, which is four times a piece.
                let written = connection.writer().write_all(bytes);
                debug_assert!(written.is_ok(), "a piece fits");
            }
        }
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self) {
        if let Self::Tls(connection) = self {
            connection.send_close_notify();
        }
    }

    /// All bytes that are ready for the socket.
    pub(crate) fn transmit(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(output) => std::mem::take(output),
            Self::Tls(connection) => {
                let mut output = Vec::new();
                while connection.wants_write() && connection.write_tls(&mut output).is_ok() {}
                output
            }
        }
    }
}

/// Decrypts what came; false at the end of the stream.
fn take_plaintext(connection: &mut Connection, take: &mut impl FnMut(&[u8])) -> Result<bool, Broken> {
    let state = connection.process_new_packets().map_err(|error| match error {
        rustls::Error::InvalidCertificate(_) => Broken::Certificate,
        _ => Broken::Protocol,
    })?;
    let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
    if !plaintext.is_empty() {
        connection.reader().read_exact(&mut plaintext).map_err(|_| Broken::Protocol)?;
        take(&plaintext);
    }
    Ok(!state.peer_has_closed())
}
