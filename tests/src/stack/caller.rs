//! Calling an HTTP API with a token, and saying what was expected when the answer is another.

use anyhow::{Context, Result, bail};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::http::loopback_client;

/// What is sent with a call.
#[derive(Debug, Clone)]
pub enum Body {
    None,
    Json(Value),
    Xml(String),
}

/// Calls one service, as one caller or as nobody.
#[derive(Debug, Clone)]
pub struct ApiCaller {
    base_url: String,
    token: Option<String>,
    headers: HeaderMap,
    http: reqwest::Client,
}

/// An answer with the call it belongs to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `PUT /portvakt/v1/parties`
    pub call: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl ApiCaller {
    /// Calls `base_url` without a token.
    pub fn anonymous(base_url: &str) -> Result<Self> {
        Ok(Self { base_url: base_url.into(), token: None, headers: HeaderMap::new(), http: loopback_client()? })
    }

    /// The same service, called with this bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same, with one more header on every call.
    pub fn with_header(&self, name: &str, value: &str) -> Result<Self> {
        let mut caller = self.clone();
        let name: HeaderName = name.parse().with_context(|| format!("`{name}`"))?;
        caller.headers.append(name, value.parse().with_context(|| format!("`{value}`"))?);
        Ok(caller)
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, Body::None).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, Body::None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::POST, path, Body::Json(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::PUT, path, Body::Json(body)).await
    }

    /// The body of a 200; `None` for any other answer.
    pub async fn get_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut request = self.http.get(format!("{}{path}", self.base_url)).headers(self.headers.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.with_context(|| format!("GET {path} was not answered"))?;
        if answer.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = answer.bytes().await.with_context(|| format!("the answer to GET {path} broke off"))?;
        Ok(Some(body.to_vec()))
    }

    pub async fn call(&self, method: Method, path: &str, body: Body) -> Result<Answer> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base_url)).headers(self.headers.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request = match body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Xml(body) => request.header("content-type", "application/xml").body(body),
        };
        let answer = request.send().await.with_context(|| format!("{call} was not answered"))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await.with_context(|| format!("the answer to {call} broke off"))?;
        Ok(Answer { call, status, headers, body })
    }
}

impl Answer {
    /// The answer, if its status is as expected; else an error with all of it.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("{} was answered with {}, expected {status}: {}", self.call, self.status, self.body);
        }
        Ok(self)
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("the answer to {} is no JSON: {}", self.call, self.body))
    }

    /// The member `code` of a problem, or nothing.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem.get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
