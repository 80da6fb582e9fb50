//! Typed values: the sixteen data types of XACML 3.0 that need no XPath, how they are written and compared.
//!
//! A value is parsed once, from a policy or a request, and never wraps silently: what does not fit is refused. Functions
//! over values are in `super::functions`.

mod calendar;
mod names;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use calendar::{Date, DateTime, DayTimeDuration, Time, YearMonthDuration};
pub use names::{DnsName, IpAddress, Rfc822Name, X500Name};

use crate::Timestamp;

/// A data type of XACML 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in XACML 3.0, appendix B")]
pub enum DataType {
    String,
    Boolean,
    Integer,
    Double,
    Time,
    Date,
    DateTime,
    DayTimeDuration,
    YearMonthDuration,
    AnyUri,
    HexBinary,
    Base64Binary,
    Rfc822Name,
    X500Name,
    IpAddress,
    DnsName,
}

/// Number in compiled policies (never changed, never given out again), identifier, and name as in function identifiers and
/// the JSON profile. The first row of a type is the one written.
const DATA_TYPES: [(DataType, u8, &str, &str); 18] = [
    (DataType::String, 1, "http://www.w3.org/2001/XMLSchema#string", "string"),
    (DataType::Boolean, 2, "http://www.w3.org/2001/XMLSchema#boolean", "boolean"),
    (DataType::Integer, 3, "http://www.w3.org/2001/XMLSchema#integer", "integer"),
    (DataType::Double, 4, "http://www.w3.org/2001/XMLSchema#double", "double"),
    (DataType::Time, 5, "http://www.w3.org/2001/XMLSchema#time", "time"),
    (DataType::Date, 6, "http://www.w3.org/2001/XMLSchema#date", "date"),
    (DataType::DateTime, 7, "http://www.w3.org/2001/XMLSchema#dateTime", "dateTime"),
    (DataType::DayTimeDuration, 8, "http://www.w3.org/2001/XMLSchema#dayTimeDuration", "dayTimeDuration"),
    (DataType::YearMonthDuration, 9, "http://www.w3.org/2001/XMLSchema#yearMonthDuration", "yearMonthDuration"),
    (DataType::AnyUri, 10, "http://www.w3.org/2001/XMLSchema#anyURI", "anyURI"),
    (DataType::HexBinary, 11, "http://www.w3.org/2001/XMLSchema#hexBinary", "hexBinary"),
    (DataType::Base64Binary, 12, "http://www.w3.org/2001/XMLSchema#base64Binary", "base64Binary"),
    (DataType::Rfc822Name, 13, "urn:oasis:names:tc:xacml:1.0:data-type:rfc822Name", "rfc822Name"),
    (DataType::X500Name, 14, "urn:oasis:names:tc:xacml:1.0:data-type:x500Name", "x500Name"),
    (DataType::IpAddress, 15, "urn:oasis:names:tc:xacml:2.0:data-type:ipAddress", "ipAddress"),
    (DataType::DnsName, 16, "urn:oasis:names:tc:xacml:2.0:data-type:dnsName", "dnsName"),
    // As older versions spelled them; XACML 3.0 A.4 keeps them.
    (
        DataType::DayTimeDuration,
        8,
        "http://www.w3.org/TR/2002/WD-xquery-operators-20020816#dayTimeDuration",
        "dayTimeDuration",
    ),
    (
        DataType::YearMonthDuration,
        9,
        "http://www.w3.org/TR/2002/WD-xquery-operators-20020816#yearMonthDuration",
        "yearMonthDuration",
    ),
];

impl DataType {
    /// Every type once.
    pub fn all() -> impl Iterator<Item = Self> {
        DATA_TYPES.iter().take(16).map(|row| row.0)
    }

    /// The type with this identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        DATA_TYPES.iter().find(|row| row.2 == uri).map(|row| row.0)
    }

    /// The type with this short name.
    pub fn from_name(name: &str) -> Option<Self> {
        DATA_TYPES.iter().find(|row| row.3 == name).map(|row| row.0)
    }

    /// The identifier.
    pub fn uri(self) -> &'static str {
        DATA_TYPES.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }

    /// The short name, as in `string-equal`.
    pub fn name(self) -> &'static str {
        DATA_TYPES.iter().find(|row| row.0 == self).map_or("", |row| row.3)
    }

    /// The type with this number in compiled policies.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        DATA_TYPES.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// The number in compiled policies.
    pub(crate) fn number(self) -> u8 {
        DATA_TYPES.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One value. Cloning is cheap.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "one variant for each `DataType`")]
pub enum Value {
    String(Arc<str>),
    Boolean(bool),
    Integer(i128),
    Double(f64),
    Time(Time),
    Date(Date),
    DateTime(DateTime),
    DayTimeDuration(DayTimeDuration),
    YearMonthDuration(YearMonthDuration),
    AnyUri(Arc<str>),
    HexBinary(Arc<[u8]>),
    Base64Binary(Arc<[u8]>),
    Rfc822Name(Rfc822Name),
    X500Name(X500Name),
    IpAddress(IpAddress),
    DnsName(DnsName),
}

/// The text is no value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no value of type {data_type}")]
pub struct ValueError {
    /// The type.
    pub data_type: DataType,
    /// The text, cut to what fits a line.
    pub text: String,
}

impl Value {
    /// Reads a value as XML Schema and XACML write it.
    pub fn parse(data_type: DataType, text: &str) -> Result<Self, ValueError> {
        Self::read(data_type, text)
            .ok_or_else(|| ValueError { data_type, text: text.chars().take(80).collect::<String>() })
    }

    fn read(data_type: DataType, text: &str) -> Option<Self> {
        // Every type but string collapses white space.
        let word = text.trim_matches([' ', '\t', '\r', '\n']);
        Some(match data_type {
            DataType::String => Self::String(text.into()),
            DataType::Boolean => Self::Boolean(super::xml::boolean(word)?),
            DataType::Integer => Self::Integer(read_integer(word)?),
            DataType::Double => Self::Double(read_double(word)?),
            DataType::Time => Self::Time(Time::parse(word)?),
            DataType::Date => Self::Date(Date::parse(word)?),
            DataType::DateTime => Self::DateTime(DateTime::parse(word)?),
            DataType::DayTimeDuration => Self::DayTimeDuration(DayTimeDuration::parse(word)?),
            DataType::YearMonthDuration => Self::YearMonthDuration(YearMonthDuration::parse(word)?),
            DataType::AnyUri => Self::AnyUri(word.into()),
            DataType::HexBinary => Self::HexBinary(read_hex(word)?.into()),
            DataType::Base64Binary => {
                let joined: String =
                    word.chars().filter(|letter| !matches!(letter, ' ' | '\t' | '\r' | '\n')).collect();
                Self::Base64Binary(STANDARD.decode(joined).ok()?.into())
            }
            DataType::Rfc822Name => Self::Rfc822Name(Rfc822Name::parse(word)?),
            DataType::X500Name => Self::X500Name(X500Name::parse(word)?),
            DataType::IpAddress => Self::IpAddress(IpAddress::parse(word)?),
            DataType::DnsName => Self::DnsName(DnsName::parse(word)?),
        })
    }

    /// The instant, in the three types that XACML's environment has: time, date, dateTime, all UTC.
    pub fn of_instant(now: Timestamp) -> [Self; 3] {
        let instant = DateTime::from_timestamp(now);
        [Self::Time(instant.time()), Self::Date(instant.date()), Self::DateTime(instant)]
    }

    /// The type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::String(_) => DataType::String,
            Self::Boolean(_) => DataType::Boolean,
            Self::Integer(_) => DataType::Integer,
            Self::Double(_) => DataType::Double,
            Self::Time(_) => DataType::Time,
            Self::Date(_) => DataType::Date,
            Self::DateTime(_) => DataType::DateTime,
            Self::DayTimeDuration(_) => DataType::DayTimeDuration,
            Self::YearMonthDuration(_) => DataType::YearMonthDuration,
            Self::AnyUri(_) => DataType::AnyUri,
            Self::HexBinary(_) => DataType::HexBinary,
            Self::Base64Binary(_) => DataType::Base64Binary,
            Self::Rfc822Name(_) => DataType::Rfc822Name,
            Self::X500Name(_) => DataType::X500Name,
            Self::IpAddress(_) => DataType::IpAddress,
            Self::DnsName(_) => DataType::DnsName,
        }
    }

    /// Equality as the type's `-equal` function has it. Values of different types are never equal.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::String(a), Self::String(b)) | (Self::AnyUri(a), Self::AnyUri(b)) => a == b,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::HexBinary(a), Self::HexBinary(b)) | (Self::Base64Binary(a), Self::Base64Binary(b)) => a == b,
            (Self::YearMonthDuration(a), Self::YearMonthDuration(b)) => a == b,
            (Self::DayTimeDuration(a), Self::DayTimeDuration(b)) => a == b,
            (Self::Rfc822Name(a), Self::Rfc822Name(b)) => a == b,
            (Self::X500Name(a), Self::X500Name(b)) => a == b,
            (Self::IpAddress(a), Self::IpAddress(b)) => a == b,
            (Self::DnsName(a), Self::DnsName(b)) => a == b,
            // XML Schema's own equality, which has not-a-number equal to itself.
            (Self::Double(a), Self::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Order, for the types that have one. Times without zone are UTC.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            // By code point, which is the order of UTF-8.
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Time(a), Self::Time(b)) => Some(a.instant().cmp(&b.instant())),
            (Self::Date(a), Self::Date(b)) => Some(a.instant().cmp(&b.instant())),
            (Self::DateTime(a), Self::DateTime(b)) => Some(a.instant().cmp(&b.instant())),
            _ => None,
        }
    }

    /// The text of a value that is nothing but text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::AnyUri(text) => Some(text),
            Self::Rfc822Name(name) => Some(name.as_str()),
            Self::X500Name(name) => Some(name.as_str()),
            Self::IpAddress(address) => Some(address.as_str()),
            Self::DnsName(name) => Some(name.as_str()),
            _ => None,
        }
    }

    /// How much work it is to look at: 1 for every 64 bytes begun.
    pub(crate) fn weight(&self) -> u64 {
        let bytes = match self {
            Self::HexBinary(bytes) | Self::Base64Binary(bytes) => bytes.len(),
            other => other.text().map_or(0, str::len),
        };
        u64::try_from(bytes >> 6).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) | Self::AnyUri(text) => formatter.write_str(text),
            Self::Boolean(value) => value.fmt(formatter),
            Self::Integer(value) => value.fmt(formatter),
            Self::Double(value) if value.is_nan() => formatter.write_str("NaN"),
            Self::Double(value) if value.is_infinite() => {
                formatter.write_str(if *value > 0.0 { "INF" } else { "-INF" })
            }
            Self::Double(value) => write!(formatter, "{value:?}"),
            Self::Time(value) => value.fmt(formatter),
            Self::Date(value) => value.fmt(formatter),
            Self::DateTime(value) => value.fmt(formatter),
            Self::DayTimeDuration(value) => value.fmt(formatter),
            Self::YearMonthDuration(value) => value.fmt(formatter),
            Self::HexBinary(bytes) => bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02X}")),
            Self::Base64Binary(bytes) => formatter.write_str(&STANDARD.encode(bytes)),
            Self::Rfc822Name(value) => value.fmt(formatter),
            Self::X500Name(value) => value.fmt(formatter),
            Self::IpAddress(value) => value.fmt(formatter),
            Self::DnsName(value) => value.fmt(formatter),
        }
    }
}

fn read_integer(word: &str) -> Option<i128> {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.parse().ok())?
}

fn read_double(word: &str) -> Option<f64> {
    match word {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads `inf`, `infinity` and `nan`; XML Schema does not.
        _ if word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
            word.parse().ok()
        }
        _ => None,
    }
}

fn read_hex(word: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = word.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(data_type: DataType, text: &str) -> Value {
        Value::parse(data_type, text).unwrap()
    }

    #[test]
    fn identifiers_and_names_are_unique() {
        for data_type in DataType::all() {
            assert_eq!(DataType::from_uri(data_type.uri()), Some(data_type));
            assert_eq!(DataType::from_name(data_type.name()), Some(data_type));
        }
        assert_eq!(DataType::all().count(), 16);
    }

    /// Snapshots hold these numbers.
    #[test]
    fn numbers_of_types_never_change() {
        let numbers: Vec<_> = DataType::all().map(|kind| format!("{} {kind}", kind.number())).collect();
        assert_eq!(
            numbers.join(", "),
            "1 string, 2 boolean, 3 integer, 4 double, 5 time, 6 date, 7 dateTime, 8 dayTimeDuration, \
             9 yearMonthDuration, 10 anyURI, 11 hexBinary, 12 base64Binary, 13 rfc822Name, 14 x500Name, \
             15 ipAddress, 16 dnsName"
        );
        assert!((0..=255).all(|number| DataType::from_number(number).is_none_or(|kind| kind.number() == number)));
    }

    #[test]
    fn what_is_written_is_read_and_written() {
        for (data_type, text, written) in [
            (DataType::String, " a  b ", " a  b "),
            (DataType::Boolean, " 1 ", "true"),
            (DataType::Integer, "+007", "7"),
            (DataType::Double, "27.50", "27.5"),
            (DataType::Double, "INF", "INF"),
            (DataType::Double, "-INF", "-INF"),
            (DataType::Double, "NaN", "NaN"),
            (DataType::Double, "1e3", "1000.0"),
            (DataType::AnyUri, " urn:a ", "urn:a"),
            (DataType::HexBinary, "0bF7", "0BF7"),
            (DataType::Base64Binary, "c3Vy ZS4=", "c3VyZS4="),
        ] {
            assert_eq!(value(data_type, text).to_string(), written);
            assert_eq!(value(data_type, text).data_type(), data_type);
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (data_type, texts) in [
            (DataType::Boolean, &["yes", "", "TRUE"][..]),
            (DataType::Integer, &["", "1.0", "+", "--1", "1 2", "170141183460469231731687303715884105728"]),
            (DataType::Double, &["", "inf", "nan", "1.2.3", "infinity", "0x1"]),
            (DataType::HexBinary, &["0", "0g", "+1"]),
            (DataType::Base64Binary, &["a", "a===", "?"]),
        ] {
            for text in texts {
                assert!(Value::parse(data_type, text).is_err(), "{data_type} `{text}`");
            }
        }
    }

    #[test]
    fn equality_and_order_are_the_types() {
        assert!(value(DataType::Integer, "07").equals(&value(DataType::Integer, "7")));
        assert!(!value(DataType::Integer, "7").equals(&value(DataType::Double, "7")));
        assert!(value(DataType::Double, "NaN").equals(&value(DataType::Double, "NaN")));
        assert_eq!(value(DataType::Double, "NaN").compare(&value(DataType::Double, "1")), None);
        assert!(value(DataType::Double, "-0").equals(&value(DataType::Double, "0")));
        assert!(value(DataType::Boolean, "1").equals(&value(DataType::Boolean, "true")));
        assert!(!value(DataType::String, "a").equals(&value(DataType::AnyUri, "a")));
        let order = |a, b| value(DataType::String, a).compare(&value(DataType::String, b));
        assert_eq!(order("a", "b"), Some(Ordering::Less));
        assert_eq!(value(DataType::Boolean, "1").compare(&value(DataType::Boolean, "0")), None);
    }

    #[test]
    fn an_instant_is_utc() {
        let [time, date, date_time] = Value::of_instant(Timestamp::from_unix_millis(86_400_000 + 3_723_004));
        assert_eq!(time.to_string(), "01:02:03.004Z");
        assert_eq!(date.to_string(), "1970-01-02Z");
        assert_eq!(date_time.to_string(), "1970-01-02T01:02:03.004Z");
    }
}
