//! `ratchet_*.json`: how two ratchets start, and every step of the recorded runs.
//!
//! Each step starts from the state that the reference recorded after the step before; what a step draws at random is taken
//! from the state that it led to. So nothing of a state goes unchecked.

mod recorded;
mod start;
mod steps;

use serde_json::Value;
use smp_core::crypto::{X448PrivateKey, X25519PrivateKey};
use smp_tests::vectors::Fields;

pub(crate) fn run(file: &Value) -> usize {
    let runs = file.as_array().expect("a list of runs");
    let cases = runs.iter().map(|run| match run.text("algorithm") {
        "X448" => {
            start::check_links(run)
                + start::check::<X448PrivateKey>(run)
                + steps::check::<X448PrivateKey>(run)
        }
        "X25519" => start::check::<X25519PrivateKey>(run) + steps::check::<X25519PrivateKey>(run),
        other => panic!("algorithm {other}"),
    });
    cases.sum()
}
