//! AuthZEN 1.0 (OpenID Authorization API): what its requests mean in XACML, and what is told of a decision.
//!
//! A subject is a `system_user` (uuid), an `organization` (number), a `user` (number) or a `service_owner` (code), a
//! resource a `resource` by its id, with `party` in its `properties` or in the `context`: the number of the organisation
//! that is acted for. Nobody else is there to see to obligations, so they are seen to here: `authentication_level` in the
//! `context` says how the subject has logged in, and an obligation that is not met, or not known, is a refusal. Other
//! members are left.

use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::Response;
use policies::urn;
use policies::xacml::context::NOT_LISTED;
use policies::xacml::request::{Category, Request, RequestAttribute, RequestValue};
use policies::xacml::response::{Decision, DecisionResult, Notice};
use policies::xacml::value::DataType;
use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::obligations::{self, UnknownObligation};
use crate::json::{PlainJson, media_type};
use crate::problem::{Problem, codes};
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HIGHEST_LEVEL: u64 = 4;
const SYSTEM_USER: &str = "system_user";

/// Subject types, with the attribute that names a subject of the type.
const SUBJECTS: [(&str, &str); 4] = [
    (SYSTEM_USER, urn::SYSTEM_USER_UUID),
    ("organization", urn::ORGANIZATION_NUMBER),
    ("user", urn::CLAIM_USER_ID),
    ("service_owner", urn::CLAIM_ORG),
];

/// A body of AuthZEN: `application/json` and nothing else, or 400 as the standard has it.
#[derive(Debug)]
pub(super) struct AuthzenJson(pub(super) Map<String, Value>);

impl FromRequest<AppState> for AuthzenJson {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, state: &AppState) -> Result<Self, Problem> {
        if media_type(request.headers()).as_deref() != Some("application/json") {
            return Err(Problem::new(codes::JSON_INVALID).detail("expected `application/json`"));
        }
        let PlainJson(body) = PlainJson::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// Gives the caller's `X-Request-ID` back, whatever the answer.
pub(super) async fn echo_request_id(request: HttpRequest, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// One access evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evaluation {
    subject_type: String,
    subject_id: String,
    action: String,
    resource_type: String,
    resource_id: String,
    party: Option<String>,
    authentication_level: Option<u64>,
}

/// What is wrong with a request, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed(String);

impl Malformed {
    fn because(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As the answer to one evaluation of several.
    pub(super) fn outcome(&self) -> Value {
        let error = json!({ "status": 400, "message": self.0 });
        refused_with(codes::EVALUATION_INVALID.code, &self.0, "error", error)
    }
}

impl From<Malformed> for Problem {
    fn from(Malformed(detail): Malformed) -> Self {
        Self::new(codes::EVALUATION_INVALID).detail(detail)
    }
}

impl Evaluation {
    /// Reads one. A member that is absent is `defaults`'; of a member that is there, only a required text may be.
    pub(super) fn read(body: &Map<String, Value>, defaults: &Map<String, Value>) -> Result<Self, Malformed> {
        let member = |name: &'static str| Member::of(name, body, defaults);
        let (subject, action, resource) = (member("subject")?, member("action")?, member("resource")?);
        let context = object(body.get("context").or_else(|| defaults.get("context")), "context")?;
        for entity in [&subject, &action, &resource] {
            entity.properties()?;
        }
        let in_context = optional_text(context.and_then(|context| context.get("party")), "context.party")?;
        let in_resource = resource.properties()?.and_then(|properties| properties.get("party"));
        let party = match (optional_text(in_resource, "resource.properties.party")?, in_context) {
            (Some(one), Some(other)) if one != other => {
                return Err(Malformed::because("`resource.properties.party` and `context.party` differ"));
            }
            (one, other) => one.or(other),
        };
        let authentication_level = match context.and_then(|context| context.get("authentication_level")) {
            None | Some(Value::Null) => None,
            Some(level) => Some(level.as_u64().filter(|level| *level <= HIGHEST_LEVEL).ok_or_else(|| {
                Malformed::because(format!("`context.authentication_level` is a number from 0 to {HIGHEST_LEVEL}"))
            })?),
        };
        Ok(Self {
            subject_type: subject.text("type")?,
            subject_id: subject.text("id")?,
            action: action.text("name")?,
            resource_type: resource.text("type")?,
            resource_id: resource.text("id")?,
            party,
            authentication_level,
        })
    }

    /// The same in XACML; or the refusal of what has no meaning there.
    pub(super) fn request(&self) -> Result<Request, Value> {
        let subject = SUBJECTS.iter().find(|(name, _)| *name == self.subject_type).map(|(_, id)| *id);
        let Some(subject) = subject else {
            let known: Vec<_> = SUBJECTS.iter().map(|(name, _)| *name).collect();
            return Err(refused("subject_type_unknown", &format!("known: {}", known.join(", "))));
        };
        if self.resource_type != "resource" {
            return Err(refused("resource_type_unknown", "known: resource"));
        }
        let mut resource = vec![attribute(urn::RESOURCE, &self.resource_id)];
        resource.extend(self.party.as_ref().map(|party| attribute(urn::ORGANIZATION_NUMBER, party)));
        let category = |category: &str, attributes| Category { category: category.to_owned(), id: None, attributes };
        Ok(Request {
            categories: vec![
                category(urn::CATEGORY_SUBJECT, vec![attribute(subject, &self.subject_id)]),
                category(urn::CATEGORY_ACTION, vec![attribute(urn::ACTION_ID, &self.action)]),
                category(urn::CATEGORY_RESOURCE, resource),
            ],
            ..Request::default()
        })
    }

    /// What is told of a decision.
    pub(super) fn outcome(&self, result: &DecisionResult, facts: &Facts) -> Value {
        let said = result.status.message.as_deref();
        match result.decision {
            Decision::Permit => self.fulfilled(&result.obligations),
            Decision::Deny if said == Some(NOT_LISTED) => refused("access_list", NOT_LISTED),
            Decision::Deny => refused("denied", said.unwrap_or("a rule denies it")),
            Decision::NotApplicable => {
                let is_system_user = self.subject_type == SYSTEM_USER;
                let nothing =
                    is_system_user.then(|| facts.why_nothing(&self.subject_id, self.party.as_deref())).flatten();
                let (reason, text) = nothing.unwrap_or(("right_missing", "no rule and no delegation gives the right"));
                refused(reason, text)
            }
            Decision::Indeterminate => refused("indeterminate", said.unwrap_or("it cannot be decided")),
        }
    }

    /// A Permit whose obligations are met.
    fn fulfilled(&self, obligations: &[Notice]) -> Value {
        let levels = match obligations::levels(obligations) {
            Ok(levels) => levels,
            Err(UnknownObligation(id)) => {
                return refused("obligation_unknown", &format!("the obligation `{id}` is not known"));
            }
        };
        // Of a service owner the lower of the two is enough.
        let needed = match levels.of_service_owner {
            Some(other) if self.subject_type == "service_owner" => levels.minimum.min(other),
            _ => levels.minimum,
        };
        let refused = |reason, text: &str| refused_with(reason, text, "required_authentication_level", json!(needed));
        match self.authentication_level {
            _ if needed == 0 => permitted(),
            Some(level) if level >= needed => permitted(),
            Some(level) => refused("authentication_level_too_low", &format!("needed: {needed}, said: {level}")),
            None => refused("authentication_level_missing", &format!("needed: {needed}, said: none")),
        }
    }
}

/// An entity of a request, and the one it falls back on.
struct Member<'a> {
    name: &'static str,
    own: Option<&'a Map<String, Value>>,
    default: Option<&'a Map<String, Value>>,
}

impl<'a> Member<'a> {
    fn of(
        name: &'static str,
        body: &'a Map<String, Value>,
        defaults: &'a Map<String, Value>,
    ) -> Result<Self, Malformed> {
        let (own, default) = (object(body.get(name), name)?, object(defaults.get(name), name)?);
        if own.is_none() && default.is_none() {
            return Err(Malformed::because(format!("`{name}` is missing")));
        }
        Ok(Self { name, own, default })
    }

    /// A required text.
    fn text(&self, name: &str) -> Result<String, Malformed> {
        let path = format!("{}.{name}", self.name);
        let own = self.own.and_then(|own| own.get(name)).filter(|value| !value.is_null());
        let value = own.or_else(|| self.default.and_then(|default| default.get(name)));
        let text = optional_text(value, &path)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| Malformed::because(format!("`{path}` is missing")))
    }

    fn properties(&self) -> Result<Option<&'a Map<String, Value>>, Malformed> {
        let entity = self.own.or(self.default);
        object(entity.and_then(|entity| entity.get("properties")), &format!("{}.properties", self.name))
    }
}

fn permitted() -> Value {
    json!({ "decision": true })
}

/// A refusal as the standard has it, with a stable code.
fn refused(reason: &str, text: &str) -> Value {
    json!({ "decision": false, "context": { "reason": reason, "reason_admin": { "en": text } } })
}

/// A refusal that says one thing more.
fn refused_with(reason: &str, text: &str, name: &str, value: Value) -> Value {
    json!({ "decision": false, "context": { "reason": reason, "reason_admin": { "en": text }, name: value } })
}

pub(super) fn attribute(id: &str, value: &str) -> RequestAttribute {
    let value = RequestValue { data_type: DataType::String.uri().to_owned(), text: value.to_owned() };
    RequestAttribute { id: id.to_owned(), values: vec![value], ..RequestAttribute::default() }
}

fn object<'a>(value: Option<&'a Value>, path: &str) -> Result<Option<&'a Map<String, Value>>, Malformed> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Malformed::because(format!("`{path}` is an object"))),
    }
}

fn optional_text(value: Option<&Value>, path: &str) -> Result<Option<String>, Malformed> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Malformed::because(format!("`{path}` is a string"))),
    }
}
