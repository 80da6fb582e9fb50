//! Tokens of the test's own issuers. A key is 32 bytes of one number.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

use super::{TestDatabase, TestState, story};
use crate::config::{ExchangeIssuerConfig, ExchangeProvider, PlatformIssuerConfig, TokensConfig};
use crate::state::Clock as _;

pub(crate) const MASKINPORTEN: &str = "https://maskinporten.test/";
pub(crate) const ALTINN: &str = "https://platform.test/authentication/api/v1/openid/";
pub(crate) const MASKINPORTEN_KEY: u8 = 10;
pub(crate) const ALTINN_KEY: u8 = 20;
pub(crate) const ID_PORTEN: &str = "https://idporten.test";
pub(crate) const ID_PORTEN_KEY: u8 = 30;
pub(crate) const STUDIO: &str = "https://studio.test";
pub(crate) const STUDIO_KEY: u8 = 40;
pub(crate) const PLATFORM_KEY: u8 = 50;

pub(crate) fn platform_issuer(jwks_uri: &str) -> PlatformIssuerConfig {
    PlatformIssuerConfig { issuer: "platform".to_owned(), jwks_uri: jwks_uri.to_owned() }
}

/// Tokens of our own, for whoever has logged in at ID-porten or comes from Maskinporten.
pub(crate) fn config(jwks_uri: &str, key_file: &std::path::Path) -> TokensConfig {
    TokensConfig {
        key_file: Some(key_file.to_owned()),
        trusted_by_gateways: true,
        audiences: ["https://api.test".to_owned()].into(),
        service_owners: [("digdir".to_owned(), "310247022".parse().unwrap())].into(),
        session_s: 28_800,
        exchange_issuers: [(ExchangeProvider::IdPorten, ID_PORTEN), (ExchangeProvider::AltinnStudio, STUDIO)]
            .map(|(provider, issuer)| ExchangeIssuerConfig {
                provider,
                issuer: issuer.to_owned(),
                jwks_uri: jwks_uri.to_owned(),
                user_id_claim: None,
            })
            .into(),
        login_providers: Vec::new(),
    }
}

impl TestState {
    /// The story's resources, and tokens of our own.
    pub(crate) async fn with_tokens() -> Self {
        Self::with_tokens_in(TestDatabase::new().await).await
    }

    pub(crate) async fn with_tokens_in(database: TestDatabase) -> Self {
        crate::tokens::write_key_for_test(&database.folder().join("portvakt.tokens.json"));
        let test = Self::unpublished_in(database, "http://127.0.0.1:1/jwk").await;
        tokio::spawn(crate::snapshots::keep_published(test.state.clone()));
        let id_porten = [jwk("i", ID_PORTEN_KEY)];
        crate::issuers::trust_for_test(&test.state, ID_PORTEN, &id_porten).await;
        crate::issuers::trust_for_test(&test.state, STUDIO, &[jwk("s", STUDIO_KEY)]).await;
        let platform = [jwk("p", PLATFORM_KEY)];
        crate::issuers::trust_for_test(&test.state, "platform", &platform).await;
        test.put_resources().await;
        test
    }
}

/// The public half of a key.
pub(crate) fn jwk(kid: &str, key: u8) -> Value {
    let point = secret(key).public_key();
    let point = p256::EncodedPoint::from(point);
    let coordinate = |bytes: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(bytes.unwrap());
    json!({ "kid": kid, "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256", "x": coordinate(point.x()), "y": coordinate(point.y()) })
}

/// A token of Maskinporten's.
pub(crate) struct Maskinporten {
    claims: Value,
    kid: String,
    key: u8,
}

impl Maskinporten {
    pub(crate) fn new(organization: &str, scope: &str) -> Self {
        let mut token = Self::without_consumer(scope);
        token.claims["consumer"] = json!({ "authority": "iso6523-actorid-upis", "ID": format!("0192:{organization}") });
        token
    }

    pub(crate) fn without_consumer(scope: &str) -> Self {
        let claims = json!({ "iss": MASKINPORTEN, "scope": scope, "client_id": story::CLIENT_ID });
        Self { claims, kid: "m".to_owned(), key: MASKINPORTEN_KEY }
    }

    /// With all that a vendor needs.
    pub(crate) fn vendor(organization: &str) -> Self {
        let scopes = ["systemregister.write", "systemuser.request.write", "systemuser.request.read"];
        Self::new(organization, &scopes.map(|scope| format!("altinn:authentication/{scope}")).join(" "))
    }

    pub(crate) fn system_user(mut self, id: &str, owner: &str) -> Self {
        self.claims["authorization_details"] = json!([{
            "type": "urn:altinn:systemuser",
            "systemuser_org": { "authority": "iso6523-actorid-upis", "ID": format!("0192:{owner}") },
            "systemuser_id": [id],
            "system_id": "310247030_smartcloud",
        }]);
        self
    }

    /// Which system the system user is of.
    pub(crate) fn system(mut self, system: &str) -> Self {
        self.claims["authorization_details"][0]["system_id"] = json!(system);
        self
    }

    /// Another claim, or the same with another value.
    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    pub(crate) fn key(mut self, kid: &str, key: u8) -> Self {
        self.kid = kid.to_owned();
        self.key = key;
        self
    }

    pub(crate) fn token(self, test: &TestState) -> String {
        signed(self.claims, &self.kid, self.key, test)
    }
}

/// A token of a person who has logged in.
pub(crate) struct User(Value);

impl User {
    pub(crate) fn new(user_id: i64) -> Self {
        Self(json!({
            "iss": ALTINN, "scope": "altinn:portal/enduser", "urn:altinn:userid": user_id, "urn:altinn:authlevel": 3,
        }))
    }

    pub(crate) fn scope(mut self, scope: &str) -> Self {
        self.0["scope"] = json!(scope);
        self
    }

    pub(crate) fn level(mut self, level: u8) -> Self {
        self.0["urn:altinn:authlevel"] = json!(level);
        self
    }

    pub(crate) fn token(self, test: &TestState) -> String {
        signed(self.0, "a", ALTINN_KEY, test)
    }
}

fn signed(mut claims: Value, kid: &str, key: u8, test: &TestState) -> String {
    let now = test.clock.now().unix_seconds();
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + 120);
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    let der = secret(key).to_pkcs8_der().unwrap();
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(der.as_bytes())).unwrap()
}

fn secret(key: u8) -> p256::SecretKey {
    p256::SecretKey::from_slice(&[key; 32]).unwrap()
}
