//! Rights: what the policies of resources come to, with obligations, access lists, programs and explanations.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use zerocopy::little_endian::U32;

use super::Compiler;
use super::writer::run;
use crate::id::{AccessPackage, OrganizationNumber, ResourceId};
use crate::right::Right;
use crate::snapshot::document::{ResourceDocument, RuleDocument, SemanticsDocument};
use crate::snapshot::image::check::{ASKED_PACKAGES_MAX, RIGHTS_MAX};
use crate::snapshot::layout::{
    ExplainPolicyRecord, ExplainRuleRecord, OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL, OBLIGATION_UNKNOWN,
    ObligationRecord, REASON_DIRECT, RightRecord, Run, Section,
};
use crate::xacml::{ResourcePolicy, RightsForm, Semantics};

/// Where every right is in the image, and what gives it.
#[derive(Debug, Default)]
pub(crate) struct RightTables {
    /// Position of every right.
    pub(crate) rights: BTreeMap<Right, u32>,
    /// Bits that holders of a package get: of rights, and of the package itself where a program asks for it.
    pub(crate) granted_by: BTreeMap<AccessPackage, BTreeSet<u32>>,
    pub(crate) resources: BTreeSet<ResourceId>,
    /// Bits in a right set.
    pub(crate) bits: usize,
    /// Over all that right sets depend on.
    pub(crate) digest: [u8; 32],
}

/// A resource with its policy read.
struct ReadResource<'document> {
    document: &'document ResourceDocument,
    rules: Cow<'document, [RuleDocument]>,
    minimum_authentication_level: u8,
    unknown_obligations: Cow<'document, BTreeSet<String>>,
    program: Option<Program>,
    policy: Option<(String, String)>,
}

/// A policy that rules cannot express.
struct Program {
    bytes: Vec<u8>,
    asked: BTreeSet<AccessPackage>,
}

impl<'document> Compiler<'document> {
    pub(super) fn rights(&mut self) -> RightTables {
        let resources = self.read_resources();
        let mut tables = RightTables::default();
        let rights: BTreeSet<Right> = resources.iter().flat_map(|resource| self.rights_of(resource)).collect();
        if rights.len() > RIGHTS_MAX {
            self.error("/resources".to_owned(), "too_many_rights", "a snapshot holds at most 65,535 rights");
        }
        tables.rights = rights.into_iter().zip(0..).collect();
        tables.resources = resources.iter().map(|resource| resource.document.id.clone()).collect();
        self.asked_packages(&resources, &mut tables);
        let by_id: BTreeMap<_, _> = resources.iter().map(|resource| (&resource.document.id, resource)).collect();
        let (mut records, mut obligations, mut programs) = (Vec::new(), Vec::new(), Vec::new());
        let mut lists = AccessLists::default();
        let mut runs: BTreeMap<&ResourceId, (Run, u32)> = BTreeMap::new();
        let mut program_bytes = Vec::new();
        for right in tables.rights.keys() {
            let Some(resource) = by_id.get(&right.resource) else { continue };
            let (obligations, program) = *runs.entry(&right.resource).or_insert_with(|| {
                let start = obligations.len();
                self.obligations(resource, &mut obligations);
                let run_of_obligations = run(start, obligations.len() - start);
                let Some(program) = &resource.program else { return (run_of_obligations, 0) };
                programs.push(run(program_bytes.len(), program.bytes.len()));
                program_bytes.extend_from_slice(&program.bytes);
                (run_of_obligations, u32::try_from(programs.len()).unwrap_or(u32::MAX))
            });
            records.push(RightRecord {
                resource: self.strings.intern(right.resource.as_str()),
                action: self.strings.intern(right.action.as_str()),
                package_obligations: obligations,
                // Altinn's delegation policies have none of their own and take the resource policy's.
                direct_obligations: obligations,
                access_list: U32::new(lists.list_of(resource.document, right)),
                program: U32::new(program),
            });
        }
        self.grants(&resources, &mut tables);
        self.explain(&resources, &tables);
        tables.digest = self.digest(&tables);
        self.writer.records(Section::Rights, &records);
        self.writer.records(Section::Obligations, &obligations);
        self.writer.records(Section::AccessLists, &lists.runs);
        self.writer.records(Section::AccessListParties, &lists.parties);
        self.writer.records(Section::Programs, &programs);
        self.writer.records(Section::ProgramBytes, &program_bytes);
        self.writer.records(Section::RightsDigest, &[tables.digest]);
        tables
    }

    /// The resources in order of their ids, each once.
    fn read_resources(&mut self) -> Vec<ReadResource<'document>> {
        let mut resources: Vec<_> = self.document.resources.iter().enumerate().collect();
        resources.sort_by(|left, right| left.1.id.cmp(&right.1.id));
        let mut read: Vec<ReadResource<'document>> = Vec::new();
        for (position, resource) in resources {
            let path = format!("/resources/{position}");
            if resource.minimum_authentication_level > 4 {
                self.error(path.clone(), "authentication_level", "an authentication level is 0 to 4");
            }
            if read.last().is_some_and(|last| last.document.id == resource.id) {
                self.error(path, "resource_twice", format!("resource `{}` is there twice", resource.id));
                continue;
            }
            match read_resource(resource) {
                Ok(resource) => read.push(resource),
                Err((code, message)) => self.error(format!("{path}/policy"), code, message),
            }
        }
        read
    }

    /// What rules grant; where a program decides, also what routes ask.
    fn rights_of(&self, resource: &ReadResource<'_>) -> BTreeSet<Right> {
        let id = &resource.document.id;
        let actions = resource.rules.iter().flat_map(|rule| &rule.actions);
        let routes = self.document.routes.iter().filter(|route| resource.program.is_some() && route.resource == *id);
        let actions = actions.chain(routes.map(|route| &route.action));
        actions.map(|action| Right { resource: id.clone(), action: action.clone() }).collect()
    }

    /// Packages that programs ask for get bits after the last right.
    fn asked_packages(&mut self, resources: &[ReadResource<'_>], tables: &mut RightTables) {
        let asked: BTreeSet<&AccessPackage> =
            resources.iter().filter_map(|resource| resource.program.as_ref()).flat_map(|one| &one.asked).collect();
        if asked.len() > ASKED_PACKAGES_MAX {
            let message = format!("programs ask for at most {ASKED_PACKAGES_MAX} access packages");
            self.error("/resources".to_owned(), "too_many_asked_packages", message);
        }
        let names: Vec<U32> = asked.iter().map(|package| self.strings.intern(package.name())).collect();
        self.writer.records(Section::AskedPackages, &names);
        tables.bits = tables.rights.len() + asked.len();
        for (bit, package) in (tables.rights.len()..).zip(asked) {
            let bit = u32::try_from(bit).unwrap_or(u32::MAX);
            tables.granted_by.entry(package.clone()).or_default().insert(bit);
        }
    }

    fn obligations(&mut self, resource: &ReadResource<'_>, obligations: &mut Vec<ObligationRecord>) {
        if resource.minimum_authentication_level > 0 {
            let level = u32::from(resource.minimum_authentication_level);
            let kind = U32::new(OBLIGATION_MINIMUM_AUTHENTICATION_LEVEL);
            obligations.push(ObligationRecord { kind, value: U32::new(level) });
        }
        for unknown in resource.unknown_obligations.iter() {
            let value = self.strings.intern(unknown);
            obligations.push(ObligationRecord { kind: U32::new(OBLIGATION_UNKNOWN), value });
        }
    }

    /// What packages give through rules.
    fn grants(&self, resources: &[ReadResource<'_>], tables: &mut RightTables) {
        for resource in resources.iter().filter(|resource| resource.program.is_none()) {
            for rule in resource.rules.iter() {
                for action in &rule.actions {
                    let right = Right { resource: resource.document.id.clone(), action: action.clone() };
                    let Some(bit) = tables.rights.get(&right) else { continue };
                    for package in &rule.access_packages {
                        tables.granted_by.entry(package.clone()).or_default().insert(*bit);
                    }
                }
            }
        }
    }

    /// Where each right comes from: the first rule for each package, and for what is left to delegation.
    fn explain(&mut self, resources: &[ReadResource<'_>], tables: &RightTables) {
        let (mut rules, mut policies) = (BTreeMap::new(), Vec::new());
        for resource in resources {
            if let Some((policy, version)) = &resource.policy {
                policies.push(ExplainPolicyRecord {
                    resource: self.strings.intern(resource.document.id.as_str()),
                    policy: self.strings.intern(policy),
                    version: self.strings.intern(version),
                });
            }
            for rule in resource.rules.iter() {
                let Some(id) = &rule.id else { continue };
                for action in &rule.actions {
                    let right = Right { resource: resource.document.id.clone(), action: action.clone() };
                    let Some(right) = tables.rights.get(&right) else { continue };
                    let found = (self.strings.intern(id), U32::new(rule.line.unwrap_or(0)));
                    let packages = rule.access_packages.iter().map(|package| Some(package.name().to_owned()));
                    for package in packages.chain([None]) {
                        rules.entry((*right, package)).or_insert(found);
                    }
                }
            }
        }
        let rules: Vec<_> = rules
            .into_iter()
            .map(|((right, package), (rule, line))| ExplainRuleRecord {
                right: U32::new(right),
                package: package.map_or(U32::new(REASON_DIRECT), |package| self.strings.intern(&package)),
                rule,
                line,
            })
            .collect();
        if !rules.is_empty() || !policies.is_empty() {
            self.writer.records(Section::ExplainRules, &rules);
            self.writer.records(Section::ExplainPolicies, &policies);
        }
    }

    /// Resources as they are written, and the rights made of them: what gives no other right set gives no other digest.
    fn digest(&mut self, tables: &RightTables) -> [u8; 32] {
        let resources: BTreeMap<_, _> =
            self.document.resources.iter().map(|resource| (&resource.id, resource)).collect();
        let rights: Vec<_> = tables.rights.keys().collect();
        match serde_json::to_vec(&(resources.values().collect::<Vec<_>>(), rights)) {
            Ok(text) => Sha256::digest(text).into(),
            Err(error) => {
                self.error("/resources".to_owned(), "resource_unwritable", error.to_string());
                [0; 32]
            }
        }
    }
}

/// Reads a resource's policy where it has one.
fn read_resource(document: &ResourceDocument) -> Result<ReadResource<'_>, (&'static str, String)> {
    let given = document.policy_id.clone().zip(document.policy_version.clone());
    let Some(source) = &document.policy else {
        return Ok(ReadResource {
            document,
            rules: Cow::Borrowed(&document.rules),
            minimum_authentication_level: document.minimum_authentication_level,
            unknown_obligations: Cow::Borrowed(&document.unknown_obligations),
            program: None,
            policy: given,
        });
    };
    if !document.rules.is_empty() || !document.unknown_obligations.is_empty() {
        return Err(("policy_and_rules", "a resource has a policy or rules, not both".to_owned()));
    }
    let semantics = match source.semantics {
        SemanticsDocument::Altinn => Semantics::Altinn,
        SemanticsDocument::Standard => Semantics::Standard,
    };
    let policy = ResourcePolicy::read(source.xml.as_bytes(), &document.id, semantics)
        .map_err(|error| (error.code, error.to_string()))?;
    // Evaluated without what it asks about, it would answer something else: a rule that denies would not.
    if let (RightsForm::General { .. }, Some(reason)) = (policy.form(), policy.unknowable().first()) {
        return Err((reason.code, format!("line {}: {}", reason.line, reason.message)));
    }
    let program = match policy.form() {
        RightsForm::Exact => None,
        RightsForm::General { policy: compiled, .. } => {
            Some(Program { bytes: compiled.to_bytes(), asked: policy.access_packages() })
        }
    };
    let rule = |rule: &crate::xacml::PolicyRule| RuleDocument {
        actions: rule.actions.clone(),
        access_packages: rule.access_packages.clone(),
        id: Some(rule.id.clone()),
        line: Some(rule.line),
    };
    let rules = match &program {
        None => policy.rules().iter().map(rule).collect(),
        Some(_) => {
            vec![RuleDocument::new(policy.actions(), BTreeSet::new())]
        }
    };
    Ok(ReadResource {
        document,
        rules: Cow::Owned(rules),
        minimum_authentication_level: policy.minimum_authentication_level(),
        unknown_obligations: Cow::Owned(policy.unknown_obligations().clone()),
        program,
        policy: given.or_else(|| Some((policy.policy_id().to_owned(), policy.policy_version()))),
    })
}

/// Access lists, equal ones once.
#[derive(Default)]
struct AccessLists {
    indexes: BTreeMap<BTreeSet<OrganizationNumber>, u32>,
    runs: Vec<Run>,
    parties: Vec<U32>,
}

impl AccessLists {
    /// Position of the list for a right and one more; 0 where there is none.
    fn list_of(&mut self, resource: &ResourceDocument, right: &Right) -> u32 {
        let Some(members) = &resource.access_list else { return 0 };
        let listed = members
            .iter()
            .filter(|member| member.actions.as_ref().is_none_or(|actions| actions.contains(&right.action)));
        let list: BTreeSet<_> = listed.map(|member| member.party).collect();
        if let Some(known) = self.indexes.get(&list) {
            return *known;
        }
        self.runs.push(run(self.parties.len(), list.len()));
        self.parties.extend(list.iter().map(|party| U32::new(party.as_u32())));
        let index = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        self.indexes.insert(list, index);
        index
    }
}
