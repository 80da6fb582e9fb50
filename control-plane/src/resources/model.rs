//! A provider's resources and routes, and the part of its snapshot that follows from them.

use std::collections::BTreeSet;

use policies::id::{ActionId, ProviderId, ResourceId};
use policies::snapshot::{CompileErrors, Document, ResourceDocument, RouteDocument, RuleDocument, compile};
use policies::xacml::{ResourcePolicy, XacmlError};

/// A resource of the Resource Registry that a provider protects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) id: ResourceId,
    pub(crate) provider: ProviderId,
    pub(crate) delegable: bool,
    /// XACML, as it was sent; `None` until there is one.
    pub(crate) policy: Option<String>,
}

impl Resource {
    /// Every action of the policy; none without a policy.
    pub(crate) fn actions(&self) -> Result<BTreeSet<ActionId>, XacmlError> {
        match &self.policy {
            Some(xml) => Ok(ResourcePolicy::parse(xml, &self.id)?.actions()),
            None => Ok(BTreeSet::new()),
        }
    }

    /// The resource as snapshots carry it; `None` without a policy.
    fn document(&self) -> Result<Option<ResourceDocument>, XacmlError> {
        let Some(xml) = &self.policy else { return Ok(None) };
        let policy = ResourcePolicy::parse(xml, &self.id)?;
        let rules = policy
            .rules()
            .iter()
            .map(|rule| RuleDocument { actions: rule.actions.clone(), access_packages: rule.access_packages.clone() });
        Ok(Some(ResourceDocument {
            id: self.id.clone(),
            rules: rules.collect(),
            minimum_authentication_level: policy.minimum_authentication_level(),
            unknown_obligations: policy.unknown_obligations().clone(),
        }))
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
    /// The provider's snapshot document, without callers: no issuers, systems or system users.
    pub(crate) fn document(&self) -> Result<Document, XacmlError> {
        let resources = self.resources.iter().filter_map(|resource| resource.document().transpose());
        Ok(Document {
            provider: self.provider.clone(),
            issuers: Vec::new(),
            resources: resources.collect::<Result<_, _>>()?,
            routes: self.routes.clone(),
            systems: Vec::new(),
            system_users: Vec::new(),
            withdrawn_system_users: BTreeSet::new(),
        })
    }

    /// Whether the enforcing code accepts resources and routes as they stand.
    pub(crate) fn check(&self) -> Result<(), CatalogueError> {
        compile(&self.document()?)?;
        Ok(())
    }
}

/// Resources or routes that gateways would not accept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    #[error(transparent)]
    Policy(#[from] XacmlError),
    #[error(transparent)]
    Compile(#[from] CompileErrors),
}
