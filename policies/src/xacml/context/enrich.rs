//! How a request is completed: attributes that the policies speak of, from those that the client sent.
//!
//! Nothing that was sent is changed or removed, and nothing is added that is there already.

use super::{CompiledPolicy, EntryPoint, World, WrongRequest};
use crate::id::SystemUserId;
use crate::urn;
use crate::xacml::Environment;
use crate::xacml::request::{Category, Request, RequestAttribute, RequestValue};
use crate::xacml::response::DecisionResult;
use crate::xacml::value::DataType;

pub(super) const OWNER: &str = "urn:altinn:org";
pub(super) const APP: &str = "urn:altinn:app";
pub(super) const PARTY_ID: &str = "urn:altinn:partyid";
pub(super) const PARTY_UUID: &str = "urn:altinn:party:uuid";
const PARTY_TYPE: &str = "urn:altinn:partytype";
pub(super) const USER_ID: &str = "urn:altinn:userid";
const PERSON: &str = "urn:altinn:person:identifier-no";
const OLD_PERSON: &str = "urn:altinn:ssn";
pub(super) const OLD_ORGANIZATION: &str = "urn:altinn:organizationnumber";
const INSTANCE: &str = "urn:altinn:instance-id";
/// A part of an app; of events instances are not looked up.
const APP_RESOURCE: &str = "urn:altinn:appresource";
const RESOURCE_INSTANCE: &str = "urn:altinn:resource:instance-id";
const TASK: &str = "urn:altinn:task";
const END_EVENT: &str = "urn:altinn:end-event";
const ROLE: &str = "urn:altinn:rolecode";
const REGISTER_ROLE: &str = "urn:altinn:external-role:ccr";
const ESTATE_ROLE: &str = "urn:digitaltdodsbo:rolecode";
const ACCESS_LIST: &str = "urn:altinn:access-list";

/// A request with what is known added to it.
#[derive(Debug, Clone)]
pub(super) struct Complete {
    categories: Vec<Category>,
}

/// Who asks, as far as other attributes follow from it.
#[derive(Debug, Default)]
pub(super) struct Subject {
    user: Option<String>,
    person: Option<String>,
    /// Uuid of the party or system user.
    uuid: Option<String>,
}

impl Complete {
    /// Checks what may be sent together.
    pub(super) fn of(categories: &[&Category], entry: EntryPoint) -> Result<Self, WrongRequest> {
        let complete = Self { categories: categories.iter().map(|category| (*category).clone()).collect() };
        let subjects: Vec<_> =
            complete.attributes(urn::CATEGORY_SUBJECT).map(|attribute| attribute.id.as_str()).collect();
        let wrong = |message: &str| Err(WrongRequest(message.to_owned()));
        if subjects.is_empty() {
            return wrong("no subject is named");
        }
        let values: usize = complete.attributes(urn::CATEGORY_SUBJECT).map(|attribute| attribute.values.len()).sum();
        if subjects.contains(&urn::SYSTEM_USER_UUID) && (subjects.len() > 1 || values != 1) {
            let message = "`urn:altinn:systemuser:uuid` can only be used by itself and not in combination with other subject identifiers";
            return wrong(message);
        }
        let names_person = subjects.iter().any(|id| [PERSON, OLD_PERSON].contains(id));
        if names_person && subjects.iter().any(|id| [USER_ID, urn::ORGANIZATION_NUMBER, OLD_ORGANIZATION].contains(id))
        {
            return wrong("a person's identity number can not be combined with other subject identifiers");
        }
        let names_organization = subjects.iter().any(|id| [urn::ORGANIZATION_NUMBER, OLD_ORGANIZATION].contains(id));
        if entry == EntryPoint::External && names_organization && subjects.contains(&USER_ID) {
            return wrong("an organization's number can not be combined with a user's");
        }
        let names_person = names_person
            || complete.attributes(urn::CATEGORY_RESOURCE).any(|one| [PERSON, OLD_PERSON].contains(&one.id.as_str()));
        if names_person && entry == EntryPoint::Internal {
            return wrong("identity numbers are not allowed here");
        }
        Ok(complete)
    }

    /// Completes the resource: instance, app and party.
    pub(super) fn resource(&mut self, world: &World) {
        let of = |complete: &Self, id: &str| complete.first(urn::CATEGORY_RESOURCE, id);
        if let Some(id) = of(self, INSTANCE) {
            if let Some(instance) = world.instances.get(&id).filter(|_| !self.is_complete()) {
                // A process is at a task or has ended.
                let end_event = instance.end_event.as_ref().filter(|_| instance.task.is_none());
                let known = [
                    (OWNER, Some(&instance.owner)),
                    (APP, Some(&instance.app)),
                    (TASK, instance.task.as_ref()),
                    (END_EVENT, end_event),
                ];
                for (id, value) in known {
                    if let (None, Some(value)) = (of(self, id), value) {
                        self.add(urn::CATEGORY_RESOURCE, id, value, false);
                    }
                }
                if of(self, PARTY_ID).is_none() {
                    self.add(urn::CATEGORY_RESOURCE, PARTY_ID, &instance.party, true);
                }
            }
            self.add_if_new(urn::CATEGORY_RESOURCE, RESOURCE_INSTANCE, &id);
            if let Some((_, uuid)) = id.split_once('/') {
                self.add_if_new(urn::CATEGORY_RESOURCE, RESOURCE_INSTANCE, uuid);
            }
        }
        let app = of(self, urn::RESOURCE).and_then(|id| {
            let (owner, app) = id.strip_prefix("app_")?.split_once('_')?;
            Some((owner.to_owned(), app.to_owned()))
        });
        if let Some((owner, app)) = app {
            self.add_if_new(urn::CATEGORY_RESOURCE, OWNER, &owner);
            self.add_if_new(urn::CATEGORY_RESOURCE, APP, &app);
        } else if let (Some(owner), Some(app), None) = (of(self, OWNER), of(self, APP), of(self, urn::RESOURCE)) {
            self.add(urn::CATEGORY_RESOURCE, urn::RESOURCE, &format!("app_{owner}_{app}"), false);
        }
        if of(self, PARTY_ID).is_none() {
            let organization = of(self, urn::ORGANIZATION_NUMBER).or_else(|| of(self, OLD_ORGANIZATION));
            let person = of(self, PERSON).or_else(|| of(self, OLD_PERSON));
            let uuid = of(self, PARTY_UUID);
            // The first of the three that is given tells.
            let found = world.parties.iter().find(|party| match (&organization, &person, &uuid) {
                (Some(_), _, _) => party.organization == organization,
                (None, Some(_), _) => party.person == person,
                (None, None, Some(uuid)) => uuid.eq_ignore_ascii_case(&party.uuid),
                (None, None, None) => false,
            });
            if let Some(party) = found {
                self.add(urn::CATEGORY_RESOURCE, PARTY_ID, &party.id, false);
            }
        }
    }

    /// Whether all is said that an instance could tell; then it is not looked up.
    fn is_complete(&self) -> bool {
        let has = |id| self.first(urn::CATEGORY_RESOURCE, id).is_some_and(|value| !value.is_empty());
        let resource = self.first(urn::CATEGORY_RESOURCE, urn::RESOURCE).filter(|id| !id.is_empty());
        let is_app = resource.as_ref().is_some_and(|id| id.starts_with("app_"));
        let is_about_events =
            || self.first(urn::CATEGORY_RESOURCE, APP_RESOURCE).is_some_and(|value| value == "events");
        let of_app = is_app || (has(OWNER) && has(APP));
        has(PARTY_ID)
            && ((of_app && (has(TASK) || has(END_EVENT) || is_about_events())) || (resource.is_some() && !is_app))
    }

    /// The id of the resource that a policy is looked up by.
    pub(super) fn resource_id(&self) -> Option<String> {
        let of = |id| self.first(urn::CATEGORY_RESOURCE, id);
        match (of(OWNER), of(APP)) {
            (Some(owner), Some(app)) => Some(format!("app_{owner}_{app}")),
            _ => of(urn::RESOURCE),
        }
    }

    /// Who asks. What is known of an organisation is added, by the outer door its party, too.
    pub(super) fn subject(&mut self, world: &World, entry: EntryPoint) -> Result<Subject, WrongRequest> {
        let of = |complete: &Self, id: &str| complete.first(urn::CATEGORY_SUBJECT, id);
        if let Some(uuid) = of(self, urn::SYSTEM_USER_UUID) {
            SystemUserId::parse(&uuid).map_err(|_| WrongRequest("a system user is named by a uuid".to_owned()))?;
            return Ok(Subject { uuid: Some(uuid), ..Subject::default() });
        }
        if of(self, PARTY_UUID).is_some_and(|uuid| SystemUserId::parse(&uuid).is_err()) {
            return Err(WrongRequest("a party is named by a uuid".to_owned()));
        }
        let person = of(self, PERSON).or_else(|| of(self, OLD_PERSON));
        if let Some(user) = person.as_ref().and_then(|person| world.users.get(person)) {
            self.add_if_new(urn::CATEGORY_SUBJECT, USER_ID, user);
        }
        let user = of(self, USER_ID);
        let person = person.or_else(|| {
            world
                .users
                .iter()
                .find(|(_, of_person)| Some(*of_person) == user.as_ref())
                .map(|(person, _)| person.clone())
        });
        let organization = of(self, urn::ORGANIZATION_NUMBER).or_else(|| of(self, OLD_ORGANIZATION));
        if let Some(number) = of(self, OLD_ORGANIZATION) {
            self.add_if_new(urn::CATEGORY_SUBJECT, urn::ORGANIZATION_NUMBER, &number);
        }
        let of_number = |party: &&super::Party| organization.is_some() && party.organization == organization;
        if let Some(party) = world.parties.iter().find(of_number).filter(|_| entry == EntryPoint::External) {
            self.add_if_new(urn::CATEGORY_SUBJECT, PARTY_ID, &party.id);
        }
        let own_party = world.parties.iter().find(|party| {
            (person.is_some() && party.person == person)
                || (organization.is_some() && party.organization == organization)
        });
        let uuid = of(self, PARTY_UUID).or_else(|| own_party.map(|party| party.uuid.clone()));
        Ok(Subject { user, person, uuid })
    }

    /// Adds what the policy asks about the subject.
    pub(super) fn subject_attributes(&mut self, world: &World, policy: &CompiledPolicy, subject: &Subject) {
        let party_id = self.party();
        let party = party_id.as_ref().and_then(|id| world.parties.iter().find(|party| party.id == *id));
        let party_uuid =
            party.map(|party| party.uuid.clone()).or_else(|| self.first(urn::CATEGORY_RESOURCE, PARTY_UUID));
        let mut found: Vec<(&str, String)> = Vec::new();
        let of_user = subject.user.clone().zip(party_id.clone());
        let held_by_user = [(ROLE, &world.roles), (REGISTER_ROLE, &world.register_roles)];
        for (id, held) in held_by_user.into_iter().chain([(urn::ACCESS_PACKAGE, &world.user_packages)]) {
            if policy.names_subject_attribute(id)
                && let Some(values) = of_user.as_ref().and_then(|key| held.get(key))
            {
                found.extend(values.iter().map(|value| (id, value.clone())));
            }
        }
        if policy.names_subject_attribute(ESTATE_ROLE)
            && let (Some(to), Some(from)) = (&subject.person, party.and_then(|party| party.person.as_ref()))
        {
            let roles = world.estate_roles.iter().filter(|role| role.to == *to && role.from == *from);
            found.extend(roles.map(|role| (ESTATE_ROLE, role.role.clone())));
        }
        if policy.names_subject_attribute(urn::ACCESS_PACKAGE)
            && party_id.is_some()
            && let (Some(to), Some(from)) = (&subject.uuid, &party_uuid)
        {
            let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            let grants = world.access_packages.iter().filter(|grant| is(&grant.from, from) && is(&grant.to, to));
            found.extend(grants.flat_map(|grant| &grant.packages).map(|name| (urn::ACCESS_PACKAGE, name.clone())));
        }
        // Consent: nobody is acted for, and the subject is looked at itself.
        let is_named = |id| self.first(urn::CATEGORY_RESOURCE, id).is_some();
        if party_id.is_none()
            && ![INSTANCE, RESOURCE_INSTANCE, APP].into_iter().any(is_named)
            && let Some(uuid) = &subject.uuid
        {
            let own = world.parties.iter().find(|party| party.uuid.eq_ignore_ascii_case(uuid));
            if let Some(own) = own.filter(|_| policy.names_subject_attribute(PARTY_TYPE)) {
                let kind = if own.organization.is_some() { "organization" } else { "person" };
                found.push((PARTY_TYPE, kind.to_owned()));
            }
            let lists = world.access_lists.get(uuid).filter(|_| policy.names_subject_attribute(ACCESS_LIST));
            found.extend(lists.into_iter().flatten().map(|list| (ACCESS_LIST, list.clone())));
        }
        for (id, value) in found {
            self.add_if_new(urn::CATEGORY_SUBJECT, id, &value);
        }
    }

    pub(super) fn decide(
        &self,
        policy: &CompiledPolicy,
        request: &Request,
        environment: Environment,
    ) -> DecisionResult {
        let categories: Vec<_> = self.categories.iter().collect();
        policy.decide_one(&categories, request, environment)
    }

    /// Number of the party that is acted for.
    pub(super) fn party(&self) -> Option<String> {
        self.first(urn::CATEGORY_RESOURCE, PARTY_ID).filter(|id| id.parse::<u64>().is_ok())
    }

    /// Whether this instance is asked about, by its uuid or with its party before that.
    pub(super) fn is_about_instance(&self, uuid: &str) -> bool {
        let values = self.attributes(urn::CATEGORY_RESOURCE).filter(|one| one.id == RESOURCE_INSTANCE);
        let mut named = values.flat_map(|one| &one.values).map(|value| value.text.as_str());
        named.any(|text| text.rsplit_once('/').map_or(text, |(_, last)| last).eq_ignore_ascii_case(uuid))
    }

    /// Whether an attribute has a value.
    pub(super) fn has(&self, category: &str, id: &str, value: &str) -> bool {
        let mut of_id = self.attributes(category).filter(|attribute| attribute.id == id);
        of_id.any(|attribute| attribute.values.iter().any(|found| found.text == value))
    }

    pub(super) fn add_if_new(&mut self, category: &str, id: &str, value: &str) {
        if !self.has(category, id, value) {
            self.add(category, id, value, false);
        }
    }

    fn add(&mut self, category: &str, id: &str, value: &str, include_in_result: bool) {
        let value = RequestValue { data_type: DataType::String.uri().to_owned(), text: value.to_owned() };
        let attribute = RequestAttribute { id: id.to_owned(), issuer: None, include_in_result, values: vec![value] };
        match self.categories.iter_mut().find(|known| known.category == category) {
            Some(known) => known.attributes.push(attribute),
            None => {
                let category = category.to_owned();
                self.categories.push(Category { category, id: None, attributes: vec![attribute] });
            }
        }
    }

    fn attributes(&self, category: &str) -> impl Iterator<Item = &RequestAttribute> {
        self.categories.iter().filter(move |known| known.category == category).flat_map(|known| &known.attributes)
    }

    /// The first value of an attribute.
    fn first(&self, category: &str, id: &str) -> Option<String> {
        let mut of_id = self.attributes(category).filter(|attribute| attribute.id == id);
        of_id.find_map(|attribute| attribute.values.first()).map(|value| value.text.clone())
    }
}
