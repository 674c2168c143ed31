//! The web site in a real browser, beside SMP on the same port.
#![allow(clippy::print_stdout, reason = "who reads the output of the tests has to see that one was not run")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rqrr::PreparedImage;
use smp_core::client::QueueKeys;
use smp_core::wire::message::ReceivedBody;

use crate::client::{Connection, entropy};
use crate::harness::{Place, Serving, Signal};
use crate::queues::{create, send, take};
use crate::site::{address, certify};

/// What a browser made of a page.
struct Visit {
    /// The page after its scripts have run.
    page: String,
    /// What it said on its console.
    console: Vec<String>,
    /// Addresses that it asked for.
    requests: Vec<String>,
}

/// The browser that `SMP_BROWSER` names, or a Chromium of the system.
fn browser() -> Option<String> {
    let named = std::env::var("SMP_BROWSER").ok().filter(|name| !name.is_empty());
    let usual =
        ["chromium-headless-shell", "headless_shell", "chromium", "google-chrome", "chromium-browser"];
    let starts = |name: &String| {
        let version =
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    match named {
        Some(named) => {
            assert!(starts(&named), "SMP_BROWSER: {named} does not start");
            Some(named)
        }
        None => usual.map(str::to_owned).into_iter().find(starts),
    }
}

fn visit(browser: &str, folder: &Path, url: &str) -> Visit {
    let log = folder.join("requests.json");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // The certificate is the test's own; names other than ours lead nowhere.
        .args(["--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    let log = std::fs::read_to_string(log).unwrap();
    let urls = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let requests = urls.filter(|url| url.starts_with("http")).map(str::to_owned).collect();
    Visit { page: String::from_utf8(output.stdout).unwrap(), console, requests }
}

/// Reads the code that a page drew: a path of unit squares, on light ground.
fn read_code(page: &str) -> String {
    const SCALE: usize = 4;
    const MARGIN: usize = 4;
    let drawing = page.split_once("<path d=\"").expect("a drawing").1.split('"').next().unwrap();
    let modules: Vec<(usize, usize)> = drawing
        .split('M')
        .skip(1)
        .map(|square| {
            let (x, y) = square.strip_suffix("h1v1h-1z").unwrap().split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect();
    let size = modules.iter().map(|(x, _)| x + 1).max().unwrap();
    let width = (size + 2 * MARGIN) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let module = |at: usize| (at / SCALE).checked_sub(MARGIN);
        matches!((module(x), module(y)), (Some(x), Some(y)) if modules.contains(&(x, y)))
    };
    let mut image =
        PreparedImage::prepare_from_greyscale(width, width, |x, y| if is_dark(x, y) { 0 } else { 255 });
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1, "one code");
    codes[0].decode().unwrap().1
}

/// A server whose only port serves SMP and the site, on which the operator has put a page that breaks its own policy.
fn site() -> (Place, Serving, SocketAddr) {
    let place = Place::empty();
    let www = place.data().join("www");
    std::fs::create_dir_all(&www).unwrap();
    std::fs::write(www.join("bad.html"), "<script>1</script><img src=\"https://elsewhere.example/x.png\">")
        .unwrap();
    let www = www.to_str().unwrap().to_owned();
    let source = "https://example.org/code";
    let line =
        ["init", "-y", "-n", "localhost", "--no-password", "--web-path", &www, "--source-code", source];
    assert_eq!(place.run(&[&line[..], &["--operator", "Example & Co"]].concat()).code, Some(0));
    place.replace("port = 5223,443", "port = 0\nbind = 127.0.0.1");
    place.replace("https = 443", "https = 0");
    certify(&place);
    let serving = place.serve(&["start"]);
    let shared = address(&serving, "Listening on ");
    (place, serving, shared)
}

/// Exchanges messages until told to stop, at least one; how many there were.
fn exchange_messages(serving: &Serving, stop: &AtomicBool) -> usize {
    let (mut recipient, mut sender) = (Connection::to(serving), Connection::to(serving));
    let keys = QueueKeys::generate(&mut entropy());
    let queue = create(&mut recipient, &keys, None).unwrap();
    let mut count = 0;
    loop {
        send(&mut sender, &queue, "beside the web").unwrap();
        let Some(ReceivedBody::Message { body, .. }) = take(&mut recipient, &queue, &keys) else {
            panic!("a message")
        };
        assert_eq!(body, "beside the web");
        count += 1;
        if stop.load(Ordering::Relaxed) {
            return count;
        }
    }
}

#[test]
fn a_browser_shows_the_site_while_smp_clients_exchange_messages_on_its_port() {
    let Some(browser) = browser() else {
        println!("NOT RUN: there is no browser. Install chromium-headless-shell, or name one in SMP_BROWSER");
        return;
    };
    let (place, serving, shared) = site();
    let origin = format!("https://localhost:{}", shared.port());
    let stop = AtomicBool::new(false);
    let exchanged = std::thread::scope(|scope| {
        let messages = scope.spawn(|| exchange_messages(&serving, &stop));
        // Whatever happens in here, the clients are told to stop.
        let visited = std::panic::catch_unwind(|| visit_all(&browser, place.data().as_path(), &origin));
        stop.store(true, Ordering::Relaxed);
        let exchanged = messages.join().unwrap();
        visited.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked));
        exchanged
    });
    println!("{exchanged} messages were exchanged meanwhile");
    assert!(serving.signal(Signal::TERM).success());
}

fn visit_all(browser: &str, folder: &Path, origin: &str) {
    let clean = |path: &str| {
        let visit = visit(browser, folder, &format!("{origin}{path}"));
        assert_eq!(visit.console, Vec::<String>::new(), "{path}");
        assert!(!visit.requests.is_empty());
        assert!(visit.requests.iter().all(|url| url.starts_with(origin)), "{path}: {:?}", visit.requests);
        visit.page
    };
    let page = clean("/");
    for part in ["Example &amp; Co", "https://example.org/code", "<h2>Configuration</h2>"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let key = "TR6Ypma3PkIij03VHiqLtJ4b72ExVHBHPJYg8EsUw1k";
    let long = format!("/invitation#/?v=2-7&smp={}", "smp%3A%2F%2F".repeat(120));
    for (path, app) in [
        (format!("/a#{key}"), format!("simplex:/a#{key}?h=localhost")),
        (
            format!("/g#{key}?h=x.onion&p=5223&c={key}"),
            format!("simplex:/g#{key}?h=localhost%2Cx.onion&amp;p=5223&amp;c={key}"),
        ),
        (long.clone(), format!("simplex:{}", long.replace('&', "&amp;"))),
    ] {
        let page = clean(&path);
        assert_eq!(read_code(&page), format!("{origin}{path}"));
        assert!(page.contains(&format!("<a id=\"open\" class=\"button\" href=\"{app}\"")), "{app}: {page}");
    }
    let incomplete = clean("/contact");
    assert!(
        incomplete.contains("<figure id=\"qr\" hidden") && incomplete.contains("This link is not complete")
    );
    let too_long = clean(&format!("/contact#/?{}", "a".repeat(3000)));
    assert!(
        too_long.contains("too long for a QR code")
            && too_long.contains("<a id=\"open\" class=\"button\" href=")
    );
    // A page that breaks its policy is seen to do so: the console is really looked at.
    let bad = visit(browser, folder, &format!("{origin}/bad.html"));
    assert!(bad.console.iter().any(|line| line.contains("Content Security Policy")), "{:?}", bad.console);
    assert!(bad.requests.iter().all(|url| url.starts_with(origin)), "{:?}", bad.requests);
}
