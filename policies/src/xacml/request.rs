//! A decision request: attributes by category, as text. How it arrived is for [`super::json_profile`] and
//! [`super::xml_context`]; which types its values have is decided by the semantics that read it.

use std::collections::BTreeMap;

use super::Semantics;

/// Category of the environment.
pub(crate) const CATEGORY_ENVIRONMENT: &str = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment";

/// Longest request that is read, in bytes.
pub const REQUEST_BYTES_MAX: usize = 512 << 10;
/// Most decisions that one request may ask for.
pub const DECISIONS_MAX: usize = 256;
/// Most values of all attributes together, counted once for every decision.
pub const VALUES_MAX: usize = 50_000;
/// Most categories, repeated ones too.
pub const CATEGORIES_MAX: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Attributes by category. A category may come more than once, each for a decision of its own.
    pub categories: Vec<Category>,
    /// `MultiRequests`: ids of categories, a list for each decision.
    pub references: Vec<Vec<String>>,
    /// Whether the answer is to name the policies that applied.
    pub return_policy_ids: bool,
    /// Whether several decisions are to be one.
    pub combined_decision: bool,
}

/// The attributes of one category.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Category {
    /// Its URN.
    pub category: String,
    /// What `MultiRequests` knows it by.
    pub id: Option<String>,
    /// Its attributes.
    pub attributes: Vec<RequestAttribute>,
}

/// An attribute with its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestAttribute {
    /// `AttributeId`
    pub id: String,
    /// `Issuer`
    pub issuer: Option<String>,
    /// Whether the answer is to repeat it.
    pub include_in_result: bool,
    /// Its values.
    pub values: Vec<RequestValue>,
}

/// A value as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestValue {
    /// Identifier of its type.
    pub data_type: String,
    /// Its text.
    pub text: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
}

impl RequestError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Request {
    /// The decisions asked for, each as a request of its own: by reference, or one for every choice among the
    /// categories that come more than once (multiple decision profile, 2.3 and 2.4). Altinn makes no such choice.
    pub fn decisions(&self, semantics: Semantics) -> Result<Vec<Vec<&Category>>, RequestError> {
        if self.categories.len() > CATEGORIES_MAX {
            let message = format!("a request has at most {CATEGORIES_MAX} categories");
            return Err(RequestError::new("too_many_categories", message));
        }
        let decisions = match semantics {
            _ if !self.references.is_empty() => self.referenced(semantics)?,
            Semantics::Standard => self.choices()?,
            Semantics::Altinn => vec![self.categories.iter().collect()],
        };
        let mut values = 0_usize;
        for category in decisions.iter().flatten() {
            let of_category = category.attributes.iter().map(|attribute| attribute.values.len().saturating_add(1));
            values = values.saturating_add(1).saturating_add(of_category.sum());
            if values > VALUES_MAX {
                let message = format!("the decisions of a request have at most {VALUES_MAX} attributes and values");
                return Err(RequestError::new("too_many_values", message));
            }
        }
        Ok(decisions)
    }

    fn referenced(&self, semantics: Semantics) -> Result<Vec<Vec<&Category>>, RequestError> {
        if self.references.len() > DECISIONS_MAX {
            return Err(too_many_decisions());
        }
        let mut by_id = BTreeMap::new();
        for category in &self.categories {
            if let Some(id) = &category.id
                && by_id.insert(id.as_str(), category).is_some()
            {
                return Err(RequestError::new("category_id_twice", format!("two categories have the id `{id}`")));
            }
        }
        let mut places = BTreeMap::new();
        for (at, category) in self.categories.iter().enumerate() {
            places.entry(category.category.as_str()).or_insert(at);
        }
        let mut decisions = Vec::new();
        for ids in &self.references {
            let mut decision = Vec::new();
            for id in ids {
                match (by_id.get(id.as_str()), semantics) {
                    (Some(category), _) => decision.push(*category),
                    // Altinn goes on without it.
                    (None, Semantics::Altinn) => {}
                    (None, Semantics::Standard) => {
                        return Err(RequestError::new("reference_unknown", format!("no category has the id `{id}`")));
                    }
                }
            }
            if semantics == Semantics::Altinn {
                // Not as they are referred to, but as a single question has them.
                decision.sort_by_key(|category| places.get(category.category.as_str()).copied());
            }
            decisions.push(decision);
        }
        Ok(decisions)
    }

    fn choices(&self) -> Result<Vec<Vec<&Category>>, RequestError> {
        let mut choices: Vec<Vec<&Category>> = vec![Vec::new()];
        let mut seen: Vec<&str> = Vec::new();
        for category in &self.categories {
            if seen.contains(&category.category.as_str()) {
                continue;
            }
            seen.push(&category.category);
            let same: Vec<_> = self.categories.iter().filter(|other| other.category == category.category).collect();
            if choices.len().saturating_mul(same.len()) > DECISIONS_MAX {
                return Err(too_many_decisions());
            }
            choices = choices
                .into_iter()
                .flat_map(|choice| same.iter().map(move |one| [choice.as_slice(), &[*one]].concat()))
                .collect();
        }
        Ok(choices)
    }
}

fn too_many_decisions() -> RequestError {
    RequestError::new("too_many_decisions", format!("a request asks for at most {DECISIONS_MAX} decisions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(category: &str, id: &str) -> Category {
        Category { category: category.to_owned(), id: Some(id.to_owned()), attributes: Vec::new() }
    }

    fn ids(request: &Request) -> Vec<String> {
        let name = |choice: Vec<&Category>| choice.iter().filter_map(|one| one.id.clone()).collect::<String>();
        request.decisions(Semantics::Standard).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn repeated_categories_ask_for_every_choice() {
        let mut request = Request {
            categories: vec![category("s", "a"), category("r", "1"), category("r", "2"), category("s", "b")],
            ..Request::default()
        };
        assert_eq!(ids(&request), ["a1", "a2", "b1", "b2"]);
        request.references = vec![vec!["a".into(), "2".into()], vec!["b".into()]];
        assert_eq!(ids(&request), ["a2", "b"]);
        request.references.push(vec!["c".into()]);
        assert_eq!(request.decisions(Semantics::Standard).unwrap_err().code, "reference_unknown");
        // Altinn goes on without it, and asks in the order of the request.
        request.references = vec![vec!["2".into(), "c".into(), "a".into()]];
        let of_altinn = request.decisions(Semantics::Altinn).unwrap();
        assert_eq!(of_altinn[0].iter().filter_map(|one| one.id.as_deref()).collect::<String>(), "a2");
        assert_eq!(ids(&Request::default()), [""]);
    }

    #[test]
    fn how_much_may_be_asked_is_bounded() {
        let many = |count: usize, of: &str| (0..count).map(|at| category(of, &at.to_string())).collect::<Vec<_>>();
        let mut request = Request { categories: [many(20, "s"), many(20, "r")].concat(), ..Request::default() };
        assert_eq!(request.decisions(Semantics::Standard).unwrap_err().code, "too_many_decisions");
        request.categories = many(2, "s");
        request.categories.push(category("r", "0"));
        request.references = vec![vec!["0".to_owned()]];
        assert_eq!(request.decisions(Semantics::Standard).unwrap_err().code, "category_id_twice");
        request.categories = vec![category("r", "0")];
        request.references = vec![vec!["0".to_owned(); VALUES_MAX + 1]];
        assert_eq!(request.decisions(Semantics::Standard).unwrap_err().code, "too_many_values");
        request.categories = many(CATEGORIES_MAX + 1, "s");
        assert_eq!(request.decisions(Semantics::Altinn).unwrap_err().code, "too_many_categories");
        let value = RequestValue { data_type: String::new(), text: String::new() };
        let attribute = RequestAttribute { values: vec![value; VALUES_MAX + 1], ..RequestAttribute::default() };
        request = Request {
            categories: vec![Category { attributes: vec![attribute], ..category("s", "a") }],
            ..Request::default()
        };
        assert_eq!(request.decisions(Semantics::Standard).unwrap_err().code, "too_many_values");
    }
}
