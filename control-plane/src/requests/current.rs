//! Whether a request is still there to be seen.

use policies::id::SystemUserId;

use super::model::{CustomerDecision, RequestId, SystemUserRequest};
use super::store;
use crate::store::Connection;
use crate::system_users;

/// The request, unless it is over.
pub(super) async fn find(connection: &mut Connection, id: RequestId) -> Result<Option<SystemUserRequest>, sqlx::Error> {
    match store::find(connection, id).await? {
        Some(request) if !is_over(connection, &request).await? => Ok(Some(request)),
        _ => Ok(None),
    }
}

/// The customer accepted it and has withdrawn the system user since. Such a request goes as its system user went.
pub(super) async fn is_over(connection: &mut Connection, request: &SystemUserRequest) -> Result<bool, sqlx::Error> {
    if !matches!(request.decision, Some(CustomerDecision { is_accepted: true, .. })) {
        return Ok(false);
    }
    let user = system_users::store::find(connection, SystemUserId::from_uuid(request.id.0)).await?;
    Ok(user.is_none_or(|user| user.withdrawn_at.is_some()))
}
