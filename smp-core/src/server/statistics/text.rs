//! Statistics as text, to keep them over a restart.
//!
//! A line for each value, `name=value`, with the names of [`Counter`]. What is not there is zero, what is not known is passed
//! over, so that another version can read it.

use core::fmt::Write as _;

use super::{ActiveQueues, Counter, Counts, Distinct, Statistics, Times};
use crate::server::store::UnixDay;
use crate::time::UnixTime;
use crate::wire::text::{from_base64url, to_base64url};

/// Not the text of statistics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} is not one of statistics")]
#[non_exhaustive]
pub struct InvalidStatistics {
    /// The line, from 1.
    pub line: usize,
}

impl Statistics {
    /// The text, up to about a megabyte.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nsince={}\n", self.since.as_millis());
        for (counter, name) in Counter::all() {
            line(&mut text, &name, &self.counts.of(counter).to_string());
        }
        for (prefix, active) in [("active", &self.active), ("activeNtf", &self.active_notified)] {
            line(&mut text, &format!("{prefix}.today"), &active.today.0.to_string());
            for (period, counted) in [("day", &active.day), ("week", &active.week), ("month", &active.month)]
            {
                line(&mut text, &format!("{prefix}.{period}"), &to_base64url(&counted.to_bytes()));
            }
        }
        line(&mut text, "ack.sum", &self.acknowledged.sum().to_string());
        line(&mut text, "ack.max", &self.acknowledged.max().to_string());
        let buckets: Vec<String> = self.acknowledged.buckets().iter().map(u64::to_string).collect();
        line(&mut text, "ack.times", &buckets.join(","));
        text
    }

    /// What [`Self::to_text`] gave.
    ///
    /// # Errors
    /// With the first line that it cannot be.
    pub fn from_text(text: &str) -> Result<Self, InvalidStatistics> {
        let invalid = |line| InvalidStatistics { line };
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(invalid(1));
        }
        let mut reading = Reading::default();
        for (index, line) in lines.enumerate() {
            reading.take(line).ok_or_else(|| invalid(index + 2))?;
        }
        reading.finish().ok_or_else(|| invalid(text.lines().count()))
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing into a string does not fail.
    _ = writeln!(text, "{name}={value}");
}

#[derive(Default)]
struct Reading {
    since: Option<i64>,
    counts: Counts,
    /// Of all queues, and of those with notifications: today, then the queues of day, week and month.
    active: [(Option<u32>, [Distinct; 3]); 2],
    sum: u64,
    max: u64,
    times: Option<Vec<u64>>,
}

impl Reading {
    fn take(&mut self, line: &str) -> Option<()> {
        let (name, value) = line.split_once('=')?;
        let [all, notified] = &mut self.active;
        match name.split_once('.').unwrap_or((name, "")) {
            ("since", "") => self.since = Some(value.parse().ok()?),
            ("active", what) => take_active(all, what, value)?,
            ("activeNtf", what) => take_active(notified, what, value)?,
            ("ack", "sum") => self.sum = value.parse().ok()?,
            ("ack", "max") => self.max = value.parse().ok()?,
            ("ack", "times") => {
                self.times = Some(value.split(',').map(str::parse).collect::<Result<_, _>>().ok()?);
            }
            _ => {
                if let Some((counter, _)) = Counter::all().find(|(_, known)| known == name) {
                    self.counts.add(counter, value.parse().ok()?);
                }
            }
        }
        Some(())
    }

    fn finish(self) -> Option<Statistics> {
        let [active, active_notified] = self.active.map(|(today, [day, week, month])| {
            today.map(|today| ActiveQueues { today: UnixDay(today), day, week, month })
        });
        Some(Statistics {
            since: UnixTime::from_millis(self.since?),
            counts: self.counts,
            active: active?,
            active_notified: active_notified?,
            acknowledged: match self.times {
                Some(times) => Times::from_parts(&times, self.sum, self.max)?,
                None => Times::default(),
            },
        })
    }
}

fn take_active(active: &mut (Option<u32>, [Distinct; 3]), what: &str, value: &str) -> Option<()> {
    let (today, [day, week, month]) = active;
    let counted = match what {
        "today" => {
            *today = Some(value.parse().ok()?);
            return Some(());
        }
        "day" => day,
        "week" => week,
        "month" => month,
        _ => return Some(()),
    };
    *counted = Distinct::from_bytes(&from_base64url(value).ok()?)?;
    Some(())
}

const HEAD: &str = "SMP server statistics 1";
