//! The description is whole: every operation is in it, says what it does, and is in the README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document;
use crate::problem::codes;
use crate::test_state::TestState;

/// Method and path, with the operation.
pub(crate) fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((format!("{} {path}", method.to_uppercase()), operation.clone()));
        }
    }
    operations
}

#[test]
fn every_operation_says_what_it_does_who_may_and_what_comes_back() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let text = operation["summary"].as_str().unwrap_or_default();
        assert!(text.ends_with(['.', '?']), "{name} has no description: {text:?}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && id != "handler" && ids.insert(id.to_owned()), "{name}: operationId {id:?}");
        let tags = operation["tags"].as_array().unwrap();
        let known = document["tags"].as_array().unwrap();
        assert!(tags.len() == 1 && known.iter().any(|tag| tag["name"] == tags[0]), "{name}: tags {tags:?}");
        let security = operation["security"].as_array().unwrap();
        for scheme in security.iter().flat_map(|one| one.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"][scheme].is_object(), "{name}: {scheme}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{name} never succeeds");
        for (status, response) in responses {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
        }
    }
    assert!(ids.len() > 30);
}

#[test]
fn every_part_of_a_path_is_described() {
    for (name, operation) in operations(&document()) {
        let parameters = operation["parameters"].as_array().unwrap();
        for part in name.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let is_part = |parameter: &&Value| parameter["name"] == part && parameter["in"] == "path";
            assert_eq!(parameters.iter().filter(is_part).count(), 1, "{name}: {part}; see `PATH_PARTS`");
        }
        for parameter in parameters {
            let words = parameter["description"].as_str().unwrap_or_default();
            assert!(!words.is_empty(), "{name}: {} has no description", parameter["name"]);
        }
    }
}

#[test]
fn codes_that_answers_name_have_that_status() {
    for (name, operation) in operations(&document()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            for word in response["description"].as_str().unwrap().split('`').skip(1).step_by(2) {
                let Some(problem) = codes::ALL.iter().find(|problem| problem.code == word) else {
                    let is_code = word.contains('_') || word.starts_with("AUTH-");
                    assert!(!is_code, "{name} {status}: there is no code {word}");
                    continue;
                };
                assert_eq!(problem.status.as_str(), status, "{name}: {word}");
            }
        }
    }
}

#[test]
fn no_operation_is_served_that_is_not_described() {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                if [".route(", ".route_service(", ".nest(", "axum::routing::"].iter().any(|form| line.contains(form)) {
                    found.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.retain(|line| !line.contains("/tests.rs: "));
    assert!(found.is_empty(), "served beside the description: {found:#?}");
}

#[test]
fn the_readme_has_a_row_for_every_operation_and_no_other() {
    let anonymous = |text: &str| {
        let mut plain = String::new();
        for (position, part) in text.split(['{', '}']).enumerate() {
            plain.push_str(if position % 2 == 0 { part } else { "{}" });
        }
        plain.split('?').next().unwrap().to_owned()
    };
    let readme = include_str!("../../README.md");
    let cells = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut listed = BTreeSet::new();
    for text in cells.flat_map(|cell| cell.split('`')) {
        let is_call = ["GET /", "POST /", "PUT /", "DELETE /"].iter().any(|method| text.starts_with(method));
        if is_call {
            listed.insert(anonymous(text));
        }
    }
    let described: BTreeSet<_> = operations(&document()).iter().map(|(name, _)| anonymous(name)).collect();
    let missing: Vec<_> = described.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&described).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the README: {missing:#?}; only there: {unknown:#?}");
}

#[tokio::test]
async fn anybody_reads_the_description_and_its_page() {
    let test = TestState::new().await;
    let served = test.get("/portvakt/v1/openapi.json", "").await.expect(200);
    assert_eq!((served["openapi"].as_str(), &served), (Some("3.1.0"), &document()));
    let page = test.get("/portvakt/v1/docs/", "").await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html"));
    assert!(page.headers["content-security-policy"].contains("script-src 'self'"));
    let text = String::from_utf8_lossy(&page.bytes).into_owned();
    assert!(!text.contains("https://") && text.contains("./swagger-ui-bundle.js"), "{text}");
    let script = test.get("/portvakt/v1/docs/swagger-initializer.js", "").await;
    assert!(String::from_utf8_lossy(&script.bytes).contains("/portvakt/v1/openapi.json"));
}

/// Of two schemas of one name the description would silently keep one.
#[test]
fn no_two_schemas_have_the_same_name() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let (mut is_schema, mut renamed) = (false, None);
            for line in std::fs::read_to_string(&path).unwrap().lines().map(str::trim) {
                is_schema |= line.starts_with("#[derive(") && line.contains("ToSchema");
                let after = |mark: &str| {
                    let name = line.split_once(mark)?.1.split(|character: char| !character.is_alphanumeric()).next()?;
                    Some(name.to_owned())
                };
                renamed = renamed.or(after("schema(as = "));
                if let Some(name) = after("struct ").or(after("enum ")).filter(|_| !line.starts_with(['#', '/'])) {
                    if std::mem::take(&mut is_schema) {
                        let name = renamed.take().unwrap_or(name);
                        let other = names.insert(name.clone(), path.clone());
                        assert_eq!(other, None, "schema `{name}` is in {}, too", path.display());
                    }
                    renamed = None;
                }
            }
        }
    }
    assert!(names.len() > 50, "{names:?}");
}
