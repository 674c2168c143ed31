//! A small disk of its own for a server: a tmpfs that only the server and the helpers of the test see.
//!
//! It is mounted in a new mount namespace, which a user may make where the system lets users make user namespaces.
//! Some do not, and most containers do not. Then there is no such disk, and the test says so.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::program::Place;

/// A tmpfs in place of the data folder. It is gone when this is dropped.
pub(crate) struct Disk {
    keeper: Child,
    enter: Vec<String>,
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk of so many MiB, and starts the program where it is.
    ///
    /// # Errors
    /// Why that is not possible here.
    pub(crate) fn mount(place: &mut Place, mib: u32) -> Result<Self, String> {
        let mut why = String::new();
        for (unshare, enter) in WAYS {
            match Self::keep(place, mib, unshare, enter) {
                Ok(disk) => {
                    place.start_by(disk.enter.iter());
                    return Ok(disk);
                }
                Err(error) => why = format!("{why}{}\n", error.trim()),
            }
        }
        Err(why)
    }

    fn keep(place: &Place, mib: u32, unshare: &[&str], enter: &[&str]) -> Result<Self, String> {
        let folder = place.data();
        let mut command = Command::new("unshare");
        // The disk lives until the input of this shell ends.
        let script = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && echo mounted && exec cat");
        command.args(unshare).args(["--", "sh", "-c", &script]).arg(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = command.spawn().map_err(|e| format!("unshare: {e}"))?;
        let mut line = String::new();
        let out = keeper.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        if line != "mounted\n" {
            let mut error = String::new();
            keeper.stderr.take().ok_or("no output")?.read_to_string(&mut error).map_err(|e| e.to_string())?;
            let status = keeper.wait().map_err(|e| e.to_string())?;
            return Err(format!("{error} (exit code {:?}, signal {:?})", status.code(), status.signal()));
        }
        let target = ["nsenter".to_owned(), format!("--target={}", keeper.id())];
        let enter = target.into_iter().chain(enter.iter().map(ToString::to_string)).collect();
        Ok(Self { keeper, enter, folder })
    }

    /// Mounts it again with other options.
    pub(crate) fn remount(&self, options: &str) {
        let mut command = Command::new(&self.enter[0]);
        // With the type and the device named, `mount` does not add the options that it finds, which name the user as
        // the system knows him and not as the namespace does.
        let options = format!("remount,{options}");
        command.args(&self.enter[1..]).args(["mount", "-t", "tmpfs", "-o", &options, "tmpfs"]);
        command.arg(&self.folder);
        let output = command.output().expect("nsenter");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// How to get a mount namespace and how to enter it: as a user, and as root where even root gets no user namespace.
const WAYS: [(&[&str], &[&str]); 2] = [
    (&["--user", "--map-root-user", "--mount"], &["--user", "--mount", "--preserve-credentials", "--"]),
    (&["--mount"], &["--mount", "--"]),
];
