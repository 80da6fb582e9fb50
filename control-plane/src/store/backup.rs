//! A copy of the whole database while it is in use, and its way back.
//!
//! Of SQLite it is a database file, of PostgreSQL an archive of `pg_dump`, which like `pg_restore` is looked for on PATH.
//! Either is of one instant, readable for its owner only, and there whole or not at all. The signing key is not in it.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use sqlx::AnyConnection;
use sqlx::Connection as _;
use tokio::process::Command;
use url::Url;

use super::{Revision, postgres, revision, sqlite};
use crate::config::Database;

/// Writes a copy to `file`, which must not be there.
pub(crate) async fn backup(database: &Database, file: &Path) -> anyhow::Result<()> {
    sqlx::any::install_default_drivers();
    ensure!(!file.try_exists()?, "`{}` is there already", file.display());
    let unfinished = file.with_extension("unfinished");
    // What an earlier try left.
    let _nothing_there = std::fs::remove_file(&unfinished);
    sqlite::create_private(&unfinished).with_context(|| format!("cannot write `{}`", unfinished.display()))?;
    match database {
        Database::File(from) => {
            // SQLite would make an empty database of a wrong path.
            ensure!(from.try_exists()?, "there is no database `{}`", from.display());
            let mut connection = AnyConnection::connect_with(&sqlite::options(from, "ro")?).await?;
            let into = unfinished.to_str().context("the path is no UTF-8")?;
            sqlx::query("VACUUM INTO $1").bind(into).execute(&mut connection).await?;
            connection.close().await?;
        }
        Database::Postgres(url) => {
            let mut command = client("pg_dump", url)?;
            run(command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(&unfinished)).await?;
        }
    }
    File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    Ok(())
}

/// Puts a copy in the place of a database that is not there or has nothing in it; gives the last revision in it.
pub(crate) async fn restore(database: &Database, file: &Path) -> anyhow::Result<Revision> {
    sqlx::any::install_default_drivers();
    ensure!(file.try_exists()?, "there is no copy `{}`", file.display());
    match database {
        Database::File(to) => {
            ensure!(!to.try_exists()?, "`{}` is there already: move it away first", to.display());
            let _claim = sqlite::claim(to)?;
            let unfinished = to.with_extension("unfinished");
            let _nothing_there = std::fs::remove_file(&unfinished);
            sqlite::create_private(&unfinished)?;
            std::io::copy(&mut File::open(file)?, &mut File::options().write(true).open(&unfinished)?)?;
            let mut connection = AnyConnection::connect_with(&sqlite::options(&unfinished, "ro")?).await?;
            let check = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await;
            let check: String = check.with_context(|| format!("`{}` is no copy", file.display()))?;
            ensure!(check == "ok", "`{}` is damaged: {check}", file.display());
            let last = revision(&mut connection).await.with_context(|| format!("`{}` is no copy", file.display()))?;
            connection.close().await?;
            File::open(&unfinished)?.sync_all()?;
            std::fs::rename(&unfinished, to)?;
            Ok(last)
        }
        Database::Postgres(url) => {
            ensure!(postgres::is_empty(url).await?, "there is something in `{database}`: name an empty one");
            let mut command = client("pg_restore", url)?;
            let options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"];
            run(command.args(options).arg(file)).await?;
            postgres::last_revision(url).await
        }
    }
}

/// One of PostgreSQL's own programs. The password is not among its arguments, which everybody on the machine may see.
fn client(program: &str, url: &Url) -> anyhow::Result<Command> {
    let mut url = url.clone();
    let mut command = Command::new(program);
    let in_query = url.query_pairs().find(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
    let in_authority = url.password().map(percent_decoded);
    if let Some(password) = in_query.or(in_authority) {
        command.env("PGPASSWORD", password);
        let _has_no_authority = url.set_password(None);
        let others: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| name != "password").collect();
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    command.arg(format!("--dbname={url}")).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

fn percent_decoded(text: &str) -> String {
    // What a query would take for something else is none here.
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.output().await.with_context(|| {
        format!(
            "`{program}` could not be started: PostgreSQL's client programs are needed (package `postgresql-client`)"
        )
    })?;
    if !output.status.success() {
        bail!("`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
