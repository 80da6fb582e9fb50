//! The same through a vendor's system, with the token of whoever uses it: `/enduser/systemuser/…`.
//!
//! The person's right is looked for at the owner of the agent system user that the call names.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{RawQuery, State};
use policies::id::{OrganizationNumber, PartyUuid, SystemUserId};
use serde_json::{Value, json};

use super::model::client_info_json;
use super::{add, agents, candidates, page, remove, store};
use crate::base_url::BaseUrl;
use crate::caller::{ClientDelegationRead, ClientDelegationWrite, PartyAccess, PartyOperation, Person, party_of_query};
use crate::openapi::{self, altinn, clients};
use crate::parameters::Query;
use crate::parties::{self, Party};
use crate::problem::{Invalid, Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users;
use crate::system_users::model::{SystemUser, SystemUserKind};

/// Altinn's path of the parameter in a refusal.
const AGENT: &str = "?agent";

/// The agent system users of an organisation.
#[utoipa::path(
    get, path = "/authentication/api/v1/enduser/systemuser/agents", operation_id = "listAgentsThroughVendor", tag = openapi::CLIENTS,
    security(("user" = ["altinn:clientdelegations.read"])),
    params(("party" = String, Query, description = "The owner's organisation number")),
    responses((status = 200, body = Vec<altinn::SystemUserInternal>), (status = 404, description = "`party_not_found`")),
)]
pub(super) async fn agents(
    State(state): State<AppState>,
    person: Person<ClientDelegationRead>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    // Altinn looks for the party before it asks what the person may do there.
    let party = party_of_query(&mut connection, query.as_deref().unwrap_or_default()).await?;
    let caller = person.at(&state, &mut connection, Some(party.ok_or(codes::PARTY_NOT_FOUND)?)).await?;
    agents::list_json(&mut connection, &caller.party).await.map(Json)
}

/// Organisations that the agent system user could act for: the owner holds all of its packages for them.
#[utoipa::path(
    get, path = "/authentication/api/v1/enduser/systemuser/clients/available", operation_id = "listAvailableClients", tag = openapi::CLIENTS,
    security(("user" = ["altinn:clientdelegations.read"])),
    params(("agent" = String, Query, description = "The agent system user"), ("token" = Option<String>, Query, description = "Of `links.next`")),
    responses((status = 200, body = clients::ClientInfoPaginated)),
)]
pub(super) async fn available(
    State(state): State<AppState>,
    person: Person<ClientDelegationRead>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let (user, _) = agent(&state, &mut connection, person, &query).await?;
    let (after, count) = (page::start(&query)?, page::ENTRIES + 1);
    let found = candidates::with_packages(&mut connection, user.owner, &user.client_packages, &after, count).await?;
    let parties: Vec<_> = found.into_iter().map(|candidate| candidate.party).collect();
    Ok(Json(client_page(&base, "clients/available", &user, &parties)))
}

/// The clients that an agent system user acts for.
#[utoipa::path(
    get, path = "/authentication/api/v1/enduser/systemuser/clients", operation_id = "listClients", tag = openapi::CLIENTS,
    security(("user" = ["altinn:clientdelegations.read"])),
    params(("agent" = String, Query, description = "The agent system user"), ("token" = Option<String>, Query, description = "Of `links.next`")),
    responses((status = 200, body = clients::ClientInfoPaginated)),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    person: Person<ClientDelegationRead>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let (user, _) = agent(&state, &mut connection, person, &query).await?;
    let count = i64::try_from(page::ENTRIES + 1).unwrap_or(i64::MAX);
    let delegations = store::page(&mut connection, user.id, &page::start(&query)?, count).await?;
    let organizations: BTreeSet<_> = delegations.iter().map(|delegation| delegation.client).collect();
    let parties = in_order(&mut connection, &organizations).await?;
    Ok(Json(client_page(&base, "clients", &user, &parties)))
}

/// An agent system user acts for a client; added again, nothing changes.
#[utoipa::path(
    post, path = "/authentication/api/v1/enduser/systemuser/clients", operation_id = "addClientThroughVendor", tag = openapi::CLIENTS,
    security(("user" = ["altinn:clientdelegations.write"])),
    params(("agent" = String, Query, description = "The agent system user"), ("client" = String, Query, description = "The client's party uuid")),
    responses((status = 200, body = clients::ChangedClient), (status = 400, description = "`AUTH-00079`, `AUTH-00080`, or parts of the query are wrong")),
)]
pub(super) async fn post(
    State(state): State<AppState>,
    person: Person<ClientDelegationWrite>,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let client = agent_and_client(&query)?.1;
    let by = caller_of(&state, person, &query).await?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = agents::owned(connection, by.agent, by.owner).await?;
    let party = parties::store::find_uuid(connection, client).await?;
    let added = add::add(connection, &*state.ids, &user, party, by.user_id, now).await?;
    if added.is_new {
        change.commit(now, "client_added", added.log(&user)).await?;
    }
    Ok(Json(json!({ "agent": user.id, "client": client })))
}

/// An agent system user no longer acts for a client.
#[utoipa::path(
    delete, path = "/authentication/api/v1/enduser/systemuser/clients", operation_id = "removeClientThroughVendor", tag = openapi::CLIENTS,
    security(("user" = ["altinn:clientdelegations.write"])),
    params(("agent" = String, Query, description = "The agent system user"), ("client" = String, Query, description = "The client's party uuid")),
    responses((status = 200, body = clients::ChangedClient), (status = 400, description = "`AUTH-00038`, or parts of the query are wrong")),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    person: Person<ClientDelegationWrite>,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let client = agent_and_client(&query)?.1;
    let by = caller_of(&state, person, &query).await?;
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = agents::owned(connection, by.agent, by.owner).await?;
    let party = parties::store::find_uuid(connection, client).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
    let removed = remove::remove(connection, &user, party.organization).await?.ok_or(codes::DELEGATION_NOT_FOUND)?;
    change.commit(now, "client_removed", remove::log(&user, &removed, by.user_id)).await?;
    Ok(Json(json!({ "agent": user.id, "client": client })))
}

/// Somebody who may change the clients of an agent system user.
struct ChangedBy {
    user_id: i64,
    agent: SystemUserId,
    owner: OrganizationNumber,
}

async fn caller_of(
    state: &AppState,
    person: Person<ClientDelegationWrite>,
    query: &Query,
) -> Result<ChangedBy, Problem> {
    let mut connection = state.store.read().await?;
    let (user, access) = agent(state, &mut connection, person, query).await?;
    Ok(ChangedBy { user_id: access.user_id(), agent: user.id, owner: user.owner })
}

/// The agent system user that `?agent=` names, once the person may do this at its owner.
async fn agent<O: PartyOperation>(
    state: &AppState,
    connection: &mut Connection,
    person: Person<O>,
    query: &Query,
) -> Result<(SystemUser, PartyAccess<O>), Problem> {
    let wrong = |code| Problem::validation(vec![Invalid::at(code, AGENT)]);
    let id = agent_parameter(query).map_err(|invalid| Problem::validation(vec![invalid]))?;
    let user = system_users::store::find(connection, id)
        .await?
        .filter(|user| user.withdrawn_at.is_none())
        .ok_or_else(|| wrong(codes::AGENT_PARAMETER))?;
    let owner = parties::store::find_organization(connection, user.owner).await?;
    let access = person.at(state, connection, owner).await?;
    if user.kind != SystemUserKind::Agent {
        return Err(wrong(codes::NOT_AGENT));
    }
    Ok((user, access))
}

/// Both parameters, or all that is wrong with them.
fn agent_and_client(query: &Query) -> Result<(SystemUserId, PartyUuid), Problem> {
    let client = query.text("client").and_then(|text| PartyUuid::parse(text).ok());
    let client = client.ok_or(Invalid::at(codes::CLIENT_PARAMETER, "?client"));
    match (agent_parameter(query), client) {
        (Ok(agent), Ok(client)) => Ok((agent, client)),
        (agent, client) => Err(Problem::validation(agent.err().into_iter().chain(client.err()).collect())),
    }
}

fn agent_parameter(query: &Query) -> Result<SystemUserId, Invalid> {
    let id = query.text("agent").and_then(|text| SystemUserId::parse(text).ok());
    id.ok_or(Invalid::at(codes::AGENT_PARAMETER, AGENT))
}

/// The parties in order of their numbers.
pub(super) async fn in_order(
    connection: &mut Connection,
    organizations: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<Party>, sqlx::Error> {
    let mut parties = parties::store::named(connection, &BTreeSet::new(), organizations, &BTreeSet::new()).await?;
    parties.sort_by_key(|party| party.organization);
    Ok(parties)
}

/// Altinn's `ClientInfoPaginated`, of one party more than a page has if there is another page.
fn client_page(base: &BaseUrl, list: &str, user: &SystemUser, parties: &[Party]) -> Value {
    let (shown, links) = page::of(base, list, user.id, parties);
    json!({
        "links": links,
        "systemUserInformation": { "systemUserId": user.id, "systemUserOwnerOrg": user.owner },
        "data": shown.iter().map(client_info_json).collect::<Vec<_>>(),
    })
}
