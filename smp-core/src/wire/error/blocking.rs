//! Why a queue was blocked: `reason=spam` or `reason=content`, then `,notice={"ttl":86400}` from version 18.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::codec::{DecodeError, Decoded, Reader, decode_all};
use super::super::json;
use super::super::version::Version;

/// What the operator says about a blocked queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockingInfo {
    /// Why.
    pub reason: BlockingReason,
    /// A notice to show to the user, which is not sent before version 18.
    pub notice: Option<Notice>,
}

impl BlockingInfo {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.tag(REASON)?;
        let reason = BlockingReason::decode(reader)?;
        if reader.is_empty() {
            return Ok(Self { reason, notice: None });
        }
        reader.tag(NOTICE)?;
        Ok(Self { reason, notice: Some(json::decode(reader)?) })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        out.extend_from_slice(REASON);
        out.extend_from_slice(self.reason.word());
        if let Some(notice) = self.notice.filter(|_| version >= Version::BLOCKED_NOTICE) {
            out.extend_from_slice(NOTICE);
            json::encode(&notice, out);
        }
    }
}

/// The form of the wire: `reason=spam`, `reason=content,notice={"ttl":86400}`. `Display` is its inverse.
impl FromStr for BlockingInfo {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        decode_all(&Bytes::copy_from_slice(text.as_bytes()), Self::decode)
    }
}

impl fmt::Display for BlockingInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.encode(Version::BLOCKED_NOTICE, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Why a queue was blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockingReason {
    /// It was used for spam.
    Spam,
    /// It was used for content that the operator does not serve.
    Content,
}

impl BlockingReason {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Spam => b"spam",
            Self::Content => b"content",
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        [Self::Spam, Self::Content]
            .into_iter()
            .find(|reason| reader.tag(reason.word()).is_ok())
            .ok_or(DecodeError)
    }
}

/// A notice that clients show to the user of a blocked queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// For how many seconds; without it, for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
}

const REASON: &[u8] = b"reason=";
const NOTICE: &[u8] = b",notice=";
