//! Why a request has no result, and why a connection ended.

use crate::transport::TransportFault;
use crate::wire::error::{BrokerErrorType, CommandError, ErrorType};
use crate::wire::{ServerAddress, Version};

/// Why a request has no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server answered with an error.
    #[error("server: {0}")]
    Server(ErrorType),
    /// The relay behind the proxy answered with an error: the command reached its destination. What the proxy itself has
    /// to say is [`RequestError::Server`].
    #[error("relay: {0}")]
    Relay(ErrorType),
    /// What the proxy says of a relay is not signed by the server that was asked for.
    #[error("the proxy's relay is another server: {0}")]
    BadRelay(TransportFault),
    /// The answer through a proxy does not open: it was changed on the way, or is for another command.
    #[error("the answer does not open")]
    Sealed,
    /// The server answered with a message that this command does not have, or about another entity.
    #[error("unexpected answer")]
    Unexpected,
    /// The answer could not be read.
    #[error("malformed answer")]
    Malformed,
    /// No answer came in time. The server may or may not have carried out the command.
    #[error("no answer in time")]
    Timeout,
    /// The connection ended and the command was never given to the socket.
    #[error("not sent: the connection ended")]
    NotSent,
    /// The connection ended after the command was given to the socket. The server may or may not have carried it out.
    #[error("outcome unknown: the connection ended")]
    OutcomeUnknown,
    /// The client did not take the request, or could not send it to this server.
    #[error("rejected: {0}")]
    Rejected(#[from] Rejection),
    /// There is no connection to the server. Said by those who make connections, never by a client.
    #[error("unreachable: {0}")]
    Unreachable(BrokerErrorType),
    /// The request did not come through this proxy. Said by those who choose proxies, never by a client.
    #[error("proxy: {1}")]
    AtProxy(Box<ServerAddress>, Box<Self>),
}

/// Why a client does not send a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// [`ClientLimits::commands`](super::ClientLimits::commands) are held already: wait for answers.
    #[error("too many commands")]
    TooManyCommands,
    /// [`ClientLimits::waiting_bytes`](super::ClientLimits::waiting_bytes) wait already: wait for answers.
    #[error("too many bytes")]
    TooManyBytes,
    /// A command with this id has not been answered yet; that one stays.
    #[error("the command id is in use")]
    IdInUse,
    /// The correlation id was used before.
    #[error("the correlation id is in use")]
    CorrelationIdInUse,
    /// The connection is closed.
    #[error("closed")]
    Closed,
    /// A key or an entity id is missing or must not be there.
    #[error("credentials: {0}")]
    Credentials(CommandError),
    /// The command, a parameter or the kind of key needs a server of at least this version.
    #[error("needs version {0}")]
    NeedsVersion(Version),
    /// Through a proxy only SEND, SKEY, LKEY, LGET and RSLV are sent.
    #[error("not for a proxy")]
    NotForProxy,
    /// The message is longer than servers of the agreed version take.
    #[error("message longer than {limit} bytes")]
    LargeMessage {
        /// How long it may be.
        limit: usize,
    },
    /// The command does not fit into a block.
    #[error("command does not fit into a block")]
    LargeCommand,
    /// The key cannot authorise this command on this connection.
    #[error("cannot authorise")]
    CannotAuthorise,
}

/// Why a connection ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The caller asked for it.
    #[error("closed by the caller")]
    Requested,
    /// The server closed its side.
    #[error("closed by the server")]
    ServerClosed,
    /// The handshake failed or took too long, or the server broke TLS.
    #[error("transport: {0}")]
    Transport(TransportFault),
    /// The socket took nothing for too long.
    #[error("the socket takes nothing")]
    Stalled,
    /// The server owes several answers in a row and was silent for long.
    #[error("the server does not answer")]
    Unresponsive,
}
