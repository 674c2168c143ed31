//! `start` and `run`: serving.

use super::init::create;
use crate::cli::{Algorithm, Run, Start};
use crate::failure::Failure;
use crate::folders::Folders;
use crate::ini::Ini;
use crate::serve::{Plan, serve};
use crate::settings::{self, Choice, Store};
use crate::statistics::Keeper;
use crate::terminal::say;
use crate::web::Web;
use crate::{identity, listen, logging, reference_store};

/// Starts the server of these folders.
pub(crate) fn start(flags: &Start, folders: &Folders) -> Result<(), Failure> {
    logging::start(env!("CARGO_CRATE_NAME"), flags.log.log_level);
    for (given, note) in [
        (flags.compact_log, "--compact-log: has no effect, the embedded store compacts itself"),
        (flags.skip_warnings, "--skip-warnings: has no effect, a damaged store is never loaded in part"),
        (flags.confirm_migrations.is_some(), "--confirm-migrations: has no effect, there is no database"),
    ] {
        if given {
            log::warn!("{note}");
        }
    }
    let ini = Ini::read(&folders.ini())?;
    begin(&ini, folders, flags.maintenance)
}

/// Starts a server in a folder of its own, making its identity when there is none.
pub(crate) fn run(flags: &Run) -> Result<(), Failure> {
    logging::start(env!("CARGO_CRATE_NAME"), flags.log.log_level);
    let folders = Folders::in_one(&flags.data_dir);
    let chosen = choices(flags);
    if folders.ini().symlink_metadata().is_err() {
        let mut written = chosen.clone();
        for (section, key, usual) in [("TRANSPORT", "host", "localhost"), ("TRANSPORT", "port", "5223")] {
            if !written.iter().any(|choice| choice.1 == key) {
                written.push((section, key, usual.to_owned()));
            }
        }
        create(&folders, Algorithm::default(), &written)?;
        log::info!("made a new server in {}", folders.config.display());
    }
    let mut ini = Ini::read(&folders.ini())?;
    for (section, key, value) in chosen {
        ini.set(section, key, &value);
    }
    begin(&ini, &folders, false)
}

/// The settings that the flags ask for. They hold for this run; the first one in a folder writes them into its file.
fn choices(flags: &Run) -> Vec<Choice> {
    let given = [
        ("TRANSPORT", "host", &flags.host),
        ("TRANSPORT", "port", &flags.port),
        ("TRANSPORT", "bind", &flags.bind),
        ("AUTH", "create_password", &flags.password),
    ];
    given.into_iter().filter_map(|(section, key, value)| Some((section, key, value.clone()?))).collect()
}

fn begin(ini: &Ini, folders: &Folders, maintenance: bool) -> Result<(), Failure> {
    let (settings, notes) = settings::read(ini)?;
    for note in notes {
        log::warn!("{note}");
    }
    reference_store::refuse(&folders.data)?;
    let identity = identity::load(folders)?;
    say(&format!("SMP server v{}", env!("CARGO_PKG_VERSION")));
    if settings.store == Store::Memory {
        log::warn!(
            "[STORE_LOG] enable = off: queues and messages are kept in memory and end with the server"
        );
    }
    let (web, sockets) = if maintenance {
        (None, Vec::new())
    } else {
        let web = Web::prepare(&settings, folders)?;
        let has_tls = web.as_ref().is_some_and(|web| web.tls.is_some());
        (web, listen::sockets(&settings, has_tls)?)
    };
    let statistics = Keeper::new(&settings, folders);
    serve(Plan { store: folders.store(), identity, settings, web, statistics, sockets, maintenance })
}
