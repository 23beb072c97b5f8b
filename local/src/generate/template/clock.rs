//! `strftime_now` of templates: the date that a system prompt names. In UTC, so that a prompt does not hang on where it is made.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config};
use jiff::tz::TimeZone;

/// `time.strftime(format)`; what it does not know stays as it is.
pub(super) fn strftime(now: SystemTime, format: &str) -> String {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::UTC);
    let told = BrokenDownTime::from(&now).to_string_with_config(&Config::new().lenient(true), format);
    told.unwrap_or_else(|_| format.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(strftime(at(0), "%A %d %B %Y %H:%M:%S %j"), "Thursday 01 January 1970 00:00:00 001");
        assert_eq!(strftime(at(951_782_400), "%a %d %b %Y %j"), "Tue 29 Feb 2000 060");
        assert_eq!(strftime(at(4_107_542_399), "%F %T %-d %I %p %%"), "2100-02-28 23:59:59 28 11 PM %");
        assert_eq!(strftime(at(1_798_675_200), "%d %b %Y %Z"), "31 Dec 2026 UTC");
        assert_eq!(strftime(at(1_798_761_600), "%Y-%m-%d %! %"), "2027-01-01 %! %");
    }
}
