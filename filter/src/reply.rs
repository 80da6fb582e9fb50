//! What a refused caller sees: status, challenge (RFC 6750, RFC 9728) and a problem body (RFC 9457) with a stable code.

use policies::{Denial, DenialReason};
use serde::Serialize;

use crate::config::Config;

/// When to try again after trouble with the policy, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// An answer in place of the API's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusalReply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'denial> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<&'denial policies::right::Right>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    support_id: Option<&'denial str>,
}

pub(crate) fn refuse(denial: &Denial, config: &Config, support_id: Option<&str>) -> RefusalReply {
    let status = denial.reason.status();
    let code = denial.reason.code();
    let problem = Problem {
        kind: format!("urn:portvakt:denial:{code}"),
        title: title(status),
        status,
        code,
        detail: denial.explain(),
        right: denial.right.as_ref(),
        party: denial.party.map(|party| party.to_string()),
        support_id,
    };
    // A struct of strings cannot fail to serialize.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let mut headers =
        vec![("content-type", "application/problem+json".to_owned()), ("cache-control", "no-store".to_owned())];
    if let Some(challenge) = challenge(denial, config) {
        headers.push(("www-authenticate", challenge));
    }
    if status == 503 {
        headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned()));
    }
    RefusalReply { status, headers, body }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        _ => "Service Unavailable",
    }
}

/// The challenge of RFC 6750 section 3. A call without a token gets no error code, as section 3.1 asks.
fn challenge(denial: &Denial, config: &Config) -> Option<String> {
    let error = match denial.reason {
        DenialReason::TokenMissing => None,
        DenialReason::CredentialsRepeated => Some("invalid_request"),
        DenialReason::ScopeMissing => Some("insufficient_scope"),
        reason if reason.status() == 401 => Some("invalid_token"),
        _ => return None,
    };
    let mut challenge = format!("Bearer realm=\"{}\"", config.realm);
    if let Some(error) = error {
        challenge.push_str(&format!(", error=\"{error}\", error_description=\"{}\"", denial.reason));
    }
    if denial.reason == DenialReason::ScopeMissing {
        challenge.push_str(&format!(", scope=\"{}\"", denial.scopes.join(" ")));
    }
    if let Some(metadata) = &config.resource_metadata {
        challenge.push_str(&format!(", resource_metadata=\"{metadata}\""));
    }
    Some(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::token::TokenError;
    use serde_json::Value;

    fn config() -> Config {
        let mut config = crate::config::tests::valid();
        config["resourceMetadata"] = "https://api.example.no/.well-known/oauth-protected-resource".into();
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn header(reply: &RefusalReply, name: &str) -> Option<String> {
        reply.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone())
    }

    fn reply(denial: &Denial) -> RefusalReply {
        refuse(denial, &config(), Some("0b0e"))
    }

    #[test]
    fn a_missing_token_is_challenged_without_an_error() {
        let reply = reply(&Denial::new(DenialReason::TokenMissing));
        assert_eq!(reply.status, 401);
        let expected = "Bearer realm=\"portvakt\", resource_metadata=\"https://api.example.no/.well-known/oauth-protected-resource\"";
        assert_eq!(header(&reply, "www-authenticate").unwrap(), expected);
    }

    #[test]
    fn challenges_name_the_error() {
        let challenge = |reason| header(&reply(&Denial::new(reason)), "www-authenticate").unwrap();
        assert!(challenge(DenialReason::Token(TokenError::Expired)).contains("error=\"invalid_token\""));
        assert!(challenge(DenialReason::CredentialsRepeated).contains("error=\"invalid_request\""));
        let denial = Denial { scopes: vec!["a:b".to_owned()], ..Denial::new(DenialReason::ScopeMissing) };
        assert!(header(&reply(&denial), "www-authenticate").unwrap().contains("scope=\"a:b\""));
    }

    #[test]
    fn every_reason_has_a_status_a_code_and_words() {
        for reason in DenialReason::all() {
            let reply = reply(&Denial::new(reason));
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(body["code"], reason.code());
            assert_eq!(body["status"], reply.status);
            assert_eq!(body["supportId"], "0b0e");
            assert!(body["detail"].as_str().unwrap().len() > 10);
            assert_eq!(
                header(&reply, "www-authenticate").is_some(),
                reply.status == 401 || body["code"] == "scope_missing" || body["code"] == "credentials_repeated"
            );
            assert_eq!(header(&reply, "retry-after").is_some(), reply.status == 503);
            assert!(
                header(&reply, "www-authenticate")
                    .is_none_or(|value| value.is_ascii() && value.matches('"').count() % 2 == 0)
            );
        }
    }

    #[test]
    fn the_missing_right_is_in_the_body() {
        let right = policies::right::Right { resource: "vat".parse().unwrap(), action: "read".parse().unwrap() };
        let party = Some("310247049".parse().unwrap());
        let reply = reply(&Denial { right: Some(right), party, ..Denial::new(DenialReason::RightMissing) });
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["right"]["resource"], "vat");
        assert_eq!(body["party"], "310247049");
        assert_eq!(reply.status, 403);
    }
}
