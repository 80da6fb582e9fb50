//! What a refused caller sees: status, challenge (RFC 6750, RFC 9728) and a problem body (RFC 9457) with a stable code, in
//! words of the caller's language; gRPC callers a status and a message. And what anybody may know of the API: its metadata
//! as a protected resource (RFC 9728).

use policies::explain::Language;
use policies::right::Right;
use policies::{Denial, DenialReason, ProtectedResource};
use proxy_wasm::types::GrpcStatusCode;
use serde::Serialize;

use crate::config::{Config, Resource};
use crate::text::escape_from;

/// When to try again after trouble with the policy, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// Room for the usual problem, and for the usual challenge.
const PROBLEM_BYTES: usize = 512;
const CHALLENGE_BYTES: usize = 256;

/// An answer in place of the API's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefusalReply {
    pub(crate) status: u16,
    language: Language,
    challenge: Option<String>,
    pub(crate) body: String,
    /// For a gRPC caller, instead of status and body.
    pub(crate) grpc: Option<(GrpcStatusCode, String)>,
}

impl RefusalReply {
    /// Nobody stores it, so it need not say that it varies with the language.
    pub(crate) fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = Vec::with_capacity(5);
        headers.push(("cache-control", "no-store"));
        if let Some(challenge) = &self.challenge {
            headers.push(("www-authenticate", challenge));
        }
        if self.status == 503 {
            headers.push(("retry-after", RETRY_AFTER_SECONDS));
        }
        if self.grpc.is_none() {
            headers.push(("content-type", "application/problem+json"));
            headers.push(("content-language", self.language.tag()));
        }
        headers
    }
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
        Self { language: accepted.map_or(Language::En, Language::of_header), is_grpc }
    }
}

pub(crate) fn refuse(denial: &Denial, config: &Config, support_id: Option<&str>, asker: Asker) -> RefusalReply {
    let Asker { language, is_grpc } = asker;
    let (status, challenge) = (denial.reason.status(), challenge(denial, config));
    if is_grpc {
        let grpc = Some((grpc_status(status), message(denial)));
        return RefusalReply { status, language, challenge, body: String::new(), grpc };
    }
    RefusalReply { status, language, challenge, body: problem(denial, support_id, language), grpc: None }
}

/// The problem as JSON, from pieces. What stands in it as it is has an alphabet that needs no escape: codes, resources and
/// actions (`policies::id`), digits, the support id.
fn problem(denial: &Denial, support_id: Option<&str>, language: Language) -> String {
    let code = denial.reason.code();
    let title_and_status = title_and_status(denial.reason.status(), language);
    let mut text = String::with_capacity(PROBLEM_BYTES);
    // The type first, because the finished module finds the code in it: `xtask/src/details.rs`.
    let start = r#"{"type":"urn:portvakt:denial:"#;
    text.extend([start, code, title_and_status, r#","code":""#, code, r#"","detail":""#]);
    let detail = text.len();
    denial.explain_into(&mut text, language);
    escape_from(&mut text, detail);
    text.push('"');
    if let Some(Right { resource, action }) = &denial.right {
        let (resource, action) = (resource.as_str(), action.as_str());
        text.extend([r#","right":{"resource":""#, resource, r#"","action":""#, action, r#""}"#]);
    }
    if let Some(party) = denial.party {
        text.extend([r#","party":""#, party.encode(&mut [0; 9]), r#"""#]);
    }
    if let Some(support_id) = support_id {
        text.extend([r#","supportId":""#, support_id, r#"""#]);
    }
    text.push('}');
    text
}

/// The code first, for the same reason.
fn message(denial: &Denial) -> String {
    let mut message = String::with_capacity(CHALLENGE_BYTES);
    message.extend([denial.reason.code(), ": "]);
    denial.explain_into(&mut message, Language::En);
    message
}

/// The end of `type`, and the members between it and `code`.
macro_rules! title_and_status {
    ($title:literal, $status:literal) => {
        concat!("\",\"title\":\"", $title, "\",\"status\":", $status)
    };
}

fn title_and_status(status: u16, language: Language) -> &'static str {
    let (nb, nn, en) = match status {
        400 => (
            title_and_status!("Kallet er ikke gyldig", 400),
            title_and_status!("Kallet er ikkje gyldig", 400),
            title_and_status!("Bad Request", 400),
        ),
        401 => (
            title_and_status!("Kallet er ikke autentisert", 401),
            title_and_status!("Kallet er ikkje autentisert", 401),
            title_and_status!("Unauthorized", 401),
        ),
        403 => (
            title_and_status!("Ingen tilgang", 403),
            title_and_status!("Ingen tilgang", 403),
            title_and_status!("Forbidden", 403),
        ),
        _ => (
            title_and_status!("Tjenesten er ikke tilgjengelig", 503),
            title_and_status!("Tenesta er ikkje tilgjengeleg", 503),
            title_and_status!("Service Unavailable", 503),
        ),
    };
    language.choose(nb, nn, en)
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
    let mut challenge = String::with_capacity(CHALLENGE_BYTES);
    challenge.extend(["Bearer realm=\"", &config.realm, "\""]);
    if let Some(error) = error {
        let description = denial.reason.to_string();
        challenge.extend([", error=\"", error, "\", error_description=\"", &description, "\""]);
    }
    if denial.reason == DenialReason::ScopeMissing {
        challenge.extend([", scope=\"", &denial.scopes.join(" "), "\""]);
    }
    if let Some(metadata) = &config.resource_metadata {
        challenge.extend([", resource_metadata=\"", metadata, "\""]);
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
        reply.headers().into_iter().find(|(header, _)| *header == name).map(|(_, value)| value.to_owned())
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
    fn a_scope_of_any_characters_stays_in_its_string() {
        let scope = "a\"b\\,\",\"code\":\"";
        let reply = reply(&Denial { scopes: vec![scope.to_owned()], ..Denial::new(DenialReason::ScopeMissing) });
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["detail"], format!("the token lacks a scope: {scope}"));
        assert_eq!(body["code"], "scope_missing");
    }

    #[test]
    fn a_problem_has_every_member_and_the_type_first() {
        let right = Right { resource: "vat".parse().unwrap(), action: "read".parse().unwrap() };
        let party = Some("310247049".parse().unwrap());
        let reply = reply(&Denial { right: Some(right), party, ..Denial::new(DenialReason::RightMissing) });
        let expected = r#"{"type":"urn:portvakt:denial:right_missing","title":"Forbidden","status":403,"code":"right_missing","detail":"the system user does not hold `read on vat` for 310247049","right":{"resource":"vat","action":"read"},"party":"310247049","supportId":"0b0e"}"#;
        assert_eq!(reply.body, expected);
        assert!(expected.len() <= PROBLEM_BYTES);
        let names: Vec<_> = reply.headers().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["cache-control", "content-type", "content-language"]);
    }

    #[test]
    fn the_missing_right_is_in_the_body() {
        let right = Right { resource: "vat".parse().unwrap(), action: "read".parse().unwrap() };
        let party = Some("310247049".parse().unwrap());
        let reply = reply(&Denial { right: Some(right), party, ..Denial::new(DenialReason::RightMissing) });
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["right"]["resource"], "vat");
        assert_eq!(body["party"], "310247049");
        assert_eq!(reply.status, 403);
    }
}
