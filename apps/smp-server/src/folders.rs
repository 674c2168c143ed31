//! The folders of the server and the files in them, named as the reference names them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, because};

/// Where the configuration and the data are.
#[derive(Clone)]
pub(crate) struct Folders {
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
}

impl Folders {
    /// The folders that the environment names, else the usual ones.
    pub(crate) fn from_environment() -> Self {
        let folder =
            |variable, usual: &str| std::env::var_os(variable).map_or_else(|| usual.into(), PathBuf::from);
        Self { config: folder(CONFIG_VARIABLE, USUAL_CONFIG), data: folder(DATA_VARIABLE, USUAL_DATA) }
    }

    /// Both in one folder.
    pub(crate) fn in_one(folder: &Path) -> Self {
        Self { config: folder.to_owned(), data: folder.to_owned() }
    }

    /// The settings.
    pub(crate) fn ini(&self) -> PathBuf {
        self.config.join("smp-server.ini")
    }

    /// The identity certificate.
    pub(crate) fn ca_certificate(&self) -> PathBuf {
        self.config.join("ca.crt")
    }

    /// The key of the identity certificate, which only `cert` needs.
    pub(crate) fn ca_key(&self) -> PathBuf {
        self.config.join("ca.key")
    }

    /// The certificate that is shown in TLS.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.config.join("server.crt")
    }

    /// Its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.config.join("server.key")
    }

    /// The hash of the identity certificate, which clients know the server by.
    pub(crate) fn fingerprint(&self) -> PathBuf {
        self.config.join("fingerprint")
    }

    /// The certificate of the web site, unless the settings name another file.
    pub(crate) fn web_certificate(&self) -> PathBuf {
        self.config.join("web.crt")
    }

    /// Its key.
    pub(crate) fn web_key(&self) -> PathBuf {
        self.config.join("web.key")
    }

    /// The embedded store.
    pub(crate) fn store(&self) -> PathBuf {
        self.data.join("smp-server-store")
    }

    /// What was counted, to go on from.
    pub(crate) fn statistics(&self) -> PathBuf {
        self.data.join("smp-server-statistics")
    }

    /// A line of statistics for each day.
    pub(crate) fn daily_statistics(&self) -> PathBuf {
        self.data.join("smp-server-stats.daily.log")
    }

    /// Metrics for Prometheus.
    pub(crate) fn metrics(&self) -> PathBuf {
        self.data.join("smp-server-metrics.txt")
    }

    /// All files that serving makes.
    pub(crate) fn made(&self) -> [PathBuf; 4] {
        [self.store(), self.statistics(), self.daily_statistics(), self.metrics()]
    }

    /// All files that make up a configuration.
    pub(crate) fn configuration(&self) -> [PathBuf; 6] {
        [self.ini(), self.ca_certificate(), self.ca_key(), self.certificate(), self.key(), self.fingerprint()]
    }
}

/// Makes a file that must not exist yet; nobody but its owner may read it.
pub(crate) fn create_private(file: &Path, contents: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    write(&options, file, contents)
}

/// Makes a file that must not exist yet.
pub(crate) fn create(file: &Path, contents: &[u8]) -> Result<(), Failure> {
    write(OpenOptions::new().write(true).create_new(true), file, contents)
}

/// Replaces a file as a whole: after a crash it is the old one or the new one.
pub(crate) fn replace(file: &Path, contents: &[u8], private: bool) -> Result<(), Failure> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // What a run that was interrupted here left behind.
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(because(&new, "cannot be removed", &e));
        }
        _ => {}
    }
    if private {
        create_private(&new, contents)?
    } else {
        create(&new, contents)?
    }
    std::fs::rename(&new, file).map_err(|e| because(file, "cannot be replaced", &e))
}

fn write(options: &OpenOptions, file: &Path, contents: &[u8]) -> Result<(), Failure> {
    let written = options.open(file).and_then(|mut opened: File| {
        opened.write_all(contents)?;
        opened.sync_all()
    });
    written.map_err(|e| because(file, "cannot be written", &e))
}

pub(crate) const CONFIG_VARIABLE: &str = "SMP_SERVER_CFG_PATH";
pub(crate) const DATA_VARIABLE: &str = "SMP_SERVER_LOG_PATH";
/// The way to another data folder.
pub(crate) const DATA_SETTING: &str = "SMP_SERVER_LOG_PATH sets the data folder, or --data-dir with `run`";
const USUAL_CONFIG: &str = "/etc/opt/simplex";
const USUAL_DATA: &str = "/var/opt/simplex";
