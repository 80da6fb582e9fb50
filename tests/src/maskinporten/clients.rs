//! The clients that organisations have registered: whose they are, which keys prove them, what they may ask for.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::organization::OrganizationNumber;

const CLIENTS_MAX: usize = 1_000;
const CLIENT_ID_BYTES_MAX: usize = 255;
const KEYS_PER_CLIENT_MAX: usize = 5;
const RSA_BITS_MIN: usize = 2048;

/// What an organisation sends to register a client, or to replace the one of the same id.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Registration {
    client_id: String,
    organization_number: OrganizationNumber,
    jwks: Jwks,
    scopes: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<Algorithm>,
    n: Option<String>,
    e: Option<String>,
    /// Only to tell people who paste their private key.
    d: Option<String>,
}

/// One key a client may sign with.
pub(super) struct ClientKey {
    pub(super) key: DecodingKey,
    /// Named by the key itself; otherwise any of the algorithms that grants may use.
    pub(super) algorithm: Option<Algorithm>,
}

pub(super) struct RegisteredClient {
    pub(super) id: String,
    pub(super) organization: OrganizationNumber,
    pub(super) scopes: BTreeSet<String>,
    keys: BTreeMap<String, ClientKey>,
}

impl RegisteredClient {
    pub(super) fn key(&self, key_id: &str) -> Option<&ClientKey> {
        self.keys.get(key_id)
    }
}

/// All clients, by id in lower case: client ids differ in more than case.
#[derive(Default)]
pub(super) struct Clients {
    by_id: BTreeMap<String, RegisteredClient>,
}

impl Clients {
    pub(super) fn find(&self, id: &str) -> Option<&RegisteredClient> {
        self.by_id.get(&id.to_lowercase())
    }

    /// Registers or replaces, or says what is wrong with the registration.
    pub(super) fn register(&mut self, registration: Registration) -> Result<(), String> {
        let client = check(registration)?;
        let key = client.id.to_lowercase();
        if self.by_id.len() >= CLIENTS_MAX && !self.by_id.contains_key(&key) {
            return Err(format!("at most {CLIENTS_MAX} clients can be registered"));
        }
        self.by_id.insert(key, client);
        Ok(())
    }
}

fn check(registration: Registration) -> Result<RegisteredClient, String> {
    let id = registration.client_id;
    if id.is_empty() || id.len() > CLIENT_ID_BYTES_MAX {
        return Err(format!("clientId has 1 to {CLIENT_ID_BYTES_MAX} bytes"));
    }
    if let Some(scope) = registration.scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(format!("`{scope}` is not a scope"));
    }
    let count = registration.jwks.keys.len();
    if count == 0 || count > KEYS_PER_CLIENT_MAX {
        return Err(format!("a client has 1 to {KEYS_PER_CLIENT_MAX} keys"));
    }
    let mut keys = BTreeMap::new();
    for jwk in registration.jwks.keys {
        let (key_id, key) = check_key(jwk)?;
        if keys.insert(key_id.clone(), key).is_some() {
            return Err(format!("two keys have the kid `{key_id}`"));
        }
    }
    Ok(RegisteredClient { id, organization: registration.organization_number, scopes: registration.scopes, keys })
}

fn check_key(jwk: Jwk) -> Result<(String, ClientKey), String> {
    if jwk.d.is_some() {
        return Err("a private key was sent; register its public half".into());
    }
    let (Some(kid), "RSA", Some(n), Some(e)) = (jwk.kid, jwk.kty.as_str(), jwk.n, jwk.e) else {
        return Err("a key is an RSA key with kid, n and e".into());
    };
    if jwk.purpose.is_some_and(|purpose| purpose != "sig") {
        return Err(format!("the key `{kid}` is not for signatures"));
    }
    if jwk.alg.is_some_and(|algorithm| !GRANT_ALGORITHMS.contains(&algorithm)) {
        return Err(format!("the key `{kid}` names an algorithm that grants may not use"));
    }
    let modulus = URL_SAFE_NO_PAD.decode(&n).map_err(|_| format!("n of `{kid}` is not base64url"))?;
    let bits = modulus.iter().skip_while(|byte| **byte == 0).count() * 8;
    if bits < RSA_BITS_MIN {
        return Err(format!("the key `{kid}` is shorter than {RSA_BITS_MIN} bits"));
    }
    let key =
        DecodingKey::from_rsa_components(&n, &e).map_err(|error| format!("the key `{kid}` cannot be read: {error}"))?;
    Ok((kid, ClientKey { key, algorithm: jwk.alg }))
}

/// What a grant may be signed with.
pub(super) const GRANT_ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];

/// RFC 6749 section 3.3.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn register(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let mut body = json!({
            "clientId": "one", "organizationNumber": "310247030", "scopes": ["a:b", "c"],
            "jwks": { "keys": [{ "kty": "RSA", "kid": "1", "n": n, "e": "AQAB" }] },
        });
        change(&mut body);
        let registration = serde_json::from_value(body).map_err(|error| error.to_string())?;
        Clients::default().register(registration)
    }

    #[test]
    fn a_client_is_found_in_any_case() {
        let mut clients = Clients::default();
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let body = json!({
            "clientId": "One", "organizationNumber": "310247030", "scopes": [],
            "jwks": { "keys": [{ "kty": "RSA", "kid": "1", "n": n, "e": "AQAB" }] },
        });
        clients.register(serde_json::from_value(body).unwrap()).unwrap();
        assert!(clients.find("oNE").is_some_and(|client| client.id == "One"));
        assert!(clients.find("two").is_none());
    }

    #[test]
    fn each_defect_of_a_registration_is_named() {
        type Change = fn(&mut Value);
        let defects: [(&str, Change); 12] = [
            ("1 to 255 bytes", |body| body["clientId"] = json!("")),
            ("control digit", |body| body["organizationNumber"] = json!("310247031")),
            ("not a scope", |body| body["scopes"] = json!(["a b"])),
            ("1 to 5 keys", |body| body["jwks"]["keys"] = json!([])),
            ("two keys", |body| {
                let key = body["jwks"]["keys"][0].clone();
                body["jwks"]["keys"] = json!([key, key]);
            }),
            ("RSA key", |body| body["jwks"]["keys"][0]["kty"] = json!("EC")),
            ("RSA key", |body| body["jwks"]["keys"][0]["kid"] = json!(null)),
            ("not for signatures", |body| body["jwks"]["keys"][0]["use"] = json!("enc")),
            ("may not use", |body| body["jwks"]["keys"][0]["alg"] = json!("PS256")),
            ("base64url", |body| body["jwks"]["keys"][0]["n"] = json!("+/")),
            ("shorter than", |body| body["jwks"]["keys"][0]["n"] = json!("AQAB")),
            ("private key", |body| body["jwks"]["keys"][0]["d"] = json!("AQAB")),
        ];
        assert_eq!(register(|_| ()), Ok(()));
        for (expected, change) in defects {
            let error = register(change).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
