//! What changes rest on. The kind of a change says which operation made it, and so what its caller had to prove.

use policies::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

const VENDOR: &str = "the vendor of the system, by its Maskinporten token";
const ACCESS_MANAGER: &str = "write on `altinn_access_management` at the organisation, level 3 or more";
const CLIENT_ADMINISTRATOR: &str = "write on `altinn_client_administration` at the organisation, level 3 or more";
const OPERATOR: &str = "scope `portvakt:operator`, of an organisation in `operators`";
const RESOURCE_OWNER: &str = "scope `portvakt:resources.write`, of the API provider's organisation";
const OPERATOR_OR_RESOURCE_OWNER: &str =
    "scope `portvakt:operator` of an organisation in `operators`, or `portvakt:resources.write` of the API provider's";
const CLOCK: &str = "the end that was set before";

/// By the beginning of the kind; the longest that fits counts.
const BASES: &[(&str, &str)] = &[
    ("access_list_", RESOURCE_OWNER),
    ("agent_", CLIENT_ADMINISTRATOR),
    ("change_request", VENDOR),
    ("change_request_approved", ACCESS_MANAGER),
    ("change_request_rejected", ACCESS_MANAGER),
    ("client_", CLIENT_ADMINISTRATOR),
    ("clients_", CLIENT_ADMINISTRATOR),
    ("gateway_credential_", OPERATOR),
    ("issuer_keys_changed", "the keys that the issuer publishes"),
    ("logged_in", "the person, by its login at an identity provider"),
    ("logged_out", "the person whose session it was"),
    ("parties_imported", OPERATOR),
    ("party_events_", OPERATOR),
    ("policy_stored", RESOURCE_OWNER),
    ("provider_stored", OPERATOR),
    ("request_approved", ACCESS_MANAGER),
    ("request_escalated", "a person who has logged in at the organisation"),
    ("request_rejected", ACCESS_MANAGER),
    ("request_withdrawn", VENDOR),
    ("request_timed_out", "180 days without a decision"),
    ("change_request_timed_out", "180 days without a decision"),
    ("resource_stored", RESOURCE_OWNER),
    ("rights_expired", CLOCK),
    ("revocation_", OPERATOR_OR_RESOURCE_OWNER),
    ("routes_replaced", RESOURCE_OWNER),
    ("system_", VENDOR),
    ("system_end_went_on", "the deletion of the system by its vendor"),
    ("system_user_", ACCESS_MANAGER),
    ("system_user_requested", VENDOR),
    ("system_users_expired", CLOCK),
    ("token_keys_changed", "the time after which keys of our own are changed"),
    ("user_identities_put", OPERATOR),
    ("webhook_", VENDOR),
];

/// What a change of this kind rests on; `None` for a kind of a later version.
pub(super) fn basis(kind: &str) -> Option<&'static str> {
    let fits = BASES.iter().filter(|(beginning, _)| kind.starts_with(beginning));
    fits.max_by_key(|(beginning, _)| beginning.len()).map(|(_, basis)| *basis)
}

/// A change, as it is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Grows by one with each change.
    pub(super) revision: i64,
    #[schema(value_type = String, format = "date-time")]
    pub(super) at: Timestamp,
    #[schema(example = "request_approved")]
    pub(super) kind: String,
    /// What gave the right to it.
    #[schema(required)]
    pub(super) basis: Option<&'static str>,
    /// What was changed, and `by` whom: an organisation or a user id.
    #[schema(value_type = Object)]
    pub(super) change: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_has_a_basis() {
        fn sources(folder: &std::path::Path, kinds: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    sources(&path, kinds);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for call in code.split(".commit(").skip(1) {
                    let arguments: Vec<_> = call.splitn(3, ',').collect();
                    // A transaction's own has none.
                    if arguments[0].starts_with(')') {
                        continue;
                    }
                    let kind = arguments[1].trim().strip_prefix('"').and_then(|kind| kind.strip_suffix('"'));
                    kinds.push(kind.unwrap_or_else(|| panic!("{}: a kind by its name", path.display())).to_owned());
                }
            }
        }
        let mut kinds = Vec::new();
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut kinds);
        assert!(kinds.len() > 20, "{kinds:?}");
        let without: Vec<_> = kinds.iter().filter(|kind| basis(kind).is_none() && *kind != "tested").collect();
        assert!(without.is_empty(), "kinds without a basis: {without:?}; see `BASES`");
        assert_eq!(basis("system_user_withdrawn"), Some(ACCESS_MANAGER));
        assert_eq!(basis("system_user_requested"), Some(VENDOR));
    }
}
