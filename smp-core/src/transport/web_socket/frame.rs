//! Frames (RFC 6455 section 5.2).
//!
//! ```text
//! byte 0  1 bit final, 3 bits reserved (0), 4 bits opcode
//! byte 1  1 bit masked, 7 bits length; 126: u16 follows, 127: u64 follows
//!         4 bytes mask, when masked
//! ```

use super::WebSocketFault;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn decode(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a client's frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) length: usize,
}

impl Header {
    /// The header at the beginning of `bytes` and its length; `None` when it is not complete.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WebSocketFault> {
        let Some(([first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        let opcode = Opcode::decode(first & 0x0f).filter(|_| first & 0x70 == 0);
        let opcode = opcode.ok_or(WebSocketFault::Protocol)?;
        let is_final = first & 0x80 != 0;
        let short = second & 0x7f;
        // Clients mask what they send; control frames are short and whole.
        if second & 0x80 == 0 || opcode.is_control() && (!is_final || usize::from(short) > CONTROL_MAX) {
            return Err(WebSocketFault::Protocol);
        }
        let length = match short {
            126 => {
                rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))
            }
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest)),
            short => Some((u64::from(short), rest)),
        };
        let Some((length, rest)) = length else { return Ok(None) };
        let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| WebSocketFault::Size)?;
        Ok(Some((Self { is_final, opcode, mask: *mask, length }, bytes.len() - rest.len())))
    }
}

/// A whole frame of the server, which is not masked.
pub(super) fn encode(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + HEADER_MAX);
    out.push(0x80 | opcode.code());
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if usize::from(length) <= CONTROL_MAX => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// Payload of a control frame.
pub(super) const CONTROL_MAX: usize = 125;
/// Without a mask.
const HEADER_MAX: usize = 10;
