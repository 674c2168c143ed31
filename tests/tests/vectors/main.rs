//! Runs the code on bytes that the reference implementation produced. Prints how many cases ran for each
//! file.
//!
//! `cargo test -p smp-tests --test vectors`; `SMP_VECTORS_DIR` names another set of the same shape.
#![allow(clippy::print_stdout)]

mod crypto;
mod handshakes;
mod handshakes_crypto;
mod handshakes_transport;
mod messages;
mod messages_crypto;
mod proxy_crypto;
mod queue_uris;
mod transmissions_crypto;

/// A vector file, what runs on it, and how many cases that found. A failing case panics with its name.
type Suite = (&'static str, fn(&serde_json::Value) -> usize);

const SUITES: &[Suite] = &[
    ("smp_handshakes.json", handshakes::run),
    ("smp_messages.json", messages::run),
    ("agent_queue_uris.json", queue_uris::run),
    ("crypto.json", crypto::run),
    ("smp_handshakes.json", handshakes_crypto::run),
    ("smp_handshakes.json", handshakes_transport::run),
    ("smp_messages.json", messages_crypto::run),
    ("smp_proxy.json", proxy_crypto::run),
    ("smp_transmissions.json", transmissions_crypto::run),
];

fn main() {
    let mut failed = 0;
    for (file, run) in SUITES {
        match std::panic::catch_unwind(|| run(&smp_tests::vectors::load(file))) {
            Ok(0) => {
                failed += 1;
                println!("{file}: no cases");
            }
            Ok(cases) => println!("{file}: {cases} cases"),
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
