//! The world that a suite's cases assume, read from the folder `_mocks` beside them: delegations, packages and access
//! lists from `world.json`, the rest from the files that Altinn's own tests answer from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use policies::xacml::context::{Delegation, EstateRole, Instance, Membership, PackageGrant, Party, World};
use policies::xacml::{CompiledPolicy, Semantics};
use serde_json::Value;

use super::answer::{list, member, parse_json, text};
use super::case::{document, read, xml_files};
use super::file_name;

/// The role that everybody has for themselves, and for nobody else.
const OWN_ROLE: &str = "PRIV";

/// How many folders above a case its world may lie.
const LEVELS_MAX: usize = 3;

/// The folder with the world of a case, if its suite has one: the nearest `world.json`, in `_mocks` or without.
pub(super) fn mocks_of(case: &Path) -> Option<PathBuf> {
    let above = case.ancestors().take(LEVELS_MAX);
    let places = above.flat_map(|folder| [folder.join("_mocks"), folder.to_owned()]);
    places.into_iter().find(|place| place.join("world.json").is_file())
}

/// Reads the world, with the policies of a case.
pub(super) fn load(mocks: &Path, case: &Path, semantics: Semantics) -> Result<World> {
    let file = json(&mocks.join("world.json"))?;
    let mut world = World { roles: roles(&mocks.join("Roles"))?, parties: parties(mocks)?, ..World::default() };
    world.users = users(&world);
    for path in files(&mocks.join("Instances"), "json")? {
        instance(&json(&path)?, &mut world);
    }
    // Those of the case come last and hold.
    for path in files(&mocks.join("blobs/input"), "xml")?.into_iter().chain(files(&mocks.join("Xacml/3.0"), "xml")?) {
        if let (Some(resource), Ok(policy)) = (resource_of_path(&path), policy(&path, semantics)) {
            world.policies.insert(resource, policy);
        }
    }
    for path in xml_files(&case.join("policies"))? {
        let name = file_name(&path);
        let resource = match name.trim_end_matches(".xml").split("__").collect::<Vec<_>>()[..] {
            ["AltinnApps", owner, app] => format!("app_{owner}_{app}"),
            ["ResourceRegistry", resource] => resource.to_owned(),
            _ => bail!("`{name}` does not tell whose policy it is"),
        };
        world.policies.insert(resource, policy(&path, semantics)?);
    }
    for one in list(member(&file, "delegations")) {
        if member(&one, "policyExists").as_bool() == Some(true) {
            world.delegations.push(delegation(&one, mocks)?);
        }
    }
    for one in list(member(&file, "access_packages")) {
        let (from, to) = (text(member(&one, "from")), text(member(&one, "to")));
        world.access_packages.push(PackageGrant { from, to, packages: texts(member(&one, "packages")) });
    }
    for one in list(member(&file, "oed_roles")) {
        let of = |name| text(member(&one, name));
        world.estate_roles.push(EstateRole { from: of("from"), to: of("to"), role: of("role") });
    }
    for one in list(member(&file, "access_list_memberships")) {
        let actions = member(&one, "actionFilters");
        world.memberships.push(Membership {
            organization: text(member(&one, "organization")),
            resource: text(member(&one, "resource")),
            actions: (!actions.is_null()).then(|| texts(actions)),
        });
    }
    for path in files(&mocks.join("ResourceRegistry/AccessLists"), "json")? {
        let urns = list(&json(&path)?).iter().map(|one| text(member(one, "urn"))).collect::<Vec<_>>();
        let names = urns.iter().filter_map(|urn| urn.strip_prefix("urn:altinn:access-list:")).map(str::to_owned);
        world.access_lists.insert(file_name(&path).trim_end_matches(".json").to_owned(), names.collect());
    }
    for path in files(&mocks.join("Json/ResourceList"), "json")? {
        let restricted = list(&json(&path)?).into_iter().filter(|one| text(member(one, "AccessListMode")) == "Enabled");
        world.restricted_resources.extend(restricted.map(|one| text(member(&one, "identifier"))));
    }
    Ok(world)
}

/// Policies of delegations are Altinn's own writing, and read as Altinn does whatever the policies of resources are.
fn delegation(one: &Value, mocks: &Path) -> Result<Delegation> {
    let of = |name| text(member(one, name));
    let found_by = list(member(one, "when")).into_iter().map(|when| {
        let (party, subject) = (member(&when, "party"), member(&when, "subject"));
        (text(member(party, "value")), text(member(subject, "id")), text(member(subject, "value")))
    });
    let recipient = match of("toType").as_str() {
        "Person" => Some(("urn:altinn:person:uuid".to_owned(), of("to"))),
        "Organization" => Some(("urn:altinn:organization:uuid".to_owned(), of("to"))),
        "SystemUser" => None,
        _ => [("coveredByPartyId", "urn:altinn:partyid"), ("coveredByUserId", "urn:altinn:userid")]
            .into_iter()
            .find(|(name, _)| !member(one, name).is_null())
            .map(|(name, id)| (id.to_owned(), of(name))),
    };
    Ok(Delegation {
        resource: resource_id(&of("resource")),
        instance: Some(of("instance")).filter(|instance| !instance.is_empty()),
        found_by: found_by.collect(),
        recipient,
        policy: policy(&mocks.join("blobs/input").join(of("policy")), Semantics::Altinn)?,
    })
}

/// Apps are written `owner/app` there.
fn resource_id(written: &str) -> String {
    written.split_once('/').map_or_else(|| written.to_owned(), |(owner, app)| format!("app_{owner}_{app}"))
}

/// Whose policy a file is, from the folders that it lies in.
fn resource_of_path(path: &Path) -> Option<String> {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    match names.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        [.., "input" | "AltinnApps", owner, app, "policy.xml"] => Some(format!("app_{owner}_{app}")),
        [.., "ResourceRegistry", resource, "policy.xml"] => Some(resource.to_owned()),
        _ => None,
    }
}

fn policy(path: &Path, semantics: Semantics) -> Result<CompiledPolicy> {
    Ok(CompiledPolicy::compile(&document(path)??, &[], semantics)?)
}

fn parties(mocks: &Path) -> Result<Vec<Party>> {
    let mut parties: Vec<Party> = Vec::new();
    for path in files(&mocks.join("Register"), "json")?.into_iter().chain(files(&mocks.join("Parties"), "json")?) {
        for one in list(&json(&path)?) {
            let of = |name| Some(text(member(&one, name))).filter(|text| !text.is_empty() && text != "null");
            if let (Some(id), Some(uuid)) = (of("partyId"), of("partyUuid"))
                && !parties.iter().any(|known| known.id == id)
            {
                parties.push(Party { id, uuid, organization: of("orgNumber"), person: of("ssn") });
            }
        }
    }
    Ok(parties)
}

/// `user_1/party_2/roles.json`
fn roles(folder: &Path) -> Result<BTreeMap<(String, String), Vec<String>>> {
    let mut roles = BTreeMap::new();
    for path in files(folder, "json")? {
        let names: Vec<_> = path.iter().rev().skip(1).map(|name| name.to_string_lossy()).collect();
        if let [party, user, ..] = names.as_slice()
            && let (Some(party), Some(user)) = (party.strip_prefix("party_"), user.strip_prefix("user_"))
        {
            let codes = list(&json(&path)?).iter().map(|role| text(member(role, "value"))).collect();
            roles.insert((user.to_owned(), party.to_owned()), codes);
        }
    }
    Ok(roles)
}

/// Users by identity number: a user is the person for whom they have everybody's own role.
fn users(world: &World) -> BTreeMap<String, String> {
    let own = world.roles.iter().filter(|(_, codes)| codes.iter().any(|code| code == OWN_ROLE));
    own.filter_map(|((user, party), _)| {
        let person = world.parties.iter().find(|known| known.id == *party)?.person.clone()?;
        Some((person, user.clone()))
    })
    .collect()
}

fn instance(file: &Value, world: &mut World) {
    let app = text(member(file, "appId"));
    let party = text(member(member(file, "instanceOwner"), "partyId"));
    let (process, id) = (member(file, "process"), text(member(file, "id")));
    let uuid = id.rsplit('/').next().unwrap_or_default();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    if let Some((owner, app)) = app.split_once('/') {
        let instance = Instance {
            owner: owner.to_owned(),
            app: app.to_owned(),
            party: party.clone(),
            task: some(text(member(member(process, "currentTask"), "elementId"))),
            end_event: some(text(member(process, "endEvent"))),
        };
        world.instances.insert(format!("{party}/{uuid}"), instance);
    }
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

fn json(path: &Path) -> Result<Value> {
    parse_json(&read(path)?).with_context(|| format!("in `{}`", path.display()))
}

/// Every file below a folder, in order of name; none if there is no such folder.
pub(super) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|known| known == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
