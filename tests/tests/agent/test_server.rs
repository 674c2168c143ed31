//! Whether a server works, before its queues are used.

use smp_core::agent::UserServer;
use smp_core::client::TestStep;
use smp_runtime::client::ServerTestFailure;
use smp_tests::peer::Address;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Person, at, server, user_server};

#[test]
fn people_learn_whether_a_server_works_for_them() {
    let settings = Settings { password: Some("letmein"), ..Settings::default() };
    let (open, closed) = (server(), TestServer::start(Store::Embedded, &settings));
    let alice = Person::new(&[&open]);
    let test = |server: UserServer| alice.wait(alice.agent().test_server(server));
    let step = |result: Result<(), ServerTestFailure>| result.expect_err("it does not work").step();

    assert_eq!(test(at(open.address())), Ok(()));
    assert_eq!(test(user_server(open.address(), Some("needless"))), Ok(()));
    assert_eq!(test(user_server(closed.address(), Some("letmein"))), Ok(()));
    for password in [None, Some("wrong")] {
        assert_eq!(step(test(user_server(closed.address(), password))), TestStep::CreateQueue);
    }
    let another =
        Address { fingerprint: *closed.address().to_server_address().key_hash(), ..*open.address() };
    assert_eq!(step(test(at(&another))), TestStep::Connect);
}
