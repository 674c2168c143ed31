use std::path::Path;
use std::time::Duration;

use super::super::super::read;
use super::*;

fn settings(text: &str) -> Result<(Settings, Vec<String>), String> {
    let text = format!("[NAMES]\n{text}");
    read(&Ini::parse(Path::new("f.ini"), &text).unwrap()).map_err(|e| e.to_string())
}

fn problem(text: &str) -> String {
    settings(text).err().unwrap()
}

const LOCAL: &str = "enable = on\nresolver_endpoint = http://127.0.0.1:8000\n";

#[test]
fn names_are_not_resolved_unless_asked_for() {
    for text in
        ["", "resolver_endpoint = http://names.example\nresolver_auth = bearer:x\n", "resolver_auth =\n"]
    {
        let (settings, notes) = settings(text).unwrap();
        assert!(settings.names.is_none() && !settings.server.names && notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn every_setting_takes_effect() {
    let (s, notes) = settings(&format!("{LOCAL}[TRANSPORT]\nsmp_versions = 6-20\n")).unwrap();
    let (names, usual) = (s.names.unwrap(), ResolverOptions::default());
    assert!(s.server.names && notes.is_empty());
    assert_eq!(names.resolver, "http://127.0.0.1:8000".parse().unwrap());
    let bounds = |options: &ResolverOptions| (options.timeout, options.answer_bytes, options.questions);
    assert_eq!(bounds(&names.options), bounds(&usual));
    assert!(names.options.authorization.is_none());

    let text = format!(
        "{LOCAL}resolver_auth = bearer:abc\nresolver_timeout_ms = 70\nresolver_max_response_bytes = 8KiB\n\
         resolver_concurrency = 9\n"
    );
    let (s, notes) = settings(&text).unwrap();
    let options = s.names.unwrap().options;
    assert_eq!(bounds(&options), (Duration::from_millis(70), 8192, 9));
    assert!(options.authorization.is_some());
    assert!(
        notes[0].starts_with("f.ini: [NAMES] enable: apps ask for names from version 20 on"),
        "{notes:?}"
    );
}

#[test]
fn names_that_are_resolved_take_a_resolver() {
    for text in ["enable = on\n", "enable = on\nresolver_endpoint =\n"] {
        let problem = problem(text);
        assert!(problem.contains("[NAMES] resolver_endpoint: has to be set, because "), "{problem}");
    }
}

#[test]
fn a_log_in_takes_https_or_this_machine() {
    let with = |endpoint: &str| {
        settings(&format!("enable = on\nresolver_auth = basic:me:secret\nresolver_endpoint = {endpoint}\n"))
    };
    for endpoint in ["https://names.example", "http://localhost:80", "http://[::1]", "http://127.1.2.3"] {
        assert!(with(endpoint).is_ok(), "{endpoint}");
    }
    for endpoint in
        ["http://names.example", "http://192.168.0.1", "http://0.0.0.0", "http://localhost.example"]
    {
        let problem = with(endpoint).err().unwrap();
        let start = "f.ini, line 3: [NAMES] resolver_auth: could be read by others ";
        assert!(problem.starts_with(start) && !problem.contains("secret"), "{problem}");
    }
}

#[test]
fn bad_values_are_refused_and_never_repeated() {
    for (line, start) in [
        ("enable = yes", "has to be `on` or `off`"),
        ("resolver_endpoint = secret", "has to be an address such as "),
        ("resolver_endpoint = https://me:secret@a", "has to be an address such as "),
        ("resolver_endpoint = https://secret.onion", "has to be an address such as "),
        ("resolver_auth = secret", "has to be `bearer:TOKEN` or `basic:USER:PASSWORD`"),
        ("resolver_auth = bearer:", "has to be `bearer:TOKEN` or `basic:USER:PASSWORD`"),
        ("resolver_auth = bearer:secret secret", "has to be `bearer:TOKEN` or `basic:USER:PASSWORD`"),
        ("resolver_auth = basic:secret", "has to be `bearer:TOKEN` or `basic:USER:PASSWORD`"),
        ("resolver_timeout_ms = 0", "has to be a length of time from 1ms to 1m"),
        ("resolver_max_response_bytes = 0", "has to be a size from 1 to "),
        ("resolver_concurrency = 0", "has to be a number from 1 to "),
    ] {
        let (key, problem) = (line.split(' ').next().unwrap(), problem(&format!("{line}\n")));
        assert!(problem.starts_with(&format!("f.ini, line 2: [NAMES] {key}: {start}")), "{problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn ways_to_log_in() {
    for text in ["bearer:a:b", "Bearer abc", "basic:me:a:b c", "Basic me:secret", "basic:me:"] {
        assert!(authorization(text).is_ok(), "{text}");
    }
}
