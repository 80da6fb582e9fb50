//! Every reason to refuse an assertion, each with the code the client is told.

use std::sync::LazyLock;

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::*;
use crate::maskinporten::keys::{SigningAlgorithm, SigningKey};

const ISSUER: &str = "http://127.0.0.1:1/";
const NOW: i64 = 1_790_000_000;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Rs256).unwrap());
static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(SigningAlgorithm::Rs256).unwrap());

fn clients() -> Clients {
    let mut clients = Clients::default();
    let mut pinned = KEY.public_jwk().clone();
    pinned["alg"] = json!("RS256");
    let mut free = KEY.public_jwk().clone();
    free["kid"] = json!("any algorithm");
    free.as_object_mut().unwrap().remove("alg");
    let registration = json!({
        "clientId": "Smart-1", "organizationNumber": "310247030", "scopes": ["vat:read", "vat:write"],
        "jwks": { "keys": [pinned, free] },
    });
    clients.register(serde_json::from_value(registration).unwrap()).unwrap();
    clients
}

fn claims() -> Value {
    json!({
        "iss": "smart-1", "aud": ISSUER, "scope": "vat:read vat:write vat:read", "jti": "1",
        "iat": NOW, "exp": NOW + 120,
        "authorization_details": [{
            "type": "urn:altinn:systemuser",
            "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": "0192:310247049" },
            "externalRef": "till 1",
        }],
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    KEY.sign(&claims).unwrap()
}

fn accept_at(assertion: &str, now: i64) -> Result<Grant, GrantRefusal> {
    accept(assertion, ISSUER, &clients(), &mut UsedAssertions::default(), now)
}

#[track_caller]
fn check_refused(assertion: &str, expected: (&str, &str), says: &str) {
    let refusal = accept_at(assertion, NOW).unwrap_err();
    assert_eq!(refusal.code(), expected, "{refusal:?}");
    assert!(format!("{refusal:?}").contains(says), "{refusal:?} does not say {says}");
}

#[test]
fn a_whole_grant_is_accepted() {
    let grant = accept_at(&changed(|_| ()), NOW).unwrap();
    assert_eq!(grant.client_id, "Smart-1");
    assert_eq!(grant.organization.to_string(), "310247030");
    assert_eq!(grant.scopes, ["vat:read", "vat:write"]);
    let wanted = grant.system_user.unwrap();
    assert_eq!(wanted.owner.to_string(), "310247049");
    assert_eq!(wanted.external_ref.as_deref(), Some("till 1"));
}

#[test]
fn without_authorization_details_it_is_for_the_organisation() {
    let assertion = changed(|claims| {
        claims.as_object_mut().unwrap().remove("authorization_details");
    });
    assert_eq!(accept_at(&assertion, NOW).unwrap().system_user, None);
}

#[test]
fn the_three_rsa_algorithms_are_accepted_where_the_key_allows_them() {
    for algorithm in GRANT_ALGORITHMS {
        let mut header = Header::new(algorithm);
        header.kid = Some("any algorithm".into());
        let assertion = KEY.sign_with_header(&header, &claims()).unwrap();
        assert!(accept_at(&assertion, NOW).is_ok(), "{algorithm:?}");
    }
    let pinned_otherwise = KEY.sign_as(Algorithm::RS512, &claims()).unwrap();
    check_refused(&pinned_otherwise, ("invalid_grant", "MP-110"), "alg");
}

#[test]
fn what_is_no_jwt_is_an_invalid_request() {
    for assertion in ["", "x", "a.b", "a.b.c", "..", &"a".repeat(17_000)] {
        check_refused(assertion, ("invalid_request", "MP-100"), "Invalid assertion");
    }
    let (head, _) = changed(|_| ()).split_once('.').map(|(a, b)| (a.to_owned(), b.len())).unwrap();
    check_refused(&format!("{head}.e30x.AAAA"), ("invalid_request", "MP-100"), "claims");
}

#[test]
fn a_client_that_is_not_proven_is_refused() {
    let refused = ("invalid_grant", "MP-110");
    let with_header = |change: fn(&mut Header)| {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(KEY.key_id().into());
        change(&mut header);
        KEY.sign_with_header(&header, &claims()).unwrap()
    };
    check_refused(&with_header(|header| header.kid = None), refused, "kid");
    check_refused(&with_header(|header| header.kid = Some("x".into())), refused, "Unknown key");
    check_refused(&with_header(|header| header.crit = Some(vec!["x".into()])), refused, "crit");
    check_refused(&with_header(|header| header.alg = Algorithm::PS256), refused, "alg");
    check_refused(&changed(|claims| claims["iss"] = json!("stranger")), refused, "Client not found");
    check_refused(&changed(|claims| claims["iss"] = json!(null)), refused, "Client not found");
    check_refused(&changed(|claims| claims["aud"] = json!("http://127.0.0.1:1")), refused, "aud");
    let foreign = {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(KEY.key_id().into());
        OTHER_KEY.sign_with_header(&header, &claims()).unwrap()
    };
    check_refused(&foreign, refused, "signature");
    let unsigned = changed(|_| ());
    let (signed_part, _) = unsigned.rsplit_once('.').unwrap();
    check_refused(&format!("{signed_part}."), refused, "signature");
}

#[test]
fn each_missing_or_wrong_claim_is_named() {
    let refused = ("invalid_grant", "MP-120");
    for name in ["aud", "iat", "exp", "jti"] {
        for value in [json!(null), json!([]), json!({}), json!(true), json!(-1), json!(1e300)] {
            let assertion = changed(|claims| claims[name] = value);
            check_refused(&assertion, refused, name);
        }
    }
    check_refused(&changed(|claims| claims["jti"] = json!("")), refused, "jti");
    check_refused(&changed(|claims| claims["jti"] = json!("x".repeat(256))), refused, "jti");
}

#[test]
fn the_times_have_sharp_edges() {
    let refused = ("invalid_grant", "MP-120");
    let times = |issued: i64, expires: i64| {
        changed(|claims| {
            claims["iat"] = json!(NOW + issued);
            claims["exp"] = json!(NOW + expires);
        })
    };
    for (issued, expires) in [(0, 120), (10, 130), (-119, 1), (0, 1)] {
        assert!(accept_at(&times(issued, expires), NOW).is_ok(), "{issued} {expires}");
    }
    check_refused(&times(0, 121), refused, "exp - iat");
    check_refused(&times(5, 5), refused, "exp - iat");
    check_refused(&times(11, 100), refused, "future");
    check_refused(&times(-120, 0), refused, "expired");
}

#[test]
fn an_assertion_is_used_once() {
    let (clients, mut used) = (clients(), UsedAssertions::default());
    let mut ask = |assertion: &str| accept(assertion, ISSUER, &clients, &mut used, NOW);
    assert!(ask(&changed(|_| ())).is_ok());
    let repeated = ask(&changed(|claims| claims["scope"] = json!("vat:read"))).unwrap_err();
    assert_eq!(repeated.code(), ("invalid_grant", "MP-121"));
    assert!(ask(&changed(|claims| claims["jti"] = json!("2"))).is_ok());
}

#[test]
fn scopes_are_needed_and_must_be_the_clients_own() {
    let refused = ("invalid_scope", "MP-120");
    for scope in [json!(null), json!(""), json!("  "), json!(["vat:read"])] {
        check_refused(&changed(|claims| claims["scope"] = scope), refused, "no scope");
    }
    check_refused(&changed(|claims| claims["scope"] = json!("vat:read vat")), refused, "invalid scopes");
}

#[test]
fn exactly_one_organisation_may_be_named() {
    let refused = ("invalid_authorization_details", "MP-120");
    let details = |change: fn(&mut Value)| changed(|claims| change(&mut claims["authorization_details"]));
    check_refused(&details(|details| *details = json!([])), refused, "exactly one");
    check_refused(&details(|details| *details = json!([details[0], details[0]])), refused, "exactly one");
    check_refused(&details(|details| *details = details[0].clone()), refused, "cannot be read");
    check_refused(&details(|details| details[0]["type"] = json!("x")), refused, "type");
    check_refused(&details(|details| details[0]["more"] = json!(1)), refused, "more");
    check_refused(&details(|details| details[0]["systemuser_org"] = json!([])), refused, "read");
    check_refused(&details(|details| details[0]["systemuser_org"]["authority"] = json!("x")), refused, "authority");
    check_refused(&details(|details| details[0]["systemuser_org"]["ID"] = json!("310247049")), refused, "0192:");
    check_refused(
        &details(|details| details[0]["systemuser_org"]["ID"] = json!("0192:310247040")),
        refused,
        "control digit",
    );
    check_refused(&details(|details| details[0]["externalRef"] = json!("")), refused, "externalRef");
}

#[test]
fn a_damaged_assertion_is_never_accepted() {
    let whole = changed(|_| ());
    // A generator of our own: the same damage every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..2_000 {
        let mut damaged = whole.clone().into_bytes();
        for _ in 0..=next(3) {
            let position = next(damaged.len());
            match next(3) {
                0 => damaged[position] = b" .-_AZaz09{}\"\\\n\x7f"[next(16)],
                1 => drop(damaged.remove(position)),
                _ => damaged.truncate(position.max(1)),
            }
        }
        let damaged = String::from_utf8(damaged).unwrap();
        assert!(damaged == whole || accept_at(&damaged, NOW).is_err(), "{damaged}");
    }
}
