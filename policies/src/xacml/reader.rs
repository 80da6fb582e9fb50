//! Reads the XML. Every element is either understood or refused; none is skipped but descriptions.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

use super::{POLICY_BYTES_MAX, PolicyRule, ResourcePolicy, XacmlError};
use crate::id::{AccessPackage, ActionId, ResourceId};
use crate::urn;

type Result<T> = std::result::Result<T, XacmlError>;

/// One match of a target: an attribute of a category equals a literal.
struct Match<'xml> {
    category: &'xml str,
    attribute: &'xml str,
    value: String,
    node: Node<'xml, 'xml>,
}

pub(super) fn read(xml: &str, resource: &ResourceId) -> Result<ResourcePolicy> {
    let whole = |code, message: String| XacmlError { line: 1, code, message };
    if xml.len() > POLICY_BYTES_MAX {
        return Err(whole("policy_too_large", format!("a policy has at most {POLICY_BYTES_MAX} bytes")));
    }
    let xml = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    // The parser refuses document type declarations, and with them every entity.
    let document = Document::parse(xml).map_err(|error| XacmlError {
        line: error.pos().row,
        code: "policy_not_xml",
        message: error.to_string(),
    })?;
    read_policy(document.root_element(), resource)
}

fn read_policy(policy: Node<'_, '_>, resource: &ResourceId) -> Result<ResourcePolicy> {
    if !policy.has_tag_name((urn::XACML_NAMESPACE, "Policy")) {
        return Err(refuse(policy, "policy_element", "the document is not one `Policy` of XACML 3.0"));
    }
    let algorithm = policy.attribute("RuleCombiningAlgId").unwrap_or("");
    // Every rule permits, so these two combine alike.
    if ![urn::RULE_DENY_OVERRIDES, urn::RULE_PERMIT_OVERRIDES].contains(&algorithm) {
        let message =
            format!("combining algorithm `{algorithm}` is not deny-overrides or permit-overrides of XACML 3.0");
        return Err(refuse(policy, "policy_combining_algorithm", message));
    }
    let mut read =
        ResourcePolicy { rules: Vec::new(), minimum_authentication_level: 0, unknown_obligations: BTreeSet::new() };
    let mut rule_ids = BTreeSet::new();
    for element in elements(policy) {
        match element.tag_name().name() {
            "Description" => {}
            "Target" if elements(element).next().is_none() => {}
            "Target" => {
                return Err(refuse(element, "policy_target", "a target on the policy is not supported"));
            }
            "Rule" => {
                if !rule_ids.insert(element.attribute("RuleId").unwrap_or("")) {
                    return Err(refuse(element, "rule_twice", "another rule of the policy has the same `RuleId`"));
                }
                read.rules.push(read_rule(element, resource)?);
            }
            "ObligationExpressions" => read_obligations(element, &mut read)?,
            other => return Err(refuse(element, "policy_element", format!("`{other}` is not supported"))),
        }
    }
    if read.rules.is_empty() {
        return Err(refuse(policy, "policy_without_rules", "the policy has no rule"));
    }
    Ok(read)
}

fn read_rule(rule: Node<'_, '_>, resource: &ResourceId) -> Result<PolicyRule> {
    if rule.attribute("Effect") != Some("Permit") {
        return Err(refuse(rule, "rule_effect", "only rules with `Effect=\"Permit\"` are supported"));
    }
    let mut target = None;
    for element in elements(rule) {
        match element.tag_name().name() {
            "Description" => {}
            "Target" if target.is_none() => target = Some(element),
            other => {
                return Err(refuse(element, "rule_element", format!("`{other}` in a rule is not supported")));
            }
        }
    }
    let target = target.ok_or_else(|| refuse(rule, "rule_without_target", "the rule has no target"))?;
    let (mut subjects, mut resources, mut actions) = (None, None, None);
    for any_of in named_elements(target, "AnyOf")? {
        let mut branches = Vec::new();
        for all_of in named_elements(any_of, "AllOf")? {
            branches.push(named_elements(all_of, "Match")?.into_iter().map(read_match).collect::<Result<Vec<_>>>()?);
        }
        let categories: BTreeSet<_> = branches.iter().flatten().map(|found| found.category).collect();
        let place = match (categories.first(), categories.len()) {
            (Some(&urn::CATEGORY_SUBJECT), 1) => &mut subjects,
            (Some(&urn::CATEGORY_RESOURCE), 1) => &mut resources,
            (Some(&urn::CATEGORY_ACTION), 1) => &mut actions,
            _ => {
                let message = "an `AnyOf` has matches of one category: subject, resource or action";
                return Err(refuse(any_of, "rule_category", message));
            }
        };
        if place.is_some() {
            let message = "two `AnyOf` of one category: XACML demands both, Altinn either; write one";
            return Err(refuse(any_of, "rule_category_twice", message));
        }
        *place = Some(branches);
    }
    let missing = |code, what: &str| refuse(target, code, format!("the rule's target names no {what}"));
    check_resources(resources.ok_or_else(|| missing("rule_without_resource", "resource"))?, resource)?;
    Ok(PolicyRule {
        actions: read_actions(actions.ok_or_else(|| missing("rule_without_action", "action"))?)?,
        access_packages: read_subjects(subjects.ok_or_else(|| missing("rule_without_subject", "subject"))?)?,
    })
}

fn read_match<'xml>(node: Node<'xml, 'xml>) -> Result<Match<'xml>> {
    let function = node.attribute("MatchId").unwrap_or("");
    if ![urn::STRING_EQUAL, urn::STRING_EQUAL_IGNORE_CASE].contains(&function) {
        let message = format!("match function `{function}` is not string-equal or string-equal-ignore-case");
        return Err(refuse(node, "match_function", message));
    }
    let (mut value, mut designator) = (None, None);
    for element in elements(node) {
        match element.tag_name().name() {
            "AttributeValue" if value.is_none() => value = Some(text(element)),
            "AttributeDesignator" if designator.is_none() => designator = Some(element),
            other => {
                return Err(refuse(element, "match_element", format!("`{other}` in a match is not supported")));
            }
        }
    }
    let (Some(value), Some(designator)) = (value, designator) else {
        return Err(refuse(node, "match_element", "a match has one `AttributeValue` and one `AttributeDesignator`"));
    };
    let attribute = |name| designator.attribute(name).unwrap_or("");
    if attribute("MustBePresent") == "true" {
        return Err(refuse(designator, "match_must_be_present", "`MustBePresent=\"true\"` is not supported"));
    }
    Ok(Match { category: attribute("Category"), attribute: attribute("AttributeId"), value, node })
}

/// Packages that grant the rule. A branch with any other subject attribute cannot match a system user.
fn read_subjects(branches: Vec<Vec<Match<'_>>>) -> Result<BTreeSet<AccessPackage>> {
    let mut packages = BTreeSet::new();
    for branch in branches {
        if let Some(named) = branch.iter().find(|found| found.attribute == urn::SYSTEM_USER_UUID) {
            let message = "a resource's policy names no system user; delegate the right to it instead";
            return Err(refuse(named.node, "subject_system_user", message));
        }
        if branch.iter().any(|found| found.attribute != urn::ACCESS_PACKAGE) {
            continue;
        }
        match branch.as_slice() {
            [package] => {
                let parsed = AccessPackage::from_name(&package.value.to_ascii_lowercase());
                let wrong = |error| refuse(package.node, "subject_access_package", format!("{error}"));
                packages.insert(parsed.map_err(wrong)?);
            }
            [_, second, ..] => {
                let message = "a subject that needs two access packages at once is not supported";
                return Err(refuse(second.node, "subject_conjunction", message));
            }
            [] => {}
        }
    }
    Ok(packages)
}

/// Every branch names this resource, or this app, and nothing else.
fn check_resources(branches: Vec<Vec<Match<'_>>>, resource: &ResourceId) -> Result<()> {
    let app = resource.as_str().strip_prefix("app_").and_then(|app| app.split_once('_'));
    for branch in branches {
        let mut named = BTreeSet::new();
        for found in &branch {
            let expected = match found.attribute {
                urn::RESOURCE => Some(resource.as_str()),
                "urn:altinn:org" => app.map(|(org, _)| org),
                "urn:altinn:app" => app.map(|(_, app)| app),
                other => {
                    let message = format!("a rule that depends on resource attribute `{other}` is not supported");
                    return Err(refuse(found.node, "resource_attribute", message));
                }
            };
            if !expected.is_some_and(|expected| expected.eq_ignore_ascii_case(&found.value)) {
                let message = format!("the rule is for another resource than `{resource}`");
                return Err(refuse(found.node, "resource_other", message));
            }
            named.insert(found.attribute);
        }
        let whole = named.contains(urn::RESOURCE) || named.len() == 2;
        if let (false, Some(found)) = (whole, branch.first()) {
            let message = format!("the rule does not say `{}` = `{resource}`", urn::RESOURCE);
            return Err(refuse(found.node, "resource_missing", message));
        }
    }
    Ok(())
}

fn read_actions(branches: Vec<Vec<Match<'_>>>) -> Result<BTreeSet<ActionId>> {
    let mut actions = BTreeSet::new();
    for branch in branches {
        let [action] = branch.as_slice() else {
            let second =
                branch.into_iter().nth(1).map(|found| refuse(found.node, "action_conjunction", "two actions at once"));
            // `named_elements` gives at least one.
            return second.map_or(Ok(actions), Err);
        };
        if action.attribute != urn::ACTION_ID {
            let message = format!("an action is named by `{}`", urn::ACTION_ID);
            return Err(refuse(action.node, "action_attribute", message));
        }
        let parsed = ActionId::parse(&action.value);
        actions.insert(parsed.map_err(|error| refuse(action.node, "action_id", error.to_string()))?);
    }
    Ok(actions)
}

fn read_obligations(expressions: Node<'_, '_>, policy: &mut ResourcePolicy) -> Result<()> {
    for obligation in named_elements(expressions, "ObligationExpression")? {
        // An obligation of a denial has nothing to add: the gateway refuses anyway.
        if obligation.attribute("FulfillOn") == Some("Deny") {
            continue;
        }
        let mut known = false;
        for assignment in elements(obligation) {
            match assignment.attribute("Category") {
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL) => {
                    let level = elements(assignment).next().map(text).and_then(|level| level.trim().parse().ok());
                    let level = level.filter(|level| *level <= 4).ok_or_else(|| {
                        refuse(assignment, "obligation_level", "an authentication level is a number from 0 to 4")
                    })?;
                    policy.minimum_authentication_level = policy.minimum_authentication_level.max(level);
                    known = true;
                }
                // For service owners alone.
                Some(urn::MINIMUM_AUTHENTICATION_LEVEL_ORG) => known = true,
                _ => {
                    known = false;
                    break;
                }
            }
        }
        if !known {
            policy.unknown_obligations.insert(obligation.attribute("ObligationId").unwrap_or("").to_owned());
        }
    }
    Ok(())
}

fn elements<'xml>(node: Node<'xml, 'xml>) -> impl Iterator<Item = Node<'xml, 'xml>> {
    node.children().filter(Node::is_element)
}

/// The elements inside, which all have this name; at least one.
fn named_elements<'xml>(node: Node<'xml, 'xml>, name: &str) -> Result<Vec<Node<'xml, 'xml>>> {
    let found: Vec<_> = elements(node).collect();
    if let Some(other) = found.iter().find(|element| !element.has_tag_name((urn::XACML_NAMESPACE, name))) {
        let message = format!("`{}` where `{name}` should be", other.tag_name().name());
        return Err(refuse(*other, "policy_element", message));
    }
    if found.is_empty() {
        let message = format!("`{}` without `{name}`", node.tag_name().name());
        return Err(refuse(node, "policy_element", message));
    }
    Ok(found)
}

/// All text of an element, also around comments.
fn text(node: Node<'_, '_>) -> String {
    node.children()
        .filter_map(|child| if child.is_text() { child.text() } else { None })
        .collect::<String>()
        .trim()
        .to_owned()
}

fn refuse(node: Node<'_, '_>, code: &'static str, message: impl Into<String>) -> XacmlError {
    let line = node.document().text_pos_at(node.range().start).row;
    XacmlError { line, code, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"<xacml:Policy xmlns:xacml="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0"
 RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides">
<xacml:Target/>
<xacml:Rule RuleId="r1" Effect="Permit"><xacml:Description>d</xacml:Description><xacml:Target>
<xacml:AnyOf><xacml:AllOf>SUBJECT(urn:altinn:accesspackage,Skatt-<!-- c -->Naering)</xacml:AllOf>
<xacml:AllOf>SUBJECT(urn:altinn:rolecode,DAGL)</xacml:AllOf></xacml:AnyOf>
<xacml:AnyOf><xacml:AllOf>RESOURCE(urn:altinn:resource,vat)</xacml:AllOf></xacml:AnyOf>
<xacml:AnyOf><xacml:AllOf>ACTION(urn:oasis:names:tc:xacml:1.0:action:action-id,read)</xacml:AllOf></xacml:AnyOf>
</xacml:Target></xacml:Rule>
<xacml:ObligationExpressions><xacml:ObligationExpression FulfillOn="Permit" ObligationId="level">
<xacml:AttributeAssignmentExpression AttributeId="a" Category="urn:altinn:minimum-authenticationlevel"><xacml:AttributeValue DataType="http://www.w3.org/2001/XMLSchema#integer">3</xacml:AttributeValue></xacml:AttributeAssignmentExpression>
</xacml:ObligationExpression></xacml:ObligationExpressions>
</xacml:Policy>"#;

    /// Writes `CATEGORY(attribute,value)` out as a match.
    fn policy(replacements: &[(&str, &str)]) -> String {
        let mut xml = POLICY.to_owned();
        for (from, to) in replacements {
            assert!(xml.contains(from), "{from}");
            xml = xml.replacen(from, to, 1);
        }
        for (name, category) in [
            ("SUBJECT(", urn::CATEGORY_SUBJECT),
            ("RESOURCE(", urn::CATEGORY_RESOURCE),
            ("ACTION(", urn::CATEGORY_ACTION),
        ] {
            while let Some((before, rest)) = xml.split_once(name) {
                let (inside, after) = rest.split_once(')').unwrap();
                let (attribute, value) = inside.split_once(',').unwrap();
                xml = format!(
                    r#"{before}<xacml:Match MatchId="{}"><xacml:AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{value}</xacml:AttributeValue><xacml:AttributeDesignator AttributeId="{attribute}" Category="{category}" DataType="http://www.w3.org/2001/XMLSchema#string" MustBePresent="false"/></xacml:Match>{after}"#,
                    urn::STRING_EQUAL_IGNORE_CASE
                );
            }
        }
        xml
    }

    fn parse(xml: &str) -> Result<ResourcePolicy> {
        read(xml, &ResourceId::parse("vat").unwrap())
    }

    #[test]
    fn a_policy_as_the_registry_stores_it() {
        let read = parse(&policy(&[])).unwrap();
        assert_eq!(read.minimum_authentication_level, 3);
        assert_eq!(read.rules.len(), 1);
        let names: Vec<_> = read.rules[0].access_packages.iter().map(AccessPackage::name).collect();
        assert_eq!(names, ["skatt-naering"]);
        assert_eq!(read.actions().iter().map(ActionId::as_str).collect::<Vec<_>>(), ["read"]);
        let with_bom = format!("\u{feff}{}", policy(&[]));
        assert_eq!(parse(&with_bom).unwrap(), read);
    }

    #[test]
    fn other_obligations_are_kept_to_be_refused() {
        let xml = policy(&[("urn:altinn:minimum-authenticationlevel", "urn:example:notify")]);
        assert_eq!(parse(&xml).unwrap().unknown_obligations, BTreeSet::from(["level".to_owned()]));
        let xml = policy(&[("FulfillOn=\"Permit\"", "FulfillOn=\"Deny\"")]);
        assert_eq!(parse(&xml).unwrap().minimum_authentication_level, 0);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let two_subjects =
            "</xacml:AnyOf><xacml:AnyOf><xacml:AllOf>SUBJECT(urn:altinn:accesspackage,b)</xacml:AllOf></xacml:AnyOf>";
        for (replacement, code, line) in [
            (("deny-overrides\"", "first-applicable\""), "policy_combining_algorithm", 1),
            (("Effect=\"Permit\"", "Effect=\"Deny\""), "rule_effect", 4),
            (("<xacml:Target/>", "<xacml:Target><xacml:AnyOf/></xacml:Target>"), "policy_target", 3),
            (("<xacml:Target/>", "<xacml:VariableDefinition/>"), "policy_element", 3),
            (("<xacml:Description>d</xacml:Description>", "<xacml:Condition/>"), "rule_element", 4),
            (("</xacml:AnyOf>", two_subjects), "rule_category_twice", 6),
            (("RESOURCE(urn:altinn:resource,vat)", "RESOURCE(urn:altinn:resource,other)"), "resource_other", 7),
            (("RESOURCE(urn:altinn:resource,vat)", "RESOURCE(urn:altinn:task,Task_1)"), "resource_attribute", 7),
            (("RESOURCE(urn:altinn:resource,vat)", "ACTION(urn:altinn:resource,vat)"), "rule_category_twice", 8),
            (("Skatt-<!-- c -->Naering", "skatt naering"), "subject_access_package", 5),
            (("urn:altinn:rolecode", "urn:altinn:systemuser:uuid"), "subject_system_user", 6),
            (
                (
                    "SUBJECT(urn:altinn:rolecode,DAGL)",
                    "SUBJECT(urn:altinn:accesspackage,a)SUBJECT(urn:altinn:accesspackage,b)",
                ),
                "subject_conjunction",
                6,
            ),
            ((">3<", ">5<"), "obligation_level", 11),
            (("</xacml:Policy>", "</xacml:Polic>"), "policy_not_xml", 13),
            (("<xacml:Policy", "<!DOCTYPE a [<!ENTITY b \"c\">]><xacml:Policy"), "policy_not_xml", 1),
        ] {
            let error = parse(&policy(&[replacement])).unwrap_err();
            assert_eq!((error.code, error.line), (code, line), "{replacement:?}: {error}");
        }
        let no_subject = policy(&[]).replace(urn::CATEGORY_SUBJECT, "urn:example:other");
        assert_eq!(parse(&no_subject).unwrap_err().code, "rule_category");
    }

    #[test]
    fn hostile_xml_is_refused() {
        assert_eq!(parse(&"<a>".repeat(POLICY_BYTES_MAX)).unwrap_err().code, "policy_too_large");
        assert_eq!(parse("").unwrap_err().code, "policy_not_xml");
        let nested = format!("{}{}", "<a>".repeat(149_000), "</a>".repeat(149_000));
        assert!(parse(&nested).is_err());
        let bomb = r#"<!DOCTYPE l [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><l>&b;</l>"#;
        assert_eq!(parse(bomb).unwrap_err().code, "policy_not_xml");
    }
}
