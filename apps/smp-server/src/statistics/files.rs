//! The files of statistics. What cannot be written is tried again, and said once until it can be.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use smp_core::server::statistics::Statistics;

use crate::failure::{Failure, because};
use crate::folders::{Folders, replace};

/// Where statistics are written.
pub(super) struct Files {
    /// What is kept over a restart, if the queues are.
    kept: Option<PathBuf>,
    daily: PathBuf,
    metrics: PathBuf,
    /// Lines for the daily file that are not written.
    lines: RefCell<Vec<String>>,
    /// Whether the last attempt to write something failed.
    failing: Cell<bool>,
}

impl Files {
    pub(super) fn new(folders: &Folders, is_kept: bool) -> Self {
        Self {
            kept: is_kept.then(|| folders.statistics()),
            daily: folders.daily_statistics(),
            metrics: folders.metrics(),
            lines: RefCell::default(),
            failing: Cell::new(false),
        }
    }

    /// What was kept. A file that cannot be used is put aside, because counting begins anew and would overwrite it.
    pub(super) fn load(&self) -> Option<Statistics> {
        let file = self.kept.as_ref()?;
        let problem = match std::fs::read_to_string(file) {
            Ok(text) => match Statistics::from_text(&text) {
                Ok(statistics) => return Some(statistics),
                Err(problem) => problem.to_string(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        let aside = file.with_extension("damaged");
        let moved = std::fs::rename(file, &aside);
        let what = if moved.is_ok() { format!(", it is now {}", aside.display()) } else { String::new() };
        log::warn!("{}: {problem}: statistics begin anew{what}. Queues are not touched", file.display());
        None
    }

    /// Keeps what was counted.
    pub(super) fn save(&self, statistics: &Statistics) {
        if let Some(file) = &self.kept {
            self.note(replace(file, statistics.to_text().as_bytes(), true));
        }
    }

    pub(super) fn write_metrics(&self, metrics: &str) {
        self.note(replace(&self.metrics, metrics.as_bytes(), false));
    }

    /// A line for the daily file, which [`Self::write_lines`] writes.
    pub(super) fn add_line(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }

    pub(super) fn write_lines(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.is_empty() {
            return;
        }
        let append = || {
            if let Some(folder) = self.daily.parent() {
                std::fs::create_dir_all(folder)?;
            }
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.daily)?
                .write_all(lines.concat().as_bytes())
        };
        let written = append();
        if written.is_ok() {
            lines.clear();
        }
        self.note(written.map_err(|error| because(&self.daily, "cannot be written", &error)));
    }

    fn note(&self, written: Result<(), Failure>) {
        match written {
            Ok(()) => self.failing.set(false),
            Err(error) if !self.failing.replace(true) => {
                log::warn!("{error}. Statistics are kept in memory meanwhile");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use smp_core::UnixTime;
    use smp_core::server::statistics::Counter;

    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_damaged_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders::in_one(folder.path());
        let files = Files::new(&folders, true);
        assert_eq!(files.load(), None);
        let mut statistics = Statistics::new(UnixTime::from_secs(1));
        statistics.counts.add(Counter::MessagesSent, 3);
        files.save(&statistics);
        assert_eq!(files.load(), Some(statistics));
        let file = folder.path().join("smp-server-statistics");
        std::fs::write(&file, "something else").unwrap();
        assert_eq!(files.load(), None);
        let aside = folder.path().join("smp-server-statistics.damaged");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), "something else");
        assert!(!file.exists());
        assert_eq!(Files::new(&folders, false).load(), None);
    }

    #[test]
    fn a_line_that_could_not_be_written_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(&data, "a file where the folder should be").unwrap();
        let files = Files::new(&Folders::in_one(&data), true);
        files.add_line("one\n".to_owned());
        files.write_lines();
        assert!(files.failing.get());
        std::fs::remove_file(&data).unwrap();
        files.add_line("two\n".to_owned());
        files.write_lines();
        files.write_lines();
        assert!(!files.failing.get());
        assert_eq!(std::fs::read_to_string(data.join("smp-server-stats.daily.log")).unwrap(), "one\ntwo\n");
    }
}
