//! Decision requests and answers as JSON (XACML JSON profile 1.1), read strictly: no member twice, nothing after the
//! value, bounded size and depth.
//!
//! Names of members may begin with a capital or a small letter, as clients write them. What is not known is refused under
//! `standard` and left under `altinn`, as Altinn does; it also joins attributes of the same id, and follows a `CategoryId`
//! wherever it stands. How answers are written is in [`write`].

mod write;

use std::collections::{BTreeMap, BTreeSet};

use super::Semantics;
use super::request::{Category, REQUEST_BYTES_MAX, Request, RequestAttribute, RequestError, RequestValue};
use super::value::{DataType, Value};
use crate::json::{Json, JsonError, Object, parse_object};
use crate::urn;

pub use write::write_response;

/// Categories that have a member of their own.
const SHORT_CATEGORIES: [(&str, &str); 8] = [
    ("AccessSubject", urn::CATEGORY_SUBJECT),
    ("Action", urn::CATEGORY_ACTION),
    ("Resource", urn::CATEGORY_RESOURCE),
    ("Environment", super::request::CATEGORY_ENVIRONMENT),
    ("RecipientSubject", "urn:oasis:names:tc:xacml:1.0:subject-category:recipient-subject"),
    ("IntermediarySubject", "urn:oasis:names:tc:xacml:1.0:subject-category:intermediary-subject"),
    ("Codebase", "urn:oasis:names:tc:xacml:1.0:subject-category:codebase"),
    ("RequestingMachine", "urn:oasis:names:tc:xacml:1.0:subject-category:requesting-machine"),
];
/// Those that Altinn reads.
const ALTINN_CATEGORIES: usize = 3;
/// Other members of a request.
const REQUEST_MEMBERS: [&str; 5] =
    ["Category", "MultiRequests", "ReturnPolicyIdList", "CombinedDecision", "XPathVersion"];

type Result<T> = std::result::Result<T, RequestError>;

/// Reads a request.
pub fn read_request(bytes: &[u8], semantics: Semantics) -> Result<Request> {
    if bytes.len() > REQUEST_BYTES_MAX {
        let message = format!("the request has {} bytes, more than {REQUEST_BYTES_MAX}", bytes.len());
        return Err(RequestError::new("request_too_large", message));
    }
    let text = super::xml::decode(bytes).map_err(|error| RequestError::new("request_encoding", error.message))?;
    let text = match semantics {
        Semantics::Altinn => without_trailing_commas(&text),
        Semantics::Standard => text.into_owned(),
    };
    let document = parse_object(text.as_bytes())
        .map_err(|error: JsonError| RequestError::new("request_json", format!("the request is {error}")))?;
    let reader = Reader { semantics };
    reader.known(&document, &["Request"], "the document")?;
    let request = reader.member(&document, "Request")?.and_then(Json::as_object);
    reader.request(request.ok_or_else(|| RequestError::new("request_member", "there is no object `Request`"))?)
}

struct Reader {
    semantics: Semantics,
}

impl Reader {
    fn request(&self, object: &Object) -> Result<Request> {
        let short: Vec<_> = SHORT_CATEGORIES.iter().map(|(name, _)| *name).collect();
        self.known(object, &[&short[..], &REQUEST_MEMBERS].concat(), "`Request`")?;
        let mut request = Request {
            return_policy_ids: self.boolean(object, "ReturnPolicyIdList")?,
            // Altinn looks at it in XML only.
            combined_decision: self.boolean(object, "CombinedDecision")? && self.semantics == Semantics::Standard,
            references: self.references(object)?,
            categories: Vec::new(),
        };
        let read = match self.semantics {
            Semantics::Standard => SHORT_CATEGORIES.len(),
            Semantics::Altinn => ALTINN_CATEGORIES,
        };
        for (name, category) in SHORT_CATEGORIES.iter().take(read) {
            self.categories(object, name, Some(category), &mut request.categories)?;
        }
        // Altinn reads references only if there are two, and then no category in the general form.
        if self.semantics == Semantics::Altinn && request.references.len() < 2 {
            request.references.clear();
        }
        if self.semantics == Semantics::Standard || request.references.is_empty() {
            self.categories(object, "Category", None, &mut request.categories)?;
        }
        if self.semantics == Semantics::Altinn {
            if !request.references.is_empty() && request.categories.iter().any(|category| category.id.is_none()) {
                let message = "in a request with `MultiRequests` every category has an `Id`";
                return Err(RequestError::new("category_id_missing", message));
            }
            keep_last_of_each_id(&mut request.categories);
        }
        Ok(request)
    }

    /// The categories of a member. For Altinn, one that names its category is of that one, and so are those after it.
    fn categories(&self, object: &Object, name: &str, category: Option<&str>, to: &mut Vec<Category>) -> Result<()> {
        let mut of_list = category.map(str::to_owned);
        for object in self.objects(object, name)? {
            let read = self.category(object, of_list.as_deref())?;
            if self.semantics == Semantics::Altinn {
                of_list = Some(read.category.clone());
            }
            to.push(read);
        }
        Ok(())
    }

    fn category(&self, object: &Object, of_list: Option<&str>) -> Result<Category> {
        self.known(object, &["CategoryId", "Id", "Content", "Attribute"], "a category")?;
        let named = self.text(object, "CategoryId")?.filter(|named| !named.is_empty());
        let category = match (of_list, named, self.semantics) {
            (Some(category), Some(named), Semantics::Standard) if category != named => {
                let message = format!("`CategoryId` is `{named}` where a category is that already");
                return Err(RequestError::new("request_member", message));
            }
            (_, Some(named), _) => named,
            (Some(category), None, _) => category.to_owned(),
            (None, None, _) => return Err(RequestError::new("request_member", "a `Category` without `CategoryId`")),
        };
        let attributes = self.objects(object, "Attribute")?.into_iter().map(|attribute| self.attribute(attribute));
        let attributes = attributes.collect::<Result<_>>()?;
        let attributes = match self.semantics {
            Semantics::Standard => attributes,
            Semantics::Altinn => joined_by_id(attributes),
        };
        Ok(Category { attributes, id: self.text(object, "Id")?, category })
    }

    fn attribute(&self, object: &Object) -> Result<RequestAttribute> {
        self.known(object, &["AttributeId", "Issuer", "IncludeInResult", "DataType", "Value"], "an attribute")?;
        let missing = || RequestError::new("request_member", "an attribute without `AttributeId`");
        let id = self.text(object, "AttributeId")?.ok_or_else(missing)?;
        let data_type = self.text(object, "DataType")?;
        let values = match self.member(object, "Value")? {
            None => return Err(RequestError::new("request_member", format!("attribute `{id}` has no `Value`"))),
            Some(Json::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        };
        let values = match self.semantics {
            Semantics::Standard => typed(&id, data_type, &values)?,
            Semantics::Altinn => altinn_typed(&id, data_type, &values)?,
        };
        Ok(RequestAttribute {
            id,
            issuer: self.text(object, "Issuer")?,
            include_in_result: self.boolean(object, "IncludeInResult")?,
            values,
        })
    }

    fn references(&self, object: &Object) -> Result<Vec<Vec<String>>> {
        let Some(multi) = self.member(object, "MultiRequests")? else { return Ok(Vec::new()) };
        let wrong = || RequestError::new("request_member", "`MultiRequests` is an object with `RequestReference`");
        let multi = multi.as_object().ok_or_else(wrong)?;
        self.known(multi, &["RequestReference"], "`MultiRequests`")?;
        let mut references = Vec::new();
        for reference in self.objects(multi, "RequestReference")? {
            self.known(reference, &["ReferenceId"], "`RequestReference`")?;
            let ids = match self.member(reference, "ReferenceId")? {
                Some(Json::Array(ids)) => {
                    ids.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
                }
                Some(Json::String(id)) => Some(vec![id.clone()]),
                _ => None,
            };
            references
                .push(ids.ok_or_else(|| RequestError::new("request_member", "`ReferenceId` is a list of strings"))?);
        }
        Ok(references)
    }

    /// A member, however its first letter is written; null is none.
    fn member<'a>(&self, object: &'a Object, name: &str) -> Result<Option<&'a Json>> {
        let mut found = object.iter().filter(|(key, _)| same_name(key, name));
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(RequestError::new("request_member_twice", format!("`{name}` is there twice"))),
            (None | Some((_, Json::Null)), None) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value)),
        }
    }

    /// The objects of a member that holds one or a list.
    fn objects<'a>(&self, object: &'a Object, name: &str) -> Result<Vec<&'a Object>> {
        let wrong = || RequestError::new("request_member", format!("`{name}` is an object or a list of objects"));
        match self.member(object, name)? {
            None => Ok(Vec::new()),
            Some(Json::Object(one)) => Ok(vec![one]),
            Some(Json::Array(many)) => many.iter().map(|one| one.as_object().ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn text(&self, object: &Object, name: &str) -> Result<Option<String>> {
        let wrong = || RequestError::new("request_member", format!("`{name}` is a string"));
        self.member(object, name)?.map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
    }

    fn boolean(&self, object: &Object, name: &str) -> Result<bool> {
        match self.member(object, name)? {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(_) => Err(RequestError::new("request_member", format!("`{name}` is true or false"))),
        }
    }

    fn known(&self, object: &Object, names: &[&str], of: &str) -> Result<()> {
        let unknown = object.iter().map(|(key, _)| key).find(|key| !names.iter().any(|name| same_name(key, name)));
        match (unknown, self.semantics) {
            (Some(key), Semantics::Standard) => {
                Err(RequestError::new("request_member_unknown", format!("{of} has no member `{key}`")))
            }
            _ => Ok(()),
        }
    }
}

/// Values with their type: the one given, or what JSON tells.
fn typed(id: &str, data_type: Option<String>, values: &[&Json]) -> Result<Vec<RequestValue>> {
    let given = data_type.map(|name| DataType::from_name(&name).map_or(name, |known| known.uri().to_owned()));
    let whole = |value: &Json| matches!(value, Json::Number(number) if number.is_i64() || number.is_u64());
    // Numbers of which one has a fraction are all doubles.
    let any_fraction = values.iter().any(|value| matches!(value, Json::Number(_)) && !whole(value));
    let read = |value: &&Json| {
        let (text, inferred) = match *value {
            Json::String(text) => (text.clone(), DataType::String),
            Json::Bool(value) => (value.to_string(), DataType::Boolean),
            Json::Number(number) if any_fraction => (number.to_string(), DataType::Double),
            Json::Number(number) => (number.to_string(), DataType::Integer),
            Json::Null | Json::Array(_) | Json::Object(_) => {
                let message = format!("a value of attribute `{id}` is neither a string, a number nor a boolean");
                return Err(RequestError::new("value_invalid", message));
            }
        };
        let data_type = given.clone().unwrap_or_else(|| inferred.uri().to_owned());
        // A type that does not fit is told here, where the attribute is known.
        if let Some(known) = DataType::from_uri(&data_type)
            && let Err(error) = Value::parse(known, &text)
        {
            return Err(RequestError::new("value_invalid", format!("attribute `{id}`: {error}")));
        }
        Ok(RequestValue { data_type, text })
    };
    values.iter().map(read).collect()
}

/// Altinn reads strings only, of three types; two of them have a short name.
fn altinn_typed(id: &str, data_type: Option<String>, values: &[&Json]) -> Result<Vec<RequestValue>> {
    let is = |known: DataType, name: &str| known.uri() == name || (known != DataType::Integer && known.name() == name);
    let known = match data_type.as_deref() {
        None | Some("") => DataType::String,
        Some(name) => [DataType::String, DataType::AnyUri, DataType::Integer]
            .into_iter()
            .find(|known| is(*known, name))
            .ok_or_else(|| {
                RequestError::new("data_type_unknown", format!("attribute `{id}` has data type `{name}`"))
            })?,
    };
    let read = |value: &&Json| {
        let wrong = || RequestError::new("value_invalid", format!("a value of attribute `{id}` is not a string"));
        let text = value.as_str().ok_or_else(wrong)?.to_owned();
        Ok(RequestValue { data_type: known.uri().to_owned(), text })
    };
    values.iter().map(read).collect()
}

/// Attributes of the same id as one, where the first stood. Whether it is repeated is for the first to say.
fn joined_by_id(attributes: Vec<RequestAttribute>) -> Vec<RequestAttribute> {
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    let mut joined: Vec<RequestAttribute> = Vec::new();
    for attribute in attributes {
        let next = joined.len();
        let position = *positions.entry(attribute.id.clone()).or_insert(next);
        match joined.get_mut(position) {
            Some(first) => first.values.extend(attribute.values),
            None => joined.push(attribute),
        }
    }
    joined
}

fn keep_last_of_each_id(categories: &mut Vec<Category>) {
    let mut known = BTreeSet::new();
    categories.reverse();
    categories.retain(|category| category.id.as_ref().is_none_or(|id| known.insert(id.clone())));
    categories.reverse();
}

/// Whether a member's name is this one, but for the case of its first letter.
fn same_name(key: &str, name: &str) -> bool {
    match (key.split_at_checked(1), name.split_at_checked(1)) {
        (Some((first, rest)), Some((expected, expected_rest))) => {
            first.eq_ignore_ascii_case(expected) && rest == expected_rest
        }
        _ => false,
    }
}

/// Without the commas before a closing bracket, which Altinn's reader allows.
fn without_trailing_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    // A comma that may be the last, with the space after it.
    let mut held = String::new();
    for letter in text.chars() {
        if !held.is_empty() && letter.is_ascii_whitespace() {
            held.push(letter);
            continue;
        }
        if !held.is_empty() {
            out.push_str(if matches!(letter, ']' | '}') { held.get(1..).unwrap_or("") } else { &held });
            held.clear();
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            ',' if !in_string => {
                held.push(letter);
                continue;
            }
            _ => {}
        }
        out.push(letter);
    }
    out.push_str(&held);
    out
}

#[cfg(test)]
mod tests;
