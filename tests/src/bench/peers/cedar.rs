//! Cedar: one policy; each row a tag of its system user, naming a group that the row's actions are in.
//!
//! So one tag is looked up and one ancestor set asked, however many rows there are. Templates linked for every row cost
//! as many policies as rows, each of them evaluated.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr as _;

use anyhow::{Result, anyhow};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use engine_guest::world::{ACTIONS, Question, RESOURCES, World, resource_id, right_at};

use super::{Engine, LEVEL};

const POLICY: &str = "permit(principal, action, resource) when {
    principal.hasTag(context.party) && action in principal.getTag(context.party) && context.level >= resource.level
};";

/// Whether requests are made beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requests {
    Ready,
    Made,
}

pub(super) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    types: Types,
    requests: Requests,
    questions: Vec<Question>,
    ready: Vec<Request>,
}

struct Types {
    system_user: EntityTypeName,
    action: EntityTypeName,
    resource: EntityTypeName,
}

impl Types {
    fn new() -> Result<Self> {
        Ok(Self {
            system_user: EntityTypeName::from_str("SystemUser")?,
            action: EntityTypeName::from_str("Action")?,
            resource: EntityTypeName::from_str("Resource")?,
        })
    }

    fn system_user(&self, id: policies::id::SystemUserId) -> EntityUid {
        uid(&self.system_user, id)
    }

    fn action(&self, right: usize) -> Result<EntityUid> {
        Ok(uid(&self.action, right_at(right)?))
    }

    fn set(&self, template: usize) -> EntityUid {
        uid(&self.action, format!("set-{template}"))
    }

    fn resource(&self, resource: usize) -> EntityUid {
        uid(&self.resource, resource_id(resource))
    }
}

fn uid(of: &EntityTypeName, id: impl std::fmt::Display) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id.to_string()))
}

impl Cedar {
    pub(super) fn new(world: &World, requests: Requests) -> Result<Self> {
        let types = Types::new()?;
        let mut entities = Vec::new();
        let mut sets_of_right: BTreeMap<usize, HashSet<EntityUid>> = BTreeMap::new();
        for (position, template) in world.templates().iter().enumerate() {
            for right in &template.held {
                sets_of_right.entry(*right).or_default().insert(types.set(position));
            }
            entities.push(Entity::with_uid(types.set(position)));
        }
        for right in 0..RESOURCES * ACTIONS.len() {
            let sets = sets_of_right.remove(&right).unwrap_or_default();
            entities.push(Entity::new_no_attrs(types.action(right)?, sets));
        }
        for resource in 0..RESOURCES {
            let level = [0, 2, 3, 3].get(resource % 4).copied().unwrap_or(0);
            let level = ("level".to_owned(), RestrictedExpression::new_long(level));
            entities.push(Entity::new(types.resource(resource), [level].into(), HashSet::new())?);
        }
        for user in 0..world.shape().system_users {
            let set = |template: usize| RestrictedExpression::new_entity_uid(types.set(template));
            let tags = world.rows(user).filter_map(|row| Some((row.party.to_string(), set(row.template?))));
            entities.push(Entity::new_with_tags(types.system_user(world.system_user_id(user)), [], [], tags)?);
        }
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(POLICY)?,
            entities: Entities::from_entities(entities, None)?,
            types,
            requests,
            questions: Vec::new(),
            ready: Vec::new(),
        })
    }

    fn request(&self, question: &Question) -> Result<Request> {
        let context = Context::from_pairs([
            ("party".to_owned(), RestrictedExpression::new_string(question.party.to_string())),
            ("level".to_owned(), RestrictedExpression::new_long(LEVEL.into())),
        ])?;
        let principal = self.types.system_user(question.system_user);
        let action = self.types.action(question.right)?;
        let resource = self.types.resource(question.right / ACTIONS.len());
        Ok(Request::new(principal, action, resource, context, None)?)
    }
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        match self.requests {
            Requests::Ready => "cedar",
            Requests::Made => "cedar_with_request",
        }
    }

    fn given(&self) -> &'static str {
        match self.requests {
            Requests::Ready => "entities in memory: a tag for each row, actions in groups; requests ready-made",
            Requests::Made => "the same, the request made from system user, party and right each time",
        }
    }

    fn prepare(&mut self, questions: &[Question]) -> Result<()> {
        self.questions = questions.to_vec();
        if self.requests == Requests::Ready {
            self.ready = questions.iter().map(|question| self.request(question)).collect::<Result<_>>()?;
        }
        Ok(())
    }

    fn decide(&mut self, question: usize) -> Result<bool> {
        let missing = || anyhow!("no such question");
        let decision = match self.requests {
            Requests::Ready => {
                let request = self.ready.get(question).ok_or_else(missing)?;
                self.authorizer.is_authorized(request, &self.policies, &self.entities).decision()
            }
            Requests::Made => {
                let request = self.request(self.questions.get(question).ok_or_else(missing)?)?;
                self.authorizer.is_authorized(&request, &self.policies, &self.entities).decision()
            }
        };
        Ok(decision == Decision::Allow)
    }
}
