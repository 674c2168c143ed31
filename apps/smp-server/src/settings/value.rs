//! The texts of values. Each parser says in words what it expects, and never repeats the text: it may be secret.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use smp_core::wire::{Host, VersionRange};

use super::ProxyProtocol;

/// What a parser gives: the value, or what the setting has to be.
pub(crate) type Parsed<T> = Result<T, String>;

/// `on` or `off`.
pub(crate) fn switch(text: &str) -> Parsed<bool> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("has to be `on` or `off`".to_owned()),
    }
}

/// A whole number within limits.
pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    limits: RangeInclusive<T>,
) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let number = digits(text).and_then(|text| text.parse().ok()).filter(|n| limits.contains(n));
        number.ok_or_else(|| format!("has to be a number from {} to {}", limits.start(), limits.end()))
    }
}

/// A length of time: a number with one of the units ms, s, m, h, d; a bare number is in the setting's own unit.
pub(crate) fn duration(unit: Unit, limits: RangeInclusive<Duration>) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(split);
        let given = if suffix.is_empty() { Some(unit) } else { Unit::of(suffix.trim_start()) };
        let millis = given.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit.millis()));
        millis.map(Duration::from_millis).filter(|d| limits.contains(d)).ok_or_else(|| {
            let (min, max) = (written(*limits.start()), written(*limits.end()));
            format!(
                "has to be a length of time from {min} to {max}: a number with ms, s, m, h or d (without: {})",
                unit_name(unit)
            )
        })
    }
}

/// The unit of a length of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Millis,
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    const ALL: [Self; 5] = [Self::Millis, Self::Seconds, Self::Minutes, Self::Hours, Self::Days];

    fn of(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.suffix() == suffix)
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
            Self::Days => "d",
        }
    }

    const fn millis(self) -> u64 {
        match self {
            Self::Millis => 1,
            Self::Seconds => 1000,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
            Self::Days => 86_400_000,
        }
    }
}

/// `off`, or what `parse` takes.
pub(crate) fn unless_off<T>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| match text {
        "off" => Ok(None),
        _ => parse(text).map(Some).map_err(|problem| format!("{problem}; or `off`")),
    }
}

/// A number of bytes, with KiB or MiB or without.
pub(crate) fn bytes(limits: RangeInclusive<usize>) -> impl Fn(&str) -> Parsed<usize> {
    move |text| {
        let (number, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
            (Some(number), _) => (number, 1024),
            (_, Some(number)) => (number, 1024 * 1024),
            _ => (text, 1),
        };
        let bytes = digits(number.trim_end()).and_then(|n| n.parse::<usize>().ok()?.checked_mul(unit));
        bytes.filter(|bytes| limits.contains(bytes)).ok_or_else(|| {
            format!("has to be a size from {} to {} bytes, or with KiB or MiB", limits.start(), limits.end())
        })
    }
}

/// Ports, separated by commas. Port 0 is one that the system chooses.
pub(crate) fn ports(text: &str) -> Parsed<Vec<u16>> {
    let ports = list(text, |port| digits(port)?.parse().ok());
    let ports = ports.filter(|ports: &Vec<u16>| {
        ports.iter().enumerate().all(|(i, port)| *port == 0 || !ports[..i].contains(port))
    });
    ports.ok_or_else(|| "has to be different ports from 0 to 65535, separated by commas".to_owned())
}

/// Ports for WebSockets: `off`, `on` for port 80, or ports.
pub(crate) fn web_socket_ports(text: &str) -> Parsed<Vec<u16>> {
    match text {
        "off" => Ok(Vec::new()),
        "on" => Ok(vec![80]),
        _ => ports(text).map_err(|problem| format!("has to be `off`, `on` (port 80), or ports: {problem}")),
    }
}

/// Which ports are behind a proxy: `off`, `on` for all, or ports.
pub(crate) fn proxy_protocol(text: &str) -> Parsed<ProxyProtocol> {
    match text {
        "off" => Ok(ProxyProtocol::Off),
        "on" => Ok(ProxyProtocol::All),
        _ => ports(text)
            .map(ProxyProtocol::Ports)
            .map_err(|problem| format!("has to be `off`, `on` (all ports), or ports: {problem}")),
    }
}

/// A line for people to read.
pub(crate) fn text(text: &str) -> Parsed<String> {
    let fits = text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| format!("has to be at most {TEXT_MAX} bytes of text"))
}

/// An address on the web.
pub(crate) fn web_address(text: &str) -> Parsed<String> {
    uri(text, &["https://", "http://"])
        .ok_or_else(|| "has to be an address that begins with https://".to_owned())
}

/// An address of SimpleX, as apps show it.
pub(crate) fn simplex_address(text: &str) -> Parsed<String> {
    uri(text, &["https://", "simplex:/"])
        .ok_or_else(|| "has to be a SimpleX address, which begins with https:// or simplex:/".to_owned())
}

/// A mail address.
pub(crate) fn email(text: &str) -> Parsed<String> {
    let parts = text.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    let plain = |c: char| c.is_alphanumeric() || "@.!#$*+-/=^_{|}~".contains(c);
    (parts.is_some() && text.len() <= TEXT_MAX && text.chars().all(plain))
        .then(|| text.to_owned())
        .ok_or_else(|| "has to be a mail address".to_owned())
}

/// A country, by its two letters.
pub(crate) fn country(text: &str) -> Parsed<String> {
    let letters = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters
        .then(|| text.to_ascii_uppercase())
        .ok_or_else(|| "has to be the two letters of a country (ISO 3166)".to_owned())
}

/// The fingerprint of a PGP key.
pub(crate) fn fingerprint(text: &str) -> Parsed<String> {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let known = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b' ');
    (known && (32..=64).contains(&digits) && text.len() <= TEXT_MAX)
        .then(|| text.to_owned())
        .ok_or_else(|| "has to be a fingerprint in hexadecimal, of 32 to 64 digits".to_owned())
}

/// The kind of machine that the server is on.
pub(crate) fn hosting_type(text: &str) -> Parsed<String> {
    one_of(&[
        ("virtual", "virtual"),
        ("dedicated", "dedicated"),
        ("colocation", "colocation"),
        ("owned", "owned"),
    ])(text)
    .map(str::to_owned)
}

fn uri(text: &str, schemes: &[&str]) -> Option<String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme))?;
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (plain && !rest.is_empty() && text.len() <= URI_MAX).then(|| text.to_owned())
}

/// Addresses to listen on; `*` is all.
pub(crate) fn bind(text: &str) -> Parsed<Vec<IpAddr>> {
    if text == "*" {
        return Ok(Vec::new());
    }
    let unbracketed =
        |text: &str| text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse();
    list(text, |ip| unbracketed(ip).ok())
        .ok_or_else(|| "has to be IP addresses of this machine, separated by commas, or `*`".to_owned())
}

/// Names or addresses for the server's address, at most 255 of them. IPv6 addresses need no brackets here.
pub(crate) fn hosts(text: &str) -> Parsed<Vec<Host>> {
    let host = |text: &str| text.parse().or_else(|_| text.parse().map(Host::Ipv6)).ok();
    list(text, host)
        .filter(|hosts| hosts.len() <= 255)
        .ok_or_else(|| "has to be domain names or IP addresses, separated by commas".to_owned())
}

/// Domains, separated by commas.
pub(crate) fn domains(text: &str) -> Parsed<Vec<String>> {
    let domain = |text: &str| match text.parse() {
        Ok(Host::Domain(name) | Host::Onion(name)) => Some(name.as_str().to_owned()),
        _ => None,
    };
    list(text, domain).ok_or_else(|| "has to be domain names, separated by commas".to_owned())
}

/// A host and a port, as `localhost:9050` or `[::1]:9050`.
pub(crate) fn host_and_port(text: &str) -> Parsed<(String, u16)> {
    let parse = || {
        let (host, port) = text.rsplit_once(':')?;
        let port = digits(port)?.parse().ok().filter(|port| *port > 0)?;
        Some((host.parse::<Host>().ok()?.without_brackets(), port))
    };
    parse().ok_or_else(|| "has to be a host and a port, such as `localhost:9050`".to_owned())
}

/// Versions of SMP: `6-18` or `18`, among those that there are.
pub(crate) fn versions(text: &str) -> Parsed<VersionRange> {
    let all = VersionRange::SUPPORTED;
    let known = |range: &VersionRange| all.contains(range.min()) && all.contains(range.max());
    text.parse()
        .ok()
        .filter(known)
        .ok_or_else(|| format!("has to be a range of versions within {all}, such as `6-18`"))
}

/// One of several words.
pub(crate) fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!("has to be one of {}", words.join(", "))
        })
    }
}

/// The items of a list, at least one, unless one of them is wrong.
fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|text| item(text.trim())).collect()
}

/// The text, if it is nothing but digits: parsers of integers would take a plus sign as well.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let unit = Unit::ALL.into_iter().rev().find(|u| millis.is_multiple_of(u128::from(u.millis())));
    let unit = unit.filter(|_| millis > 0).unwrap_or(Unit::Seconds);
    format!("{}{}", millis / u128::from(unit.millis()), unit.suffix())
}

const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Millis => "milliseconds",
        Unit::Seconds => "seconds",
        Unit::Minutes => "minutes",
        Unit::Hours => "hours",
        Unit::Days => "days",
    }
}

const TEXT_MAX: usize = 500;
/// SimpleX addresses are the longest.
const URI_MAX: usize = 4000;

#[cfg(test)]
mod tests {
    use smp_core::wire::Version;

    use super::*;

    fn day() -> RangeInclusive<Duration> {
        Duration::ZERO..=Duration::from_secs(86_400)
    }

    #[test]
    fn durations() {
        for (text, unit, millis) in [
            ("21", Unit::Seconds, 21_000),
            ("1", Unit::Days, 86_400_000),
            ("90ms", Unit::Days, 90),
            ("2 h", Unit::Seconds, 7_200_000),
            ("5m", Unit::Hours, 300_000),
            ("0", Unit::Hours, 0),
        ] {
            assert_eq!(duration(unit, day())(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "+1", "1.5h", "1w", "2d", "25h", "99999999999999999999s", "1s2"] {
            assert_eq!(
                duration(Unit::Seconds, day())(text).unwrap_err(),
                "has to be a length of time from 0s to 1d: a number with ms, s, m, h or d (without: seconds)",
                "{text}"
            );
        }
        let limits = Duration::from_millis(1)..=Duration::from_secs(8);
        assert!(duration(Unit::Seconds, limits)("0").unwrap_err().contains("from 1ms to 8s"));
    }

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(number(1..=9_u32)("9"), Ok(9));
        for text in ["0", "10", "+1", "-1", "", "a", "1 "] {
            assert_eq!(number(1..=9_u32)(text).unwrap_err(), "has to be a number from 1 to 9");
        }
        for (text, size) in [("16384", 16384), ("16KiB", 16384), ("1 MiB", 1024 * 1024)] {
            assert_eq!(bytes(16384..=1024 * 1024)(text), Ok(size), "{text}");
        }
        for text in ["1", "16kb", "KiB", "2MiB", "-16384", "18446744073709551615MiB"] {
            assert!(bytes(16384..=1024 * 1024)(text).is_err(), "{text}");
        }
    }

    #[test]
    fn switches_and_words() {
        assert_eq!((switch("on"), switch("off")), (Ok(true), Ok(false)));
        assert_eq!(switch("yes").unwrap_err(), "has to be `on` or `off`");
        let words = one_of(&[("a", 1), ("b", 2)]);
        assert_eq!(words("b"), Ok(2));
        assert_eq!(words("B").unwrap_err(), "has to be one of `a`, `b`");
        assert_eq!(unless_off(number(1..=5))("off"), Ok(None));
        assert_eq!(unless_off(number(1..=5))("5"), Ok(Some(5)));
        assert_eq!(unless_off(number(1..=5))("6").unwrap_err(), "has to be a number from 1 to 5; or `off`");
    }

    #[test]
    fn lists() {
        assert_eq!(ports("5223, 443"), Ok(vec![5223, 443]));
        assert_eq!(ports("0,0"), Ok(vec![0, 0]));
        for text in ["", "5223,", "65536", "a", "443,443", "+1", "5223 443"] {
            assert!(ports(text).is_err(), "{text}");
        }
        assert_eq!(bind("*"), Ok(vec![]));
        assert_eq!(
            bind("127.0.0.1, [::1],::"),
            Ok(vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap(), "::".parse().unwrap()])
        );
        for text in ["", "localhost", "127.0.0.1,", "*,::", "1.2.3"] {
            assert!(bind(text).is_err(), "{text}");
        }
        assert_eq!(
            hosts("smp.example.org,abc.onion, ::1,[::2],127.0.0.1").unwrap(),
            ["smp.example.org", "abc.onion", "[::1]", "[::2]", "127.0.0.1"].map(|host| host.parse().unwrap())
        );
        for text in ["", "a,,b", "a b", "a:1", "a@b", "smp://a", "<domain>"] {
            assert!(hosts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn information() {
        assert_eq!(web_address("https://a/b?c#d").as_deref(), Ok("https://a/b?c#d"));
        assert_eq!(simplex_address("simplex:/a#b").as_deref(), Ok("simplex:/a#b"));
        for text in ["", "https://", "javascript:alert(1)", "ftp://a", "https://a b", "HTTPS://a", "a"] {
            assert!(web_address(text).is_err() && simplex_address(text).is_err(), "{text}");
        }
        assert!(web_address(&format!("https://{}", "a".repeat(URI_MAX))).is_err());
        assert_eq!(email("a.b+c@example.org").as_deref(), Ok("a.b+c@example.org"));
        for text in ["", "a", "@a", "a@", "a b@c", "a@b?subject=c", "a@b<c", "a@b\"", "a@b&c", "a@b%0d"] {
            assert!(email(text).is_err(), "{text}");
        }
        assert_eq!(country("de").as_deref(), Ok("DE"));
        for text in ["", "D", "DEU", "D1", "ü"] {
            assert!(country(text).is_err(), "{text}");
        }
        assert!(fingerprint(&"AB12 ".repeat(10)).is_ok());
        for text in ["", "AB12", &"0x".repeat(20), &"a".repeat(65)] {
            assert!(fingerprint(text).is_err(), "{text}");
        }
        assert!(text(&"a".repeat(500)).is_ok() && text(&"a".repeat(501)).is_err());
        assert_eq!(hosting_type("owned").as_deref(), Ok("owned"));
        assert!(hosting_type("cloud").is_err());
    }

    #[test]
    fn ports_of_other_kinds() {
        assert_eq!(web_socket_ports("off"), Ok(vec![]));
        assert_eq!(web_socket_ports("on"), Ok(vec![80]));
        assert_eq!(web_socket_ports("80,8080"), Ok(vec![80, 8080]));
        assert_eq!(proxy_protocol("off"), Ok(ProxyProtocol::Off));
        assert_eq!(proxy_protocol("on"), Ok(ProxyProtocol::All));
        assert_eq!(proxy_protocol("443"), Ok(ProxyProtocol::Ports(vec![443])));
        for text in ["", "yes", "443,443", "65536"] {
            assert!(web_socket_ports(text).is_err() && proxy_protocol(text).is_err(), "{text}");
        }
    }

    #[test]
    fn version_ranges() {
        for (text, min, max) in [("6-18", 6, 18), ("18", 18, 18), ("6-20", 6, 20)] {
            assert_eq!(
                versions(text),
                VersionRange::new(Version(min), Version(max)).map_err(|_| String::new())
            );
        }
        for text in ["", "5-18", "6-21", "18-6", "6-", "-6", "+6", "6-7-8"] {
            assert!(versions(text).is_err(), "{text}");
        }
    }
}
