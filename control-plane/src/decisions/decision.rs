//! `POST /authorization/api/v1/decision`: Altinn's inner door, for the platform. The JSON profile if the content type says
//! so, XML otherwise.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use policies::xacml::context::EntryPoint;

use super::judge;
use super::question::{Format, Question};
use crate::caller::Platform;
use crate::json::body_bytes;
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// XACML, JSON profile or XML, for the platform.
#[utoipa::path(
    post, path = "/authorization/api/v1/decision", operation_id = "decide", tag = openapi::DECISIONS,
    security(("maskinporten" = ["portvakt:decisions"])),
    request_body(content((serde_json::Value = "application/json"), (String = "application/xml"))),
    responses((status = 200, description = "In the form of the request", content((Object = "application/json"), (String = "application/xml")))),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Platform,
    request: Request,
) -> Result<Response, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_json = media_type.to_ascii_lowercase().contains("application/json");
    let format = if is_json { Format::Json } else { Format::Xml };
    let bytes = body_bytes(request, &state).await?;
    judge::answer(&state, Question::new(bytes, format, EntryPoint::Internal)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::decisions::story::{DECISION, HANSEN, asks, authorizer, platform};
    use crate::test_state::{Answer, TestState, story, tokens};

    const PERSON: (&str, &str) = ("urn:altinn:person:identifier-no", "01017012345");

    fn xml(user: &str, resource: &str) -> String {
        let attribute = |id: &str, value: &str| {
            format!(
                "<Attribute AttributeId=\"{id}\" IncludeInResult=\"false\"><AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">{value}</AttributeValue></Attribute>"
            )
        };
        format!(
            "<Request xmlns=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\" ReturnPolicyIdList=\"false\" CombinedDecision=\"false\">\
             <Attributes Category=\"urn:oasis:names:tc:xacml:1.0:subject-category:access-subject\">{}</Attributes>\
             <Attributes Category=\"urn:oasis:names:tc:xacml:3.0:attribute-category:action\">{}</Attributes>\
             <Attributes Category=\"urn:oasis:names:tc:xacml:3.0:attribute-category:resource\">{}{}</Attributes></Request>",
            attribute("urn:altinn:userid", user),
            attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", "read"),
            attribute("urn:altinn:resource", resource),
            attribute(HANSEN.0, HANSEN.1),
        )
    }

    async fn sent(test: &TestState, media_type: &str, body: String) -> Answer {
        test.send("POST", DECISION, &platform(test), Some((media_type, body))).await
    }

    fn text(answer: &Answer) -> String {
        String::from_utf8(answer.bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn xml_is_answered_in_xml_and_json_in_json() {
        let test = TestState::with_resources().await;
        let user = story::HANSENS_MANAGER.to_string();
        let answer = sent(&test, "application/xml", xml(&user, "vat")).await;
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "application/xml"));
        assert!(text(&answer).contains("<Decision>Permit</Decision>"), "{}", text(&answer));
        let body = asks(("urn:altinn:userid", &user), "read", "vat", HANSEN).to_string();
        let answer = sent(&test, "application/json; charset=utf-8", body).await.expect(200);
        assert_eq!(answer["response"][0]["decision"], "Permit");
    }

    #[tokio::test]
    async fn whatever_is_wrong_is_one_indeterminate_with_syntax_error() {
        let test = TestState::with_resources().await;
        let of_person = asks(PERSON, "read", "vat", HANSEN).to_string();
        let about_person = asks(HANSEN, "read", "vat", PERSON).to_string();
        for body in [
            of_person,
            about_person,
            "{".to_owned(),
            "<a/>".to_owned(),
            asks(HANSEN, "read", "unknown", HANSEN).to_string(),
        ] {
            let answer = sent(&test, "application/json", body).await.expect(200);
            assert_eq!(answer["response"].as_array().unwrap().len(), 1);
            assert_eq!(answer["response"][0]["decision"], "Indeterminate");
            assert_eq!(
                answer["response"][0]["status"]["statusCode"]["value"],
                "urn:oasis:names:tc:xacml:1.0:status:syntax-error"
            );
        }
        let bomb = "<!DOCTYPE l [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><Request>&b;</Request>";
        for body in [bomb.to_owned(), "{}".to_owned(), String::new(), xml("1", "unknown"), "<a>".repeat(100_000)] {
            let answer = sent(&test, "text/xml", body).await;
            assert_eq!(answer.status, 200);
            assert!(text(&answer).contains("<Decision>Indeterminate</Decision>"), "{}", text(&answer));
            assert!(text(&answer).contains("status:syntax-error"), "{}", text(&answer));
        }
    }

    #[tokio::test]
    async fn only_the_operators_platform_is_answered() {
        let test = TestState::with_resources().await;
        let body = asks(HANSEN, "read", "vat", HANSEN);
        test.post(DECISION, "", &body).await.expect_code(401, "token_missing");
        test.post(DECISION, &authorizer(&test), &body).await.expect_code(403, "insufficient_scope");
        let stranger = tokens::Maskinporten::new("310247022", "portvakt:decisions").token(&test);
        test.post(DECISION, &stranger, &body).await.expect_code(403, "organization_not_allowed");
        test.post(DECISION, &test.operator(), &body).await.expect(200);
        assert_eq!(json!(test.post(DECISION, &platform(&test), &body).await.status), 200);
    }
}
