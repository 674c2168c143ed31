//! The corpora of the fuzz targets, replayed: what was found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use smp_fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

/// The names of what is in a folder, without extensions.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let path = |entry: Result<fs::DirEntry, _>| entry.expect("an entry of a folder").path();
    entries
        .map(path)
        .map(|path| path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned())
        .collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name twice");
    assert_eq!(names(&folder("fuzz_targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
}

#[test]
fn the_corpora_pass() {
    for (name, target) in TARGETS {
        let corpus = folder("corpus").join(name);
        let files = names(&corpus);
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let file = corpus.join(file);
            let bytes = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                panic!("failed: {}", file.display());
            }
        }
    }
}
