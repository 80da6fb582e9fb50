//! Values of one decision's attributes, as Altinn reads them: text with the identifier of a type, sorted, so that the values
//! of an attribute are a slice.

use std::cmp::Ordering;

use super::AttributeName;
use crate::xacml::gateway::GatewayAttributes;
use crate::xacml::request::Category;
use crate::xacml::value::DataType;

/// The values of a decision; those of one attribute stand in the order of the request.
#[derive(Debug)]
pub(crate) struct Texts<'a>(Vec<Text<'a>>);

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    category: &'a str,
    id: &'a str,
    pub(super) data_type: &'a str,
    pub(super) text: &'a str,
}

/// The values with where those of each attribute of a policy stand, once that is known.
pub(super) struct Bound<'a> {
    texts: &'a [Text<'a>],
    names: &'a [AttributeName],
    found: Vec<Option<&'a [Text<'a>]>>,
}

impl<'a> Texts<'a> {
    /// Those of a request.
    pub(crate) fn of_request(categories: &[&'a Category]) -> Self {
        let attributes = categories.iter().flat_map(|of| of.attributes.iter().map(move |one| (&*of.category, one)));
        let texts = attributes.flat_map(|(category, attribute)| {
            attribute.values.iter().map(move |value| Text {
                category,
                id: &attribute.id,
                data_type: &value.data_type,
                text: &value.text,
            })
        });
        Self::of(texts.collect())
    }

    /// What a gateway knows.
    pub(crate) fn of_gateway(known: &GatewayAttributes<'a>) -> Self {
        let data_type = DataType::String.uri();
        let mut texts = Vec::with_capacity(known.count());
        texts.extend(known.each().map(|(category, id, text)| Text { category, id, data_type, text }));
        Self::of(texts)
    }

    fn of(mut texts: Vec<Text<'a>>) -> Self {
        texts.sort_by(|one, other| one.order(other.category, other.id));
        Self(texts)
    }

    pub(super) fn bind(&'a self, names: &'a [AttributeName]) -> Bound<'a> {
        Bound { texts: &self.0, names, found: vec![None; names.len()] }
    }
}

impl<'a> Bound<'a> {
    /// Whether there is any value of a category.
    pub(super) fn any_of_category(&self, category: &str) -> bool {
        self.texts.iter().any(|text| text.category == category)
    }

    /// Values of the attribute at this position in the policy: looked for once.
    pub(super) fn values(&mut self, attribute: u32) -> &'a [Text<'a>] {
        let index = usize::try_from(attribute).unwrap_or(usize::MAX);
        let (Some(slot), Some(name)) = (self.found.get_mut(index), self.names.get(index)) else { return &[] };
        let texts = self.texts;
        slot.get_or_insert_with(|| {
            let order = |text: &Text<'_>| text.order(&name.category, &name.id);
            let from = texts.get(texts.partition_point(|text| order(text) == Ordering::Less)..).unwrap_or(&[]);
            from.get(..from.partition_point(|text| order(text) == Ordering::Equal)).unwrap_or(&[])
        })
    }
}

impl Text<'_> {
    /// Some order; lengths first, as they are compared sooner than texts and seldom equal.
    fn order(&self, category: &str, id: &str) -> Ordering {
        let lengths = (self.id.len(), self.category.len()).cmp(&(id.len(), category.len()));
        lengths.then_with(|| self.id.cmp(id)).then_with(|| self.category.cmp(category))
    }
}
