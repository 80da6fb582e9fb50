//! The functions of XACML 3.0: which there are, what they take and what they give.
//!
//! All that the standard makes mandatory (appendix A.3), with those of older versions that it keeps (A.4). Not here:
//! functions over XPath nodes and `access-permitted`, which are optional; they are refused like any unknown function. Their
//! identifiers and numbers are in [`table`], what they compute is in [`apply`].

mod apply;
mod bags;
mod fuel;
mod regexp;
mod table;

pub(crate) use apply::{Argument, Arguments, apply, apply_over_bags};
pub(crate) use fuel::{Fuel, Spent};
pub(crate) use regexp::Pattern;
#[cfg(test)]
pub(crate) use table::EVERY_FUNCTION;

use super::value::DataType;

/// A type of an expression: one value, or a bag of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    One(DataType),
    Bag(DataType),
}

/// A function. Families over data types carry the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Equal(DataType),
    EqualIgnoreCase,
    Compare(DataType, Comparison),
    Add(DataType),
    Subtract(DataType),
    Multiply(DataType),
    Divide(DataType),
    Absolute(DataType),
    Modulo,
    Round,
    Floor,
    NormalizeSpace,
    NormalizeToLowerCase,
    DoubleToInteger,
    IntegerToDouble,
    And,
    Or,
    Not,
    AtLeast,
    AddDuration { to: DataType, duration: DataType, subtract: bool },
    TimeInRange,
    Concatenate,
    UriConcatenate,
    FromString(DataType),
    ToString(DataType),
    StartsWith(DataType),
    EndsWith(DataType),
    Contains(DataType),
    Substring(DataType),
    OneAndOnly(DataType),
    BagSize(DataType),
    IsIn(DataType),
    Bag(DataType),
    Intersection(DataType),
    AtLeastOneMemberOf(DataType),
    Union(DataType),
    Subset(DataType),
    SetEquals(DataType),
    RegexpMatch(DataType),
    X500Match,
    Rfc822Match,
}

/// An order between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A function that takes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HigherOrder {
    /// True for some tuple: one argument is a bag.
    AnyOf,
    /// True for every tuple: one argument is a bag.
    AllOf,
    /// True for some tuple out of all bags.
    AnyOfAny,
    /// For every value of the first bag, true for some of the second.
    AllOfAny,
    /// For some value of the first bag, true for every one of the second.
    AnyOfAll,
    /// True for every pair of the two bags.
    AllOfAll,
    /// The results for every value of the one bag.
    Map,
}

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    fixed: Vec<Type>,
    /// Type and least number of the arguments that may be repeated.
    repeated: Option<(Type, usize)>,
    pub(crate) returns: Type,
}

impl Type {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::One(data_type) | Self::Bag(data_type) => data_type,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(data_type) => write!(formatter, "{data_type}"),
            Self::Bag(data_type) => write!(formatter, "bag of {data_type}"),
        }
    }
}

impl Signature {
    /// The first argument that does not fit, from 1, and what it should be; or a wrong number of arguments, as 0.
    pub(crate) fn misfit(&self, arguments: &[Type]) -> Option<(usize, String)> {
        let least = self.fixed.len().saturating_add(self.repeated.map_or(0, |(_, least)| least));
        if arguments.len() < least || (self.repeated.is_none() && arguments.len() > least) {
            let or_more = if self.repeated.is_some() { " or more" } else { "" };
            return Some((0, format!("{least}{or_more}")));
        }
        let repeated = self.repeated.map(|(kind, _)| kind);
        let expected = self.fixed.iter().copied().map(Some).chain(std::iter::repeat(repeated));
        arguments
            .iter()
            .zip(expected)
            .zip(1..)
            .find(|((given, expected), _)| *expected != Some(**given))
            .map(|((_, expected), at)| (at, expected.map_or_else(String::new, |kind| kind.to_string())))
    }
}

#[cfg(test)]
impl Signature {
    /// Types of arguments that fit, with so many more than are needed where there may be more.
    pub(crate) fn arguments(&self, more: usize) -> Vec<Type> {
        let repeated = self.repeated.into_iter().flat_map(|(kind, least)| std::iter::repeat_n(kind, least + more));
        self.fixed.iter().copied().chain(repeated).collect()
    }
}

impl HigherOrder {
    /// What it gives for a function that gives `inner`, when these arguments are right for it.
    pub(crate) fn returns(self, inner: &Signature, arguments: &[Type]) -> Result<Type, String> {
        let bags = arguments.iter().filter(|kind| matches!(kind, Type::Bag(_))).count();
        let bags_right = match self {
            Self::AnyOf | Self::AllOf | Self::Map => bags == 1,
            Self::AnyOfAny => bags >= 1,
            Self::AllOfAny | Self::AnyOfAll | Self::AllOfAll => bags == 2 && arguments.len() == 2,
        };
        if !bags_right {
            let expected = match self {
                Self::AnyOf | Self::AllOf | Self::Map => "exactly one bag among its arguments",
                Self::AnyOfAny => "a bag among its arguments",
                Self::AllOfAny | Self::AnyOfAll | Self::AllOfAll => "two bags as its arguments",
            };
            return Err(format!("takes {expected}"));
        }
        let singles: Vec<_> = arguments.iter().map(|kind| Type::One(kind.data_type())).collect();
        match inner.misfit(&singles) {
            Some((0, expected)) => Err(format!("its function takes {expected} arguments, not {}", singles.len())),
            Some((at, expected)) => Err(format!("argument {at} of its function is {expected}")),
            None => match (self, inner.returns) {
                (Self::Map, Type::One(data_type)) => Ok(Type::Bag(data_type)),
                (Self::Map, Type::Bag(_)) => Err("its function gives a bag, not one value".to_owned()),
                (_, Type::One(DataType::Boolean)) => Ok(Type::One(DataType::Boolean)),
                _ => Err("its function does not give a boolean".to_owned()),
            },
        }
    }
}

impl Function {
    /// What it takes and gives.
    pub(crate) fn signature(self) -> Signature {
        use DataType::{AnyUri, Boolean, Double, Integer, String, Time};
        use Type::{Bag, One};
        let fixed = |fixed: &[Type], returns| Signature { fixed: fixed.to_vec(), repeated: None, returns };
        let repeated = |fixed: &[Type], kind, least, returns| Signature {
            fixed: fixed.to_vec(),
            repeated: Some((kind, least)),
            returns,
        };
        match self {
            Self::Equal(kind) | Self::Compare(kind, _) => fixed(&[One(kind), One(kind)], One(Boolean)),
            Self::EqualIgnoreCase => fixed(&[One(String), One(String)], One(Boolean)),
            Self::Add(kind) | Self::Multiply(kind) => repeated(&[], One(kind), 2, One(kind)),
            Self::Subtract(kind) | Self::Divide(kind) => fixed(&[One(kind), One(kind)], One(kind)),
            Self::Absolute(kind) => fixed(&[One(kind)], One(kind)),
            Self::Modulo => fixed(&[One(Integer), One(Integer)], One(Integer)),
            Self::Round | Self::Floor => fixed(&[One(Double)], One(Double)),
            Self::NormalizeSpace | Self::NormalizeToLowerCase => fixed(&[One(String)], One(String)),
            Self::DoubleToInteger => fixed(&[One(Double)], One(Integer)),
            Self::IntegerToDouble => fixed(&[One(Integer)], One(Double)),
            Self::And | Self::Or => repeated(&[], One(Boolean), 0, One(Boolean)),
            Self::Not => fixed(&[One(Boolean)], One(Boolean)),
            Self::AtLeast => repeated(&[One(Integer)], One(Boolean), 0, One(Boolean)),
            Self::AddDuration { to, duration, .. } => fixed(&[One(to), One(duration)], One(to)),
            Self::TimeInRange => fixed(&[One(Time), One(Time), One(Time)], One(Boolean)),
            Self::Concatenate => repeated(&[], One(String), 2, One(String)),
            Self::UriConcatenate => repeated(&[One(AnyUri)], One(String), 1, One(AnyUri)),
            Self::FromString(kind) => fixed(&[One(String)], One(kind)),
            Self::ToString(kind) => fixed(&[One(kind)], One(String)),
            Self::StartsWith(kind) | Self::EndsWith(kind) | Self::Contains(kind) => {
                fixed(&[One(String), One(kind)], One(Boolean))
            }
            Self::Substring(kind) => fixed(&[One(kind), One(Integer), One(Integer)], One(String)),
            Self::OneAndOnly(kind) => fixed(&[Bag(kind)], One(kind)),
            Self::BagSize(kind) => fixed(&[Bag(kind)], One(Integer)),
            Self::IsIn(kind) => fixed(&[One(kind), Bag(kind)], One(Boolean)),
            Self::Bag(kind) => repeated(&[], One(kind), 0, Bag(kind)),
            Self::Intersection(kind) => fixed(&[Bag(kind), Bag(kind)], Bag(kind)),
            Self::Union(kind) => repeated(&[], Bag(kind), 2, Bag(kind)),
            Self::AtLeastOneMemberOf(kind) | Self::Subset(kind) | Self::SetEquals(kind) => {
                fixed(&[Bag(kind), Bag(kind)], One(Boolean))
            }
            Self::RegexpMatch(kind) => fixed(&[One(String), One(kind)], One(Boolean)),
            Self::X500Match => fixed(&[One(DataType::X500Name), One(DataType::X500Name)], One(Boolean)),
            Self::Rfc822Match => fixed(&[One(String), One(DataType::Rfc822Name)], One(Boolean)),
        }
    }
}

#[cfg(test)]
mod tests;
