//! A provider's resources and routes, and the part of its snapshot that follows from them. What the control plane itself
//! protects is in [`built_in`].

pub(crate) mod built_in;

use std::collections::BTreeSet;
use std::fmt;

use policies::Timestamp;
use policies::id::{ActionId, ProviderId, ResourceId};
use policies::snapshot::{
    CallerKind, CompileErrors, Document, PolicySourceDocument, ResourceDocument, RouteDocument, RuleDocument,
    SemanticsDocument, compile,
};
use policies::xacml::{GeneralReason, ResourcePolicy, RightsForm, Semantics, XacmlError};
use serde::{Deserialize, Serialize};

/// A resource of the Resource Registry that a provider protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) id: ResourceId,
    pub(crate) provider: ProviderId,
    pub(crate) delegable: bool,
    /// XACML, as it was sent; `None` until there is one.
    pub(crate) policy: Option<String>,
    /// How the policy is read.
    pub(crate) semantics: Semantics,
}

/// What decides about a resource besides its policy, and which policy that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceState {
    pub(crate) id: ResourceId,
    /// How the policy is read.
    pub(crate) semantics: Semantics,
    /// Version of the policy in force; `None` without a policy.
    pub(crate) policy_version: Option<i64>,
    pub(crate) access_list_mode: AccessListMode,
}

/// A policy as it was stored once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyVersion {
    pub(crate) version: i64,
    pub(crate) at: Timestamp,
    pub(crate) semantics: Semantics,
    /// XACML, as it was sent.
    pub(crate) xml: String,
}

/// The names of the two readings of policies.
const SEMANTICS: [(Semantics, &str); 2] = [(Semantics::Altinn, "altinn"), (Semantics::Standard, "standard")];

/// Neither `altinn` nor `standard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `altinn` or `standard`")]
pub(crate) struct SemanticsError;

/// How a reading of policies is called.
pub(crate) fn semantics_name(semantics: Semantics) -> &'static str {
    SEMANTICS.iter().find(|(known, _)| *known == semantics).map_or("", |(_, name)| name)
}

/// The reading with this name.
pub(crate) fn parse_semantics(name: &str) -> Result<Semantics, SemanticsError> {
    SEMANTICS.iter().find(|(_, known)| *known == name).map(|(semantics, _)| *semantics).ok_or(SemanticsError)
}

/// Whether only members of a resource's access lists may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessListMode {
    /// Everybody with a right may.
    Disabled,
    /// Members only; without lists, or with empty ones, nobody.
    Enabled,
}

impl AccessListMode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
        }
    }

    /// The mode with this name; any other restricts.
    pub(crate) fn from_name(name: &str) -> Self {
        if name == Self::Disabled.name() { Self::Disabled } else { Self::Enabled }
    }
}

/// Name of a provider's access list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AccessListId(
    // Invariant: 1 to `BYTES_MAX` lower-case letters, digits and `-`.
    String,
);

/// The text is not the name of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access list is named by 1 to 64 lower-case letters, digits and `-`")]
pub(crate) struct AccessListIdError;

impl AccessListId {
    const BYTES_MAX: usize = 64;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccessListId {
    type Error = AccessListIdError;

    fn try_from(text: String) -> Result<Self, AccessListIdError> {
        let is_named = (1..=Self::BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if is_named { Ok(Self(text)) } else { Err(AccessListIdError) }
    }
}

impl Resource {
    /// Every action of the policy; none without a policy.
    pub(crate) fn actions(&self) -> Result<BTreeSet<ActionId>, XacmlError> {
        match &self.policy {
            Some(xml) => Ok(ResourcePolicy::read(xml.as_bytes(), &self.id, self.semantics)?.actions()),
            None => Ok(BTreeSet::new()),
        }
    }

    /// The resource as snapshots carry it; `None` without a policy.
    fn document(&self) -> Result<Option<ResourceDocument>, XacmlError> {
        let Some(xml) = &self.policy else { return Ok(None) };
        let policy = ResourcePolicy::read(xml.as_bytes(), &self.id, self.semantics)?;
        if let (RightsForm::General { .. }, Some(reason)) = (policy.form(), policy.unknowable().first()) {
            let GeneralReason { line, code, message } = reason.clone();
            return Err(XacmlError { line, code, message });
        }
        let semantics = match self.semantics {
            Semantics::Altinn => SemanticsDocument::Altinn,
            Semantics::Standard => SemanticsDocument::Standard,
        };
        let policy = Some(PolicySourceDocument { semantics, xml: xml.clone() });
        Ok(Some(ResourceDocument { policy, ..ResourceDocument::new(self.id.clone()) }))
    }
}

/// Obligation of a resource whose policy cannot be read. No gateway knows it, so every call is refused.
const POLICY_UNREADABLE: &str = "urn:portvakt:obligation:policy-unreadable";

/// A policy that was accepted when it was stored, and that this version no longer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadablePolicy {
    pub(crate) resource: ResourceId,
    pub(crate) error: XacmlError,
}

impl fmt::Display for UnreadablePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, error } = self;
        write!(formatter, "the stored policy of `{resource}` is not accepted any more, line {}: {error}", error.line)
    }
}

/// All that a provider has said about its API.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    pub(crate) provider: ProviderId,
    pub(crate) resources: Vec<Resource>,
    pub(crate) routes: Vec<RouteDocument>,
}

impl Catalogue {
    /// The provider's snapshot document, without callers: no issuers, systems or system users. A resource whose policy
    /// cannot be read is there and refuses every call: left out, its routes would leave their calls to other routes.
    pub(crate) fn document(&self) -> (Document, Vec<UnreadablePolicy>) {
        let mut resources = Vec::new();
        let mut unreadable = Vec::new();
        for resource in &self.resources {
            match resource.document() {
                Ok(document) => resources.extend(document),
                Err(error) => {
                    resources.push(self.refusing(&resource.id));
                    unreadable.push(UnreadablePolicy { resource: resource.id.clone(), error });
                }
            }
        }
        let mut routes = self.routes.clone();
        for route in &mut routes {
            if unreadable.iter().any(|policy| policy.resource == route.resource) {
                // Other callers need no right, so nothing that the resource says would refuse them.
                route.callers = BTreeSet::from([CallerKind::SystemUser]);
            }
        }
        let document = Document {
            provider: self.provider.clone(),
            issuers: Vec::new(),
            resources,
            routes,
            systems: Vec::new(),
            system_users: Vec::new(),
            withdrawn_system_users: BTreeSet::new(),
            revocations: Vec::new(),
        };
        (document, unreadable)
    }

    /// Whether the enforcing code accepts resources and routes as they stand; gives the policies that cannot be read.
    pub(crate) fn check(&self) -> Result<Vec<UnreadablePolicy>, CompileErrors> {
        let (document, unreadable) = self.document();
        compile(&document)?;
        Ok(unreadable)
    }

    /// Stands for a resource whose policy cannot be read: it has the actions that routes name, and refuses every call.
    fn refusing(&self, id: &ResourceId) -> ResourceDocument {
        let routes = self.routes.iter().filter(|route| route.resource == *id);
        let actions: BTreeSet<ActionId> = routes.map(|route| route.action.clone()).collect();
        let rule = (!actions.is_empty()).then(|| RuleDocument::new(actions, BTreeSet::new()));
        ResourceDocument {
            rules: rule.into_iter().collect(),
            unknown_obligations: BTreeSet::from([POLICY_UNREADABLE.to_owned()]),
            ..ResourceDocument::new(id.clone())
        }
    }
}
