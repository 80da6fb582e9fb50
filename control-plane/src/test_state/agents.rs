//! The second story: SmartCloud AS asks the accountants Tall og Talent AS for an agent system user, for their clients.

use serde_json::{Value, json};

use super::{TestState, story, tokens};

pub(crate) const REQUESTS: &str = "/authentication/api/v1/systemuser/request/vendor/agent";
pub(crate) const SYSTEM: &str = "310247030_agent";
pub(crate) const ACCOUNTANT: &str = "310247073";
pub(crate) const ACCOUNTANTS_MANAGER: i64 = 20_000_003;
pub(crate) const WITHOUT_SIGNING: &str = "urn:altinn:accesspackage:regnskapsforer-uten-signeringsrettighet";
pub(crate) const PAYROLL: &str = "urn:altinn:accesspackage:regnskapsforer-lonn";
pub(crate) const HOUSING: &str = "urn:altinn:accesspackage:forretningsforer-eiendom";

/// The accountants, with two clients: Hansen and the bakery.
pub(crate) fn parties() -> Value {
    json!({
        "parties": [{
            "partyId": 50_000_003, "partyUuid": "00000000-0000-4000-8000-000050000003",
            "organizationNumber": ACCOUNTANT, "name": "Tall og Talent AS", "organizationForm": "AS",
        }],
        "roleAssignments": [
            { "userId": ACCOUNTANTS_MANAGER, "organizationNumber": ACCOUNTANT, "role": "daglig-leder" },
        ],
        "relations": [relation("310247049", "regnskapsforer"), relation("310247057", "regnskapsforer")],
    })
}

/// What the accountants are to somebody.
pub(crate) fn relation(client: &str, role: &str) -> Value {
    json!({ "client": client, "role": role, "provider": ACCOUNTANT })
}

pub(crate) fn system() -> Value {
    let mut system = story::system();
    system["id"] = json!(SYSTEM);
    system["clientId"] = json!(["c0ffee00-6e62-498d-880f-76c85c2052ae"]);
    system["rights"] = json!([]);
    system["isVisible"] = json!(false);
    let others = ["a-ordning", "maskinporten-scopes"].map(|name| format!("urn:altinn:accesspackage:{name}"));
    let packages = [WITHOUT_SIGNING, PAYROLL, HOUSING].map(str::to_owned).into_iter().chain(others);
    system["accessPackages"] = packages.map(|urn| json!({ "urn": urn })).collect();
    system
}

pub(crate) fn request() -> Value {
    json!({
        "integrationTitle": "Agenten", "systemId": SYSTEM, "partyOrgNo": ACCOUNTANT,
        "accessPackages": [{ "urn": WITHOUT_SIGNING }],
    })
}

/// The accountants' path for what they decide about a request.
pub(crate) fn decision(id: &str, step: &str) -> String {
    format!("/authentication/api/v1/systemuser/request/agent/50000003/{id}/{step}")
}

impl TestState {
    /// … and the accountants, their clients, and the vendor's system for them.
    pub(crate) async fn with_agent_system() -> Self {
        let test = Self::with_system().await;
        test.put("/portvakt/v1/parties", &test.operator(), &parties()).await.expect(200);
        test.post(story::SYSTEMS, &test.vendor(), &system()).await.expect(200);
        test
    }

    pub(crate) fn accountant(&self) -> String {
        tokens::User::new(ACCOUNTANTS_MANAGER).token(self)
    }

    /// Asks for the agent system user; gives the request's id.
    pub(crate) async fn agent_request(&self) -> String {
        let request = self.post(REQUESTS, &self.vendor(), &request()).await.expect(201);
        request["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn approve_agent(&self, id: &str) {
        self.send("POST", &decision(id, "approve"), &self.accountant(), None).await.expect(200);
    }
}
