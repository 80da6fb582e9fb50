//! Typed values of one decision's attributes, as the standard reads them: sorted, so that a designator's bag is a slice.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::Timestamp;
use crate::urn;
use crate::xacml::functions::{Argument, Fuel, Spent};
use crate::xacml::gateway::GatewayAttributes;
use crate::xacml::program::Designator;
use crate::xacml::request::{CATEGORY_ENVIRONMENT, Category, RequestError};
use crate::xacml::value::{DataType, Value};

/// Attributes of the environment that every decision has, in the order of [`Value::of_instant`].
const CURRENT: [&str; 3] = [urn::CURRENT_TIME, urn::CURRENT_DATE, urn::CURRENT_DATE_TIME];

/// The values of a decision.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    /// Sorted; those that are equal but for the issuer stand in the order of the request.
    keys: Vec<Key<'a>>,
    /// The value of each key.
    values: Vec<Value>,
}

/// What a value is found by.
#[derive(Debug, Clone, Copy)]
struct Key<'a> {
    category: &'a str,
    id: &'a str,
    data_type: DataType,
    issuer: Option<&'a str>,
}

/// The bag of a designator.
#[derive(Debug, Clone)]
pub(crate) enum Selected<'a> {
    Given(&'a [Value]),
    /// Those of one issuer.
    OfIssuer(Arc<[Value]>),
}

impl Selected<'_> {
    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Self::Given(values) => values,
            Self::OfIssuer(values) => values,
        }
    }
}

impl<'a> Attributes<'a> {
    /// Reads the values of a request. One that is not of its type, or of an unknown type, refuses the request.
    pub(crate) fn of_request(categories: &[&'a Category], now: Timestamp) -> Result<Self, RequestError> {
        let attributes = categories.iter().flat_map(|category| &category.attributes);
        let mut entries = Vec::with_capacity(attributes.map(|one| one.values.len()).sum::<usize>() + CURRENT.len());
        for category in categories {
            for attribute in &category.attributes {
                for sent in &attribute.values {
                    let data_type = DataType::from_uri(&sent.data_type).ok_or_else(|| {
                        let message =
                            format!("attribute `{}` has the unknown data type `{}`", attribute.id, sent.data_type);
                        RequestError::new("data_type_unknown", message)
                    })?;
                    let value = Value::parse(data_type, &sent.text).map_err(|error| {
                        RequestError::new("value_invalid", format!("attribute `{}`: {error}", attribute.id))
                    })?;
                    let (category, id) = (category.category.as_str(), attribute.id.as_str());
                    entries.push((Key { category, id, data_type, issuer: attribute.issuer.as_deref() }, value));
                }
            }
        }
        Ok(Self::of(entries, now))
    }

    /// What a gateway knows.
    pub(crate) fn of_gateway(known: &GatewayAttributes<'a>, now: Timestamp) -> Self {
        let text = |(category, id, text): (&'static str, &'static str, &'a str)| {
            (Key { category, id, data_type: DataType::String, issuer: None }, Value::String(text.into()))
        };
        let mut entries = Vec::with_capacity(known.count() + CURRENT.len());
        entries.extend(known.each().map(text));
        Self::of(entries, now)
    }

    fn of(mut entries: Vec<(Key<'a>, Value)>, now: Timestamp) -> Self {
        for (id, value) in CURRENT.into_iter().zip(Value::of_instant(now)) {
            // What the request says about the time is what holds for it.
            if !entries.iter().any(|(key, _)| key.category == CATEGORY_ENVIRONMENT && key.id == id) {
                let data_type = value.data_type();
                entries.push((Key { category: CATEGORY_ENVIRONMENT, id, data_type, issuer: None }, value));
            }
        }
        entries.sort_by(|(one, _), (other, _)| one.order(other.category, other.id, other.data_type));
        let (keys, values) = entries.into_iter().unzip();
        Self { keys, values }
    }

    /// The bag that a designator selects.
    pub(crate) fn select(&'a self, designator: &Designator, fuel: &mut Fuel) -> Result<Selected<'a>, Spent> {
        let order = |key: &Key<'_>| key.order(&designator.category, &designator.id, designator.data_type);
        let start = self.keys.partition_point(|key| order(key) == Ordering::Less);
        let found = self.keys.get(start..).unwrap_or(&[]);
        let found = found.get(..found.partition_point(|key| order(key) == Ordering::Equal)).unwrap_or(&[]);
        let values = self.values.get(start..start.saturating_add(found.len())).unwrap_or(&[]);
        fuel.pay(Argument::Bag(values).weight())?;
        Ok(match designator.issuer.as_deref() {
            None => Selected::Given(values),
            Some(issuer) => {
                let of_issuer = found.iter().zip(values).filter(|(key, _)| key.issuer == Some(issuer));
                Selected::OfIssuer(of_issuer.map(|(_, value)| value.clone()).collect())
            }
        })
    }
}

impl Key<'_> {
    /// Some order; lengths first, as they are compared sooner than texts and seldom equal.
    fn order(&self, category: &str, id: &str, data_type: DataType) -> Ordering {
        let lengths = (self.id.len(), self.category.len()).cmp(&(id.len(), category.len()));
        let names = lengths.then_with(|| self.id.cmp(id)).then_with(|| self.category.cmp(category));
        names.then_with(|| self.data_type.cmp(&data_type))
    }
}
