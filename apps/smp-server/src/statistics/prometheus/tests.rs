//! The page as a scraper reads it.

use std::collections::{BTreeMap, BTreeSet};

use smp_core::UnixTime;
use smp_core::server::statistics::{Statistics, Survey};
use smp_core::server::store::QueueCounts;
use smp_runtime::server::SocketCounters;

use super::*;

fn snapshot() -> Snapshot {
    let mut statistics = Statistics::new(UnixTime::from_secs(86_400 * 20_000));
    for (index, (counter, _)) in C::all().enumerate() {
        statistics.counts.add(counter, 1000 + index as u64);
    }
    for seconds in [0, 61, 4000] {
        statistics.acknowledged.add(std::time::Duration::from_secs(seconds));
    }
    Snapshot {
        now: 1_800_000_000,
        statistics,
        counts: QueueCounts::default(),
        survey: Survey::default(),
        sockets: vec![("127.0.0.1:5223".parse().unwrap(), SocketCounters::default())],
        connections: 7,
        tasks: 9,
        in_memory: false,
    }
}

/// The metrics of a page by name and labels; every line has to be one, or to be a comment that belongs to the next.
fn parse(page: &str) -> BTreeMap<String, String> {
    let mut metrics = BTreeMap::new();
    let mut known = BTreeMap::new();
    for line in page.lines().skip(2) {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            let (name, kind) = comment.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(known.insert(name.to_owned(), kind.to_owned()), None, "{name} is there twice");
        } else if !line.starts_with("# HELP ") {
            let (metric, value) = line.rsplit_once(' ').unwrap();
            value.parse::<u64>().unwrap();
            let name = metric.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let is_known = known.contains_key(name)
                || family.is_some_and(|family| known.get(family).is_some_and(|kind| kind == "histogram"));
            assert!(is_known, "{name} has no type");
            assert_eq!(metrics.insert(metric.to_owned(), value.to_owned()), None, "{metric} is there twice");
        }
    }
    metrics
}

#[test]
fn every_counter_is_told_once() {
    let metrics = parse(&render(&snapshot()));
    for (counter, name) in C::all() {
        let value = (1000 + counter.index()).to_string();
        let told: Vec<_> = metrics.iter().filter(|(_, told)| **told == value).collect();
        assert_eq!(told.len(), 1, "{name}: {told:?}");
    }
}

#[test]
fn the_names_are_those_that_dashboards_know() {
    let metrics = parse(&render(&snapshot()));
    let names: BTreeSet<&str> = metrics
        .keys()
        .map(|metric| metric.split('{').next().unwrap().strip_prefix("simplex_smp_").unwrap())
        .collect();
    for known in include_str!("names.txt").lines() {
        assert!(names.contains(known), "{known}");
    }
}

#[test]
fn the_histogram_counts_upwards() {
    let metrics = parse(&render(&snapshot()));
    let of = |metric: &str| metrics[&format!("simplex_smp_delivery_ack_confirmed_{metric}")].as_str();
    assert_eq!(of("time_bucket{le=\"0\"}"), "1");
    assert_eq!(of("time_bucket{le=\"60\"}"), "1");
    assert_eq!(of("time_bucket{le=\"90\"}"), "2");
    assert_eq!((of("time_bucket{le=\"3600\"}"), of("time_bucket{le=\"+Inf\"}")), ("2", "3"));
    assert_eq!((of("time_count"), of("time_sum")), ("3", "4061"));
    assert_eq!(
        (of("count{period=\"0-60\"}"), of("count{period=\"60-300\"}"), of("count{period=\"3600+\"}")),
        ("1", "1", "1")
    );
}
