//! Identifiers as types: each is checked where it enters and never looked at again.
//!
//! Every type here has one way in ([`parse`](OrganizationNumber::parse)) that refuses what the field does not allow,
//! prints itself in the form the field uses, and reads and writes JSON as a string.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::urn;

/// Why a text is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("{kind} is empty")]
    Empty {
        /// What was read.
        kind: &'static str,
    },
    /// The text is longer than allowed.
    #[error("{kind} is longer than {bytes_max} bytes")]
    TooLong {
        /// What was read.
        kind: &'static str,
        /// The limit.
        bytes_max: usize,
    },
    /// The text has a character or form that is not allowed.
    #[error("`{text}` is not a valid {kind}: {expected}")]
    Form {
        /// What was read.
        kind: &'static str,
        /// The text, cut at 64 characters.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// The number's check digit is wrong (modulo 11, weights 3 2 7 6 5 4 3 2).
    #[error("`{text}` is not a valid organization number: its check digit is wrong")]
    CheckDigit {
        /// The number.
        text: String,
    },
}

impl IdError {
    /// Stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "id_empty",
            Self::TooLong { .. } => "id_too_long",
            Self::Form { .. } => "id_form",
            Self::CheckDigit { .. } => "organization_number_check_digit",
        }
    }

    fn form(kind: &'static str, text: &str, expected: &'static str) -> Self {
        Self::Form { kind, text: text.chars().take(64).collect(), expected }
    }
}

/// Display, parsing and JSON for a type that has `parse` and `Display`.
macro_rules! textual {
    ($($name:ident),+) => {$(
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(D::Error::custom)
            }
        }
    )+};
}

textual!(OrganizationNumber, SystemUserId, PartyUuid, SystemId, MaskinportenClientId, ResourceId, ActionId);
textual!(AccessPackage, ProviderId, Scope);

/// A Norwegian organisation number: nine digits, the last a modulo 11 check digit.
///
/// ```
/// use policies::id::OrganizationNumber;
/// let number = OrganizationNumber::parse("310247030")?;
/// assert_eq!(number.iso6523(), "0192:310247030");
/// assert!(OrganizationNumber::parse("310247031").is_err());
/// # Ok::<(), policies::id::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationNumber(
    // Invariant: nine digits whose check digit is right, or a number read back from a snapshot that was.
    u32,
);

impl OrganizationNumber {
    const KIND: &str = "organization number";

    /// Reads nine digits and checks the last.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty { kind: Self::KIND });
        }
        let digits: &[u8; 9] =
            text.as_bytes().try_into().map_err(|_| IdError::form(Self::KIND, text, "nine digits"))?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(IdError::form(Self::KIND, text, "nine digits"));
        }
        Self::from_digits(digits.map(|byte| u32::from(byte - b'0')))
            .ok_or_else(|| IdError::CheckDigit { text: text.to_owned() })
    }

    /// The number from its value, `None` when its check digit is wrong or it has more than nine digits.
    pub fn from_u32(number: u32) -> Option<Self> {
        if number >= 1_000_000_000 {
            return None;
        }
        let mut rest = number;
        let mut digits = [0; 9];
        for digit in digits.iter_mut().rev() {
            *digit = rest % 10;
            rest /= 10;
        }
        Self::from_digits(digits)
    }

    fn from_digits(digits: [u32; 9]) -> Option<Self> {
        // The last one's makes the sum of a right number a multiple of 11.
        const WEIGHTS: [u32; 9] = [3, 2, 7, 6, 5, 4, 3, 2, 1];
        let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
        let number = digits.iter().fold(0, |number, digit| number * 10 + digit);
        (sum.is_multiple_of(11) && number != 0).then_some(Self(number))
    }

    /// Reads the ISO 6523 form, `0192:` and nine digits.
    pub fn from_iso6523(text: &str) -> Result<Self, IdError> {
        let number = text
            .strip_prefix(urn::ISO6523_PREFIX)
            .ok_or_else(|| IdError::form(Self::KIND, text, "`0192:` and nine digits"))?;
        Self::parse(number)
    }

    /// The ISO 6523 form, `0192:` and nine digits.
    pub fn iso6523(self) -> String {
        format!("{}{self}", urn::ISO6523_PREFIX)
    }

    /// The number's value, the form that snapshots carry.
    pub fn as_u32(self) -> u32 {
        self.0
    }

    /// Its nine digits, without what formatting costs.
    ///
    /// ```
    /// use policies::id::OrganizationNumber;
    /// assert_eq!(OrganizationNumber::parse("310247030")?.encode(&mut [0; 9]), "310247030");
    /// # Ok::<(), policies::id::IdError>(())
    /// ```
    pub fn encode(self, digits: &mut [u8; 9]) -> &str {
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // Digits are text.
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

impl fmt::Display for OrganizationNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:09}", self.0)
    }
}

/// A uuid with a meaning.
macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the hyphenated form (RFC 9562), in either letter case.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.is_empty() {
                    return Err(IdError::Empty { kind: $kind });
                }
                // `Uuid` reads braced, urn and plain forms too: one identifier, one spelling.
                if text.len() != 36 {
                    return Err(IdError::form($kind, text, "a uuid with hyphens"));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError::form($kind, text, "a uuid with hyphens"))
            }

            /// Gives a uuid this meaning.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The uuid itself.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }
    };
}

uuid_id!(
    /// A system user (Altinn: `systemuser_id`).
    SystemUserId,
    "system user id"
);
uuid_id!(
    /// A party's uuid in the register of parties.
    PartyUuid,
    "party uuid"
);

/// A text with an alphabet and a length; a clone shares it.
macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $bytes_max:expr, $allowed:expr, $expected:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Longest text, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Reads and checks the text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check_text($kind, text, $bytes_max, $allowed, $expected)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A registered system (Altinn: `{vendor's organisation number}_{name}`); who owns it is the register's to check.
    SystemId,
    "system id",
    255,
    |character| !character.is_whitespace() && !character.is_control(),
    "no blanks or control characters"
);
text_id!(
    /// A resource of the Resource Registry, for example `ske-krav-og-betalinger` or `app_skd_mva-melding`.
    ResourceId,
    "resource id",
    255,
    |character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'),
    "letters, digits, `-`, `_` and `.`"
);
text_id!(
    /// A XACML action id, for example `read`.
    ActionId,
    "action id",
    128,
    |character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':' | '/'),
    "letters, digits, `-`, `_`, `.`, `:` and `/`"
);
text_id!(
    /// An API provider as the control plane names it; one snapshot is built per provider.
    ProviderId,
    "provider id",
    64,
    |character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-',
    "lower-case letters, digits and `-`"
);
text_id!(
    /// An OAuth scope token (RFC 6749 section 3.3).
    Scope,
    "scope",
    255,
    |character| matches!(character, '!' | '#'..='[' | ']'..='~'),
    "printable ASCII without blank, `\"` and `\\`"
);

impl SystemId {
    /// A system of a loaded image, which has checked the id.
    pub(crate) fn of_image(text: &str) -> Self {
        Self(text.into())
    }
}

/// An OAuth client in Maskinporten: a GUID or a name; letter case does not distinguish two of them. A
/// clone shares the text.
#[derive(Debug, Clone, Eq)]
pub struct MaskinportenClientId(Arc<str>);

impl MaskinportenClientId {
    /// Longest id, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Reads and checks the id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let allowed = |character: char| character.is_ascii_graphic();
        check_text("Maskinporten client id", text, Self::BYTES_MAX, allowed, "printable ASCII without blanks")?;
        Ok(Self(text.into()))
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in lower case, equal for all spellings.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for MaskinportenClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

// Hand-written because letter case must not count; there is only the one field to forget.
impl PartialEq for MaskinportenClientId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl PartialOrd for MaskinportenClientId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MaskinportenClientId {
    fn cmp(&self, other: &Self) -> Ordering {
        let fold = |byte: u8| byte.to_ascii_lowercase();
        self.0.bytes().map(fold).cmp(other.0.bytes().map(fold))
    }
}

/// An access package (Altinn), a named bundle of rights; written as its URN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessPackage(
    // Invariant: the URN's last part, without the prefix.
    String,
);

impl AccessPackage {
    const KIND: &str = "access package";

    /// Reads the URN, `urn:altinn:accesspackage:` and a name.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let name = text
            .strip_prefix(urn::ACCESS_PACKAGE_PREFIX)
            .ok_or_else(|| IdError::form(Self::KIND, text, "`urn:altinn:accesspackage:` and a name"))?;
        Self::from_name(name)
    }

    /// Reads the URN's last part, the form that XACML policies carry.
    pub fn from_name(name: &str) -> Result<Self, IdError> {
        let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        check_text(Self::KIND, name, 128, allowed, "letters, digits, `-` and `_` after the prefix")?;
        Ok(Self(name.to_owned()))
    }

    /// A package of a loaded image, which has checked the name.
    pub(crate) fn of_image(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The URN's last part.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessPackage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", urn::ACCESS_PACKAGE_PREFIX, self.0)
    }
}

fn check_text(
    kind: &'static str,
    text: &str,
    bytes_max: usize,
    allowed: impl Fn(char) -> bool,
    expected: &'static str,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > bytes_max {
        return Err(IdError::TooLong { kind, bytes_max });
    }
    // Nearly every one is ASCII, which is looked at to the end: many at a time.
    let is_allowed = if text.is_ascii() {
        text.bytes().fold(true, |all, byte| all & allowed(char::from(byte)))
    } else {
        text.chars().all(allowed)
    };
    if !is_allowed {
        return Err(IdError::form(kind, text, expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_numbers_are_checked_modulo_11() {
        for right in ["310247030", "310247049", "991825827", "974761076"] {
            assert_eq!(OrganizationNumber::parse(right).unwrap().to_string(), right);
        }
        for (wrong, code) in [
            ("310247031", "organization_number_check_digit"),
            ("123456789", "organization_number_check_digit"),
            ("31024703", "id_form"),
            ("3102470300", "id_form"),
            ("31024703x", "id_form"),
            ("٣١٠٢٤٧٠٣٠", "id_form"),
            ("000000000", "organization_number_check_digit"),
            ("", "id_empty"),
        ] {
            assert_eq!(OrganizationNumber::parse(wrong).unwrap_err().code(), code, "{wrong}");
        }
    }

    #[test]
    fn the_check_digit_catches_every_single_wrong_digit() {
        let right = "310247030";
        for position in 0..9 {
            for digit in b'0'..=b'9' {
                let mut bytes = right.as_bytes().to_vec();
                if bytes[position] == digit {
                    continue;
                }
                bytes[position] = digit;
                let wrong = String::from_utf8(bytes).unwrap();
                assert!(OrganizationNumber::parse(&wrong).is_err(), "{wrong}");
            }
        }
    }

    #[test]
    fn uuids_have_one_spelling() {
        let id = "f950ddae-06c3-4b57-b940-702417a90df0";
        assert_eq!(SystemUserId::parse(&id.to_uppercase()).unwrap().to_string(), id);
        for wrong in ["", "f950ddae06c34b57b940702417a90df0", "{f950ddae-06c3-4b57-b940-702417a90df0}", "urn:uuid:x"] {
            assert!(SystemUserId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn client_ids_compare_without_letter_case() {
        let lower = MaskinportenClientId::parse("a2ed712d-aaaa-4bbb-8ccc-702417a90df0").unwrap();
        let upper = MaskinportenClientId::parse("A2ED712D-AAAA-4BBB-8CCC-702417A90DF0").unwrap();
        assert_eq!(lower, upper);
        assert_eq!(lower.cmp(&upper), Ordering::Equal);
        assert_ne!(lower, MaskinportenClientId::parse("smartcloud_client").unwrap());
    }

    #[test]
    fn texts_are_bounded() {
        assert!(ResourceId::parse(&"a".repeat(255)).is_ok());
        assert_eq!(ResourceId::parse(&"a".repeat(256)).unwrap_err().code(), "id_too_long");
        assert_eq!(ResourceId::parse("a b").unwrap_err().code(), "id_form");
        assert_eq!(AccessPackage::parse("skatt-naering").unwrap_err().code(), "id_form");
        assert_eq!(AccessPackage::parse("urn:altinn:accesspackage:skatt-naering").unwrap().name(), "skatt-naering");
    }
}
