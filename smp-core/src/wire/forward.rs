//! What a proxy and its relay exchange inside RFWD and RRES, under a further encryption of their own.

use bytes::Bytes;

use super::codec::{Decoded, Reader};
use super::command::ForwardRequest;
use super::id::CorrelationId;

/// A client's PFWD on its way to the relay: short string of the correlation id, then the parameters as they
/// were.
#[derive(Clone, PartialEq, Eq)]
pub struct FwdTransmission {
    /// The correlation id of the PFWD, nonce of the client's encryption.
    pub correlation_id: CorrelationId,
    /// What the client sent.
    pub request: ForwardRequest,
}

opaque_debug!(FwdTransmission);

impl FwdTransmission {
    /// Reads the record up to the end.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { correlation_id: CorrelationId::decode(reader)?, request: ForwardRequest::decode(reader)? })
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.correlation_id.encode(out);
        self.request.encode(out);
    }
}

/// The relay's answer on its way to the client: short string of the correlation id, the rest encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct FwdResponse {
    /// The correlation id of the client's PFWD.
    pub correlation_id: CorrelationId,
    /// A batch of one transmission, encrypted for the client.
    pub encrypted: Bytes,
}

opaque_debug!(FwdResponse);

impl FwdResponse {
    /// Reads the record up to the end.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { correlation_id: CorrelationId::decode(reader)?, encrypted: reader.tail() })
    }

    /// Writes the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.correlation_id.encode(out);
        out.extend_from_slice(&self.encrypted);
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::super::{DhPublicKey, Version};
    use super::*;

    #[test]
    fn records_both_ways() {
        let request = ForwardRequest {
            version: Version(17),
            key: DhPublicKey([9; 32]),
            encrypted: Bytes::from_static(b"secret"),
        };
        let forward = FwdTransmission { correlation_id: CorrelationId::from([1; 24]), request };
        let mut out = Vec::new();
        forward.encode(&mut out);
        let key = forward.request.key.to_der();
        assert_eq!(out, [&[24][..], &[1; 24], &[0, 17], &[44], &key, b"secret"].concat());
        assert_eq!(decode_all(&out.clone().into(), FwdTransmission::decode), Ok(forward));
        for cut in 0..out.len() - 6 {
            assert!(decode_all(&out[..cut].to_vec().into(), FwdTransmission::decode).is_err());
        }

        let response =
            FwdResponse { correlation_id: CorrelationId::from([1; 24]), encrypted: Bytes::from_static(b"x") };
        let mut out = Vec::new();
        response.encode(&mut out);
        assert_eq!(out, [&[24][..], &[1; 24], b"x"].concat());
        assert_eq!(decode_all(&out.clone().into(), FwdResponse::decode), Ok(response));
        for cut in 0..25 {
            assert!(decode_all(&out[..cut].to_vec().into(), FwdResponse::decode).is_err());
        }
    }
}
