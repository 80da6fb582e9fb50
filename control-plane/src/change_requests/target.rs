//! What a vendor names in a change: the system user, and what it is to hold and not to hold. Shared by [`super::create`] and
//! [`super::verify`].

use policies::id::{AccessPackage, OrganizationNumber, SystemId, SystemUserId};
use serde::Deserialize;
use uuid::Uuid;

use super::model::{ChangeRequestId, WantedChange};
use crate::caller::{RequestWrite, Vendor};
use crate::parameters::Query;
use crate::problem::{Problem, codes};
use crate::requested;
use crate::right::{AccessPackageBody, ResourceRight, RightBody};
use crate::store::Connection;
use crate::system_users::model::{SystemUser, SystemUserKind};
use crate::systems::model::System;
use crate::{system_users, systems};

/// Entries of each list of a change.
const ENTRIES_MAX: usize = 1000;

/// A change as it arrives.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(default, rename = "requiredrights")]
    required_rights: Vec<RightBody>,
    #[serde(default, rename = "unwantedrights")]
    unwanted_rights: Vec<RightBody>,
    #[serde(default, rename = "requiredaccesspackages")]
    required_packages: Vec<AccessPackageBody>,
    #[serde(default, rename = "unwantedaccesspackages")]
    unwanted_packages: Vec<AccessPackageBody>,
    #[serde(rename = "redirecturl")]
    redirect_url: Option<String>,
}

impl Body {
    /// Whether nothing is to change, whatever the system may ask for.
    pub(super) fn is_empty(&self) -> bool {
        self.required_rights.is_empty()
            && self.unwanted_rights.is_empty()
            && self.required_packages.is_empty()
            && self.unwanted_packages.is_empty()
    }

    /// What is wanted: of what is required, only what the system may ask for; what is unwanted may be anything.
    pub(super) async fn wanted(&self, connection: &mut Connection, system: &System) -> Result<WantedChange, Problem> {
        let lengths = [
            self.required_rights.len(),
            self.unwanted_rights.len(),
            self.required_packages.len(),
            self.unwanted_packages.len(),
        ];
        if lengths.into_iter().any(|length| length > ENTRIES_MAX) {
            let expected = format!("at most {ENTRIES_MAX} entries a list");
            return Err(Problem::new(codes::FIELD_INVALID).detail(expected));
        }
        let wanted = WantedChange {
            required_rights: requested::rights(connection, system, &self.required_rights).await?,
            unwanted_rights: unwanted_rights(&self.unwanted_rights)?,
            required_packages: requested::standard_packages(system, &self.required_packages)?,
            unwanted_packages: unwanted_packages(&self.unwanted_packages)?,
        };
        if wanted.contradicts_itself() {
            return Err(Problem::new(codes::FIELD_INVALID).detail("something is both required and unwanted"));
        }
        Ok(wanted)
    }

    /// Where the customer is sent back to, if anywhere.
    pub(super) fn redirect_url(&self, system: &System) -> Result<Option<String>, Problem> {
        let url = self.redirect_url.as_deref().filter(|url| !url.is_empty());
        url.map(|url| requested::redirect_url(system, url)).transpose()
    }
}

fn unwanted_rights(bodies: &[RightBody]) -> Result<Vec<ResourceRight>, Problem> {
    let mut rights = Vec::with_capacity(bodies.len());
    for body in bodies {
        let right = ResourceRight::try_from(body).map_err(|_| codes::RIGHTS_NOT_DELEGABLE)?;
        if !rights.contains(&right) {
            rights.push(right);
        }
    }
    Ok(rights)
}

fn unwanted_packages(bodies: &[AccessPackageBody]) -> Result<Vec<AccessPackage>, Problem> {
    let mut packages = Vec::with_capacity(bodies.len());
    for body in bodies {
        let package = AccessPackage::try_from(body).map_err(|_| codes::PACKAGE_NOT_IN_SYSTEM)?;
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

/// `?correlation-id=`: the vendor's own uuid for the change.
pub(super) fn correlation_id(query: &Query) -> Result<ChangeRequestId, Problem> {
    const TEXT: &str = "Missing or invalid correlation-id. Generate a unique UUID (RFC 4122) for this Change Request.";
    let id = query.text("correlation-id").and_then(|text| Uuid::try_parse(text).ok()).filter(|id| !id.is_nil());
    id.map(ChangeRequestId).ok_or_else(|| Problem::new(codes::CORRELATION_ID_INVALID).plain_text(TEXT))
}

/// The correlation id is not the system user's own.
pub(super) fn require_other_id(id: ChangeRequestId, user: &SystemUser) -> Result<(), Problem> {
    const TEXT: &str = "The correlation-id should not be the same as the system-user-id. Generate a unique id.";
    if id.0 == user.id.as_uuid() {
        return Err(Problem::new(codes::CORRELATION_ID_INVALID).plain_text(TEXT));
    }
    Ok(())
}

/// The live standard system user that `?system-user-id=`, or `?system-id=&orgno=&external-ref=`, names.
pub(super) async fn system_user(connection: &mut Connection, query: &Query) -> Result<SystemUser, Problem> {
    let user = match query.parsed("system-user-id", SystemUserId::parse)? {
        Some(id) => system_users::store::find(connection, id).await?,
        None if query.text("system-id").is_none() => {
            let expected = "expected `system-user-id`, or `system-id` and `orgno`";
            return Err(Problem::new(codes::QUERY_INVALID).detail(expected));
        }
        None => {
            let system = query.required("system-id", SystemId::parse)?;
            let owner = query.required("orgno", OrganizationNumber::parse)?;
            let external_ref = query.text("external-ref").map_or_else(|| owner.to_string(), str::to_owned);
            system_users::store::find_live(connection, owner, &system, &external_ref).await?
        }
    };
    let is_meant = |user: &SystemUser| user.withdrawn_at.is_none() && user.kind == SystemUserKind::Standard;
    Ok(user.filter(is_meant).ok_or(codes::SYSTEM_USER_NOT_FOUND)?)
}

/// The system user's system, if it is the vendor's.
pub(super) async fn own_system(
    connection: &mut Connection,
    caller: &Vendor<RequestWrite>,
    user: &SystemUser,
) -> Result<System, Problem> {
    let system = systems::store::find(connection, &user.system).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    if !caller.may_act_for(system.vendor) {
        return Err(codes::VENDOR_NOT_OWNER_OF_REQUESTED.into());
    }
    Ok(system)
}
