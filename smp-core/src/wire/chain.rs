//! Certificate chains, and the session key that the holder of a chain signed.

use core::fmt;

use bytes::Bytes;

use super::codec::{DecodeError, Decoded, Reader, put_large, put_list};

/// The certificates of one end, leaf first, as DER that is not looked into here.
///
/// On the wire: one count byte of at least 1, then large strings.
#[derive(Clone, PartialEq, Eq)]
pub struct CertChain(Vec<Bytes>);

impl CertChain {
    /// A chain of these certificates.
    ///
    /// # Errors
    /// When there are none or more than 255, or one is longer than 65535 bytes.
    pub fn new(certificates: Vec<Bytes>) -> Decoded<Self> {
        let count_fits = (1..=255).contains(&certificates.len());
        let lengths_fit = certificates.iter().all(|der| der.len() <= 65535);
        if count_fits && lengths_fit { Ok(Self(certificates)) } else { Err(DecodeError) }
    }

    /// The certificates, at least one.
    #[must_use]
    pub fn certificates(&self) -> &[Bytes] {
        &self.0
    }

    /// Reads a chain; the certificates share memory with the block.
    ///
    /// # Errors
    /// When it is empty or bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.non_empty(Reader::large).map(Self)
    }

    /// Writes the chain.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.0, |out, der| put_large(out, der));
    }
}

/// Only the count: certificates name their owner.
impl fmt::Debug for CertChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertChain({} certificates)", self.0.len())
    }
}

/// A chain and a session key that the key of its leaf signed, in a hello and in PKEY.
///
/// A proxy passes it on without reading the key; who uses it reads it with [`super::SignedKey::from_der`].
#[derive(Clone, PartialEq, Eq)]
pub struct CertChainPubKey {
    /// The chain whose leaf key signed.
    pub chain: CertChain,
    /// DER of a [`super::SignedKey`], at most 65535 bytes.
    pub signed_key: Bytes,
}

impl CertChainPubKey {
    /// Reads both.
    ///
    /// # Errors
    /// When bytes are missing or the chain is empty.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { chain: CertChain::decode(reader)?, signed_key: reader.large()? })
    }

    /// Writes both.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.chain.encode(out);
        put_large(out, &self.signed_key);
    }
}

/// Without the key.
impl fmt::Debug for CertChainPubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertChainPubKey").field("chain", &self.chain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    const ENCODED: &[u8] = b"\x02\0\x04leaf\0\x02ca\0\x03key";

    #[test]
    fn bytes_both_ways() {
        let chain = CertChain::new(vec![Bytes::from_static(b"leaf"), Bytes::from_static(b"ca")]).unwrap();
        let value = CertChainPubKey { chain, signed_key: Bytes::from_static(b"key") };
        let mut out = Vec::new();
        value.encode(&mut out);
        assert_eq!(out, ENCODED);
        assert_eq!(decode_all(&Bytes::from_static(ENCODED), CertChainPubKey::decode), Ok(value));
    }

    #[test]
    fn refuses_what_is_cut_or_empty() {
        for cut in 0..ENCODED.len() {
            let cut = Bytes::from_static(&ENCODED[..cut]);
            assert_eq!(decode_all(&cut, CertChainPubKey::decode), Err(DecodeError));
        }
        assert_eq!(
            decode_all(&Bytes::from_static(b"\0\0\x03key"), CertChainPubKey::decode),
            Err(DecodeError)
        );
        assert_eq!(CertChain::new(vec![]), Err(DecodeError));
        assert_eq!(CertChain::new(vec![Bytes::new(); 256]), Err(DecodeError));
        assert_eq!(CertChain::new(vec![Bytes::from(vec![0; 65536])]), Err(DecodeError));
    }
}
