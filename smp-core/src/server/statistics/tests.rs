//! Statistics: their text, their days, their names.

use std::collections::BTreeSet;

use core::time::Duration;

use super::*;
use crate::wire::EntityId;

fn some() -> Statistics {
    let mut statistics = Statistics::new(UnixTime::from_secs(86_400 * 20_000 + 7));
    for (index, (counter, _)) in Counter::all().enumerate() {
        statistics.counts.add(counter, index as u64 * 3);
    }
    statistics.active.insert(&EntityId::new(b"one queue").unwrap());
    statistics.active_notified.insert(&EntityId::new(b"another").unwrap());
    statistics.acknowledged.add(Duration::from_millis(4999));
    statistics.acknowledged.add(Duration::from_secs(100_000));
    statistics
}

#[test]
fn each_counter_has_a_place_and_a_name_of_its_own() {
    let names: BTreeSet<String> = Counter::all().map(|(_, name)| name).collect();
    let places: BTreeSet<usize> = Counter::all().map(|(counter, _)| counter.index()).collect();
    assert_eq!(names.len(), Counter::COUNT);
    assert_eq!(places, (0..Counter::COUNT).collect());
    assert!(Counter::all().enumerate().all(|(index, (counter, _))| counter.index() == index));
}

#[test]
fn text_keeps_everything() {
    for statistics in [some(), Statistics::new(UnixTime::from_secs(1))] {
        assert_eq!(Statistics::from_text(&statistics.to_text()), Ok(statistics));
    }
}

#[test]
fn text_of_another_version_is_read_and_what_is_damaged_is_refused_with_its_line() {
    let text = some().to_text();
    let later = format!("{text}somethingNew=5\nactive.year=7\n");
    assert_eq!(Statistics::from_text(&later), Ok(some()));
    let without = text.replace("msgSent=", "msgSentOtherwise=");
    assert_eq!(Statistics::from_text(&without).unwrap().counts.of(Counter::MessagesSent), 0);
    let line = text.lines().position(|line| line.starts_with("msgSent=")).unwrap() + 1;
    for bad in ["msgSent=-", "msgSent", "msgSent=99999999999999999999999"] {
        let damaged = text.replace(text.lines().nth(line - 1).unwrap(), bad);
        assert_eq!(Statistics::from_text(&damaged), Err(InvalidStatistics { line }));
    }
    for cut in ["", "SMP server statistics 2\n", "SMP server statistics 1\n"] {
        assert!(Statistics::from_text(cut).is_err());
    }
}

#[test]
fn a_day_ends_once_and_takes_the_counts_along_only_when_told_to() {
    let mut statistics = some();
    let same_day = UnixTime::from_secs(86_400 * 20_000 + 86_399);
    assert_eq!(statistics.end_day(same_day, true), None);
    let tomorrow = UnixTime::from_secs(86_400 * 20_001 + 5);
    let mut kept = statistics.clone();
    let day = kept.end_day(tomorrow, false).unwrap();
    assert_eq!((day.active.day, day.active_notified.day), (Some(1), Some(1)));
    assert_eq!((&kept.counts, kept.since), (&some().counts, some().since));
    assert_eq!(kept.end_day(tomorrow, false), None);
    let day = statistics.end_day(tomorrow, true).unwrap();
    assert_eq!((&day.counts, day.since), (&some().counts, some().since));
    assert_eq!((statistics.counts, statistics.since), (Counts::default(), tomorrow));
}

#[test]
fn times_are_counted_in_the_bucket_that_they_fit_into() {
    let mut times = Times::default();
    for seconds in [0, 1, 5, 6, 3600, 3601, 1_000_000] {
        times.add(Duration::from_secs(seconds));
    }
    let last = Times::BOUNDS.len();
    assert_eq!((times.count(), times.max()), (7, 1_000_000));
    assert_eq!(times.sum(), 1 + 5 + 6 + 3600 + 3601 + 1_000_000);
    assert_eq!((times.buckets()[6], times.buckets()[last - 1], times.buckets()[last]), (1, 1, 2));
}
