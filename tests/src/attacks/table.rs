//! The table as people read it, and as `filter/README.md` publishes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Answers, Attack, Place, Row};

/// Line before the table in the README.
const README_BEGIN: &str = "<!-- attacks: made by `cargo xtask attacks --write` -->";
/// Line after it.
const README_END: &str = "<!-- end of attacks -->";
/// The row whose calls are shown one by one: what becomes of a path depends on who normalises it.
const PATHS: u8 = 39;

/// The whole table, in Markdown.
pub fn table(rows: &[Row], answers: &Answers) -> String {
    let mut text = String::new();
    text.push_str("| # | tried | Envoy's `jwt_authn` | this filter | must |\n|---|---|---|---|---|\n");
    for row in rows {
        let (theirs, ours) = if row.attacks.is_empty() {
            let (place, where_from) =
                if row.only_in_wasmtime { (Place::Wasmtime, " (in wasmtime)") } else { (Place::Raw, "") };
            ("–".to_owned(), format!("{}{where_from}", answers.get(row.row, "", place).unwrap_or("nothing was run")))
        } else if row.row == PATHS {
            ("below".to_owned(), "below".to_owned())
        } else {
            (cell(row, answers, Place::JwtAuthn), cell(row, answers, Place::Raw))
        };
        let calls = if row.attacks.len() > 1 { format!(" ({})", row.attacks.len()) } else { String::new() };
        let _ = writeln!(text, "| {} | {}{calls} | {theirs} | {ours} | {} |", row.row, row.case, row.must);
    }
    text.push('\n');
    text.push_str("| path (row 39) | `jwt_authn`, nothing normalised | this filter, nothing normalised | … with Envoy Gateway's settings | … with Istio's |\n|---|---|---|---|---|\n");
    for attack in rows.iter().filter(|row| row.row == PATHS).flat_map(|row| &row.attacks) {
        let at = |place| words(answers.get(PATHS, &attack.name, place));
        let _ = writeln!(
            text,
            "| {}: `{}` | {} | {} | {} | {} |",
            attack.name,
            attack.call.path,
            at(Place::JwtAuthn),
            at(Place::Raw),
            at(Place::EnvoyGateway),
            at(Place::Istio)
        );
    }
    text
}

/// All answers of a row in one place: each once, with how often, in the order of the calls.
fn cell(row: &Row, answers: &Answers, place: Place) -> String {
    let mut counted: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let put: Vec<&Attack> = row.attacks.iter().filter(|attack| attack.must_at(place).is_some()).collect();
    for (position, attack) in put.iter().enumerate() {
        let answer = words(answers.get(row.row, &attack.name, place));
        counted.entry(answer).or_insert((position, 0)).1 += 1;
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by_key(|(_, (first, _))| *first);
    let one = counted.len() == 1;
    let words = counted.into_iter().map(|(answer, (_, times))| match times {
        1 => answer,
        _ if one => answer,
        times => format!("{answer} ×{times}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// `401 token_expired` as `401 token_expired` in code style, `allow` as it is.
fn words(answer: Option<&str>) -> String {
    match answer {
        None => "–".to_owned(),
        Some(answer) => match answer.split_once(' ') {
            Some((status, code)) if status.parse::<u16>().is_ok() => format!("{status} `{code}`"),
            _ => answer.to_owned(),
        },
    }
}

/// What `filter/README.md` says between the two lines.
pub fn published() -> Result<String> {
    let (_, text, _) = split()?;
    Ok(text)
}

/// Puts the table into `filter/README.md`.
pub fn publish(table: &str) -> Result<()> {
    let (before, _, after) = split()?;
    let text = format!("{before}{README_BEGIN}\n{table}{README_END}{after}");
    std::fs::write(readme(), text).context("cannot write filter/README.md")
}

fn readme() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../filter/README.md")
}

fn split() -> Result<(String, String, String)> {
    let text = std::fs::read_to_string(readme()).context("cannot read filter/README.md")?;
    let (before, rest) =
        text.split_once(&format!("{README_BEGIN}\n")).context("filter/README.md has no place for the table")?;
    let (table, after) = rest.split_once(README_END).context("filter/README.md's table has no end")?;
    Ok((before.to_owned(), table.to_owned(), after.to_owned()))
}
