//! Pages of clients: in order of their organisation numbers, each after the last one of the page before, so that nobody is
//! shown twice or left out while others are added.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::id::{OrganizationNumber, SystemUserId};
use serde_json::{Value, json};
use url::Url;

use crate::parameters::Query;
use crate::parties::Party;
use crate::problem::Problem;

/// Clients of a page.
pub(super) const ENTRIES: usize = 50;

/// After which organisation the page begins; empty for the first.
pub(super) fn start(query: &Query) -> Result<String, Problem> {
    let parse = |text: &str| {
        let number = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let number = number.and_then(|json| serde_json::from_slice::<OrganizationNumber>(&json).ok());
        number.ok_or("not a token of ours")
    };
    Ok(query.parsed("token", parse)?.map_or_else(String::new, |number| number.to_string()))
}

/// What the page shows, and its `links`: `next` when there is more.
pub(super) fn of<'a>(public_url: &Url, list: &str, agent: SystemUserId, parties: &'a [Party]) -> (&'a [Party], Value) {
    let (shown, rest) = parties.split_at_checked(ENTRIES).unwrap_or((parties, &[]));
    let (Some(last), false) = (shown.last(), rest.is_empty()) else { return (shown, json!({})) };
    let token = URL_SAFE_NO_PAD.encode(json!(last.organization).to_string());
    let path = format!("{public_url}authentication/api/v1/enduser/systemuser/{list}");
    (shown, json!({ "next": format!("{path}?agent={agent}&token={token}") }))
}
