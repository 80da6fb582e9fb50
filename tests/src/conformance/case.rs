//! One case: read it, decide it, compare.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use policies::Timestamp;
use policies::id::ResourceId;
use policies::xacml::ast::{PolicyChild, PolicyDocument, PolicyElement};
use policies::xacml::context::{self, EntryPoint, World};
use policies::xacml::request::{Request, RequestError};
use policies::xacml::response::{Response, StatusCode};
use policies::xacml::validity::check_resource_policy;
use policies::xacml::{self, CompiledPolicy, Environment, PolicyError, Semantics, json_profile, xml_context};
use serde_json::Value;

use super::answer::{self, Answer};
use super::world;

/// When the cases are decided: 2026-01-01.
pub(super) const NOW_SECONDS: i64 = 1_767_225_600;

/// Runs a case; the difference, if there is one. Answers are compared as far as those of the suite's own semantics are.
pub(super) fn run(folder: &Path, semantics: Semantics, own: Semantics) -> Result<Option<String>> {
    let case = answer::parse_json(&read(&folder.join("case.json"))?)?;
    let Some(expect) = case.get("expect") else { bail!("`case.json` says not what to expect") };
    if let Some(resource) = expect.get("resource").and_then(Value::as_str) {
        let reason = expect.get("error").and_then(Value::as_str);
        let rejected = expect.get("result").and_then(Value::as_str) == Some("rejected");
        return store(folder, resource, rejected.then_some(reason.unwrap_or_default()));
    }
    match expect.get("result").and_then(Value::as_str) {
        Some("valid-policy" | "accepted") => Ok(load(folder, semantics)?.err().map(|error| error.to_string())),
        // However it is called (`invalid-policy`, `malformed-xml`, `rejected`): the policy or the request is to be refused.
        Some(result) => {
            let refused =
                load(folder, semantics)?.is_err() || request(folder, semantics)?.is_some_and(|one| one.is_err());
            Ok(if refused { None } else { Some(format!("expected {result}, but it is taken")) })
        }
        None => decide(folder, semantics, own, expect, is_external(&case)),
    }
}

/// The suite that a case says it belongs to.
pub(super) fn suite_of(folder: &Path) -> Option<String> {
    Some(member(folder, "suite")?.as_str()?.to_owned())
}

/// The resource that a case says its policy is for.
pub(super) fn resource_of(folder: &Path) -> Option<ResourceId> {
    ResourceId::parse(member(folder, "expect")?.get("resource")?.as_str()?).ok()
}

/// A member of `case.json`; none if there is no such member, or no such file.
fn member(folder: &Path, name: &str) -> Option<Value> {
    let case = answer::parse_json(&read(&folder.join("case.json")).ok()?).ok()?;
    Some(answer::member(&case, name).clone())
}

/// The request of a case, in JSON or XML; none if it has none.
fn request(folder: &Path, semantics: Semantics) -> Result<Option<Result<Request, RequestError>>> {
    let (json, xml) = (folder.join("request.json"), folder.join("request.xml"));
    Ok(if json.is_file() {
        Some(json_profile::read_request(&read(&json)?, semantics))
    } else if xml.is_file() {
        Some(xml_context::read_request(&read(&xml)?, semantics))
    } else {
        None
    })
}

/// The answer that was written upstream; none if none was.
fn response(folder: &Path) -> Result<Option<Vec<Answer>>> {
    let (json, xml) = (folder.join("response.json"), folder.join("response.xml"));
    Ok(if json.is_file() {
        Some(answer::from_json(&read(&json)?)?)
    } else if xml.is_file() {
        Some(answer::from_xml(&read(&xml)?)?)
    } else {
        None
    })
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

fn decide(
    folder: &Path,
    semantics: Semantics,
    own: Semantics,
    expect: &Value,
    external: bool,
) -> Result<Option<String>> {
    let decider = match world::mocks_of(folder) {
        Some(mocks) => {
            let entry = if external { EntryPoint::External } else { EntryPoint::Internal };
            Decider::World(Box::new(world::load(&mocks, folder, semantics)?), entry)
        }
        None => match load(folder, semantics)? {
            Ok(policy) => Decider::Policy(Box::new(policy)),
            // What cannot be evaluated is answered with Indeterminate by those who find out when they decide.
            Err(_) if is_open(folder, expect)? => return Ok(None),
            Err(error) => return Ok(Some(format!("the policy is refused: {error}"))),
        },
    };
    let environment = Environment::at(Timestamp::from_unix_seconds(NOW_SECONDS));
    let refused = |error: RequestError| match &decider {
        Decider::World(_, entry) => context::refused(&error, *entry),
        Decider::Policy(_) => Response::indeterminate(StatusCode::SyntaxError, error.message),
    };
    let request = request(folder, semantics)?.context("there is no `request.json` and no `request.xml`")?;
    let response = request.map_or_else(refused, |request| decider.decide(&request, environment));
    let expected = self::response(folder)?;
    let given = answer::of(&response, semantics)?;
    let given = match (&expected, own) {
        (Some(expected), Semantics::Standard) => answer::in_order_of(expected, given),
        _ => given,
    };
    if expected.is_none() && answer::list(answer::member(expect, "decisions")).is_empty() {
        bail!("there is no `response.json`, no `response.xml` and no expected decision");
    }
    let declared: Vec<_> = [("decisions", Answer::decision as fn(&Answer) -> &str), ("status", Answer::status)]
        .into_iter()
        .filter_map(|(member, of)| {
            let listed = expect.get(member)?.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            let found: Vec<_> = given.iter().map(of).collect();
            (listed != found).then(|| format!("{member} expected {listed:?}, found {found:?}"))
        })
        .collect();
    let messages: Vec<_> = response.results.iter().filter_map(|result| result.status.message.as_deref()).collect();
    let difference = declared.into_iter().next().or_else(|| answer::difference(&expected?, &given, own));
    Ok(difference.map(|difference| match messages.as_slice() {
        [] => difference,
        messages => format!("{difference} ({})", messages.join("; ")),
    }))
}

/// Whether nothing but Indeterminate is expected.
fn is_open(folder: &Path, expect: &Value) -> Result<bool> {
    let mut decisions: Vec<String> =
        answer::list(answer::member(expect, "decisions")).iter().map(answer::text).collect();
    decisions.extend(response(folder)?.iter().flatten().map(|one| one.decision().to_owned()));
    Ok(!decisions.is_empty() && decisions.iter().all(|decision| decision == "Indeterminate"))
}

/// The case's policy, compiled; or why it is refused. Without `policy.xml` it is the one of `policies/` that no other
/// refers to.
fn load(folder: &Path, semantics: Semantics) -> Result<Result<CompiledPolicy, PolicyError>> {
    let mut others = Vec::new();
    for path in xml_files(&folder.join("policies"))? {
        match document(&path)? {
            Ok(document) => others.push(document),
            Err(error) => return Ok(Err(error)),
        }
    }
    let path = folder.join("policy.xml");
    let root = if path.is_file() {
        match document(&path)? {
            Ok(root) => root,
            Err(error) => return Ok(Err(error)),
        }
    } else {
        let referred: BTreeSet<String> = others.iter().flat_map(|other| references(&other.root)).collect();
        let roots: Vec<_> = (0..others.len())
            .filter(|at| others.get(*at).is_some_and(|one| !referred.contains(one.root.id())))
            .collect();
        match roots.as_slice() {
            [root] => others.remove(*root),
            _ => bail!("there is no `policy.xml`, and {} policies that no other refers to", roots.len()),
        }
    };
    Ok(CompiledPolicy::compile(&root, &others, semantics))
}

/// Ids that a policy set refers to.
fn references(root: &PolicyElement) -> BTreeSet<String> {
    let (mut found, mut waiting) = (BTreeSet::new(), vec![root]);
    while let Some(element) = waiting.pop() {
        let PolicyElement::PolicySet(set) = element else { continue };
        for child in &set.children {
            match child {
                PolicyChild::Element(element) => waiting.push(element),
                PolicyChild::Reference(reference) => drop(found.insert(reference.id.clone())),
            }
        }
    }
    found
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

/// Every XML file below a folder, in order of name; none if there is no such folder.
pub(super) fn xml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    world::files(folder, "xml")
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}
