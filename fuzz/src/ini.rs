//! The settings file of the server program.

/// The module of the program itself, which has no library.
#[path = "../../apps/smp-server/src/ini.rs"]
#[allow(dead_code)]
mod file;

use std::fmt::Write as _;
use std::path::Path;

use self::file::Ini;

/// The text of a settings file.
pub fn ini(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let ini = match parse(text) {
        Ok(ini) => ini,
        Err(error) => {
            assert!(error.starts_with("a.ini, line "), "a person cannot find it: {error}");
            return;
        }
    };
    let mut written = String::new();
    for entry in ini.entries() {
        let line = entry.line.expect("it came from the file");
        assert!(line <= text.lines().count(), "there is no line {line}");
        let found = ini.entry(&entry.section, &entry.key).expect("it is there");
        assert_eq!((found.line, &found.value), (entry.line, &entry.value), "a setting hides another");
        writeln!(written, "[{}]\n{} = {}", entry.section, entry.key, entry.value).expect("memory takes it");
    }
    assert_eq!(values(&parse(&written).expect("the same settings")), values(&ini));
}

fn parse(text: &str) -> Result<Ini, String> {
    Ini::parse(Path::new("a.ini"), text).map_err(|error| error.to_string())
}

fn values(ini: &Ini) -> Vec<[&str; 3]> {
    ini.entries().iter().map(|entry| [&*entry.section, &*entry.key, &*entry.value]).collect()
}
