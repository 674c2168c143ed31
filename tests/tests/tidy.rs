//! House rules that a compiler does not check. Each failure names the file and the line.

#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, tests included. A file is a room with one purpose.
const FILE_LINES_MAX: usize = 700;
/// Lines of a function. A function fits a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of an example.
const EXAMPLE_LINES_MAX: usize = 150;

/// The modules of `smp-core` from the lowest to the highest: each uses those of the lines before it only.
const LAYERS: &[&[&str]] =
    &[&["time", "entropy"], &["wire"], &["crypto"], &["transport"], &["client", "server"], &["agent"]];

/// What says that something is not done, in two pieces each, so that this file keeps the rule too.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

/// All files below a folder with an extension, without build results and fuzzing corpora.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["target", ".git", "corpus"].contains(&name) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let files = files(&root().join(folder), "rs");
    assert!(!files.is_empty(), "no Rust files below {folder}");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("a readable file"))).collect()
}

fn is_test(path: &Path) -> bool {
    path.strip_prefix(root())
        .unwrap_or(path)
        .components()
        .any(|part| ["tests", "benches"].contains(&part.as_os_str().to_str().unwrap_or_default()))
        || path.ends_with("tests.rs")
        || path.ends_with("smp-core/src/transport/testing.rs")
}

/// The lines before the tests of a file, with their numbers, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]\nmod") && *line != "mod tests {")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(".") {
        let lines = text.lines().count();
        let max = if path.components().any(|part| part.as_os_str() == "examples") {
            EXAMPLE_LINES_MAX
        } else {
            FILE_LINES_MAX
        };
        if lines > max {
            faults.push(format!("{}: {lines} lines of at most {max}", path.display()));
        }
    }
    report(&faults);
}

#[test]
fn functions_fit_a_screen() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(".") {
        let mut start: Option<(usize, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            let indent = &line[..line.len() - trimmed.len()];
            let opens = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "];
            if start.is_none() && opens.iter().any(|open| trimmed.starts_with(open)) && !line.ends_with('}') {
                start = Some((number, format!("{indent}}}")));
            } else if let Some((first, end)) = &start
                && (line == end.as_str() || line.ends_with(';') && line.len() - trimmed.len() < end.len())
            {
                let lines = number - first;
                if lines > FUNCTION_LINES_MAX {
                    faults.push(format!("{}:{}: a function of {lines} lines", path.display(), first + 1));
                }
                start = None;
            }
        }
    }
    report(&faults);
}

#[test]
fn no_panic_by_unwrap_outside_tests() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(".").into_iter().filter(|(path, _)| !is_test(path)) {
        for (number, line) in code(&text).filter(|(_, line)| line.contains(".unwrap()")) {
            faults.push(format!("{}:{number}: {}", path.display(), line.trim()));
        }
    }
    report(&faults);
}

#[test]
fn nothing_is_left_to_do() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(".") {
        for (number, line) in text.lines().enumerate() {
            if UNFINISHED.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report(&faults);
}

#[test]
fn modules_of_the_core_use_only_those_below() {
    let layer_of = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut faults = Vec::new();
    for (path, text) in rust_files("smp-core/src").into_iter().filter(|(path, _)| !is_test(path)) {
        let module = path.strip_prefix(root().join("smp-core/src")).expect("a file of the core");
        let module =
            module.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        let Some(layer) = layer_of(module) else { continue };
        for (number, line) in code(&text) {
            let used = line.split("crate::").skip(1).map(|rest| {
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
            });
            let other = used.filter(|used| *used != module);
            for used in other.filter(|used| layer_of(used).is_some_and(|used| used >= layer)) {
                faults.push(format!("{}:{number}: {module} uses {used}", path.display()));
            }
        }
    }
    report(&faults);
}

#[test]
fn secrets_have_no_derived_debug() {
    let mut faults = Vec::new();
    for (path, text) in rust_files(".") {
        let mut derived = "";
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[derive(") {
                derived = line;
            } else if line.contains("struct ") || line.contains("enum ") {
                if derived.contains("Zeroize") && derived.contains("Debug") {
                    faults.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
                derived = "";
            }
        }
    }
    report(&faults);
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for path in files(&root(), "md") {
        let text = fs::read_to_string(&path).expect("a readable file");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !path.parent().is_some_and(|folder| folder.join(target).exists()) {
                faults.push(format!("{}: {link}", path.display()));
            }
        }
    }
    report(&faults);
}

#[test]
fn the_table_of_scenarios_names_tests_that_there_are() {
    let text = fs::read_to_string(root().join("tests/README.md")).expect("a readable file");
    let mut faults = Vec::new();
    for (heading, folder) in
        [("## What the scenarios cover", "server"), ("## What the scenarios of agents cover", "agent")]
    {
        let table = text.split(heading).nth(1).expect("the table");
        let table = table.split("\n## ").next().unwrap_or_default();
        let scenarios: Vec<_> = table.split('`').filter_map(|name| name.split_once("::")).collect();
        assert!(!scenarios.is_empty(), "no scenarios");
        for (module, name) in scenarios {
            let file = fs::read_to_string(root().join(format!("tests/tests/{folder}/{module}.rs")));
            if !file.is_ok_and(|file| file.contains(&format!("\nfn {name}("))) {
                faults.push(format!("{module}::{name}"));
            }
        }
    }
    report(&faults);
}

#[test]
fn the_project_names_no_place_of_one_machine() {
    let mut faults = Vec::new();
    let documents =
        ["rs", "md", "toml", "json", "yml"].iter().flat_map(|extension| files(&root(), extension));
    let places = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    for path in documents {
        let text = fs::read_to_string(&path).expect("a readable file");
        for place in places.iter().filter(|place| text.contains(*place)) {
            faults.push(format!("{}: {place}", path.display()));
        }
    }
    report(&faults);
}
