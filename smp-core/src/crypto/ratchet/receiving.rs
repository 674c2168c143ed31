//! Receiving: a message is opened with a copy of the ratchet, which takes its place when it has been stored.

use bytes::Bytes;

use super::chain::BodyKey;
use super::header::{MessageHeader, RatchetMessage};
use super::skipped::{SkippedChanges, SkippedKey, SkippedKeys};
use super::{FreshKeys, HeaderKey, Ratchet, RatchetKey, RatchetParts, ReceivingChain, SendingChain};
use crate::crypto::{CryptoError, KemSecret, X448PrivateKey, aes_gcm, padding};
use crate::wire::codec::Reader;
use crate::wire::link::{KemCiphertext, KemParameters};

/// What a message made of a ratchet.
pub struct Decrypted<K: RatchetKey = X448PrivateKey> {
    /// The ratchet that takes the place of the one that was asked.
    pub ratchet: Ratchet<K>,
    /// What changes among the keys of skipped messages.
    pub skipped: SkippedChanges,
    /// The body, or what was wrong beyond the header.
    pub body: Result<Vec<u8>, RatchetFault>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RatchetFault {
    /// The bytes are no ratchet message, or what was encrypted is malformed.
    #[error("malformed ratchet message")]
    Malformed,
    /// The header was not encrypted with a key that is known. It is of another ratchet, was changed, or is of a chain that
    /// ended and whose messages have all come.
    #[error("ratchet header not readable")]
    Header,
    /// The body was changed, or the ratchets of both sides have parted.
    #[error("message not readable")]
    Decrypt,
    /// The message was received before, and this many after it.
    #[error("message received before, {0} messages ago")]
    Earlier(u32),
    /// The message is the last one that was received.
    #[error("message received twice")]
    Duplicate,
    /// This many messages are missing before it, more than may be skipped.
    #[error("{0} messages skipped")]
    Skipped(u32),
    /// The other side answers a KEM key that this side does not have.
    #[error("unexpected answer to a KEM key")]
    Kem,
    /// The other side's key is of low order.
    #[error("malformed key of the ratchet")]
    Key,
}

impl<K: RatchetKey> Ratchet<K> {
    /// How many messages of one chain may be skipped at once.
    pub const MAX_SKIPPED: u32 = 512;

    /// Opens a message.
    ///
    /// The ratchet itself does not change. After `Ok` the caller stores [`Decrypted::ratchet`] and
    /// [`Decrypted::skipped`], in one transaction, and only then looks at the body, *even when the body could not be read*: the
    /// header was, so it is of the other side, which goes on from there, and counts the message as sent. Both ends
    /// then agree on what comes next, and the message is a duplicate if it comes again.
    ///
    /// # Errors
    /// After `Err` nothing changes: whoever has no header key can do nothing to a ratchet.
    pub fn decrypt(
        &self,
        skipped: &SkippedKeys,
        message: &Bytes,
        fresh: &mut (impl FreshKeys<K> + ?Sized),
    ) -> Result<Decrypted<K>, RatchetFault> {
        let parts = &self.0;
        let (message, encrypted) =
            RatchetMessage::decode(&mut Reader::new(message)).map_err(|_| RatchetFault::Malformed)?;
        let body = |key: &BodyKey| open_body(key, &parts.associated_data, &message);
        if let Some((chain, header)) = skipped.open::<K>(&encrypted, &parts.associated_data) {
            let number = header?.number;
            if let Some(key) = chain.key(number) {
                let skipped = SkippedChanges::used(chain.header().clone(), number);
                return Ok(Decrypted { ratchet: self.clone(), skipped, body: body(key) });
            }
        }
        let current = parts.receiving.as_ref();
        let current = current.and_then(|chain| encrypted.open::<K>(&chain.header, &parts.associated_data));
        let (header, step) = match current {
            Some(header) => (header?, false),
            None => {
                let next = encrypted.open::<K>(&parts.next_receiving_header, &parts.associated_data);
                (next.ok_or(RatchetFault::Header)??, true)
            }
        };
        let mut next = parts.clone();
        next.upgrade(&header);
        let mut added = Vec::new();
        if step {
            next.skip(header.previous, &mut added)?;
            next.step(&header, fresh)?;
        }
        let body = match next.skip(header.number, &mut added) {
            Ok(()) => next.take_key().and_then(|key| body(&key)),
            Err(fault) if step => Err(fault),
            Err(fault) => return Err(fault),
        };
        Ok(Decrypted { ratchet: Self(next), skipped: skipped.changes(added), body })
    }
}

fn open_body(key: &BodyKey, associated: &[u8], message: &RatchetMessage) -> Result<Vec<u8>, RatchetFault> {
    let associated = [associated, &message.header].concat();
    let mut body = message.body.to_vec();
    aes_gcm::open(&key.key, &key.iv, &associated, &mut body, &message.tag)
        .map_err(|_| RatchetFault::Decrypt)?;
    let len = padding::unpad(&body).map_err(|_| RatchetFault::Malformed)?.len();
    body.drain(..padding::LENGTH_LEN);
    body.truncate(len);
    Ok(body)
}

impl<K: RatchetKey> RatchetParts<K> {
    /// Takes the newest version of both sides, if the other side has learned a newer one.
    fn upgrade(&mut self, header: &MessageHeader<K>) {
        self.version = self.version.max(header.max_version.min(self.max_version));
    }

    /// Makes the keys of the messages before `number` of the receiving chain.
    fn skip(&mut self, number: u32, added: &mut Vec<SkippedKey>) -> Result<(), RatchetFault> {
        if number < self.received {
            let later = self.received - number - 1;
            return Err(if later == 0 { RatchetFault::Duplicate } else { RatchetFault::Earlier(later) });
        }
        let missing = number - self.received;
        if missing > Ratchet::<K>::MAX_SKIPPED {
            return Err(RatchetFault::Skipped(missing.saturating_add(1)));
        }
        if let Some(chain) = &self.receiving {
            let header = chain.header.clone();
            for number in self.received..number {
                added.push(SkippedKey { header: header.clone(), number, key: self.take_key()? });
            }
        }
        Ok(())
    }

    /// The key of the next message of the receiving chain.
    fn take_key(&mut self) -> Result<BodyKey, RatchetFault> {
        let chain = self.receiving.as_mut().ok_or(RatchetFault::Header)?;
        let received = self.received.checked_add(1).ok_or(RatchetFault::Malformed)?;
        let (next, key, _) = chain.chain.step();
        (chain.chain, self.received) = (next, received);
        Ok(key)
    }

    /// The step of Diffie-Hellman and KEM: a new chain in each direction.
    fn step(
        &mut self,
        header: &MessageHeader<K>,
        fresh: &mut (impl FreshKeys<K> + ?Sized),
    ) -> Result<(), RatchetFault> {
        let received = self.decapsulate(header.kem.as_ref())?;
        let sent = self.encapsulate(header.kem.as_ref(), fresh);
        let (ciphertext, sent) = sent.unzip();
        let (root, receiving, next_receiving_header) =
            self.root.step(&self.key.agree(&header.key)?, received.as_ref());
        self.key = fresh.key();
        let (root, sending, next_sending_header) = root.step(&self.key.agree(&header.key)?, sent.as_ref());
        self.root = root;
        let header_key = core::mem::replace(&mut self.next_receiving_header, next_receiving_header);
        self.receiving = Some(ReceivingChain { chain: receiving, header: header_key });
        let header_key: HeaderKey = core::mem::replace(&mut self.next_sending_header, next_sending_header);
        self.sending =
            Some(SendingChain { chain: sending, header: header_key, theirs: header.key, ciphertext });
        (self.previous, self.sent, self.received) = (self.sent, 0, 0);
        (self.pq_receiving, self.pq_sending) = (received.is_some(), sent.is_some());
        self.pq_enabled = self.pq_receiving || self.kem.is_some();
        Ok(())
    }

    /// The secret that the other side encapsulated.
    fn decapsulate(&self, theirs: Option<&KemParameters>) -> Result<Option<KemSecret>, RatchetFault> {
        match theirs {
            Some(KemParameters::Accepted(ciphertext, _)) => {
                let key = self.kem.as_ref().ok_or(RatchetFault::Kem)?;
                Ok(Some(key.decapsulate(ciphertext)))
            }
            Some(KemParameters::Proposed(_)) | None => Ok(None),
        }
    }

    /// Answers what the other side says of the KEM: with a secret for it and a new key of our own, with a key alone, or
    /// with nothing.
    fn encapsulate(
        &mut self,
        theirs: Option<&KemParameters>,
        fresh: &mut (impl FreshKeys<K> + ?Sized),
    ) -> Option<(KemCiphertext, KemSecret)> {
        let enabled = self.pq_enabled && self.version >= KemParameters::SINCE;
        let sent = theirs.filter(|_| enabled).map(|theirs| fresh.encapsulate(theirs.key()));
        // A proposal that got no answer is not made again: the other side does not want it.
        let proposes = theirs.is_some() || self.kem.is_none();
        self.kem = (enabled && proposes).then(|| fresh.kem_key());
        sent
    }
}

impl From<CryptoError> for RatchetFault {
    fn from(_: CryptoError) -> Self {
        Self::Key
    }
}
