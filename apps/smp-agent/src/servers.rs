//! The servers on which queues are made.

use std::path::Path;

use smp_core::agent::UserServer;
use smp_core::wire::{Scheme, ServerUri};
use smp_program::failure::{Failure, because};

use crate::cli::Cli;

/// The servers that the settings name, each once.
pub(crate) fn servers(cli: &Cli) -> Result<Vec<UserServer>, Failure> {
    let mut servers: Vec<UserServer> = Vec::new();
    if let Some(list) = &cli.servers {
        for text in split(list) {
            add(&mut servers, text).map_err(|what| Failure::new(format!("--servers: {what}")))?;
        }
    }
    if let Some(file) = &cli.servers_file {
        let text = std::fs::read_to_string(file)
            .map_err(|e| because(file, "the servers cannot be read (--servers-file)", &e))?;
        read(&mut servers, &text, file)?;
    }
    if servers.is_empty() {
        return Err(Failure::new("--servers, --servers-file: no server is named"));
    }
    Ok(servers)
}

fn read(servers: &mut Vec<UserServer>, text: &str, file: &Path) -> Result<(), Failure> {
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let place = format!("line {}", number + 1);
            add(servers, line).map_err(|what| because(file, &place, &what))?;
        }
    }
    Ok(())
}

/// The hosts of an address are separated by commas too.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(',').map(|(at, _)| at).find(|at| {
            text[at + 1..].trim_start().contains("smp://")
                && text[at + 1..].trim_start().starts_with("smp://")
        });
        rest = end.map(|at| &text[at + 1..]);
        Some(end.map_or(text, |at| &text[..at]).trim())
    })
}

/// The address is not repeated in what is wrong: it may have a password.
fn add(servers: &mut Vec<UserServer>, text: &str) -> Result<(), &'static str> {
    let uri: ServerUri =
        text.parse().map_err(|_| "not an address such as smp://<fingerprint>[:password]@host[:port]")?;
    if uri.scheme != Scheme::Smp {
        return Err("not the address of an SMP server, which begins with smp://");
    }
    if servers.iter().any(|server| server.address == uri.server) {
        return Err("the same server is named twice");
    }
    servers.push(UserServer { password: uri.password, ..UserServer::new(uri.server) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn hosts(list: &str) -> Result<Vec<usize>, &'static str> {
        let mut servers = Vec::new();
        split(list).try_for_each(|text| add(&mut servers, text))?;
        Ok(servers.iter().map(|server| server.address.hosts().len()).collect())
    }

    #[test]
    fn lists() {
        let (one, two) = (format!("smp://{HASH}:pw@a,b.onion:5000"), format!("smp://{HASH}@c"));
        assert_eq!(hosts(&one), Ok(vec![2]));
        assert_eq!(hosts(&format!("{one},{two}")), Ok(vec![2, 1]));
        assert_eq!(hosts(&format!("{two}, {one}")), Ok(vec![1, 2]));
        for wrong in
            [format!("{two},{two}"), format!("{two},"), String::new(), "c".into(), format!("xftp://{HASH}@c")]
        {
            assert!(hosts(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files() {
        let mut servers = Vec::new();
        let file = Path::new("servers.txt");
        let text = format!("# mine\n\n smp://{HASH}:pw@a \r\nsmp://{HASH}@b\n");
        read(&mut servers, &text, file).unwrap();
        assert_eq!(servers.len(), 2);
        let failure = read(&mut servers, "\nsmp://secret\n", file).err().unwrap().to_string();
        assert!(failure.contains("servers.txt: line 2") && !failure.contains("secret"), "{failure}");
    }
}
