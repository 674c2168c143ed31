//! What to listen on.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::failure::Failure;
use crate::settings::Settings;

/// Something to listen for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    pub(crate) serves: Serves,
}

/// What is served there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Serves {
    /// SMP.
    Smp,
    /// SMP and the web site over HTTPS.
    Shared,
    /// SMP over WebSockets.
    WebSocket,
    /// The web site.
    Http,
    /// The web site over HTTPS.
    Https,
    /// Metrics, for this machine alone.
    Metrics,
}

impl Serves {
    /// Whether SMP clients get SMP there, without more.
    pub(crate) const fn is_smp(self) -> bool {
        matches!(self, Self::Smp | Self::Shared)
    }
}

/// What to listen on, each of which could be listened on a moment ago. `has_tls` tells whether the web site has a certificate.
///
/// A port that is the web site's as well, or alone, may be in use by another program, as long as something is left for SMP.
pub(crate) fn sockets(settings: &Settings, has_tls: bool) -> Result<Vec<Socket>, Failure> {
    let mut sockets = Vec::new();
    let mut left_out = None;
    if let Some(port) = settings.statistics.port {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address).map_err(|e| {
            Failure::new(format!(
                "cannot listen on {address} for metrics: {e}. Set another [TRANSPORT] metrics_port, or none"
            ))
        })?;
        sockets.push(Socket { address, serves: Serves::Metrics });
    }
    for (number, serves, optional) in wanted(settings, has_tls) {
        match of_port(&settings.bind, number) {
            Ok(found) => sockets.extend(found.into_iter().map(|address| Socket { address, serves })),
            Err(failure) if optional => {
                log::warn!(
                    "{failure}. It is a port of the web site ([WEB]), so the other ports are served without it"
                );
                left_out = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    match left_out {
        Some(failure) if !sockets.iter().any(|socket| socket.serves.is_smp()) => Err(failure),
        _ => Ok(sockets),
    }
}

/// Ports, what they serve, and whether the server does without them.
fn wanted(settings: &Settings, has_tls: bool) -> Vec<(u16, Serves, bool)> {
    let smp = settings.ports.iter().map(|port| {
        let serves = if port.web && has_tls { Serves::Shared } else { Serves::Smp };
        (port.number, serves, port.web)
    });
    let mut wanted: Vec<_> = smp.collect();
    wanted.extend(settings.web_sockets.iter().map(|port| (*port, Serves::WebSocket, false)));
    let https = settings.web.https.filter(|_| has_tls && !settings.ports.iter().any(|port| port.web));
    wanted.extend(https.map(|port| (port, Serves::Https, true)));
    wanted.extend(settings.web.http.map(|port| (port, Serves::Http, true)));
    wanted
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
    use crate::settings::of_text;

    fn settings(text: &str) -> Settings {
        of_text(&format!("[TRANSPORT]\nbind = 127.0.0.1\n{text}"))
    }

    fn served(settings: &Settings, has_tls: bool) -> Vec<Serves> {
        sockets(settings, has_tls).unwrap().into_iter().map(|socket| socket.serves).collect()
    }

    #[test]
    fn a_busy_port_is_refused_unless_it_is_the_web_s_and_another_is_left() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let busy = taken.local_addr().unwrap().port();
        let refused = |text: &str| sockets(&settings(text), true).err().map(|failure| failure.to_string());
        let message = refused(&format!("port = 0,{busy}")).unwrap();
        assert!(
            message.contains(&format!("127.0.0.1:{busy}")) && message.contains("[TRANSPORT] port"),
            "{message}"
        );
        let left = format!("port = {busy},0\n[WEB]\nhttps = {busy}");
        assert_eq!(served(&settings(&left), true), [Serves::Smp]);
        assert_eq!(served(&settings(&format!("port = 0\n[WEB]\nhttp = {busy}")), true), [Serves::Smp]);
        assert!(refused(&format!("port = {busy}\n[WEB]\nhttps = {busy}\nhttp = 0")).is_some());
        assert!(sockets(&of_text(&format!("[TRANSPORT]\nport = {busy}")), true).is_err());
    }

    #[test]
    fn each_port_serves_what_it_is_for() {
        let all = "port = 0\nwebsockets = 0\n[WEB]\nhttps = 0\nhttp = 0";
        assert_eq!(served(&settings(all), true), [Serves::Shared, Serves::WebSocket, Serves::Http]);
        // Without a certificate there is no HTTPS, and SMP all the same.
        assert_eq!(served(&settings(all), false), [Serves::Smp, Serves::WebSocket, Serves::Http]);
    }

    #[test]
    fn every_address_and_port_is_listened_on() {
        let both = of_text("[TRANSPORT]\nbind = 127.0.0.1,127.0.0.2\nport = 0,0");
        assert_eq!(served(&both, false).len(), 4);
        assert_eq!(served(&of_text("[TRANSPORT]\nport = 0"), false).len(), 1);
        let other = of_text("[TRANSPORT]\nbind = 192.0.2.1\nport = 0");
        let message = sockets(&other, false).err().unwrap().to_string();
        assert!(message.contains("192.0.2.1:0") && message.contains("[TRANSPORT] bind"), "{message}");
    }
}
