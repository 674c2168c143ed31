//! The files in which the reference server keeps queues and messages.
//!
//! This server cannot read them yet. To start next to them with a store of its own would look to the users as if all
//! of their queues were gone, so it does not start.

use std::io::ErrorKind;
use std::path::Path;

use crate::failure::{Failure, because};
use crate::folders::DATA_SETTING;

/// Refuses when the folder holds such files.
pub(crate) fn refuse(data: &Path) -> Result<(), Failure> {
    let mut found = Vec::new();
    for name in STORE {
        if exists(&data.join(name))? {
            found.push(name);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{folder}: holds queues and messages of another SMP server: {files}. This server cannot read them yet, and \
         without them the queues of all users would be lost, so it does not start. Go on with the other server until \
         import is available; or, to start empty, move these files out of {folder} (or set {variable} to another \
         folder)",
        folder = data.display(),
        files = found.join(", "),
        variable = crate::folders::DATA_VARIABLE,
    )))
}

/// Whether there is such a file, also one that the program may not open.
fn exists(file: &Path) -> Result<bool, Failure> {
    match std::fs::symlink_metadata(file) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => {
            let way_out =
                format!("{e}. The folder must belong to the user that runs the server; {DATA_SETTING}");
            Err(because(file, "cannot be looked for", &way_out))
        }
    }
}

/// The last is what its start leaves when it is interrupted while it compacts the first.
const STORE: [&str; 5] = [
    "smp-server-store.log",
    "smp-server-messages.log",
    "smp-server-ntfs.log",
    "messages",
    "smp-server-store.log.start",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_such_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        refuse(folder.path()).unwrap();
        refuse(&folder.path().join("no such folder")).unwrap();
        std::fs::write(folder.path().join("smp-server-stats.log"), "").unwrap();
        refuse(folder.path()).unwrap();
        for name in STORE {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            let message = refuse(folder.path()).err().unwrap().to_string();
            assert!(message.contains(&format!("another SMP server: {name}. ")), "{message}");
            assert!(message.contains("import") && message.contains("move these files"), "{message}");
            std::fs::remove_file(file).unwrap();
        }
        std::fs::create_dir(folder.path().join("messages")).unwrap();
        std::fs::write(folder.path().join("smp-server-store.log"), "").unwrap();
        let message = refuse(folder.path()).err().unwrap().to_string();
        assert!(message.contains(": smp-server-store.log, messages. "), "{message}");
    }
}
