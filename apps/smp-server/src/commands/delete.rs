//! `delete`: everything that this program made.

use std::io::{BufRead, ErrorKind};
use std::path::{Path, PathBuf};

use crate::cli::Delete;
use crate::failure::{Failure, because};
use crate::folders::Folders;
use crate::terminal::{ask_yes, say};

/// Deletes the files of the configuration, the store and the statistics, and the folders if nothing else is in them.
pub(crate) fn delete(flags: &Delete, folders: &Folders, answers: &mut dyn BufRead) -> Result<(), Failure> {
    let files = folders.configuration().into_iter().chain(folders.made());
    let files: Vec<PathBuf> = files.filter(|file| file.symlink_metadata().is_ok()).collect();
    if files.is_empty() {
        let (config, data) = (folders.config.display(), folders.data.display());
        return Err(Failure::new(format!("there is no server in {config} and {data}: nothing was deleted")));
    }
    if !flags.yes {
        for file in &files {
            say(&file.display().to_string());
        }
        let question =
            "Delete these for ever? The address of the server and all queues and messages will be lost";
        if !ask_yes(answers, question, false)? {
            return Err(Failure::new("nothing was deleted"));
        }
    }
    for file in &files {
        remove(file).map_err(|e| because(file, "cannot be deleted", &e))?;
    }
    say("Deleted.");
    for folder in [&folders.data, &folders.config] {
        remove_if_empty(folder)?;
    }
    Ok(())
}

fn remove(file: &Path) -> std::io::Result<()> {
    if file.symlink_metadata()?.is_dir() { std::fs::remove_dir_all(file) } else { std::fs::remove_file(file) }
}

fn remove_if_empty(folder: &Path) -> Result<(), Failure> {
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(because(folder, "cannot be read", &e)),
    };
    if !is_empty {
        say(&format!("{} stays: there are other files in it.", folder.display()));
        return Ok(());
    }
    match std::fs::remove_dir(folder) {
        Ok(()) => Ok(()),
        // A mounted volume, or a folder of the system: an empty one does no harm.
        Err(_) => {
            say(&format!("{} stays, empty.", folder.display()));
            Ok(())
        }
    }
}
