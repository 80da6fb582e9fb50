//! One import under way: what it stores at once, what it stores at the end, and what falls because of it.

use std::collections::{BTreeMap, BTreeSet};

use policies::Timestamp;
use policies::id::OrganizationNumber;
use serde_json::{Value, json};

use super::body::{PartyBody, PersonBody, RelationBody, RoleAssignmentBody};
use crate::client_delegations;
use crate::fields::{NAME_CHARS_MAX, text};
use crate::parties::Party;
use crate::parties::model::{Person, Relation, Role, RoleAssignment};
use crate::parties::store::{self, relations};
use crate::problem::{Problem, codes};
use crate::state::Ids;
use crate::store::Connection;

/// What an import has touched so far. Main units and strikings-off are stored by [`Import::finish`]: a main unit may come
/// after its sub units.
pub(super) struct Import<'a> {
    ids: &'a dyn Ids,
    main_units: BTreeMap<OrganizationNumber, Option<OrganizationNumber>>,
    struck_off: BTreeSet<OrganizationNumber>,
    /// Organisations as whose clients or providers something may have ended.
    touched: BTreeSet<OrganizationNumber>,
}

impl<'a> Import<'a> {
    pub(super) fn new(ids: &'a dyn Ids) -> Self {
        Self { ids, main_units: BTreeMap::new(), struck_off: BTreeSet::new(), touched: BTreeSet::new() }
    }

    pub(super) async fn party(&mut self, connection: &mut Connection, body: PartyBody) -> Result<(), Problem> {
        let party = Party {
            id: body.party_id,
            uuid: body.party_uuid,
            organization: body.organization_number,
            name: text("name", &body.name, NAME_CHARS_MAX)?,
            main_unit: body.main_unit,
            form: body.organization_form,
            is_struck_off: body.struck_off,
        };
        if store::conflicts(connection, &party).await? {
            let which = format!("party {}, organisation {}", party.id, party.organization);
            return Err(Problem::new(codes::PARTY_CONFLICT).detail(which));
        }
        store::upsert(connection, &party).await?;
        self.touched.insert(party.organization);
        self.main_units.insert(party.organization, party.main_unit);
        if party.is_struck_off {
            self.struck_off.insert(party.organization);
        } else {
            self.struck_off.remove(&party.organization);
        }
        Ok(())
    }

    pub(super) async fn person(&mut self, connection: &mut Connection, body: PersonBody) -> Result<(), Problem> {
        let person = Person {
            uuid: body.party_uuid,
            id: body.party_id,
            user_id: user_id(body.user_id)?,
            name: text("name", &body.name, NAME_CHARS_MAX)?,
        };
        if store::person_conflicts(connection, &person).await? {
            return Err(Problem::new(codes::PARTY_CONFLICT).detail(format!("person, party {}", person.id)));
        }
        Ok(store::upsert_person(connection, &person).await?)
    }

    /// Takes every role at the organisation away.
    pub(super) async fn unassign_all(
        &mut self,
        connection: &mut Connection,
        organization: OrganizationNumber,
    ) -> Result<(), Problem> {
        Ok(store::unassign_all(connection, organization).await?)
    }

    pub(super) async fn assign(
        &mut self,
        connection: &mut Connection,
        body: &RoleAssignmentBody,
        role: Role,
    ) -> Result<(), Problem> {
        let assignment = assignment(connection, body, role).await?;
        require_registered(connection, assignment.organization).await?;
        Ok(store::assign(connection, &assignment).await?)
    }

    pub(super) async fn unassign(
        &mut self,
        connection: &mut Connection,
        body: &RoleAssignmentBody,
        role: Role,
    ) -> Result<(), Problem> {
        let assignment = assignment(connection, body, role).await?;
        Ok(store::unassign(connection, &assignment).await?)
    }

    pub(super) async fn relate(&mut self, connection: &mut Connection, relation: Relation) -> Result<(), Problem> {
        if relation.client == relation.provider {
            return Err(Problem::new(codes::RELATION_TO_ITSELF).detail(relation.client.to_string()));
        }
        require_registered(connection, relation.client).await?;
        require_registered(connection, relation.provider).await?;
        let id = self.ids.uuid().map_err(Problem::internal)?;
        Ok(relations::insert(connection, id, &relation).await?)
    }

    pub(super) async fn unrelate(&mut self, connection: &mut Connection, relation: Relation) -> Result<(), Problem> {
        self.touched.insert(relation.client);
        Ok(relations::delete(connection, &relation).await?)
    }

    /// The relations that these clients have are those that are wanted, and no others.
    pub(super) async fn replace_relations(
        &mut self,
        connection: &mut Connection,
        clients: &BTreeSet<OrganizationNumber>,
        wanted: BTreeSet<Relation>,
    ) -> Result<(), Problem> {
        let there = relations::of_clients_or_providers(connection, clients, &BTreeSet::new()).await?;
        for relation in there.difference(&wanted) {
            self.unrelate(connection, *relation).await?;
        }
        for relation in wanted.difference(&there) {
            self.relate(connection, *relation).await?;
        }
        Ok(())
    }

    /// Stores what had to wait and lets fall what no longer stands; gives what fell, for the change log.
    pub(super) async fn finish(mut self, connection: &mut Connection, now: Timestamp) -> Result<Value, Problem> {
        for (organization, main_unit) in std::mem::take(&mut self.main_units) {
            if let Some(main_unit) = main_unit {
                put_main_unit(connection, organization, main_unit).await?;
            }
        }
        if let Some(organization) = store::nested_sub_unit(connection).await? {
            let detail = format!("the main unit of {organization} is a sub unit itself");
            return Err(Problem::new(codes::MAIN_UNIT_NESTED).detail(detail));
        }
        let struck_off = std::mem::take(&mut self.struck_off);
        for organization in &struck_off {
            store::unassign_all(connection, *organization).await?;
            store::strike_off(connection, *organization, now).await?;
        }
        for relation in relations::of_clients_or_providers(connection, &struck_off, &struck_off).await? {
            self.unrelate(connection, relation).await?;
        }
        let fallen = client_delegations::cascade::follow(connection, &self.touched, &struck_off, now).await?;
        Ok(json!(fallen))
    }
}

/// What a relation's role is; a role that no access packages follow from is not kept.
pub(super) fn relation(body: &RelationBody) -> Option<Relation> {
    let role = body.role.parse().ok()?;
    Some(Relation { client: body.client, role, provider: body.provider })
}

async fn assignment(
    connection: &mut Connection,
    body: &RoleAssignmentBody,
    role: Role,
) -> Result<RoleAssignment, Problem> {
    let user_id = match (body.user_id, body.person_uuid) {
        (Some(id), None) => user_id(id)?,
        (None, Some(person)) => store::user_id(connection, person)
            .await?
            .ok_or_else(|| Problem::new(codes::PARTY_UNKNOWN).detail(format!("person {person}")))?,
        _ => return Err(Problem::new(codes::FIELD_INVALID).detail("expected one of `userId` and `personUuid`")),
    };
    Ok(RoleAssignment { user_id, organization: body.organization_number, role })
}

fn user_id(number: u32) -> Result<i64, Problem> {
    if number == 0 { Err(Problem::new(codes::FIELD_INVALID).detail("`userId` is 0")) } else { Ok(i64::from(number)) }
}

async fn require_registered(connection: &mut Connection, organization: OrganizationNumber) -> Result<(), Problem> {
    if store::is_registered(connection, organization).await? {
        return Ok(());
    }
    Err(Problem::new(codes::PARTY_UNKNOWN).detail(organization.to_string()))
}

async fn put_main_unit(
    connection: &mut Connection,
    organization: OrganizationNumber,
    main_unit: OrganizationNumber,
) -> Result<(), Problem> {
    if organization == main_unit {
        return Err(Problem::new(codes::MAIN_UNIT_OF_ITSELF).detail(organization.to_string()));
    }
    if !store::is_registered(connection, main_unit).await? {
        return Err(Problem::new(codes::PARTY_UNKNOWN).detail(format!("main unit {main_unit}")));
    }
    store::set_main_unit(connection, organization, main_unit).await?;
    Ok(())
}
