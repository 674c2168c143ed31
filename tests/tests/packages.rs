//! What is published can be used by itself: with its licences, with every file that it reads, without what is for this workspace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// What every package has, beside its code.
const NEEDED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// What cargo adds.
const ADDED: &[&str] = &[".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml.orig"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

/// A member of the workspace that can be published.
struct Package {
    folder: PathBuf,
    manifest: String,
}

impl Package {
    fn name(&self) -> &str {
        let line = self.manifest.lines().find_map(|line| line.strip_prefix("name = \""));
        line.and_then(|rest| rest.strip_suffix('"')).expect("a name")
    }

    /// The files of its package, as cargo lists them.
    fn files(&self) -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args(["package", "--list", "--allow-dirty", "--locked", "--offline", "--package", self.name()])
            .current_dir(root())
            .output()
            .expect("cargo");
        assert!(output.status.success(), "{}: {}", self.name(), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("names of files").lines().map(str::to_owned).collect()
    }
}

/// The members of the workspace, and whether each is published.
fn members() -> Vec<(Package, bool)> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let members = workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next());
    let members = members.expect("members").split('"').skip(1).step_by(2).map(|member| {
        let folder = root().join(member);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let is_published = !manifest.contains("\npublish = false");
        (Package { folder, manifest }, is_published)
    });
    members.collect()
}

fn published() -> Vec<Package> {
    let packages: Vec<_> = members().into_iter().filter(|(_, is)| *is).map(|(package, _)| package).collect();
    assert!(packages.iter().any(|package| package.name() == "smp-core"), "the core is not published");
    packages
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain
}

/// The files that the code of a file reads when it is compiled, relative to the package.
fn included(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in [concat!("include_", "str!(\""), concat!("include_", "bytes!(\"")] {
        let names = text.split(word).skip(1).filter_map(|rest| rest.split('"').next());
        let folder = Path::new(file).parent().expect("a folder");
        found.extend(names.map(|name| plain(&folder.join(name)).to_string_lossy().into_owned()));
    }
    found
}

#[test]
fn packages_have_what_they_need_and_nothing_else() {
    let mut faults = Vec::new();
    for package in published() {
        let (name, files) = (package.name(), package.files());
        faults.extend(
            NEEDED.iter().filter(|file| !files.contains(**file)).map(|file| format!("{name}: no {file}")),
        );
        for file in &files {
            let is_code = file.starts_with("src/") || file.starts_with("examples/");
            if !is_code && !NEEDED.contains(&file.as_str()) && !ADDED.contains(&file.as_str()) {
                faults.push(format!("{name}: {file} is of no use in a package"));
            }
        }
        for file in files.iter().filter(|file| file.ends_with(".rs")) {
            let text = fs::read_to_string(package.folder.join(file)).expect("a readable file");
            let missing = included(file, &text).into_iter().filter(|read| !files.contains(read));
            faults.extend(
                missing.map(|read| format!("{name}: {file} reads {read}, which is not in the package")),
            );
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn packages_say_what_they_are() {
    let mut faults = Vec::new();
    for package in published() {
        let fields = [
            "description = ",
            "keywords = ",
            "categories = ",
            "license.workspace",
            "readme.workspace",
            "rust-version.workspace",
        ];
        let missing = fields.iter().filter(|field| !package.manifest.contains(&format!("\n{field}")));
        faults.extend(missing.map(|field| format!("{}: no {field}", package.name())));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn packages_need_only_what_is_published() {
    let members = members();
    let kept: Vec<_> = members.iter().filter(|(_, is_published)| !is_published).collect();
    assert!(!kept.is_empty(), "all are published");
    for (package, _) in members.iter().filter(|(_, is_published)| *is_published) {
        for (other, _) in &kept {
            let needs = package.manifest.lines().any(|line| {
                line.starts_with(&format!("{}.", other.name()))
                    || line.starts_with(&format!("{} ", other.name()))
            });
            assert!(!needs, "{} needs {}, which is not published", package.name(), other.name());
        }
    }
}
