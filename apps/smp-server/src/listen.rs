//! What to listen on.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::failure::Failure;
use crate::settings::Port;

/// The addresses to listen on, each of which could be listened on a moment ago.
///
/// A port that is the web page's as well may be in use by another program, as long as something is left.
pub(crate) fn addresses(bind: &[IpAddr], ports: &[Port]) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = Vec::new();
    let mut left_out = None;
    for port in ports {
        match of_port(bind, port.number) {
            Ok(found) => addresses.extend(found),
            Err(failure) if port.web => {
                log::warn!(
                    "{failure}. It is also the port of the web page, so the other ports are served without it"
                );
                left_out = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    match left_out {
        Some(failure) if addresses.is_empty() => Err(failure),
        _ => Ok(addresses),
    }
}

fn of_port(bind: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if bind.is_empty() {
        return any(port);
    }
    bind.iter()
        .map(|ip| {
            let address = SocketAddr::new(*ip, port);
            TcpListener::bind(address).map(|_| address).map_err(|e| refused(address, &e))
        })
        .collect()
}

/// All addresses: mostly one socket of IPv6 takes connections of IPv4 as well, but either may be switched off.
fn any(port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let six = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    let four = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    match TcpListener::bind(six) {
        // A port that the system chooses would not be the same for both.
        Ok(_) if port == 0 => Ok(vec![six]),
        Ok(_both_or_six) => match TcpListener::bind(four) {
            Ok(_) => Ok(vec![six, four]),
            Err(_) => Ok(vec![six]),
        },
        Err(e) if matches!(e.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
            Err(refused(six, &e))
        }
        Err(_no_ipv6) => TcpListener::bind(four).map(|_| vec![four]).map_err(|e| refused(four, &e)),
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    let way_out = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there. Stop it, or set another [TRANSPORT] port",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a permission. Give it (CAP_NET_BIND_SERVICE), or set another [TRANSPORT] port"
        }
        ErrorKind::AddrNotAvailable => "this machine does not have the address. Set another [TRANSPORT] bind",
        _ => "look at [TRANSPORT] port and bind",
    };
    Failure::new(format!("cannot listen on {address}: {error}: {way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];

    fn port(number: u16, web: bool) -> Port {
        Port { number, web }
    }

    #[test]
    fn a_busy_port_is_refused_unless_it_is_the_web_s_and_another_is_left() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let busy = taken.local_addr().unwrap().port();
        let message = addresses(&LOOPBACK, &[port(0, false), port(busy, false)]).err().unwrap().to_string();
        assert!(
            message.contains(&format!("127.0.0.1:{busy}")) && message.contains("[TRANSPORT] port"),
            "{message}"
        );
        let left = addresses(&LOOPBACK, &[port(busy, true), port(0, false)]).unwrap();
        assert_eq!(left, [SocketAddr::new(LOOPBACK[0], 0)]);
        assert!(addresses(&LOOPBACK, &[port(busy, true)]).is_err());
        assert!(addresses(&[], &[port(busy, false)]).is_err());
    }

    #[test]
    fn every_address_and_port_is_listened_on() {
        let both = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        assert_eq!(addresses(&both, &[port(0, false), port(0, false)]).unwrap().len(), 4);
        assert_eq!(addresses(&[], &[port(0, false)]).unwrap().len(), 1);
        let message =
            addresses(&["192.0.2.1".parse().unwrap()], &[port(0, false)]).err().unwrap().to_string();
        assert!(message.contains("192.0.2.1:0") && message.contains("[TRANSPORT] bind"), "{message}");
    }
}
