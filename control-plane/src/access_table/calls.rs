//! How each operation is called so that whoever may, succeeds.

use serde_json::{Value, json};

use super::world::{CORRELATION_ID, Ids};
use crate::aliases::ALIASES;
use crate::test_state::{agents, story};

#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<(&'static str, String)>,
}

pub(crate) fn of(operation: &str, ids: &Ids) -> Call {
    let (method, template) = operation.split_once(' ').unwrap();
    let method = ["GET", "POST", "PUT", "DELETE"].into_iter().find(|known| *known == method).unwrap();
    let path = path(operation, template, ids);
    // What an alias takes is what its operation takes.
    let alias = ALIASES.iter().find(|alias| (alias.method, alias.path) == (method, template));
    let taken = alias.map(|alias| format!("{method} {}", alias.operation.split('?').next().unwrap()));
    let operation = taken.as_deref().unwrap_or(operation);
    let has_query = alias.is_some_and(|alias| alias.operation.contains('?'));
    let query = if has_query { String::new() } else { query(operation, ids) };
    let mark = if query.is_empty() { "" } else { "?" };
    Call { method, path: format!("{path}{mark}{query}"), body: body(operation, ids) }
}

/// The template with what is there in the place of its names.
fn path(operation: &str, template: &str, ids: &Ids) -> String {
    let is_of_agents =
        template.contains("/agent") || template.contains("agentrequest") || template.contains("agentdel");
    let party = if is_of_agents { 50_000_003 } else { 50_000_001 };
    let mut path = String::new();
    for (position, part) in template.split(['{', '}']).enumerate() {
        if position % 2 == 0 {
            path.push_str(part);
            continue;
        }
        path.push_str(&match part {
            "systemId" if is_of_agents => agents::SYSTEM.to_owned(),
            "systemId" => "310247030_smartcloud".to_owned(),
            "party" => party.to_string(),
            "partyUuid" | "facilitator" => agents::uuid(if part == "facilitator" { 50_000_003 } else { party }),
            "organization" if is_of_agents => agents::ACCOUNTANT.to_owned(),
            "organization" => "310247049".to_owned(),
            "externalRef" if template.contains("changerequest") => "held".to_owned(),
            "externalRef" => "pending".to_owned(),
            "requestId" if template.contains("change") => CORRELATION_ID.to_owned(),
            "requestId" if is_of_agents => ids.agent_request.clone(),
            "requestId" => ids.request.clone(),
            "systemUserId"
                if operation.starts_with("DELETE ") && template.ends_with("/agent/{party}/{systemUserId}") =>
            {
                ids.agent_without_clients.clone()
            }
            "systemUserId" if template.contains("free-system-users") => ids.free_system_user.clone(),
            "systemUserId" if is_of_agents => ids.agent.clone(),
            "systemUserId" => ids.system_user.clone(),
            "provider" => "regnskapsregisteret".to_owned(),
            "resource" => "vat".to_owned(),
            "list" => "banks".to_owned(),
            "role" => "regnskapsforer".to_owned(),
            "jobId" => ids.job.clone(),
            "exchangeProvider" => "maskinporten".to_owned(),
            "id" if template.contains("webhooks") => ids.webhook.clone(),
            "id" if template.contains("revocations") => ids.revocation.clone(),
            "id" => ids.credential.clone(),
            other => panic!("{operation}: nothing is called {other}"),
        });
    }
    path
}

fn query(operation: &str, ids: &Ids) -> String {
    let (_, path) = operation.split_once(' ').unwrap();
    let (user, agent) = (&ids.system_user, &ids.agent);
    let client = agents::uuid(if operation.starts_with("DELETE") { 50_000_001 } else { 50_000_002 });
    match path.strip_prefix("/authentication/api/v1").unwrap_or(path) {
        "/accessmanagement/api/v1/enduser/connections/resources/delegationcheck" => {
            "party=310247049&resource=vat".to_owned()
        }
        "/accessmanagement/api/v1/enduser/connections/accesspackages/delegationcheck" => "party=310247049".to_owned(),
        "/portvakt/v1/pending-requests" => "party=310247049".to_owned(),
        "/enduser/systemuser/agents" => format!("party={}", agents::ACCOUNTANT),
        "/enduser/systemuser/clients/available" => format!("agent={agent}"),
        "/enduser/systemuser/clients" if operation.starts_with("GET") => format!("agent={agent}"),
        "/enduser/systemuser/clients" => format!("agent={agent}&client={client}"),
        "/systemuser/agent/{party}/{systemUserId}" if operation.starts_with("POST") => format!("client={client}"),
        "/systemuser/agent/{party}/{systemUserId}/client" => format!("client={client}"),
        "/systemuser/byExternalId" => format!("{}&externalRef=held", story::lookup().split_once('?').unwrap().1),
        "/systemuser/vendor/byquery" => "system-id=310247030_smartcloud&orgno=310247049&external-ref=held".to_owned(),
        "/systemuser/changerequest/vendor" => {
            format!("correlation-id=22222222-0000-4000-8000-000000000002&system-user-id={user}")
        }
        "/systemuser/changerequest/vendor/verify" => format!("system-user-id={user}"),
        "/portvakt/v1/parties/events/position" if operation.starts_with("GET") => "stream=register".to_owned(),
        _ => String::new(),
    }
}

fn body(operation: &str, ids: &Ids) -> Option<(&'static str, String)> {
    let xml = story::policy("vat", &["read"], &[]);
    let body: Value = match operation {
        "PUT /portvakt/v1/providers/{provider}/resources/{resource}/policy" => return Some(("application/xml", xml)),
        "POST /authorization/api/v1/authorize" | "POST /authorization/api/v1/decision" => decision(ids),
        "POST /access/v1/evaluation" => evaluation(ids),
        "POST /access/v1/evaluations" => json!({ "evaluations": [evaluation(ids)] }),
        "PUT /portvakt/v1/parties" => story::parties(),
        "POST /portvakt/v1/parties/events" => json!({ "after": 0, "events": [] }),
        "PUT /portvakt/v1/parties/events/position" => json!({ "stream": "register", "position": 7 }),
        "PUT /portvakt/v1/user-identities" => json!({ "identities": [] }),
        "PUT /portvakt/v1/providers/{provider}" => {
            json!({ "organizationNumber": "310247022", "name": "Regnskapsregisteret" })
        }
        "POST /portvakt/v1/providers/{provider}/gateway-credentials" => json!({ "name": "other" }),
        "PUT /portvakt/v1/providers/{provider}/resources/{resource}" => {
            json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true })
        }
        "PUT /portvakt/v1/providers/{provider}/access-lists/{list}" => {
            json!({ "members": [{ "organizationNumber": "310247049" }] })
        }
        "PUT /portvakt/v1/providers/{provider}/routes" => story::routes(),
        "POST /portvakt/v1/providers/{provider}/explain" => {
            json!({ "systemUser": ids.system_user, "party": "310247049", "resource": "vat", "action": "read" })
        }
        "POST /snapshots/{provider}/workers" => json!({ "gateway": "g", "workers": [] }),
        "POST /portvakt/v1/providers/{provider}/revocations" => {
            json!({ "token": { "issuer": "https://issuer.test/", "id": "other" } })
        }
        "POST /snapshots/{provider}/decisions" => {
            json!({ "gateway": "g", "decisions": [{ "decision": "deny", "atMillis": 1 }] })
        }
        "POST /authentication/api/v1/introspection" => {
            return Some(("application/x-www-form-urlencoded", "token=x".to_owned()));
        }
        "POST /portvakt/v1/webhooks" => json!({ "url": "https://smartcloud.no/other" }),
        "POST /portvakt/v1/diagnoses/maskinporten" => json!({
            "clientId": story::CLIENT_ID, "systemProviderOrgNo": "310247030", "systemUserOwnerOrgNo": "310247049",
            "externalRef": "held",
        }),
        "POST /portvakt/v1/parties/{party}/free-system-users"
        | "PUT /portvakt/v1/parties/{party}/free-system-users/{systemUserId}" => json!({
            "integrationTitle": "Eget", "clientIds": ["own"], "rights": story::request()["rights"],
            "accessPackages": story::request()["accessPackages"],
        }),
        "PUT /portvakt/v1/parties/{party}/systemusers/{systemUserId}/validity" => json!({ "validTo": null }),
        "PUT /portvakt/v1/parties/{party}/agents/{systemUserId}/access-packages" => {
            json!({ "accessPackages": [{ "urn": agents::WITHOUT_SIGNING }, { "urn": agents::PAYROLL }] })
        }
        "POST /portvakt/v1/parties/{party}/agents/{systemUserId}/clients/jobs" => {
            json!({ "action": "add", "clients": [agents::uuid(50_000_002)] })
        }
        _ => return of_altinn(operation, ids),
    };
    Some(("application/json", body.to_string()))
}

fn of_altinn(operation: &str, ids: &Ids) -> Option<(&'static str, String)> {
    let (method, path) = operation.split_once(' ').unwrap();
    let changed = |mut body: Value, member: &str, value: Value| {
        body[member] = value;
        body
    };
    let body = match (method, path.strip_prefix("/authentication/api/v1")?) {
        ("POST", "/systemregister/vendor") => {
            changed(changed(story::system(), "id", json!("310247030_new")), "clientId", json!(["new"]))
        }
        ("PUT", "/systemregister/vendor/{systemId}") => story::system(),
        ("PUT", "/systemregister/vendor/{systemId}/rights") => story::system()["rights"].clone(),
        ("PUT", "/systemregister/vendor/{systemId}/accesspackages") => story::system()["accessPackages"].clone(),
        ("POST", "/systemuser/request/vendor") => changed(story::request(), "externalRef", json!("new")),
        ("POST", "/systemuser/request/vendor/agent") => changed(agents::request(), "externalRef", json!("new")),
        ("POST", "/systemuser/changerequest/vendor" | "/systemuser/changerequest/vendor/verify") => {
            json!({ "unwantedAccessPackages": story::request()["accessPackages"] })
        }
        ("POST", "/systemuser/{party}/create") => json!({ "systemId": "310247030_smartcloud" }),
        ("PUT", "/systemuser") => json!({ "id": ids.system_user, "integrationTitle": "Nytt navn" }),
        _ => return None,
    };
    Some(("application/json", body.to_string()))
}

fn decision(ids: &Ids) -> Value {
    let attribute = |id: &str, value: &str| json!({ "AttributeId": id, "Value": value });
    json!({ "Request": {
        "AccessSubject": [{ "Attribute": [attribute("urn:altinn:systemuser:uuid", &ids.system_user)] }],
        "Action": [{ "Attribute": [attribute("urn:oasis:names:tc:xacml:1.0:action:action-id", "read")] }],
        "Resource": [{ "Attribute": [
            attribute("urn:altinn:resource", "vat"), attribute("urn:altinn:partyid", "50000001"),
        ]}],
    }})
}

fn evaluation(ids: &Ids) -> Value {
    json!({
        "subject": { "type": "system_user", "id": ids.system_user },
        "action": { "name": "read" },
        "resource": { "type": "resource", "id": "vat", "properties": { "party": "310247049" } },
    })
}
