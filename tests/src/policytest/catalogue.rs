//! Names of access packages and roles, from the files in which catalogues are kept: CSV with a line of headings, or JSON.

use std::path::Path;

use anyhow::{Context, Result, bail};
use policies::urn;
use policies::xacml::lint::LintCatalogue;
use serde_json::Value;

const ROLE_CODE_PREFIX: &str = "urn:altinn:rolecode:";

/// Reads files and puts them together.
pub fn read(files: &[impl AsRef<Path>]) -> Result<LintCatalogue> {
    let mut catalogue = LintCatalogue::default();
    for file in files.iter().map(AsRef::as_ref) {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
        let text = text.trim_start_matches('\u{feff}');
        let before = catalogue.packages.len() + catalogue.roles.len();
        if file.extension().is_some_and(|extension| extension == "json") {
            let json = serde_json::from_str(text).with_context(|| format!("`{name}` is not JSON"))?;
            add_json(&mut catalogue, &json);
        } else {
            add_csv(&mut catalogue, text);
        }
        if catalogue.packages.len() + catalogue.roles.len() == before {
            bail!("`{name}` names no access package and no role: expected URNs, or a heading `code` or `role_code`");
        }
    }
    Ok(catalogue)
}

/// Every URN in it, wherever it stands.
fn add_json(catalogue: &mut LintCatalogue, json: &Value) {
    let mut waiting = vec![json];
    while let Some(value) = waiting.pop() {
        match value {
            Value::String(text) => drop(add_urn(catalogue, text)),
            Value::Array(items) => waiting.extend(items),
            Value::Object(members) => {
                // A role's old code stands alone beside its URN.
                if let Some(Value::String(code)) = members.get("legacyCode") {
                    catalogue.roles.insert(code.to_lowercase());
                }
                waiting.extend(members.values());
            }
            _ => {}
        }
    }
}

/// Every URN in it; and names without prefix in a column `code` or `access_package`, or `role_code`.
fn add_csv(catalogue: &mut LintCatalogue, text: &str) {
    let cells =
        |line: &str| line.split([',', ';']).map(|cell| cell.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let headings = lines.next().map(cells).unwrap_or_default();
    let of_packages = headings.iter().any(|heading| heading.contains("package"));
    for line in lines {
        for (heading, cell) in headings.iter().zip(cells(line)) {
            if add_urn(catalogue, &cell) || cell.is_empty() || cell.starts_with("urn:") {
                continue;
            }
            match heading.as_str() {
                "code" | "package" | "access_package" => drop(catalogue.packages.insert(cell.to_lowercase())),
                // Beside packages stand the new names of roles, which policies do not name them by.
                "role_code" | "legacy_code" if !of_packages => drop(catalogue.roles.insert(cell.to_lowercase())),
                _ => {}
            }
        }
    }
}

/// Adds what a URN names, if it names a package or a role.
fn add_urn(catalogue: &mut LintCatalogue, text: &str) -> bool {
    if let Some(name) = text.strip_prefix(urn::ACCESS_PACKAGE_PREFIX) {
        catalogue.packages.insert(name.to_lowercase())
    } else if let Some(code) = text.strip_prefix(ROLE_CODE_PREFIX) {
        catalogue.roles.insert(code.to_lowercase())
    } else {
        return false;
    };
    true
}
