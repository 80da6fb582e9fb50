//! Policies as they decide, compiled when they are first asked about and kept until another version is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use policies::id::{ActionId, ResourceId};
use policies::urn;
use policies::xacml::ast::{Attribute, Policy, PolicyElement, Target};
use policies::xacml::{self, CompiledPolicy, ResourcePolicy, Semantics};

use crate::resources::model::built_in::BuiltInResource;

/// Most XML whose policies are kept, in bytes; when it is exceeded all are dropped and compiled anew as they are needed.
const KEPT_XML_BYTES_MAX: usize = 64 << 20;

/// A resource's policy, ready to decide.
#[derive(Debug)]
pub(crate) struct DecidingPolicy {
    pub(super) compiled: CompiledPolicy,
    /// What a right to the whole resource is a right to.
    pub(super) actions: BTreeSet<ActionId>,
    /// Its obligations without its rules: what delegated rights are written from.
    pub(super) frame: Policy,
    /// Ids of the attributes that its rules match subjects by.
    pub(super) subject_attributes: BTreeSet<String>,
}

/// The policies that were compiled.
#[derive(Debug, Default)]
pub(crate) struct CompiledPolicies {
    /// Those of what the control plane itself protects, compiled at the start.
    built_in: BTreeMap<&'static str, CompiledPolicy>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_resource: BTreeMap<ResourceId, KeptPolicy>,
    xml_bytes: usize,
}

#[derive(Debug)]
struct KeptPolicy {
    version: i64,
    xml_bytes: usize,
    /// `None` for one that this version of the program does not read.
    policy: Option<Arc<DecidingPolicy>>,
}

impl CompiledPolicies {
    /// Compiles what the program brings along.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let mut built_in = BTreeMap::new();
        for resource in BuiltInResource::ALL {
            let id = ResourceId::parse(resource.id())?;
            let policy = compile(&id, Semantics::Altinn, resource.xml());
            let policy = policy.ok_or_else(|| anyhow::anyhow!("the policy of `{id}` cannot be read"))?;
            built_in.insert(resource.id(), policy.compiled);
        }
        Ok(Self { built_in, kept: Mutex::default() })
    }

    /// The policy of a resource that the control plane itself protects.
    pub(super) fn built_in(&self, resource: &str) -> Option<&CompiledPolicy> {
        self.built_in.get(resource)
    }

    /// Whether this version of the resource's policy was compiled before.
    pub(super) fn knows(&self, resource: &ResourceId, version: i64) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_resource.get(resource).is_some_and(|known| known.version == version)
    }

    /// The policy; `xml` is it when it was not compiled before. `None` if it cannot be read, or is gone by now.
    pub(super) fn of(
        &self,
        resource: &ResourceId,
        version: i64,
        semantics: Semantics,
        xml: Option<&str>,
    ) -> Option<Arc<DecidingPolicy>> {
        let Some(xml) = xml else {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            return kept.by_resource.get(resource).filter(|known| known.version == version)?.policy.clone();
        };
        let policy = compile(resource, semantics, xml).map(Arc::new);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keep(resource, KeptPolicy { version, xml_bytes: xml.len(), policy: policy.clone() });
        policy
    }
}

impl Kept {
    fn keep(&mut self, resource: &ResourceId, policy: KeptPolicy) {
        if self.xml_bytes.saturating_add(policy.xml_bytes) > KEPT_XML_BYTES_MAX {
            *self = Self::default();
        }
        self.xml_bytes = self.xml_bytes.saturating_add(policy.xml_bytes);
        if let Some(replaced) = self.by_resource.insert(resource.clone(), policy) {
            self.xml_bytes = self.xml_bytes.saturating_sub(replaced.xml_bytes);
        }
    }
}

/// `None` for a policy that was accepted once and is not any more; the publisher says so to the operator.
fn compile(resource: &ResourceId, semantics: Semantics, xml: &str) -> Option<DecidingPolicy> {
    let document = xacml::parse("policy.xml", xml.as_bytes()).ok()?;
    let compiled = CompiledPolicy::compile(&document, &[], semantics).ok()?;
    let actions = ResourcePolicy::of_document(&document, resource, semantics).ok()?.actions();
    match document.root {
        PolicyElement::Policy(policy) => {
            let subject_attributes = subject_attributes(&policy);
            let frame = Policy { rules: Vec::new(), variables: Vec::new(), target: Target::default(), ..policy };
            Some(DecidingPolicy { compiled, actions, frame, subject_attributes })
        }
        PolicyElement::PolicySet(_) => None,
    }
}

fn subject_attributes(policy: &Policy) -> BTreeSet<String> {
    let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
    let matches = targets.flat_map(|target| &target.0).flat_map(|any_of| &any_of.0).flat_map(|all_of| &all_of.0);
    matches
        .filter_map(|matched| match &matched.attribute {
            Attribute::Designator(found) if found.category == urn::CATEGORY_SUBJECT => Some(found.id.clone()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_state::story;

    fn resource(id: &str) -> ResourceId {
        ResourceId::parse(id).unwrap()
    }

    #[test]
    fn a_policy_is_compiled_once_a_version() {
        let policies = CompiledPolicies::default();
        let vat = resource("vat");
        assert!(!policies.knows(&vat, 1));
        assert!(policies.of(&vat, 1, Semantics::Altinn, None).is_none());
        let xml = story::policy("vat", &["read", "write"], &[]);
        let policy = policies.of(&vat, 1, Semantics::Altinn, Some(&xml)).unwrap();
        assert_eq!((policy.actions.len(), policy.frame.rules.len()), (2, 0));
        assert!(policies.knows(&vat, 1) && !policies.knows(&vat, 2));
        assert!(Arc::ptr_eq(&policy, &policies.of(&vat, 1, Semantics::Altinn, None).unwrap()));
        assert!(policies.of(&vat, 2, Semantics::Altinn, None).is_none());
        // What cannot be read is known not to be.
        assert!(policies.of(&vat, 2, Semantics::Altinn, Some("<Old/>")).is_none());
        assert!(policies.knows(&vat, 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        let policy = |version, xml_bytes| KeptPolicy { version, xml_bytes, policy: None };
        for version in 0..10 {
            kept.keep(&resource("same"), policy(version, KEPT_XML_BYTES_MAX / 4));
        }
        assert_eq!((kept.xml_bytes, kept.by_resource.len()), (KEPT_XML_BYTES_MAX / 4, 1));
        for number in 0..3 {
            kept.keep(&resource(&format!("r{number}")), policy(1, KEPT_XML_BYTES_MAX / 4));
        }
        assert_eq!((kept.xml_bytes, kept.by_resource.len()), (KEPT_XML_BYTES_MAX, 4));
        kept.keep(&resource("more"), policy(1, 1));
        assert_eq!((kept.xml_bytes, kept.by_resource.len()), (1, 1));
    }
}
