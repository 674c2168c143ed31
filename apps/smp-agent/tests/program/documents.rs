//! The documents name options that there are.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;
use std::process::Command;

/// The options that a line of a document gives to the program; none if it does not name it.
fn given(line: &str) -> Vec<&str> {
    let line = line.split('`').find(|piece| piece.contains("smp-agent ")).unwrap_or_default();
    let own = if line.contains("cargo ") { line.split_once(" -- ") } else { line.split_once("smp-agent ") };
    let own = own.map(|(_, rest)| rest).unwrap_or_default();
    own.split_whitespace().take_while(|word| *word != "#").filter(|word| word.starts_with("--")).collect()
}

#[test]
fn options_of_the_documents_exist() {
    let help = Command::new(env!("CARGO_BIN_EXE_smp-agent")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let known: BTreeSet<&str> = help.split(|c: char| c.is_whitespace() || ",`".contains(c)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guides = read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let (mut unknown, mut count) = (Vec::new(), 0);
    for file in guides.chain([root.join("README.md")]) {
        let text = read_to_string(&file).unwrap();
        for option in text.lines().flat_map(given) {
            count += 1;
            if !known.contains(option) {
                unknown.push(format!("{}: {option}", file.display()));
            }
        }
    }
    assert!(count > 5, "only {count} options were looked at");
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
}
