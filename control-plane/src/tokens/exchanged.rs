//! The claims of an exchanged token: what the original says, without what only an issuer says of its own tokens, and with
//! Altinn's names for the caller.

use policies::id::OrganizationNumber;
use policies::urn;
use serde_json::{Map, Value, json};

/// Claims of the original that do not belong to the new token.
const DROPPED: [&str; 11] = ["iss", "aud", "exp", "iat", "nbf", "jti", "client_amr", "cnf", "sid", "auth_time", "act"];

/// The original's claims that stay. Names that are Altinn's or ours to give are nobody else's.
pub(super) fn kept(original: Map<String, Value>) -> Map<String, Value> {
    let is_ours = |name: &str| name.starts_with("urn:altinn:") || name.starts_with("urn:portvakt:");
    original.into_iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()) && !is_ours(name)).collect()
}

/// A machine's token: its organisation, and its code if it is a service owner.
pub(super) fn of_machine(
    original: Map<String, Value>,
    organization: OrganizationNumber,
    service_owner: Option<&str>,
    authentication_level: u8,
) -> Map<String, Value> {
    let mut claims = kept(original);
    // Altinn has one object where Maskinporten has a list of one.
    if let Some(Value::Array(details)) = claims.get("authorization_details")
        && let [only] = details.as_slice()
    {
        let only = only.clone();
        claims.insert("authorization_details".to_owned(), only);
    }
    claims.insert(urn::CLAIM_ORGANIZATION_NUMBER.to_owned(), json!(organization));
    if let Some(code) = service_owner {
        claims.insert(urn::CLAIM_ORG.to_owned(), json!(code));
    }
    claims.insert(urn::CLAIM_AUTHENTICATION_METHOD.to_owned(), json!("maskinporten"));
    claims.insert(urn::CLAIM_AUTHENTICATION_LEVEL.to_owned(), json!(authentication_level));
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_the_issuer_and_claims_that_are_ours_to_make_are_dropped() {
        let original = json!({
            "iss": "a", "aud": "b", "exp": 1, "jti": "c", "client_amr": "private_key_jwt", "scope": "x", "client_id": "y",
            "urn:altinn:org": "skd", "urn:altinn:authlevel": 4, "urn:portvakt:x": 1,
        });
        let Value::Object(original) = original else { panic!() };
        assert_eq!(Value::Object(kept(original)), json!({ "scope": "x", "client_id": "y" }));
    }
}
