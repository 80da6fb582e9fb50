//! Fetching a JSON Web Key Set over HTTP, within limits, and keeping only what may verify.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use policies::token::{Algorithms, VerificationKey};
use serde_json::{Map, Value};
use url::Url;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const JWKS_BYTES_MAX: usize = 256 * 1024;
const KEYS_MAX: usize = 32;
/// The members that say what a key is; certificates and the like stay out of snapshots.
const KEY_MEMBERS: [&str; 9] = ["kid", "kty", "alg", "use", "n", "e", "crv", "x", "y"];

/// A client for these addresses that follows no redirects: keys come from where the operator said.
pub(crate) fn client<'a>(mut jwks_uris: impl Iterator<Item = &'a str>) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let is_http = |jwks_uri: &str| Url::parse(jwks_uri).is_ok_and(|url| url.scheme() == "http");
    if jwks_uris.all(is_http) {
        // Nothing to prove by certificate, so the machine need not have any.
        return Ok(builder.tls_certs_only([]).build()?);
    }
    builder.build().context("is the package `ca-certificates` installed? a `jwks_uri` is https")
}

/// The keys published at `jwks_uri` for these algorithms, in order of their ids.
pub(super) async fn fetch(
    client: &reqwest::Client,
    jwks_uri: &str,
    algorithms: Algorithms,
) -> anyhow::Result<Vec<Value>> {
    let url = Url::parse(jwks_uri)?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(body.len() + chunk.len() <= JWKS_BYTES_MAX, "the key set is larger than {JWKS_BYTES_MAX} bytes");
        body.extend_from_slice(&chunk);
    }
    usable_keys(&serde_json::from_slice(&body).context("the key set is not JSON")?, algorithms)
}

/// The keys that may verify tokens. Others (for encryption, of other algorithms) are left out, which trusts less, never
/// more; a set without any usable key, or with two keys of one id, is refused whole.
fn usable_keys(jwks: &Value, algorithms: Algorithms) -> anyhow::Result<Vec<Value>> {
    let Some(keys) = jwks.get("keys").and_then(Value::as_array) else {
        bail!("the key set has no `keys`");
    };
    ensure!(keys.len() <= KEYS_MAX, "the key set has more than {KEYS_MAX} keys");
    let mut usable = BTreeMap::new();
    for jwk in keys {
        match VerificationKey::from_jwk(jwk) {
            Ok(key) if !algorithms.contains(key.algorithm()) => {
                tracing::debug!(
                    key.algorithm = key.algorithm().name(),
                    "left out a key for an algorithm that is not listed"
                );
            }
            Ok(key) => {
                let members = KEY_MEMBERS.iter().filter_map(|name| Some(((*name).to_owned(), jwk.get(name)?.clone())));
                let is_first = usable.insert(key.kid().to_owned(), members.collect::<Map<_, _>>()).is_none();
                ensure!(is_first, "two keys have the id `{}`", key.kid());
            }
            Err(error) => tracing::debug!(key.error = error.code(), "left out a key that cannot verify tokens"),
        }
    }
    ensure!(!usable.is_empty(), "the key set has no key that can verify tokens");
    Ok(usable.into_values().map(Value::Object).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_state::tokens;

    #[tokio::test]
    async fn without_https_no_certificates_are_needed_and_none_is_trusted() {
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let plain = client(["http://127.0.0.1:1/jwk"].into_iter()).unwrap();
        assert!(plain.get("http://127.0.0.1:1/jwk").send().await.unwrap_err().is_connect());
        client(std::iter::empty()).unwrap();
    }

    #[test]
    fn only_usable_keys_are_kept_in_order_and_without_extras() {
        let mut with_extras = tokens::jwk("b", 1);
        with_extras["x5c"] = json!(["…"]);
        let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "e", "n": "AQ", "e": "AQAB" });
        let keys = usable_keys(&json!({ "keys": [with_extras, encryption, tokens::jwk("a", 2)] }), Algorithms::USUAL);
        let keys = keys.unwrap();
        assert_eq!(keys, [tokens::jwk("a", 2), tokens::jwk("b", 1)]);
    }

    #[test]
    fn sets_that_are_of_no_use_are_refused() {
        let twice = json!({ "keys": [tokens::jwk("a", 1), tokens::jwk("a", 2)] });
        let many: Vec<_> = (0..33).map(|number| tokens::jwk(&number.to_string(), 1)).collect();
        for jwks in
            [json!([]), json!({}), json!({ "keys": [] }), json!({ "keys": [{}] }), twice, json!({ "keys": many })]
        {
            assert!(usable_keys(&jwks, Algorithms::USUAL).is_err(), "{jwks}");
        }
    }
}
