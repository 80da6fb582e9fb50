//! Pages of long lists: [`ENTRIES`] a page, each beginning after the last entry of the one before (keyset), so that nothing
//! is lost or shown twice at the borders, also while entries are added.
//!
//! Entries are in the order of their [`Position`]s. Altinn's form: `links.next` is absolute and absent on the last page;
//! its `token` is opaque, base64url of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::parameters::Query;
use crate::problem::Problem;

/// Entries of a page.
pub(crate) const ENTRIES: usize = 50;

/// Where an entry stands in its list: when it came, and its id to tell apart what came at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position(pub(crate) i64, pub(crate) Uuid);

impl Position {
    pub(crate) fn new(created_at: Timestamp, id: Uuid) -> Self {
        Self(created_at.unix_millis(), id)
    }

    /// Before every entry.
    pub(crate) const START: Self = Self(i64::MIN, Uuid::nil());

    /// The id as it is stored.
    pub(crate) fn id_text(&self) -> String {
        self.1.hyphenated().to_string()
    }
}

/// Entries to ask the database for: one more than a page has, which says whether there is another page.
pub(crate) fn entries_asked() -> i64 {
    i64::try_from(ENTRIES).unwrap_or(i64::MAX).saturating_add(1)
}

/// What `?token=` says; `None` without one.
pub(crate) fn token<T: DeserializeOwned>(query: &Query) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        let json = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        json.and_then(|json| serde_json::from_slice(&json).ok()).ok_or("not a token of ours")
    };
    query.parsed("token", parse)
}

/// Where the page begins.
pub(crate) fn start(query: &Query) -> Result<Position, Problem> {
    Ok(token(query)?.unwrap_or(Position::START))
}

/// The address of what comes after `token`. `path` is that of the list, in parts.
pub(crate) fn next_url(public_url: &Url, path: &[&str], token: &impl Serialize) -> String {
    let mut url = public_url.clone();
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(["authentication", "api", "v1"]).extend(path);
    }
    url.query_pairs_mut().append_pair("token", &URL_SAFE_NO_PAD.encode(json!(token).to_string()));
    url.into()
}

/// Altinn's `Paginated`: the first [`ENTRIES`] of what [`entries_asked`] asked for.
pub(crate) fn page<T>(
    public_url: &Url,
    path: &[&str],
    entries: &[T],
    position: impl Fn(&T) -> Position,
    json: impl Fn(&T) -> Value,
) -> Value {
    let (shown, rest) = entries.split_at_checked(ENTRIES).unwrap_or((entries, &[]));
    let mut links = json!({});
    if let (Some(last), false) = (shown.last(), rest.is_empty()) {
        links = json!({ "next": next_url(public_url, path, &position(last)) });
    }
    json!({ "links": links, "data": shown.iter().map(json).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(count: u128) -> Value {
        let url = Url::parse("https://portvakt.no/base/").unwrap();
        let entries: Vec<u128> = (0..count).collect();
        let position = |number: &u128| Position(7, Uuid::from_u128(*number));
        page(&url, &["list", "a/ø?"], &entries, position, |number| json!(u64::try_from(*number).unwrap()))
    }

    #[test]
    fn a_page_has_a_next_one_only_if_there_is_more() {
        for (count, length, has_next) in [(0, 0, false), (1, 1, false), (50, 50, false), (51, 50, true)] {
            let page = shown(count);
            assert_eq!((page["data"].as_array().unwrap().len(), page["links"]["next"].is_string()), (length, has_next));
        }
    }

    #[test]
    fn the_link_is_absolute_and_its_token_the_last_position() {
        let next = Url::parse(shown(51)["links"]["next"].as_str().unwrap()).unwrap();
        assert!(next.as_str().starts_with("https://portvakt.no/base/authentication/api/v1/list/a%2F%C3%B8%3F?token="));
        let (_, token) = next.query_pairs().next().unwrap();
        let position: Position = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.as_bytes()).unwrap()).unwrap();
        assert_eq!(position, Position(7, Uuid::from_u128(49)));
    }
}
