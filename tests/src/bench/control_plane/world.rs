//! The control plane as a program on a filled database, and everybody who uses it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;
use url::Url;

use super::load::Target;
use super::seed;
use crate::bench::processors::Observed;
use crate::maskinporten::client::MaskinportenClient;
use crate::maskinporten::{Maskinporten, Options};
use crate::process::Process;
use crate::stack::{ApiCaller, Body};
use crate::wait;

const OPERATOR: &str = "310247006";
const MASKINPORTEN: &str = "310247014";
const API_PROVIDER: &str = "310247022";
const VENDOR: &str = "310247030";
pub const CUSTOMER: &str = "310247049";
pub const CUSTOMER_PARTY: u32 = 50_000_001;
const CUSTOMERS_MANAGER: u32 = 20_000_001;
pub const SYSTEM: &str = "310247030_smartcloud";
const CLIENT_ID: &str = "a2ed712d-4144-4471-839f-80ae4a68146b";
const PROVIDER: &str = "/portvakt/v1/providers/regnskapsregisteret";
const POLICY: &str = include_str!("../../story/vat.xml");
/// On a large database, for example for the first base.
const READY_MAX: Duration = Duration::from_secs(600);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Paths of look-ups that are drawn from.
const PATHS: usize = 20_000;

/// A filled database, with a control plane on it or without.
pub struct World {
    folder: TempDir,
    program: PathBuf,
    database: String,
    metrics: SocketAddr,
    standin: Maskinporten,
    clients: Clients,
    organizations: Vec<String>,
    running: Option<(Process, String)>,
    credential: String,
}

struct Clients {
    operator: MaskinportenClient,
    api_provider: MaskinportenClient,
    vendor: MaskinportenClient,
    maskinporten: MaskinportenClient,
}

impl World {
    /// Registers everybody, then fills the database with `system_users`.
    pub async fn new(program: &std::path::Path, postgres: Option<&str>, system_users: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = match postgres {
            None => folder.path().join("portvakt.db").display().to_string(),
            Some(server) => database_on(server).await?,
        };
        let options = Options { listen: "127.0.0.1:0".parse()?, organization: MASKINPORTEN.parse()? };
        let standin = Maskinporten::start(options).await?;
        let clients = Clients::register(standin.base_url()).await?;
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let organizations = seed::organizations(system_users.div_ceil(seed::OF_ORGANIZATION));
        let (program, running, credential) = (program.to_owned(), None, String::new());
        let mut world =
            Self { folder, program, database, metrics, standin, clients, organizations, running, credential };
        world.start().await?;
        world.register().await?;
        world.stop()?;
        let url =
            if postgres.is_some() { world.database.clone() } else { format!("sqlite://{}?mode=rw", world.database) };
        seed::fill(&url, SYSTEM, &world.organizations).await?;
        Ok(world)
    }

    /// Starts the control plane; it listens when this returns.
    pub async fn start(&mut self) -> Result<()> {
        let file = self.folder.path().join("control-plane.toml");
        let issuer = format!("{}/", self.standin.base_url());
        let altinn = format!("{issuer}platform/authentication/api/v1/openid/");
        let issuers = [
            json!({ "issuer": issuer, "kind": "maskinporten", "jwks_uri": format!("{issuer}jwk") }),
            json!({ "issuer": altinn, "kind": "altinn",
                    "jwks_uri": format!("{altinn}.well-known/openid-configuration/jwks") }),
        ];
        let mut configuration = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = {}\nsigning_key = {}\nmetrics_listen = \"{}\"\nrate_limit_per_s = 0\n\
             operators = [\"{OPERATOR}\"]\nlookup_organizations = [\"{MASKINPORTEN}\"]\n",
            json!(self.database),
            json!(self.folder.path().join("signing.pem")),
            self.metrics
        );
        for issuer in issuers {
            configuration.push_str("\n[[issuers]]\n");
            for (name, value) in issuer.as_object().into_iter().flatten() {
                configuration.push_str(&format!("{name} = {value}\n"));
            }
        }
        std::fs::write(&file, configuration)?;
        let command = |verb: &str| {
            let mut command = Command::new(&self.program);
            command.arg(verb).arg("--config").arg(&file);
            command
        };
        ensure!(command("public-key").output()?.status.success(), "there is no signing key");
        let address_file = self.folder.path().join("address");
        let _nothing_there_before = std::fs::remove_file(&address_file);
        let mut serve = command("serve");
        serve.arg("--address-file").arg(&address_file);
        let mut process = Process::start("control-plane", serve, self.folder.path())?;
        let base_url = process.base_url(&address_file, READY_MAX).await?;
        self.running = Some((process, base_url));
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some((process, _)) => process.kill(),
            None => Ok(()),
        }
    }

    /// The running program.
    pub fn process(&self) -> Result<Observed> {
        Ok(Observed::new(self.running.as_ref().context("the control plane does not run")?.0.id()))
    }

    fn base_url(&self) -> Result<&str> {
        Ok(&self.running.as_ref().context("the control plane does not run")?.1)
    }

    fn api(&self) -> Result<ApiCaller> {
        ApiCaller::anonymous(self.base_url()?)
    }

    async fn api_as(&self, client: &MaskinportenClient, scopes: &str) -> Result<ApiCaller> {
        Ok(self.api()?.with_token(&token(client, scopes).await?))
    }

    /// The vendor of the system.
    pub async fn vendor(&self) -> Result<ApiCaller> {
        self.api_as(&self.clients.vendor, &VENDOR_SCOPES.join(" ")).await
    }

    /// The person who approves for the customer.
    pub async fn customer(&self) -> Result<ApiCaller> {
        let order = json!({
            "userId": CUSTOMERS_MANAGER, "partyId": 51_000_001, "level": 3,
            "partyUuid": "4c8e2f10-97a3-4b0d-8b5e-2d9a7e1f0001",
        });
        let standin = ApiCaller::anonymous(self.standin.base_url())?;
        let answer = standin.post("/standin/user-token", order).await?.expect(201)?.json()?;
        Ok(self.api()?.with_token(answer.get("access_token").and_then(Value::as_str).context("no token")?))
    }

    async fn register(&mut self) -> Result<()> {
        let operator = self.api_as(&self.clients.operator, "portvakt:operator").await?;
        let parties = json!({
            "parties": [{
                "partyId": CUSTOMER_PARTY, "partyUuid": "0b1f3a52-6f0e-4d7c-9a51-3f1c6a3c0001",
                "organizationNumber": CUSTOMER, "name": "Customer",
            }],
            "roleAssignments": [{ "userId": CUSTOMERS_MANAGER, "organizationNumber": CUSTOMER, "role": "daglig-leder" }],
        });
        operator.put("/portvakt/v1/parties", parties).await?.expect(200)?;
        operator.put(PROVIDER, json!({ "organizationNumber": API_PROVIDER, "name": "Provider" })).await?.expect(201)?;
        let credential = operator.post(&format!("{PROVIDER}/gateway-credentials"), json!({ "name": "bench" })).await?;
        let credential = credential.expect(201)?.json()?;
        self.credential = credential.get("credential").and_then(Value::as_str).context("no credential")?.to_owned();

        let provider = self.api_as(&self.clients.api_provider, "portvakt:resources.write").await?;
        let (title, resource) = (json!({ "nb": "VAT", "nn": "VAT", "en": "VAT" }), format!("{PROVIDER}/resources/vat"));
        provider.put(&resource, json!({ "title": title, "delegable": true })).await?.expect(201)?;
        provider.call(Method::PUT, &format!("{resource}/policy"), Body::Xml(POLICY.into())).await?.expect(200)?;
        let route = json!({
            "name": "vat", "methods": ["GET"], "path": "/vat/{party}/returns", "resource": "vat", "action": "read",
            "party": { "path": "party" },
        });
        provider.put(&format!("{PROVIDER}/routes"), json!({ "routes": [route] })).await?.expect(200)?;

        let system = json!({
            "id": SYSTEM, "vendor": { "authority": "iso6523-actorid-upis", "ID": format!("0192:{VENDOR}") },
            "name": title, "description": title, "clientId": [CLIENT_ID], "isVisible": true,
            "rights": [{ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] }],
            "allowedRedirectUrls": [],
        });
        self.vendor().await?.post("/authentication/api/v1/systemregister/vendor", system).await?.expect(200)?;
        Ok(())
    }

    /// Waits until the first base is published.
    pub async fn wait_until_ready(&self) -> Result<()> {
        let api = self.api()?;
        wait::until("the control plane to be ready", READY_MAX, async || {
            Ok((api.get("/readyz").await?.status == 200).then_some(()))
        })
        .await
    }

    /// A gateway.
    pub fn gateway(&self) -> Gateway {
        let url = format!("{}/snapshots/regnskapsregisteret", self.base_url().unwrap_or_default());
        Gateway { url, credential: self.credential.clone() }
    }

    /// What gateways have now; with a version, what comes after it.
    pub async fn poll(&self, version: Option<&str>) -> Result<String> {
        self.gateway().poll(version).await
    }

    /// Waits until the control plane holds a poll.
    pub async fn wait_for_held_poll(&self) -> Result<()> {
        let metrics = ApiCaller::anonymous(&format!("http://{}", self.metrics))?;
        wait::until("a held poll", ANSWER_MAX, async || {
            let text = metrics.get("/metrics").await?.expect(200)?.body;
            Ok(text.lines().any(|line| line == "portvakt_held_polls 1").then_some(()))
        })
        .await
    }

    /// Maskinporten's question about any of the organisations.
    pub async fn look_up(&self) -> Result<Target> {
        let token = token(&self.clients.maskinporten, "altinn:maskinporten/systemuser.read").await?;
        let address = self.base_url()?.trim_start_matches("http://").parse()?;
        let step = self.organizations.len().div_ceil(PATHS).max(1);
        let path = |owner: &String| {
            format!(
                "/authentication/api/v1/systemuser/byExternalId?clientId={CLIENT_ID}&systemProviderOrgNo={VENDOR}\
                 &systemUserOwnerOrgNo={owner}"
            )
        };
        Ok(super::target(address, Some(token), self.organizations.iter().step_by(step).map(path).collect()))
    }

    /// How long the vendor waits.
    pub async fn delete_system(&self) -> Result<Duration> {
        let vendor = self.vendor().await?;
        let begun = Instant::now();
        vendor.delete(&format!("/authentication/api/v1/systemregister/vendor/{SYSTEM}")).await?.expect(200)?;
        Ok(begun.elapsed())
    }
}

const VENDOR_SCOPES: [&str; 2] =
    ["altinn:authentication/systemregister.write", "altinn:authentication/systemuser.request.write"];

impl Clients {
    async fn register(standin: &str) -> Result<Self> {
        let key = tokio::task::spawn_blocking(MaskinportenClient::generate_key).await??;
        let client =
            |id: &str, organization: &str| MaskinportenClient::new(standin, id, organization.parse()?, key.clone());
        let clients = Self {
            operator: client("operator", OPERATOR)?,
            api_provider: client("provider", API_PROVIDER)?,
            vendor: client(CLIENT_ID, VENDOR)?,
            maskinporten: client("maskinporten", MASKINPORTEN)?,
        };
        clients.operator.register(&["portvakt:operator"]).await?;
        clients.api_provider.register(&["portvakt:resources.write"]).await?;
        clients.vendor.register(&VENDOR_SCOPES).await?;
        clients.maskinporten.register(&["altinn:maskinporten/systemuser.read"]).await?;
        // The bench takes longer than Maskinporten's two minutes.
        let lifetime = json!({ "seconds": 3_000 });
        ApiCaller::anonymous(standin)?.put("/standin/token-lifetime", lifetime).await?.expect(204)?;
        Ok(clients)
    }
}

/// Asks for snapshots.
#[derive(Debug, Clone)]
pub struct Gateway {
    url: String,
    credential: String,
}

impl Gateway {
    /// The version that an answer carries; with one at hand the poll is held until there is another.
    pub async fn poll(&self, version: Option<&str>) -> Result<String> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build()?;
        let mut request = client.get(&self.url).bearer_auth(&self.credential);
        if let Some(version) = version {
            request = request.header("if-none-match", version).header("prefer", "wait=50");
        }
        let answer = request.send().await?;
        if answer.status() != 200 {
            bail!("the poll was answered with {}", answer.status());
        }
        let version = answer.headers().get("etag").context("no version")?.to_str()?.to_owned();
        let _body = answer.bytes().await?;
        Ok(version)
    }
}

async fn token(client: &MaskinportenClient, scopes: &str) -> Result<String> {
    let answer = client.organization_token(scopes).await?;
    Ok(answer.map_err(|refusal| anyhow::anyhow!("no token: {refusal:?}"))?.access_token)
}

/// An empty database on the server; it goes with the server.
async fn database_on(server: &str) -> Result<String> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(server).await?;
    let name = format!("portvakt_bench_{}", std::process::id());
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    connection.close().await?;
    let mut url = Url::parse(server)?;
    url.set_path(&name);
    Ok(url.to_string())
}
