//! The functions by number and by identifier, once.
//!
//! The numbers stand in compiled policies, which outlive the program that wrote them: a number is never changed, and never
//! given to another function.

use super::{Comparison, Function, HigherOrder};
use crate::xacml::value::DataType;

/// Numbers from here on are those of families and are followed by the number of a type.
const FAMILIES_FROM: u8 = 64;

/// A function that is alone under its name.
struct Alone {
    number: u8,
    /// Versions of the standard in its identifiers.
    versions: &'static [&'static str],
    name: &'static str,
    function: Function,
}

/// Functions that are alike for several types. Their name is `before`, the type's name, `after`.
struct Family {
    number: u8,
    versions: Versions,
    before: &'static str,
    after: &'static str,
    of: fn(DataType) -> Function,
    types: &'static [DataType],
}

/// Which versions of the standard the identifiers of a family have.
#[derive(Clone, Copy)]
enum Versions {
    /// That of the type: 2.0 for hosts, else 1.0; durations moved to 3.0 and keep their old identifiers.
    OfType,
    /// 3.0.
    Third,
    /// 1.0 for strings, 2.0 for the others.
    OfPattern,
}

const EVERY: &[DataType] = &[
    DataType::String,
    DataType::Boolean,
    DataType::Integer,
    DataType::Double,
    DataType::Time,
    DataType::Date,
    DataType::DateTime,
    DataType::DayTimeDuration,
    DataType::YearMonthDuration,
    DataType::AnyUri,
    DataType::HexBinary,
    DataType::Base64Binary,
    DataType::Rfc822Name,
    DataType::X500Name,
    DataType::IpAddress,
    DataType::DnsName,
];
/// Those that have an equality: all but hosts.
const EQUATABLE: &[DataType] = EVERY.split_at(14).0;
const NOT_STRING: &[DataType] = EVERY.split_at(1).1;
const ORDERED: &[DataType] =
    &[DataType::String, DataType::Integer, DataType::Double, DataType::Time, DataType::Date, DataType::DateTime];
const NUMBER: &[DataType] = &[DataType::Integer, DataType::Double];
const TEXT: &[DataType] = &[DataType::String, DataType::AnyUri];
const PATTERNED: &[DataType] = &[
    DataType::String,
    DataType::AnyUri,
    DataType::IpAddress,
    DataType::DnsName,
    DataType::Rfc822Name,
    DataType::X500Name,
];

const ALONE: &[Alone] = &[
    alone(1, &["3.0"], "string-equal-ignore-case", Function::EqualIgnoreCase),
    alone(2, &["1.0"], "integer-mod", Function::Modulo),
    alone(3, &["1.0"], "round", Function::Round),
    alone(4, &["1.0"], "floor", Function::Floor),
    alone(5, &["1.0"], "string-normalize-space", Function::NormalizeSpace),
    alone(6, &["1.0"], "string-normalize-to-lower-case", Function::NormalizeToLowerCase),
    alone(7, &["1.0"], "double-to-integer", Function::DoubleToInteger),
    alone(8, &["1.0"], "integer-to-double", Function::IntegerToDouble),
    alone(9, &["1.0"], "and", Function::And),
    alone(10, &["1.0"], "or", Function::Or),
    alone(11, &["1.0"], "not", Function::Not),
    alone(12, &["1.0"], "n-of", Function::AtLeast),
    alone(13, &["2.0"], "time-in-range", Function::TimeInRange),
    alone(14, &["2.0"], "string-concatenate", Function::Concatenate),
    alone(15, &["2.0"], "uri-string-concatenate", Function::UriConcatenate),
    alone(16, &["1.0"], "x500Name-match", Function::X500Match),
    alone(17, &["1.0"], "rfc822Name-match", Function::Rfc822Match),
    moving(18, "dateTime-add-dayTimeDuration", DataType::DateTime, DataType::DayTimeDuration, false),
    moving(19, "dateTime-subtract-dayTimeDuration", DataType::DateTime, DataType::DayTimeDuration, true),
    moving(20, "dateTime-add-yearMonthDuration", DataType::DateTime, DataType::YearMonthDuration, false),
    moving(21, "dateTime-subtract-yearMonthDuration", DataType::DateTime, DataType::YearMonthDuration, true),
    moving(22, "date-add-yearMonthDuration", DataType::Date, DataType::YearMonthDuration, false),
    moving(23, "date-subtract-yearMonthDuration", DataType::Date, DataType::YearMonthDuration, true),
];

const FAMILIES: &[Family] = &[
    family(64, "-equal", Function::Equal, EQUATABLE),
    family(65, "-greater-than", |kind| Function::Compare(kind, Comparison::Greater), ORDERED),
    family(66, "-greater-than-or-equal", |kind| Function::Compare(kind, Comparison::GreaterOrEqual), ORDERED),
    family(67, "-less-than", |kind| Function::Compare(kind, Comparison::Less), ORDERED),
    family(68, "-less-than-or-equal", |kind| Function::Compare(kind, Comparison::LessOrEqual), ORDERED),
    family(69, "-add", Function::Add, NUMBER),
    family(70, "-subtract", Function::Subtract, NUMBER),
    family(71, "-multiply", Function::Multiply, NUMBER),
    family(72, "-divide", Function::Divide, NUMBER),
    family(73, "-abs", Function::Absolute, NUMBER),
    family(74, "-one-and-only", Function::OneAndOnly, EVERY),
    family(75, "-bag-size", Function::BagSize, EVERY),
    family(76, "-is-in", Function::IsIn, EQUATABLE),
    family(77, "-bag", Function::Bag, EVERY),
    family(78, "-intersection", Function::Intersection, EQUATABLE),
    family(79, "-at-least-one-member-of", Function::AtLeastOneMemberOf, EQUATABLE),
    family(80, "-union", Function::Union, EQUATABLE),
    family(81, "-subset", Function::Subset, EQUATABLE),
    family(82, "-set-equals", Function::SetEquals, EQUATABLE),
    Family { versions: Versions::Third, ..family(83, "-from-string", Function::FromString, NOT_STRING) },
    Family { versions: Versions::Third, before: "string-from-", ..family(84, "", Function::ToString, NOT_STRING) },
    Family { versions: Versions::Third, ..family(85, "-starts-with", Function::StartsWith, TEXT) },
    Family { versions: Versions::Third, ..family(86, "-ends-with", Function::EndsWith, TEXT) },
    Family { versions: Versions::Third, ..family(87, "-contains", Function::Contains, TEXT) },
    Family { versions: Versions::Third, ..family(88, "-substring", Function::Substring, TEXT) },
    Family { versions: Versions::OfPattern, ..family(89, "-regexp-match", Function::RegexpMatch, PATTERNED) },
];

const HIGHER_ORDER: &[(u8, &[&str], &str, HigherOrder)] = &[
    (1, &["1.0", "3.0"], "any-of", HigherOrder::AnyOf),
    (2, &["1.0", "3.0"], "all-of", HigherOrder::AllOf),
    (3, &["1.0", "3.0"], "any-of-any", HigherOrder::AnyOfAny),
    (4, &["1.0"], "all-of-any", HigherOrder::AllOfAny),
    (5, &["1.0"], "any-of-all", HigherOrder::AnyOfAll),
    (6, &["1.0"], "all-of-all", HigherOrder::AllOfAll),
    (7, &["1.0", "3.0"], "map", HigherOrder::Map),
];

const fn alone(number: u8, versions: &'static [&'static str], name: &'static str, function: Function) -> Alone {
    Alone { number, versions, name, function }
}

const fn moving(number: u8, name: &'static str, to: DataType, duration: DataType, subtract: bool) -> Alone {
    alone(number, &["1.0", "3.0"], name, Function::AddDuration { to, duration, subtract })
}

const fn family(number: u8, after: &'static str, of: fn(DataType) -> Function, types: &'static [DataType]) -> Family {
    Family { number, versions: Versions::OfType, before: "", after, of, types }
}

impl Function {
    /// The function with this identifier.
    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        let (version, name) = split(uri)?;
        let alone = ALONE.iter().find(|row| row.name == name && row.versions.contains(&version));
        alone.map(|row| row.function).or_else(|| {
            FAMILIES.iter().find_map(|row| {
                let kind = DataType::from_name(name.strip_prefix(row.before)?.strip_suffix(row.after)?)?;
                (row.types.contains(&kind) && row.versions.allow(version, kind)).then(|| (row.of)(kind))
            })
        })
    }

    /// The number, and for one of a family the type's.
    pub(crate) fn number(self) -> (u8, Option<DataType>) {
        let alone = ALONE.iter().find(|row| row.function == self).map(|row| (row.number, None));
        let of_family = || {
            FAMILIES.iter().find_map(|row| {
                let kind = row.types.iter().copied().find(|kind| (row.of)(*kind) == self)?;
                Some((row.number, Some(kind)))
            })
        };
        alone.or_else(of_family).unwrap_or((0, None))
    }

    /// Whether the number is followed by that of a type.
    pub(crate) fn has_type(number: u8) -> bool {
        number >= FAMILIES_FROM
    }

    /// The function with this number.
    pub(crate) fn from_number(number: u8, kind: Option<DataType>) -> Option<Self> {
        match kind {
            None => ALONE.iter().find(|row| row.number == number).map(|row| row.function),
            Some(kind) => {
                let row = FAMILIES.iter().find(|row| row.number == number && row.types.contains(&kind))?;
                Some((row.of)(kind))
            }
        }
    }
}

impl HigherOrder {
    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        let (version, name) = split(uri)?;
        HIGHER_ORDER.iter().find(|row| row.2 == name && row.1.contains(&version)).map(|row| row.3)
    }

    /// The number.
    pub(crate) fn number(self) -> u8 {
        HIGHER_ORDER.iter().find(|row| row.3 == self).map_or(0, |row| row.0)
    }

    /// The one with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        HIGHER_ORDER.iter().find(|row| row.0 == number).map(|row| row.3)
    }
}

impl Versions {
    fn allow(self, version: &str, kind: DataType) -> bool {
        let is_host = matches!(kind, DataType::IpAddress | DataType::DnsName);
        let is_duration = matches!(kind, DataType::DayTimeDuration | DataType::YearMonthDuration);
        match self {
            Self::OfType => match version {
                "1.0" => !is_host,
                "2.0" => is_host,
                "3.0" => is_duration,
                _ => false,
            },
            Self::Third => version == "3.0",
            Self::OfPattern => version == if kind == DataType::String { "1.0" } else { "2.0" },
        }
    }
}

/// Version and name of a function's identifier.
fn split(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("urn:oasis:names:tc:xacml:")?.split_once(":function:")
}

/// Every identifier with its function, for tests.
#[cfg(test)]
pub(crate) static EVERY_FUNCTION: std::sync::LazyLock<Vec<(String, Function)>> = std::sync::LazyLock::new(|| {
    let uri = |version: &str, name: &str| format!("urn:oasis:names:tc:xacml:{version}:function:{name}");
    let alone =
        ALONE.iter().flat_map(|row| row.versions.iter().map(move |version| (uri(version, row.name), row.function)));
    let of_families = FAMILIES.iter().flat_map(|row| {
        row.types.iter().flat_map(move |kind| {
            let name = format!("{}{kind}{}", row.before, row.after);
            let versions = ["1.0", "2.0", "3.0"].into_iter().filter(|version| row.versions.allow(version, *kind));
            versions.map(move |version| (uri(version, &name), (row.of)(*kind)))
        })
    });
    alone.chain(of_families).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots hold these numbers.
    #[test]
    fn numbers_of_functions_never_change() {
        let alone: Vec<_> = ALONE.iter().map(|row| format!("{} {}", row.number, row.name)).collect();
        assert_eq!(
            alone.join(", "),
            "1 string-equal-ignore-case, 2 integer-mod, 3 round, 4 floor, 5 string-normalize-space, \
             6 string-normalize-to-lower-case, 7 double-to-integer, 8 integer-to-double, 9 and, 10 or, 11 not, 12 n-of, \
             13 time-in-range, 14 string-concatenate, 15 uri-string-concatenate, 16 x500Name-match, \
             17 rfc822Name-match, 18 dateTime-add-dayTimeDuration, 19 dateTime-subtract-dayTimeDuration, \
             20 dateTime-add-yearMonthDuration, 21 dateTime-subtract-yearMonthDuration, \
             22 date-add-yearMonthDuration, 23 date-subtract-yearMonthDuration"
        );
        let families: Vec<_> = FAMILIES
            .iter()
            .map(|row| format!("{} {}*{} {}", row.number, row.before, row.after, row.types.len()))
            .collect();
        assert_eq!(
            families.join(", "),
            "64 *-equal 14, 65 *-greater-than 6, 66 *-greater-than-or-equal 6, 67 *-less-than 6, \
             68 *-less-than-or-equal 6, 69 *-add 2, 70 *-subtract 2, 71 *-multiply 2, 72 *-divide 2, 73 *-abs 2, \
             74 *-one-and-only 16, 75 *-bag-size 16, 76 *-is-in 14, 77 *-bag 16, 78 *-intersection 14, \
             79 *-at-least-one-member-of 14, 80 *-union 14, 81 *-subset 14, 82 *-set-equals 14, \
             83 *-from-string 15, 84 string-from-* 15, 85 *-starts-with 2, 86 *-ends-with 2, 87 *-contains 2, \
             88 *-substring 2, 89 *-regexp-match 6"
        );
        let higher: Vec<_> = HIGHER_ORDER.iter().map(|row| format!("{} {}", row.0, row.2)).collect();
        assert_eq!(
            higher.join(", "),
            "1 any-of, 2 all-of, 3 any-of-any, 4 all-of-any, 5 any-of-all, 6 all-of-all, 7 map"
        );
    }

    #[test]
    fn numbers_and_identifiers_lead_to_the_same_function() {
        for (uri, function) in EVERY_FUNCTION.iter() {
            let (number, kind) = function.number();
            assert_eq!(Function::from_uri(uri), Some(*function), "{uri}");
            assert_eq!(Function::from_number(number, kind), Some(*function), "{uri}");
            assert_eq!(Function::has_type(number), kind.is_some(), "{uri}");
        }
        let known = |number, kind| Function::from_number(number, kind).is_some();
        assert!(!known(0, None) && !known(24, None) && !known(64, None) && !known(1, Some(DataType::String)));
        assert!(!known(65, Some(DataType::Boolean)) && !known(90, Some(DataType::String)));
    }
}
