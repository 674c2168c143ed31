//! The documents for people and the code say the same: each error has its row, each state its place, each link a heading to lead to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Errors that `docs/errors.md` lists: the heading, the file, the enum. Two enums may have one name.
const ERRORS: &[(&str, &str, &str)] = &[
    ("`AgentError`", "smp-core/src/wire/agent/error.rs", "AgentError"),
    ("`AgentCommandError`", "smp-core/src/wire/agent/error.rs", "AgentCommandError"),
    ("`ConnectionError`", "smp-core/src/wire/agent/error.rs", "ConnectionError"),
    ("`PeerError`", "smp-core/src/wire/agent/error.rs", "PeerError"),
    ("`RatchetError`", "smp-core/src/wire/agent/error.rs", "RatchetError"),
    ("`LinkDataError`", "smp-core/src/wire/agent/error.rs", "LinkDataError"),
    ("`MessageIntegrity`", "smp-core/src/wire/agent/error.rs", "MessageIntegrity"),
    ("`ConnectError`", "runtime/src/client/connector.rs", "ConnectError"),
    ("`RequestError`", "smp-core/src/client/error.rs", "RequestError"),
    ("`Rejection`", "smp-core/src/client/error.rs", "Rejection"),
    ("`CloseReason` of a client", "smp-core/src/client/error.rs", "CloseReason"),
    ("`Disconnect` of a client", "runtime/src/client/mod.rs", "Disconnect"),
    ("`TestError`", "smp-core/src/client/server_test.rs", "TestError"),
    ("`ServerTestFailure`", "runtime/src/client/server_test.rs", "ServerTestFailure"),
    ("`TransportFault`", "smp-core/src/transport/fault.rs", "TransportFault"),
    ("`TlsFault`", "smp-core/src/transport/tls/fault.rs", "TlsFault"),
    ("`WebSocketFault`", "smp-core/src/transport/web_socket/mod.rs", "WebSocketFault"),
    ("`ErrorType`", "smp-core/src/wire/error.rs", "ErrorType"),
    ("`CommandError`", "smp-core/src/wire/error.rs", "CommandError"),
    ("`NameError`", "smp-core/src/wire/error.rs", "NameError"),
    ("`ProxyError`", "smp-core/src/wire/error/proxy.rs", "ProxyError"),
    ("`BrokerErrorType`", "smp-core/src/wire/error/proxy.rs", "BrokerErrorType"),
    ("`NetworkError`", "smp-core/src/wire/error/proxy.rs", "NetworkError"),
    ("`TransportError`", "smp-core/src/wire/error/proxy.rs", "TransportError"),
    ("`HandshakeError`", "smp-core/src/wire/error/proxy.rs", "HandshakeError"),
    ("`BlockingReason`", "smp-core/src/wire/error/blocking.rs", "BlockingReason"),
    ("`TransmissionError`", "smp-core/src/wire/transmission.rs", "TransmissionError"),
    ("`Refusal` of a command", "smp-core/src/server/store/rules.rs", "Refusal"),
    ("`UriError`", "smp-core/src/wire/address.rs", "UriError"),
    ("`LinkError`", "smp-core/src/wire/link/mod.rs", "LinkError"),
    ("`LinkFault`", "smp-core/src/crypto/link.rs", "LinkFault"),
    ("`CryptoError`", "smp-core/src/crypto/mod.rs", "CryptoError"),
    ("`OpenError` of a message", "smp-core/src/client/received.rs", "OpenError"),
    ("`X3dhError`", "smp-core/src/crypto/ratchet/x3dh.rs", "X3dhError"),
    ("`RatchetFault`", "smp-core/src/crypto/ratchet/receiving.rs", "RatchetFault"),
    ("`SendFault`", "smp-core/src/crypto/ratchet/sending.rs", "SendFault"),
    ("`IdentityError`", "smp-core/src/transport/identity/server.rs", "IdentityError"),
    ("`PemError`", "smp-core/src/transport/identity/pem.rs", "PemError"),
    ("`KeyError`", "smp-core/src/transport/identity/key.rs", "KeyError"),
    ("`CertificateError`", "smp-core/src/transport/identity/certificate.rs", "CertificateError"),
    ("`ChainError`", "smp-core/src/transport/identity/chain.rs", "ChainError"),
    ("`IssueError`", "smp-core/src/transport/identity/issue.rs", "IssueError"),
    ("A store: `OpenError`", "storage/src/embedded/error.rs", "OpenError"),
    ("`Refusal` of a connection", "runtime/src/server/event.rs", "Refusal"),
    ("`CloseReason` of a session", "smp-core/src/server/session/mod.rs", "CloseReason"),
    ("`Disconnect` of a session", "runtime/src/server/event.rs", "Disconnect"),
    ("`ResolverError`", "runtime/src/server/http_resolver.rs", "ResolverError"),
    ("`RootsError`", "runtime/src/http/client/tls.rs", "RootsError"),
    ("`WebTlsError`", "runtime/src/http/tls.rs", "WebTlsError"),
    ("An agent's database: `AgentOpenError`", "storage/src/agent/sqlite/error.rs", "AgentOpenError"),
];

/// Crates whose public errors people meet.
const CRATES: &[&str] = &["smp-core/src", "runtime/src", "storage/src"];

/// How the names of errors end.
const ENDINGS: &[&str] = &["Error", "ErrorType", "Fault", "Failure", "Rejection", "Refusal"];

/// What tests make go wrong on purpose is no error that people meet.
const OF_TESTS: &[&str] = &["runtime/src/testing/network.rs", "storage/src/faulty.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            if !["target", ".git", "corpus"].iter().any(|name| path.ends_with(name)) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn word(line: &str) -> &str {
    line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The variants of an enum, which may be one that the macro `words!` makes.
fn variants(text: &str, name: &str) -> BTreeSet<String> {
    let begins = [format!("pub enum {name} {{"), format!("{name} {{")];
    let mut lines = text.lines().skip_while(|line| !begins.iter().any(|begin| line.trim() == begin));
    let depth = lines.next().map_or(0, indent);
    lines
        .take_while(|line| line.trim() != "}" || indent(line) > depth)
        .filter(|line| indent(line) == depth + 4)
        .filter(|line| line.trim().starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| word(line.trim()).to_owned())
        .collect()
}

/// What the rows of the section with this heading begin with.
fn rows(text: &str, heading: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim_start_matches(['#', ' ']) != heading || !line.starts_with('#'));
    let section = lines.skip(1).take_while(|line| !line.starts_with('#'));
    section.filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}

#[test]
fn every_error_is_explained() {
    let text = read("docs/errors.md");
    let mut faults = Vec::new();
    for (heading, file, name) in ERRORS {
        let (known, explained) = (variants(&read(file), name), rows(&text, heading));
        assert!(!known.is_empty(), "{file} has no enum {name}");
        let missing = known.difference(&explained).map(|variant| format!("{heading}: no row for {variant}"));
        faults.extend(missing);
        faults.extend(explained.difference(&known).map(|row| format!("{heading}: there is no {row}")));
    }
    report(&faults);
}

#[test]
fn no_public_error_is_left_out() {
    let mut faults = Vec::new();
    for path in CRATES.iter().flat_map(|folder| files(&root().join(folder), "rs")) {
        let file = path.strip_prefix(root()).expect("a file of the workspace").display().to_string();
        let text = fs::read_to_string(&path).expect("a readable file");
        let names = text.lines().filter_map(|line| line.strip_prefix("pub enum ")).map(word);
        for name in names.filter(|name| ENDINGS.iter().any(|ending| name.ends_with(ending))) {
            let is_listed = ERRORS.iter().any(|(_, of, listed)| *of == file && *listed == name);
            if !is_listed && !OF_TESTS.contains(&&*file) {
                faults.push(format!("{file}: {name} is not in docs/errors.md"));
            }
        }
    }
    report(&faults);
}

/// The anchor of a heading, as those who show Markdown make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_to_headings() {
    let mut faults = Vec::new();
    for path in files(&root(), "md") {
        let text = fs::read_to_string(&path).expect("a readable file");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((target, fragment)) = link.split_once('#') else { continue };
            if target.contains(':') {
                continue;
            }
            let folder = path.parent().expect("a file in a folder");
            let file = if target.is_empty() { path.clone() } else { folder.join(target) };
            let Ok(of) = fs::read_to_string(file) else { continue };
            if !of.lines().any(|line| line.starts_with('#') && anchor(line) == fragment) {
                faults.push(format!("{}: {link}", path.display()));
            }
        }
    }
    report(&faults);
}

/// Drawings of `docs/states.md`: the heading of the section, and the enums whose variants are its states.
const DRAWINGS: &[(&str, &[(&str, &str)])] = &[
    ("A connection of an agent", &[("smp-core/src/agent/store/connection.rs", "Progress")]),
    ("Deleting one", &[]),
    ("Whether its ratchets agree", &[("smp-core/src/agent/store/connection.rs", "SyncState")]),
    ("A queue at a server", &[("smp-core/src/server/store/record.rs", "QueueStatus")]),
    ("Its subscription, at the server", &[("smp-core/src/server/broker/subscription.rs", "State")]),
    ("One from which it receives", &[("smp-core/src/agent/store/queue.rs", "QueueStage")]),
    ("One to which it sends", &[("smp-core/src/agent/store/queue.rs", "QueueStage")]),
    (
        "Rotation",
        &[
            ("smp-core/src/agent/store/queue.rs", "ReceiveSwitch"),
            ("smp-core/src/agent/store/queue.rs", "SendSwitch"),
        ],
    ),
    ("The session with a server", &[("smp-core/src/agent/links/link.rs", "State")]),
    ("A queue in it", &[("smp-core/src/agent/links/subscriptions.rs", "SubscriptionState")]),
];

/// States that databases may have and no arrow leads to.
const NOT_DRAWN: &[&str] = &["Started of ReceiveSwitch"];

/// The states between which there are arrows, but for those that are only drawn.
fn drawn(section: &str) -> BTreeSet<String> {
    let mut states = BTreeSet::new();
    for drawing in section.split("```mermaid").skip(1).filter_map(|rest| rest.split("```").next()) {
        let own: Vec<&str> =
            drawing.lines().filter_map(|line| line.split_once(" as ").map(|(_, id)| word(id))).collect();
        let arrows = drawing.lines().filter_map(|line| line.split_once(" --> "));
        let ends = arrows.flat_map(|(from, to)| [word(from.trim()), word(to)]);
        states.extend(ends.filter(|end| !end.is_empty() && !own.contains(end)).map(str::to_owned));
    }
    states
}

#[test]
fn the_drawings_have_the_states_of_the_code() {
    let text = read("docs/states.md");
    let mut faults = Vec::new();
    let mut arrows = 0;
    for (heading, enums) in DRAWINGS {
        let section = text.split("\n#").find(|section| {
            section.lines().next().is_some_and(|line| line.trim_start_matches(['#', ' ']) == *heading)
        });
        let section = section.unwrap_or_else(|| panic!("docs/states.md: no section {heading}"));
        arrows += section.matches(" --> ").count();
        let known = enums.iter().flat_map(|(file, name)| {
            let code = read(file).replace("pub(super) enum", "pub enum");
            let states = variants(&code.replace("pub(in super::super) enum", "pub enum"), name);
            assert!(!states.is_empty(), "{file} has no enum {name}");
            states.into_iter().filter(move |state| !NOT_DRAWN.contains(&&*format!("{state} of {name}")))
        });
        let (known, drawn): (BTreeSet<_>, _) = (known.collect(), drawn(section));
        faults.extend(known.difference(&drawn).map(|state| format!("{heading}: {state} is not drawn")));
        faults.extend(drawn.difference(&known).map(|state| format!("{heading}: there is no {state}")));
    }
    // A drawing without a row above would not be looked at.
    assert_eq!(arrows, text.matches(" --> ").count(), "a drawing is in none of the sections");
    report(&faults);
}

#[test]
fn the_guide_for_security_engineers_names_every_target() {
    let text = read("docs/security.md");
    let unnamed = smp_fuzz::TARGETS.iter().filter(|(name, _)| !text.contains(&format!("`{name}`")));
    report(
        &unnamed
            .map(|(name, _)| format!("docs/security.md does not name the target {name}"))
            .collect::<Vec<_>>(),
    );
}

/// Paths of the workspace that a guide names in code marks: those with a folder and an extension that is known.
#[test]
fn files_that_guides_name_exist() {
    let mut faults = Vec::new();
    for guide in ["states", "errors", "developers", "operators", "security"] {
        let text = read(&format!("docs/{guide}.md"));
        let prose = text.split("```").step_by(2);
        let marked = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
        let begins = ["smp-core/", "runtime/", "storage/", "apps/", "tests/", "fuzz/", "examples/"];
        for name in marked.filter(|name| begins.iter().any(|begin| name.starts_with(begin))) {
            let has_placeholder = name.contains(['<', '*', ' ']);
            if !has_placeholder && !root().join(name).exists() {
                faults.push(format!("docs/{guide}.md: {name}"));
            }
        }
    }
    report(&faults);
}
