//! The proof: a policy either becomes rules that answer as it does, or says what stands in the way.
//!
//! A rule's target is brought to one shape, "all of (one of (all of matches))", as the semantics reads it. Each match is then
//! what a gateway knows of it: true or false for every call, true for some packages, true for some actions, or none of
//! these. What comes of the whole is in `held`. Nothing is guessed: a match that is none of these makes its policy general.

use std::collections::{BTreeMap, BTreeSet};

use super::held::{ByAction, Held};
use super::vocabulary::{Known, Resource, TextComparison, literal, spellings};
use super::{GeneralReason, PolicyRule};
use crate::id::{AccessPackage, ActionId};
use crate::urn;
use crate::xacml::Semantics;
use crate::xacml::ast::{AllOf, AnyOf, Attribute, Effect, Match, Policy, Rule, Target};
use crate::xacml::combine::Algorithm;
use crate::xacml::request::CATEGORY_ENVIRONMENT;

/// What a policy means for system users.
#[derive(Debug)]
pub(crate) struct Projection {
    /// Each rule of the policy, in order.
    pub(crate) rules: Vec<ProjectedRule>,
    /// What of the policy itself cannot be expressed.
    pub(crate) reasons: Vec<GeneralReason>,
}

/// What a rule means for system users.
#[derive(Debug)]
pub(crate) struct ProjectedRule {
    /// The rule, once for each set of packages. Without reasons it is the whole rule.
    pub(crate) rules: Vec<PolicyRule>,
    /// What of it cannot be expressed.
    pub(crate) reasons: Vec<GeneralReason>,
}

/// "All of (one of (all of matches))".
type Normal<'a> = Vec<Vec<Vec<&'a Match>>>;

/// What a match is worth at a gateway.
enum Worth<'a> {
    Constant(bool),
    Packages(BTreeSet<&'a AccessPackage>),
    /// Positions of actions.
    Actions(BTreeSet<usize>),
    Varies,
}

/// All actions and packages that a policy names.
struct Domain {
    actions: Vec<ActionId>,
    packages: BTreeSet<AccessPackage>,
    /// Positions of actions, and packages, by what of them is compared.
    actions_by_key: BTreeMap<(TextComparison, String), BTreeSet<usize>>,
    packages_by_key: BTreeMap<(TextComparison, String), BTreeSet<AccessPackage>>,
}

struct Projector<'a> {
    domain: &'a Domain,
    resource: &'a Resource,
    semantics: Semantics,
}

/// Says what a policy means for system users.
pub(crate) fn project(policy: &Policy, resource: &Resource, semantics: Semantics) -> Projection {
    let domain = Domain::of(policy, semantics);
    let projector = Projector { domain: &domain, resource, semantics };
    Projection {
        rules: policy.rules.iter().map(|rule| projector.rule(rule)).collect(),
        reasons: projector.of_policy(policy),
    }
}

impl Projector<'_> {
    /// What stands in the way before any rule is looked at.
    fn of_policy(&self, policy: &Policy) -> Vec<GeneralReason> {
        let mut reasons = Vec::new();
        match algorithm(&policy.algorithm, self.semantics) {
            // Where every rule permits, these give Permit if one applies, and otherwise NotApplicable.
            Some(
                Algorithm::DenyOverrides
                | Algorithm::PermitOverrides
                | Algorithm::FirstApplicable
                | Algorithm::LegacyRuleDenyOverrides
                | Algorithm::LegacyRulePermitOverrides,
            ) => {}
            Some(_) => {
                let message = format!("`{}` decides where no rule applies, before any delegation", policy.algorithm);
                reasons.push(reason(policy.line, "policy_combining_algorithm", message));
            }
            None => {
                let message = format!("Altinn does not know `{}`: every answer is Indeterminate", policy.algorithm);
                reasons.push(reason(policy.line, "policy_combining_algorithm", message));
            }
        }
        if self.semantics == Semantics::Standard && !self.is_always(&policy.target) {
            let line = matches(&policy.target).next().map_or(policy.line, |one| one.line);
            reasons.push(reason(line, "policy_target", "the policy's own target does not match every call"));
        }
        reasons
    }

    fn is_always(&self, target: &Target) -> bool {
        let normal = self.normal(target);
        if normal.iter().flatten().flatten().any(|one| self.refused(one).is_some()) {
            return false;
        }
        let matching = self.matching(&normal);
        matching.others.always && matching.listed.values().all(|held| held.always)
    }

    fn rule(&self, rule: &Rule) -> ProjectedRule {
        let normal = self.normal(&rule.target);
        let mut reasons = self.of_rule(rule);
        reasons.extend(normal.iter().flatten().flatten().filter_map(|one| self.refused(one)));
        if !reasons.is_empty() {
            return ProjectedRule { rules: Vec::new(), reasons };
        }
        let matching = self.matching(&normal);
        if !matching.others.is_never() {
            let message = "the rule permits actions that it does not name";
            reasons.push(reason(rule.line, "rule_without_action", message));
        }
        let mut of_actions = matching.listed.values();
        if of_actions.clone().any(|held| held.always) || matching.others.always {
            let message = "the rule permits every caller";
            reasons.push(reason(rule.line, "rule_without_subject", message));
        }
        if of_actions.any(|held| held.more) || matching.others.more {
            reasons.extend(self.varying(&normal));
            if reasons.is_empty() {
                let message = "the rule needs two access packages at once";
                reasons.push(reason(self.conjunction_line(rule, &normal), "subject_conjunction", message));
            }
        }
        if !reasons.is_empty() {
            return ProjectedRule { rules: Vec::new(), reasons };
        }
        ProjectedRule { rules: self.rules(rule, &normal, &matching), reasons }
    }

    /// The rule, once for each set of packages; last for the actions that only delegation gives.
    fn rules(&self, rule: &Rule, normal: &Normal<'_>, matching: &ByAction<'_>) -> Vec<PolicyRule> {
        let named = normal.iter().flatten().flatten().flat_map(|one| match self.worth(one) {
            Worth::Actions(actions) => actions,
            _ => BTreeSet::new(),
        });
        let mut by_packages: BTreeMap<BTreeSet<&AccessPackage>, BTreeSet<ActionId>> = BTreeMap::new();
        for action in named.collect::<BTreeSet<_>>() {
            let packages = matching.for_action(action).packages.clone();
            by_packages.entry(packages).or_default().extend(self.domain.actions.get(action).cloned());
        }
        let without = by_packages.remove(&BTreeSet::new());
        let all = by_packages.into_iter().chain(without.map(|actions| (BTreeSet::new(), actions)));
        all.map(|(packages, actions)| PolicyRule {
            id: rule.id.clone(),
            line: rule.line,
            actions,
            access_packages: packages.into_iter().cloned().collect(),
        })
        .collect()
    }

    /// What of a rule, besides its target, cannot be expressed.
    fn of_rule(&self, rule: &Rule) -> Vec<GeneralReason> {
        let mut reasons = Vec::new();
        if rule.effect == Effect::Deny {
            reasons.push(reason(rule.line, "rule_effect", "the rule denies"));
        }
        if let Some(condition) = &rule.condition {
            reasons.push(reason(condition.line(), "rule_condition", "the rule has a condition"));
        }
        if self.semantics == Semantics::Altinn {
            // Those of the other categories are looked at with the target; Altinn falls over all of them.
            let looked_at = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
            let others = matches(&rule.target).filter(|one| !looked_at.contains(&category_of(one)));
            reasons.extend(
                others
                    .filter(|one| matches!(one.attribute, Attribute::Selector(_)))
                    .map(|one| reason(one.line, "match_selector", "an `AttributeSelector` looks into the request")),
            );
        }
        if self.semantics == Semantics::Standard {
            let with_effect = rule.notices.iter().filter(|notice| notice.effect == rule.effect);
            reasons.extend(with_effect.map(|notice| {
                let message = format!("`{}` belongs to this rule alone, not to the policy", notice.id);
                reason(notice.line, "rule_obligation", message)
            }));
        }
        reasons
    }

    /// Why a match is no comparison of a text that can be known beforehand.
    fn refused(&self, one: &Match) -> Option<GeneralReason> {
        let designator = match &one.attribute {
            Attribute::Designator(designator) => designator,
            Attribute::Selector(selector) => {
                return Some(reason(selector.line, "match_selector", "an `AttributeSelector` looks into the request"));
            }
        };
        if TextComparison::of(&one.function).is_none() {
            let message = format!("`{}` is not string-equal or string-equal-ignore-case", one.function);
            return Some(reason(one.line, "match_function", message));
        }
        if designator.must_be_present {
            let message = format!("without `{}`, which must be present, the answer is Indeterminate", designator.id);
            return Some(reason(designator.line, "match_must_be_present", message));
        }
        if designator.category == CATEGORY_ENVIRONMENT {
            let message = format!("`{}` is of the environment", designator.id);
            return Some(reason(one.line, "match_environment", message));
        }
        None
    }

    /// A target in one shape. Altinn takes it apart by category and joins what is of the same.
    fn normal<'t>(&self, target: &'t Target) -> Normal<'t> {
        let all_ofs = |AnyOf(all_ofs): &'t AnyOf| all_ofs.iter().map(|AllOf(matches)| matches.iter().collect());
        match self.semantics {
            Semantics::Standard => target.0.iter().map(|any_of| all_ofs(any_of).collect()).collect(),
            Semantics::Altinn => {
                let of_category = |category| {
                    let alternatives = target.0.iter().flat_map(all_ofs).map(|matches: Vec<&Match>| {
                        matches.into_iter().filter(|one| category_of(one) == category).collect::<Vec<_>>()
                    });
                    alternatives.filter(|matches| !matches.is_empty()).collect::<Vec<_>>()
                };
                let categories = [urn::CATEGORY_SUBJECT, urn::CATEGORY_RESOURCE, urn::CATEGORY_ACTION];
                categories.map(of_category).into_iter().filter(|alternatives| !alternatives.is_empty()).collect()
            }
        }
    }

    /// When a target matches. Every match has been looked at by [`Self::refused`].
    fn matching(&self, normal: &Normal<'_>) -> ByAction<'_> {
        let mut all = ByAction::of(Held::always());
        for alternatives in normal {
            let mut any = ByAction::of(Held::never());
            for matches in alternatives {
                let (actions, held) = self.all_of(matches);
                any.or(actions.as_ref(), &held);
            }
            all = all.and(&any);
        }
        all
    }

    /// For which actions matches hold together, all if none is named, and with which packages.
    fn all_of(&self, matches: &[&Match]) -> (Option<BTreeSet<usize>>, Held<'_>) {
        let (mut actions, mut held) = (None::<BTreeSet<usize>>, Held::always());
        for one in matches {
            match self.worth(one) {
                Worth::Constant(true) => {}
                Worth::Constant(false) => held = Held::never(),
                Worth::Packages(packages) => held = held.and(&Held::one_of(packages)),
                Worth::Varies => held = held.and(&Held::in_other_ways()),
                Worth::Actions(named) => {
                    actions = Some(match actions {
                        Some(known) => known.intersection(&named).copied().collect(),
                        None => named,
                    });
                }
            }
        }
        (actions, held)
    }

    fn worth(&self, one: &Match) -> Worth<'_> {
        let (Attribute::Designator(designator), Some(comparison)) = (&one.attribute, TextComparison::of(&one.function))
        else {
            return Worth::Varies;
        };
        let known = Known::of(designator, self.resource, self.semantics);
        let Some(text) = literal(one) else { return Worth::Constant(false) };
        let key = || (comparison, comparison.key(text, self.semantics));
        match known {
            Known::Absent => Worth::Constant(false),
            Known::IsAsked => Worth::Constant(true),
            Known::Is(value) => Worth::Constant(comparison.holds(text, value, self.semantics)),
            Known::Varies => Worth::Varies,
            Known::Packages => Worth::Packages(self.domain.packages_by_key.get(&key()).into_iter().flatten().collect()),
            Known::Action => Worth::Actions(self.domain.actions_by_key.get(&key()).cloned().unwrap_or_default()),
        }
    }

    /// The matches of a target that differ from call to call and are not beside one that never holds.
    fn varying(&self, normal: &Normal<'_>) -> Vec<GeneralReason> {
        let live = normal.iter().flatten().filter(|matches| !self.all_of(matches).1.is_never());
        let varying = live.flatten().filter(|one| matches!(self.worth(one), Worth::Varies));
        varying
            .map(|one| match &one.attribute {
                Attribute::Designator(designator) if designator.id == urn::SYSTEM_USER_UUID => {
                    reason(one.line, "subject_system_user", "the rule names a system user")
                }
                Attribute::Designator(designator) => {
                    let message = format!("`{}` differs from call to call", designator.id);
                    reason(one.line, "resource_attribute", message)
                }
                Attribute::Selector(selector) => reason(selector.line, "match_selector", "an `AttributeSelector`"),
            })
            .collect()
    }

    /// Where a second package is demanded.
    fn conjunction_line(&self, rule: &Rule, normal: &Normal<'_>) -> u32 {
        let is_package = |one: &&&Match| matches!(self.worth(one), Worth::Packages(_));
        let together = normal.iter().flatten().find_map(|matches| matches.iter().filter(is_package).nth(1));
        let apart = || normal.iter().filter_map(|any_of| any_of.iter().flatten().find(is_package)).nth(1);
        together.or_else(apart).map_or(rule.line, |one| one.line)
    }
}

impl Domain {
    fn of(policy: &Policy, semantics: Semantics) -> Self {
        let (mut actions, mut packages) = (BTreeSet::new(), BTreeSet::new());
        let targets = policy.rules.iter().map(|rule| &rule.target).chain([&policy.target]);
        for one in targets.flat_map(matches) {
            let Attribute::Designator(designator) = &one.attribute else { continue };
            let (Some(text), Some(comparison)) = (literal(one), TextComparison::of(&one.function)) else {
                continue;
            };
            match Known::of(designator, &Resource::any(), semantics) {
                Known::Action => actions.extend(ActionId::parse(text)),
                Known::Packages => packages.extend(spellings(text, comparison, semantics)),
                _ => {}
            }
        }
        let actions: Vec<_> = actions.into_iter().collect();
        let mut domain = Self { actions, packages, actions_by_key: BTreeMap::new(), packages_by_key: BTreeMap::new() };
        for comparison in [TextComparison::Exact, TextComparison::IgnoringCase] {
            for (at, action) in domain.actions.iter().enumerate() {
                let key = comparison.key(action.as_str(), semantics);
                domain.actions_by_key.entry((comparison, key)).or_default().insert(at);
            }
            for package in &domain.packages {
                let key = comparison.key(package.name(), semantics);
                domain.packages_by_key.entry((comparison, key)).or_default().insert(package.clone());
            }
        }
        domain
    }
}

/// The algorithm that a policy names, if it is known. Altinn takes those of policy sets for those of rules, and knows none
/// of the older ones.
pub(crate) fn algorithm(uri: &str, semantics: Semantics) -> Option<Algorithm> {
    let found = Algorithm::from_uri(uri, false);
    match semantics {
        Semantics::Standard => found,
        Semantics::Altinn => found.or_else(|| Algorithm::from_uri(uri, true)).filter(|found| {
            matches!(
                found,
                Algorithm::DenyOverrides
                    | Algorithm::PermitOverrides
                    | Algorithm::DenyUnlessPermit
                    | Algorithm::PermitUnlessDeny
                    | Algorithm::FirstApplicable
            )
        }),
    }
}

/// All matches of a target.
pub(crate) fn matches(target: &Target) -> impl Iterator<Item = &Match> {
    target.0.iter().flat_map(|AnyOf(all_ofs)| all_ofs).flat_map(|AllOf(matches)| matches)
}

/// The category that a match is about.
pub(crate) fn category_of(one: &Match) -> &str {
    match &one.attribute {
        Attribute::Designator(designator) => &designator.category,
        Attribute::Selector(selector) => &selector.category,
    }
}

fn reason(line: u32, code: &'static str, message: impl Into<String>) -> GeneralReason {
    GeneralReason { line, code, message: message.into() }
}
