//! What agent system users act for, and could: Altinn's portal lists, bare arrays without pages.
//!
//! `GET /systemuser/agent/{party}/{facilitator}/{systemUserId}/delegations` and `GET /systemuser/agent/{party}/clients`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use policies::id::{AccessPackage, PartyUuid, SystemUserId};
use serde::Deserialize;
use serde_json::Value;

use super::agents::{owned, require_same_party};
use super::model::{Candidate, delegation_json};
use super::{candidates, store};
use crate::caller::{ClientAdministrationRead, PartyAccess};
use crate::openapi::{self, clients};
use crate::parameters::PathOf;
use crate::parties::PartyId;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Packages that may be asked for at once.
const PACKAGES_MAX: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    facilitator: Facilitator,
    system_user_id: SystemUserId,
}

/// The party again: its uuid, or its number once more.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
enum Facilitator {
    Number(PartyId),
    Uuid(PartyUuid),
}

impl TryFrom<String> for Facilitator {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.parse().ok().and_then(|number: i64| PartyId::try_from(number).ok());
        let uuid = || PartyUuid::parse(&text).map_err(|error| error.to_string());
        number.map_or_else(|| uuid().map(Self::Uuid), |number| Ok(Self::Number(number)))
    }
}

/// The clients that an agent system user acts for.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/agent/{party}/{facilitator}/{system_user_id}/delegations", operation_id = "listClientDelegations", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, body = Vec<clients::DelegationResponse>),
        (status = 400, description = "`AUTH-00031` or `AUTH-00034`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn delegations(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationRead>,
    PathOf(InPath { facilitator, system_user_id }): PathOf<InPath>,
) -> Result<Json<Vec<Value>>, Problem> {
    match facilitator {
        Facilitator::Number(number) if number == caller.party.id => {}
        Facilitator::Number(_) => return Err(codes::FACILITATOR_MISMATCH.into()),
        Facilitator::Uuid(uuid) => require_same_party(&caller.party, uuid)?,
    }
    let mut connection = state.store.read().await?;
    let user = owned(&mut connection, system_user_id, caller.organization()).await?;
    let delegations = store::page(&mut connection, user.id, "", i64::MAX).await?;
    let organizations = delegations.iter().map(|delegation| delegation.client).collect();
    let found = candidates::named(&mut connection, user.owner, &organizations).await?;
    let found: BTreeMap<_, Candidate> =
        found.into_iter().map(|candidate| (candidate.party.organization, candidate)).collect();
    let json = delegations.iter().filter_map(|one| Some(delegation_json(one, found.get(&one.client)?)));
    Ok(Json(json.collect()))
}

/// Organisations that have a relation to the party which carries all of these packages.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/agent/{party}/clients", operation_id = "listPossibleClients", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(
        ("facilitator" = Option<String>, Query, description = "The party's uuid"),
        ("packages" = Option<Vec<String>>, Query, description = "URNs of access packages, or their last parts"),
        ("systemUserId" = Option<String>, Query, description = "An agent system user of the party; its packages are wanted, too"),
    ),
    responses((status = 200, body = Vec<clients::Customer>), (status = 400, description = "`AUTH-00034` or `AUTH-00045`"), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn possible(
    State(state): State<AppState>,
    caller: PartyAccess<ClientAdministrationRead>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut asked = Asked::parse(query.as_deref().unwrap_or_default())?;
    if asked.facilitator.is_some_and(|facilitator| facilitator != caller.party.uuid) {
        return Err(codes::CLIENTS_NOT_LISTED.into());
    }
    let mut connection = state.store.read().await?;
    if let Some(agent) = asked.system_user {
        let agent = owned(&mut connection, agent, caller.organization()).await?;
        asked.packages.extend(agent.client_packages);
    }
    let found =
        candidates::with_packages(&mut connection, caller.organization(), &asked.packages, "", usize::MAX).await?;
    Ok(Json(found.iter().map(Candidate::customer_json).collect()))
}

/// A query in which `packages` may be repeated.
#[derive(Debug, Default)]
struct Asked {
    facilitator: Option<PartyUuid>,
    system_user: Option<SystemUserId>,
    packages: Vec<AccessPackage>,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(codes::QUERY_INVALID).detail(detail);
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "facilitator" if asked.facilitator.is_some() => return Err(invalid(format!("`{name}` occurs twice"))),
                "facilitator" => {
                    let uuid = PartyUuid::parse(value).map_err(|error| invalid(format!("`{name}`: {error}")))?;
                    asked.facilitator = Some(uuid);
                }
                "systemuserid" if asked.system_user.is_some() => {
                    return Err(invalid(format!("`{name}` occurs twice")));
                }
                "systemuserid" => {
                    let id = SystemUserId::parse(value).map_err(|error| invalid(format!("`{name}`: {error}")))?;
                    asked.system_user = Some(id);
                }
                "packages" if asked.packages.len() == PACKAGES_MAX => {
                    return Err(invalid(format!("`{name}`: at most {PACKAGES_MAX}")));
                }
                "packages" => {
                    let package = AccessPackage::parse(value).or_else(|_| AccessPackage::from_name(value));
                    asked.packages.push(package.map_err(|error| invalid(format!("`{name}`: {error}")))?);
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}
