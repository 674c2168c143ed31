//! Scenarios on a server behind real sockets: its clients are made of raw bytes, its stores are the real ones.
//!
//! Each scenario runs on the store in memory and on the embedded one. Within a scenario one server meets clients of many
//! forms: versions, with and without a session key in the hello, with and without ALPN.

mod absent;
mod access;
mod blocked;
mod blocks;
mod bytes;
mod crowd;
mod delivery;
mod expiry;
mod garbage;
mod get;
mod handshake;
mod intruder;
mod later;
mod links;
mod made_links;
mod names;
mod notifications;
mod order;
mod queues;
mod quota;
mod restart;
mod routing;
mod secure;
mod services;
mod sizes;
mod statistics;
mod syntax;
mod takeover;

use std::panic::{AssertUnwindSafe, catch_unwind};

use smp_tests::peer::{Form, Peer};
use smp_tests::server::{Settings, Store, TestServer};

/// Makes a test of each scenario for each store.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(smp_tests::server::Store::Memory); })+
        }
        mod embedded {
            $(#[test] fn $name() { super::$name(smp_tests::server::Store::Embedded); })+
        }
    };
}
pub(crate) use scenarios;

/// Every form of client: all versions at which something changed, with and without encryption of blocks.
const ALL: &[Form] = &[
    Form::new(6).without_alpn(),
    Form::new(6),
    Form::new(7),
    Form::new(8).without_key(),
    Form::new(9),
    Form::new(10).without_key(),
    Form::new(11),
    Form::new(11).without_key(),
    Form::new(15),
    Form::new(15).without_key(),
    Form::new(16),
    Form::new(16).without_key(),
    Form::new(17),
    Form::new(17).without_key(),
    Form::new(18),
    Form::new(18).without_key(),
    Form::new(20),
    Form::new(20).without_key(),
];

/// For what does not depend on the version: the oldest client, one in the middle, and the newest in both ways.
const SOME: &[Form] =
    &[Form::new(6).without_alpn(), Form::new(9), Form::new(18), Form::new(18).without_key()];

/// After how many failing forms a scenario gives up.
const FAILURES_MAX: usize = 3;

/// An ordinary client.
const NEWEST: Form = Form::new(18);

/// Runs a scenario for each form on one server, then stops it in order. Tells more forms that fail than the first, but
/// not so many that a server which does not answer takes an hour to find.
#[track_caller]
fn run(store: Store, settings: &Settings, forms: &[Form], scenario: impl Fn(&TestServer, Form)) {
    let server = TestServer::start(store, settings);
    let fails = |form: &&Form| catch_unwind(AssertUnwindSafe(|| scenario(&server, **form))).is_err();
    let failed: Vec<_> = forms.iter().filter(fails).take(FAILURES_MAX).collect();
    assert!(failed.is_empty(), "failed for {failed:?}");
    server.stop();
}

/// Two clients of one form.
#[track_caller]
fn two(server: &TestServer, form: Form) -> (Peer, Peer) {
    (Peer::connect(server.address(), form), Peer::connect(server.address(), form))
}
