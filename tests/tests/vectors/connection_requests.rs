//! `agent_conn_requests.json`: full links as text and bytes, with the reference's reading of the text.

use serde_json::Value;
use smp_core::wire::codec::decode_all;
use smp_core::wire::link::ConnectionLink;
use smp_core::wire::{ConnectionRequest, Host};
use smp_tests::vectors::Fields;

use crate::encoded;
use crate::printed::{assert_printed_up_to, link};

pub(crate) fn run(cases: &Value) -> usize {
    let cases = cases.as_array().expect("a list");
    cases.iter().for_each(check);
    cases.len()
}

fn check(case: &Value) {
    let (name, text) = (case.text("name"), case.text("str"));
    let request: ConnectionRequest = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_printed_up_to(
        PRINT_MAX,
        &format!("Right ({})", link::any_request(&request)),
        case.text("decoded_str"),
    );
    assert_eq!(text.parse(), Ok(ConnectionLink::Full(Box::new(request.clone()))), "{name}");
    let written = match site(text) {
        Some(site) => request.to_https(&site),
        None => request.to_string(),
    };
    assert_eq!(written, text, "{name}");
    assert_eq!(request.to_string().parse(), Ok(request.clone()), "{name}");

    let bytes = case.hex("encoded");
    assert_eq!(encoded(|out| request.encode(out)), bytes, "{name}");
    let read = decode_all(&bytes, ConnectionRequest::decode).expect(name);
    // Bytes have no word for a contact queue below version 4, so that a missing mode is read as that.
    let expected = link::any_request(&request).replace("queueMode = Nothing", "queueMode = Just QMContact");
    assert_eq!(link::any_request(&read), expected, "{name}");
}

/// The site of a text in the form for browsers.
fn site(text: &str) -> Option<Host> {
    let (site, _) = text.strip_prefix("https://")?.split_once('/')?;
    site.parse().ok()
}

/// Characters after which the file cuts a print.
pub(crate) const PRINT_MAX: usize = 1500;
