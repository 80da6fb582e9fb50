//! The settings of the invented provider: resources, routes, systems; and the calls that its routes take.

use std::collections::{BTreeMap, BTreeSet};

use policies::id::{OrganizationNumber, ProviderId};
use policies::snapshot::Document;
use serde_json::{Value, json};

use crate::world::{self, ACTIONS, RESOURCES, SCOPE, SYSTEMS};

/// Who issues the tokens.
pub const ISSUER: &str = "https://issuer.example/";
/// Where the API is.
pub const HOST: &str = "api.example.no";

/// The provider.
pub fn provider() -> Result<ProviderId, String> {
    "generated".parse().map_err(|error: policies::id::IdError| error.to_string())
}

/// Everything but system users; `issuer_key` (JWK) signs the tokens.
pub fn document(issuer_key: &Value) -> Result<Document, serde_json::Error> {
    let mut granted_by: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (package, rights) in world::packages() {
        for right in rights {
            granted_by.entry(right).or_default().insert(format!("urn:altinn:accesspackage:{package}"));
        }
    }
    let rule = |right: usize| {
        let action = ACTIONS.get(right % ACTIONS.len());
        json!({"actions": [action], "accessPackages": granted_by.get(&right).cloned().unwrap_or_default()})
    };
    let resource = |number: usize| {
        let rules: Vec<Value> = (0..ACTIONS.len()).map(|action| rule(number * ACTIONS.len() + action)).collect();
        // Tokens of Maskinporten have level 3.
        let level = [0, 2, 3, 3].get(number % 4);
        json!({"id": world::resource_id(number), "rules": rules, "minimumAuthenticationLevel": level})
    };
    let system = |number: usize| {
        json!({"id": format!("{}_system{number:03}", world::vendor(number)), "vendor": world::vendor(number),
            "clientIds": [world::client_id(number)]})
    };
    serde_json::from_value(json!({
        "provider": "generated",
        "issuers": [{"issuer": ISSUER, "kind": "maskinporten", "keys": [issuer_key]}],
        "resources": (0..RESOURCES).map(resource).collect::<Vec<_>>(),
        "routes": (0..RESOURCES * Operation::ALL.len()).map(route).collect::<Vec<_>>(),
        "systems": (0..SYSTEMS).map(system).collect::<Vec<_>>(),
    }))
}

/// What routes do to a resource.
#[derive(Debug, Clone, Copy)]
enum Operation {
    List,
    Read,
    Write,
}

impl Operation {
    const ALL: [Self; 3] = [Self::List, Self::Read, Self::Write];

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::List => ("GET", "read", ""),
            Self::Read => ("GET", "read", "/{id}"),
            Self::Write => ("POST", "write", ""),
        }
    }
}

fn route(number: usize) -> Value {
    let resource = number / Operation::ALL.len();
    let operation = Operation::ALL.get(number % Operation::ALL.len()).copied().unwrap_or(Operation::List);
    let (method, action, rest) = operation.words();
    json!({"name": format!("route-{number:03}"), "host": HOST, "methods": [method],
        "path": format!("/api/generated-{resource:03}/v1/{{party}}/items{rest}"),
        "resource": world::resource_id(resource), "action": action, "party": {"path": "party"}, "scopes": [SCOPE]})
}

/// Method and path of a call that needs the right at this position.
pub fn call_for(right: usize, party: OrganizationNumber, one_item: bool) -> (&'static str, String) {
    let resource = right / ACTIONS.len();
    let list = format!("/api/generated-{resource:03}/v1/{party}/items");
    match (right % ACTIONS.len(), one_item) {
        (0, false) => ("GET", list),
        (0, true) => ("GET", format!("{list}/7c1b8a52")),
        _ => ("POST", list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::snapshot::compile;

    #[test]
    fn the_document_compiles_to_the_rights_in_their_order() {
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let document = document(&key).unwrap();
        let image = compile(&document).unwrap();
        assert!(image.len() < 100_000, "{}", image.len());
        let rights = (0..RESOURCES * ACTIONS.len()).map(|position| world::right_at(position).unwrap());
        assert!(rights.is_sorted());
        assert_eq!(document.routes.len(), 300);
    }
}
