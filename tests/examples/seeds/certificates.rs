//! Seeds of certificates and their text.

use bytes::Bytes;
use smp_core::transport::identity::certificates_to_pem;
use smp_core::wire::CertChain;
use smp_core::{SeededEntropy, UnixTime};
use smp_tests::in_memory::identity;
use smp_tests::vectors::{Fields, load};

/// Chains, ours and a recorded one.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let made = identity(&mut SeededEntropy::new([1; 32]), UnixTime::from_secs(1_800_000_000));
    let vectors = load("smp_handshakes.json");
    let recorded: Vec<Bytes> = (0..2)
        .map(|index| vectors.items("server_cert_chain")[index].as_str().expect("hex"))
        .map(smp_tests::vectors::unhex)
        .collect();
    let chains = [made.chain().to_vec(), made.chain()[..1].to_vec(), made.chain()[1..].to_vec(), recorded];
    let encode = |chain| {
        let mut out = Vec::new();
        CertChain::new(chain).expect("a chain").encode(&mut out);
        out
    };
    chains.into_iter().map(encode).collect()
}

/// Certificates with their key, apart and together.
pub(crate) fn pem() -> Vec<Vec<u8>> {
    let made = identity(&mut SeededEntropy::new([1; 32]), UnixTime::from_secs(1_800_000_000));
    let (certificates, key) = (certificates_to_pem(made.chain()), made.key().to_pem());
    vec![
        [certificates.as_bytes(), key.as_bytes()].concat(),
        certificates.into_bytes(),
        made.key().to_pkcs8().to_vec(),
    ]
}
