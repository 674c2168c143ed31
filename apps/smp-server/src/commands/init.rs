//! `init`: the settings and the identity of a new server.

use std::io::BufRead;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smp_core::wire::Password;

use crate::address::say_address;
use crate::cli::{Algorithm, Init};
use crate::failure::{Failure, because};
use crate::folders::{Folders, create_private};
use crate::identity;
use crate::ini::Ini;
use crate::settings::{self, Choice};
use crate::terminal::{ask, ask_yes, say};

/// Makes the files, after asking what the flags leave open.
pub(crate) fn init(mut flags: Init, folders: &Folders, answers: &mut dyn BufRead) -> Result<(), Failure> {
    if flags.database.is_some() {
        return Err(Failure::new(
            "--database: this server cannot use PostgreSQL yet. Without the flag it keeps queues and messages in its \
             embedded store",
        ));
    }
    refuse_existing(folders)?;
    if !flags.yes {
        ask_what_is_open(&mut flags, answers)?;
    }
    if !flags.no_password && flags.password.is_none() {
        flags.password = Some(random_password()?);
    }
    let control = [random_password()?, random_password()?];
    create(folders, flags.sign_algorithm, &choices(&flags, control))?;
    report(folders)
}

/// Makes the files. Whatever goes wrong, none of them is left behind.
pub(super) fn create(folders: &Folders, algorithm: Algorithm, choices: &[Choice]) -> Result<(), Failure> {
    refuse_existing(folders)?;
    let text = settings::render(choices);
    // A file that `start` would refuse is not worth writing.
    let (settings, _) = settings::read(&Ini::parse(&folders.ini(), &text)?)?;
    let host = settings.hosts.first().map(ToString::to_string).unwrap_or_default();
    for folder in [&folders.config, &folders.data] {
        std::fs::create_dir_all(folder).map_err(|e| because(folder, "cannot be made", &e))?;
    }
    let made = identity::create(folders, algorithm, &host)
        .and_then(|()| create_private(&folders.ini(), text.as_bytes()));
    if made.is_err() {
        for file in folders.configuration() {
            // The failure that is reported says more than one of these could.
            let _ = std::fs::remove_file(file);
        }
    }
    made
}

/// An identity is worth too much to be overwritten.
fn refuse_existing(folders: &Folders) -> Result<(), Failure> {
    let existing: Vec<PathBuf> =
        folders.configuration().into_iter().filter(|file| file.symlink_metadata().is_ok()).collect();
    let Some(first) = existing.first() else { return Ok(()) };
    Err(because(
        first,
        "exists",
        &format!(
            "a server is configured in {} and nothing was changed. `smp-server start` starts it, `smp-server delete` \
             deletes it",
            folders.config.display()
        ),
    ))
}

fn ask_what_is_open(flags: &mut Init, answers: &mut dyn BufRead) -> Result<(), Failure> {
    if !flags.store_log && !flags.disable_store_log {
        let keep =
            ask_yes(answers, "Keep queues and messages on disk, so that they survive restarts?", true)?;
        flags.disable_store_log = !keep;
    }
    if !flags.no_password && flags.password.is_none() {
        let question = "Password for creating queues: `r` for a random one, `n` for none, or a password";
        loop {
            match ask(answers, question, "r")?.as_str() {
                "r" => break,
                "n" => {
                    flags.no_password = true;
                    break;
                }
                password if Password::new(password.as_bytes()).is_ok() => {
                    flags.password = Some(password.to_owned());
                    break;
                }
                _ => say("A password has printable ASCII characters without space, `@`, `:` and `/`."),
            }
        }
    }
    if flags.fqdn.is_none() {
        flags.fqdn =
            Some(ask(answers, "Domain name or IP address under which clients reach the server", &flags.ip)?);
    }
    Ok(())
}

/// What the file sets: what the reference's file sets, and what was asked for.
fn choices(flags: &Init, [admin, user]: [String; 2]) -> Vec<Choice> {
    let host = flags.fqdn.as_ref().unwrap_or(&flags.ip);
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let mut choices = vec![
        ("STORE_LOG", "enable", on(!flags.disable_store_log)),
        ("STORE_LOG", "store_queues", "memory".to_owned()),
        ("STORE_LOG", "store_messages", "memory".to_owned()),
        ("STORE_LOG", "restore_messages", on(!flags.disable_store_log)),
        ("STORE_LOG", "expire_messages_days", "21".to_owned()),
        ("STORE_LOG", "expire_messages_on_start", on(true)),
        ("STORE_LOG", "expire_messages_on_send", on(false)),
        ("STORE_LOG", "expire_ntfs_hours", "24".to_owned()),
        ("STORE_LOG", "log_stats", on(flags.daily_stats)),
        ("AUTH", "new_queues", on(true)),
        ("TRANSPORT", "host", host.clone()),
        ("TRANSPORT", "port", if flags.disable_web { "5223" } else { "5223,443" }.to_owned()),
        ("TRANSPORT", "log_tls_errors", on(false)),
        ("TRANSPORT", "websockets", on(false)),
        ("INACTIVE_CLIENTS", "disconnect", on(true)),
        ("INACTIVE_CLIENTS", "ttl", "21600".to_owned()),
        ("INACTIVE_CLIENTS", "check_interval", "3600".to_owned()),
    ];
    let given = [
        ("AUTH", "create_password", flags.password.clone()),
        ("AUTH", "control_port_admin_password", Some(admin)),
        ("AUTH", "control_port_user_password", Some(user)),
        ("TRANSPORT", "control_port", flags.control_port.map(|port| port.to_string())),
        ("PROXY", "socks_proxy", flags.socks_proxy.clone()),
        ("PROXY", "own_server_domains", flags.own_domains.clone()),
        ("INFORMATION", "source_code", flags.source_code.clone().filter(|uri| !uri.is_empty())),
        ("INFORMATION", "operator", flags.operator.clone()),
        ("INFORMATION", "operator_country", flags.operator_country.clone()),
        ("INFORMATION", "website", flags.operator_website.clone()),
        ("INFORMATION", "hosting", flags.hosting.clone()),
        ("INFORMATION", "hosting_country", flags.hosting_country.clone()),
        ("INFORMATION", "hosting_type", flags.hosting_type.clone()),
        ("INFORMATION", "server_country", flags.server_country.clone()),
        ("WEB", "static_path", flags.web_path.clone()),
        ("WEB", "https", (!flags.disable_web).then(|| "443".to_owned())),
        ("STORE_LOG", "db_schema", flags.schema.clone()),
        ("STORE_LOG", "db_pool_size", flags.pool_size.map(|size| size.to_string())),
    ];
    choices.extend(
        given.into_iter().filter_map(|(section, key, value)| Some((section, key, one_line(&value?)))),
    );
    choices
}

/// A value ends with its line.
fn one_line(value: &str) -> String {
    value.replace(|c: char| c.is_control(), " ")
}

fn report(folders: &Folders) -> Result<(), Failure> {
    let (settings, _) = settings::read(&Ini::read(&folders.ini())?)?;
    let ports: Vec<u16> = settings.ports.iter().map(|port| port.number).collect();
    let identity = identity::load(folders)?;
    say(&format!("The settings are in {}, with all of them described.", folders.ini().display()));
    say("Keep ca.key in a safe place, best not on this machine: who has it can become this server.");
    say_address(&identity, &settings, &ports)?;
    if settings.web.https.is_some() {
        let (crt, key) = (folders.web_certificate(), folders.web_key());
        say(&format!(
            "For the web site over HTTPS put its certificate into {} and {}.",
            crt.display(),
            key.display()
        ));
    }
    say("`smp-server start` starts the server.");
    Ok(())
}

fn random_password() -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(identity::entropy()?.bytes::<24>()))
}
