//! Organisation numbers and the way Maskinporten writes them in tokens.
//!
//! Written for the stand-in alone; see the module above for why `policies` is not used here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const WEIGHTS: [u32; 8] = [3, 2, 7, 6, 5, 4, 3, 2];
const AUTHORITY: &str = "iso6523-actorid-upis";
const PREFIX: &str = "0192:";

/// A Norwegian organisation number whose control digit is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct OrganizationNumber(
    // Invariant: nine digits, the last of which is the modulo-11 control digit of the others.
    u32,
);

/// Why a text is not an organisation number.
#[derive(Debug, PartialEq, Eq)]
pub enum OrganizationError {
    ControlDigit,
    NotNineDigits,
}

impl fmt::Display for OrganizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlDigit => "the control digit of the organisation number is wrong",
            Self::NotNineDigits => "an organisation number has nine digits",
        })
    }
}

impl std::error::Error for OrganizationError {}

impl FromStr for OrganizationNumber {
    type Err = OrganizationError;

    fn from_str(text: &str) -> Result<Self, OrganizationError> {
        let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(10)).collect();
        if digits.len() != 9 || text.len() != 9 {
            return Err(OrganizationError::NotNineDigits);
        }
        let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
        // 11 - 0 is written 0; 11 - 1 = 10 fits no digit, so no number has it.
        let control = (11 - sum % 11) % 11;
        if digits.last() != Some(&control) {
            return Err(OrganizationError::ControlDigit);
        }
        Ok(Self(digits.iter().fold(0, |number, digit| number * 10 + digit)))
    }
}

impl TryFrom<String> for OrganizationNumber {
    type Error = OrganizationError;

    fn try_from(text: String) -> Result<Self, OrganizationError> {
        text.parse()
    }
}

impl fmt::Display for OrganizationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:09}", self.0)
    }
}

/// `{"authority":"iso6523-actorid-upis","ID":"0192:310247030"}`, as in the claims `consumer` and `systemuser_org`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Iso6523 {
    authority: String,
    #[serde(rename = "ID")]
    id: String,
}

impl From<OrganizationNumber> for Iso6523 {
    fn from(number: OrganizationNumber) -> Self {
        Self { authority: AUTHORITY.into(), id: format!("{PREFIX}{number}") }
    }
}

impl Iso6523 {
    /// The organisation, or what is wrong with this way of naming it.
    pub(super) fn organization(&self) -> Result<OrganizationNumber, String> {
        if self.authority != AUTHORITY {
            return Err(format!("the authority must be `{AUTHORITY}`"));
        }
        let number = self.id.strip_prefix(PREFIX).ok_or_else(|| format!("the ID must begin with `{PREFIX}`"))?;
        number.parse().map_err(|error: OrganizationError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_digit_decides() {
        for number in ["310247006", "310247014", "310247022", "310247030", "991825827"] {
            assert_eq!(number.parse::<OrganizationNumber>().unwrap().to_string(), number);
        }
        assert_eq!("310247007".parse::<OrganizationNumber>(), Err(OrganizationError::ControlDigit));
        // Eight digits whose control digit would be ten.
        assert_eq!("310247120".parse::<OrganizationNumber>(), Err(OrganizationError::ControlDigit));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "31024700", "3102470060", "31024700a", "3102470١6", " 310247006"] {
            assert!(text.parse::<OrganizationNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_iso_form_wants_its_authority_and_prefix() {
        let read = |authority: &str, id: &str| Iso6523 { authority: authority.into(), id: id.into() }.organization();
        assert!(read("iso6523-actorid-upis", "0192:310247030").is_ok());
        assert!(read("iso6523", "0192:310247030").is_err());
        assert!(read("iso6523-actorid-upis", "310247030").is_err());
        assert!(read("iso6523-actorid-upis", "0192:310247031").is_err());
    }
}
