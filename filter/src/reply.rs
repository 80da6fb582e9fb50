//! What a refused caller sees: status, challenge (RFC 6750, RFC 9728) and a problem body (RFC 9457) with a stable code, in
//! words of the caller's language; gRPC callers a status and a message. And what anybody may know of the API: its metadata
//! as a protected resource (RFC 9728).

use policies::explain::Language;
use policies::{Denial, DenialReason, ProtectedResource};
use proxy_wasm::types::GrpcStatusCode;
use serde::Serialize;

use crate::config::{Config, Resource};

/// When to try again after trouble with the policy, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// An answer in place of the API's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusalReply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// For a gRPC caller, instead of status and body.
    pub(crate) grpc: Option<(GrpcStatusCode, String)>,
}

/// How a caller wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) language: Language,
    pub(crate) is_grpc: bool,
}

impl Asker {
    /// From the values of `accept-language` and `content-type`. What Envoy takes for gRPC is gRPC here: gRPC-Web is not.
    pub(crate) fn read(accept_language: Option<&[u8]>, content_type: Option<&[u8]>) -> Self {
        let accepted = accept_language.and_then(|value| std::str::from_utf8(value).ok());
        let is_grpc =
            content_type.is_some_and(|kind| kind == b"application/grpc" || kind.starts_with(b"application/grpc+"));
        Self { language: Language::of_header(accepted.unwrap_or("")), is_grpc }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'denial> {
    // First, because the finished module finds the code in it: `xtask/src/details.rs`.
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

pub(crate) fn refuse(denial: &Denial, config: &Config, support_id: Option<&str>, asker: Asker) -> RefusalReply {
    let status = denial.reason.status();
    let code = denial.reason.code();
    let problem = Problem {
        kind: format!("urn:portvakt:denial:{code}"),
        title: title(status, asker.language),
        status,
        code,
        detail: denial.explain_in(asker.language),
        right: denial.right.as_ref(),
        party: denial.party.map(|party| party.to_string()),
        support_id,
    };
    // A struct of strings cannot fail to serialize.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let mut headers = vec![("cache-control", "no-store".to_owned())];
    if let Some(challenge) = challenge(denial, config) {
        headers.push(("www-authenticate", challenge));
    }
    if status == 503 {
        headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned()));
    }
    if asker.is_grpc {
        let grpc = Some((grpc_status(status), format!("{code}: {}", denial.explain())));
        return RefusalReply { status, headers, body: String::new(), grpc };
    }
    headers.push(("content-type", "application/problem+json".to_owned()));
    headers.push(("content-language", asker.language.tag().to_owned()));
    headers.push(("vary", "accept-language".to_owned()));
    RefusalReply { status, headers, body, grpc: None }
}

fn title(status: u16, language: Language) -> &'static str {
    let (nb, nn, en) = match status {
        400 => ("Kallet er ikke gyldig", "Kallet er ikkje gyldig", "Bad Request"),
        401 => ("Kallet er ikke autentisert", "Kallet er ikkje autentisert", "Unauthorized"),
        403 => ("Ingen tilgang", "Ingen tilgang", "Forbidden"),
        _ => ("Tjenesten er ikke tilgjengelig", "Tenesta er ikkje tilgjengeleg", "Service Unavailable"),
    };
    match language {
        Language::Nb => nb,
        Language::Nn => nn,
        Language::En => en,
    }
}

/// The status of gRPC that says the same.
fn grpc_status(status: u16) -> GrpcStatusCode {
    match status {
        400 => GrpcStatusCode::InvalidArgument,
        401 => GrpcStatusCode::Unauthenticated,
        403 => GrpcStatusCode::PermissionDenied,
        _ => GrpcStatusCode::Unavailable,
    }
}

/// Metadata of a protected resource (RFC 9728 section 2).
#[derive(Serialize)]
struct ResourceMetadata<'policy> {
    resource: &'policy str,
    authorization_servers: &'policy [&'policy str],
    scopes_supported: &'policy [&'policy str],
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'policy str>,
}

/// How long others may keep the metadata, and who may read it in a browser: everybody.
pub(crate) const METADATA_HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=300"),
    ("access-control-allow-origin", "*"),
];

/// What anybody may know of the API.
pub(crate) fn metadata(resource: &Resource, known: &ProtectedResource<'_>) -> String {
    let metadata = ResourceMetadata {
        resource: &resource.identifier,
        authorization_servers: &known.authorization_servers,
        scopes_supported: &known.scopes,
        bearer_methods_supported: ["header"],
        resource_documentation: resource.documentation.as_deref(),
    };
    // A struct of strings cannot fail to serialize.
    serde_json::to_string(&metadata).unwrap_or_default()
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
        refuse(denial, &config(), Some("0b0e"), Asker::read(None, None))
    }

    #[test]
    fn words_are_in_the_language_that_was_asked_for() {
        let denial = Denial::new(DenialReason::Token(TokenError::Expired));
        let in_language = |accepted: &str| {
            let asker = Asker::read(Some(accepted.as_bytes()), Some(b"application/json"));
            let reply = refuse(&denial, &config(), None, asker);
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            (header(&reply, "content-language").unwrap(), body["detail"].as_str().unwrap().to_owned())
        };
        for (accepted, language, words) in [
            ("nb", "nb", "Tokenet er utløpt."),
            ("nn;q=0.9, en;q=0.1", "nn", "Tokenet har gått ut."),
            ("nn;q=0.1, en;q=0.9", "en", "the token has expired"),
            ("nb;q=0, sv", "en", "the token has expired"),
        ] {
            assert_eq!(in_language(accepted), (language.to_owned(), words.to_owned()), "{accepted}");
        }
        assert_eq!(Asker::read(Some(b"\xff"), None).language, Language::En);
    }

    #[test]
    fn grpc_callers_get_a_status_and_a_message() {
        for reason in DenialReason::all() {
            let asker = Asker::read(None, Some(b"application/grpc+proto"));
            let reply = refuse(&Denial::new(reason), &config(), None, asker);
            let (status, message) = reply.grpc.unwrap();
            let expected = match reply.status {
                400 => 3,
                401 => 16,
                403 => 7,
                _ => 14,
            };
            assert_eq!(status as u32, expected, "{reason}");
            assert!(message.starts_with(&format!("{}: ", reason.code())) && reply.body.is_empty(), "{message}");
            assert!(reason.code().len() <= 64 && reason.code().bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')));
        }
        for other in ["application/grpc-web", "application/grpcx", "application/json"] {
            assert!(!Asker::read(None, Some(other.as_bytes())).is_grpc, "{other}");
        }
    }

    #[test]
    fn metadata_names_issuers_and_scopes() {
        let resource = Resource {
            identifier: "https://api.example.no/vat".to_owned(),
            documentation: None,
            metadata_path: "/.well-known/oauth-protected-resource/vat".to_owned(),
        };
        let known = ProtectedResource { authorization_servers: vec!["https://maskinporten.no/"], scopes: vec!["a:b"] };
        let body: Value = serde_json::from_str(&metadata(&resource, &known)).unwrap();
        let expected = serde_json::json!({
            "resource": "https://api.example.no/vat",
            "authorization_servers": ["https://maskinporten.no/"],
            "scopes_supported": ["a:b"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(body, expected);
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
            assert!(reply.body.starts_with(&format!("{{\"type\":\"urn:portvakt:denial:{}\"", reason.code())));
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
