//! `POST /authorization/api/v1/authorize`: Altinn's outer door, for service owners. JSON profile in and out.

use axum::extract::{Request, State};
use axum::response::Response;
use policies::xacml::context::EntryPoint;

use super::judge;
use super::question::{Format, Question};
use crate::caller::Authorizer;
use crate::json::{body_bytes, require_json};
use crate::openapi;
use crate::problem::Problem;
use crate::state::AppState;

/// XACML, JSON profile, for service owners. What is wrong with a request is one Indeterminate.
#[utoipa::path(
    post, path = "/authorization/api/v1/authorize", operation_id = "authorize", tag = openapi::DECISIONS,
    security(("maskinporten" = ["altinn:authorization/authorize"])),
    request_body(content = serde_json::Value, description = "The profile's request"),
    responses((status = 200, description = "The profile's answer", body = Object)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: Authorizer,
    request: Request,
) -> Result<Response, Problem> {
    require_json(request.headers())?;
    let bytes = body_bytes(request, &state).await?;
    judge::answer(&state, Question::new(bytes, Format::Json, EntryPoint::External)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::decisions::story::{AUTHORIZE, BAKERI, HANSEN, asks, authorized, authorizer, decided, request};
    use crate::test_state::{TestState, story, tokens};

    const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
    const USER: &str = "urn:altinn:userid";

    async fn put_policy(test: &TestState, resource: &str, xml: &str) {
        let path = format!("{}/policy", story::resource(resource));
        test.put_xml(&path, &test.resource_owner(), xml).await.expect(200);
    }

    #[tokio::test]
    async fn a_system_user_has_what_was_approved_and_no_more() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let subject = (SYSTEM_USER, id.as_str());
        assert_eq!(decided(&test, &asks(subject, "read", "vat", HANSEN)).await, "NotApplicable");
        test.approve().await;
        // By delegation, and by package.
        for resource in ["vat", "annual-accounts"] {
            for party in [HANSEN, ("urn:altinn:partyid", "50000001"), ("urn:altinn:organizationnumber", "310247049")] {
                assert_eq!(
                    decided(&test, &asks(subject, "read", resource, party)).await,
                    "Permit",
                    "{resource} {party:?}"
                );
            }
            assert_eq!(decided(&test, &asks(subject, "write", resource, HANSEN)).await, "NotApplicable");
            assert_eq!(decided(&test, &asks(subject, "read", resource, BAKERI)).await, "NotApplicable");
        }
        let upper = id.to_uppercase();
        assert_eq!(decided(&test, &asks((SYSTEM_USER, &upper), "read", "vat", HANSEN)).await, "Permit");
        let other = (SYSTEM_USER, "00000000-0000-4000-8000-00000000ffff");
        assert_eq!(decided(&test, &asks(other, "read", "vat", HANSEN)).await, "NotApplicable");

        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        for resource in ["vat", "annual-accounts"] {
            assert_eq!(decided(&test, &asks(subject, "read", resource, HANSEN)).await, "NotApplicable");
        }
    }

    #[tokio::test]
    async fn what_is_held_for_a_main_unit_counts_for_its_sub_units() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let subject = (SYSTEM_USER, id.as_str());
        let user = story::HANSENS_MANAGER.to_string();
        let asked = [
            asks(subject, "read", "vat", BAKERI),
            asks(subject, "read", "annual-accounts", BAKERI),
            asks((USER, &user), "read", "vat", BAKERI),
        ];
        for body in &asked {
            assert_eq!(decided(&test, body).await, "NotApplicable");
        }
        let mut bakeri = story::parties()["parties"][1].clone();
        bakeri["mainUnit"] = json!("310247049");
        test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [bakeri] })).await.expect(200);
        for body in &asked {
            assert_eq!(decided(&test, body).await, "Permit");
        }
        // And not the other way round.
        let manager = story::BAKERIS_MANAGER.to_string();
        assert_eq!(decided(&test, &asks((USER, &manager), "read", "vat", HANSEN)).await, "NotApplicable");
    }

    #[tokio::test]
    async fn a_user_has_rights_by_the_code_and_the_packages_of_a_role() {
        let test = TestState::with_resources().await;
        let (hansens, bakeris) = (story::HANSENS_MANAGER.to_string(), story::BAKERIS_MANAGER.to_string());
        assert_eq!(decided(&test, &asks((USER, &hansens), "read", "vat", HANSEN)).await, "Permit");
        assert_eq!(decided(&test, &asks((USER, &hansens), "read", "vat", BAKERI)).await, "NotApplicable");
        // An owner is no managing director, but has the package of annual accounts.
        assert_eq!(decided(&test, &asks((USER, &bakeris), "read", "vat", BAKERI)).await, "NotApplicable");
        assert_eq!(decided(&test, &asks((USER, &bakeris), "read", "annual-accounts", BAKERI)).await, "Permit");
        assert_eq!(decided(&test, &asks((USER, "7"), "read", "vat", HANSEN)).await, "NotApplicable");
        // Newer policies name the role as the register does.
        let xml = story::policy("vat", &["read"], &[]).replace(">dagl<", ">daglig-leder<");
        put_policy(&test, "vat", &xml.replace("urn:altinn:rolecode", "urn:altinn:external-role:ccr")).await;
        assert_eq!(decided(&test, &asks((USER, &hansens), "read", "vat", HANSEN)).await, "Permit");
        assert_eq!(decided(&test, &asks((USER, &bakeris), "read", "vat", BAKERI)).await, "NotApplicable");
    }

    #[tokio::test]
    async fn organisations_and_service_owners_have_what_policies_say_of_them() {
        let test = TestState::with_resources().await;
        for (attribute, value) in [("urn:altinn:org", "skd"), HANSEN, ("urn:altinn:organizationnumber", "310247049")] {
            let xml = story::policy("vat", &["read"], &[])
                .replace(">dagl<", &format!(">{value}<"))
                .replace("urn:altinn:rolecode", attribute);
            put_policy(&test, "vat", &xml).await;
            assert_eq!(decided(&test, &asks((attribute, value), "read", "vat", HANSEN)).await, "Permit", "{attribute}");
            assert_eq!(decided(&test, &asks((attribute, "nav"), "read", "vat", HANSEN)).await, "NotApplicable");
        }
    }

    #[tokio::test]
    async fn consent_looks_at_the_organisation_itself() {
        let test = TestState::with_resources().await;
        let list = format!("{}/access-lists/banks", story::PROVIDER);
        let members = json!({ "members": [{ "organizationNumber": "310247049" }] });
        test.put(&list, &test.resource_owner(), &members).await.expect(200);
        let xml = story::policy("vat", &["read"], &[]).replace(">dagl<", ">regnskapsregisteret:banks<");
        put_policy(&test, "vat", &xml.replace("urn:altinn:rolecode", "urn:altinn:access-list")).await;
        let of = |subject| request(&[subject], "read", &[("urn:altinn:resource", "vat")]);
        assert_eq!(decided(&test, &of(HANSEN)).await, "Permit");
        assert_eq!(decided(&test, &of(BAKERI)).await, "NotApplicable");
    }

    #[tokio::test]
    async fn an_access_list_denies_parties_that_are_not_on_it() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let owner = test.resource_owner();
        let list = format!("{}/access-lists/banks", story::PROVIDER);
        let body = asks((SYSTEM_USER, &id), "read", "vat", HANSEN);
        let put_members = async |members: serde_json::Value| {
            test.put(&list, &owner, &json!({ "members": members })).await.expect(200);
        };
        put_members(json!([])).await;
        let restricted = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessLists": ["banks"], "accessListMode": "enabled" });
        test.put(&story::resource("vat"), &owner, &restricted).await.expect(200);
        let denied = authorized(&test, &body).await.expect(200);
        assert_eq!(denied["response"][0]["decision"], "Deny");
        assert_eq!(denied["response"][0]["status"]["statusCode"]["value"], "urn:oasis:names:tc:xacml:1.0:status:ok");
        put_members(
            json!([{ "organizationNumber": "310247049", "actions": ["write"] }, { "organizationNumber": "310247057" }]),
        )
        .await;
        assert_eq!(decided(&test, &body).await, "Deny");
        put_members(json!([{ "organizationNumber": "310247049", "actions": ["write", "read"] }])).await;
        assert_eq!(decided(&test, &body).await, "Permit");
    }

    #[tokio::test]
    async fn an_agent_acts_for_its_clients() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let mut change = test.state.store.change().await.unwrap();
        for insert in [
            "INSERT INTO delegated_right (systemuser, party, position, resource, action) VALUES ($1, '310247057', 0, 'vat', 'read')",
            "INSERT INTO delegated_access_package VALUES ($1, '310247057', 0, 'urn:altinn:accesspackage:regnskap-okonomi-rapport')",
        ] {
            sqlx::query(insert).bind(&id).execute(change.connection()).await.unwrap();
        }
        change.commit_derived().await.unwrap();
        for resource in ["vat", "annual-accounts"] {
            assert_eq!(decided(&test, &asks((SYSTEM_USER, &id), "read", resource, BAKERI)).await, "Permit");
        }
    }

    #[tokio::test]
    async fn a_right_follows_the_policy_in_force_with_its_obligations() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let body = asks((SYSTEM_USER, &id), "write", "vat", HANSEN);
        assert_eq!(decided(&test, &body).await, "NotApplicable");
        let obligation = "</Rule><ObligationExpressions><ObligationExpression ObligationId=\"urn:altinn:obligation:authenticationLevel1\" FulfillOn=\"Permit\">\
            <AttributeAssignmentExpression AttributeId=\"urn:altinn:obligation-assignment:1\" Category=\"urn:altinn:minimum-authenticationlevel\">\
            <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#integer\">2</AttributeValue></AttributeAssignmentExpression>\
            </ObligationExpression></ObligationExpressions>";
        put_policy(&test, "vat", &story::policy("vat", &["read", "write"], &[]).replace("</Rule>", obligation)).await;
        let mut body = body;
        body["Request"]["Action"][0]["Attribute"][0]["IncludeInResult"] = json!(true);
        let answer = authorized(&test, &body).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(
            answer.expect(200),
            json!({ "response": [{
                "decision": "Permit",
                "status": {
                    "statusMessage": null, "statusDetails": null,
                    "statusCode": { "value": "urn:oasis:names:tc:xacml:1.0:status:ok", "statusCode": null },
                },
                "obligations": [{ "id": "urn:altinn:obligation:authenticationLevel1", "attributeAssignment": [{
                    "attributeId": "urn:altinn:obligation-assignment:1", "value": "2",
                    "category": "urn:altinn:minimum-authenticationlevel",
                    "dataType": "http://www.w3.org/2001/XMLSchema#integer", "issuer": null,
                }]}],
                "associateAdvice": null,
                "category": [{
                    "categoryId": "urn:oasis:names:tc:xacml:3.0:attribute-category:action", "id": null, "content": null,
                    "attribute": [{
                        "attributeId": "urn:oasis:names:tc:xacml:1.0:action:action-id", "value": "write", "issuer": null,
                        "dataType": "http://www.w3.org/2001/XMLSchema#string", "includeInResult": false,
                    }],
                }],
                "policyIdentifierList": null,
            }]})
        );
    }

    #[tokio::test]
    async fn a_resource_of_the_standard_is_asked_and_answered_as_the_standard_has_it() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let path = format!("{}/policy?semantics=standard", story::resource("vat"));
        let xml = story::policy("vat", &["read"], &[]);
        test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        let body = asks((SYSTEM_USER, &id), "read", "vat", HANSEN);
        let answer = authorized(&test, &body).await.expect(200);
        assert_eq!(answer["Response"][0]["Decision"], "Permit", "{answer}");
        let user = story::HANSENS_MANAGER.to_string();
        let mut of_user = asks((USER, &user), "read", "vat", HANSEN);
        let answer = authorized(&test, &of_user).await.expect(200);
        assert_eq!(answer["Response"][0]["PolicyIdentifierList"]["PolicyIdReference"][0]["Id"], "vat", "{answer}");
        // Values have types of JSON there; members that are not known are refused.
        of_user["Request"]["Environment"] = json!({ "Attribute": { "AttributeId": "x", "Value": 7 } });
        assert_eq!(authorized(&test, &of_user).await.expect(200)["Response"][0]["Decision"], "Permit");
        of_user["Request"]["Environment"] = json!(null);
        of_user["Request"]["Surprise"] = json!(1);
        assert_eq!(authorized(&test, &of_user).await.expect(200)["Response"][0]["Decision"], "Indeterminate");
        // With another resource beside it, the request is Altinn's again.
        let mut both = body;
        both["Request"]["Resource"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "Attribute": { "AttributeId": "urn:altinn:resource", "Value": "annual-accounts" } }));
        assert!(authorized(&test, &both).await.expect(200)["response"].is_array());
    }

    #[tokio::test]
    async fn a_delegation_on_a_resource_of_the_standard_has_its_obligations() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let path = format!("{}/policy?semantics=standard", story::resource("vat"));
        let obligation = "</Rule><ObligationExpressions><ObligationExpression ObligationId=\"level\" FulfillOn=\"Permit\"/></ObligationExpressions>";
        let xml = story::policy("vat", &["read"], &[]).replace("</Rule>", obligation);
        test.put_xml(&path, &test.resource_owner(), &xml).await.expect(200);
        let answer = authorized(&test, &asks((SYSTEM_USER, &id), "read", "vat", HANSEN)).await.expect(200);
        assert_eq!(answer["Response"][0]["Obligations"][0]["Id"], "level", "{answer}");
    }

    #[tokio::test]
    async fn several_questions_are_answered_in_order() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let category = |id: &str, attributes: serde_json::Value| json!({ "id": id, "attribute": attributes });
        let attribute = |id: &str, value: &str| json!({ "attributeId": id, "value": value });
        let action = |id: &str, name: &str| {
            category(id, json!([attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", name)]))
        };
        let resource = |id: &str, resource: &str, party: &str| {
            category(
                id,
                json!([
                    attribute("urn:altinn:resource", resource),
                    attribute("urn:altinn:organization:identifier-no", party)
                ]),
            )
        };
        // In small letters, as other clients write it.
        let body = json!({ "request": {
            "accessSubject": [category("s1", json!([attribute(SYSTEM_USER, &id)]))],
            "action": [action("a1", "read"), action("a2", "write")],
            "resource": [resource("r1", "vat", "310247049"), resource("r2", "vat", "310247057"), resource("r3", "annual-accounts", "310247049")],
            "multiRequests": { "requestReference": [
                { "referenceId": ["s1", "a2", "r1"] }, { "referenceId": ["s1", "a1", "r1"] },
                { "referenceId": ["s1", "a1", "r2"] }, { "referenceId": ["s1", "a1", "r3"] },
            ]},
        }});
        let answer = authorized(&test, &body).await.expect(200);
        let decisions: Vec<_> =
            answer["response"].as_array().unwrap().iter().map(|one| one["decision"].clone()).collect();
        assert_eq!(json!(decisions), json!(["NotApplicable", "Permit", "NotApplicable", "Permit"]));
        // One that cannot be decided takes the whole answer.
        let mut wrong = body.clone();
        wrong["request"]["resource"][2] = resource("r3", "unknown", "310247049");
        let answer = authorized(&test, &wrong).await.expect(200);
        assert_eq!(answer["response"].as_array().unwrap().len(), 1);
        assert_eq!(answer["response"][0]["decision"], "Indeterminate");
    }

    #[tokio::test]
    async fn only_those_with_the_scope_are_answered() {
        let test = TestState::with_resources().await;
        let body = asks(HANSEN, "read", "vat", HANSEN);
        test.post(AUTHORIZE, "", &body).await.expect_code(401, "token_missing");
        test.post(AUTHORIZE, &test.vendor(), &body).await.expect_code(403, "insufficient_scope");
        for scope in ["altinn:authorization/authorize", "other altinn:authorization/authorize.admin"] {
            let token = tokens::Maskinporten::new("310247065", scope).token(&test);
            test.post(AUTHORIZE, &token, &body).await.expect(200);
        }
        let xml = Some(("application/xml", "<a/>".to_owned()));
        test.send("POST", AUTHORIZE, &authorizer(&test), xml).await.expect_code(415, "media_type_unsupported");
    }
}
