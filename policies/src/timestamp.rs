//! The instant, as an argument: policies never asks what time it is.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text is not an RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an instant: expected RFC 3339, for example `2026-11-22T12:00:00Z`")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// From whole seconds; saturates far outside any calendar.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(in_millis(seconds))
    }

    /// From milliseconds.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds, rounded towards the past.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds.
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let wrong = || TimestampError { text: text.chars().take(64).collect() };
        let instant = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
        i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).map(Self).map_err(|_| wrong())
    }

    /// Later by `seconds` (earlier when negative); saturates.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(in_millis(seconds)))
    }

    /// Later by `millis` (earlier when negative); saturates.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Saturates. Every call looks at times, and in WebAssembly a product that is looked at for overflow is one of 128 bits.
fn in_millis(seconds: i64) -> i64 {
    const SECONDS_MAX: i64 = i64::MAX / 1000;
    if (-SECONDS_MAX..=SECONDS_MAX).contains(&seconds) {
        seconds.wrapping_mul(1000)
    } else if seconds < 0 {
        i64::MIN
    } else {
        i64::MAX
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|instant| instant.format(&Rfc3339).ok());
        match text {
            Some(text) => formatter.write_str(&text),
            None => write!(formatter, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let instant = Timestamp::parse_rfc3339("2026-11-22T12:00:00.250Z").unwrap();
        assert_eq!(instant.unix_millis(), 1_795_348_800_250);
        assert_eq!(instant.to_string(), "2026-11-22T12:00:00.25Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-22T13:00:00.250+01:00").unwrap(), instant);
        assert!(Timestamp::parse_rfc3339("2026-11-22").is_err());
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus_seconds(1), Timestamp(i64::MAX));
        assert_eq!(Timestamp::from_unix_seconds(i64::MIN).unix_millis(), i64::MIN);
        assert_eq!(Timestamp(-1).unix_seconds(), -1);
    }
}
