//! The ratchet: its bytes, and two ends that talk.

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::crypto::X448PrivateKey;
use smp_core::crypto::ratchet::{
    EncryptedHeader, KemOffer, MessageHeader, MessageKey, PqEncryption, Ratchet, RatchetFault,
    RatchetMessage, SendFault, SkippedKeys, X3dhKeys,
};
use smp_core::wire::Version;
use smp_core::wire::codec::{Decoded, Reader, decode_all};
use smp_core::wire::link::E2eParameters;

use crate::check_round_trip;
use crate::input::Input;

/// Bytes of one kind; the first byte says which.
pub fn ratchet_headers(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(9);
    let bytes = input.rest();
    match kind {
        0 | 1 => {
            let version = Version(2 + u16::from(kind == 1));
            check_written(&bytes, |reader| {
                let header = MessageHeader::<X448PrivateKey>::decode(reader, version)?;
                Ok(written(|out| header.encode(out, version)))
            });
        }
        2 => check_written(&bytes, |reader| {
            let header = EncryptedHeader::decode(reader)?;
            Ok(written(|out| header.encode(out)))
        }),
        3 => check_written(&bytes, |reader| {
            let (message, header) = RatchetMessage::decode(reader)?;
            Ok(written(|out| message.encode(out, header.version)))
        }),
        4 => check_written(&bytes, |reader| {
            let keys = E2eParameters::decode(reader)?;
            Ok(written(|out| keys.encode(out)))
        }),
        5 => check_stored(&bytes, |bytes| {
            Ratchet::<X448PrivateKey>::from_bytes(bytes).map(|r| r.to_bytes().to_vec())
        }),
        6 => check_stored(&bytes, |bytes| {
            X3dhKeys::<X448PrivateKey>::from_bytes(bytes).map(|k| k.to_bytes().to_vec())
        }),
        7 => check_stored(&bytes, |bytes| MessageKey::from_bytes(bytes).map(|key| key.to_bytes().to_vec())),
        _ => {
            let [mut alice, _] = pair(Start::Accepted);
            let opened = alice.ratchet.decrypt(&alice.skipped, &bytes, &mut alice.entropy);
            assert!(opened.is_err(), "a message of nobody was opened");
        }
    }
}

/// What is stored of a ratchet: its state, the keys of its start, the key of a message.
#[must_use]
pub fn stored() -> [Vec<u8>; 3] {
    let [_, mut bob] = pair(Start::Plain);
    let keys = X3dhKeys::<X448PrivateKey>::generate(Version(3), KemOffer::Nothing, &mut bob.entropy);
    let state = bob.ratchet.to_bytes().to_vec();
    let key = bob.ratchet.encrypt_header(None).expect("it can send");
    [state, keys.to_bytes().to_vec(), key.to_bytes().to_vec()]
}

fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// Checks that what is read is written as the same, by its bytes.
fn check_written(bytes: &Bytes, rewrite: impl Fn(&mut Reader<'_>) -> Decoded<Vec<u8>>) {
    let read = |bytes: &Bytes| decode_all(bytes, &rewrite).ok();
    check_round_trip(bytes, read, |value, out| out.extend_from_slice(value));
}

/// Checks that what is read is stored as the same. A private key may have come in another of its forms.
fn check_stored(bytes: &[u8], rewrite: impl Fn(&[u8]) -> Decoded<Vec<u8>>) {
    if let Ok(stored) = rewrite(bytes) {
        assert!(rewrite(&stored).as_ref() == Ok(&stored), "what was stored is read as something else");
    }
}

/// Two ends, driven by the input: they send, switch the KEM, save and load; messages come in any order, are lost,
/// repeated and changed. The first byte says how they start.
pub fn ratchet(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let starts = [Start::Old, Start::Plain, Start::Refused, Start::InReply, Start::ByBoth, Start::Accepted];
    let mut ends = pair(starts[input.below(starts.len())]);
    // No more than may be skipped at once.
    for number in 0..500u32 {
        if input.is_empty() {
            break;
        }
        let choice = input.u8();
        let [alice, bob] = &mut ends;
        let (this, other) = if choice & 1 == 0 { (alice, bob) } else { (bob, alice) };
        match choice >> 1 & 7 {
            0 => this.send(other, None, number),
            1 => this.send(other, Some(PqEncryption::On), number),
            2 => this.send(other, Some(PqEncryption::Off), number),
            3 => this.deliver(0),
            4 => this.deliver(input.u8().into()),
            5 => this.repeat(input.u8().into()),
            6 => this.change(input.u8().into(), input.u16().into()),
            _ if choice & 16 == 0 => drop(this.take(input.u8().into())),
            _ => this.restore(),
        }
    }
    for number in 1000..1006 {
        let [alice, bob] = &mut ends;
        let (from, to) = if number % 2 == 0 { (bob, alice) } else { (alice, bob) };
        from.send(to, None, number);
        to.deliver(to.coming.len() - 1);
    }
    for end in &mut ends {
        while !end.coming.is_empty() {
            end.deliver(0);
        }
        assert!(end.skipped.len() <= SkippedKeys::MAX);
    }
}

/// What is said of the KEM at the start.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    Old,
    Plain,
    Refused,
    InReply,
    ByBoth,
    Accepted,
}

struct End {
    ratchet: Ratchet,
    skipped: SkippedKeys,
    entropy: SeededEntropy,
    coming: Vec<(u32, Bytes)>,
    came: Vec<Bytes>,
}

/// Who made an invitation and who used it.
fn pair(start: Start) -> [End; 2] {
    let mut entropy = SeededEntropy::new([1; 32]);
    let version = Version(if start == Start::Old { 2 } else { 3 });
    let offers = matches!(start, Start::Refused | Start::ByBoth | Start::Accepted);
    let offer = if offers { KemOffer::Propose } else { KemOffer::Nothing };
    let alice = X3dhKeys::generate(version, offer, &mut entropy);
    let public = alice.public();
    let offer = match (start, &public.kem) {
        (Start::Accepted, Some(kem)) => KemOffer::Accept(kem.key()),
        (Start::InReply | Start::ByBoth, _) => KemOffer::Propose,
        _ => KemOffer::Nothing,
    };
    let bob = X3dhKeys::generate(version, offer, &mut entropy);
    let accepted = Ratchet::accept(&alice, &bob.public(), version, start != Start::Plain);
    let initiated = Ratchet::initiate(&bob, &public, version, &mut entropy);
    [accepted, initiated].map(|ratchet| End {
        ratchet: ratchet.expect("keys that go together"),
        skipped: SkippedKeys::new(),
        entropy: SeededEntropy::new(entropy.fork_seed()),
        coming: Vec::new(),
        came: Vec::new(),
    })
}

impl End {
    fn send(&mut self, to: &mut Self, pq: Option<PqEncryption>, number: u32) {
        match self.ratchet.encrypt(pq, 100, &number.to_be_bytes()) {
            Ok(message) => to.coming.push((number, message.into())),
            Err(fault) => {
                let new = self.ratchet.parts().receiving.is_none();
                assert!(fault == SendFault::NotReady && new, "{fault}");
            }
        }
    }

    fn receive(&mut self, message: &Bytes) -> Result<Vec<u8>, RatchetFault> {
        let decrypted = self.ratchet.decrypt(&self.skipped, message, &mut self.entropy)?;
        self.ratchet = decrypted.ratchet;
        self.skipped.apply(decrypted.skipped);
        decrypted.body
    }

    fn take(&mut self, at: usize) -> Option<(u32, Bytes)> {
        let len = self.coming.len();
        (len > 0).then(|| self.coming.remove(at % len))
    }

    fn deliver(&mut self, at: usize) {
        if let Some((number, message)) = self.take(at) {
            assert!(self.receive(&message).as_deref() == Ok(&number.to_be_bytes()), "message {number}");
            self.came.push(message);
        }
    }

    fn repeat(&mut self, at: usize) {
        if !self.came.is_empty() {
            let before = self.stored();
            let message = self.came[at % self.came.len()].clone();
            assert!(self.receive(&message).is_err(), "a message came twice");
            assert!(self.stored() == before, "a repeated message changed a ratchet");
        }
    }

    fn change(&mut self, at: usize, bit: usize) {
        if let Some((number, message)) = self.take(at) {
            let mut changed = message.to_vec();
            let bit = bit % (changed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = self.stored();
            assert!(self.receive(&changed.into()).is_err(), "a changed message was taken");
            if self.stored() == before {
                self.coming.push((number, message));
            } else {
                self.came.push(message);
            }
        }
    }

    fn restore(&mut self) {
        self.ratchet = Ratchet::from_bytes(&self.ratchet.to_bytes()).expect("what was stored");
        let rows: Vec<_> = self.skipped.iter().collect();
        self.skipped = SkippedKeys::new();
        rows.into_iter().for_each(|row| self.skipped.insert(row));
    }

    fn stored(&self) -> (Vec<u8>, usize) {
        (self.ratchet.to_bytes().to_vec(), self.skipped.len())
    }
}
