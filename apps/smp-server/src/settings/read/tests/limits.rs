//! The limits: what an operator writes, and what becomes of it.

use super::*;

/// Key, another value than the default, values at both ends of the range, and one that is refused.
const ROWS: &[(&str, &str, [&str; 2], &str)] = &[
    ("connections", "1", ["1", "100000000"], "0"),
    ("connections_per_address", "2", ["1", "off"], "0"),
    ("new_connections_per_address", "3", ["1", "off"], "none"),
    ("new_connections_interval", "4", ["1ms", "1h"], "0"),
    ("handshakes", "5", ["1", "100000000"], "0"),
    ("handshake_timeout", "6s", ["1ms", "60m"], "0"),
    ("accepts_in_turn", "7", ["1", "10000"], "10001"),
    ("accept_pause_min", "8", ["1", "1s"], "0"),
    ("accept_pause_max", "9m", ["10ms", "1h"], "9ms"),
    ("commands_in_flight", "10", ["1", "100000"], "0"),
    ("input_bytes", "16395", ["16KiB", "1024MiB"], "16383"),
    ("stalled_input", "12", ["1ms", "1h"], "61m"),
    ("verifications_in_turn", "13", ["1", "10000"], "0"),
    ("rounds_in_turn", "14", ["1", "10000"], "0"),
    ("output_bytes", "32KiB", ["16KiB", "1024MiB"], "16383"),
    ("queued_output", "48KiB", ["16KiB", "1024MiB"], "1"),
    ("stalled_output", "17ms", ["1ms", "1h"], "0"),
    ("deliveries_in_flight", "18", ["1", "10000"], "0"),
    ("queued_bytes", "20MiB", ["16KiB", "1048576MiB"], "16383"),
    ("closing_timeout", "21s", ["1ms", "1h"], "0"),
    ("closing_input", "22", ["0", "1024MiB"], "1025MiB"),
    ("subscriptions", "23", ["1", "100000000"], "many"),
    ("get_queues", "24", ["1", "100000000"], "0"),
    ("recipient_keys", "25", ["1", "255"], "256"),
    ("http_connections", "27", ["1", "100000000"], "0"),
    ("http_head_bytes", "28KiB", ["256", "1MiB"], "255"),
    ("http_requests", "29", ["1", "100000000"], "0"),
    ("http_timeout", "30s", ["1ms", "1h"], "0"),
    ("notifications", "31", ["1", "1000000"], "0"),
    ("relay_forwards", "36", ["1", "100000"], "0"),
    ("relays", "37", ["1", "100000"], "0"),
    ("relay_failures", "38", ["0", "1000000"], "many"),
    ("relay_failure_ttl", "31s", ["0", "1h"], "61m"),
    ("relay_connecting", "32", ["1ms", "1h"], "0"),
    ("relay_answer", "33", ["1ms", "1h"], "0"),
    ("relay_idle", "34m", ["1ms", "24h"], "25h"),
    ("forwarded_keys", "35", ["1", "1000000"], "0"),
    ("expiry_queues", "26", ["1", "1000000"], "0"),
];

fn with(lines: &[String]) -> Result<Limits, String> {
    settings(&format!("[LIMITS]\n{}\n", lines.join("\n"))).map(|(settings, _)| settings.server.limits)
}

#[test]
fn every_limit_takes_effect() {
    let lines: Vec<_> = ROWS.iter().map(|(key, value, ..)| format!("{key} = {value}")).collect();
    let expected = Limits {
        connections: 1,
        connections_per_address: 2,
        new_connections_per_address: 3,
        new_connections_interval: seconds(4),
        handshakes: 5,
        handshake_timeout: seconds(6),
        accepts_in_turn: 7,
        accept_pause_min: Duration::from_millis(8),
        accept_pause_max: seconds(9 * 60),
        commands_in_flight: 10,
        input_bytes: 16_395,
        stalled_input: seconds(12),
        verifications_in_turn: 13,
        rounds_in_turn: 14,
        output_bytes: 32_768,
        queued_output: 49_152,
        stalled_output: Duration::from_millis(17),
        deliveries_in_flight: 18,
        queued_bytes: 20 * MIB,
        closing_timeout: seconds(21),
        closing_input: 22,
        subscriptions: 23,
        get_queues: 24,
        recipient_keys: 25,
        http_connections: 27,
        http_head_bytes: 28 * 1024,
        http_requests: 29,
        http_timeout: seconds(30),
        client_forwards: 32,
        relay_forwards: 36,
        relays: 37,
        relay_failures: 38,
        relay_failure_ttl: seconds(31),
        relay_connecting: seconds(32),
        relay_answer: seconds(33),
        relay_idle: seconds(34 * 60),
        forwarded_keys: 35,
        expiry_queues: 26,
        notifications: 31,
    };
    assert_eq!(with(&lines), Ok(expected));
}

/// No value that the file may have is one that the server would refuse later.
#[test]
fn every_limit_may_be_at_the_ends_of_its_range() {
    for (key, _, ends, _) in ROWS {
        for end in ends {
            let limits = with(&[format!("{key} = {end}")]);
            assert!(limits.is_ok(), "{key} = {end}: {limits:?}");
        }
    }
    let off = with(&["connections_per_address = off".into(), "new_connections_per_address = off".into()]);
    let off = off.unwrap();
    assert_eq!((off.connections_per_address, off.new_connections_per_address), (usize::MAX, usize::MAX));
}

#[test]
fn a_limit_out_of_its_range_is_refused_by_name() {
    for (key, _, _, bad) in ROWS {
        let problem = problem("LIMITS", &format!("{key} = {bad}"));
        assert!(
            problem.starts_with("has to be a ") && problem.contains(" from "),
            "{key} = {bad}: {problem}"
        );
    }
}

#[test]
fn the_table_describes_each_limit() {
    let described = SECTIONS.iter().find(|section| section.name == "LIMITS").unwrap().settings;
    let others =
        ["msg_queue_quota", "queue_id_length", "end_interval", "notification_interval", "stop_timeout"];
    let limits: Vec<_> = described.iter().map(|s| s.key).filter(|key| !others.contains(key)).collect();
    assert_eq!(limits, ROWS.iter().map(|(key, ..)| *key).collect::<Vec<_>>());
}
