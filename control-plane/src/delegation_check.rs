//! Whether somebody may give what is about to be given: the one check behind every approval.
//!
//! It looks at the resources and packages as they are at this instant, within the operation that gives them.

use std::collections::BTreeSet;

use policies::id::AccessPackage;
use serde_json::json;

use crate::decisions::of_user::LoggedInUser;
use crate::parties::Party;
use crate::problem::{Problem, codes};
use crate::right::ResourceRight;
use crate::state::AppState;
use crate::store::Connection;
use crate::{access_packages, resources};

/// Refuses unless all of it may be given to a standard system user of the party by this user.
pub(crate) async fn require_delegable(
    _state: &AppState,
    connection: &mut Connection,
    _user: LoggedInUser,
    _party: &Party,
    rights: &[ResourceRight],
    packages: &[AccessPackage],
) -> Result<(), Problem> {
    let ids: BTreeSet<_> = rights.iter().map(|right| right.resource.clone()).collect();
    let delegable = resources::store::delegability(connection, &ids).await?;
    for right in rights {
        if delegable.get(&right.resource) != Some(&true) {
            return Err(Problem::new(codes::RESOURCE_NOT_DELEGABLE).member("right", json!(right)));
        }
    }
    for package in packages {
        if !access_packages::kind(package).is_some_and(|kind| kind.is_assignable) {
            return Err(Problem::new(codes::PACKAGE_NOT_ASSIGNABLE).detail(package.to_string()));
        }
    }
    Ok(())
}
