//! Who may be a client of whom, looked up.

use std::collections::BTreeSet;

use policies::id::{AccessPackage, OrganizationNumber};

use super::model::Candidate;
use crate::parties::store::relations;
use crate::parties::{self, Party};
use crate::store::Connection;

/// Organisations that are looked at together.
const LOOK_COUNT: i64 = 500;

/// These organisations with their relations to the provider, their main units' included.
pub(super) async fn of(
    connection: &mut Connection,
    provider: OrganizationNumber,
    parties: Vec<Party>,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let organizations: BTreeSet<_> =
        parties.iter().flat_map(|party| [Some(party.organization), party.main_unit]).flatten().collect();
    let relations = relations::between(connection, &organizations, &BTreeSet::from([provider])).await?;
    let candidate = |party: Party| {
        let counts = |from: OrganizationNumber| from == party.organization || Some(from) == party.main_unit;
        let relations = relations.iter().filter(|relation| counts(relation.from)).cloned().collect();
        Candidate { party, relations }
    };
    Ok(parties.into_iter().map(candidate).collect())
}

/// Organisations for which the provider holds all of these packages, in order of their numbers from `after` on.
pub(super) async fn with_packages(
    connection: &mut Connection,
    provider: OrganizationNumber,
    packages: &[AccessPackage],
    after: &str,
    count: usize,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let mut found = Vec::new();
    let mut after = after.to_owned();
    // Ends: every turn begins after the last organisation of the one before.
    loop {
        let parties = relations::clients_of(connection, provider, &after, LOOK_COUNT).await?;
        let Some(last) = parties.last() else { break };
        after = last.organization.to_string();
        let candidates = of(connection, provider, parties).await?;
        found.extend(candidates.into_iter().filter(|candidate| candidate.carries(packages)));
        if found.len() >= count {
            found.truncate(count);
            break;
        }
    }
    Ok(found)
}

/// The parties with these numbers, each with its relations.
pub(super) async fn named(
    connection: &mut Connection,
    provider: OrganizationNumber,
    organizations: &BTreeSet<OrganizationNumber>,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let parties = parties::store::named(connection, &BTreeSet::new(), organizations, &BTreeSet::new()).await?;
    of(connection, provider, parties).await
}
