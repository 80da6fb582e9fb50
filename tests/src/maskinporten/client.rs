//! What the system of an organisation does to get a token: holds a key, signs an assertion, posts it.
//!
//! Vendors, API providers and operators all use it; only a vendor names a system user.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jsonwebtoken::Algorithm;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::{SigningAlgorithm, SigningKey, random_id};
use super::organization::{Iso6523, OrganizationNumber};
use super::state::now;
use super::token::GRANT_TYPE;
use crate::http;

const ASSERTION_SECONDS: i64 = 100;

/// One registered client of one organisation.
#[derive(Debug, Clone)]
pub struct MaskinportenClient {
    client_id: String,
    organization: OrganizationNumber,
    base_url: String,
    key: Arc<SigningKey>,
    http: reqwest::Client,
}

/// A token that was given out.
#[derive(Debug, Clone, Deserialize)]
pub struct IssuedToken {
    pub access_token: String,
    pub token_type: String,
    pub expires_in: i64,
    pub scope: String,
}

/// A refusal in OAuth's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedGrant {
    pub status: StatusCode,
    pub error: String,
    pub description: String,
}

/// The two answers to a grant that reached the token endpoint.
pub type GrantAnswer = std::result::Result<IssuedToken, RefusedGrant>;

impl MaskinportenClient {
    /// A key that a client may sign with; takes about a second, so share it where the difference does not matter.
    pub fn generate_key() -> Result<Arc<SigningKey>> {
        SigningKey::generate(SigningAlgorithm::Rs256).map(Arc::new)
    }

    /// A client of the Maskinporten at `base_url` (without a slash at the end).
    pub fn new(
        base_url: &str,
        client_id: &str,
        organization: OrganizationNumber,
        key: Arc<SigningKey>,
    ) -> Result<Self> {
        Ok(Self {
            client_id: client_id.into(),
            organization,
            base_url: base_url.into(),
            key,
            http: http::loopback_client()?,
        })
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn organization(&self) -> OrganizationNumber {
        self.organization
    }

    /// Registers this client with the stand-in, allowed to ask for `scopes`.
    pub async fn register(&self, scopes: &[&str]) -> Result<()> {
        let body = json!({
            "clientId": self.client_id,
            "organizationNumber": self.organization.to_string(),
            "jwks": { "keys": [self.key.public_jwk()] },
            "scopes": scopes,
        });
        let url = format!("{}/standin/clients", self.base_url);
        let answer = self.http.post(url).json(&body).send().await.context("no stand-in")?;
        let status = answer.status();
        let text = answer.text().await.context("the stand-in's answer broke off")?;
        ensure!(status == StatusCode::CREATED, "registering the client: {status} {text}");
        Ok(())
    }

    /// A token for the organisation itself.
    pub async fn organization_token(&self, scopes: &str) -> Result<GrantAnswer> {
        self.grant(&self.assertion(scopes, None)?).await
    }

    /// A token for the system user that `owner` has approved.
    pub async fn system_user_token(
        &self,
        scopes: &str,
        owner: OrganizationNumber,
        external_ref: Option<&str>,
    ) -> Result<GrantAnswer> {
        let mut detail = json!({
            "type": "urn:altinn:systemuser",
            "systemuser_org": Iso6523::from(owner),
        });
        if let (Some(reference), Some(members)) = (external_ref, detail.as_object_mut()) {
            members.insert("externalRef".into(), reference.into());
        }
        self.grant(&self.assertion(scopes, Some(json!([detail])))?).await
    }

    /// The claims of a fresh assertion; tests change them before signing.
    pub fn claims(&self, scopes: &str, details: Option<Value>) -> Result<Value> {
        let issued = now()?;
        let mut claims = json!({
            "aud": format!("{}/", self.base_url),
            "iss": self.client_id,
            "scope": scopes,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
            "jti": random_id()?,
        });
        if let (Some(details), Some(members)) = (details, claims.as_object_mut()) {
            members.insert("authorization_details".into(), details);
        }
        Ok(claims)
    }

    /// Claims signed with this client's key.
    pub fn sign(&self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        self.key.sign_as(algorithm, claims)
    }

    /// Posts an assertion to the token endpoint.
    pub async fn grant(&self, assertion: &str) -> Result<GrantAnswer> {
        let form = [("grant_type", GRANT_TYPE), ("assertion", assertion)];
        let url = format!("{}/token", self.base_url);
        let answer = self.http.post(url).form(&form).send().await.context("no token endpoint")?;
        read_answer(answer).await
    }

    fn assertion(&self, scopes: &str, details: Option<Value>) -> Result<String> {
        self.sign(Algorithm::RS256, &self.claims(scopes, details)?)
    }
}

/// Reads either form that a token endpoint answers in.
pub async fn read_answer(answer: reqwest::Response) -> Result<GrantAnswer> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: String,
    }
    let status = answer.status();
    let body = answer.bytes().await.context("the token endpoint's answer broke off")?;
    if status == StatusCode::OK {
        return Ok(Ok(serde_json::from_slice(&body).context("the token answer cannot be read")?));
    }
    let Refusal { error, error_description } = serde_json::from_slice(&body).context("the refusal cannot be read")?;
    Ok(Err(RefusedGrant { status, error, description: error_description }))
}
