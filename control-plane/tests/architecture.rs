//! Arrows between slices: listed once, and true of the code.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may use whom. Nothing of a slice but its `model` and `store` is visible outside it.
const ARROWS: [(&str, &[&str]); 22] = [
    ("parties", &[]),
    ("issuers", &[]),
    ("resources", &[]),
    ("tokens", &["issuers", "parties"]),
    ("logins", &["issuers", "tokens"]),
    ("systems", &["resources"]),
    ("system_users", &["parties", "systems"]),
    ("decisions", &["parties", "resources", "system_users"]),
    ("delegation_checks", &["decisions", "parties", "resources"]),
    ("requests", &["delegation_checks", "parties", "resources", "system_users", "systems", "tokens"]),
    ("client_delegations", &["parties", "system_users", "systems"]),
    ("party_imports", &["client_delegations", "parties"]),
    (
        "change_requests",
        &["delegation_checks", "parties", "requests", "resources", "system_users", "systems", "tokens"],
    ),
    ("free_system_users", &["delegation_checks", "system_users", "systems"]),
    ("gateways", &["resources"]),
    ("revocations", &[]),
    ("gateway_decisions", &[]),
    ("audit", &[]),
    ("events", &[]),
    ("webhooks", &["events"]),
    ("diagnoses", &["parties", "requests", "resources", "system_users", "systems"]),
    ("snapshots", &["gateways", "issuers", "parties", "resources", "revocations", "systems"]),
];

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The slices that the code names, comments and tests aside.
fn named(text: &str) -> BTreeSet<&'static str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or("");
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_used = |slice: &str| {
        ["crate::SLICE", "SLICE::store", "SLICE::model"].iter().any(|form| code.contains(&form.replace("SLICE", slice)))
    };
    ARROWS.iter().map(|(slice, _)| *slice).filter(|slice| is_used(slice)).collect()
}

#[test]
fn slices_use_only_the_slices_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let below = file.strip_prefix(&root).unwrap().with_extension("");
        let slice = below.iter().next().unwrap().to_str().unwrap().to_owned();
        let Some((slice, _)) = ARROWS.iter().find(|(name, _)| *name == slice) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        used.entry(slice).or_default().extend(named(&text).into_iter().filter(|name| name != slice).map(str::to_owned));
    }
    for (slice, allowed) in ARROWS {
        let allowed: BTreeSet<String> = allowed.iter().map(|slice| (*slice).to_owned()).collect();
        assert_eq!(used[slice], allowed, "arrows of `{slice}`");
    }
}

#[test]
fn arrows_go_one_way() {
    for (position, (slice, allowed)) in ARROWS.iter().enumerate() {
        let below: Vec<&str> = ARROWS.iter().take(position).map(|(slice, _)| *slice).collect();
        assert!(allowed.iter().all(|used| below.contains(used)), "`{slice}` uses a slice that is not below it");
    }
}

#[test]
fn files_stay_small() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines < 500, "{} has {lines} lines", file.display());
    }
}
