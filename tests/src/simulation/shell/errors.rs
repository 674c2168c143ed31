//! Counting what is logged as an error: there is no fault of a world that may cause one.

use std::cell::Cell;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The errors of this thread since it was made. A world lives on one thread.
pub(super) struct Errors(usize);

impl Errors {
    pub(super) fn watch() -> Self {
        static LOGGER: Once = Once::new();
        LOGGER.call_once(|| {
            log::set_logger(&Logger).expect("worlds have the only logger");
            log::set_max_level(LevelFilter::Error);
        });
        Self(LOGGED.get())
    }

    pub(super) fn count(&self) -> usize {
        LOGGED.get() - self.0
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Error
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.set(LOGGED.get() + 1);
        }
    }

    fn flush(&self) {}
}

thread_local! {
    static LOGGED: Cell<usize> = const { Cell::new(0) };
}
