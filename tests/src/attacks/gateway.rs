//! The calls put to a real Envoy: one process, four listeners. Three have the filter and differ in how paths are normalised
//! before it; the fourth has Envoy's `jwt_authn` in its place, with the same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use policies::token::VerificationKey;
use serde_json::{Value, json};

use super::{Answers, Attack, Place, Row, WORLD, http2};
use crate::cases::envoy::{Answer, FakeControlPlane, call, now};
use crate::cases::{Publication, document, keys, publish_all, wasm};
use crate::envoy::{Envoy, EnvoySettings};
use crate::sample_api::{Echo, SampleApi};
use crate::wait;

/// One worker and the main thread.
const VMS: usize = 2;
const BOUND: Duration = Duration::from_secs(60);
/// How every token and every header of one begins: `{"` in base64url.
const TOKEN_BEGINS: &str = "eyJ";

/// An Envoy with the four listeners.
pub(super) struct AttackEnvoy {
    pub(super) envoy: Envoy,
    addresses: BTreeMap<Place, SocketAddr>,
    sample_api: SampleApi,
    _control_plane: FakeControlPlane,
}

/// Puts every call to every listener.
pub async fn run(rows: &[Row], program: &Path, filter_wasm: &Path, folder: &Path) -> Result<Answers> {
    check_misuse_is_ignored()?;
    let envoy = AttackEnvoy::start(program, filter_wasm, folder).await?;
    let mut answers = Answers::default();
    for row in rows {
        for attack in &row.attacks {
            for place in [Place::Raw, Place::EnvoyGateway, Place::Istio, Place::JwtAuthn] {
                if attack.must_at(place).is_none() {
                    continue;
                }
                let answer = envoy.put(attack, place).await;
                let what = || format!("row {} {}: {}", row.row, attack.name, place.name());
                answers.note(row.row, &attack.name, place, answer.with_context(what)?);
            }
        }
    }
    answers.extend(super::state::after_all(&envoy).await?);
    Ok(answers)
}

impl AttackEnvoy {
    async fn start(program: &Path, filter_wasm: &Path, folder: &Path) -> Result<Self> {
        let good: Publication = serde_json::from_value(json!({ "document": WORLD }))?;
        let bodies = publish_all(&[good], now())?.into_iter().map(|published| published.body.into());
        let control_plane = FakeControlPlane::start(bodies.collect()).await?;
        let sample_api = SampleApi::start().await?;
        let settings = EnvoySettings {
            program: program.to_owned(),
            filter_wasm: filter_wasm.to_owned(),
            filter_configuration: wasm::filter_configuration()?,
            port: 0,
            workers: 1,
            control_plane: control_plane.address,
            sample_api: sample_api.address(),
            directory: folder.to_owned(),
        };
        let envoy = Envoy::start_with(&settings, &bootstrap(&settings)?).await?;
        wait::until("every VM to have the policy", BOUND, async || Ok(control_plane.are_all_done(VMS).then_some(())))
            .await
            .with_context(|| envoy.log_tail())?;
        let mut addresses = BTreeMap::new();
        for place in [Place::Raw, Place::EnvoyGateway, Place::Istio, Place::JwtAuthn] {
            addresses.insert(place, envoy.address_of(listener_name(place)).await?);
        }
        Ok(Self { envoy, addresses, sample_api, _control_plane: control_plane })
    }

    pub(super) fn address(&self, place: Place) -> Result<SocketAddr> {
        self.addresses.get(&place).copied().with_context(|| format!("{} has no listener", place.name()))
    }

    /// What becomes of a call, in the words of the data.
    async fn put(&self, attack: &Attack, place: Place) -> Result<String> {
        let headers = attack.call.headers_at(now())?;
        let before = self.sample_api.calls();
        let words = if attack.http2 {
            match http2::call(self.address(place)?, &headers).await? {
                Some(200) => "allow".to_owned(),
                Some(status) => status.to_string(),
                None => "reset".to_owned(),
            }
        } else {
            words(&call(self.address(place)?, &headers).await?, place)?
        };
        let reached = self.sample_api.calls() != before;
        let allowed = words == "allow" || words == "forged headers went through";
        ensure!(
            reached == allowed,
            "answered `{words}`, and the API {}",
            if reached { "was called" } else { "was not" }
        );
        Ok(words)
    }
}

fn words(answer: &Answer, place: Place) -> Result<String> {
    if let Some(status) = answer.headers.get("grpc-status") {
        return Ok(format!("grpc {status}"));
    }
    // The answer to HEAD has no body.
    if answer.status == 200 && answer.body.is_empty() {
        return Ok("allow".to_owned());
    }
    if answer.status == 200 {
        let echo: Echo = serde_json::from_str(&answer.body).context("the sample API's answer")?;
        let forged = echo.headers.values().any(|value| value.contains("forged"));
        // What a lenient server makes of the path must be what was decided about.
        if place != Place::JwtAuthn && lenient(&echo.path) != decoded(&echo.path) {
            bail!("the API got the ambiguous path `{}`", echo.path);
        }
        return Ok((if forged { "forged headers went through" } else { "allow" }).to_owned());
    }
    ensure!(!answer.body.contains(TOKEN_BEGINS), "a refusal shows a token: {}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    Ok(match body.get("code").and_then(Value::as_str) {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    })
}

/// A path as a server serves it that decodes twice, takes `\` for `/`, drops parameters, and resolves dots.
fn lenient(path: &str) -> String {
    let path = decoded(&decoded(path)).replace('\\', "/").to_ascii_lowercase();
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').map(|segment| segment.split(';').next().unwrap_or("")) {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded(path: &str) -> String {
    let path = path.split('?').next().unwrap_or("");
    // Nothing but `%` means anything here, as in a path.
    let path = path.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    url::form_urlencoded::parse(path.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

fn listener_name(place: Place) -> &'static str {
    match place {
        Place::Wasmtime | Place::Raw => "gateway",
        Place::EnvoyGateway => "envoy-gateway",
        Place::Istio => "istio",
        Place::JwtAuthn => "jwt-authn",
    }
}

/// The usual bootstrap, whose listener comes three times more.
fn bootstrap(settings: &EnvoySettings) -> Result<Value> {
    let mut told = Envoy::bootstrap(settings);
    let listeners = told.pointer_mut("/static_resources/listeners").context("no listeners")?;
    let listeners = listeners.as_array_mut().context("no listeners")?;
    let usual = listeners.first().context("no listener")?.clone();
    let like = |place: Place, changes: Value| -> Result<Value> {
        let mut listener = usual.clone();
        *listener.pointer_mut("/name").context("no name")? = listener_name(place).into();
        let manager = listener.pointer_mut("/filter_chains/0/filters/0/typed_config").context("no manager")?;
        let manager = manager.as_object_mut().context("no manager")?;
        manager.extend(changes.as_object().cloned().unwrap_or_default());
        Ok(listener)
    };
    listeners.push(like(
        Place::EnvoyGateway,
        json!({
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
            "common_http_protocol_options": { "headers_with_underscores_action": "REJECT_REQUEST" },
        }),
    )?);
    listeners.push(like(Place::Istio, json!({ "normalize_path": true, "server_name": "istio-envoy" }))?);
    let router = usual.pointer("/filter_chains/0/filters/0/typed_config/http_filters/1").context("no router")?;
    listeners.push(like(Place::JwtAuthn, json!({ "http_filters": [jwt_authn()?, router] }))?);
    Ok(told)
}

fn jwt_authn() -> Result<Value> {
    let walk = document("walk")?;
    let mut providers = serde_json::Map::new();
    for (name, issuer) in ["maskinporten", "altinn"].into_iter().zip(walk.issuers) {
        let mut keys = issuer.keys;
        if name == "maskinporten" {
            keys.extend(misused_keys()?);
        }
        providers.insert(
            name.to_owned(),
            json!({
                "issuer": issuer.issuer,
                "forward": true,
                "local_jwks": { "inline_string": json!({ "keys": keys }).to_string() },
            }),
        );
    }
    let audience = json!({ "provider_name": "maskinporten", "audiences": ["https://api.example.no/vat"] });
    let any = json!({ "requirements": [{ "provider_name": "maskinporten" }, { "provider_name": "altinn" }] });
    Ok(json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": [
                { "match": { "prefix": "/for-us" }, "requires": { "provider_and_audiences": audience } },
                { "match": { "prefix": "/" }, "requires": { "requires_any": any } },
            ],
        },
    }))
}

/// Keys that an issuer may publish and nobody may verify with. A control plane puts none of them into a snapshot.
fn misused_keys() -> Result<Vec<Value>> {
    let with = |kid: &str, changes: Value| -> Result<Value> {
        let mut jwk = keys::key("rsa-maskinporten")?.public_jwk(kid);
        let members = jwk.as_object_mut().context("a JWK is an object")?;
        members.remove("use");
        members.extend(changes.as_object().cloned().unwrap_or_default());
        Ok(jwk)
    };
    Ok(vec![
        with("rsa-enc", json!({ "use": "enc" }))?,
        with("rsa-ops", json!({ "key_ops": ["encrypt"] }))?,
        keys::key("rsa1024-weak")?.public_jwk("rsa1024-weak"),
    ])
}

/// The rows about such keys stand on this: who publishes snapshots asks this code which keys may verify.
fn check_misuse_is_ignored() -> Result<()> {
    let mut told = BTreeSet::new();
    for jwk in misused_keys()? {
        match VerificationKey::from_jwk(&jwk) {
            Ok(_) => bail!("the key {jwk} may verify"),
            Err(error) => _ = told.insert(error.code()),
        }
    }
    ensure!(told == BTreeSet::from(["key_not_for_signatures", "key_strength"]), "keys are refused as {told:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lenient_server_makes_of_paths() {
        for (path, plain) in [
            ("/vat/1", "/vat/1"),
            ("//vat/%2e%2e/x;v=1/%255c..", "/"),
            ("/a\\b/%2561", "/a/b/a"),
            ("/a/..%2fb?c=/../d", "/b"),
        ] {
            assert_eq!(lenient(path), plain, "{path}");
        }
    }
}
