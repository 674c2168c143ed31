//! The database of the agent.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};

use smp_program::failure::{Failure, because};
use smp_storage::agent::{DatabaseKey, SqliteAgentStore, SqliteOptions};
use zeroize::Zeroizing;

use crate::cli::Cli;

/// The file that the settings name, opened.
pub(crate) fn open(cli: &Cli) -> Result<(SqliteAgentStore, PathBuf), Failure> {
    let key = cli.key_file.as_deref().map(read_key).transpose()?;
    let file = match &cli.database {
        Some(file) => file.clone(),
        None => {
            let folder = Path::new(USUAL_FOLDER);
            make_private(folder).map_err(|e| {
                because(folder, "cannot be made", &format!("{e}. --database names another file"))
            })?;
            folder.join("agent.db")
        }
    };
    let store = SqliteAgentStore::open(&file, &SqliteOptions { create: true, key }).map_err(|e| {
        Failure::new(format!("{e}. --database names the file, --key-file the file of its passphrase"))
    })?;
    Ok((store, file))
}

/// The passphrase is the first line.
fn read_key(file: &Path) -> Result<DatabaseKey, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|e| because(file, "the passphrase cannot be read (--key-file)", &e))?;
    DatabaseKey::passphrase(text.lines().next().unwrap_or_default()).ok_or_else(|| {
        because(file, "no passphrase (--key-file)", &"the first line is empty, or has a character U+0000")
    })
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// In the folder where the program was started.
const USUAL_FOLDER: &str = "smp-agent-data";
