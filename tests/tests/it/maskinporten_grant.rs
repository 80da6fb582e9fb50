//! The stand-in Maskinporten over HTTP: what a client gets, what the look-up is asked, what is published.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_tests::http::loopback_client;
use gateway_tests::maskinporten::client::{MaskinportenClient, read_answer};
use gateway_tests::maskinporten::{Maskinporten, Options, OrganizationNumber, SigningKey};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const VENDOR: &str = "310247030";
const CUSTOMER: &str = "310247049";
const LOOKUP_PATH: &str = "/authentication/api/v1/systemuser/byExternalId";

/// One question to the look-up: its query and the bearer token.
type Question = (Vec<(String, String)>, String);

/// A look-up that answers what it is told to and remembers what it was asked.
#[derive(Clone)]
struct FakeLookup {
    answer: Arc<Mutex<(StatusCode, Value)>>,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl FakeLookup {
    fn answer(&self, status: StatusCode, body: Value) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer_lookup(
    State(lookup): State<FakeLookup>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().into();
    lookup.asked.lock().unwrap().push((query, bearer));
    let (status, body) = lookup.answer.lock().unwrap().clone();
    (status, Json(body)).into_response()
}

fn found() -> Value {
    json!({
        "id": "f950ddae-06c3-4b57-b940-702417a90df0", "integrationTitle": "SmartCloud",
        "systemId": "310247030_smartcloud", "productName": "310247030_smartcloud",
        "reporteeOrgNo": CUSTOMER, "supplierOrgno": VENDOR, "supplierName": "", "externalRef": "till 1",
        "created": "2026-09-01T00:00:00Z", "isDeleted": false, "userType": "standard",
    })
}

struct Setting {
    maskinporten: Maskinporten,
    vendor: MaskinportenClient,
    lookup: FakeLookup,
    key: Arc<SigningKey>,
}

async fn setting() -> Result<Setting> {
    let lookup = FakeLookup { answer: Arc::new(Mutex::new((StatusCode::OK, found()))), asked: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let lookup_url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route(LOOKUP_PATH, get(answer_lookup)).with_state(lookup.clone());
    tokio::spawn(axum::serve(listener, app).into_future());

    let options = Options { listen: "127.0.0.1:0".parse()?, organization: "310247014".parse().unwrap() };
    let maskinporten = Maskinporten::start(options).await?;
    let key = MaskinportenClient::generate_key()?;
    let base_url = maskinporten.base_url();
    let vendor = MaskinportenClient::new(base_url, "smart-1", organization(VENDOR), key.clone())?;
    vendor.register(&["vat:read", "altinn:authentication/systemregister.write"]).await?;
    let order = json!({ "url": lookup_url });
    let status = put(base_url, "standin/control-plane", &order).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    Ok(Setting { maskinporten, vendor, lookup, key })
}

fn organization(number: &str) -> OrganizationNumber {
    number.parse().unwrap()
}

async fn put(base_url: &str, path: &str, body: &Value) -> Result<StatusCode> {
    Ok(loopback_client()?.put(format!("{base_url}/{path}")).json(body).send().await?.status())
}

async fn post(base_url: &str, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
    let answer = loopback_client()?.post(format!("{base_url}/{path}")).json(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

async fn read(url: &str) -> Result<Value> {
    Ok(loopback_client()?.get(url).send().await?.error_for_status()?.json().await?)
}

/// The claims, if one of the published keys signed them.
fn verified(token: &str, jwks: &Value) -> Option<Value> {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let kid = header.kid.unwrap();
    let jwk = jwks["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == kid.as_str())?;
    let key = DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    Some(jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims)
}

#[tokio::test]
async fn a_system_user_token_has_maskinportens_shape() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let token =
        setting.vendor.system_user_token("vat:read", organization(CUSTOMER), Some("till 1")).await.unwrap().unwrap();
    assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", 120));
    assert_eq!(token.scope, "vat:read");

    let jwks = read(&format!("{base_url}/jwk")).await.unwrap();
    let mut claims = verified(&token.access_token, &jwks).unwrap();
    let members = claims.as_object_mut().unwrap();
    let (issued, expires) = (members.remove("iat").unwrap(), members.remove("exp").unwrap());
    assert_eq!(expires.as_i64().unwrap() - issued.as_i64().unwrap(), 120);
    assert!(members.remove("jti").unwrap().is_string());
    let org = |number| json!({ "authority": "iso6523-actorid-upis", "ID": format!("0192:{number}") });
    assert_eq!(
        claims,
        json!({
            "iss": format!("{base_url}/"), "client_id": "smart-1", "client_amr": "private_key_jwt",
            "token_type": "Bearer", "scope": "vat:read", "consumer": org(VENDOR),
            "authorization_details": [{
                "type": "urn:altinn:systemuser", "systemuser_org": org(CUSTOMER),
                "systemuser_id": ["f950ddae-06c3-4b57-b940-702417a90df0"],
                "system_id": "310247030_smartcloud", "externalRef": "till 1",
            }],
        })
    );
}

#[tokio::test]
async fn the_lookup_is_asked_with_maskinportens_own_token() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let owner = organization(CUSTOMER);
    setting.vendor.system_user_token("vat:read", owner, Some("a&b")).await.unwrap().unwrap();
    setting.vendor.system_user_token("vat:read", owner, None).await.unwrap().unwrap();

    let asked = setting.lookup.asked();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut expected =
        vec![pair("clientId", "smart-1"), pair("systemProviderOrgNo", VENDOR), pair("systemUserOwnerOrgNo", CUSTOMER)];
    assert_eq!(asked[1].0, expected);
    expected.push(pair("externalRef", "a&b"));
    assert_eq!(asked[0].0, expected);

    let jwks = read(&format!("{base_url}/jwk")).await.unwrap();
    let claims = verified(&asked[0].1, &jwks).unwrap();
    assert_eq!(claims["scope"], "altinn:maskinporten/systemuser.read");
    assert_eq!(claims["consumer"]["ID"], "0192:310247014");
    assert_eq!(claims["iss"], format!("{base_url}/"));
    assert_eq!(claims.get("authorization_details"), None);
}

#[tokio::test]
async fn an_organisation_token_asks_no_lookup() {
    let setting = setting().await.unwrap();
    let scope = "altinn:authentication/systemregister.write";
    let token = setting.vendor.organization_token(scope).await.unwrap().unwrap();
    let jwks = read(&format!("{}/jwk", setting.maskinporten.base_url())).await.unwrap();
    let claims = verified(&token.access_token, &jwks).unwrap();
    assert_eq!(claims["consumer"]["ID"], format!("0192:{VENDOR}"));
    assert_eq!(claims["scope"], scope);
    assert_eq!(claims.get("authorization_details"), None);
    assert_eq!(setting.lookup.asked(), []);
}

#[tokio::test]
async fn no_system_user_is_mp_303() {
    let setting = setting().await.unwrap();
    setting.lookup.answer(StatusCode::NOT_FOUND, Value::Null);
    let refusal = setting.vendor.system_user_token("vat:read", organization(CUSTOMER), None);
    let refusal = refusal.await.unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    assert_eq!(refusal.error, "invalid_altinn_customer_configuration");
    assert!(refusal.description.contains("MP-303"), "{}", refusal.description);
}

#[tokio::test]
async fn a_lookup_that_fails_gives_no_token() {
    let setting = setting().await.unwrap();
    let unfit = |name: &str, value: Value| {
        let mut answer = found();
        answer[name] = value;
        (StatusCode::OK, answer)
    };
    let answers = [
        (StatusCode::INTERNAL_SERVER_ERROR, json!({})),
        (StatusCode::SERVICE_UNAVAILABLE, json!({})),
        (StatusCode::UNAUTHORIZED, json!({})),
        (StatusCode::FOUND, found()),
        (StatusCode::OK, json!({})),
        unfit("id", json!("not an id")),
        unfit("isDeleted", json!(true)),
        unfit("reporteeOrgNo", json!("310247057")),
        unfit("supplierOrgno", json!("310247065")),
        (StatusCode::OK, {
            let mut answer = found();
            answer["systemId"] = json!("");
            answer["productName"] = json!("");
            answer
        }),
    ];
    for (status, body) in answers {
        setting.lookup.answer(status, body.clone());
        let answer = setting.vendor.system_user_token("vat:read", organization(CUSTOMER), None);
        let refusal = answer.await.unwrap().unwrap_err();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{status} {body}");
        assert_eq!(refusal.error, "server_error");
    }
    let nobody_listens = json!({ "url": "http://127.0.0.1:9" });
    put(setting.maskinporten.base_url(), "standin/control-plane", &nobody_listens).await.unwrap();
    let answer = setting.vendor.system_user_token("vat:read", organization(CUSTOMER), None);
    assert_eq!(answer.await.unwrap().unwrap_err().error, "server_error");
}

#[tokio::test]
async fn refusals_have_oauths_form_over_http() {
    let setting = setting().await.unwrap();
    let url = format!("{}/token", setting.maskinporten.base_url());
    let http = loopback_client().unwrap();
    let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let forms: [(&[(&str, &str)], &str); 6] = [
        (&[], "invalid_request"),
        (&[("grant_type", bearer)], "invalid_request"),
        (&[("assertion", "a.b.c")], "invalid_request"),
        (&[("grant_type", "client_credentials"), ("assertion", "a.b.c")], "unsupported_grant_type"),
        (&[("grant_type", bearer), ("grant_type", bearer), ("assertion", "x")], "invalid_request"),
        (&[("grant_type", bearer), ("assertion", "x")], "invalid_request"),
    ];
    for (form, expected) in forms {
        let refusal = read_answer(http.post(&url).form(form).send().await.unwrap()).await.unwrap();
        let refusal = refusal.unwrap_err();
        assert_eq!((refusal.status, refusal.error.as_str()), (StatusCode::BAD_REQUEST, expected));
    }
    let not_a_form = http.post(&url).json(&json!({ "grant_type": bearer })).send().await.unwrap();
    assert_eq!(read_answer(not_a_form).await.unwrap().unwrap_err().error, "invalid_request");

    let assertion = setting.vendor.sign(Algorithm::RS256, &setting.vendor.claims("vat:read", None).unwrap()).unwrap();
    assert!(setting.vendor.grant(&assertion).await.unwrap().is_ok());
    let repeated = setting.vendor.grant(&assertion).await.unwrap().unwrap_err();
    assert!(repeated.description.contains("MP-121"), "{}", repeated.description);
}

#[tokio::test]
async fn keys_rotate_and_old_tokens_stay_verifiable_until_dropped() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let jwk_url = format!("{base_url}/jwk");
    let first = setting.vendor.organization_token("vat:read").await.unwrap().unwrap().access_token;

    let order = json!({ "algorithm": "ES256" });
    let (status, answer) = post(base_url, "standin/rotate-keys", &order).await.unwrap();
    assert_eq!((status, &answer["algorithm"]), (StatusCode::OK, &json!("ES256")));
    let second = setting.vendor.organization_token("vat:read").await.unwrap().unwrap().access_token;
    assert_eq!(jsonwebtoken::decode_header(&second).unwrap().alg, Algorithm::ES256);
    let jwks = read(&jwk_url).await.unwrap();
    assert!(verified(&first, &jwks).is_some() && verified(&second, &jwks).is_some());

    let order = json!({ "algorithm": "RS256", "dropOld": true });
    post(base_url, "standin/rotate-keys", &order).await.unwrap();
    let third = setting.vendor.organization_token("vat:read").await.unwrap().unwrap().access_token;
    let jwks = read(&jwk_url).await.unwrap();
    assert!(verified(&first, &jwks).is_none() && verified(&second, &jwks).is_none());
    assert!(verified(&third, &jwks).is_some());
}

#[tokio::test]
async fn the_lifetime_can_be_set_even_into_the_past() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let order = json!({ "seconds": 100, "issuedSecondsAgo": 1000 });
    assert_eq!(put(base_url, "standin/token-lifetime", &order).await.unwrap(), 204);
    let token = setting.vendor.organization_token("vat:read").await.unwrap().unwrap();
    assert_eq!(token.expires_in, 0);
    let payload = token.access_token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let ago = i64::try_from(now).unwrap() - claims["exp"].as_i64().unwrap();
    assert!((895..=960).contains(&ago), "{ago}");
    for wrong in [json!({ "seconds": 0 }), json!({ "seconds": 1, "issuedSecondsAgo": -1 }), json!({})] {
        assert_eq!(put(base_url, "standin/token-lifetime", &wrong).await.unwrap(), 400);
    }
}

#[tokio::test]
async fn the_platform_issuer_signs_tokens_of_people() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let order = json!({
        "userId": 20_000_001, "partyId": 50_000_001, "level": 3,
        "partyUuid": "a8a3e3f5-2f4e-4a39-8e2a-6d2f0d1a0001",
    });
    let (status, answer) = post(base_url, "standin/user-token", &order).await.unwrap();
    assert_eq!(status, StatusCode::CREATED);
    let issuer = format!("{base_url}/platform/authentication/api/v1/openid/");
    let metadata = read(&format!("{issuer}.well-known/openid-configuration")).await.unwrap();
    assert_eq!(metadata["issuer"], issuer);
    let jwks = read(metadata["jwks_uri"].as_str().unwrap()).await.unwrap();
    let claims = verified(answer["access_token"].as_str().unwrap(), &jwks).unwrap();
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["urn:altinn:userid"], 20_000_001);
    assert_eq!(claims["scope"], "altinn:portal/enduser");
    assert_eq!(claims["urn:altinn:authlevel"], 3);

    let maskinportens = read(&format!("{base_url}/jwk")).await.unwrap();
    assert!(verified(answer["access_token"].as_str().unwrap(), &maskinportens).is_none());
    let mut too_high = order;
    too_high["level"] = json!(5);
    assert_eq!(post(base_url, "standin/user-token", &too_high).await.unwrap().0, 400);
}

#[tokio::test]
async fn the_metadata_names_the_endpoints() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    let url = format!("{base_url}/.well-known/oauth-authorization-server");
    let metadata = read(&url).await.unwrap();
    assert_eq!(metadata["issuer"], format!("{base_url}/"));
    assert_eq!(metadata["token_endpoint"], format!("{base_url}/token"));
    assert_eq!(metadata["jwks_uri"], format!("{base_url}/jwk"));
}

#[tokio::test]
async fn wrong_orders_are_refused_with_a_sentence() {
    let setting = setting().await.unwrap();
    let base_url = setting.maskinporten.base_url();
    for url in ["https://127.0.0.1/", "http://192.0.2.1/", "ftp://127.0.0.1/", "x"] {
        let status = put(base_url, "standin/control-plane", &json!({ "url": url })).await.unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{url}");
    }
    let registration = json!({
        "clientId": "x", "organizationNumber": "310247031", "scopes": [],
        "jwks": { "keys": [setting.key.public_jwk()] },
    });
    let (status, answer) = post(base_url, "standin/clients", &registration).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().contains("control digit"), "{answer}");
    let (status, _) = post(base_url, "standin/rotate-keys", &json!({ "algorithm": "none" })).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn stopping_frees_the_port() {
    let setting = setting().await.unwrap();
    let address = setting.maskinporten.base_url().strip_prefix("http://").unwrap().to_owned();
    setting.maskinporten.stop().await.unwrap();
    TcpListener::bind(address).await.unwrap();
}
