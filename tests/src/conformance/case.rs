//! One case: read it, decide it, compare.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use policies::Timestamp;
use policies::id::ResourceId;
use policies::xacml::ast::PolicyDocument;
use policies::xacml::context::{self, EntryPoint, World};
use policies::xacml::request::{Request, RequestError};
use policies::xacml::response::{Response, StatusCode};
use policies::xacml::validity::check_resource_policy;
use policies::xacml::{self, CompiledPolicy, Environment, PolicyError, Semantics, json_profile, xml_context};
use serde_json::Value;

use super::answer::{self, Answer};
use super::world;

/// When the cases are decided: 2026-01-01.
const NOW_SECONDS: i64 = 1_767_225_600;

/// Runs a case; the difference, if there is one.
pub(super) fn run(folder: &Path, semantics: Semantics) -> Result<Option<String>> {
    let case = answer::parse_json(&read(&folder.join("case.json"))?)?;
    let Some(expect) = case.get("expect") else { bail!("`case.json` says not what to expect") };
    if let Some(resource) = expect.get("resource").and_then(Value::as_str) {
        let reason = expect.get("error").and_then(Value::as_str);
        let rejected = expect.get("result").and_then(Value::as_str) == Some("rejected");
        return store(folder, resource, rejected.then_some(reason.unwrap_or_default()));
    }
    match expect.get("result").and_then(Value::as_str) {
        Some(result @ ("invalid-policy" | "malformed-xml" | "rejected")) => {
            let refused = load(folder, semantics)?.err();
            Ok(if refused.is_some() { None } else { Some(format!("expected {result}, but the policy is taken")) })
        }
        Some("valid-policy" | "accepted") => Ok(load(folder, semantics)?.err().map(|error| error.to_string())),
        Some(other) => bail!("the expectation `{other}` is not known"),
        None => decide(folder, semantics, expect, is_external(&case)),
    }
}

/// Whether the request came through Altinn's outer door.
fn is_external(case: &Value) -> bool {
    answer::list(answer::member(case, "tags")).iter().any(|tag| tag.as_str() == Some("external-json"))
}

/// What decides: the case's policy alone, or with the world that its suite assumes.
enum Decider {
    Policy(Box<CompiledPolicy>),
    World(Box<World>, EntryPoint),
}

impl Decider {
    fn decide(&self, request: &Request, environment: Environment) -> Response {
        match self {
            Self::Policy(policy) => policy.decide(request, environment),
            Self::World(world, entry) => context::decide(request, world, *entry, environment),
        }
    }
}

fn decide(folder: &Path, semantics: Semantics, expect: &Value, external: bool) -> Result<Option<String>> {
    let decider = match world::mocks_of(folder) {
        Some(mocks) => {
            let entry = if external { EntryPoint::External } else { EntryPoint::Internal };
            Decider::World(Box::new(world::load(&mocks, folder, semantics)?), entry)
        }
        None => match load(folder, semantics)? {
            Ok(policy) => Decider::Policy(Box::new(policy)),
            Err(error) => return Ok(Some(format!("the policy is refused: {error}"))),
        },
    };
    let is_json = folder.join("request.json").is_file();
    let environment = Environment::at(Timestamp::from_unix_seconds(NOW_SECONDS));
    let refused = |error: RequestError| Response::indeterminate(StatusCode::SyntaxError, error.message);
    let response = if is_json {
        json_profile::read_request(&read(&folder.join("request.json"))?, semantics)
    } else {
        xml_context::read_request(&read(&folder.join("request.xml"))?)
    }
    .map_or_else(refused, |request| decider.decide(&request, environment));
    let given = answer::of(&response, semantics)?;
    let expected = if folder.join("response.json").is_file() {
        answer::from_json(&read(&folder.join("response.json"))?)?
    } else {
        answer::from_xml(&read(&folder.join("response.xml"))?)?
    };
    let declared: Vec<_> = [("decisions", Answer::decision as fn(&Answer) -> &str), ("status", Answer::status)]
        .into_iter()
        .filter_map(|(member, of)| {
            let listed = expect.get(member)?.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            let found: Vec<_> = given.iter().map(of).collect();
            (listed != found).then(|| format!("{member} expected {listed:?}, found {found:?}"))
        })
        .collect();
    let messages: Vec<_> = response.results.iter().filter_map(|result| result.status.message.as_deref()).collect();
    let difference = declared.into_iter().next().or_else(|| answer::difference(&expected, &given, semantics));
    Ok(difference.map(|difference| match messages.as_slice() {
        [] => difference,
        messages => format!("{difference} ({})", messages.join("; ")),
    }))
}

/// The case's policy, compiled; or why it is refused.
fn load(folder: &Path, semantics: Semantics) -> Result<Result<CompiledPolicy, PolicyError>> {
    let mut others = Vec::new();
    for path in xml_files(&folder.join("policies"))? {
        match document(&path)? {
            Ok(document) => others.push(document),
            Err(error) => return Ok(Err(error)),
        }
    }
    let root = match document(&folder.join("policy.xml"))? {
        Ok(root) => root,
        Err(error) => return Ok(Err(error)),
    };
    Ok(CompiledPolicy::compile(&root, &others, semantics))
}

/// Whether the case's policy may be stored for a resource.
fn store(folder: &Path, resource: &str, expected_reason: Option<&str>) -> Result<Option<String>> {
    let resource = ResourceId::parse(resource)?;
    let outcome = document(&folder.join("policy.xml"))?.and_then(|policy| check_resource_policy(&policy, &resource));
    // The reasons as they are worded upstream.
    let reason = |error: &PolicyError| match error.code {
        "resource_other" => "Contains rules for a different registry resource",
        "resource_missing" => "without reference to registry resource id",
        other => other,
    };
    Ok(match (outcome, expected_reason) {
        (Ok(()), None) => None,
        (Ok(()), Some(expected)) => Some(format!("expected `{expected}`, but the policy is taken")),
        (Err(error), Some(expected)) if expected.contains(reason(&error)) => None,
        (Err(error), _) => Some(format!("expected {expected_reason:?}, refused because {error}")),
    })
}

pub(super) fn document(path: &Path) -> Result<Result<PolicyDocument, PolicyError>> {
    Ok(xacml::parse(&super::file_name(path), &read(path)?))
}

pub(super) fn xml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    Ok(files)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}
