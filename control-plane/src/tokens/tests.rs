//! What is issued, through HTTP.

use serde_json::{Value, json};

use crate::test_state::{Answer, TestState, story, tokens};

const OWN: &str = "http://portvakt.test/authentication/api/v1/openid/";
const EXCHANGE: &str = "/authentication/api/v1/exchange";
const KEYS: &str = "/authentication/api/v1/openid/.well-known/openid-configuration/jwks";
const REFRESH: &str = "/authentication/api/v1/refresh";

fn text(answer: Answer) -> String {
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/plain"), "{}", answer.json);
    assert_eq!(answer.headers["cache-control"], "no-store");
    String::from_utf8(answer.bytes.to_vec()).unwrap()
}

/// What a token says; that it stands, others see to.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn exchanged(test: &TestState, provider: &str, token: &str) -> Value {
    claims(&text(test.get(&format!("{EXCHANGE}/{provider}"), token).await))
}

fn id_porten() -> tokens::Maskinporten {
    tokens::Maskinporten::without_consumer("openid altinn:clientdelegations.read")
        .claim("iss", json!(tokens::ID_PORTEN))
        .claim("pid", json!("01017012345"))
        .claim("acr", json!("idporten-loa-high"))
        .claim("consumer", json!({ "authority": "iso6523-actorid-upis", "ID": "0192:310247030" }))
        .key("i", tokens::ID_PORTEN_KEY)
}

#[tokio::test]
async fn a_system_users_token_is_exchanged_in_altinns_form() {
    let test = TestState::with_tokens().await;
    let id = "f950ddae-06c3-4b57-b940-702417a90df0";
    let original = tokens::Maskinporten::new("310247030", "regnskapsregisteret:vat.read").system_user(id, "310247049");
    let original = original.claim("client_amr", json!("private_key_jwt")).claim("urn:altinn:authlevel", json!(4));
    let mut claims = exchanged(&test, "maskinporten", &original.token(&test)).await;
    let members = claims.as_object_mut().unwrap();
    for name in ["jti", "iat", "nbf", "exp"] {
        assert!(members.remove(name).is_some(), "{name}");
    }
    assert_eq!(
        claims,
        json!({
            "iss": OWN, "scope": "regnskapsregisteret:vat.read", "client_id": story::CLIENT_ID,
            "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:310247030" },
            "authorization_details": {
                "type": "urn:altinn:systemuser", "systemuser_id": [id], "system_id": "310247030_smartcloud",
                "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": "0192:310247049" },
            },
            "urn:altinn:orgNumber": "310247030", "urn:altinn:authenticatemethod": "maskinporten", "urn:altinn:authlevel": 3,
        })
    );
}

#[tokio::test]
async fn an_exchanged_token_is_trusted_here_and_at_gateways() {
    let test = TestState::with_tokens().await;
    let vendor = text(test.get(&format!("{EXCHANGE}/maskinporten"), &test.vendor()).await);
    test.post(story::SYSTEMS, &vendor, &story::system()).await.expect(200);
    test.get(story::SYSTEMS, &format!("{vendor}x")).await.expect_code(401, "token_invalid");
    test.clock.advance_seconds(1811);
    test.get(story::SYSTEMS, &vendor).await.expect_code(401, "token_invalid");
}

#[tokio::test]
async fn a_service_owner_has_its_code() {
    let test = TestState::with_tokens().await;
    let owner = |scope: &str| tokens::Maskinporten::new("310247022", scope).token(&test);
    let token = owner("altinn:serviceowner/instances.read");
    assert_eq!(exchanged(&test, "maskinporten", &token).await["urn:altinn:org"], "digdir");
    assert_eq!(exchanged(&test, "maskinporten?test=true", &token).await["urn:altinn:org"], "ttd");
    let plain = owner("portvakt:resources.write");
    assert_eq!(exchanged(&test, "maskinporten", &plain).await["urn:altinn:org"], Value::Null);
    let other = tokens::Maskinporten::new("310247030", "altinn:serviceowner").token(&test);
    assert_eq!(exchanged(&test, "maskinporten", &other).await["urn:altinn:org"], Value::Null);
    test.get(&format!("{EXCHANGE}/maskinporten?test=perhaps"), &token).await.expect_code(400, "query_invalid");
}

#[tokio::test]
async fn a_person_is_the_user_that_the_operator_says() {
    let test = TestState::with_tokens().await;
    let token = id_porten().token(&test);
    let path = format!("{EXCHANGE}/id-porten");
    test.get(&path, &token).await.expect_code(403, "user_unknown");
    let identities = json!({ "identities": [{ "identity": "01017012345", "userId": story::HANSENS_MANAGER }] });
    let put = "/portvakt/v1/user-identities";
    test.put(put, &test.vendor(), &identities).await.expect_code(403, "insufficient_scope");
    test.put(put, &test.operator(), &identities).await.expect(200);
    let claims = exchanged(&test, "id-porten", &token).await;
    assert_eq!((&claims["urn:altinn:userid"], &claims["urn:altinn:authlevel"]), (&json!(20_000_001), &json!(4)));
    assert_eq!((&claims["pid"], &claims["consumer"]), (&Value::Null, &Value::Null));
    let scopeless = id_porten().claim("scope", json!("openid")).token(&test);
    test.get(&path, &scopeless).await.expect_code(403, "insufficient_scope");
    // The original opens nothing else.
    test.get(story::SYSTEMS, &token).await.expect_code(401, "token_invalid");
    test.get(&format!("{EXCHANGE}/maskinporten"), &token).await.expect_code(401, "token_invalid");
    test.get(&path, &test.vendor()).await.expect_code(401, "token_invalid");
}

#[tokio::test]
async fn what_is_not_for_us_is_not_exchanged() {
    let test = TestState::with_tokens().await;
    let path = format!("{EXCHANGE}/maskinporten");
    let with = |name: &str, value: Value| tokens::Maskinporten::new("310247030", "a:b").claim(name, value).token(&test);
    for audience in [json!("https://api.test"), json!(["x", OWN]), json!("http://portvakt.test"), json!("unspecified")]
    {
        assert_eq!(test.get(&path, &with("aud", audience.clone())).await.status, 200, "{audience}");
    }
    for (name, value) in [
        ("aud", json!("https://other.test")),
        ("aud", json!(["https://api.test.evil"])),
        ("iss", json!("https://maskinporten.test")),
        ("iss", json!("https://maskinporten.test/x")),
        ("urn:altinn:orgNumber", json!("310247030")),
    ] {
        test.get(&path, &with(name, value.clone())).await.expect_code(401, "token_invalid");
    }
    let enterprise = [("authorization", "Bearer x"), ("x-altinn-enterpriseuser-authentication", "a")];
    test.get_with(&path, &enterprise).await.expect_code(410, "enterprise_users_ended");
    test.get(&path, "").await.expect_code(401, "token_missing");
    test.get(&format!("{EXCHANGE}/facebook"), "").await.expect_code(401, "token_missing");
    test.get(&format!("{EXCHANGE}/facebook"), &test.vendor()).await.expect_code(400, "exchange_provider_unknown");
    let nobody = tokens::Maskinporten::without_consumer("a:b").token(&test);
    test.get(&path, &nobody).await.expect_code(401, "AUTH-00023");
    // An exchanged token is not exchanged again.
    let ours = text(test.get(&path, &test.vendor()).await);
    test.get(&path, &ours).await.expect_code(401, "token_invalid");
}

#[tokio::test]
async fn nothing_is_issued_unless_the_operator_wants_it() {
    let test = TestState::with_resources().await;
    test.get(&format!("{EXCHANGE}/maskinporten"), &test.vendor()).await.expect_code(404, "tokens_not_issued");
    test.get(KEYS, "").await.expect_code(404, "tokens_not_issued");
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_have_ended() {
    let test = TestState::with_tokens().await;
    let kids = async || -> Vec<String> {
        let keys = test.get(KEYS, "").await.expect(200);
        let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
        keys["keys"].as_array().unwrap().iter().map(kid).collect()
    };
    let signs = async || {
        use base64::Engine as _;
        let token = text(test.get(&format!("{EXCHANGE}/maskinporten"), &test.vendor()).await);
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        (header["kid"].as_str().unwrap().to_owned(), token)
    };
    let old = kids().await;
    assert_eq!((old.len(), signs().await.0), (1, old[0].clone()));
    // Two distinct keys take a real source of randomness.
    let now = crate::state::Clock::now(&test.clock);
    let key = super::keys::TokenKey::draw(&crate::state::SystemIds, now.plus_seconds(super::keys::PUBLISHED_BEFORE_S));
    let key = key.unwrap().stored();
    test.state.tokens.as_ref().unwrap().add_for_test(key);
    super::publish_keys(&test.state).await.unwrap();
    let both = kids().await;
    assert_eq!((both.len(), &both[0], signs().await.0 == old[0]), (2, &old[0], true));
    let waiting = test.post("/portvakt/v1/token-keys", &test.operator(), &json!({})).await.expect(201);
    assert_eq!((&waiting["kid"], &waiting["isSigning"]), (&json!(both[1]), &json!(false)));
    test.clock.advance_seconds(super::keys::PUBLISHED_BEFORE_S - 1);
    let (kid, last_of_old) = signs().await;
    assert_eq!(kid, old[0]);
    test.clock.advance_seconds(1);
    assert_eq!((signs().await.0, kids().await), (both[1].clone(), both.clone()));
    test.get(story::SYSTEMS, &last_of_old).await.expect(200);
    test.clock.advance_seconds(1809);
    assert_eq!(kids().await.len(), 2);
    test.clock.advance_seconds(1);
    assert_eq!(kids().await, both[1..]);
    super::publish_keys(&test.state).await.unwrap();
    let trusted = test.state.issuers.trusted();
    assert_eq!(trusted.iter().find(|issuer| issuer.issuer == OWN).unwrap().keys.len(), 1);
    let listed = test.get("/portvakt/v1/token-keys", &test.operator()).await.expect(200);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["isSigning"]), (1, &json!(true)));
}

#[tokio::test]
async fn keys_outlive_a_restart_and_are_strict_base64url() {
    let test = TestState::with_tokens().await;
    let keys = test.get(KEYS, "").await.expect(200);
    let is_url_safe = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    for name in ["n", "e", "kid"] {
        assert!(is_url_safe(keys["keys"][0][name].as_str().unwrap()), "{name}");
    }
    let configuration = test.get(KEYS.trim_end_matches("/jwks"), "").await.expect(200);
    assert_eq!(configuration["issuer"], OWN);
    assert_eq!(configuration["jwks_uri"], format!("http://portvakt.test{KEYS}"));
    let test = test.restarted().await;
    assert_eq!(test.get(KEYS, "").await.expect(200), keys);
}

#[tokio::test]
async fn a_persons_token_is_renewed_while_the_session_lasts() {
    let test = TestState::with_tokens().await;
    let identities = json!({ "identities": [{ "identity": "01017012345", "userId": story::HANSENS_MANAGER }] });
    test.put("/portvakt/v1/user-identities", &test.operator(), &identities).await.expect(200);
    let mut token = text(test.get(&format!("{EXCHANGE}/id-porten"), &id_porten().token(&test)).await);
    let first = claims(&token);
    for _ in 0..15 {
        test.clock.advance_seconds(1800);
        token = text(test.get(REFRESH, &token).await);
    }
    let last = claims(&token);
    assert_eq!((&first["urn:altinn:userid"], &first["auth_time"]), (&last["urn:altinn:userid"], &last["auth_time"]));
    assert_ne!(first["jti"], last["jti"]);
    test.clock.advance_seconds(1800);
    test.get(REFRESH, &token).await.expect_code(403, "session_ended");
    // Machines ask Maskinporten again; other issuers renew their own.
    let machine = text(test.get(&format!("{EXCHANGE}/maskinporten"), &test.vendor()).await);
    test.get(REFRESH, &machine).await.expect_code(403, "caller_kind_refused");
    test.get(REFRESH, &test.administrator_of_hansen()).await.expect_code(403, "caller_kind_refused");
}

#[tokio::test]
async fn who_comes_from_studio_acts_for_no_organisation() {
    let test = TestState::with_tokens().await;
    let studio = tokens::Maskinporten::new("310247006", "portvakt:operator").claim("iss", json!(tokens::STUDIO));
    let studio = studio.key("s", tokens::STUDIO_KEY).token(&test);
    let ours = text(test.get(&format!("{EXCHANGE}/altinnstudio"), &studio).await);
    let claims = claims(&ours);
    assert_eq!((claims["iss"].as_str(), claims.get("consumer")), (Some(OWN), None));
    assert_eq!(claims["urn:altinn:authenticatemethod"], "altinnstudio");
    test.put("/portvakt/v1/parties", &test.operator(), &json!({})).await.expect(200);
    test.put("/portvakt/v1/parties", &ours, &json!({})).await.expect_code(403, "organization_not_allowed");
    for other in ["id-porten", "maskinporten"] {
        test.get(&format!("{EXCHANGE}/{other}"), &studio).await.expect_code(401, "token_invalid");
    }
}

/// Logged in as Hansen's manager, as if by an OIDC provider.
async fn logged_in(test: &TestState) -> String {
    let session = test.state.ids.uuid().unwrap();
    let now = crate::state::Clock::now(&test.clock);
    let mut change = test.state.store.change().await.unwrap();
    super::store::begin_session(change.connection(), session, story::HANSENS_MANAGER, now).await.unwrap();
    change.commit_derived().await.unwrap();
    let Value::Object(claims) = json!({
        "urn:altinn:userid": story::HANSENS_MANAGER, "urn:altinn:authlevel": 3, "scope": "altinn:portal/enduser",
        "sid": session, "auth_time": now.unix_seconds(),
    }) else {
        panic!()
    };
    test.state.tokens.as_ref().unwrap().issue(&test.state, claims).unwrap()
}

#[tokio::test]
async fn a_session_ends_with_the_logout() {
    let test = TestState::with_tokens().await;
    let token = logged_in(&test).await;
    let users = story::system_users_of_hansen();
    test.get(&users, &token).await.expect(200);
    let answer = test.get("/authentication/api/v1/logout", &token).await;
    assert_eq!((answer.status, answer.headers["location"].as_str()), (303, "http://portvakt.test/"));
    assert!(
        answer.headers["set-cookie"]
            .starts_with("AltinnStudioRuntime=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure")
    );
    for path in [users.as_str(), REFRESH] {
        test.get(path, &token).await.expect_code(401, "token_invalid");
    }
    assert_eq!(test.get("/authentication/api/v1/logout", "").await.status, 303);
}

#[tokio::test]
async fn a_cookie_is_for_people_and_changes_nothing_for_other_sites() {
    let test = TestState::with_tokens().await;
    test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
    test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    let cookie = format!("a=b; AltinnStudioRuntime={}", logged_in(&test).await);
    let cookie = ("cookie", cookie.as_str());
    let users = story::system_users_of_hansen();
    assert_eq!(test.get_with(&users, &[cookie]).await.status, 200);
    let renewed = test.get_with(REFRESH, &[cookie]).await;
    assert!(renewed.headers["set-cookie"].starts_with("AltinnStudioRuntime=ey"));
    let reject = format!("{}/reject", story::request_of_hansen(&test.request_id().await));
    for (headers, status) in [
        (&[][..], 403),
        (&[("origin", "https://evil.test")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("origin", "http://portvakt.test"), ("sec-fetch-site", "cross-site")], 403),
        (&[("origin", "http://portvakt.test"), ("sec-fetch-site", "same-origin")], 200),
    ] {
        let headers: Vec<_> = headers.iter().copied().chain([cookie]).collect();
        let answer = test.post_with(&reject, &headers, &json!({})).await;
        assert_eq!(answer.status, status, "{headers:?} {}", answer.json);
        if status == 403 {
            answer.expect_code(403, "cross_site_refused");
        }
    }
    // The bearer token goes first, and a broken one is not mended by a cookie.
    let both = [cookie, ("authorization", "Bearer x")];
    test.get_with(&users, &both).await.expect_code(401, "token_invalid");
    let machine = format!("AltinnStudioRuntime={}", test.vendor());
    test.get_with(story::SYSTEMS, &[("cookie", &machine)]).await.expect_code(403, "caller_kind_refused");
    // Under its older name it goes before the other.
    let (_, token) = cookie.1.rsplit_once('=').unwrap();
    let older = format!(".ALTINNTOKEN={token}");
    assert_eq!(test.get_with(&users, &[("cookie", &older)]).await.status, 200);
    let broken = format!(".ALTINNTOKEN=x; {}", cookie.1);
    test.get_with(&users, &[("cookie", &broken)]).await.expect_code(401, "token_invalid");
    let twice = format!("{}; {}", cookie.1, cookie.1);
    test.get_with(&users, &[("cookie", &twice)]).await.expect_code(401, "token_missing");
}
