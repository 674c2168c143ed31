//! A signed and encrypted part of a link's data.

use bytes::Bytes;

use super::super::secret_box::{BoxKey, Nonce};
use super::super::{CryptoError, Ed25519PrivateKey};
use super::{LinkFault, LinkPart};
use crate::Entropy;
use crate::wire::codec::{DecodeError, Decoded, Reader, decode_all, put_short};

/// How long a part is, padded and encrypted.
pub(super) struct Size {
    part: LinkPart,
    padded: usize,
}

/// 2048 bytes with nonce and tag.
pub(super) const FIXED: Size = Size { part: LinkPart::Fixed, padded: 2008 };
/// 13824 bytes with nonce and tag.
pub(super) const USER: Size = Size { part: LinkPart::User, padded: 13784 };

/// Data and the signature of it.
pub(super) struct Signed {
    pub(super) signature: [u8; 64],
    pub(super) data: Bytes,
}

impl Signed {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let signature = reader.short()?.try_into().map_err(|_| DecodeError)?;
        Ok(Self { signature, data: reader.tail() })
    }
}

/// Signs, pads and encrypts `data`.
pub(super) fn seal(
    size: &Size,
    key: &BoxKey,
    data: &[u8],
    signer: &Ed25519PrivateKey,
    entropy: &mut (impl Entropy + ?Sized),
) -> Result<Bytes, LinkFault> {
    let nonce = Nonce::generate(entropy);
    let mut signed = Vec::with_capacity(65 + data.len());
    put_short(&mut signed, &signer.sign(data));
    signed.extend_from_slice(data);
    let sealed = key.seal_padded(&nonce, &signed, size.padded).map_err(|_| LinkFault::TooLarge(size.part))?;
    Ok([&nonce.as_bytes()[..], &sealed].concat().into())
}

/// Decrypts a part and takes it apart; the signature is for the caller to verify. Other sizes than ours are accepted:
/// the box tells whether it is whole.
pub(super) fn open(size: &Size, key: &BoxKey, sealed: &[u8]) -> Result<Signed, LinkFault> {
    let fault = |error| LinkFault::Sealed(size.part, error);
    let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or_else(|| fault(CryptoError::Open))?;
    let signed = key.open_padded(&Nonce::from_bytes(*nonce), sealed).map_err(fault)?;
    decode_all(&signed.into(), Signed::decode).map_err(|_| LinkFault::Malformed(size.part))
}
