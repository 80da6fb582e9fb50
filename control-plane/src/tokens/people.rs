//! Which user of the register a person is who somebody else has identified, and what our tokens say of a user.

use policies::urn;
use serde_json::{Map, Value, json};

use super::store;
use crate::parties;
use crate::parties::model::Person;
use crate::problem::Problem;
use crate::store::Connection;

/// Claims that say who somebody is, the national identity number first.
const IDENTITIES: [&str; 2] = ["pid", "sub"];

/// A user of the register; what it is as a party where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) user_id: i64,
    pub(crate) person: Option<Person>,
}

/// The user behind claims of a login: by the claim that carries the user's number, where one is configured, otherwise by
/// whom the operator said that the identity belongs to. `None`: nobody we know.
pub(crate) async fn user_of(
    connection: &mut Connection,
    claims: &Map<String, Value>,
    user_id_claim: Option<&str>,
) -> Result<Option<User>, Problem> {
    let user_id = match user_id_claim {
        Some(name) => claims.get(name).and_then(number),
        None => match IDENTITIES.iter().find_map(|name| claims.get(*name)).and_then(Value::as_str) {
            Some(identity) => store::user_of_identity(connection, identity).await?,
            None => None,
        },
    };
    let Some(user_id) = user_id.filter(|user_id| *user_id > 0) else { return Ok(None) };
    let person = parties::store::person_of_user(connection, user_id).await?;
    Ok(Some(User { user_id, person }))
}

/// How strongly the person has logged in, by `acr` of ID-porten; 0 for what is not known.
pub(crate) fn level_of(claims: &Map<String, Value>) -> u8 {
    match claims.get("acr").and_then(Value::as_str) {
        Some("idporten-loa-high" | "Level4") => 4,
        Some("idporten-loa-substantial" | "Level3") => 3,
        _ => 0,
    }
}

/// Altinn's claims of a person.
pub(crate) fn claims_of(user: &User, authentication_level: u8, method: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("nameid".to_owned(), json!(user.user_id.to_string()));
    claims.insert(urn::CLAIM_USER_ID.to_owned(), json!(user.user_id));
    if let Some(person) = &user.person {
        claims.insert(urn::CLAIM_PARTY_ID.to_owned(), json!(person.id));
        claims.insert(urn::CLAIM_PARTY_UUID.to_owned(), json!(person.uuid));
    }
    claims.insert(urn::CLAIM_AUTHENTICATION_METHOD.to_owned(), json!(method));
    claims.insert(urn::CLAIM_AUTHENTICATION_LEVEL.to_owned(), json!(authentication_level));
    claims
}

/// A whole number, or a text of one.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}
