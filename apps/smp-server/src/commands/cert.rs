//! `cert`: a new server certificate by the existing authority.

use crate::cli::Cert;
use crate::failure::Failure;
use crate::folders::Folders;
use crate::ini::Ini;
use crate::terminal::say;
use crate::{identity, settings};

/// Replaces `server.crt` and `server.key`.
pub(crate) fn cert(flags: Cert, folders: &Folders) -> Result<(), Failure> {
    let host = match flags.cn {
        Some(host) => host,
        None => first_host(folders)?,
    };
    identity::renew(folders, flags.sign_algorithm, &host)?;
    let fingerprint = identity::load(folders)?.fingerprint;
    say(&format!("{} is new. A server that runs shows it after a restart.", folders.certificate().display()));
    say(&format!("Fingerprint: {fingerprint}"));
    Ok(())
}

fn first_host(folders: &Folders) -> Result<String, Failure> {
    let (settings, _) = settings::read(&Ini::read(&folders.ini())?)?;
    let host = settings.hosts.first().map(ToString::to_string);
    host.ok_or_else(|| Failure::new("--cn: there is no host in the ini file"))
}
