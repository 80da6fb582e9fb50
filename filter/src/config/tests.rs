//! A configuration is complete or refused, and what is refused is named.

use super::*;
use serde_json::{Value, json};

/// A configuration that is complete; its key belongs to nobody.
pub(crate) fn valid() -> Value {
    json!({
        "provider": "regnskapsregisteret",
        "controlPlane": {"cluster": "control-plane", "authority": "control-plane", "credential": "secret"},
        "snapshotKeys": ["-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"]
    })
}

fn check(change: impl Fn(&mut Value), expected: &str) {
    let mut value = valid();
    change(&mut value);
    let error = Config::parse(value.to_string().as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_complete_configuration_has_defaults() {
    let config = Config::parse(valid().to_string().as_bytes()).unwrap();
    assert_eq!(config.control_plane.wait_seconds, 25);
    assert_eq!((config.staleness.warn_seconds, config.staleness.deny_seconds), (60, 900));
    assert_eq!((config.hold.calls_max, config.hold.milliseconds_max), (1000, 5000));
    assert_eq!(config.gateway, "gateway");
    assert_eq!(config.identity_headers, IdentityHeader::USUAL);
}

#[test]
fn the_shadow_snapshot_takes_from_the_other_what_it_does_not_say() {
    let mut value = valid();
    value["gateway"] = json!("g".repeat(64));
    value["shadowSnapshot"] = json!({"provider": "next", "bytesMax": 1000});
    let config = Config::parse(value.to_string().as_bytes()).unwrap();
    let shadow = config.shadow_followed().unwrap();
    assert_eq!((shadow.provider.as_str(), shadow.control_plane.cluster.as_str()), ("next", "control-plane"));
    assert_eq!((shadow.bytes_max, shadow.gateway.len(), shadow.snapshot_keys.len()), (1000, 64, 1));
    assert!(Config::parse(valid().to_string().as_bytes()).unwrap().shadow_followed().is_none());
}

#[test]
fn metadata_of_a_resource_is_beside_its_path() {
    let resource = |identifier: &str| {
        let mut value = valid();
        value["resource"] = json!({ "identifier": identifier });
        let config = Config::parse(value.to_string().as_bytes()).unwrap();
        (config.resource.unwrap().metadata_path, config.resource_metadata.unwrap())
    };
    for (identifier, path) in [
        ("https://api.example.no", "/.well-known/oauth-protected-resource"),
        ("https://api.example.no/", "/.well-known/oauth-protected-resource"),
        ("https://api.example.no/vat", "/.well-known/oauth-protected-resource/vat"),
    ] {
        assert_eq!(resource(identifier), (path.to_owned(), format!("https://api.example.no{path}")));
    }
}

#[test]
fn mistakes_are_named() {
    check(|config| config["controlPlan"] = json!({}), "controlPlan");
    check(|config| config["controlPlane"]["wait"] = json!(1), "wait");
    check(|config| config["staleness"] = json!({"denySecond": 1}), "denySecond");
    check(|config| config["provider"] = json!("Not Valid"), "provider");
    check(|config| config["snapshotKeys"] = json!([]), "snapshotKeys");
    check(|config| config["snapshotKeys"] = json!(["x"]), "snapshotKeys[0]");
    check(|config| config["controlPlane"]["waitSeconds"] = json!(0), "controlPlane.waitSeconds");
    check(|config| config["controlPlane"]["credential"] = json!("a\nb"), "controlPlane.credential");
    check(|config| config["staleness"] = json!({"warnSeconds": 2, "denySeconds": 1}), "staleness");
    check(|config| config["staleness"] = json!({"warnSeconds": 2, "denySeconds": 20}), "staleness.denySeconds");
    check(|config| config["staleness"] = json!({"denySeconds": 86_401}), "staleness.denySeconds");
    check(
        |config| config["controlPlane"]["credential"] = json!(["s3cret"]),
        "`controlPlane.credential`: expected a string",
    );
    check(
        |config| config["controlPlane"]["waitSeconds"] = json!("s3cret"),
        "`controlPlane.waitSeconds`: expected a whole",
    );
    check(
        |config| config["controlPlane"]["wait"] = json!(1),
        "`controlPlane.wait`: unknown field `wait`, expected one of",
    );
    check(|config| config["hold"] = json!({"callsMax": -1}), "`hold.callsMax`: expected a whole number");
    check(|config| config["resource"] = json!({"identifier": "http://api.example.no"}), "resource.identifier");
    check(|config| config["resource"] = json!({"identifier": "https:///x"}), "resource.identifier");
    check(|config| config["resource"] = json!({"identifier": "https://a?b"}), "resource.identifier");
    check(|config| config["realm"] = json!("a\"b"), "realm");
    check(|config| config["staleness"] = json!({"routes": {"vat": 901}}), "staleness.routes");
    check(|config| config["staleness"] = json!({"routes": {"vat": 0}}), "staleness.routes");
    check(|config| config["bootstrap"] = json!({"snapshot": "?"}), "bootstrap.snapshot");
    check(|config| config["bootstrap"] = json!({"snapshot": "", "ageSecondsMax": 0}), "bootstrap.ageSecondsMax");
    check(|config| config["decisionLog"] = json!({"entriesMax": 0}), "decisionLog.entriesMax");
    check(|config| config["decisionLog"] = json!({"mask": ["token"]}), "token");
    let keys = |path: &str, interval: u32| json!({"issuer": "i", "cluster": "c", "authority": "a", "path": path, "intervalSeconds": interval});
    check(|config| config["issuerKeys"] = json!([keys("jwks", 60)]), "issuerKeys");
    check(|config| config["issuerKeys"] = json!([keys("/jwks", 4)]), "issuerKeys");
    check(|config| config["issuerKeys"] = json!([keys("/jwks", 60), keys("/jwks", 60)]), "issuerKeys");
    check(|config| config["hold"] = json!({"millisecondsMax": 60_001}), "hold.millisecondsMax");
    for (member, value) in [
        ("cluster", json!("")),
        ("authority", json!("a\nb")),
        ("path", json!("authorize")),
        ("headers", json!({"Authorization": "Bearer x"})),
        ("headers", json!({"content-length": "1"})),
        ("headers", json!({"authorization": ""})),
        ("routes", json!({"vat-returns": []})),
        ("millisecondsMax", json!(0)),
        ("millisecondsMax", json!(10_001)),
        ("callsMax", json!(1001)),
        ("cacheSecondsMax", json!(601)),
        ("cacheEntriesMax", json!(0)),
        ("cacheEntriesMax", json!(100_001)),
    ] {
        let change = |config: &mut Value| {
            config["remotePdp"] = json!({"cluster": "pdp", "authority": "pdp"});
            config["remotePdp"][member] = value.clone();
        };
        check(change, &format!("remotePdp.{member}"));
    }
    check(|config| config["shadowSnapshot"] = json!({}), "shadowSnapshot");
    let shadow = |bytes: u64| json!({"provider": "next", "bytesMax": bytes});
    check(|config| config["shadowSnapshot"] = shadow(0), "shadowSnapshot.bytesMax");
    check(|config| config["shadowSnapshot"] = shadow(SNAPSHOT_BYTES_MAX + 1), "shadowSnapshot.bytesMax");
    let keys = |keys: Value| json!({"provider": "next", "snapshotKeys": keys});
    check(|config| config["shadowSnapshot"] = keys(json!([])), "shadowSnapshot.snapshotKeys");
    check(|config| config["shadowSnapshot"] = keys(json!(["x"])), "shadowSnapshot.snapshotKeys[0]");
    check(
        |config| {
            config["shadowSnapshot"] =
                json!({"controlPlane": {"cluster": "c", "authority": "a", "credential": "a\nb"}});
        },
        "shadowSnapshot.controlPlane",
    );
    check(|config| config["tokenCache"] = json!({"tokensMax": 1}), "tokenCache.tokensMax");
    check(|config| config["identityHeaders"] = json!(["id", "id"]), "identityHeaders");
    check(|config| config["identityHeaders"] = json!(["name"]), "name");
    check(|config| config["tokenCache"] = json!({"tokensMax": 262_145}), "tokenCache.tokensMax");
    check(|config| drop(config.as_object_mut().unwrap().remove("provider")), "provider");
    assert_eq!(Config::parse(&vec![b' '; CONFIG_BYTES_MAX + 1]).map(|_| ()), Err(ConfigError::TooLong));
}
