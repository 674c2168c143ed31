//! Stored secrets as bytes. Unlike those of the wire they are read without a copy that nobody wipes.

use super::RatchetKey;
use crate::crypto::KemPrivateKey;
use crate::wire::Version;
use crate::wire::codec::{DecodeError, Decoded, put_large};
use crate::wire::link::KemCiphertext;

/// Reads values off the front of bytes.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn tag(&mut self, expected: u8) -> Decoded<()> {
        if self.u8()? == expected { Ok(()) } else { Err(DecodeError) }
    }

    pub(super) fn u8(&mut self) -> Decoded<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            b'T' => Ok(true),
            b'F' => Ok(false),
            _ => Err(DecodeError),
        }
    }

    pub(super) fn version(&mut self) -> Decoded<Version> {
        self.array().map(u16::from_be_bytes).map(Version)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DecodeError)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn large(&mut self) -> Decoded<&'a [u8]> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        self.take(len)
    }

    pub(super) fn optional<T>(&mut self, value: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<Option<T>> {
        match self.u8()? {
            b'0' => Ok(None),
            b'1' => value(self).map(Some),
            _ => Err(DecodeError),
        }
    }

    /// A private key for Diffie-Hellman: a short string of its DER form.
    pub(super) fn key<K: RatchetKey>(&mut self) -> Decoded<K> {
        let len = usize::from(self.u8()?);
        K::from_der(self.take(len)?).map_err(|_| DecodeError)
    }

    pub(super) fn kem_key(&mut self) -> Decoded<KemPrivateKey> {
        KemPrivateKey::from_bytes(self.large()?).map_err(|_| DecodeError)
    }

    pub(super) fn ciphertext(&mut self) -> Decoded<KemCiphertext> {
        KemCiphertext::new(self.large()?)
    }

    pub(super) const fn end(&self) -> Decoded<()> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError) }
    }

    fn take(&mut self, len: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DecodeError)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Writes a secret as a large string, into a buffer that has room for it.
pub(super) fn put_secret(out: &mut Vec<u8>, secret: &[u8]) {
    debug_assert!(
        out.capacity() - out.len() >= secret.len() + 2,
        "a buffer of secrets that grows leaves a copy"
    );
    put_large(out, secret);
}
