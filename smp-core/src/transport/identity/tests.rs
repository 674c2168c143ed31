use bytes::Bytes;
use der::{Decode, Encode};
use x509_cert::Certificate;

use super::*;
use crate::wire::AuthPublicKey;
use crate::{SeededEntropy, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::Ed448];
const DAY: i64 = 86_400;

fn entropy() -> SeededEntropy {
    SeededEntropy::new([7; 32])
}

fn server(authority: Algorithm, leaf: Algorithm) -> (Authority, Issued) {
    let mut entropy = entropy();
    let authority = Authority::generate(authority, &mut entropy, NOW).unwrap();
    let issued =
        authority.issue(Subject { host: "smp.example.org", algorithm: leaf }, &mut entropy, NOW).unwrap();
    (authority, issued)
}

fn chain(authority: &Authority, issued: &Issued) -> Vec<Bytes> {
    vec![issued.certificate.clone(), authority.certificate().clone()]
}

#[test]
fn keys_survive_pem_and_der() {
    for algorithm in ALGORITHMS {
        let key = IdentityKey::generate(algorithm, &mut entropy());
        for read in [IdentityKey::from_pem(&key.to_pem()), IdentityKey::from_pkcs8(&key.to_pkcs8())] {
            let read = read.unwrap();
            assert_eq!(read.public_key(), key.public_key());
            assert!(verify(&key.public_key(), b"message", raw_signature(&read.sign(b"message"))));
            assert!(!verify(&key.public_key(), b"other", raw_signature(&read.sign(b"message"))));
        }
        let der = key.to_pkcs8();
        for end in 0..der.len() {
            assert_eq!(IdentityKey::from_pkcs8(&der[..end]).unwrap_err(), KeyError::Key);
        }
    }
}

#[test]
fn keys_of_openssl_are_read() {
    let keys = [
        ("MC4CAQAwBQYDK2VwBCIEIDTmi2o/x8BDpjzWNt/8L42fE7iwqM4wl8Cmfp0pxU1F", Algorithm::Ed25519),
        (
            "MEcCAQAwBQYDK2VxBDsEOd+u8GISYVgrY+MgVn2Cl3ZXUoJ2vYlGGEE4Ii+o5b/X4XHEq0rXJQJHj8hmXBRzPfAnH8G5LsaIeQ==",
            Algorithm::Ed448,
        ),
    ];
    for (base64, algorithm) in keys {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", wrapped(base64));
        let key = IdentityKey::from_pem(&pem).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(*key.to_pem(), pem);
        let other = pem.replace("PRIVATE", "EC PRIVATE");
        assert_eq!(IdentityKey::from_pem(&other).unwrap_err(), KeyError::Pem);
    }
    // X25519, which cannot sign.
    let der =
        [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20][..], &[9; 32]].concat();
    assert_eq!(IdentityKey::from_pkcs8(&der).unwrap_err(), KeyError::Key);
}

fn wrapped(base64: &str) -> String {
    let lines: Vec<_> =
        base64.as_bytes().chunks(64).map(|line| core::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

#[test]
fn issued_chains_are_valid_and_pinned() {
    for authority in ALGORITHMS {
        for leaf in ALGORITHMS {
            let (authority, issued) = server(authority, leaf);
            let chain = chain(&authority, &issued);
            let expected = fingerprint(authority.certificate());
            assert_eq!(verify_server_chain(&chain, &expected, NOW), Ok(()));
            assert_eq!(verify_server_chain(&chain, &[0; 32], NOW), Err(ChainError::Identity));
            assert_eq!(leaf_key(&chain), Ok(issued.key.public_key()));
            assert_eq!(verify_client_chain(&chain, NOW), Ok(expected));
        }
    }
}

#[test]
fn certificates_say_what_those_of_other_servers_say() {
    let (authority, issued) = server(Algorithm::Ed448, Algorithm::Ed25519);
    let parsed = Certificate::from_der(&issued.certificate).unwrap();
    let tbs = parsed.tbs_certificate();
    // As text the order is the reverse of that of the bytes (RFC 4514 section 2.1).
    assert_eq!(tbs.issuer().to_string(), "O=SimpleX,CN=SMP server CA");
    assert_eq!(tbs.subject().to_string(), "CN=smp.example.org");
    assert_eq!(tbs.validity().not_after.to_date_time().year(), 4764);
    let extensions: Vec<_> = tbs.extensions().unwrap().iter().map(|e| e.extn_id.to_string()).collect();
    assert_eq!(extensions, ["2.5.29.14", "2.5.29.35", "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"]);
    // digitalSignature, nonRepudiation, keyAgreement: bits 0, 1 and 4.
    assert_eq!(tbs.extensions().unwrap()[3].extn_value.as_bytes(), [3, 2, 3, 0xc8]);
    assert_eq!(parsed.to_der().unwrap(), issued.certificate);
    let authority = Certificate::from_der(authority.certificate()).unwrap();
    assert_eq!(authority.tbs_certificate().subject(), authority.tbs_certificate().issuer());
}

#[test]
fn hosts_that_a_name_cannot_hold_are_refused() {
    let authority = Authority::generate(Algorithm::Ed25519, &mut entropy(), NOW).unwrap();
    let issue = |host: &str| {
        let subject = Subject { host, algorithm: Algorithm::Ed25519 };
        authority.issue(subject, &mut entropy(), NOW).map(|issued| issued.certificate)
    };
    for host in ["", "a,CN=b", "a\nb", "smp.exämple", "a=b", &"a".repeat(65)] {
        assert_eq!(issue(host), Err(IssueError::Host), "{host}");
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "smp.example.org", "*.example.org"] {
        assert!(issue(host).is_ok(), "{host}");
    }
}

#[test]
fn dates_are_checked_for_every_certificate() {
    let (authority, issued) = server(Algorithm::Ed25519, Algorithm::Ed25519);
    let chain = chain(&authority, &issued);
    let expected = fingerprint(authority.certificate());
    let at = |secs: i64| verify_server_chain(&chain, &expected, UnixTime::from_secs(NOW.as_secs() + secs));
    assert_eq!(at(-DAY), Ok(()));
    assert_eq!(at(-DAY - 1), Err(ChainError::NotYetValid));
    assert_eq!(at(999_999 * DAY), Ok(()));
    assert_eq!(at(999_999 * DAY + 1), Err(ChainError::Expired));
    // An authority that comes later than its leaf.
    let mut entropy = entropy();
    let later = UnixTime::from_secs(NOW.as_secs() + 10 * DAY);
    let young = Authority::generate(Algorithm::Ed25519, &mut entropy, later).unwrap();
    let leaf = young.issue(Subject { host: "a", algorithm: Algorithm::Ed25519 }, &mut entropy, NOW).unwrap();
    let chain = [leaf.certificate, young.certificate().clone()];
    let expected = fingerprint(young.certificate());
    assert_eq!(verify_server_chain(&chain, &expected, NOW), Err(ChainError::NotYetValid));
}

#[test]
fn dates_outside_the_calendar_of_certificates_are_refused() {
    for secs in [0, i64::MAX / 1000, 253_402_300_799 - DAY] {
        let now = UnixTime::from_secs(secs);
        assert_eq!(
            Authority::generate(Algorithm::Ed25519, &mut entropy(), now).unwrap_err(),
            IssueError::Dates
        );
    }
}

/// A certificate authority under another, for chains of three and four.
fn intermediate(parent: &Authority, entropy: &mut SeededEntropy) -> Authority {
    parent.issue_authority(Algorithm::Ed25519, entropy, NOW).unwrap()
}

#[test]
fn longer_chains_are_walked_in_order() {
    let mut entropy = entropy();
    let root = Authority::generate(Algorithm::Ed448, &mut entropy, NOW).unwrap();
    let other = intermediate(&root, &mut entropy);
    let identity = intermediate(&other, &mut entropy);
    let leaf = |authority: &Authority, entropy: &mut SeededEntropy| {
        authority.issue(Subject { host: "a", algorithm: Algorithm::Ed448 }, entropy, NOW).unwrap().certificate
    };
    let [root_der, other_der, identity_der] = [&root, &other, &identity].map(|a| a.certificate().clone());
    let pinned = fingerprint(&identity_der);
    let good = leaf(&identity, &mut entropy);
    let four = [good.clone(), identity_der.clone(), other_der.clone(), root_der.clone()];
    assert_eq!(verify_server_chain(&four, &pinned, NOW), Ok(()));
    let three = [leaf(&other, &mut entropy), other_der.clone(), root_der.clone()];
    assert_eq!(verify_server_chain(&three, &fingerprint(&other_der), NOW), Ok(()));
    // A leaf that the root signed itself makes the pinned certificate a bystander.
    let stranger = Authority::generate(Algorithm::Ed25519, &mut entropy, NOW).unwrap();
    for (authority, root) in [(&stranger, stranger.certificate()), (&root, &root_der)] {
        let forged = leaf(authority, &mut entropy);
        let chain = [forged.clone(), identity_der.clone(), root.clone()];
        assert_eq!(verify_server_chain(&chain, &pinned, NOW), Err(ChainError::Structure));
        let chain = [forged, identity_der.clone(), other_der.clone(), root.clone()];
        assert_eq!(verify_server_chain(&chain, &pinned, NOW), Err(ChainError::Structure));
    }
    let wrong_order = [good.clone(), identity_der.clone(), root_der.clone(), other_der.clone()];
    assert_eq!(verify_server_chain(&wrong_order, &pinned, NOW), Err(ChainError::Structure));
    let five = [good.clone(), identity_der, other_der, root_der.clone(), root_der];
    assert_eq!(verify_server_chain(&five, &pinned, NOW), Err(CertificateError::ChainLength(5).into()));
    assert_eq!(verify_server_chain(&[good], &pinned, NOW), Err(CertificateError::ChainLength(1).into()));
    assert_eq!(verify_server_chain(&[], &pinned, NOW), Err(CertificateError::ChainLength(0).into()));
}

#[test]
fn a_leaf_cannot_sign() {
    let mut entropy = entropy();
    let (authority, issued) = server(Algorithm::Ed25519, Algorithm::Ed25519);
    let leaf = Authority::load(issued.certificate.clone(), issued.key).unwrap();
    let below = leaf.issue(Subject { host: "a", algorithm: Algorithm::Ed25519 }, &mut entropy, NOW).unwrap();
    let chain = [below.certificate, issued.certificate.clone(), authority.certificate().clone()];
    let pinned = fingerprint(&issued.certificate);
    assert_eq!(verify_server_chain(&chain, &pinned, NOW), Err(ChainError::Structure));
}

#[test]
fn service_certificates_may_sign_themselves() {
    for algorithm in ALGORITHMS {
        let issued = self_signed_client("notifications", algorithm, &mut entropy(), NOW).unwrap();
        let chain = [issued.certificate.clone()];
        assert_eq!(verify_client_chain(&chain, NOW), Ok(fingerprint(&issued.certificate)));
        let late = UnixTime::from_secs(NOW.as_secs() + 1_000_000 * DAY);
        assert_eq!(verify_client_chain(&chain, late), Err(ChainError::Expired));
    }
    let authority = Authority::generate(Algorithm::Ed448, &mut entropy(), NOW).unwrap();
    assert!(verify_client_chain(&[authority.certificate().clone()], NOW).is_ok());
    let (_, issued) = server(Algorithm::Ed25519, Algorithm::Ed25519);
    assert_eq!(verify_client_chain(&[issued.certificate], NOW), Err(ChainError::Signature));
}

#[test]
fn every_changed_byte_breaks_a_chain() {
    let (authority, issued) = server(Algorithm::Ed25519, Algorithm::Ed25519);
    let pinned = fingerprint(authority.certificate());
    for position in 0..issued.certificate.len() {
        let mut changed = issued.certificate.to_vec();
        changed[position] ^= 0x10;
        let chain = [Bytes::from(changed), authority.certificate().clone()];
        assert!(verify_server_chain(&chain, &pinned, NOW).is_err(), "{position}");
        let cut = [issued.certificate.slice(..position), authority.certificate().clone()];
        let malformed = CertificateError::Malformed.into();
        assert_eq!(verify_server_chain(&cut, &pinned, NOW), Err(malformed), "{position}");
    }
}

#[test]
fn an_identity_is_loaded_from_files() {
    for algorithm in ALGORITHMS {
        let (authority, issued) = server(Algorithm::Ed25519, algorithm);
        let certificate = certificates_to_pem(std::slice::from_ref(&issued.certificate));
        let ca = certificates_to_pem(std::slice::from_ref(authority.certificate()));
        let key = issued.key.to_pem();
        let load = |certificate: &str, ca: &str, key: &str, now| {
            ServerIdentity::from_pem(certificate.as_bytes(), ca.as_bytes(), key.as_bytes(), now)
        };
        let identity = load(&certificate, &ca, &key, NOW).unwrap();
        assert_eq!(identity.chain(), chain(&authority, &issued));
        assert_eq!(identity.fingerprint(), &fingerprint(authority.certificate()));
        let full = format!("{certificate}{ca}");
        assert_eq!(load(&full, &ca, &key, NOW).unwrap().chain(), identity.chain());

        let refused = |result: Result<ServerIdentity, IdentityError>| result.unwrap_err();
        let late = UnixTime::from_secs(NOW.as_secs() + 1_000_000 * DAY);
        let (stranger, _) =
            (Authority::generate(algorithm, &mut SeededEntropy::new([9; 32]), NOW).unwrap(), ());
        let stranger_ca = certificates_to_pem(std::slice::from_ref(stranger.certificate()));
        let table = [
            (load("", &ca, &key, NOW), IdentityError::Pem(Part::Certificate, PemError::Empty)),
            (load(&certificate, "x", &key, NOW), IdentityError::Pem(Part::Authority, PemError::Empty)),
            (load(&certificate, &ca, &ca, NOW), IdentityError::Key(KeyError::Pem)),
            (load(&certificate, &ca, &stranger.key().to_pem(), NOW), IdentityError::KeyMismatch),
            (load(&certificate, &ca, &key, late), IdentityError::Chain(ChainError::Expired)),
            (
                load(&certificate, &certificate, &key, NOW),
                IdentityError::Chain(CertificateError::ChainLength(1).into()),
            ),
        ];
        for (result, expected) in table {
            // A single certificate is found out before its key is looked at.
            assert_eq!(refused(result), expected);
        }
        let wrong = refused(load(&certificate, &stranger_ca, &key, NOW));
        assert!(
            matches!(wrong, IdentityError::Chain(ChainError::Signature | ChainError::Structure)),
            "{wrong}"
        );
        let not_text = ServerIdentity::from_pem(&[0xff], ca.as_bytes(), key.as_bytes(), NOW);
        assert_eq!(refused(not_text), IdentityError::NotText(Part::Certificate));
    }
}

#[test]
fn an_existing_authority_issues_again() {
    let (authority, issued) = server(Algorithm::Ed25519, Algorithm::Ed25519);
    let key = IdentityKey::from_pem(&authority.key().to_pem()).unwrap();
    let loaded = Authority::load(authority.certificate().clone(), key).unwrap();
    let again =
        loaded.issue(Subject { host: "b", algorithm: Algorithm::Ed448 }, &mut entropy(), NOW).unwrap();
    let pinned = fingerprint(authority.certificate());
    assert_eq!(verify_server_chain(&chain(&authority, &again), &pinned, NOW), Ok(()));
    let error = Authority::load(authority.certificate().clone(), issued.key).unwrap_err();
    assert_eq!(error, IssueError::KeyMismatch);
}

#[test]
fn no_x25519_key_verifies() {
    assert!(!verify(&AuthPublicKey::X25519([9; 32]), b"", &[0; 64]));
}
