//! Connections to hosts that have names.

use std::io;
use std::net::IpAddr;

use crate::Runtime;

/// Why a host cannot be connected to: what came of the last of its addresses.
pub(crate) enum Unreachable {
    /// It is not one that may be connected to.
    Forbidden,
    /// It does not take the connection, or the host has none.
    Io(io::ErrorKind),
}

/// Connects to the first address of a host that takes the connection, of those that are `allowed`.
///
/// What is checked is the address that is connected to, so a name that is resolved otherwise the next time changes nothing.
pub(crate) async fn connect_to<R: Runtime>(
    runtime: &R,
    host: &str,
    port: u16,
    allowed: impl Fn(IpAddr) -> bool + Send,
) -> Result<R::Stream, Unreachable> {
    let io = |error: io::Error| Unreachable::Io(error.kind());
    let mut failure = Unreachable::Io(io::ErrorKind::NotFound);
    for address in runtime.resolve(host, port).await.map_err(io)? {
        if !allowed(address.ip()) {
            failure = Unreachable::Forbidden;
            continue;
        }
        match runtime.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = io(error),
        }
    }
    Err(failure)
}
