//! The documents name commands, options and settings that there are.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use super::harness::Place;

/// The documents for people, with their names.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guides = read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<PathBuf> =
        guides.chain(["README.md", "SECURITY.md"].map(|name| root.join(name))).collect();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (name(file), read_to_string(file).unwrap())).collect()
}

/// What is set as code: the lines of blocks, and what is between marks in prose.
fn code(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 1 {
            found.extend(part.lines());
        } else {
            found.extend(part.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// What is given to the program in a piece of code: a command, and options.
fn arguments(piece: &str) -> Option<(String, Vec<String>)> {
    let piece = piece.replace("ExecStart=/usr/local/bin/", "");
    let words: Vec<&str> = piece.split_whitespace().take_while(|word| *word != "#").collect();
    let program = words.iter().position(|word| *word == "smp-server")?;
    let mut given = words[program + 1..].to_vec();
    if words.first() == Some(&"cargo") {
        let own = given.iter().position(|word| *word == "--")?;
        given.drain(..=own);
    }
    let is_command = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
    let command = given.first().filter(is_command).map(|word| (*word).to_owned()).unwrap_or_default();
    let options = given.iter().filter(|word| word.starts_with('-') && word.len() > 1);
    Some((command, options.map(|word| (*word).to_owned()).collect()))
}

/// All options of a command, or those of the program, from what it says of itself.
fn options(command: &str) -> BTreeSet<String> {
    let asked: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
    let help = Place::empty().run(&asked);
    assert_eq!(help.code, Some(0), "{command} is no command: {}", help.err);
    let words = help.out.split(|c: char| c.is_whitespace() || ",[]=`".contains(c));
    words.filter(|word| word.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn commands_and_options_of_the_documents_exist() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (name, text) in documents() {
        for piece in code(&text) {
            let Some((command, given)) = arguments(piece) else { continue };
            let known = options(&command);
            count += given.len();
            let unknown = given.iter().filter(|option| !known.contains(*option));
            faults.extend(unknown.map(|option| format!("{name}: {piece}: {option}")));
        }
    }
    assert!(count > 5, "only {count} options were looked at");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What begins with `--` alone, in the guide for operators, is an option of one of the commands.
#[test]
fn options_without_a_command_are_of_one() {
    let known: BTreeSet<String> =
        ["", "init", "start", "run", "cert", "delete"].iter().flat_map(|of| options(of)).collect();
    let documents = documents();
    let (_, text) = documents.iter().find(|(name, _)| name == "operators.md").unwrap();
    let alone = code(text).into_iter().filter(|piece| piece.starts_with("--"));
    let unknown = alone.filter(|piece| !known.contains(piece.split(' ').next().unwrap()));
    assert_eq!(unknown.collect::<Vec<_>>(), [""; 0]);
}

/// `[SECTION] key`, anywhere, with what follows the key left out.
#[test]
fn settings_of_the_documents_exist() {
    let place = Place::initialised();
    let ini = read_to_string(place.file("smp-server.ini")).unwrap();
    let section = |name: &str| ini.split("\n[").find(|part| part.starts_with(&format!("{name}]")));
    let (mut faults, mut count) = (Vec::new(), 0);
    for (name, text) in documents() {
        for piece in code(&text).into_iter().filter(|piece| piece.starts_with('[')) {
            let Some((of, key)) = piece[1..].split_once(']') else { continue };
            if !of.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                continue;
            }
            let Some(part) = section(of) else {
                faults.push(format!("{name}: there is no section [{of}]"));
                continue;
            };
            let key = key.trim().split([' ', '=']).next().unwrap();
            let is_there = |line: &str| {
                line.trim_start_matches("# ").strip_prefix(key).is_some_and(|rest| rest.starts_with(" ="))
            };
            count += usize::from(!key.is_empty());
            if !key.is_empty() && key != "key:" && !part.lines().any(is_there) {
                faults.push(format!("{name}: [{of}] has no setting {key}"));
            }
        }
    }
    assert!(count > 10, "only {count} settings were looked at");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
