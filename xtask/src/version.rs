//! Version numbers in what programs print about themselves.

use std::fmt;

/// A release number; pre-release marks are left out, because we only ask "at least".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The first thing in `text` that looks like `1.2` or `1.2.3`, whatever stands around it.
    pub(crate) fn find_in(text: &str) -> Option<Self> {
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '.').find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let word = word.strip_prefix('v').unwrap_or(word);
        let mut numbers = word.split('.').map(|part| part.parse::<u32>().ok());
        let version =
            Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next().unwrap_or(Some(0))? };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The oldest Rust that builds this workspace (`rust-version` in Cargo.toml).
pub(crate) fn rust_minimum() -> Version {
    Version::find_in(env!("CARGO_PKG_RUST_VERSION")).unwrap_or(Version::new(1, 95, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u32, u32, u32)>) {
        let expected = expected.map(|(major, minor, patch)| Version::new(major, minor, patch));
        assert_eq!(Version::find_in(text), expected, "in `{text}`");
    }

    #[test]
    fn reads_what_programs_print() {
        check("rustc 1.95.0 (59807616e 2026-04-14)", Some((1, 95, 0)));
        check("rustc 1.97.0-nightly (abc 2026-06-01)", Some((1, 97, 0)));
        check("/x/envoy  version: 5bd7e3f6e/1.40.0/Clean/RELEASE/BoringSSL", Some((1, 40, 0)));
        check("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some((15, 18, 0)));
        check("Python 3.11.7", Some((3, 11, 7)));
        check("1.95", Some((1, 95, 0)));
        check("v20.20.2", Some((20, 20, 2)));
    }

    #[test]
    fn refuses_what_is_no_version() {
        check("", None);
        check("version 7", None);
        check("1.2.3.4", None);
        check("1.x", None);
        check("99999999999.1", None);
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(Version::new(1, 100, 0) > Version::new(1, 36, 9));
    }
}
