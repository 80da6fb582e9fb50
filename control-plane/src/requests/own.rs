//! One request, to those whose it is: the vendor that made it, the party that is asked. What refuses depends on the kind of
//! system user that is asked for, as Altinn has it.

use policies::id::OrganizationNumber;

use super::current;
use super::model::{RequestId, SystemUserRequest};
use crate::caller::Vendor;
use crate::problem::{Problem, ProblemCode, codes};
use crate::store::Connection;
use crate::system_users::model::SystemUserKind;
use crate::systems;

/// The request for a system user of this kind, if the vendor made it; another's looks like none.
pub(super) async fn vendors_own<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    kind: SystemUserKind,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = of_kind(connection, kind, id).await?;
    require_vendors(connection, caller, &request, not_found(kind)).await?;
    Ok(request)
}

/// The request for a system user of whichever kind.
pub(super) async fn vendors_own_of_any_kind<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = current::find(connection, id).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    require_vendors(connection, caller, &request, codes::REQUEST_NOT_FOUND).await?;
    Ok(request)
}

async fn require_vendors<A>(
    connection: &mut Connection,
    caller: &Vendor<A>,
    request: &SystemUserRequest,
    not_found: ProblemCode,
) -> Result<(), Problem> {
    let system = systems::store::find(connection, &request.system).await?.ok_or(not_found)?;
    if caller.may_act_for(system.vendor) { Ok(()) } else { Err(not_found.into()) }
}

/// The request for a system user of this kind, if the party in the path is the one that is asked.
pub(super) async fn partys_own(
    connection: &mut Connection,
    party: OrganizationNumber,
    kind: SystemUserKind,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = of_kind(connection, kind, id).await?;
    if request.party != party {
        return Err(other_party(kind).into());
    }
    Ok(request)
}

/// The request for a system user of this kind, whosever it is.
pub(super) async fn of_kind(
    connection: &mut Connection,
    kind: SystemUserKind,
    id: RequestId,
) -> Result<SystemUserRequest, Problem> {
    let request = current::find(connection, id).await?.filter(|request| request.kind == kind);
    Ok(request.ok_or(not_found(kind))?)
}

/// There is no such request of this kind.
fn not_found(kind: SystemUserKind) -> ProblemCode {
    match kind {
        SystemUserKind::Standard => codes::REQUEST_NOT_FOUND,
        SystemUserKind::Agent => codes::AGENT_REQUEST_NOT_FOUND,
    }
}

/// The request of this kind is to another party.
fn other_party(kind: SystemUserKind) -> ProblemCode {
    match kind {
        SystemUserKind::Standard => codes::PARTY_REQUEST_MISMATCH,
        SystemUserKind::Agent => codes::PARTY_AGENT_REQUEST_MISMATCH,
    }
}
