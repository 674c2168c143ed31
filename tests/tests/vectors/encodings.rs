//! Every command and every message at every version, alone and inside a transmission.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use smp_core::wire::{
    Authorization, BrokerMessage, ClientTransmission, Command, CommandError, CorrelationId, EntityId,
    ServerTransmission, SessionId, Version,
};
use smp_tests::vectors::Fields;

use super::printed;

/// Checks each version, and that the values of the newest version are written for each other one as the
/// reference does.
pub(crate) fn run(file: &Value) -> usize {
    let session = Session::new(file.field("inputs"));
    let versions = file.items("versions");
    let newest = versions.iter().max_by_key(|entry| version(entry)).expect("there is a version");
    let commands: BTreeMap<_, _> = newest
        .items("commands")
        .iter()
        .map(|case| {
            (case.text("name"), Command::decode(version(newest), &case.hex("encoded")).expect("a command"))
        })
        .collect();
    let messages: BTreeMap<_, _> = newest
        .items("broker")
        .iter()
        .map(|case| {
            let message = BrokerMessage::decode(version(newest), &case.hex("encoded"));
            (case.text("name"), message.expect("a message"))
        })
        .collect();
    let mut cases = 0;
    for entry in versions {
        let version = version(entry);
        assert_eq!(version.message_length_max() as u64, entry.number("max_message_length"));
        for case in entry.items("commands") {
            session.check_command(version, case);
            let mut out = Vec::new();
            commands[case.text("name")].encode(version, &mut out);
            assert_eq!(out, case.hex("encoded"), "{} at {version}", case.text("name"));
            cases += 1;
        }
        for case in entry.items("broker") {
            session.check_message(version, case);
            let mut out = Vec::new();
            messages[case.text("name")].encode(version, &mut out);
            assert_eq!(out, case.hex("encoded"), "{} at {version}", case.text("name"));
            cases += 1;
        }
    }
    cases
}

/// The session that all transmissions of a file belong to.
pub(crate) struct Session {
    pub(crate) session_id: SessionId,
    pub(crate) correlation_id: CorrelationId,
}

impl Session {
    pub(crate) fn new(inputs: &Value) -> Self {
        Self {
            session_id: SessionId::new(&inputs.hex("session_id")).expect("a session id"),
            correlation_id: CorrelationId::new(&inputs.hex("corr_id")).expect("a correlation id"),
        }
    }

    /// Reads the command as the reference did: signed if and only if it has to be.
    fn check_command(&self, version: Version, case: &Value) {
        let (name, encoded) = (case.text("name"), case.hex("encoded"));
        let sent = self.read_command(version, case);
        let Ok(command) = Command::decode(version, &sent.command) else { panic!("{name}: unreadable") };
        assert_eq!(sent.command, encoded, "{name}");
        let checked = command.check_credentials(sent.authorization.is_some(), &sent.entity_id);
        let printed = checked.map_or_else(printed::refusal, |()| printed::command(&command));
        printed::assert_printed(&printed, case.text("decoded"));

        let mut out = Vec::new();
        command.encode(version, &mut out);
        assert_eq!(out, encoded, "{name}");
        let unsigned = ClientTransmission { authorization: Authorization::None, ..sent };
        let mut out = Vec::new();
        unsigned.encode(version, &self.session_id, &mut out);
        assert_eq!(out, [&[0][..], &case.hex("transmission")].concat(), "{name}");
    }

    /// The transmission of a case, with a signature if the command needs one.
    pub(crate) fn read_command(&self, version: Version, case: &Value) -> ClientTransmission {
        let name = case.text("name");
        let transmission = case.hex("transmission");
        let unsigned = Bytes::from([&[0][..], &transmission].concat());
        let read = |item| ClientTransmission::decode(version, &self.session_id, &item).expect(name);
        let sent = read(unsigned);
        assert_eq!(sent.correlation_id, self.correlation_id, "{name}");
        assert_eq!(sent.entity_id.as_bytes(), case.hex("entity"), "{name}");
        let needs_signature = Command::decode(version, &sent.command).is_ok_and(|command| {
            command.check_credentials(false, &EntityId::from([1; 24])) == Err(CommandError::NoAuth)
        });
        if !needs_signature {
            return sent;
        }
        let service: &[u8] = if version >= Version::SERVICES { b"0" } else { b"" };
        read(Bytes::from([&[64][..], &[7; 64], service, &transmission].concat()))
    }

    fn check_message(&self, version: Version, case: &Value) {
        let (name, encoded) = (case.text("name"), case.hex("encoded"));
        let item = Bytes::from([&[0][..], &case.hex("transmission")].concat());
        let sent = ServerTransmission::decode(version, &self.session_id, &item).expect(name);
        assert_eq!(sent.correlation_id, self.correlation_id, "{name}");
        assert_eq!(sent.entity_id.as_bytes(), case.hex("entity"), "{name}");
        assert_eq!(sent.message, encoded, "{name}");
        printed_message(version, &sent, case);
        let mut out = Vec::new();
        sent.encode(version, &self.session_id, &mut out);
        assert_eq!(out, item, "{name}");
        let mut out = Vec::new();
        BrokerMessage::decode(version, &encoded).expect(name).encode(version, &mut out);
        assert_eq!(out, encoded, "{name}");
    }
}

/// Checks what we read of a message against what the reference printed.
pub(crate) fn printed_message(version: Version, sent: &ServerTransmission, case: &Value) {
    let message = BrokerMessage::decode(version, &sent.message)
        .and_then(|message| message.check_entity(&sent.entity_id).map(|()| message));
    let ours = message.as_ref().map_or_else(|error| printed::refusal(*error), printed::message);
    let reference = case.text("decoded");
    match message {
        // Our print ends where the chain begins.
        Ok(BrokerMessage::PKey(_)) => assert!(reference.starts_with(&ours), "\n{ours}\n{reference}"),
        _ => printed::assert_printed(&ours, reference),
    }
}

/// The version of an entry.
pub(crate) fn version(entry: &Value) -> Version {
    Version(u16::try_from(entry.number("version")).expect("a version"))
}
