//! A provider of logins, as OpenID Connect Core 1.0 and Discovery 1.0 have it; the protocol is the `openidconnect` crate's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _,
};
use policies::Timestamp;
use serde_json::{Map, Value};
use url::Url;

use super::PATH;
use crate::config::LoginProviderConfig;
use crate::issuers;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// How long what a provider says of itself is believed, in seconds.
const METADATA_S: i64 = 300;
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// All providers that are configured.
#[derive(Debug)]
pub(crate) struct LoginProviders(Vec<Provider>);

/// One of them.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) config: LoginProviderConfig,
    http: reqwest::Client,
    metadata: Mutex<Option<(Timestamp, Arc<CoreProviderMetadata>)>>,
}

/// Why a code was not redeemed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The provider does not answer as it should.
    Provider(anyhow::Error),
    /// The provider refuses, or what it says does not stand.
    Refused(anyhow::Error),
}

/// An HTTP call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct CallError(anyhow::Error);

impl LoginProviders {
    pub(crate) fn open(configs: Vec<LoginProviderConfig>) -> anyhow::Result<Self> {
        let http = issuers::client(configs.iter().map(|config| config.issuer.as_str()))
            .context("cannot make the HTTP client that logs people in")?;
        let providers = configs.into_iter();
        Ok(Self(providers.map(|config| Provider { config, http: http.clone(), metadata: Mutex::default() }).collect()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Provider> {
        self.all().find(|provider| provider.config.name == name)
    }

    /// The provider, where there is one only.
    pub(super) fn only(&self) -> Option<&Provider> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl Provider {
    /// Where the browser goes to log in.
    pub(super) async fn authorize_url(
        &self,
        state: &AppState,
        secret: String,
        nonce: String,
        pkce_verifier: &str,
    ) -> Result<Url, Problem> {
        let metadata = self.metadata(state).await.map_err(|cause| {
            tracing::warn!(provider = self.config.name, "cannot begin a login: {cause:#}");
            codes::LOGIN_PROVIDER_FAILED
        })?;
        let verifier = PkceCodeVerifier::new(pkce_verifier.to_owned());
        let client = CoreClient::from_provider_metadata(
            metadata.as_ref().clone(),
            ClientId::new(self.config.client_id.clone()),
            self.secret(),
        )
        .set_redirect_uri(redirect_url(state).map_err(Problem::internal)?);
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(secret),
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        Ok(request.url().0)
    }

    /// What the provider says of the person, for a code: the claims of a verified id token.
    pub(super) async fn redeem(
        &self,
        state: &AppState,
        code: &str,
        nonce: &str,
        pkce_verifier: String,
    ) -> Result<Map<String, Value>, Failed> {
        let metadata = self.metadata(state).await.map_err(Failed::Provider)?;
        let client = CoreClient::from_provider_metadata(
            metadata.as_ref().clone(),
            ClientId::new(self.config.client_id.clone()),
            self.secret(),
        )
        .set_redirect_uri(redirect_url(state).map_err(Failed::Provider)?);
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|error| Failed::Provider(error.into()))?;
        let http = |request: HttpRequest| call(self.http.clone(), request);
        let answer = request.set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier)).request_async(&http).await;
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => Failed::Refused(anyhow::anyhow!("{refusal}")),
            // Its message may quote the answer, which has tokens in it.
            RequestTokenError::Parse(..) => Failed::Provider(anyhow::anyhow!("the answer is no token response")),
            error => Failed::Provider(anyhow::anyhow!("{error}")),
        })?;
        let token = answer.id_token().ok_or_else(|| Failed::Provider(anyhow::anyhow!("the answer has no id token")))?;
        let verified = token.claims(&client.id_token_verifier(), &Nonce::new(nonce.to_owned())).map(drop);
        verified.map_err(|error| {
            // A key may be new; the next login looks again.
            *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = None;
            Failed::Refused(anyhow::anyhow!("the id token does not stand: {error}"))
        })?;
        claims(&token.to_string()).map_err(Failed::Provider)
    }

    fn secret(&self) -> Option<ClientSecret> {
        self.config.client_secret.clone().map(ClientSecret::new)
    }

    /// What the provider says of itself, its keys included.
    async fn metadata(&self, state: &AppState) -> anyhow::Result<Arc<CoreProviderMetadata>> {
        let now = state.clock.now();
        {
            let known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, metadata)) = &*known
                && now < at.plus_seconds(METADATA_S)
            {
                return Ok(metadata.clone());
            }
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone())?;
        let http = |request: HttpRequest| call(self.http.clone(), request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
        let metadata = Arc::new(metadata.map_err(|error| anyhow::anyhow!("{error}"))?);
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, metadata.clone()));
        Ok(metadata)
    }
}

fn redirect_url(state: &AppState) -> anyhow::Result<RedirectUrl> {
    let url = state.settings.public_url.join(&format!("{}/callback", PATH.trim_start_matches('/')))?;
    Ok(RedirectUrl::from_url(url))
}

/// One call to a provider, within limits and without redirects.
async fn call(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, CallError> {
    let called = async {
        let mut answer = client.execute(reqwest::Request::try_from(request)?).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            anyhow::ensure!(body.len() + chunk.len() <= ANSWER_BYTES_MAX, "the answer is too large");
            body.extend_from_slice(&chunk);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    };
    match tokio::time::timeout(CALL_TIME_MAX, called).await {
        Ok(called) => called.map_err(CallError),
        Err(_) => Err(CallError(anyhow::anyhow!("no answer within {} s", CALL_TIME_MAX.as_secs()))),
    }
}

/// All claims of an id token that was verified.
fn claims(token: &str) -> anyhow::Result<Map<String, Value>> {
    let payload = token.split('.').nth(1).context("the id token has no payload")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}
