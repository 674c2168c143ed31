//! The web site: who runs the server, and where the site is.

use std::path::PathBuf;

use super::super::value::{self, Parsed, number};
use super::super::{Contact, Information, Port, ProxyProtocol, Web};
use super::{IniError, Ports, Source};

/// Who runs the server. A server that says anything of it says where its source code is.
pub(super) fn information(from: &Source<'_>) -> Result<Information, IniError> {
    let get = |key: &str, parse: fn(&str) -> Parsed<String>| from.unless_empty(SECTION, key, parse);
    let contact = |keys: [&'static str; 4]| -> Result<Contact, IniError> {
        let [simplex, email, pgp, pgp_fingerprint] = keys;
        Ok(Contact {
            simplex: get(simplex, value::simplex_address)?,
            email: get(email, value::email)?,
            pgp: get(pgp, value::web_address)?,
            pgp_fingerprint: get(pgp_fingerprint, value::fingerprint)?,
        })
    };
    let information = Information {
        source_code: get("source_code", value::web_address)?,
        usage_conditions: get("usage_conditions", value::web_address)?,
        condition_amendments: get("condition_amendments", value::web_address)?,
        server_country: get("server_country", value::country)?,
        operator: get("operator", value::text)?,
        operator_country: get("operator_country", value::country)?,
        website: get("website", value::web_address)?,
        admin: contact(["admin_simplex", "admin_email", "admin_pgp", "admin_pgp_fingerprint"])?,
        complaints: contact([
            "complaints_simplex",
            "complaints_email",
            "complaints_pgp",
            "complaints_pgp_fingerprint",
        ])?,
        hosting: get("hosting", value::text)?,
        hosting_country: get("hosting_country", value::country)?,
        hosting_type: get("hosting_type", value::hosting_type)?,
    };
    let other = from.ini.entries().iter().find(|entry| entry.section == SECTION && !entry.value.is_empty());
    match other {
        Some(other) if information.source_code.is_none() => Err(from.error(
            SECTION,
            "source_code",
            &format!(
                "has to be set, because {} is: people who use the server are told where its code is",
                other.key
            ),
        )),
        _ => Ok(information),
    }
}

/// Where the site is. Files are looked for when the server starts.
pub(super) fn web(from: &Source<'_>) -> Result<Web, IniError> {
    let port = |key| from.optional("WEB", key, number(0..=u16::MAX));
    let path = |key| from.optional("WEB", key, path);
    Ok(Web {
        static_path: path("static_path")?,
        http: port("http")?,
        https: port("https")?,
        certificate: path("cert")?,
        key: path("key")?,
    })
}

/// The ports for SMP in TLS, and those for WebSockets.
pub(super) fn ports(from: &Source<'_>, web: &Web) -> Result<(Vec<Port>, Vec<u16>), IniError> {
    let smp = from.get("TRANSPORT", "port", value::ports)?;
    let web_sockets = from.get("TRANSPORT", "websockets", value::web_socket_ports)?;
    let taken_twice = |section, key, port: u16, by: &str| {
        from.error(
            section,
            key,
            &format!("port {port} is also {by}. Only [WEB] https may be one of [TRANSPORT] port"),
        )
    };
    for port in web_sockets.iter().copied().filter(|port| *port != 0) {
        if smp.contains(&port) {
            return Err(taken_twice("TRANSPORT", "websockets", port, "in [TRANSPORT] port"));
        }
        if web.https == Some(port) {
            return Err(taken_twice("WEB", "https", port, "in [TRANSPORT] websockets"));
        }
    }
    if let Some(http) = web.http.filter(|port| *port != 0)
        && (smp.contains(&http) || web_sockets.contains(&http) || web.https == Some(http))
    {
        return Err(taken_twice("WEB", "http", http, "for something else"));
    }
    let smp = smp.into_iter().map(|number| Port { number, web: web.https == Some(number) }).collect();
    Ok((smp, web_sockets))
}

/// Which ports are behind a proxy that says who connected. One that nobody listens on is a mistake.
pub(super) fn proxy_protocol(from: &Source<'_>, known: &Ports<'_>) -> Result<ProxyProtocol, IniError> {
    let chosen = from.get("TRANSPORT", "proxy_protocol", value::proxy_protocol)?;
    let ProxyProtocol::Ports(ports) = &chosen else { return Ok(chosen) };
    match ports.iter().find(|port| !known.has(**port)) {
        None => Ok(chosen),
        Some(port) => {
            let problem = format!("port {port} is none that the server listens on");
            Err(from.error("TRANSPORT", "proxy_protocol", &problem))
        }
    }
}

fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("has to be a path".to_owned()) } else { Ok(text.into()) }
}

const SECTION: &str = "INFORMATION";
