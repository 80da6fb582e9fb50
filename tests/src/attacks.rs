//! The attack table: what a hostile or careless caller can send, put to the filter's module in wasmtime, to the filter in
//! a real Envoy under three ways of normalising paths, and beside it to Envoy's own `jwt_authn` with the same keys.
//!
//! The calls are data (`tests/attacks/rows.json`), minted like those of the cases ([`crate::cases`]). What is not one call
//! (snapshots, keys, workers, clients that leave) is in the private module `state`. A row is right when every answer is the
//! one that the data names; what `jwt_authn` answers is measured and shown, and never judged.

mod gateway;
mod http2;
mod in_wasmtime;
mod state;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::cases::CallSpec;
use crate::proxy_host::ProxyHost;
pub use gateway::run as run_in_envoy;
pub use in_wasmtime::run as run_in_wasmtime;
pub use state::{in_envoy as run_state_in_envoy, in_wasmtime as run_state_in_wasmtime};
pub use table::{publish, published, table};

/// The document that the calls are decided by: the walk's, and an issuer with other algorithms.
const WORLD: &str = "walk-algorithms";

/// One row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Row {
    /// Its number.
    pub row: u8,
    /// What is tried.
    pub case: String,
    /// What must come of it, in words.
    pub must: String,
    /// The calls; none for a row about state.
    pub attacks: Vec<Attack>,
    /// Envoy cannot be made to do it.
    #[serde(default)]
    pub only_in_wasmtime: bool,
}

/// One call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Attack {
    /// What is tried with it.
    pub name: String,
    /// The call.
    pub call: CallSpec,
    /// The one right answer: `allow`, or a status with the code of the refusal; without a code the host's own refusal.
    pub must: String,
    /// Where another answer is right, because the host meets the call before the filter does; `-` where it cannot be put.
    #[serde(default)]
    pub must_on: BTreeMap<Place, String>,
    /// The call is made with HTTP/2 in Envoy.
    #[serde(default)]
    pub http2: bool,
}

/// Where a call is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The filter's module in wasmtime.
    Wasmtime,
    /// Envoy that normalises nothing.
    Raw,
    /// Envoy as Envoy Gateway sets it: paths normalised, slashes merged, encoded slashes redirected, underscores refused.
    EnvoyGateway,
    /// Envoy as Istio sets it (`BASE`): paths normalised.
    Istio,
    /// Envoy's own `jwt_authn` in the filter's place, normalising nothing.
    JwtAuthn,
}

impl Place {
    /// As messages and the table name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::Raw => "Envoy",
            Self::EnvoyGateway => "Envoy Gateway's settings",
            Self::Istio => "Istio's settings",
            Self::JwtAuthn => "`jwt_authn`",
        }
    }
}

impl Attack {
    /// The right answer there; `None` where it is not put.
    pub fn must_at(&self, place: Place) -> Option<&str> {
        Some(self.must_on.get(&place).unwrap_or(&self.must).as_str()).filter(|must| *must != "-")
    }
}

/// What was answered, by row and name of the call (empty for rows about state).
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<(u8, String, Place), String>);

impl Answers {
    /// Takes note of an answer.
    pub fn note(&mut self, row: u8, attack: &str, place: Place, answer: String) {
        self.0.insert((row, attack.to_owned(), place), answer);
    }

    /// The answer there.
    pub fn get(&self, row: u8, attack: &str, place: Place) -> Option<&str> {
        self.0.get(&(row, attack.to_owned(), place)).map(String::as_str)
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Everything that is not as it must be, a line each; rows without any answer in these places are wrong, too.
    pub fn mistakes(&self, rows: &[Row], places: &[Place]) -> Vec<String> {
        let mut mistakes = Vec::new();
        for row in rows {
            for attack in &row.attacks {
                for place in places {
                    let Some(must) = attack.must_at(*place) else { continue };
                    let answer = self.get(row.row, &attack.name, *place);
                    if answer != Some(must) {
                        let answer = answer.unwrap_or("nothing");
                        let what = format!("{} {} ({})", row.row, row.case, attack.name);
                        mistakes.push(format!("{what}: {} answers `{answer}`, must `{must}`", place.name()));
                    }
                }
            }
            if row.attacks.is_empty() {
                let left_out = |place: &Place| row.only_in_wasmtime && *place != Place::Wasmtime;
                for place in places.iter().filter(|place| !left_out(place)) {
                    match self.get(row.row, "", *place) {
                        Some(answer) if !answer.starts_with("wrong") => {}
                        answer => mistakes.push(format!(
                            "{} {}: {}: {}",
                            row.row,
                            row.case,
                            place.name(),
                            answer.unwrap_or("nothing was run")
                        )),
                    }
                }
            }
        }
        mistakes
    }
}

/// Everything, in wasmtime and in Envoy; and what is not as it must be.
pub async fn run_all(
    rows: &[Row],
    program: &Path,
    filter_wasm: &Path,
    folder: &Path,
) -> Result<(Answers, Vec<String>)> {
    let mut answers = run_in_envoy(rows, program, filter_wasm, &folder.join("all")).await?;
    answers.extend(run_state_in_envoy(program, filter_wasm, folder).await?);
    let host = ProxyHost::load_file(filter_wasm)?;
    answers.extend(run_in_wasmtime(rows, &host)?);
    answers.extend(run_state_in_wasmtime(&host)?);
    let mut mistakes = answers.mistakes(rows, &[Place::Wasmtime, Place::Raw]);
    let calls: Vec<Row> = rows.iter().filter(|row| !row.attacks.is_empty()).cloned().collect();
    mistakes.extend(answers.mistakes(&calls, &[Place::EnvoyGateway, Place::Istio]));
    Ok((answers, mistakes))
}

/// Every row, in order.
pub fn rows() -> Result<Vec<Row>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks/rows.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Vec<Row> = serde_json::from_str(&text).with_context(|| format!("{} has no rows", path.display()))?;
    for (position, row) in rows.iter().enumerate() {
        ensure!(usize::from(row.row) == position + 1, "row {} is at place {}", row.row, position + 1);
        let mut names: Vec<&str> = row.attacks.iter().map(|attack| attack.name.as_str()).collect();
        names.sort_unstable();
        ensure!(names.windows(2).all(|pair| pair.first() != pair.last()), "row {} has a name twice", row.row);
    }
    Ok(rows)
}
