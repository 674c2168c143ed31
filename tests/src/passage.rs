//! What stands between a client and a server.

use std::io::copy;
use std::net::{Shutdown, TcpStream};
use std::thread;

/// Moves bytes both ways until both sides have ended.
pub fn pass(one: &TcpStream, other: &TcpStream) {
    thread::scope(|scope| {
        scope.spawn(|| pour(one, other));
        pour(other, one);
    });
}

/// Moves bytes until one side ends, then ends the other.
fn pour(mut from: &TcpStream, mut to: &TcpStream) {
    // How a connection ends does not matter here.
    _ = copy(&mut from, &mut to);
    _ = to.shutdown(Shutdown::Write);
}
