//! `agent_short_links.json`: short links as text and bytes, and the data that they lead to: keys, signatures,
//! encryption, owners.

mod data;

use serde_json::Value;
use smp_core::wire::ShortLink;
use smp_core::wire::codec::decode_all;
use smp_core::wire::link::ConnectionLink;
use smp_tests::vectors::Fields;

use crate::encoded;
use crate::printed::link::{Form, any_short_link};

pub(crate) fn run(file: &Value) -> usize {
    assert_fields(file, &["contact", "invitation", "links", "root_key"]);
    let links = file.items("links");
    links.iter().for_each(check_link);
    links.len() + data::run(file)
}

/// Fails for a field that nothing here checks.
fn assert_fields(value: &Value, names: &[&str]) {
    let fields: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, names, "fields");
}

fn check_link(case: &Value) {
    assert_fields(case, &["decoded", "encoded", "name", "str"]);
    let (name, text) = (case.text("name"), case.text("str"));
    let link: ShortLink = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
    let (form, written, other) = if text.starts_with("https://") {
        (Form::Https, link.to_https(), link.to_string())
    } else {
        (Form::Simplex, link.to_string(), link.to_https())
    };
    assert_eq!(format!("Right ({})", any_short_link(&link, form)), case.text("decoded"), "{name}");
    assert_eq!(written, text, "{name}");
    assert_eq!(other.parse(), Ok(link.clone()), "{name}: the other form");
    assert_eq!(text.parse(), Ok(ConnectionLink::Short(Box::new(link.clone()))), "{name}");

    let bytes = case.hex("encoded");
    assert_eq!(encoded(|out| link.encode(out)), bytes, "{name}");
    assert_eq!(decode_all(&bytes, ShortLink::decode), Ok(link), "{name}");
}
