//! How many different queues were used, without remembering which.

use crate::server::store::UnixDay;
use crate::wire::EntityId;

/// Counts different ids in 128 KiB, by linear counting (Whang, Vander-Zanden and Taylor 1990, doi 10.1145/78922.78925): an id
/// sets one of 2^20 bits, and from the bits that are not set follows how many ids there were.
///
/// The error is below one id for hundreds of ids, 0.1 % for a million and 1 % for eight million. From about 14 million
/// on all bits are set, and it tells that many.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Distinct {
    /// None before the first id.
    bits: Vec<u64>,
    set: usize,
}

impl Distinct {
    /// Counts an id, unless it was counted. Ids are random, so their first bytes tell them apart.
    pub fn insert(&mut self, id: &EntityId) {
        let mut position = 0_usize;
        for byte in id.as_bytes().iter().take(3) {
            position = position << 8 | usize::from(*byte);
        }
        self.set(position % BITS);
    }

    /// About how many ids there were.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn count(&self) -> u64 {
        // Both are below 2^21, and the result is below 2^24.
        let free = (BITS - self.set).max(1) as f64 / BITS as f64;
        (-free.ln() * BITS as f64).round() as u64
    }

    /// 2^20 bits, eight to a byte, the lowest first (131,072 bytes); or when that is shorter, the numbers of those that are
    /// set, four bytes each, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.set >= BITS / 32 {
            return self.bits.iter().flat_map(|word| word.to_le_bytes()).collect();
        }
        let is_set = |position: &u32| {
            let word = self.bits.get(*position as usize / 64).copied().unwrap_or_default();
            word >> (position % 64) & 1 == 1
        };
        (0..BITS as u32).filter(is_set).flat_map(u32::to_be_bytes).collect()
    }

    /// What [`Self::to_bytes`] gave; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut distinct = Self::default();
        if bytes.len() == BITS / 8 {
            let (words, _) = bytes.as_chunks::<8>();
            distinct.bits = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            distinct.set = distinct.bits.iter().map(|word| word.count_ones() as usize).sum();
            return Some(distinct);
        }
        let (positions, rest) = bytes.as_chunks::<4>();
        for position in positions {
            let position = u32::from_be_bytes(*position) as usize;
            if position >= BITS {
                return None;
            }
            distinct.set(position);
        }
        (rest.is_empty() && bytes.len() < BITS / 8).then_some(distinct)
    }

    fn set(&mut self, position: usize) {
        if self.bits.is_empty() {
            self.bits = vec![0; WORDS];
        }
        if let Some(word) = self.bits.get_mut(position / 64) {
            let bit = 1 << (position % 64);
            self.set += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

/// Shows the number alone: the bits come from ids.
impl core::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Distinct").field(&self.count()).finish()
    }
}

/// Queues that were used today, in this week and in this month (UTC; weeks begin on Monday).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ActiveQueues {
    /// The day.
    pub today: UnixDay,
    /// Those of the day.
    pub day: Distinct,
    /// Those of the week.
    pub week: Distinct,
    /// Those of the month.
    pub month: Distinct,
}

/// How many queues were used in the periods that ended; `None` for one that goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Active {
    /// In a day.
    pub day: Option<u64>,
    /// In a week.
    pub week: Option<u64>,
    /// In a month.
    pub month: Option<u64>,
}

impl ActiveQueues {
    /// None, from this day on.
    #[must_use]
    pub fn new(today: UnixDay) -> Self {
        let none = Distinct::default;
        Self { today, day: none(), week: none(), month: none() }
    }

    /// A queue was used.
    pub fn insert(&mut self, queue: &EntityId) {
        self.day.insert(queue);
        self.week.insert(queue);
        self.month.insert(queue);
    }

    /// What was used in the periods that are over today; `None` if no day is. They are counted anew.
    pub(super) fn end_day(&mut self, today: UnixDay) -> Option<Active> {
        // A clock that was set back ends no day: what is counted goes on until it has caught up.
        if today <= self.today {
            return None;
        }
        let end = |counted: &mut Distinct, of: fn(UnixDay) -> u32| {
            (of(self.today) != of(today)).then(|| core::mem::take(counted).count())
        };
        let ended = Active {
            day: end(&mut self.day, |day| day.0),
            week: end(&mut self.week, week),
            month: end(&mut self.month, month),
        };
        self.today = today;
        Some(ended)
    }
}

/// The number of the week, which begins on Monday. Day 0 was a Thursday.
const fn week(day: UnixDay) -> u32 {
    (day.0.saturating_add(3)) / 7
}

/// The number of the month since March of year 0, by counting in 400 years that begin with March.
const fn month(day: UnixDay) -> u32 {
    let days = day.0.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153
}

const BITS: usize = 1 << 20;
const WORDS: usize = BITS / 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(ids: u32) -> Distinct {
        let mut distinct = Distinct::default();
        for number in 0..ids {
            // As random ids: the bits of a number that was multiplied by an odd one, the upper ones first.
            let id = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
            distinct.insert(&EntityId::new(&id).unwrap());
            distinct.insert(&EntityId::new(&id).unwrap());
        }
        distinct
    }

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        for ids in [0, 1, 2, 10, 100] {
            assert_eq!(counted(ids).count(), u64::from(ids));
        }
        let mut full = counted(1);
        full.bits.fill(u64::MAX);
        full.set = BITS;
        assert!(full.count() > 14_000_000);
    }

    #[test]
    fn bytes_keep_it() {
        for (ids, length) in [(0, 0), (1, 4), (1000, 4000), (100_000, BITS / 8)] {
            let distinct = counted(ids);
            assert_eq!(distinct.to_bytes().len(), length);
            assert_eq!(Distinct::from_bytes(&distinct.to_bytes()), Some(distinct));
        }
        for bad in [&[0; 3][..], &[0, 0x10, 0, 0], &[0; BITS / 8 + 4]] {
            assert_eq!(Distinct::from_bytes(bad), None);
        }
    }

    #[test]
    fn days_weeks_and_months_end() {
        // 2024-02-28 was a Wednesday, in a leap year.
        let wednesday = UnixDay(19_781);
        let mut active = ActiveQueues::new(wednesday);
        active.insert(&EntityId::new(b"queue").unwrap());
        assert_eq!(active.end_day(wednesday), None);
        let one = Some(1);
        let thursday = Active { day: one, week: None, month: None };
        assert_eq!(active.end_day(UnixDay(19_782)), Some(thursday));
        assert_eq!(active.end_day(UnixDay(19_781)), None);
        let friday = Active { day: Some(0), week: None, month: one };
        assert_eq!(active.end_day(UnixDay(19_783)), Some(friday));
        let monday = Active { day: Some(0), week: one, month: None };
        assert_eq!(active.end_day(UnixDay(19_786)), Some(monday));
        assert_eq!(
            active.end_day(UnixDay(19_786 + 400)),
            Some(Active { day: one.map(|_| 0), week: Some(0), month: Some(0) })
        );
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        // The first days of the months from 2023 to 2026.
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut first = 19_358;
        for year in 2023..2027 {
            for (index, length) in lengths.into_iter().enumerate() {
                let length = length + u32::from(index == 1 && year == 2024);
                assert_ne!(month(UnixDay(first - 1)), month(UnixDay(first)));
                assert_eq!(month(UnixDay(first)), month(UnixDay(first + length - 1)));
                first += length;
            }
        }
    }
}
