//! What the program counts: over restarts, in its files and over HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use smp_core::client::{Answer, QueueKeys};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;

use crate::client::{Connection, entropy};
use crate::harness::{Place, Serving, Signal};
use crate::queues::{create, refused, send, take};

/// The code and the body of what is at a path of the metrics' port.
fn get(serving: &Serving, path: &str) -> (u16, String) {
    let address = serving.line("Metrics: http://").strip_suffix("/metrics").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap();
    (code.parse().unwrap(), body.to_owned())
}

fn parse(page: &str) -> BTreeMap<String, u64> {
    let metric = |line: &str| {
        let (name, value) = line.strip_prefix("simplex_smp_")?.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().unwrap()))
    };
    page.lines().filter_map(metric).collect()
}

/// The metrics, when they are as they have to become. The deadline is there so that a hung test ends.
fn until(
    mut page: impl FnMut() -> String,
    is_there: impl Fn(&BTreeMap<String, u64>) -> bool,
) -> BTreeMap<String, u64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = parse(&page());
        if is_there(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{metrics:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn place() -> Place {
    let place = Place::initialised();
    place.replace("# metrics_port = 9223", "metrics_port = 0");
    place.replace("# prometheus_interval = 60", "prometheus_interval = 1");
    place
}

/// A queue with a message that was received, one that waits, and one that was refused.
fn traffic(serving: &Serving) {
    let mut connection = Connection::to(serving);
    let keys = QueueKeys::generate(&mut entropy());
    let password = connection.address.password.clone();
    let queue = create(&mut connection, &keys, password).unwrap();
    assert_eq!(send(&mut connection, &queue, "one"), Ok(Answer::Done));
    assert!(matches!(take(&mut connection, &queue, &keys), Some(ReceivedBody::Message { .. })));
    assert_eq!(send(&mut connection, &queue, "two"), Ok(Answer::Done));
    let mut unknown = queue;
    unknown.sender_id = [9; 24].into();
    assert_eq!(refused(send(&mut connection, &unknown, "three")), ErrorType::Auth);
}

#[test]
fn what_is_counted_is_told_and_kept_over_a_restart() {
    let place = place();
    let file = || std::fs::read_to_string(place.data().join("smp-server-metrics.txt")).unwrap_or_default();
    for round in 1..=2 {
        let serving = place.serve(&["start"]);
        assert_eq!(get(&serving, "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(&serving, "/smp-server.ini").0, 404);
        traffic(&serving);
        let over_http = || get(&serving, "/metrics").1;
        let is_there = |metrics: &BTreeMap<String, u64>| metrics.get("messages_sent") == Some(&(2 * round));
        for metrics in [until(over_http, is_there), until(file, is_there)] {
            assert_eq!(metrics["queues_created"], round);
            assert_eq!((metrics["queues_total1"], metrics["messages_total"]), (round, round));
            assert_eq!(
                (metrics["messages_received"], metrics["messages_notify_get_received"]),
                (round, round)
            );
            assert_eq!(metrics["messages_sent_errors{type=\"auth\"}"], round);
            assert_eq!(metrics["queues_daily"], round);
            assert_eq!(metrics["delivery_ack_confirmed_time_count"], round);
        }
        assert_eq!(get(&serving, "/readyz"), (200, "ok\n".to_owned()));
        assert!(serving.signal(Signal::TERM).success());
    }
    assert!(!place.log().contains("smp-server-"), "{}", place.log());
}

#[test]
fn a_day_that_ended_gets_its_line_and_counting_begins_anew() {
    let place = place();
    place.replace("log_stats = off", "log_stats = on");
    let serving = place.serve(&["start"]);
    traffic(&serving);
    assert!(serving.signal(Signal::TERM).success());
    let kept = place.data().join("smp-server-statistics");
    let statistics = std::fs::read_to_string(&kept).unwrap();
    // As if all of that had been on 2024-02-28, a Wednesday.
    let day = |line: &str| match line.split_once('=') {
        Some(("since", _)) => format!("since={}\n", 86_400_000_u64 * 19_781),
        Some((today @ ("active.today" | "activeNtf.today"), _)) => format!("{today}=19781\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(&kept, statistics.lines().map(day).collect::<String>()).unwrap();

    let serving = place.serve(&["start"]);
    let none_is_left = |metrics: &BTreeMap<String, u64>| metrics.get("messages_sent") == Some(&0);
    let metrics = until(|| get(&serving, "/metrics").1, none_is_left);
    assert_eq!((metrics["queues_daily"], metrics["queues_total1"]), (0, 1));
    assert!(serving.signal(Signal::TERM).success());
    let daily = std::fs::read_to_string(place.data().join("smp-server-stats.daily.log")).unwrap();
    // The date, then queues created, secured and deleted, messages sent and received, and queues used.
    assert!(daily.starts_with("2024-02-28,1,0,0,2,1,1,1,1,"), "{daily}");
    assert_eq!((daily.lines().count(), daily.matches(',').count()), (1, 100));
}

#[test]
fn damaged_statistics_are_put_aside_and_the_server_serves() {
    let place = place();
    assert!(place.serve(&["start"]).signal(Signal::TERM).success());
    let kept = place.data().join("smp-server-statistics");
    std::fs::write(&kept, "SMP server statistics 1\nsince=yesterday\n").unwrap();
    let serving = place.serve(&["start"]);
    traffic(&serving);
    assert!(serving.signal(Signal::TERM).success());
    let log = place.log();
    assert!(
        log.contains("line 2 is not one of statistics") && log.contains("smp-server-statistics.damaged"),
        "{log}"
    );
    assert!(std::fs::read_to_string(&kept).unwrap().contains("\nmsgSent=2\n"));
}

#[test]
fn a_port_of_metrics_that_is_taken_is_refused_with_the_way_out() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = place();
    let port = taken.local_addr().unwrap().port();
    place.replace("metrics_port = 0", &format!("metrics_port = {port}"));
    let refused = place.run(&["start"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("[TRANSPORT] metrics_port"), "{}", refused.err);
    place.replace(&format!("metrics_port = {port}"), "metrics_port = 5224\ncontrol_port = 5224");
    let refused = place.run(&["start"]);
    assert!(refused.err.contains("port 5224 is also for something else"), "{}", refused.err);
}
