//! A database of a test's own on the PostgreSQL server that `cargo xtask test` starts.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use url::Url;

/// An empty database; it goes with the server.
#[derive(Debug)]
pub struct PostgresDatabase {
    url: Url,
}

impl PostgresDatabase {
    /// Makes one on the server that `POSTGRES_URL` names.
    pub fn create() -> Result<Self> {
        let server = std::env::var("POSTGRES_URL").context(
            "POSTGRES_URL is not set: run this through `cargo xtask test`, which starts a server and names it",
        )?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| anyhow!("no random name: {error}"))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("portvakt_it_{name}");
        psql(&server, &format!("CREATE DATABASE {name}"))?;
        let mut url = Url::parse(&server).context("POSTGRES_URL")?;
        url.set_path(&name);
        Ok(Self { url })
    }

    /// For the configuration of a control plane.
    pub fn url(&self) -> String {
        self.url.to_string()
    }
}

/// Runs a statement with PostgreSQL's own client.
fn psql(url: &str, sql: &str) -> Result<()> {
    let program =
        std::env::var_os("POSTGRES_BIN_DIR").map_or_else(|| "psql".into(), |dir| PathBuf::from(dir).join("psql"));
    let output = Command::new(program).args(["--no-psqlrc", "--quiet", "--command", sql, url]).output();
    let output = output.context("`psql` could not be started")?;
    ensure!(output.status.success(), "`psql` failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
