//! What the operations have in common that replace a system, or a part of it: whose it is, that it is the one that was read,
//! and what is written when it has changed.

use axum::Json;
use axum::http::{HeaderName, header};
use policies::Timestamp;
use policies::id::SystemId;
use serde_json::{Value, json};

use super::model::{ChangeKind, System};
use super::{change_log, own, require_live, store};
use crate::caller::{RegisterWrite, Vendor};
use crate::preconditions::{IfMatch, entity_tag};
use crate::problem::{Problem, codes};
use crate::store::Connection;

/// The caller's system, as far as a part of it may be replaced.
pub(super) async fn replaceable(
    connection: &mut Connection,
    caller: &Vendor<RegisterWrite>,
    id: &SystemId,
    if_match: &IfMatch,
) -> Result<System, Problem> {
    let system = own(connection, caller, id, || codes::SYSTEM_NOT_FOUND.into()).await?;
    require_live(&system)?;
    if_match.require(&entity_tag(&system.whole_json()))?;
    Ok(system)
}

/// Stores the system, with a line in its own log that has what is new.
pub(super) async fn store(
    connection: &mut Connection,
    caller: &Vendor<RegisterWrite>,
    system: &System,
    (kind, new): (ChangeKind, Value),
    now: Timestamp,
) -> Result<(), Problem> {
    store::update(connection, system).await?;
    Ok(change_log::append(connection, &system.id, caller, kind, new, now).await?)
}

pub(super) type Answer = ([(HeaderName, String); 1], Json<Value>);

/// What is said of a system that was replaced.
pub(super) fn answer(system: &System) -> Answer {
    ([(header::ETAG, entity_tag(&system.whole_json()))], Json(json!({ "succeeded": true })))
}
