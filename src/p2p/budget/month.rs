//! What passed in this calendar month (UTC), kept in a small file.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing::debug;

/// Time between two writes of the file: a power cut may lose so much of the sum, and an SD card lives long.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// The sums of one month.
#[derive(Debug)]
pub(super) struct Month {
    /// Months since January 1970.
    number: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
    file: PathBuf,
    saved: SystemTime,
    /// Whether it was said that the cap is passed.
    has_warned: bool,
}

impl Month {
    /// The sums of the month of `now`, from zero if the file has none of it.
    pub(super) fn load(file: &Path, now: SystemTime) -> Month {
        let number = month_of(now);
        let text = fs::read_to_string(file).unwrap_or_default();
        let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let (received, sent) = match numbers[..] {
            [of, received, sent] if of == number => (received, sent),
            _ => (0, 0),
        };
        Month { number, received, sent, file: file.to_owned(), saved: now, has_warned: false }
    }

    /// Adds what passed; true when the sum has just gone over `cap`.
    pub(super) fn add(&mut self, received: u64, sent: u64, now: SystemTime, cap: Option<u64>) -> bool {
        let number = month_of(now);
        if number != self.number {
            (self.number, self.received, self.sent, self.has_warned) = (number, 0, 0, false);
        }
        self.received = self.received.saturating_add(received);
        self.sent = self.sent.saturating_add(sent);
        if now.duration_since(self.saved).map_or(true, |age| age >= SAVE_EVERY) {
            self.saved = now;
            self.save();
        }
        let is_over = cap.is_some_and(|cap| self.received.saturating_add(self.sent) > cap);
        let is_news = is_over && !self.has_warned;
        self.has_warned |= is_over;
        is_news
    }

    /// Writes the file, whole or not at all. Without it only a sum is lost.
    pub(super) fn save(&self) {
        let temporary = self.file.with_extension("new");
        let text = format!("{} {} {}\n", self.number, self.received, self.sent);
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &self.file));
        if let Err(error) = written {
            debug!(path = %self.file.display(), %error, "the month's traffic was not written down");
        }
    }
}

/// Months since January 1970.
/// The date comes from the days by <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn month_of(now: SystemTime) -> u64 {
    let days = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so January and February belong to the one before.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let year = era * 400 + year_of_era;
    year * 12 + month_from_march + 2 - 1970 * 12
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn months_end_when_the_calendar_says() {
        assert_eq!(month_of(at(0)), 0);
        assert_eq!((month_of(at(2_678_399)), month_of(at(2_678_400))), (0, 1));
        // The end of February 2024, of 29 days, and of 2026.
        assert_eq!((month_of(at(1_709_251_199)), month_of(at(1_709_251_200))), (54 * 12 + 1, 54 * 12 + 2));
        assert_eq!((month_of(at(1_772_323_199)), month_of(at(1_772_323_200))), (56 * 12 + 1, 56 * 12 + 2));
        assert_eq!((month_of(at(1_798_761_599)), month_of(at(1_798_761_600))), (56 * 12 + 11, 57 * 12));
    }

    #[test]
    fn sums_outlive_a_restart_but_not_the_month() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("traffic");
        let mut month = Month::load(&file, at(1_709_000_000));
        assert!(!month.add(10, 5, at(1_709_000_001), Some(20)));
        assert!(month.add(10, 5, at(1_709_000_002), Some(20)));
        assert!(!month.add(10, 5, at(1_709_000_003), Some(20)), "said once");
        month.save();
        let mut again = Month::load(&file, at(1_709_000_100));
        assert_eq!((again.received, again.sent), (30, 15));
        again.add(1, 1, at(1_709_251_200), None);
        assert_eq!((again.received, again.sent), (1, 1));
        let next = Month::load(&file, at(1_709_251_300));
        assert_eq!((next.received, next.sent), (1, 1), "the new month was written as ten minutes had passed");
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(Month::load(&file, at(1_709_000_100)).received, 0);
    }
}
