//! What the house promises of itself: arrows, invariants, and documents that name only what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below a folder that has this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn arrows_go_to_policies_only() {
    for (room, may_use) in [("policies", &[][..]), ("filter", &["policies"]), ("control-plane", &["policies"])] {
        let manifest = read(&root().join(room).join("Cargo.toml"));
        for other in ["policies", "filter", "control-plane", "gateway-tests", "xtask"] {
            let named = manifest.lines().any(|line| line.starts_with(&format!("{other}.workspace")));
            assert!(!named || may_use.contains(&other), "{room} uses {other}");
        }
    }
}

#[test]
fn only_one_file_of_the_filter_names_hostcalls() {
    for file in files(&root().join("filter/src"), ".rs") {
        let names_them = read(&file).contains("hostcalls::");
        assert_eq!(names_them, file.ends_with("host.rs"), "{}", file.display());
    }
}

#[test]
fn only_authorize_makes_a_permit() {
    for room in ["policies", "filter", "control-plane"] {
        for file in files(&root().join(room).join("src"), ".rs") {
            let makes_one = read(&file).contains("Permit { route");
            assert_eq!(makes_one, file.ends_with("policies/src/authorize.rs"), "{}", file.display());
        }
    }
}

#[test]
fn policies_has_no_feature_and_no_cfg_but_test() {
    let manifest = read(&root().join("policies/Cargo.toml"));
    assert!(!manifest.contains("[features]"));
    for file in files(&root().join("policies/src"), ".rs") {
        for line in read(&file).lines().filter(|line| line.contains("cfg(") || line.contains("cfg!(")) {
            assert_eq!(line.trim(), "#[cfg(test)]", "{}", file.display());
        }
    }
}

#[test]
fn no_file_grows_beyond_a_screenful_of_screens() {
    for room in ["policies", "filter", "control-plane", "tests", "xtask"] {
        for file in files(&root().join(room), ".rs") {
            let lines = read(&file).lines().count();
            assert!(lines <= 600, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn documents_name_only_files_that_are_there() {
    let endings = [".rs", ".md", ".yaml", ".json", ".toml", ".sql", ".xml"];
    let made = BTreeSet::from(["portvakt.toml", "index.json"]);
    for document in files(&root(), ".md") {
        let text = read(&document);
        let named = text
            .split('`')
            .skip(1)
            .step_by(2)
            .chain(text.split("](").skip(1).filter_map(|link| link.split(')').next()));
        for name in named.filter(|name| endings.iter().any(|ending| name.ends_with(ending))) {
            if name.contains(['<', '*', ' ', ':', '{']) || made.contains(name) {
                continue;
            }
            let beside = document.parent().unwrap().join(name);
            assert!(root().join(name).exists() || beside.exists(), "{} names `{name}`", document.display());
        }
    }
}

#[test]
fn the_gateway_to_copy_from_has_the_configuration_that_is_shown_alone() {
    let alone: Value = serde_json::from_str(&read(&root().join("envoy/filter.json"))).unwrap();
    assert_eq!(inline_configuration(&read(&root().join("envoy/envoy.yaml"))), alone);
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let mut known: BTreeSet<String> = files(&root().join("filter/src"), ".rs")
        .iter()
        .flat_map(|file| read(file).split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|text| text.starts_with("portvakt."))
        .collect();
    known.extend(policies::DenialReason::all().map(|reason| format!("portvakt.denied.{}", reason.code())));
    let known: BTreeSet<String> = known.iter().map(|name| name.replace('.', "_")).collect();
    let alerts = read(&root().join("envoy/alerts.yaml"));
    let named: BTreeSet<&str> = alerts
        .lines()
        .filter(|line| line.trim_start().starts_with("expr:"))
        .flat_map(|line| line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_'))
        .filter(|word| word.starts_with("portvakt_"))
        .collect();
    assert!(named.len() >= 10, "{named:?}");
    // Prometheus has the buckets of a histogram under a name of their own.
    let plain = |name: &str| name.strip_suffix("_bucket").unwrap_or(name).to_owned();
    let unknown: Vec<_> = named.iter().filter(|name| !known.contains(&plain(name))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The JSON of the one block `value: |`.
fn inline_configuration(yaml: &str) -> Value {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = yaml.lines().skip_while(|line| line.trim() != "value: |");
    let outside = indent(lines.next().expect("envoy.yaml has a block of configuration"));
    let block: Vec<&str> = lines.take_while(|line| indent(line) > outside).collect();
    serde_json::from_str(&block.join("\n")).unwrap()
}

#[test]
fn the_gateway_to_copy_from_is_valid_in_envoy() {
    let named = |variable: &str| {
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run this through `cargo xtask test`"))
    };
    let yaml = read(&root().join("envoy/envoy.yaml"));
    let module = "/etc/envoy/portvakt_filter.wasm";
    assert!(yaml.contains(module));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("envoy.yaml");
    std::fs::write(&path, yaml.replace(module, &named("FILTER_WASM_PATH"))).unwrap();
    let output =
        Command::new(named("ENVOY_BIN")).args(["--mode", "validate", "--config-path"]).arg(&path).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    // The filter itself has accepted its configuration.
    assert!(log.contains("configured provider=regnskapsregisteret"), "{log}");
}
