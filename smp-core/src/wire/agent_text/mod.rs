//! How programs, and people with a terminal, talk to an agent: lines of text.
//!
//! The grammar (ABNF, RFC 5234 with the case-sensitive strings of RFC 7405) is that of the plaintext protocol of the
//! first agents, extended in its style for what agents can do since: receipts, short links, rotation of queues, new
//! ratchets, the state of a connection.
//!
//! ```text
//! transmission = [correlation-id] EOL [connection-id] EOL (command / event) EOL
//! correlation-id = 1*255VCHAR          ; the answer repeats it; events have none
//! connection-id = base64url            ; not needed for NEW, JOIN, ACPT, RJCT, LGET and STATS
//! EOL = [CR] LF                        ; CR LF is sent
//! body = ":" *OCTET                    ; up to the end of the line: no NUL, CR or LF
//!      / 1*9DIGIT EOL *OCTET           ; so many bytes, any; the transmission's EOL follows them
//!
//! command = %s"NEW" SP mode                           ; answer INV: a new link, for one person or for anyone
//!         / %s"NEW" SP mode SP %s"SHORT" SP body      ; answer INV with a short link too, which shows this data
//!         / %s"JOIN" SP link SP body                  ; connect, with information about oneself
//!         / %s"LET" SP id SP body                     ; let who accepted an invitation (CONF) continue
//!         / %s"ACPT" SP id SP body / %s"RJCT" SP id   ; accept or reject a request (REQ) to a contact address
//!         / %s"SUB" / %s"OFF" / %s"DEL"               ; receive; receive no more; delete the connection
//!         / %s"SEND" SP body                          ; answer MID, later SENT or MERR
//!         / %s"ACK" SP number [SP body]               ; a message was taken care of; with a body, send a receipt
//!         / %s"LSET" SP body                          ; answer LINK: set the data of the connection's short link
//!         / %s"LDEL"                                  ; the short link leads nowhere, until its data is set
//!         / %s"LGET" SP link                          ; answer LDATA: look where a short link leads to
//!         / %s"SWCH"                                  ; receive through another queue
//!         / %s"RSYNC" [SP %s"FORCE"]                  ; make a new ratchet
//!         / %s"STAT"                                  ; answer STAT
//!         / %s"STATS" [SP %s"RESET"]                  ; answer STATS, what was done at servers; OK, that is counted anew
//! mode = %s"INV" / %s"CON"
//!
//! event = %s"OK" / %s"ERR" SP error                   ; answers; an ERR without correlation id is an event
//!       / %s"INV" SP link [SP link] / %s"LINK" SP link / %s"LDATA" SP body / %s"MID" SP number
//!       / %s"STAT" SP kind SP version SP sync *(SP %s"R=" server) *(SP %s"S=" server)
//!       / %s"STATS" SP time SP body                   ; since then, a line for each user and server:
//!                                                     ; server *(SP word "=" 1*DIGIT), without what is 0
//!       / %s"CONF" SP id SP body / %s"REQ" SP id SP body / %s"INFO" SP body / %s"CON"
//!       / %s"MSG" SP integrity SP %s"R=" number "," time SP %s"B=" id "," time SP %s"S=" number SP body
//!       / %s"RCVD" SP number SP integrity             ; the other user got a message
//!       / %s"SENT" SP number / %s"MERR" SP number SP error / %s"MWARN" SP number SP error
//!       / %s"END" / %s"DOWN" / %s"UP" / %s"QCONT" / %s"DELD"
//!       / %s"SWITCH" SP (%s"rcv" / %s"snd") SP phase / %s"RSYNC" SP sync
//! number = ["-"] 1*DIGIT                              ; of a message
//! id = base64url                                      ; not empty
//! time = date-time                                    ; RFC 3339
//! phase = %s"started" / %s"confirmed" / %s"secured" / %s"completed"
//! sync = %s"ok" / %s"allowed" / %s"required" / %s"started" / %s"agreed"
//! kind = %s"new" / %s"rcv" / %s"snd" / %s"duplex" / %s"contact"
//! ```
//!
//! Who looks where the short link of an invitation leads to secures its queue: nobody else can use it from then on. The answer to LGET
//! names the connection that a JOIN with this link is to name.
//!
//! `link` is in [`link`](super::link), `server` in [`address`](super::address), `error` at
//! [`AgentError`], `integrity` at [`MessageIntegrity`](super::agent::MessageIntegrity). DOWN and UP
//! are told of each connection: a line is bounded, and the number of connections on a server is not. Bodies are written
//! with their length.
//!
//! # Errors and how to go on
//!
//! What is wrong with a transmission is answered with ERR, with its ids if they could be read, and the session goes on
//! at the next transmission: after the third line, and after the body if the third line announces one where its command
//! has one.
//!
//! | error | what is wrong | where the next transmission starts |
//! |---|---|---|
//! | `CMD SYNTAX` | unknown words, other arguments, malformed ids | there |
//! | `CMD NO_CONN` | the connection id is missing | there |
//! | `CMD LARGE` | a line or a body is longer than [`TextLimits`] | there: what is too long is read and dropped |
//! | `CMD SIZE` | after so many bytes the line does not end | after the end of that line |
//!
//! After an unknown command nobody knows whether a body follows. Who lost the place sends three empty lines, and then a
//! transmission with a correlation id: one of the empty lines is taken for a command, which is never empty, and those
//! that follow it are skipped.
//!
//! # A session of an agent
//!
//! ```
//! use smp_core::wire::agent_text::{AgentCommand, AgentEvent, TextLimits, TextReader, Transmission};
//!
//! let mut reader = TextReader::<AgentCommand>::new(TextLimits::default());
//! let mut output = Vec::new();
//! for mut piece in [&b"1\r\nYWJj\r\nSE"[..], b"ND :hello\r\n"] {
//!     while let Some(read) = reader.read(&mut piece) {
//!         let answer = match read {
//!             Ok(Transmission { correlation, connection, content: AgentCommand::Send(_) }) => {
//!                 Transmission { correlation, connection, content: AgentEvent::MessageId(4) }
//!             }
//!             Ok(Transmission { correlation, connection, .. }) => {
//!                 Transmission { correlation, connection, content: AgentEvent::Ok }
//!             }
//!             Err(refused) => refused.answer(),
//!         };
//!         answer.encode(&mut output);
//!     }
//! }
//! assert_eq!(output, b"1\r\nYWJj\r\nMID 4\r\n");
//! ```

mod body;
mod command;
mod event;
mod message;
mod reader;
mod status;

pub use super::id::{TextConfirmationId, TextConnectionId, TextInvitationId};
pub use command::AgentCommand;
pub use event::AgentEvent;
pub use message::MessageEvent;
pub(in crate::wire) use message::{parse_time, time_text};
pub use reader::{TextLimits, TextReader};
pub use status::{ConnectionKind, ConnectionStatus, RatchetSync, SwitchPhase, SwitchSide};

use core::fmt;

use bytes::Bytes;

use super::agent::{AgentCommandError, AgentError};
use super::codec::{DecodeError, Decoded};
use super::text::to_base64url;

/// Three lines: a command on the way to an agent, an [answer or event](AgentEvent) on the way back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmission<T> {
    /// Joins a command and its answer.
    pub correlation: TextCorrelation,
    /// What it is about; empty for what is about no connection, or none yet.
    pub connection: TextConnectionId,
    /// The command or the event.
    pub content: T,
}

impl<T: Line> Transmission<T> {
    /// Writes the transmission.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.correlation.as_str().as_bytes());
        out.extend_from_slice(EOL);
        out.extend_from_slice(to_base64url(self.connection.as_bytes()).as_bytes());
        out.extend_from_slice(EOL);
        self.content.write(out);
        out.extend_from_slice(EOL);
    }
}

/// A transmission that cannot be read, and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its correlation id, empty when that is malformed.
    pub correlation: TextCorrelation,
    /// Its connection, empty when that is malformed.
    pub connection: TextConnectionId,
    /// What is wrong.
    pub error: AgentCommandError,
}

impl Refused {
    /// What an agent answers.
    #[must_use]
    pub fn answer(self) -> Transmission<AgentEvent> {
        let content = AgentEvent::Error(AgentError::Command(self.error));
        Transmission { correlation: self.correlation, connection: self.connection, content }
    }
}

/// What a client chose to find the answer to a command by: up to 255 printable ASCII characters without spaces, or
/// none. `Debug` shows only how many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TextCorrelation(Box<str>);

impl TextCorrelation {
    /// The id of this text.
    ///
    /// # Errors
    /// When it is longer, or has other characters.
    pub fn new(text: &str) -> Decoded<Self> {
        let allowed = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if allowed { Ok(Self(text.into())) } else { Err(DecodeError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for what no command has that waits for an answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for TextCorrelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextCorrelation({} characters)", self.0.len())
    }
}

/// The third line of a transmission, with its body: [`AgentCommand`] or [`AgentEvent`].
pub trait Line: Sized + sealed::Sealed {
    /// The line without its last argument, and that argument, if it is in the place of a body.
    #[doc(hidden)]
    fn split_body(line: &[u8]) -> (&[u8], Option<&[u8]>);

    /// The value of a line without its body, and of the body.
    #[doc(hidden)]
    fn parse(head: &str, body: Option<Bytes>) -> Decoded<Self>;

    /// Whether there must be a connection id.
    #[doc(hidden)]
    fn needs_connection(&self) -> bool;

    /// Writes the line, without its end.
    #[doc(hidden)]
    fn write(&self, out: &mut Vec<u8>);
}

mod sealed {
    /// What follows a line is known of the lines of this module only.
    pub trait Sealed {}
    impl Sealed for super::AgentCommand {}
    impl Sealed for super::AgentEvent {}
}

/// The end of a line.
const EOL: &[u8] = b"\r\n";

#[cfg(test)]
mod tests;
