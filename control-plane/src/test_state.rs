//! A control plane for tests: a database of its own ([`TestDatabase`]), a clock set by hand, ids that count, issuers whose keys
//! the test holds. Calls go through the router as they would through HTTP.

pub(crate) mod agents;
mod answer;
mod database;
mod described;
pub(crate) mod story;
pub(crate) mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use policies::id::ProviderId;
use policies::snapshot::{SnapshotError, SnapshotKey};
use policies::token::PureRust;
use policies::{PolicySet, PolicyTrouble, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

pub(crate) use self::answer::{Answer, Fetched};
use crate::config::{Config, IssuerConfig, IssuerKindConfig};
use crate::rate_limit::PeerAddress;
use crate::state::{AppState, Clock, Ids, Settings};

pub(crate) use database::{DatabaseCopy, TestDatabase};

/// A clock that stands still until told.
#[derive(Debug, Clone)]
pub(crate) struct MockClock(Arc<AtomicI64>);

impl MockClock {
    pub(crate) fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn text(&self) -> String {
        self.now().to_string()
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count.
#[derive(Debug, Default)]
struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn fill(&self, bytes: &mut [u8]) -> anyhow::Result<()> {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        bytes.fill(0);
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct TestState {
    pub(crate) clock: MockClock,
    pub(crate) state: AppState,
    app: Router,
    stop: watch::Sender<bool>,
    pub(crate) database: Arc<TestDatabase>,
    ids: Arc<dyn Ids>,
    jwks_uri: String,
}

impl TestState {
    /// An empty control plane that publishes.
    pub(crate) async fn new() -> Self {
        // Nothing listens on port 1: keys come from the database only.
        Self::with_jwks_uri("http://127.0.0.1:1/jwk").await
    }

    pub(crate) async fn with_jwks_uri(jwks_uri: &str) -> Self {
        let test = Self::unpublished(jwks_uri).await;
        tokio::spawn(crate::snapshots::keep_published(test.state.clone()));
        test
    }

    /// The story's resources, and nobody who publishes.
    pub(crate) async fn without_publisher() -> Self {
        let test = Self::unpublished("http://127.0.0.1:1/jwk").await;
        test.put_resources().await;
        test
    }

    /// The story's parties, provider, resources with policies, and routes.
    pub(crate) async fn with_resources() -> Self {
        let test = Self::new().await;
        test.put_resources().await;
        test
    }

    /// … and the vendor's system.
    pub(crate) async fn with_system() -> Self {
        let test = Self::with_resources().await;
        test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect(200);
        test
    }

    /// … and a request to Hansen that nobody has decided.
    pub(crate) async fn with_request() -> Self {
        let test = Self::with_system().await;
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        test
    }

    async fn unpublished(jwks_uri: &str) -> Self {
        Self::unpublished_in(TestDatabase::new().await, jwks_uri).await
    }

    async fn unpublished_in(database: TestDatabase, jwks_uri: &str) -> Self {
        let clock = MockClock(Arc::new(AtomicI64::new(1_795_348_800_000)));
        let database = Arc::new(database);
        let ids: Arc<dyn Ids> = Arc::new(CountingIds::default());
        let test = Self::start(clock, database, ids, jwks_uri).await;
        crate::issuers::trust_for_test(
            &test.state,
            tokens::MASKINPORTEN,
            &[tokens::jwk("m", tokens::MASKINPORTEN_KEY)],
        )
        .await;
        crate::issuers::trust_for_test(&test.state, tokens::ALTINN, &[tokens::jwk("a", tokens::ALTINN_KEY)]).await;
        test
    }

    async fn start(clock: MockClock, database: Arc<TestDatabase>, ids: Arc<dyn Ids>, jwks_uri: &str) -> Self {
        crate::secrets_in_logs::ask_each_thread();
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
        let issuer = |issuer: &str, kind| IssuerConfig {
            issuer: issuer.to_owned(),
            kind,
            jwks_uri: jwks_uri.to_owned(),
            authentication_level: 3,
            rules: policies::token::IssuerRules::default(),
        };
        let token_keys = database.folder().join("portvakt.tokens.json");
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: Some("http://portvakt.test".to_owned()),
            database: database.location().clone(),
            signing_key: Some(database.folder().join("portvakt.key.pem")),
            metrics_listen: None,
            rate_limit_per_s: 0,
            rate_limit_burst: 1,
            webhook_private_addresses: false,
            client_address_header: None,
            trusted_proxies: Vec::new(),
            operators: vec!["310247006".parse().unwrap()],
            lookup_organizations: vec!["310247014".parse().unwrap()],
            parties_file: None,
            key_refresh_s: 300,
            snapshot_validity_s: 86_400,
            issuers: vec![
                issuer(tokens::MASKINPORTEN, IssuerKindConfig::Maskinporten),
                issuer(tokens::ALTINN, IssuerKindConfig::Altinn),
            ],
            platform_issuers: vec![tokens::platform_issuer(jwks_uri)],
            tokens: token_keys.exists().then(|| tokens::config(jwks_uri, &token_keys)),
        };
        crate::snapshot_public_key(&config.signing_key_file().unwrap(), &*ids).unwrap();
        let (stop, stopping) = watch::channel(false);
        let address = "127.0.0.1:1".parse().unwrap();
        let state = crate::serve::open(config, address, Arc::new(clock.clone()), ids.clone(), stopping).await.unwrap();
        let app = crate::app(state.clone());
        Self { clock, state, app, stop, database, ids, jwks_uri: jwks_uri.to_owned() }
    }

    /// The same with webhooks that may go to this machine.
    pub(crate) fn with_private_webhooks(mut self) -> Self {
        self.state.webhook_sender = Arc::new(crate::webhooks::Sender::new(true).unwrap());
        self.app = crate::app(self.state.clone());
        self
    }

    /// The same with a limit for calls.
    pub(crate) fn with_rate_limit(mut self, limit: crate::rate_limit::RateLimit) -> Self {
        self.state.rate_limit = Arc::new(limit);
        self.app = crate::app(self.state.clone());
        self
    }

    /// The same where calls come from `address`, with proxies that are trusted.
    pub(crate) fn behind_proxy(mut self, trusted: &str, address: &str) -> Self {
        let Settings { public_url, operators, lookup_organizations, snapshot_validity_s, .. } = &*self.state.settings;
        self.state.settings = Arc::new(Settings {
            public_url: public_url.clone(),
            trusted_proxies: vec![trusted.to_owned().try_into().unwrap()],
            operators: operators.clone(),
            lookup_organizations: lookup_organizations.clone(),
            snapshot_validity_s: *snapshot_validity_s,
        });
        let peer = PeerAddress(address.parse().unwrap());
        self.app = crate::app(self.state.clone()).layer(axum::Extension(peer));
        self
    }

    /// Another process on the same database. The old one is not stopped first, as after `kill -9`.
    pub(crate) async fn restarted(&self) -> Self {
        self.stop.send_replace(true);
        self.replica().await
    }

    /// Another process on the same database; the old one goes on, as a replica.
    pub(crate) async fn replica(&self) -> Self {
        let test = Self::start(self.clock.clone(), self.database.clone(), self.ids.clone(), &self.jwks_uri).await;
        tokio::spawn(crate::snapshots::keep_published(test.state.clone()));
        test
    }

    /// Stops, closes the database and copies it; [`TestState::restarted`] goes on.
    pub(crate) async fn copy_of_database(&self) -> DatabaseCopy {
        self.stop();
        self.state.store.close().await;
        self.database.copy().await
    }

    /// Stores a policy that nobody would accept, as an older version may have.
    pub(crate) async fn spoil_policy(&self, resource: &str) {
        let mut change = self.state.store.change().await.unwrap();
        for statement in [
            "INSERT INTO resource_policy_version (resource, version, at, semantics, xml) \
             SELECT id, policy_version + 1, 0, semantics, '<Old/>' FROM resource WHERE id = $1",
            "UPDATE resource SET policy = '<Old/>', policy_version = policy_version + 1 WHERE id = $1",
        ] {
            sqlx::query(statement).bind(resource).execute(change.connection()).await.unwrap();
        }
        change.commit(self.clock.now(), "tested", json!({})).await.unwrap();
    }

    /// Puts a copy in the place of the closed database.
    pub(crate) async fn restore_database(&self, copy: &DatabaseCopy) {
        self.database.restore(copy).await;
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Calls go to this from now on.
    pub(crate) fn replace_app(&mut self, app: Router) {
        self.app = app;
    }

    async fn put_resources(&self) {
        self.put("/portvakt/v1/parties", &self.operator(), &story::parties()).await.expect(200);
        let provider = json!({ "organizationNumber": "310247022", "name": "Regnskapsregisteret" });
        self.put(story::PROVIDER, &self.operator(), &provider).await.expect(201);
        let owner = self.resource_owner();
        for (resource, is_delegable) in [("vat", true), ("annual-accounts", true), ("internal", false)] {
            let body =
                json!({ "title": { "nb": resource, "nn": resource, "en": resource }, "delegable": is_delegable });
            self.put(&story::resource(resource), &owner, &body).await.expect(201);
        }
        for (resource, packages) in [("vat", &[][..]), ("annual-accounts", &[story::PACKAGE][..])] {
            let path = format!("{}/policy", story::resource(resource));
            self.put_xml(&path, &owner, &story::policy(resource, &["read"], packages)).await.expect(200);
        }
        self.put(story::ROUTES, &owner, &story::routes()).await.expect(200);
    }

    /// Waits until what is stored now has been looked at by the publisher.
    pub(crate) async fn built(&self) {
        let revision = self.state.store.revision().await.unwrap();
        let mut built = self.state.publications.follow_built();
        built.wait_for(|built| *built >= Some(revision)).await.unwrap();
    }

    /// Makes a change that concerns no gateway and waits until the publisher has seen it.
    pub(crate) async fn touch(&self) {
        self.put("/portvakt/v1/parties", &self.operator(), &json!({})).await.expect(200);
        self.built().await;
    }

    pub(crate) fn vendor(&self) -> String {
        tokens::Maskinporten::vendor("310247030").token(self)
    }

    pub(crate) fn operator(&self) -> String {
        tokens::Maskinporten::new("310247006", "portvakt:operator").token(self)
    }

    pub(crate) fn resource_owner(&self) -> String {
        tokens::Maskinporten::new("310247022", "portvakt:resources.write").token(self)
    }

    pub(crate) fn maskinporten(&self) -> String {
        tokens::Maskinporten::new("310247014", "altinn:maskinporten/systemuser.read").token(self)
    }

    pub(crate) fn administrator_of_hansen(&self) -> String {
        tokens::User::new(story::HANSENS_MANAGER).token(self)
    }

    pub(crate) fn administrator_of_bakeri(&self) -> String {
        tokens::User::new(story::BAKERIS_MANAGER).token(self)
    }

    /// Somebody with a role at Hansen who may not approve.
    pub(crate) async fn board_member_of_hansen(&self) -> String {
        let mut parties = story::parties();
        let role = json!({ "userId": 20_000_009, "organizationNumber": "310247049", "role": "styremedlem" });
        parties["roleAssignments"].as_array_mut().unwrap().push(role);
        self.put("/portvakt/v1/parties", &self.operator(), &parties).await.expect(200);
        tokens::User::new(20_000_009).token(self)
    }

    /// The id of the story's request.
    pub(crate) async fn request_id(&self) -> String {
        let path = format!("{}/byexternalref/310247030_smartcloud/310247049/310247049", story::REQUESTS);
        self.get(&path, &self.vendor()).await.expect(200)["id"].as_str().unwrap().to_owned()
    }

    /// The id of the request made last, seen by nobody or not.
    pub(crate) async fn request_id_of_last(&self) -> String {
        let mut connection = self.state.store.read().await.unwrap();
        let last = "SELECT id FROM system_user_request ORDER BY created_at DESC LIMIT 1";
        sqlx::query_scalar(last).fetch_one(&mut *connection).await.unwrap()
    }

    /// Hansen approves; gives the system user's id.
    pub(crate) async fn approve(&self) -> String {
        let id = self.request_id().await;
        let path = format!("{}/approve", story::request_of_hansen(&id));
        self.send("POST", &path, &self.administrator_of_hansen(), None).await.expect(200);
        id
    }

    /// A new gateway's credential.
    pub(crate) async fn gateway(&self) -> String {
        let path = format!("{}/gateway-credentials", story::PROVIDER);
        let answer = self.post(&path, &self.operator(), &json!({ "name": "test" })).await.expect(201);
        answer["credential"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn poll(&self, gateway: &str, known: Option<&str>, prefer: &str) -> Answer {
        let authorization = format!("Bearer {gateway}");
        let mut headers = vec![("authorization", authorization.as_str()), ("prefer", prefer)];
        headers.extend(known.map(|known| ("if-none-match", known)));
        self.get_with(&story::feed(""), &headers).await
    }

    /// The newest snapshot, once everything stored now is in it; the first one that `known` does not name.
    pub(crate) async fn fetch(&self, gateway: &str, known: Option<&str>) -> Fetched {
        self.built().await;
        let answer = self.poll(gateway, known, "wait=60").await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(answer.headers["content-type"], "application/vnd.portvakt.snapshot");
        // Whoever had nothing would get all of it.
        let whole = self.poll(gateway, None, "wait=60").await;
        assert_eq!(whole.headers["etag"], answer.headers["etag"]);
        Fetched { etag: answer.headers["etag"].clone(), body: whole.bytes }
    }

    /// Opens a fetched body as a gateway of the provider would.
    pub(crate) fn open(&self, provider: &str, body: Bytes) -> PolicySet {
        let mut policy = PolicySet::deny_all(PolicyTrouble::Missing);
        self.update(&mut policy, provider, body).unwrap();
        policy
    }

    /// Lets a gateway take a fetched body over.
    pub(crate) fn update(&self, policy: &mut PolicySet, provider: &str, body: Bytes) -> Result<(), SnapshotError> {
        let key = SnapshotKey::from_public_key_pem(self.state.publications.signing_key().public_pem()).unwrap();
        let provider = ProviderId::parse(provider).unwrap();
        policy.update(body.to_vec(), &[key], &provider, self.clock.now(), &PureRust)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, token, None).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send("DELETE", path, token, None).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send("POST", path, token, Some(("application/json", body.to_string()))).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send("PUT", path, token, Some(("application/json", body.to_string()))).await
    }

    pub(crate) async fn put_xml(&self, path: &str, token: &str, xml: &str) -> Answer {
        self.send("PUT", path, token, Some(("application/xml", xml.to_owned()))).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call_with("GET", path, headers, None).await
    }

    /// A body with headers of the caller's choice.
    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.call_with("POST", path, headers, Some(("application/json", body.to_string()))).await
    }

    /// A body with a token and headers of the caller's choice.
    pub(crate) async fn put_with(&self, path: &str, token: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [headers, &[("authorization", authorization.as_str())]].concat();
        self.call_with("PUT", path, &headers, Some(("application/json", body.to_string()))).await
    }

    /// A call with headers of the caller's choice, and perhaps a body of some media type.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some((media_type, body)) => request.header(header::CONTENT_TYPE, media_type).body(Body::from(body)),
            None => request.body(Body::empty()),
        };
        self.call(request.unwrap()).await
    }

    /// A call with a body of some media type; an empty token sends none.
    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: Option<(&str, String)>) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers: &[_] = if token.is_empty() { &[] } else { &[("authorization", authorization.as_str())] };
        self.call_with(method, path, headers, body).await
    }

    /// A call whose body may be no text.
    pub(crate) async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        token: &str,
        media_type: &str,
        body: Vec<u8>,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, media_type);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.call(request.body(Body::from(body)).unwrap()).await
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
        };
        described::check(&method, &path, &answer);
        answer
    }
}
