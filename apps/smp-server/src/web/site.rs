//! All pages of the site, by their paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use smp_runtime::http::{Handler, Request, Response, Status};

use super::html::{escape, fill, page};
use super::{files, information};
use crate::settings::Settings;

/// The site: its own pages, and over them the files of the operator.
pub(super) fn handler(settings: &Settings) -> Handler {
    let mut pages = own_pages(settings);
    if let Some(folder) = &settings.web.static_path {
        pages.extend(files::load(folder));
    }
    let links: BTreeMap<&str, Response> =
        LINKS.iter().map(|(kind, heading)| (*kind, link_page(heading))).collect();
    let missing = ours(Status::NOT_FOUND, HTML, page("Not found", include_str!("assets/not-found.html")));
    Arc::new(move |request: &Request| {
        let path = request.path();
        let found = pages.get(path).or_else(|| link_kind(path).and_then(|kind| links.get(kind)));
        found.unwrap_or(&missing).clone()
    })
}

fn own_pages(settings: &Settings) -> BTreeMap<String, Response> {
    let asset = |path: &str, content_type, text: &'static str| {
        (path.to_owned(), ours(Status::OK, content_type, text))
    };
    let script = "text/javascript; charset=utf-8";
    BTreeMap::from([
        ("/".to_owned(), ours(Status::OK, HTML, information::render(settings))),
        asset("/assets/style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
        asset("/assets/icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
        asset("/assets/link.js", script, include_str!("assets/link.js")),
        asset("/assets/lean-qr.mjs", script, include_str!("assets/lean-qr.mjs")),
        asset("/assets/lean-qr.LICENSE", "text/plain; charset=utf-8", include_str!("assets/lean-qr.LICENSE")),
        asset(
            "/.well-known/apple-app-site-association",
            "application/json; charset=utf-8",
            include_str!("assets/apple-app-site-association.json"),
        ),
        asset(
            "/.well-known/assetlinks.json",
            "application/json; charset=utf-8",
            include_str!("assets/assetlinks.json"),
        ),
    ])
}

fn link_page(heading: &str) -> Response {
    let body = fill(include_str!("assets/link.html"), &[("heading", &escape(heading))]);
    ours(Status::OK, HTML, page(heading, &body))
}

/// Nothing but what this server itself serves runs or is loaded, and no other site shows our pages.
fn ours(status: Status, content_type: &'static str, body: impl Into<bytes::Bytes>) -> Response {
    Response::new(status, content_type, body)
        .with_header("Content-Security-Policy", POLICY)
        .with_header("Cache-Control", "no-cache")
}

/// The kind of link whose page this is: its path, or that with one more segment.
fn link_kind(path: &str) -> Option<&str> {
    let (kind, rest) = path.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, "")))?;
    (!rest.contains('/')).then_some(kind)
}

const HTML: &str = "text/html; charset=utf-8";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// The links that SimpleX apps make, long and short.
const LINKS: [(&str, &str); 7] = [
    ("contact", "SimpleX contact address"),
    ("invitation", "SimpleX one-time invitation"),
    ("a", "SimpleX contact address"),
    ("c", "SimpleX channel"),
    ("g", "SimpleX group"),
    ("r", "SimpleX relay"),
    ("i", "SimpleX one-time invitation"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::of_text;

    fn get(handler: &Handler, target: &str) -> Response {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        handler(&Request::decode(head.as_bytes()).unwrap().unwrap().0)
    }

    #[test]
    fn every_page_has_its_path_and_the_policy() {
        let handler = handler(&of_text(""));
        for path in [
            "/",
            "/contact",
            "/contact/",
            "/a/x",
            "/i?x=1",
            "/g",
            "/r",
            "/c",
            "/invitation/y?z",
            "/assets/link.js",
        ] {
            let response = get(&handler, path);
            assert_eq!(response.code(), 200, "{path}");
            assert_eq!(response.header("content-security-policy"), Some(POLICY), "{path}");
        }
        for path in ["/x", "/a/b/c", "/contact/a/b", "/index.html", "/.well-known/", "/assets", "/A"] {
            assert_eq!(get(&handler, path).code(), 404, "{path}");
        }
    }

    #[test]
    fn pages_load_only_what_is_there() {
        let handler = handler(&of_text(""));
        for page in ["/", "/a", "/nothing"] {
            let text = String::from_utf8(get(&handler, page).body().to_vec()).unwrap();
            let sources = text.split(" src=\"").skip(1);
            let links = text.split("<link ").skip(1).filter_map(|link| link.split("href=\"").nth(1));
            let targets: Vec<&str> = sources.chain(links).filter_map(|rest| rest.split('"').next()).collect();
            // The style and the icon at least, else this looks for what pages do not have any more.
            assert!(targets.len() >= 2, "{page}: {targets:?}");
            for target in targets {
                assert_eq!(get(&handler, target).code(), 200, "{page}: {target}");
            }
            assert!(!text.contains("style=") && !text.contains("{{"), "{page}");
        }
    }

    #[test]
    fn the_associations_are_json_that_names_every_link() {
        let handler = handler(&of_text(""));
        let text = |path| String::from_utf8(get(&handler, path).body().to_vec()).unwrap();
        let apple: serde_json::Value =
            serde_json::from_str(&text("/.well-known/apple-app-site-association")).unwrap();
        let components = apple["applinks"]["details"][0]["components"].as_array().unwrap();
        let paths: Vec<&str> = components.iter().map(|component| component["/"].as_str().unwrap()).collect();
        for (kind, _) in LINKS {
            assert!(
                paths.contains(&&*format!("/{kind}")) && paths.contains(&&*format!("/{kind}/*")),
                "{kind}"
            );
        }
        let android: serde_json::Value = serde_json::from_str(&text("/.well-known/assetlinks.json")).unwrap();
        assert_eq!(android[0]["target"]["package_name"], "chat.simplex.app");
    }
}
