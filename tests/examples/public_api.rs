//! What the interfaces of the published crates are made of, read from what rustdoc writes for programs: `.ci/run` has the command.
//!
//! A type of a foreign crate in an interface is a promise that somebody else may break, so each is named in `FOREIGN`. An enum to
//! which a release may add a variant says so, or is named in `CLOSED`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

const PUBLISHED: &[&str] = &[
    "smp_core",
    "smp_program",
    "smp_runtime",
    "smp_runtime_async_std",
    "smp_runtime_smol",
    "smp_runtime_tokio",
    "smp_storage",
];

/// The foreign items that interfaces may name, and where: CONTRIBUTING.md says why.
const FOREIGN: &[(&str, &str)] = &[
    ("", "bytes::bytes::Bytes"),
    ("", "zeroize::Zeroize"),
    ("", "zeroize::ZeroizeOnDrop"),
    ("", "zeroize::Zeroizing"),
    ("smp_core", "serde_core::ser::Serialize"),
    ("smp_core", "serde_core::ser::Serializer"),
    ("smp_core", "serde_core::de::Deserialize"),
    ("smp_core", "serde_core::de::Deserializer"),
    ("smp_program", "clap_builder::builder::possible_value::PossibleValue"),
    ("smp_program", "clap_builder::derive::ValueEnum"),
    ("smp_runtime_smol", "async_executor::Executor"),
    ("smp_runtime_tokio", "tokio::runtime::handle::Handle"),
    ("smp_runtime_tokio", "tokio::runtime::handle::TryCurrentError"),
];

/// What is complete: errors that the protocol names, outputs of a machine, faults that a test can make.
const CLOSED: &str = "BrokerErrorType CommandError ErrorType HandshakeError NameError NetworkError ProxyError TransportError \
                      TransportEvent Fault";

/// What the name of an enum that grows ends in.
const GROWING: &[&str] = &["Error", "Event", "Failure", "Fault"];

struct Api {
    name: &'static str,
    description: Value,
}

impl Api {
    fn read(folder: &Path, name: &'static str) -> Self {
        let path = folder.join(format!("{name}.json"));
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, description: serde_json::from_slice(&text).expect("JSON") }
    }

    fn part(&self, name: &str) -> &Map<String, Value> {
        self.description[name].as_object().unwrap_or_else(|| panic!("another rustdoc: no {name}"))
    }

    fn faults(&self) -> Vec<String> {
        let own = self.part("index").values().filter(|item| item["crate_id"] == 0);
        let mut faults: Vec<_> = own
            .clone()
            .flat_map(|item| {
                self.foreign(item).into_iter().map(|name| format!("{}: {name} in the interface", place(item)))
            })
            .collect();
        faults.extend(own.clone().filter(|item| self.is_unmarked(item)).map(|item| {
            format!(
                "{}: {} grows and is not #[non_exhaustive]",
                place(item),
                item["name"].as_str().unwrap_or_default()
            )
        }));
        assert!(own.count() > 10, "nothing is known of {}", self.name);
        faults.sort();
        faults.dedup();
        faults
    }

    /// The foreign items that an item names and may not.
    fn foreign(&self, item: &Value) -> Vec<String> {
        let made = &item["inner"]["impl"];
        if made["is_synthetic"] == true || made["blanket_impl"].is_object() {
            return Vec::new();
        }
        let mut ids = Vec::new();
        named(&item["inner"], &mut ids);
        let names =
            ids.into_iter().filter_map(|id| self.part("paths").get(&id.to_string())).filter_map(|path| {
                let from =
                    self.part("external_crates").get(&path["crate_id"].to_string())?["name"].as_str()?;
                let is_ours = ["core", "alloc", "std"].contains(&from) || from.starts_with("smp_");
                let parts: Vec<_> = path["path"].as_array()?.iter().filter_map(Value::as_str).collect();
                (!is_ours).then(|| parts.join("::"))
            });
        names
            .filter(|name| {
                !FOREIGN.iter().any(|(at, known)| (at.is_empty() || *at == self.name) && known == name)
            })
            .collect()
    }

    /// An enum that grows and does not say so.
    fn is_unmarked(&self, item: &Value) -> bool {
        let Some(made) = item["inner"].get("enum") else { return false };
        let name = item["name"].as_str().unwrap_or_default();
        let mut impls = made["impls"].as_array().into_iter().flatten();
        let is_error = impls.any(|id| self.part("index").get(&id.to_string()).is_some_and(is_of_error));
        let grows = is_error || GROWING.iter().any(|end| name.ends_with(end));
        grows
            && !CLOSED.split(' ').any(|known| known == name)
            && !item["attrs"].to_string().contains("non_exhaustive")
    }
}

fn is_of_error(item: &Value) -> bool {
    item["inner"]["impl"]["trait"]["path"].as_str().is_some_and(|path| path.ends_with("Error"))
}

/// The items that a part of a description names.
fn named(part: &Value, ids: &mut Vec<u64>) {
    match part {
        Value::Object(fields) => {
            if let (Some(id), true) =
                (part["id"].as_u64(), fields.contains_key("path") || fields.contains_key("source"))
            {
                ids.push(id);
            }
            fields.values().for_each(|field| named(field, ids));
        }
        Value::Array(parts) => parts.iter().for_each(|part| named(part, ids)),
        _ => {}
    }
}

fn place(item: &Value) -> String {
    let span = &item["span"];
    format!("{}:{}", span["filename"].as_str().unwrap_or("?"), span["begin"][0])
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let faults: Vec<_> =
        PUBLISHED.iter().flat_map(|name| Api::read(&target.join("doc"), name).faults()).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
