//! What a vendor may ask of a customer: rights and packages that its system is registered with, and a way back to its own pages.
//!
//! Read when a request arrives; [`require_offered`] looks again when it is approved, because systems change meanwhile. Whether
//! the customer may give it is [`crate::delegation_checks`]'.

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::{AccessPackage, ActionId, ResourceId};
use serde_json::json;

use crate::problem::{Problem, codes};
use crate::right::{AccessPackageBody, ResourceRight, RightBody};
use crate::service::beside;
use crate::store::Connection;
use crate::systems::model::{RedirectUrl, System};
use crate::{access_packages, resources};

/// Rights that one request may name: as many as a system may have.
const RIGHTS_MAX: usize = 1000;

/// A page of the system's to which the customer is sent back: scheme, host, port and path are a registered one's, the query is
/// the vendor's own.
pub(crate) fn redirect_url(system: &System, text: &str) -> Result<String, Problem> {
    if system.redirect_urls.is_empty() {
        return Err(codes::NO_REDIRECT_URLS.into());
    }
    let url = RedirectUrl::parse(text).map_err(|_| codes::REDIRECT_URL_INVALID)?;
    if !system.redirect_urls.iter().any(|allowed| allowed.allows(&url)) {
        return Err(codes::REDIRECT_URL_INVALID.into());
    }
    Ok(url.as_str().to_owned())
}

/// Rights that the system is registered with, on resources that have a policy with the action. Repetitions fall together.
pub(crate) async fn rights(
    connection: &mut Connection,
    system: &System,
    bodies: &[RightBody],
) -> Result<Vec<ResourceRight>, Problem> {
    if bodies.len() > RIGHTS_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail(format!("expected at most {RIGHTS_MAX} rights")));
    }
    let mut rights = Vec::with_capacity(bodies.len());
    let mut ends = BTreeMap::new();
    for body in bodies {
        let right = ResourceRight::try_from(body).map_err(|_| codes::RIGHTS_NOT_DELEGABLE)?;
        require_right(system, &right)?;
        let valid_to = body.valid_to().map_err(|_| wrong_end("is no instant (RFC 3339)"))?;
        match ends.insert(right.clone(), valid_to) {
            None => rights.push(ResourceRight { valid_to, ..right }),
            Some(other) if other == valid_to => {}
            Some(_) => return Err(wrong_end("differs for the same right")),
        }
    }
    // Each policy is read once, however many of its actions are named.
    let mut actions: BTreeMap<ResourceId, BTreeSet<ActionId>> = BTreeMap::new();
    for right in &rights {
        let refused = || Problem::new(codes::RIGHTS_NOT_DELEGABLE).member("right", json!(right));
        if !actions.contains_key(&right.resource) {
            let resource = resources::store::find(connection, &right.resource).await?.ok_or_else(refused)?;
            if !resource.delegable {
                return Err(refused().detail("the resource is not delegable"));
            }
            let known = beside(move || resource.actions()).await?.map_err(|error| {
                refused().detail(format!("the resource's stored policy is not accepted any more, line {}", error.line))
            })?;
            actions.insert(right.resource.clone(), known);
        }
        let known = actions.get(&right.resource);
        let is_known = known.is_some_and(|known| match &right.action {
            Some(action) => known.contains(action),
            None => !known.is_empty(),
        });
        if !is_known {
            return Err(refused().detail("the resource's policy has no such action"));
        }
    }
    Ok(rights)
}

/// What ends by itself ends in the future.
pub(crate) fn require_to_come(rights: &[ResourceRight], now: Timestamp) -> Result<(), Problem> {
    if rights.iter().any(|right| right.is_over(now)) {
        return Err(wrong_end("is not in the future"));
    }
    Ok(())
}

fn wrong_end(how: &str) -> Problem {
    Problem::new(codes::FIELD_INVALID).detail(format!("`validTo` of a right {how}"))
}

/// Packages that the system is registered with and that a standard system user can hold.
pub(crate) fn standard_packages(system: &System, bodies: &[AccessPackageBody]) -> Result<Vec<AccessPackage>, Problem> {
    let mut packages = Vec::with_capacity(bodies.len());
    for body in bodies {
        let package = AccessPackage::try_from(body).map_err(|_| codes::PACKAGE_NOT_IN_SYSTEM)?;
        require_package(system, &package)?;
        if !access_packages::kind(&package).is_some_and(|kind| kind.is_assignable) {
            return Err(Problem::new(codes::PACKAGE_NOT_ASSIGNABLE).detail(package.to_string()));
        }
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

/// Packages that the system is registered with and that can be passed on for clients.
pub(crate) fn client_packages(system: &System, bodies: &[AccessPackageBody]) -> Result<Vec<AccessPackage>, Problem> {
    let mut packages = Vec::with_capacity(bodies.len());
    for body in bodies {
        let package = AccessPackage::try_from(body).map_err(|_| codes::PACKAGE_NOT_IN_SYSTEM)?;
        require_package(system, &package)?;
        if !access_packages::kind(&package).is_some_and(|kind| kind.is_delegable) {
            return Err(Problem::new(codes::PACKAGE_NOT_FOR_CLIENTS).detail(package.to_string()));
        }
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    if packages.is_empty() {
        return Err(codes::NO_CLIENT_PACKAGES.into());
    }
    Ok(packages)
}

/// The system may still ask for all of it.
pub(crate) fn require_offered(
    system: &System,
    rights: &[ResourceRight],
    packages: &[AccessPackage],
) -> Result<(), Problem> {
    rights.iter().try_for_each(|right| require_right(system, right))?;
    packages.iter().try_for_each(|package| require_package(system, package))
}

fn require_right(system: &System, right: &ResourceRight) -> Result<(), Problem> {
    if system.rights.iter().any(|registered| registered.covers(right)) {
        return Ok(());
    }
    Err(Problem::new(codes::RIGHTS_NOT_DELEGABLE)
        .member("right", json!(right))
        .detail("the system is not registered with this right"))
}

fn require_package(system: &System, package: &AccessPackage) -> Result<(), Problem> {
    if system.access_packages.contains(package) {
        return Ok(());
    }
    Err(Problem::new(codes::PACKAGE_NOT_IN_SYSTEM).detail(package.to_string()))
}
