use quickcheck::QuickCheck;

use super::*;

fn session() -> SessionId {
    SessionId::new(&[5; 32]).unwrap()
}

fn transmission(authorization: Authorization, signed: bool) -> ClientTransmission {
    ClientTransmission {
        authorization,
        service_signature: signed.then_some(ServiceSignature([6; 64])),
        correlation_id: CorrelationId::from([1; 24]),
        entity_id: EntityId::from([2; 24]),
        command: Bytes::from_static(b"SUB"),
    }
}

fn encode(transmission: &ClientTransmission, version: u16) -> Bytes {
    let mut out = Vec::new();
    transmission.encode(Version(version), &session(), &mut out);
    out.into()
}

fn decode(version: u16, bytes: &Bytes) -> Result<ClientTransmission, TransmissionError> {
    ClientTransmission::decode(Version(version), &session(), bytes)
}

#[test]
fn client_transmissions_both_ways() {
    let rest = [&[24][..], &[1; 24], &[24], &[2; 24], b"SUB"].concat();
    let with_session = [&[32][..], &[5; 32], &rest].concat();
    let ed25519 = Authorization::Ed25519([3; 64]);
    let ed448 = Authorization::Ed448(Box::new([3; 114]));
    let authenticator = Authorization::Authenticator([3; 80]);
    for (version, value, bytes) in [
        (6, transmission(Authorization::None, false), [&[0][..], &with_session].concat()),
        (6, transmission(ed25519.clone(), false), [&[64][..], &[3; 64], &with_session].concat()),
        (7, transmission(Authorization::None, false), [&[0][..], &rest].concat()),
        (15, transmission(authenticator.clone(), false), [&[80][..], &[3; 80], &rest].concat()),
        (16, transmission(Authorization::None, false), [&[0][..], &rest].concat()),
        (16, transmission(ed448, false), [&[114][..], &[3; 114], b"0", &rest].concat()),
        (20, transmission(authenticator, true), [&[80][..], &[3; 80], b"1\x40", &[6; 64], &rest].concat()),
    ] {
        let bytes = Bytes::from(bytes);
        assert_eq!(encode(&value, version), bytes);
        assert_eq!(decode(version, &bytes).as_ref(), Ok(&value));
        assert_eq!(value.authorized_bytes(&session()), with_session);
        for cut in 0..bytes.len() - 3 {
            assert_eq!(decode(version, &bytes.slice(..cut)), Err(TransmissionError::Malformed));
        }
    }
    // Without an authorization, or before services, a service signature has no place.
    assert_eq!(encode(&transmission(ed25519, true), 15).len(), 65 + rest.len());
    assert_eq!(encode(&transmission(Authorization::None, true), 20).len(), 1 + rest.len());
}

#[test]
fn errors_keep_the_correlation_id() {
    let id = CorrelationId::from([1; 24]);
    let rest = [&[24][..], &[1; 24], &[0], b"SUB"].concat();
    for length in (1..=255u8).filter(|length| ![64, 80, 114].contains(length)) {
        let auth = [&[length][..], &vec![9; usize::from(length)]].concat();
        let error = TransmissionError::Authorization(id.clone());
        assert_eq!(decode(7, &[&auth[..], &rest].concat().into()), Err(error.clone()));
        assert_eq!(decode(16, &[&auth[..], b"0", &rest].concat().into()), Err(error.clone()));
        assert_eq!(error.into_answer(), (id.clone(), ErrorType::Block));
    }
    let other = [&[0, 4][..], b"else", &rest].concat();
    assert_eq!(decode(6, &other.into()), Err(TransmissionError::Session(id.clone())));
    assert_eq!(TransmissionError::Session(id.clone()).into_answer(), (id, ErrorType::Session));
    assert_eq!(TransmissionError::Malformed.into_answer(), (CorrelationId::empty(), ErrorType::Block));
    let short_signature = [&[64][..], &[3; 64], b"1\x3f", &[6; 63], &rest].concat();
    assert_eq!(decode(16, &short_signature.into()), Err(TransmissionError::Malformed));
}

#[test]
fn server_transmissions_both_ways() {
    let value = ServerTransmission {
        correlation_id: CorrelationId::from([1; 24]),
        entity_id: EntityId::empty(),
        message: Bytes::from_static(b"PONG"),
    };
    let rest = [&[24][..], &[1; 24], b"\0PONG"].concat();
    let with_session = [&[32][..], &[5; 32], &rest].concat();
    for (version, bytes) in [(6, [&[0][..], &with_session].concat()), (7, [&[0][..], &rest].concat())] {
        let mut out = Vec::new();
        value.encode(Version(version), &session(), &mut out);
        assert_eq!(out, bytes);
        let decode = |bytes: &[u8], session| {
            ServerTransmission::decode(Version(version), &session, &Bytes::copy_from_slice(bytes))
        };
        assert_eq!(decode(&bytes, session()).as_ref(), Ok(&value));
        for cut in 0..bytes.len() - 4 {
            assert_eq!(decode(&bytes[..cut], session()), Err(TransmissionError::Malformed));
        }
        if version == 6 {
            let error = TransmissionError::Session(value.correlation_id.clone());
            assert_eq!(decode(&bytes, SessionId::empty()), Err(error));
        }
    }
    let authorised = Bytes::from([&[1, 9][..], &rest].concat());
    let error = TransmissionError::Authorization(value.correlation_id);
    assert_eq!(ServerTransmission::decode(Version(7), &session(), &authorised), Err(error));
}

#[test]
fn any_bytes() {
    fn property(bytes: Vec<u8>, version: u16) -> bool {
        let bytes = Bytes::from(bytes);
        let version = 6 + version % 15;
        decode(version, &bytes).is_err() || encode(&decode(version, &bytes).unwrap(), version) == bytes
    }
    QuickCheck::new().tests(1000).quickcheck(property as fn(Vec<u8>, u16) -> bool);
}
