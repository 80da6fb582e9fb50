//! Optimistic locking (RFC 9110 sections 8.8.3 and 13.1.1): an `ETag` says which state was read, `If-Match` that only that
//! state may be changed. Callers that send no `If-Match` change whatever is there.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::json;

use crate::caller::sha256_hex;
use crate::problem::{Problem, codes};

/// The entity tag of what is shown: the same content has the same tag.
pub(crate) fn entity_tag(shown: &impl Serialize) -> String {
    let digest = sha256_hex(json!(shown).to_string().as_bytes());
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// The states that a caller is willing to change; all without the header.
#[derive(Debug)]
pub(crate) struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Refuses to change a state that the caller has not seen.
    pub(crate) fn require(&self, current: &str) -> Result<(), Problem> {
        match &self.0 {
            Some(tags) if !tags.iter().any(|tag| tag == "*" || tag == current) => {
                Err(Problem::new(codes::PRECONDITION_FAILED).member("current", current))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let value = value.to_str().map_err(|_| Problem::new(codes::HEADER_INVALID).detail("`If-Match`"))?;
            tags.extend(value.split(',').map(|tag| tag.trim().to_owned()));
        }
        // A weak tag (`W/"…"`) is well formed and matches nothing.
        let is_tag = |tag: &String| tag == "*" || (tag.len() >= 2 && tag.ends_with('"') && tag.contains('"'));
        if !tags.iter().all(is_tag) {
            return Err(Problem::new(codes::HEADER_INVALID).detail("`If-Match`: expected `*` or entity tags in quotes"));
        }
        Ok(Self((!tags.is_empty()).then_some(tags)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn if_match(values: &[&str]) -> Result<IfMatch, Problem> {
        let mut request = Request::get("/");
        for value in values {
            request = request.header("if-match", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        IfMatch::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn only_a_state_that_was_seen_is_changed() {
        let tag = entity_tag(&json!({ "a": 1 }));
        assert_ne!(tag, entity_tag(&json!({ "a": 2 })));
        for values in [vec![], vec!["*"], vec![tag.as_str()], vec!["\"x\"", &tag], vec![&format!("\"x\", {tag}")]] {
            assert!(if_match(&values).await.unwrap().require(&tag).is_ok(), "{values:?}");
        }
        for values in [vec!["\"x\""], vec![&format!("W/{tag}") as &str], vec!["\"\""]] {
            assert!(if_match(&values).await.unwrap().require(&tag).is_err(), "{values:?}");
        }
        assert!(if_match(&["x"]).await.is_err());
        assert!(if_match(&[""]).await.is_err());
    }
}
