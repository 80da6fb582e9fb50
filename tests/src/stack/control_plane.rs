//! The control plane as a process of its own: configured, started, killed without warning, started again.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::caller::ApiCaller;
use super::cast;
use super::standin::Standin;
use crate::process::Process;

const START_SECONDS_MAX: u64 = 60;
/// The shortest that the control plane accepts; rotated keys should not take minutes in a test.
const KEY_REFRESH_SECONDS: u32 = 10;

/// Where a control plane keeps its data.
#[derive(Debug, Clone, Default)]
pub enum Storage {
    /// In a SQLite file in its directory.
    #[default]
    File,
    /// In a PostgreSQL database that it may share; the key file is the same for all that share it, and made if missing.
    Postgres { url: String, signing_key: PathBuf },
}

/// A control plane with its database; running, or killed.
#[derive(Debug)]
pub struct ControlPlane {
    program: PathBuf,
    directory: PathBuf,
    storage: Storage,
    issuers: String,
    address: SocketAddr,
    process: Option<Process>,
}

impl ControlPlane {
    /// Starts it on `port` (0 takes a free one) with its files in `directory`, trusting the stand-in.
    pub async fn start(
        program: &Path,
        directory: &Path,
        port: u16,
        standin: &Standin,
        storage: Storage,
    ) -> Result<Self> {
        let mut control_plane = Self {
            program: program.into(),
            directory: directory.into(),
            storage,
            issuers: issuers(standin),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            process: None,
        };
        if let Storage::Postgres { .. } = control_plane.storage {
            control_plane.make_key()?;
        }
        control_plane.run().await?;
        Ok(control_plane)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log, over all its lives.
    pub fn log(&self) -> PathBuf {
        self.directory.join("control-plane.log")
    }

    pub fn database(&self) -> PathBuf {
        self.directory.join("portvakt.db")
    }

    /// The end of its log, for messages about a failure.
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the control plane does not run")?.kill()
    }

    /// Starts it again on the same database and port.
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the control plane still runs");
        self.run().await
    }

    /// The public keys that gateways pin, as PEM.
    pub async fn snapshot_keys(&self) -> Result<Vec<String>> {
        let api = ApiCaller::anonymous(&self.base_url())?;
        let answer = api.get("/portvakt/v1/snapshot-keys").await?.expect(200)?.json()?;
        let keys = answer.get("keys").and_then(Value::as_array).context("no snapshot keys")?;
        let pems = keys.iter().map(|key| key.get("pem").and_then(Value::as_str).map(str::to_owned));
        pems.collect::<Option<_>>().context("a snapshot key has no pem")
    }

    /// How to start it by hand, on the same database and port.
    pub fn command_line(&self) -> String {
        format!("{} serve --config {}", self.program.display(), self.configuration_file().display())
    }

    /// Its process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    fn make_key(&self) -> Result<()> {
        let mut command = self.command("public-key");
        command.arg("--config").arg(self.write_configuration()?);
        let made = command.output().context("the signing key could not be made")?;
        ensure!(made.status.success(), "the signing key could not be made: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// The program, deaf to what the environment says about control planes.
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PORTVAKT_") {
                command.env_remove(name);
            }
        }
        command
    }

    async fn run(&mut self) -> Result<()> {
        let configuration = self.write_configuration()?;
        let address_file = self.directory.join("control-plane-address");
        // A file of the life before would be read as this one's.
        let _nothing_there_before = fs::remove_file(&address_file);

        let mut command = self.command("serve");
        command.arg("--config").arg(&configuration).arg("--address-file").arg(&address_file);
        let mut process = Process::start("control-plane", command, &self.directory)?;
        let bound = Duration::from_secs(START_SECONDS_MAX);
        let base_url = process.base_url(&address_file, bound).await?;
        let address = base_url.strip_prefix("http://").unwrap_or(&base_url);
        self.address = address.parse().with_context(|| format!("`{address}` is not an address"))?;
        self.process = Some(process);
        // From now on with the port that was taken.
        self.write_configuration().map(drop)
    }

    fn configuration_file(&self) -> PathBuf {
        self.directory.join("control-plane.toml")
    }

    fn write_configuration(&self) -> Result<PathBuf> {
        let file = self.configuration_file();
        fs::write(&file, self.configuration()).with_context(|| format!("could not write {}", file.display()))?;
        Ok(file)
    }

    fn configuration(&self) -> String {
        let storage = match &self.storage {
            Storage::File => format!("database = {}", quoted(&self.database().to_string_lossy())),
            Storage::Postgres { url, signing_key } => {
                format!("database = {}\nsigning_key = {}", quoted(url), quoted(&signing_key.to_string_lossy()))
            }
        };
        format!(
            "listen = {}\n{storage}\noperators = [{}]\nlookup_organizations = [{}]\n\
             key_refresh_s = {KEY_REFRESH_SECONDS}\n{}",
            quoted(&self.address.to_string()),
            quoted(cast::OPERATOR),
            quoted(cast::MASKINPORTEN),
            self.issuers,
        )
    }
}

fn issuers(standin: &Standin) -> String {
    let maskinporten = standin.issuer();
    let platform = standin.platform_issuer();
    let entry = |issuer: &str, kind: &str, keys: String| {
        format!(
            "\n[[issuers]]\nissuer = {}\nkind = {}\njwks_uri = {}\nauthentication_level = 3\n",
            quoted(issuer),
            quoted(kind),
            quoted(&keys),
        )
    };
    let platform_keys = format!("{platform}.well-known/openid-configuration/jwks");
    entry(&maskinporten, "maskinporten", format!("{maskinporten}jwk")) + &entry(&platform, "altinn", platform_keys)
}

/// A TOML basic string; what JSON escapes, TOML escapes in the same way.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}
