//! The log: lines on the standard error output. Whoever logs names no ids, keys, addresses or messages.

use std::io::Write;
use std::time::SystemTime;

use clap::ValueEnum;
use log::{Level, LevelFilter, Metadata, Record};

/// What is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogLevel {
    /// What keeps the program from its work
    Error,
    /// And what an operator should look at
    Warn,
    /// And when the program starts and stops
    Note,
    /// And what happens to it
    Info,
    /// And what helps to find defects
    Debug,
}

/// Logs from now on. `program` is the name of the crate whose own lines come with `note`.
pub fn start(program: &'static str, level: LogLevel) {
    let logger = Logger { program, ours: ours(level), others: others(level) };
    let most = logger.ours.max(logger.others);
    // Only a second call fails, and there is one.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(most);
    }
}

/// What this program itself logs: `note` adds its starts and stops, which are at the level of information.
const fn ours(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Note | LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    }
}

/// What the parts of the program log.
const fn others(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Note => LevelFilter::Warn,
        _ => ours(level),
    }
}

struct Logger {
    program: &'static str,
    ours: LevelFilter,
    others: LevelFilter,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let most = if target.starts_with(self.program) {
            self.ours
        } else if target.starts_with("smp_") {
            self.others
        } else {
            // Other crates do not know what must not be in this log.
            self.others.min(LevelFilter::Warn)
        };
        metadata.level() <= most
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug | Level::Trace => "debug",
        };
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        // A log that nobody can take is no reason to stop serving.
        let _ = writeln!(std::io::stderr().lock(), "{time} {level} {}", record.args());
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use log::Log;

    use super::*;

    #[test]
    fn levels() {
        for (level, target, most) in [
            (LogLevel::Error, "smp_server::serve", Level::Error),
            (LogLevel::Warn, "smp_server", Level::Warn),
            (LogLevel::Note, "smp_server", Level::Info),
            (LogLevel::Note, "smp_runtime", Level::Warn),
            (LogLevel::Info, "smp_runtime", Level::Info),
            (LogLevel::Debug, "smp_runtime", Level::Debug),
            (LogLevel::Debug, "fjall::db", Level::Warn),
            (LogLevel::Error, "fjall::db", Level::Error),
        ] {
            let logger = Logger { program: "smp_server", ours: ours(level), others: others(level) };
            for tried in Level::iter() {
                let metadata = Metadata::builder().target(target).level(tried).build();
                assert_eq!(logger.enabled(&metadata), tried <= most, "{level:?} {target} {tried}");
            }
        }
    }
}
