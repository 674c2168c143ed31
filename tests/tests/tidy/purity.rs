//! `smp-core` is given time, randomness and bytes, and takes none itself: what its code names, and what it depends on.
//!
//! Of the standard library it may use what is listed here and nothing else, so that what nobody thought of is refused too. Of other
//! crates, what reaches outside is refused by its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::source::{Source, Token, strip};
use super::{report, root, rust_files};

/// What may be used of the standard library: each with all that is in it.
const STANDARD: &[&str] = &[
    "array::from_fn",
    "cell::RefCell",
    "cmp::Ordering",
    "collections::BTreeMap",
    "collections::BTreeSet",
    "collections::VecDeque",
    "collections::btree_map",
    "convert::Infallible",
    "error::Error",
    "fmt",
    "hint::black_box",
    "iter",
    "marker::PhantomData",
    "mem",
    // Addresses as values; they open nothing.
    "net::IpAddr",
    "net::Ipv4Addr",
    "net::Ipv6Addr",
    "ops",
    "slice",
    "str",
    "sync::Arc",
    "sync::LazyLock",
    "time::Duration",
];

/// Words that lead outside without the standard library's name before them: macros, keywords, and sources of randomness and time
/// in crates that the core uses, or that are near.
const OUTSIDE: &[&str] = &[
    "DefaultTimeProvider",
    "Generate",
    "HashMap",
    "HashSet",
    "OsRng",
    "RandomState",
    "SysRng",
    "SystemRandom",
    "SystemTime",
    "ThreadRng",
    "asm",
    "async",
    "async_std",
    "await",
    "dbg",
    "default_provider",
    "eprint",
    "eprintln",
    "extern",
    "from_entropy",
    "from_os_rng",
    "gen_keypair",
    "getrandom",
    "include",
    "include_bytes",
    "include_str",
    "libc",
    "mio",
    "now_local",
    "now_utc",
    "option_env",
    "print",
    "println",
    "rand",
    "randombytes_buf",
    "smol",
    "socket2",
    "thread_local",
    "thread_rng",
    "tokio",
    "try_from_os_rng",
    "unsafe",
];

/// Where one of those words is no way out, and why.
const HARMLESS: &[(&str, &str, &str)] = &[
    (
        "transport/tls/ambient.rs",
        "thread_local",
        "lends rustls the time and randomness of a call, for that call alone",
    ),
    (
        "transport/tls/provider.rs",
        "default_provider",
        "only for what is left of it: its randomness and time are replaced",
    ),
];

/// Packages that reach the system, or wait for it: a word that ends with `*` begins their names.
const REACHING: &[&str] = &[
    "android*",
    "async-*",
    "chrono",
    "core-foundation*",
    "crossbeam*",
    "fastrand",
    "futures*",
    "getrandom",
    "hermit-abi",
    "home",
    "iana-time-zone",
    "js-sys",
    "libc",
    "mio",
    "nix",
    "num_cpus",
    "polling",
    "rand",
    "rayon*",
    "rustix",
    "security-framework*",
    "signal-hook*",
    "smol*",
    "socket2",
    "tempfile",
    "time-tz",
    "tokio*",
    "wasi*",
    "wasm-bindgen*",
    "web-sys",
    "web-time",
    "winapi*",
    "windows*",
];

/// Which packages depend on those all the same, and why the core is as pure as before.
const BEHIND: &[(&str, &str, &str)] = &[
    ("dryoc", "getrandom", "its functions that draw keys and nonces are not called"),
    ("dryoc", "libc", "locked pages, for types of its own that are not used"),
    ("getrandom", "libc", "named above and below"),
    ("rand", "getrandom", "comes with sntrup"),
    ("ring", "getrandom", "its `SystemRandom`: TLS has the randomness of its connection"),
    ("sntrup", "rand", "takes the source that it is given"),
];

#[test]
fn the_core_is_pure() {
    let files = rust_files("smp-core/src");
    let tests = test_files(&files);
    let mut faults = Vec::new();
    let mut harmless = BTreeSet::new();
    for (path, text) in files.iter().filter(|(path, _)| !tests.iter().any(|test| path.starts_with(test))) {
        for (line, word) in impurities(text) {
            match HARMLESS.iter().find(|(file, allowed, _)| path.ends_with(file) && word == *allowed) {
                Some((file, _, _)) => _ = harmless.insert(file),
                None => faults.push(format!("{}:{line}: {word}", path.display())),
            }
        }
    }
    for (file, word, _) in HARMLESS.iter().filter(|(file, _, _)| !harmless.contains(file)) {
        faults.push(format!("{file} has no {word} any more"));
    }
    report(&faults);
}

/// The files and folders of modules that are compiled for tests only.
fn test_files(files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (path, text) in files {
        let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "mod") => path.parent().expect("a file in a folder").to_path_buf(),
            _ => path.with_extension(""),
        };
        let modules = Source::new(text).test_modules;
        found.extend(modules.iter().flat_map(|name| [folder.join(name), folder.join(format!("{name}.rs"))]));
    }
    found
}

/// What a text names that is not pure, with its line.
fn impurities(text: &str) -> Vec<(usize, String)> {
    let tokens = Source::new(text).tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Token { line, text } = tokens[at];
        let before = at.checked_sub(1).map(|before| tokens[before].text);
        if OUTSIDE.contains(&text) {
            found.push((line, text.to_owned()));
        } else if text == "now" && before == Some("::") {
            // A clock: times are given to the core as values, which are made otherwise.
            found.push((line, "::now".to_owned()));
        } else if ["std", "core", "alloc"].contains(&text) {
            let mut paths = Vec::new();
            expand(&mut &tokens[at + 1..], "", &mut paths);
            let is_pure = |path: &str| {
                STANDARD.iter().any(|pure| {
                    path.strip_prefix(pure).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                })
            };
            let impure = paths.iter().filter(|path| !is_pure(path));
            found.extend(impure.map(|path| (line, format!("{text}::{path}"))));
        }
    }
    found
}

/// The paths that a root is followed by, with those of a group one by one.
fn expand(tokens: &mut &[Token<'_>], path: &str, paths: &mut Vec<String>) {
    let Some(mut rest) = strip(tokens, &["::"]) else { return paths.push(path.to_owned()) };
    match rest.split_first() {
        Some((group, items)) if group.text == "{" => {
            rest = items;
            while let Some((item, others)) = rest.split_first() {
                rest = others;
                match item.text {
                    "}" => break,
                    "," => {}
                    name => {
                        expand(&mut rest, &join(path, name), paths);
                        // Another name for it makes it no other thing.
                        if let Some(renamed) = strip(rest, &["as"]) {
                            rest = &renamed[1..];
                        }
                    }
                }
            }
        }
        Some((name, others)) => {
            rest = others;
            expand(&mut rest, &join(path, name.text), paths);
        }
        None => {}
    }
    *tokens = rest;
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

#[test]
fn what_is_not_pure_is_found_however_it_is_written() {
    for impure in [
        "let now = std::time::Instant::now();",
        "use std::time::{Duration, Instant};",
        "use std::{fs, mem};",
        "use std::{collections::{BTreeMap, HashMap}, fmt};",
        "use std::time;",
        "use ::std::time::{self as clock, Duration};",
        "use std::*;",
        "use std as library;",
        "use {std::env, core::fmt};",
        "fn listen(socket: std::net::TcpListener) {}",
        "use core::net::{IpAddr, SocketAddr};",
        "std::thread::spawn(|| ());",
        "let mut lock = std::sync::Mutex::new(1);",
        "std::process::abort()",
        "std::io::stdin().read_line(&mut line)",
        "use std::os::fd::RawFd;",
        "core::arch::asm!(\"rdrand rax\")",
        "use core::arch::x86_64::_rdtsc;",
        "let table = HashMap::new();",
        "extern crate std as library;",
        "getrandom::fill(&mut seed)",
        "use rand_core::OsRng;",
        "let source = rand::rng();",
        "use rand_chacha::rand_core::{SeedableRng, OsRng as Source};",
        "rustls::crypto::ring::default_provider().secure_random",
        "ring::rand::SystemRandom::new()",
        "rustls_pki_types::UnixTime::now()",
        "let now = UnixTime ::\n now();",
        "time::OffsetDateTime::now_utc()",
        "pub async fn wait() {}",
        "tokio::spawn(task)",
        "println!(\"here\");",
        "thread_local! { static A: u8 = 1; }",
        "#[cfg(test)] mod tests { } use std::fs;",
    ] {
        assert!(!impurities(impure).is_empty(), "{impure}");
    }
    for pure in [
        "use std::{collections::{BTreeMap, btree_map::Entry}, mem, time::Duration};",
        "use core::fmt::{self, Write as _};",
        "let rest = std::mem::take(&mut self.rest);",
        "use crate::time::{Now, Timestamp}; fn handle(now: Now) { self.now = now; now.mono }",
        "// std::fs, std::time::Instant::now()",
        "/// Like `std::net::TcpStream`. */",
        "let text = \"std::fs\"; let raw = r#\"std::env \" getrandom\"#;",
        "#[cfg(test)] mod tests { use std::fs; }",
        "let ch = '\"'; let lifetime: &'static str = std::str::from_utf8(bytes)?;",
    ] {
        assert_eq!(impurities(pure), [], "{pure}");
    }
}

#[test]
fn the_core_depends_on_nothing_that_reaches_outside() {
    let mut faults = Vec::new();
    let mut reasons: Vec<_> = BEHIND.iter().map(|(by, package, _)| (*by, *package)).collect();
    let tree = tree_of_the_core();
    let mut parents: Vec<&str> = Vec::new();
    for line in tree.lines() {
        let (depth, package) = line.split_at(line.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(0));
        parents.truncate(depth.parse().expect("the depth of a package"));
        let package = package.split(' ').next().unwrap_or_default();
        let by = parents.last().copied().unwrap_or_default();
        let is_known = BEHIND.iter().any(|(known, behind, _)| (*known, *behind) == (by, package));
        parents.push(package);
        if reaches(package) && is_known {
            reasons.retain(|reason| *reason != (by, package));
        } else if reaches(package) {
            faults.push(format!("smp-core/Cargo.toml: {by} needs {package}"));
        }
    }
    assert!(parents.len() > 1, "no tree: {tree}");
    faults.sort();
    faults.dedup();
    faults.extend(reasons.iter().map(|(by, package)| format!("{by} does not need {package} any more")));
    report(&faults);
}

fn reaches(package: &str) -> bool {
    let is = |name: &&str| name.strip_suffix('*').map_or(package == *name, |name| package.starts_with(name));
    REACHING.iter().any(is)
}

/// The packages that are in a build of the core, all features on, each behind the one that needs it.
fn tree_of_the_core() -> String {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command.args(["tree", "--package", "smp-core", "--all-features", "--edges", "normal,build"]);
    command.args(["--prefix", "depth", "--no-dedupe", "--locked", "--offline"]).current_dir(root());
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names of packages")
}

/// The manifest of the core has nothing for a single system, where a tree for another one would not show it.
#[test]
fn the_core_is_the_same_on_all_systems() {
    let manifest = fs::read_to_string(root().join("smp-core/Cargo.toml")).expect("a manifest");
    let sections =
        manifest.lines().filter(|line| line.starts_with("[target") || line.starts_with("[build-dep"));
    report(&sections.map(|section| format!("smp-core/Cargo.toml: {section}")).collect::<Vec<_>>());
}
