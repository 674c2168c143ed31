//! WebSocket (RFC 6455), the server's end: blocks as binary messages of 16384 bytes, for networks that let nothing else
//! through.
//!
//! It lies between TLS and the blocks. A client asks for it by a request of HTTP/1.1 with the path `/`; then each of its
//! messages is a block, in one frame or several, and each block goes out in one frame. What a message carries is handed on
//! as it comes, so nothing of it is held here; of frames only a header or a control frame is, at most 140 bytes.

mod frame;
mod upgrade;

use core::mem;

use frame::{CONTROL_MAX, Header, Opcode};

use super::block::BLOCK_LEN;

/// The server's end of a WebSocket connection, as a machine: what came below it in by [`WebSocket::receive`], blocks out
/// by [`WebSocket::take_payload`], and what is to be sent below it by [`WebSocket::take_output`].
#[derive(Default)]
pub struct WebSocket {
    state: State,
    /// A request or header that is not complete.
    incoming: Vec<u8>,
    /// What is left of the frame that is being received.
    frame: Option<Frame>,
    /// Bytes of the message that is being received, and whether there is one.
    message_len: usize,
    in_message: bool,
    /// Payload of the control frame that is being received.
    control: Vec<u8>,
    payload: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Until the client's request has come.
    #[default]
    Upgrade,
    Open,
    /// One side has said goodbye, or failed.
    Closed,
}

/// A frame whose header has come.
struct Frame {
    header: Header,
    left: usize,
    /// Where in the mask its next byte is.
    at: usize,
}

/// What a peer did wrong. It was told, by a response or a close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketFault {
    /// Its first request is none for a WebSocket.
    #[error("no request for a WebSocket")]
    Request,
    /// A frame that must not be sent, or not now (close code 1002).
    #[error("a frame that is not allowed")]
    Protocol,
    /// A message of text (close code 1003).
    #[error("a message of text")]
    Text,
    /// A message that is no block of 16384 bytes (close code 1009).
    #[error("a message that is no block")]
    Size,
}

impl WebSocket {
    /// The server's end of a new connection.
    #[must_use]
    pub fn server() -> Self {
        Self::default()
    }

    /// Takes bytes of the client.
    ///
    /// # Errors
    /// When they are wrong. The reason is in the output, and the connection is over.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), WebSocketFault> {
        if self.state == State::Closed {
            return Ok(());
        }
        let mut pending = mem::take(&mut self.incoming);
        pending.extend_from_slice(bytes);
        let mut pong = None;
        let result = self.take(&pending, &mut pong);
        if let Ok(used) = result
            && self.state != State::Closed
        {
            self.incoming = pending.split_off(used);
        }
        // Only the last of several pings needs an answer (RFC 6455 section 5.5.3), so they cannot multiply output.
        if let Some(pong) = pong {
            self.output.extend(frame::encode(Opcode::Pong, &pong));
        }
        result.map(|_| ()).inspect_err(|fault| self.fail(*fault))
    }

    /// What the client has sent in messages and was not taken yet: a part of a block, or blocks.
    #[must_use]
    pub fn take_payload(&mut self) -> Vec<u8> {
        mem::take(&mut self.payload)
    }

    /// What is to be sent to the client before anything else.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }

    /// The frame that carries a block.
    #[must_use]
    pub fn frame(&self, block: &[u8]) -> Vec<u8> {
        frame::encode(Opcode::Binary, block)
    }

    /// Says goodbye, if a frame can say it.
    pub fn close(&mut self) {
        if self.state == State::Open {
            self.say_close(CLOSE_NORMAL);
        }
        self.state = State::Closed;
    }

    /// Whether blocks may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a part of a request, frame or message is held, the rest of which the client has not sent.
    #[must_use]
    pub const fn holds_part(&self) -> bool {
        !self.incoming.is_empty() || self.frame.is_some() || self.in_message
    }

    /// Takes as much as is complete, and tells how much that is.
    fn take(&mut self, bytes: &[u8], pong: &mut Option<Vec<u8>>) -> Result<usize, WebSocketFault> {
        let mut used = 0;
        if self.state == State::Upgrade {
            let Some(length) = self.upgrade(bytes)? else { return Ok(0) };
            used = length;
        }
        while self.state == State::Open {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some(frame) = self.frame.take() else {
                let Some((header, length)) = Header::decode(rest)? else { break };
                self.check(&header)?;
                used += length;
                self.frame = Some(Frame { left: header.length, header, at: 0 });
                continue;
            };
            let count = frame.left.min(rest.len());
            used += count;
            self.take_piece(frame, rest.get(..count).unwrap_or_default(), pong)?;
            if self.frame.is_some() {
                break;
            }
        }
        Ok(used)
    }

    fn upgrade(&mut self, bytes: &[u8]) -> Result<Option<usize>, WebSocketFault> {
        match upgrade::answer(bytes) {
            Ok(None) => Ok(None),
            Ok(Some((response, length))) => {
                self.output.extend(response);
                self.state = State::Open;
                Ok(Some(length))
            }
            Err(response) => {
                self.output.extend_from_slice(response.as_bytes());
                Err(WebSocketFault::Request)
            }
        }
    }

    /// Whether a frame may come now. A message that would be too long is refused before any of it is taken.
    fn check(&mut self, header: &Header) -> Result<(), WebSocketFault> {
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
            Opcode::Text => return Err(WebSocketFault::Text),
            Opcode::Binary if self.in_message => return Err(WebSocketFault::Protocol),
            Opcode::Continuation if !self.in_message => return Err(WebSocketFault::Protocol),
            Opcode::Binary => self.message_len = 0,
            Opcode::Continuation => {}
        }
        self.in_message = true;
        self.message_len = self.message_len.saturating_add(header.length);
        let fits =
            if header.is_final { self.message_len == BLOCK_LEN } else { self.message_len <= BLOCK_LEN };
        if fits { Ok(()) } else { Err(WebSocketFault::Size) }
    }

    /// Takes the next bytes of a frame, which are its last if there is no frame after it.
    fn take_piece(
        &mut self,
        mut frame: Frame,
        piece: &[u8],
        pong: &mut Option<Vec<u8>>,
    ) -> Result<(), WebSocketFault> {
        let mask = frame.header.mask.iter().cycle().skip(frame.at);
        let plain = piece.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
        if frame.header.opcode.is_control() {
            self.control.extend(plain);
        } else {
            self.payload.extend(plain);
        }
        frame.left -= piece.len();
        frame.at = (frame.at + piece.len()) % frame.header.mask.len();
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(());
        }
        match frame.header.opcode {
            Opcode::Ping => *pong = Some(mem::take(&mut self.control)),
            Opcode::Pong => self.control = Vec::new(),
            Opcode::Close => self.take_close()?,
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.in_message = !frame.header.is_final,
        }
        Ok(())
    }

    /// Answers a goodbye with its own code (RFC 6455 section 5.5.1).
    fn take_close(&mut self) -> Result<(), WebSocketFault> {
        let body = mem::take(&mut self.control);
        let code = match *body.as_slice() {
            [] => CLOSE_NORMAL,
            [high, low, ..] => u16::from_be_bytes([high, low]),
            [_] => return Err(WebSocketFault::Protocol),
        };
        self.say_close(code);
        self.state = State::Closed;
        Ok(())
    }

    fn fail(&mut self, fault: WebSocketFault) {
        match fault {
            WebSocketFault::Request => {}
            WebSocketFault::Protocol => self.say_close(1002),
            WebSocketFault::Text => self.say_close(1003),
            WebSocketFault::Size => self.say_close(1009),
        }
        self.state = State::Closed;
        (self.incoming, self.control, self.frame, self.in_message) = (Vec::new(), Vec::new(), None, false);
    }

    fn say_close(&mut self, code: u16) {
        let body = code.to_be_bytes();
        debug_assert!(body.len() <= CONTROL_MAX, "a code is short");
        self.output.extend(frame::encode(Opcode::Close, &body));
    }
}

const CLOSE_NORMAL: u16 = 1000;

#[cfg(test)]
mod tests;
