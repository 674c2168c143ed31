//! The generated file, in which every setting is described.

use std::fmt::Write;

use super::table::{SECTIONS, Setting};

/// A value that the file sets, by section and key. What it does not set stands in it as a comment.
pub(crate) type Choice = (&'static str, &'static str, String);

/// The text of a file that makes these choices.
pub(crate) fn render(choices: &[Choice]) -> String {
    let mut out = comment(
        "Settings of smp-server. What begins with # is a comment; a setting that is only there as a comment has the \
         value that the comment shows, if it has a default. Switches are on or off. Lengths of time are numbers with \
         ms, s, m, h or d; without, each is in the unit that its comment names, or else in seconds. Changes take effect \
         when the server starts again.",
    );
    for section in SECTIONS {
        let _ = write!(out, "\n{}[{}]\n", comment(section.about), section.name);
        for setting in section.settings {
            let chosen = choices.iter().find(|(name, key, _)| (*name, *key) == (section.name, setting.key));
            out.push('\n');
            out.push_str(&described(setting));
            let _ = match chosen {
                Some((_, key, value)) => writeln!(out, "{key} = {value}"),
                None => writeln!(out, "# {} = {}", setting.key, setting.example),
            };
        }
    }
    out
}

fn described(setting: &Setting) -> String {
    let later = if setting.later.is_some() { " Not in use yet." } else { "" };
    let default = match setting.default {
        Some(value) => format!(" Default: {value}."),
        None => " Not set by default.".to_owned(),
    };
    comment(&format!("{}{later}{default}", setting.about))
}

/// Lines of at most 100 characters that begin with `# `.
fn comment(text: &str) -> String {
    let mut out = String::from("#");
    let mut width = 1;
    for word in text.split_whitespace() {
        if width + 1 + word.chars().count() > 100 {
            out.push_str("\n#");
            width = 1;
        }
        let _ = write!(out, " {word}");
        width += 1 + word.chars().count();
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ini::Ini;

    #[test]
    fn a_file_without_choices_sets_nothing_and_shows_all() {
        let text = render(&[]);
        assert!(Ini::parse(Path::new("x"), &text).unwrap().entries().is_empty());
        for setting in SECTIONS.iter().flat_map(|section| section.settings) {
            assert!(
                text.contains(&format!("\n# {} = {}\n", setting.key, setting.example)),
                "{}",
                setting.key
            );
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn every_choice_can_be_read_back() {
        let choices: Vec<Choice> = SECTIONS
            .iter()
            .flat_map(|section| section.settings.iter().map(|setting| (section.name, setting.key)))
            .enumerate()
            .map(|(n, (section, key))| (section, key, format!("value {n}, = : # and more")))
            .collect();
        let ini = Ini::parse(Path::new("x"), &render(&choices)).unwrap();
        assert_eq!(ini.entries().len(), choices.len());
        for (section, key, value) in choices {
            assert_eq!(ini.entry(section, key).unwrap().value, value);
        }
    }
}
