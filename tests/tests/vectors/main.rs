//! Runs the code on bytes that the reference implementation produced. Prints how many cases ran for each
//! file.
//!
//! `cargo test -p smp-tests --test vectors`; `SMP_VECTORS_DIR` names another set of the same shape.
#![allow(clippy::print_stdout)]

mod agent_messages;
mod connection_requests;
mod crypto;
mod encodings;
mod handshakes;
mod handshakes_crypto;
mod handshakes_transport;
mod kem;
mod messages;
mod messages_crypto;
mod names;
mod printed;
mod proxy;
mod proxy_crypto;
mod queue_uris;
mod ratchet;
mod ratchet_headers;
mod short_links;
mod transmissions;
mod transmissions_crypto;

/// A vector file and what runs on it. Each gives the number of its cases; a failing case panics with its name.
type Suite = (&'static str, &'static [fn(&serde_json::Value) -> usize]);

const SUITES: &[Suite] = &[
    ("crypto.json", &[crypto::run]),
    ("crypto_kem.json", &[kem::run]),
    ("smp_encodings.json", &[encodings::run]),
    ("smp_transmissions.json", &[transmissions::run, transmissions_crypto::run]),
    ("smp_handshakes.json", &[handshakes::run, handshakes_crypto::run, handshakes_transport::run]),
    ("smp_proxy.json", &[proxy::run, proxy_crypto::run]),
    ("smp_names.json", &[names::run]),
    ("smp_messages.json", &[messages::run, messages_crypto::run]),
    ("agent_messages.json", &[agent_messages::run]),
    ("agent_queue_uris.json", &[queue_uris::run]),
    ("agent_conn_requests.json", &[connection_requests::run]),
    ("agent_short_links.json", &[short_links::run]),
    ("ratchet_headers.json", &[ratchet_headers::run]),
    ("ratchet_x448_pq_off.json", &[ratchet::run]),
    ("ratchet_x448_pq_proposed.json", &[ratchet::run]),
    ("ratchet_x448_pq_accepted.json", &[ratchet::run]),
    ("ratchet_x25519.json", &[ratchet::run]),
];

fn main() {
    let mut failed = 0;
    for (file, checks) in SUITES {
        let outcome = std::panic::catch_unwind(|| {
            let vectors = smp_tests::vectors::load(file);
            checks.iter().map(|run| run(&vectors)).collect::<Vec<_>>()
        });
        match outcome {
            // A check that finds nothing to do checks nothing.
            Ok(cases) if cases.iter().all(|cases| *cases > 0) => {
                println!("{file}: {} cases", cases.iter().sum::<usize>());
            }
            Ok(cases) => {
                failed += 1;
                println!("{file}: FAILED, no cases in one of {} checks", cases.len());
            }
            Err(_) => {
                failed += 1;
                println!("{file}: FAILED");
            }
        }
    }
    println!("{} passed, {failed} failed", SUITES.len() - failed);
    std::process::exit(i32::from(failed > 0));
}

/// What `encode` writes.
fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}
