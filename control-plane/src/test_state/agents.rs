//! The second story: SmartCloud AS asks the accountants Tall og Talent AS for an agent system user, for their clients.

use std::collections::BTreeSet;

use policies::id::{AccessPackage, SystemUserId};
use serde_json::{Value, json};

use super::{TestState, story, tokens};
use crate::client_delegations;
use crate::client_delegations::model::ClientDelegation;
use crate::state::Clock as _;

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

pub(crate) const THROUGH_VENDOR: &str = "/authentication/api/v1/enduser/systemuser";

/// The accountants' agent system users.
pub(crate) fn agents(id: &str) -> String {
    format!("/authentication/api/v1/systemuser/agent/50000003/{id}")
}

/// The uuid of the party with this number.
pub(crate) fn uuid(party: u32) -> String {
    format!("00000000-0000-4000-8000-{party:012}")
}

impl TestState {
    /// … and the agent system user; gives its id.
    pub(crate) async fn with_agent() -> (Self, String) {
        let test = Self::with_agent_system().await;
        let id = test.agent_request().await;
        test.approve_agent(&id).await;
        (test, id)
    }

    /// Another agent system user of the accountants, for these packages.
    pub(crate) async fn agent_for(&self, reference: &str, packages: &[&str]) -> String {
        let mut body = request();
        body["externalRef"] = json!(reference);
        body["accessPackages"] = packages.iter().map(|urn| json!({ "urn": urn })).collect();
        let request = self.post(REQUESTS, &self.vendor(), &body).await.expect(201);
        let id = request["id"].as_str().unwrap().to_owned();
        self.approve_agent(&id).await;
        id
    }

    /// The accountants' manager in a vendor's system.
    pub(crate) fn accountant_through_vendor(&self) -> String {
        let scopes = "altinn:clientdelegations.read altinn:clientdelegations.write";
        tokens::User::new(ACCOUNTANTS_MANAGER).scope(scopes).token(self)
    }

    /// The accountants give their agent a client.
    pub(crate) async fn add_client(&self, agent: &str, party: u32) -> super::Answer {
        let path = format!("{}?client={}", agents(agent), uuid(party));
        self.send("POST", &path, &self.accountant(), None).await
    }

    /// Organisation numbers of all clients of an agent, by following the pages.
    pub(crate) async fn clients_of(&self, list: &str, agent: &str) -> Vec<String> {
        let mut path = format!("{THROUGH_VENDOR}/{list}?agent={agent}");
        let mut clients = Vec::new();
        loop {
            let page = self.get(&path, &self.accountant_through_vendor()).await.expect(200);
            let data = page["data"].as_array().unwrap();
            assert!(data.len() <= 50);
            clients.extend(data.iter().map(|client| client["clientOrganizationNumber"].as_str().unwrap().to_owned()));
            match page["links"]["next"].as_str() {
                Some(next) => path = next.strip_prefix("http://portvakt.test").unwrap().to_owned(),
                None => return clients,
            }
        }
    }

    /// Adds clients without asking anybody.
    pub(crate) async fn add_many_for_test(&self, agent: SystemUserId, clients: &BTreeSet<String>) {
        let mut change = self.state.store.change().await.unwrap();
        let packages = [AccessPackage::parse(WITHOUT_SIGNING).unwrap()];
        for client in clients {
            let delegation = ClientDelegation {
                id: self.state.ids.uuid().unwrap(),
                system_user: agent,
                client: client.parse().unwrap(),
                created_at: self.clock.now(),
                created_by: 1,
            };
            client_delegations::store::insert(change.connection(), &delegation, &packages).await.unwrap();
        }
        change.commit(self.clock.now(), "tested", json!({})).await.unwrap();
    }

    /// Registers this many clients of the accountants, numbered from `from` on.
    pub(crate) async fn register_clients(&self, from: u32, count: u32, role: &str) {
        let positions = from..from + count;
        let numbers: Vec<_> = positions.clone().zip(organizations(from, count)).collect();
        let parties: Vec<_> = numbers
            .iter()
            .map(|(position, number)| {
                let party = 51_000_000 + position;
                json!({ "partyId": party, "partyUuid": uuid(party), "organizationNumber": number,
                        "name": format!("Kunde {position}"), "organizationForm": "AS" })
            })
            .collect();
        let relations: Vec<_> = numbers.iter().map(|(_, number)| relation(number, role)).collect();
        let body = json!({ "parties": parties, "relations": relations });
        self.put("/portvakt/v1/parties", &self.operator(), &body).await.expect(200);
    }
}

/// The numbers of those clients.
pub(crate) fn organizations(from: u32, count: u32) -> Vec<String> {
    let numbers = (311_000_000..u32::MAX).filter_map(policies::id::OrganizationNumber::from_u32);
    numbers.skip(from as usize).take(count as usize).map(|number| number.to_string()).collect()
}
