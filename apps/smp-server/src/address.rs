//! The address of the server, as it is printed.

use smp_core::wire::{DecodeError, Host, Password, Scheme, ServerAddress, ServerUri};

use crate::failure::Failure;
use crate::identity::Loaded;
use crate::settings::Settings;
use crate::terminal::say;

/// `smp://<fingerprint>[:password]@host[,host...][:port]`.
///
/// The port is left out when the server listens on the usual one, which clients try by themselves.
pub(crate) fn server_address(
    fingerprint: &[u8; 32],
    password: Option<&Password>,
    hosts: &[Host],
    ports: &[u16],
) -> Result<String, DecodeError> {
    let port = if ports.contains(&USUAL_PORT) { None } else { ports.first().copied() };
    let server = ServerAddress::new(hosts.to_vec(), port, *fingerprint)?;
    Ok(ServerUri { scheme: Scheme::Smp, server, password: password.cloned() }.to_string())
}

/// Prints the two lines that people look for in the output of a server, whatever is around them.
pub(crate) fn say_address(identity: &Loaded, settings: &Settings, ports: &[u16]) -> Result<(), Failure> {
    let hash = identity.identity.fingerprint();
    let address = server_address(hash, settings.server.password.as_ref(), &settings.hosts, ports)
        .map_err(|_| Failure::new("[TRANSPORT] host: these hosts make no address"))?;
    say(&format!("Fingerprint: {}", identity.fingerprint));
    say(&format!("Server address: {address}"));
    Ok(())
}

const USUAL_PORT: u16 = 5223;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let password = Password::new(b"pw").unwrap();
        let hash = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        for (password, hosts, ports, rest) in [
            (None, "localhost", &[5223][..], "@localhost"),
            (Some(&password), "a.example,x.onion", &[5223, 443], ":pw@a.example,x.onion"),
            (None, "[::1]", &[443, 5223], "@[::1]"),
            (Some(&password), "10.0.0.1", &[443], ":pw@10.0.0.1:443"),
            (None, "a", &[40001, 40002], "@a:40001"),
        ] {
            let hosts: Vec<Host> = hosts.split(',').map(|host| host.parse().unwrap()).collect();
            let address = server_address(&[1; 32], password, &hosts, ports).unwrap();
            assert_eq!(address, format!("smp://{hash}{rest}"));
        }
    }
}
