//! XACML 3.0: policies and policy sets, compiled and decided; and a resource's rights policy, read for system users.
//!
//! The engine: [`parse()`] reads XML to a tree ([`ast`]), [`CompiledPolicy::compile`] checks it and makes a flat program under
//! one of two [`Semantics`], [`CompiledPolicy::decide`] answers a [`request::Request`]. Requests and answers are read and
//! written by [`json_profile`] and [`xml_context`]. Nothing is skipped: what is not understood is refused with its place.
//! Nothing recurses on input, and a decision that needs too many steps is Indeterminate.
//!
//! A compiled policy travels as bytes ([`CompiledPolicy::to_bytes`]) and is checked when it arrives. A gateway decides without
//! a request, from [`GatewayAttributes`].
//!
//! [`ResourcePolicy`] is what the policy of a resource means for system users at a gateway: rules of actions and access
//! packages where that is proven to be all, and otherwise the policy itself, evaluated for every call. [`lint`] finds what
//! is not meant as it is written.

mod altinn;
pub mod ast;
mod combine;
mod compile;
pub mod context;
mod evaluate;
mod functions;
mod gateway;
mod image;
pub mod json_profile;
pub mod lint;
mod parse;
mod program;
pub mod request;
pub mod response;
mod rights;
pub mod validity;
pub mod value;
mod xml;
pub mod xml_context;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod testing;

pub use gateway::{GatewayAttributes, GatewayDecision};
pub use image::{PROGRAM_BYTES_MAX, ProgramError};
pub use parse::parse;
pub use rights::{GeneralReason, POLICY_BYTES_MAX, PolicyRule, ResourcePolicy, RightsForm, XacmlError};
pub use xml::{XML_BYTES_MAX, XML_DEPTH_MAX};

use crate::Timestamp;
use altinn::AltinnPolicy;
use ast::PolicyDocument;
use evaluate::Attributes;
use program::Program;
use request::{Category, Request};
use response::{DecisionResult, Notice, Response, StatusCode};

/// Steps that a decision may take, unless said otherwise.
pub const FUEL_MAX: u64 = 2_000_000;
/// Steps that a decision in a gateway may take: some milliseconds, in which its worker serves nobody else.
pub const GATEWAY_FUEL_MAX: u64 = 200_000;

/// Answer to a request that wants several decisions to be one.
const COMBINED_DECISION: &str = "`CombinedDecision` is an optional feature that is not supported";

/// How a policy is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Semantics {
    /// As XACML 3.0 says.
    Standard,
    /// As Altinn's engine does.
    Altinn,
}

/// What a decision depends on besides the policy and the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment {
    /// The instant.
    pub now: Timestamp,
    /// Steps that a decision may take.
    pub fuel_max: u64,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {message}; {cure}")]
pub struct PolicyError {
    /// Name of the file.
    pub file: String,
    /// Line in it, from 1.
    pub line: u32,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub cure: &'static str,
}

/// A policy, or a policy set with all it refers to, ready to decide.
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    form: Form,
}

/// What is decided with, one form for each [`Semantics`].
#[derive(Debug, Clone)]
enum Form {
    Standard(Box<Program>),
    Altinn(AltinnPolicy),
}

impl Environment {
    /// At this instant, with the usual number of steps.
    pub fn at(now: Timestamp) -> Self {
        Self { now, fuel_max: FUEL_MAX }
    }

    /// At this instant, in a gateway.
    pub fn at_gateway(now: Timestamp) -> Self {
        Self { now, fuel_max: GATEWAY_FUEL_MAX }
    }
}

impl CompiledPolicy {
    /// Compiles a document. `others` are those that it may refer to.
    pub fn compile(
        root: &PolicyDocument,
        others: &[PolicyDocument],
        semantics: Semantics,
    ) -> Result<Self, PolicyError> {
        let form = match semantics {
            Semantics::Standard => Form::Standard(Box::new(compile::compile(root, others)?)),
            Semantics::Altinn => Form::Altinn(altinn::compile(root)?),
        };
        // What decides here is what was read from the bytes that decide elsewhere.
        Self::from_bytes(&image::write(&form)).map_err(|error| PolicyError {
            file: root.file.clone(),
            line: root.root.line(),
            code: "policy_too_large",
            message: format!("the policy is larger than is decided with: {}", error.what),
            cure: "divide it, or write it shorter",
        })
    }

    /// The policy as bytes, for [`CompiledPolicy::from_bytes`]. The same policy gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        image::write(&self.form)
    }

    /// Reads a policy from bytes. All of it is checked: what is accepted can be decided with, within its fuel.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProgramError> {
        Ok(Self { form: image::read(bytes)? })
    }

    /// How it reads policies.
    pub fn semantics(&self) -> Semantics {
        match self.form {
            Form::Standard(_) => Semantics::Standard,
            Form::Altinn(_) => Semantics::Altinn,
        }
    }

    /// Decides. A request that cannot be read is answered with Indeterminate, never with an error.
    pub fn decide(&self, request: &Request, environment: Environment) -> Response {
        if request.combined_decision {
            return Response::indeterminate(StatusCode::ProcessingError, COMBINED_DECISION);
        }
        match request.decisions(self.semantics()) {
            Err(error) => Response::indeterminate(StatusCode::SyntaxError, error.message),
            Ok(decisions) => {
                let results = decisions.iter().map(|categories| self.decide_one(categories, request, environment));
                Response { results: results.collect() }
            }
        }
    }

    /// Decides from what a gateway knows, with the answer that the equivalent request would get.
    pub fn decide_attributes(&self, known: &GatewayAttributes<'_>, environment: Environment) -> GatewayDecision<'_> {
        match &self.form {
            Form::Standard(program) => gateway::decide_standard(program, known, environment),
            Form::Altinn(policy) => gateway::decide_altinn(policy, known, environment),
        }
    }

    /// Obligations that the policy itself has for every Permit, whoever gives it: a delegation of its rights carries them,
    /// too. Assignments that depend on a request are left out; who does not know what is missing must refuse.
    pub fn obligations_on_permit(&self) -> Vec<Notice> {
        match &self.form {
            Form::Standard(program) => gateway::obligations_of_root(program),
            Form::Altinn(policy) => policy.obligations().to_vec(),
        }
    }

    fn decide_one(&self, categories: &[&Category], request: &Request, environment: Environment) -> DecisionResult {
        let program = match &self.form {
            Form::Standard(program) => program,
            Form::Altinn(policy) => return policy.decide(categories, environment.fuel_max),
        };
        let mut result = match Attributes::of_request(categories, environment.now) {
            Ok(attributes) => {
                let evaluated = evaluate::decide(program, &attributes, environment.fuel_max);
                DecisionResult {
                    status: evaluated.status(),
                    policies: if request.return_policy_ids { evaluated.policies() } else { Vec::new() },
                    obligations: evaluated.obligations,
                    advice: evaluated.advice,
                    ..DecisionResult::plain(evaluated.decision)
                }
            }
            Err(error) => DecisionResult::indeterminate(StatusCode::SyntaxError, error.message),
        };
        result.categories = to_repeat(categories);
        result
    }
}

/// The attributes that the answer is to repeat.
fn to_repeat(categories: &[&Category]) -> Vec<Category> {
    let mut repeated = Vec::new();
    for category in categories {
        let attributes: Vec<_> = category.attributes.iter().filter(|one| one.include_in_result).cloned().collect();
        if !attributes.is_empty() {
            repeated.push(Category { attributes, ..(*category).clone() });
        }
    }
    repeated
}
