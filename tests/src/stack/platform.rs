//! Everything but the gateways: started, and registered by those who would register it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use reqwest::Method;
use serde_json::{Value, json};

use super::caller::{ApiCaller, Body};
use super::cast::{self, Organization};
use super::control_plane::{ControlPlane, Storage};
use super::programs::Programs;
use super::standin::Standin;
use crate::maskinporten::OrganizationNumber;
use crate::maskinporten::client::MaskinportenClient;
use crate::sample_api::SampleApi;

pub(crate) const OPERATOR_SCOPE: &str = "portvakt:operator";
const RESOURCES_SCOPE: &str = "portvakt:resources.write";
pub(crate) const SYSTEM_REGISTER_SCOPE: &str = "altinn:authentication/systemregister.write";
pub(crate) const REQUEST_WRITE_SCOPE: &str = "altinn:authentication/systemuser.request.write";
pub(crate) const REQUEST_READ_SCOPE: &str = "altinn:authentication/systemuser.request.read";

const VAT_POLICY: &str = include_str!("../story/vat.xml");
const ANNUAL_ACCOUNTS_POLICY: &str = include_str!("../story/annual-accounts.xml");

/// Where the platform keeps its files, and on which port the control plane listens.
#[derive(Debug, Clone)]
pub struct PlatformOptions {
    pub directory: PathBuf,
    /// 0 takes a free port.
    pub control_plane_port: u16,
    pub storage: Storage,
}

/// The running programs and the organisations that use them.
#[derive(Debug)]
pub struct Platform {
    pub programs: Programs,
    pub directory: PathBuf,
    pub standin: Standin,
    pub control_plane: ControlPlane,
    pub sample_api: SampleApi,
    pub operator: MaskinportenClient,
    pub api_provider: MaskinportenClient,
    pub vendor: MaskinportenClient,
    /// What gateways prove themselves with.
    pub gateway_credential: String,
    /// What gateways pin, as PEM.
    pub snapshot_keys: Vec<String>,
}

impl Platform {
    /// Starts the programs; the operator registers parties and the API provider. Nothing is protected yet.
    pub async fn start(programs: Programs, options: &PlatformOptions) -> Result<Self> {
        let directory = options.directory.clone();
        fs::create_dir_all(&directory).with_context(|| format!("could not make {}", directory.display()))?;
        let standin = Standin::start(&programs.standin, &directory).await?;
        let port = options.control_plane_port;
        let storage = options.storage.clone();
        let control_plane = ControlPlane::start(&programs.control_plane, &directory, port, &standin, storage).await?;
        standin.use_control_plane(&control_plane.base_url()).await?;
        let sample_api = SampleApi::start().await?;

        let clients = Clients::register(standin.base_url()).await?;
        let api = ApiCaller::anonymous(&control_plane.base_url())?;
        let operator_token = organization_token(&clients.operator, OPERATOR_SCOPE).await?;
        let gateway_credential = operate(&api.with_token(&operator_token)).await?;
        let snapshot_keys = control_plane.snapshot_keys().await?;
        Ok(Self {
            programs,
            directory,
            standin,
            control_plane,
            sample_api,
            operator: clients.operator,
            api_provider: clients.api_provider,
            vendor: clients.vendor,
            gateway_credential,
            snapshot_keys,
        })
    }

    /// The control plane, called by nobody yet.
    pub fn api(&self) -> Result<ApiCaller> {
        ApiCaller::anonymous(&self.control_plane.base_url())
    }

    /// The control plane, called by an organisation with a fresh token.
    pub async fn api_as(&self, client: &MaskinportenClient, scope: &str) -> Result<ApiCaller> {
        Ok(self.api()?.with_token(&organization_token(client, scope).await?))
    }

    /// The control plane, called by the person who manages `organization`.
    pub async fn api_as_manager_of(&self, organization: Organization) -> Result<ApiCaller> {
        let token = self.standin.user_token(organization.manager).await?;
        Ok(self.api()?.with_token(&token))
    }

    /// The API provider says what its resources are, who may do what with them, and which call needs which right.
    pub async fn protect_the_api(&self) -> Result<()> {
        let api = self.api_as(&self.api_provider, RESOURCES_SCOPE).await?;
        let base = format!("/portvakt/v1/providers/{}", cast::PROVIDER_ID);
        let resources = [
            ("vat", ["Merverdiavgift", "Meirverdiavgift", "VAT"], VAT_POLICY),
            ("annual-accounts", ["Årsregnskap", "Årsrekneskap", "Annual Accounts"], ANNUAL_ACCOUNTS_POLICY),
        ];
        for (id, [nb, nn, en], policy) in resources {
            let path = format!("{base}/resources/{id}");
            let resource = json!({ "title": { "nb": nb, "nn": nn, "en": en }, "delegable": true });
            api.put(&path, resource).await?.expect(201)?;
            let policy = Body::Xml(policy.into());
            api.call(Method::PUT, &format!("{path}/policy"), policy).await?.expect(200)?;
        }
        api.put(&format!("{base}/routes"), json!({ "routes": routes() })).await?.expect(200)?;
        Ok(())
    }

    /// A directory of its own below the platform's.
    pub(crate) fn directory_for(&self, name: &str) -> PathBuf {
        Path::new(&self.directory).join(name)
    }
}

struct Clients {
    operator: MaskinportenClient,
    api_provider: MaskinportenClient,
    vendor: MaskinportenClient,
}

impl Clients {
    async fn register(maskinporten: &str) -> Result<Self> {
        let key = tokio::task::spawn_blocking(MaskinportenClient::generate_key)
            .await
            .context("making a key was interrupted")??;
        let client =
            |id: &str, organization: &str| MaskinportenClient::new(maskinporten, id, parse(organization)?, key.clone());
        let operator = client("operator", cast::OPERATOR)?;
        operator.register(&[OPERATOR_SCOPE]).await?;
        let api_provider = client("regnskapsregisteret", cast::API_PROVIDER)?;
        api_provider.register(&[RESOURCES_SCOPE]).await?;
        let vendor = client(cast::VENDOR_CLIENT_ID, cast::VENDOR)?;
        let scopes = [cast::API_SCOPE, SYSTEM_REGISTER_SCOPE, REQUEST_WRITE_SCOPE, REQUEST_READ_SCOPE];
        vendor.register(&scopes).await?;
        Ok(Self { operator, api_provider, vendor })
    }
}

pub(crate) fn parse(organization: &str) -> Result<OrganizationNumber> {
    organization.parse().with_context(|| format!("`{organization}`"))
}

async fn organization_token(client: &MaskinportenClient, scope: &str) -> Result<String> {
    let answer = client.organization_token(scope).await?;
    let token = answer.map_err(|refusal| anyhow!("no token for {scope}: {refusal:?}"))?;
    Ok(token.access_token)
}

/// The operator's part: the register of parties, the API provider, a credential for its gateways.
async fn operate(api: &ApiCaller) -> Result<String> {
    let customers = [cast::ROERLEGGER, cast::FJORDBAKERIET];
    let parties = customers.map(|customer| {
        json!({
            "partyId": customer.party_id, "partyUuid": customer.party_uuid,
            "organizationNumber": customer.number, "name": customer.name,
        })
    });
    let roles = customers.map(|customer| {
        json!({
            "userId": customer.manager.user_id, "organizationNumber": customer.number,
            "role": "daglig-leder",
        })
    });
    let register = json!({ "parties": parties, "roleAssignments": roles });
    api.put("/portvakt/v1/parties", register).await?.expect(200)?;

    let provider = format!("/portvakt/v1/providers/{}", cast::PROVIDER_ID);
    let about = json!({ "organizationNumber": cast::API_PROVIDER, "name": "Regnskapsregisteret" });
    api.put(&provider, about).await?.expect(201)?;
    let credentials = format!("{provider}/gateway-credentials");
    let answer = api.post(&credentials, json!({ "name": "demo" })).await?.expect(201)?.json()?;
    let credential = answer.get("credential").and_then(Value::as_str);
    Ok(credential.context("the answer has no credential")?.to_owned())
}

fn routes() -> Value {
    json!([
        {
            "name": "vat-returns", "methods": ["GET"], "path": "/vat/{party}/returns",
            "resource": "vat", "action": "read", "party": { "path": "party" },
            "scopes": [cast::API_SCOPE],
        },
        {
            "name": "annual-accounts", "methods": ["GET"], "path": "/annual-accounts/{party}",
            "resource": "annual-accounts", "action": "read", "party": { "path": "party" },
            "scopes": [cast::API_SCOPE],
        },
    ])
}
