//! Something of everything that operations are about, at Rørlegger Hansen (standard) and Tall og Talent (agents).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::state::Clock as _;
use crate::test_state::{DatabaseCopy, TestDatabase, TestState, agents, story, tokens};

pub(crate) const MANAGER: i64 = 20_000_010;
pub(crate) const MAIN_ADMINISTRATOR: i64 = 20_000_011;
pub(crate) const BOARD_MEMBER: i64 = 20_000_012;
pub(crate) const MANAGER_ELSEWHERE: i64 = 20_000_013;
/// The person's identity number at the login provider.
pub(crate) const MANAGERS_IDENTITY: &str = "01017012345";
pub(crate) const ELSEWHERE: &str = "310247065";

const SYSTEM_USERS: &str = "/authentication/api/v1/systemuser";
pub(crate) const CORRELATION_ID: &str = "11111111-0000-4000-8000-000000000001";

/// What is there, by the names that parts of paths have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids {
    pub(crate) request: String,
    pub(crate) system_user: String,
    pub(crate) agent_request: String,
    pub(crate) agent: String,
    pub(crate) agent_without_clients: String,
    pub(crate) job: String,
    pub(crate) webhook: String,
    pub(crate) credential: String,
    pub(crate) revocation: String,
    pub(crate) free_system_user: String,
}

pub(crate) struct World {
    pub(crate) test: TestState,
    pub(crate) ids: Ids,
    pub(crate) gateway: String,
    pub(crate) gateway_elsewhere: String,
    copy: Arc<DatabaseCopy>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let test = TestState::with_tokens_in(TestDatabase::file()).await;
        test.put("/portvakt/v1/parties", &test.operator(), &parties()).await.expect(200);
        let identities = json!({ "identities": [{ "identity": MANAGERS_IDENTITY, "userId": MANAGER }] });
        test.put("/portvakt/v1/user-identities", &test.operator(), &identities).await.expect(200);
        let mut ids = Ids::default();
        standard(&test, &mut ids).await;
        agent(&test, &mut ids).await;
        let (gateway, gateway_elsewhere) = provider(&test, &mut ids).await;
        let webhook = json!({ "url": "https://smartcloud.no/hooks" });
        ids.webhook = id(&test.post("/portvakt/v1/webhooks", &test.vendor(), &webhook).await.expect(201));
        test.built().await;
        // Drawing one takes real randomness, and time.
        crate::tokens::add_waiting_key_for_test(&test.database.folder().join("portvakt.tokens.json"), test.clock.now());
        let copy = Arc::new(test.copy_of_database().await);
        let mut world = Self { test, ids, gateway, gateway_elsewhere, copy };
        world.renew().await;
        world
    }

    /// All as it was in the beginning.
    pub(crate) async fn renew(&mut self) {
        let database = TestDatabase::file();
        database.restore(&self.copy).await;
        self.test = self.test.on(database).await;
        self.test.built().await;
    }
}

fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

/// Both stories' parties, with people who are the same at both of those that decide.
fn parties() -> Value {
    let (story, agents) = (story::parties(), agents::parties());
    let all = |member: &str| -> Vec<Value> {
        [&story, &agents].iter().filter_map(|parties| parties[member].as_array()).flatten().cloned().collect()
    };
    let (mut parties, mut roles) = (all("parties"), all("roleAssignments"));
    parties.push(json!({
        "partyId": 50_000_004, "partyUuid": agents::uuid(50_000_004), "organizationNumber": ELSEWHERE, "name": "Annet AS",
    }));
    let mut role = |user: i64, organization: &str, role: &str| {
        roles.push(json!({ "userId": user, "organizationNumber": organization, "role": role }));
    };
    for organization in ["310247049", agents::ACCOUNTANT] {
        role(MANAGER, organization, "daglig-leder");
        role(MAIN_ADMINISTRATOR, organization, "hovedadministrator");
        role(BOARD_MEMBER, organization, "styremedlem");
    }
    role(MANAGER_ELSEWHERE, ELSEWHERE, "daglig-leder");
    json!({ "parties": parties, "roleAssignments": roles, "relations": all("relations") })
}

/// A system, a system user (`held`), a request that waits (`pending`), a change request that waits.
async fn standard(test: &TestState, ids: &mut Ids) {
    let (vendor, hansen) = (test.vendor(), test.administrator_of_hansen());
    test.post(story::SYSTEMS, &vendor, &story::system()).await.expect(200);
    let mut request = story::request();
    request["externalRef"] = json!("held");
    ids.system_user = id(&test.post(story::REQUESTS, &vendor, &request).await.expect(201));
    let approve = format!("{}/approve", story::request_of_hansen(&ids.system_user));
    test.send("POST", &approve, &hansen, None).await.expect(200);
    request["externalRef"] = json!("pending");
    ids.request = id(&test.post(story::REQUESTS, &vendor, &request).await.expect(201));
    let free = json!({ "integrationTitle": "Hansens eget", "clientIds": ["hansen"] });
    let path = "/portvakt/v1/parties/50000001/free-system-users";
    ids.free_system_user = id(&test.post(path, &hansen, &free).await.expect(201));
    let path = format!(
        "{SYSTEM_USERS}/changerequest/vendor?correlation-id={CORRELATION_ID}&system-user-id={}",
        ids.system_user
    );
    test.post(&path, &vendor, &json!({ "unwantedRights": request["rights"] })).await.expect(201);
}

/// An agent system user with clients, another without, a request that waits, a job.
async fn agent(test: &TestState, ids: &mut Ids) {
    let vendor = test.vendor();
    test.post(story::SYSTEMS, &vendor, &agents::system()).await.expect(200);
    ids.agent = test.agent_for("held", &[agents::WITHOUT_SIGNING]).await;
    ids.agent_without_clients = test.agent_for("empty", &[agents::WITHOUT_SIGNING]).await;
    let mut request = agents::request();
    request["externalRef"] = json!("pending");
    ids.agent_request = id(&test.post(agents::REQUESTS, &vendor, &request).await.expect(201));
    test.add_client(&ids.agent, 50_000_001).await.expect(200);
    let own = format!("{}/self", agents::agents(&ids.agent));
    test.send("POST", &own, &test.accountant(), None).await.expect(200);
    let jobs = format!("/portvakt/v1/parties/50000003/agents/{}/clients/jobs", ids.agent);
    let job = json!({ "action": "add", "clients": [agents::uuid(50_000_001)] });
    ids.job = id(&test.post(&jobs, &test.accountant(), &job).await.expect(202));
}

/// Credentials of two providers' gateways, and an access list.
async fn provider(test: &TestState, ids: &mut Ids) -> (String, String) {
    let elsewhere = "/portvakt/v1/providers/annet";
    let provider = json!({ "organizationNumber": ELSEWHERE, "name": "Annet" });
    test.put(elsewhere, &test.operator(), &provider).await.expect(201);
    let mut credentials = Vec::new();
    for provider in [story::PROVIDER, elsewhere] {
        let path = format!("{provider}/gateway-credentials");
        credentials.push(test.post(&path, &test.operator(), &json!({ "name": "test" })).await.expect(201));
    }
    ids.credential = id(&credentials[0]);
    let revoked = json!({ "token": { "issuer": "https://issuer.test/", "id": "one" } });
    let path = format!("{}/revocations", story::PROVIDER);
    ids.revocation = id(&test.post(&path, &test.operator(), &revoked).await.expect(201));
    let list = format!("{}/access-lists/banks", story::PROVIDER);
    test.put(&list, &test.resource_owner(), &json!({ "members": [] })).await.expect(200);
    let secret = |credential: &Value| credential["credential"].as_str().unwrap().to_owned();
    (secret(&credentials[0]), secret(&credentials[1]))
}

/// A token of ID-porten's for the manager.
pub(crate) fn id_porten(test: &TestState, scope: &str) -> String {
    tokens::Maskinporten::without_consumer(scope)
        .claim("iss", json!(tokens::ID_PORTEN))
        .claim("pid", json!(MANAGERS_IDENTITY))
        .claim("acr", json!("idporten-loa-high"))
        .key("i", tokens::ID_PORTEN_KEY)
        .token(test)
}
