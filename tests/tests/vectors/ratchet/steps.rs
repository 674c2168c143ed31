//! The recorded runs, step by step.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use smp_core::crypto::ratchet::{
    Decrypted, MessageKey, PqEncryption, Ratchet, RatchetFault, RatchetKey, SkippedKeys,
};
use smp_tests::vectors::{Fields, unhex};

use super::recorded::Recorded;

pub(super) fn check<K: RatchetKey>(run: &Value) -> usize {
    let name = run.text("name");
    let side = |field: &str| Side { state: run.field(field).field("ratchet"), skipped: SkippedKeys::new() };
    let mut sides = BTreeMap::from([("Alice", side("alice_rcv")), ("Bob", side("bob_snd"))]);
    let mut sent = BTreeMap::new();
    for (at, step) in run.items("steps").iter().enumerate() {
        let label = step.text("label");
        let what = format!("{name}: step {at}, {} {label}", step.text("op"));
        let side = sides.get_mut(step.text("party")).unwrap_or_else(|| panic!("{what}: unknown party"));
        match step.text("op") {
            "encrypt" => {
                side.encrypt::<K>(step, &what);
                sent.insert(label, step.hex("ciphertext"));
            }
            "decrypt" => side.decrypt::<K>(step, &sent[label], &what),
            other => panic!("{what}: unknown {other}"),
        }
    }
    run.items("steps").len()
}

/// One end of the conversation: what the reference recorded last, and our own skipped keys, which it did not.
struct Side<'a> {
    state: &'a Value,
    skipped: SkippedKeys,
}

impl<'a> Side<'a> {
    fn encrypt<K: RatchetKey>(&mut self, step: &'a Value, what: &str) {
        let mut ratchet = self.ratchet::<K>();
        let before = ratchet.parts().clone();
        let pq = step.get("pq_enc").and_then(Value::as_bool);
        let pq = pq.map(|on| if on { PqEncryption::On } else { PqEncryption::Off });
        let padded_len = usize::try_from(step.number("padded_len")).expect("a length");
        let mut same = ratchet.clone();
        let message = ratchet.encrypt(pq, padded_len, &step.hex("plaintext")).expect(what);
        assert_eq!(message, step.hex("ciphertext"), "{what}");
        let key = same.encrypt_header(pq).expect(what);
        let key = MessageKey::from_bytes(&key.to_bytes()).expect("a stored key");
        assert_eq!(key.encrypt(padded_len, &step.hex("plaintext")).expect(what), message, "{what}: later");

        let recorded = Recorded(step.field("state_after"));
        let mut expected = recorded.ratchet::<K>().parts().clone();
        if pq == Some(PqEncryption::Off) {
            // The reference drops the ciphertext then; ours stays, for those who get a later message of the chain first.
            expected.sending.as_mut().expect(what).ciphertext = before.sending.expect(what).ciphertext;
        }
        assert_same(&ratchet, &Ratchet::from_parts(expected), what);
        self.state = recorded.0;
    }

    fn decrypt<K: RatchetKey>(&mut self, step: &'a Value, message: &Bytes, what: &str) {
        let ratchet = self.ratchet::<K>();
        let after = step.get("state_after");
        let mut recorded = Recorded(after.unwrap_or(self.state));
        match ratchet.decrypt(&self.skipped, message, &mut recorded) {
            Ok(Decrypted { ratchet, skipped, body }) => {
                match step.text("result").strip_prefix("error: ") {
                    None => assert_eq!(body.expect(what), unhex(step.text("result")), "{what}"),
                    Some(error) => assert_eq!(body.err(), Some(fault(error)), "{what}"),
                }
                assert_same(&ratchet, &recorded.ratchet(), what);
                self.skipped.apply(skipped);
            }
            Err(error) => {
                let expected = step.get("error").and_then(Value::as_str);
                let expected = expected.or_else(|| step.text("result").strip_prefix("error: ")).expect(what);
                assert_eq!(error, fault(expected), "{what}");
                assert_same(&ratchet, &recorded.ratchet(), what);
            }
        }
        self.check_skipped(step, what);
        self.state = recorded.0;
    }

    /// The recorded state, by way of storage.
    fn ratchet<K: RatchetKey>(&self) -> Ratchet<K> {
        Ratchet::from_bytes(&Recorded(self.state).bytes::<K>()).expect("a stored ratchet")
    }

    fn check_skipped(&self, step: &Value, what: &str) {
        let Some(chains) = step.get("skipped_keys") else { return };
        let chains = chains.as_array().expect("a list").iter();
        let expected: BTreeMap<_, _> =
            chains.map(|chain| (chain.hex("header_key").to_vec(), chain.number("keys"))).collect();
        let mut ours = BTreeMap::new();
        for key in self.skipped.iter() {
            *ours.entry(key.header.as_bytes().to_vec()).or_insert(0) += 1;
        }
        assert!(ours == expected, "{what}: skipped keys of {} and {} chains", ours.len(), expected.len());
    }
}

fn assert_same<K: RatchetKey>(ours: &Ratchet<K>, expected: &Ratchet<K>, what: &str) {
    assert_eq!(*ours.to_bytes(), *expected.to_bytes(), "{what}: state");
}

/// Our name for an error of the reference.
fn fault(error: &str) -> RatchetFault {
    let (name, number) = error.split_once(' ').unwrap_or((error, ""));
    let number = || number.parse().unwrap_or_else(|_| panic!("{error}: without a number"));
    match name {
        "CERatchetHeader" => RatchetFault::Header,
        "CERatchetDuplicateMessage" => RatchetFault::Duplicate,
        "CERatchetEarlierMessage" => RatchetFault::Earlier(number()),
        "CERatchetTooManySkipped" => RatchetFault::Skipped(number()),
        "CERatchetKEMState" => RatchetFault::Kem,
        "AESDecryptError" => RatchetFault::Decrypt,
        _ => panic!("unknown error {error}"),
    }
}
