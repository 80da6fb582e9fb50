//! Path and query parameters with our failures instead of the framework's.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, codes};

/// The variable parts of the path, each of its own checked type.
#[derive(Debug)]
pub(crate) struct PathOf<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Problem::new(codes::PATH_INVALID).detail("it has the character U+0000"));
        }
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(codes::PATH_INVALID).detail(in_words(rejection))),
        }
    }
}

/// Which part of the path is wrong, in the words of the API. All that is not a text there is a number.
fn in_words(rejection: PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else { return rejection.body_text() };
    match failed.into_kind() {
        ErrorKind::ParseErrorAtKey { key, value, .. } => {
            format!("`{}`: `{value}` is not a whole number", in_camel_case(&key))
        }
        ErrorKind::ParseErrorAtIndex { value, .. } | ErrorKind::ParseError { value, .. } => {
            format!("`{value}` is not a whole number")
        }
        ErrorKind::DeserializeError { key, message, .. } => format!("`{}`: {message}", in_camel_case(&key)),
        ErrorKind::InvalidUtf8InPathParam { key } => format!("`{}` is not UTF-8", in_camel_case(&key)),
        ErrorKind::Message(message) => message,
        other => other.to_string(),
    }
}

/// `system_id` as the description has it: `systemId`.
pub(crate) fn in_camel_case(text: &str) -> String {
    let mut camel = String::new();
    let mut is_after_line = false;
    for character in text.chars() {
        match character {
            '_' => is_after_line = true,
            _ if is_after_line => {
                camel.extend(character.to_uppercase());
                is_after_line = false;
            }
            _ => camel.push(character),
        }
    }
    camel
}

/// A whole number, for [`Query::parsed`].
pub(crate) fn whole_number<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "expected a whole number")
}

/// The query, names in any letter case (as ASP.NET reads them); a name that occurs twice is refused.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The parameter through `parse`; absent is `None`.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| {
                parse(text).map_err(|error| Problem::new(codes::QUERY_INVALID).detail(format!("`{name}`: {error}")))
            })
            .transpose()
    }

    pub(crate) fn required<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        self.parsed(name, parse)?
            .ok_or_else(|| Problem::new(codes::QUERY_INVALID).detail(format!("`{name}` is missing")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if value.contains('\0') {
                return Err(Problem::new(codes::QUERY_INVALID).detail(format!("`{name}` has the character U+0000")));
            }
            if parameters.insert(name.to_ascii_lowercase(), value.into_owned()).is_some() {
                return Err(Problem::new(codes::QUERY_INVALID).detail(format!("`{name}` occurs twice")));
            }
        }
        Ok(Self(parameters))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn query(uri: &str) -> Result<Query, Problem> {
        let (mut parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        Query::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn names_in_any_case_and_once() {
        let parsed = query("/x?ClientId=a%20b&empty=").await.unwrap();
        assert_eq!(parsed.text("clientId"), Some("a b"));
        assert_eq!(parsed.text("empty"), None);
        assert!(parsed.required("empty", str::parse::<u64>).is_err());
        assert!(parsed.parsed("clientid", str::parse::<u64>).is_err());
        assert!(query("/x?a=1&A=2").await.is_err());
    }
}
