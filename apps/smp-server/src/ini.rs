//! The ini file: sections of `key = value` or `key: value`, and whole-line comments that start with `#` or `;`.
//!
//! Values are taken as they stand, spaces, quotes and `#` inside them included, because the reference does so.

use std::fmt;
use std::path::{Path, PathBuf};

/// The settings of one file, in their order.
#[derive(Clone)]
pub(crate) struct Ini {
    file: PathBuf,
    entries: Vec<Entry>,
}

/// One setting.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
    /// Counted from 1; `None` when the value was given on the command line.
    pub(crate) line: Option<usize>,
}

impl Ini {
    /// Reads the file.
    pub(crate) fn read(file: &Path) -> Result<Self, IniError> {
        let error = |problem| IniError { file: file.to_owned(), line: None, problem };
        let bytes = std::fs::read(file).map_err(|e| {
            let hint = match e.kind() {
                std::io::ErrorKind::NotFound => ". `smp-server init` makes it",
                _ => "",
            };
            error(format!("cannot be read: {e}{hint}"))
        })?;
        let text = String::from_utf8(bytes).map_err(|_| error("is not a text in UTF-8".to_owned()))?;
        Self::parse(file, &text)
    }

    /// Parses the text of a file; its name is only for messages.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, IniError> {
        let mut ini = Self { file: file.to_owned(), entries: Vec::new() };
        let mut section = None;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let error = |problem| IniError { file: file.to_owned(), line: Some(number), problem };
            if let Some(name) = line.strip_prefix('[') {
                let name = name.strip_suffix(']').map(str::trim).filter(|name| !name.is_empty());
                section =
                    Some(name.ok_or_else(|| error("a section is written `[NAME]`".to_owned()))?.to_owned());
                continue;
            }
            let section =
                section.clone().ok_or_else(|| error("stands before the first [SECTION]".to_owned()))?;
            let (key, value) = line.split_once(['=', ':']).ok_or_else(|| {
                error(format!("in [{section}]: neither a comment (`# ...`) nor a setting (`key = value`)"))
            })?;
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            if let Some(first) = ini.entry(&section, &key).and_then(|first| first.line) {
                let problem = format!("[{section}] {key}: is also set in line {first}. Remove one of them");
                return Err(error(problem));
            }
            ini.entries.push(Entry { section, key, value, line: Some(number) });
        }
        Ok(ini)
    }

    /// Sets a value for this run, as the command line asks.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.entries.retain(|entry| (entry.section.as_str(), entry.key.as_str()) != (section, key));
        self.entries.push(Entry {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            line: None,
        });
    }

    /// A setting, if the file has it.
    pub(crate) fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| (entry.section.as_str(), entry.key.as_str()) == (section, key))
    }

    /// All settings.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// A file that is no ini file, or a setting with a value that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IniError {
    pub(crate) file: PathBuf,
    pub(crate) line: Option<usize>,
    pub(crate) problem: String,
}

impl std::error::Error for IniError {}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Ini, String> {
        Ini::parse(Path::new("a.ini"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn comments_separators_and_values_with_anything_in_them() {
        let text = "\u{feff}# top\r\n[A]\r\n; no\n  a = 1 \nb: x = y: z # not a comment\n\n[ B ]\na=\nurl = https://x/\n";
        let ini = parse(text).unwrap();
        for (section, key, value, line) in [
            ("A", "a", "1", 4),
            ("A", "b", "x = y: z # not a comment", 5),
            ("B", "a", "", 8),
            ("B", "url", "https://x/", 9),
        ] {
            let entry = ini.entry(section, key).unwrap();
            assert_eq!((entry.value.as_str(), entry.line), (value, Some(line)), "{section} {key}");
        }
        assert!(ini.entry("A", "url").is_none());
        assert_eq!(ini.entries().len(), 4);
    }

    #[test]
    fn a_value_of_the_command_line_replaces_the_file_s() {
        let mut ini = parse("[A]\na = 1\n").unwrap();
        ini.set("A", "a", "2");
        ini.set("B", "b", "3");
        assert_eq!(ini.entry("A", "a").map(|e| (e.value.as_str(), e.line)), Some(("2", None)));
        assert_eq!(ini.entry("B", "b").map(|e| e.value.as_str()), Some("3"));
    }

    #[test]
    fn refusals_name_file_line_and_setting() {
        for (text, message) in [
            ("a = 1", "a.ini, line 1: stands before the first [SECTION]"),
            ("\n[A", "a.ini, line 2: a section is written `[NAME]`"),
            ("[]", "a.ini, line 1: a section is written `[NAME]`"),
            ("[A]\nx", "a.ini, line 2: in [A]: neither a comment (`# ...`) nor a setting (`key = value`)"),
            ("[A]\nx=1\n[B]\n[A]\nx:2", "a.ini, line 5: [A] x: is also set in line 2. Remove one of them"),
        ] {
            assert_eq!(parse(text).err().as_deref(), Some(message));
        }
        let missing = Ini::read(Path::new("/nonexistent/smp-server.ini")).err().unwrap().to_string();
        assert!(missing.contains("/nonexistent/smp-server.ini") && missing.contains("`smp-server init`"));
    }
}
