//! XML to the tree of [`super::ast`]. Every element and attribute is either understood or refused with its line; none is
//! skipped.
//!
//! What is decided here is form: which elements stand where, and how often. What identifiers mean is decided when the
//! tree is compiled. Recursion is bounded by the depth that [`super::xml`] has counted.

mod expression;

use roxmltree::Node;

use super::PolicyError;
use super::ast::{
    Effect, NoticeExpression, NoticeKind, Policy, PolicyChild, PolicyDocument, PolicyElement, PolicyReference,
    PolicySet, Rule, Target, VariableDefinition, Version, VersionPattern,
};
use super::xml::{self, Lines, elements};
use crate::urn;

type Result<T> = std::result::Result<T, PolicyError>;

/// Versions of XPath that a policy may say it uses, although none is used.
const XPATH_VERSIONS: [&str; 3] = [
    "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "http://www.w3.org/TR/2007/REC-xpath20-20070123",
    "http://www.w3.org/TR/2010/REC-xpath20-20101214",
];

/// Reads the document in a file.
pub fn parse(file: &str, bytes: &[u8]) -> Result<PolicyDocument> {
    let refused = |error: xml::XmlError| PolicyError {
        file: file.to_owned(),
        line: error.line,
        code: error.code,
        message: error.message,
        cure: error.cure,
    };
    let text = xml::decode(bytes).map_err(refused)?;
    let document = xml::tree(&text).map_err(refused)?;
    let reader = Reader { file, lines: Lines::of(&text) };
    let root = document.root_element();
    let element = if is(root, "Policy") {
        PolicyElement::Policy(reader.policy(root)?)
    } else if is(root, "PolicySet") {
        PolicyElement::PolicySet(reader.policy_set(root)?)
    } else {
        let message = format!("the document is `{}`, not a policy", root.tag_name().name());
        return Err(reader.refuse(root, "document_element", message, "give a `Policy` or `PolicySet` of XACML 3.0"));
    };
    Ok(PolicyDocument { file: file.to_owned(), root: element })
}

struct Reader<'a> {
    file: &'a str,
    lines: Lines,
}

/// Children of an element that may come once.
#[derive(Default)]
struct Header<'a, 'input> {
    description: Option<String>,
    target: Option<Node<'a, 'input>>,
}

impl Reader<'_> {
    fn policy(&self, node: Node<'_, '_>) -> Result<Policy> {
        self.attributes(node, &["PolicyId", "Version", "RuleCombiningAlgId"], &["MaxDelegationDepth"])?;
        let mut header = Header::default();
        let (mut variables, mut rules, mut notices) = (Vec::new(), Vec::new(), Vec::new());
        for child in elements(node) {
            match self.name(child)? {
                "Rule" => rules.push(self.rule(child)?),
                "VariableDefinition" => {
                    self.attributes(child, &["VariableId"], &[])?;
                    variables.push(VariableDefinition {
                        line: self.lines.line(child),
                        id: self.attribute(child, "VariableId")?,
                        expression: self.only_expression(child)?,
                    });
                }
                name => self.common_child(name, child, &mut header, &mut notices)?,
            }
        }
        Ok(Policy {
            line: self.lines.line(node),
            id: self.attribute(node, "PolicyId")?,
            version: self.version(node)?,
            algorithm: self.attribute(node, "RuleCombiningAlgId")?,
            target: self.required_target(node, &header)?,
            description: header.description,
            variables,
            rules,
            notices,
        })
    }

    fn policy_set(&self, node: Node<'_, '_>) -> Result<PolicySet> {
        self.attributes(node, &["PolicySetId", "Version", "PolicyCombiningAlgId"], &["MaxDelegationDepth"])?;
        let mut header = Header::default();
        let (mut children, mut notices) = (Vec::new(), Vec::new());
        for child in elements(node) {
            match self.name(child)? {
                "Policy" => children.push(PolicyChild::Element(PolicyElement::Policy(self.policy(child)?))),
                "PolicySet" => children.push(PolicyChild::Element(PolicyElement::PolicySet(self.policy_set(child)?))),
                "PolicyIdReference" => children.push(PolicyChild::Reference(self.reference(child, false)?)),
                "PolicySetIdReference" => children.push(PolicyChild::Reference(self.reference(child, true)?)),
                name => self.common_child(name, child, &mut header, &mut notices)?,
            }
        }
        Ok(PolicySet {
            line: self.lines.line(node),
            id: self.attribute(node, "PolicySetId")?,
            version: self.version(node)?,
            algorithm: self.attribute(node, "PolicyCombiningAlgId")?,
            target: self.required_target(node, &header)?,
            description: header.description,
            children,
            notices,
        })
    }

    /// What policies and sets have in common.
    fn common_child<'a, 'input>(
        &self,
        name: &str,
        child: Node<'a, 'input>,
        header: &mut Header<'a, 'input>,
        notices: &mut Vec<NoticeExpression>,
    ) -> Result<()> {
        match name {
            "PolicyDefaults" | "PolicySetDefaults" => self.defaults(child),
            "PolicyIssuer"
            | "CombinerParameters"
            | "RuleCombinerParameters"
            | "PolicyCombinerParameters"
            | "PolicySetCombinerParameters" => {
                let message = format!("`{name}` is an optional feature that is not supported");
                Err(self.refuse(child, "feature_unsupported", message, "remove it"))
            }
            _ => self.header_child(name, child, header, notices),
        }
    }

    /// What policies, sets and rules have in common.
    fn header_child<'a, 'input>(
        &self,
        name: &str,
        child: Node<'a, 'input>,
        header: &mut Header<'a, 'input>,
        notices: &mut Vec<NoticeExpression>,
    ) -> Result<()> {
        match name {
            "Description" if header.description.is_none() => {
                header.description = Some(xml::text(child).trim().to_owned());
                Ok(())
            }
            "Target" if header.target.is_none() => {
                header.target = Some(child);
                Ok(())
            }
            "Description" | "Target" => {
                Err(self.refuse(child, "element_twice", format!("a second `{name}`"), "keep one"))
            }
            "ObligationExpressions" => self.notices(child, NoticeKind::Obligation, notices),
            "AdviceExpressions" => self.notices(child, NoticeKind::Advice, notices),
            _ => Err(self.unexpected(child)),
        }
    }

    fn rule(&self, node: Node<'_, '_>) -> Result<Rule> {
        self.attributes(node, &["RuleId", "Effect"], &[])?;
        let mut header = Header::default();
        let (mut condition, mut notices) = (None, Vec::new());
        for child in elements(node) {
            match self.name(child)? {
                "Condition" if condition.is_none() => {
                    self.attributes(child, &[], &[])?;
                    condition = Some(self.only_expression(child)?);
                }
                "Condition" => {
                    return Err(self.refuse(child, "element_twice", "a second `Condition`", "join them by `and`"));
                }
                name => self.header_child(name, child, &mut header, &mut notices)?,
            }
        }
        Ok(Rule {
            line: self.lines.line(node),
            id: self.attribute(node, "RuleId")?,
            effect: self.effect(node, "Effect")?,
            target: header.target.map(|target| self.target(target)).transpose()?.unwrap_or_default(),
            description: header.description,
            condition,
            notices,
        })
    }

    fn notices(&self, node: Node<'_, '_>, kind: NoticeKind, notices: &mut Vec<NoticeExpression>) -> Result<()> {
        let (name, id, effect) = match kind {
            NoticeKind::Obligation => ("ObligationExpression", "ObligationId", "FulfillOn"),
            NoticeKind::Advice => ("AdviceExpression", "AdviceId", "AppliesTo"),
        };
        self.attributes(node, &[], &[])?;
        for child in self.named(node, name)? {
            self.attributes(child, &[id, effect], &[])?;
            let assignments = elements(child).map(|assignment| self.assignment(assignment)).collect::<Result<_>>()?;
            notices.push(NoticeExpression {
                line: self.lines.line(child),
                kind,
                id: self.attribute(child, id)?,
                effect: self.effect(child, effect)?,
                assignments,
            });
        }
        Ok(())
    }

    fn reference(&self, node: Node<'_, '_>, to_set: bool) -> Result<PolicyReference> {
        let names = ["Version", "EarliestVersion", "LatestVersion"];
        self.attributes(node, &[], &names)?;
        let pattern = |name| {
            node.attribute(name).map(VersionPattern::parse).map_or(Ok(None), |pattern| {
                let message = format!("`{name}` is no version pattern");
                pattern
                    .map(Some)
                    .ok_or_else(|| self.refuse(node, "version_pattern", message, "write it like `1.2`, `1.*` or `1.+`"))
            })
        };
        if let Some(child) = elements(node).next() {
            return Err(self.unexpected(child));
        }
        Ok(PolicyReference {
            line: self.lines.line(node),
            to_set,
            id: xml::text(node).trim().to_owned(),
            version: pattern("Version")?,
            earliest: pattern("EarliestVersion")?,
            latest: pattern("LatestVersion")?,
        })
    }

    fn defaults(&self, node: Node<'_, '_>) -> Result<()> {
        self.attributes(node, &[], &[])?;
        for child in self.named(node, "XPathVersion")? {
            let version = xml::text(child);
            if !XPATH_VERSIONS.contains(&version.trim()) {
                let message = format!("`{}` is no version of XPath", version.trim());
                return Err(self.refuse(child, "xpath_version", message, "remove it: XPath is not used"));
            }
        }
        Ok(())
    }

    fn version(&self, node: Node<'_, '_>) -> Result<Version> {
        let text = self.attribute(node, "Version")?;
        Version::parse(&text).ok_or_else(|| {
            self.refuse(node, "version", format!("`{text}` is no version"), "write numbers between dots, like `1.0`")
        })
    }

    fn effect(&self, node: Node<'_, '_>, name: &str) -> Result<Effect> {
        match self.attribute(node, name)?.as_str() {
            "Permit" => Ok(Effect::Permit),
            "Deny" => Ok(Effect::Deny),
            other => {
                let message = format!("`{name}` is `{other}`");
                Err(self.refuse(node, "effect", message, "write `Permit` or `Deny`"))
            }
        }
    }

    fn required_target(&self, node: Node<'_, '_>, header: &Header<'_, '_>) -> Result<Target> {
        match header.target {
            Some(target) => self.target(target),
            None => {
                let message = format!("the `{}` has no `Target`", node.tag_name().name());
                Err(self.refuse(node, "target_missing", message, "write `<Target/>` if it is for every request"))
            }
        }
    }

    /// The local name of an element of XACML.
    fn name<'a>(&self, node: Node<'a, '_>) -> Result<&'a str> {
        if node.tag_name().namespace() == Some(urn::XACML_NAMESPACE) {
            Ok(node.tag_name().name())
        } else {
            Err(self.unexpected(node))
        }
    }

    /// The elements inside, which all have this name; at least one.
    fn named<'a, 'input>(&self, node: Node<'a, 'input>, name: &str) -> Result<Vec<Node<'a, 'input>>> {
        let found: Vec<_> = elements(node).collect();
        if let Some(other) = found.iter().find(|child| !is(**child, name)) {
            return Err(self.unexpected(*other));
        }
        if found.is_empty() {
            let message = format!("`{}` without `{name}`", node.tag_name().name());
            return Err(self.refuse(node, "element_missing", message, "add one, or remove the whole"));
        }
        Ok(found)
    }

    /// Checks that the element has these attributes and no others. Those of other namespaces are XML Schema's.
    fn attributes(&self, node: Node<'_, '_>, required: &[&str], optional: &[&str]) -> Result<()> {
        let known = |name| required.contains(&name) || optional.contains(&name);
        if let Some(name) = required.iter().find(|name| node.attribute(**name).is_none()) {
            let message = format!("`{}` without `{name}`", node.tag_name().name());
            return Err(self.refuse(node, "attribute_missing", message, "add it"));
        }
        match node.attributes().find(|found| found.namespace().is_none() && !known(found.name())) {
            Some(found) => {
                let message = format!("`{}` has no attribute `{}`", node.tag_name().name(), found.name());
                Err(self.refuse(node, "attribute_unknown", message, "remove it, or correct its name"))
            }
            None => Ok(()),
        }
    }

    fn attribute(&self, node: Node<'_, '_>, name: &str) -> Result<String> {
        node.attribute(name).map(str::to_owned).ok_or_else(|| {
            let message = format!("`{}` without `{name}`", node.tag_name().name());
            self.refuse(node, "attribute_missing", message, "add it")
        })
    }

    fn unexpected(&self, node: Node<'_, '_>) -> PolicyError {
        let name = node.tag_name().name();
        let message = match node.parent_element() {
            Some(parent) => format!("`{name}` does not belong in `{}`", parent.tag_name().name()),
            None => format!("`{name}` does not belong here"),
        };
        self.refuse(node, "element_unknown", message, "remove it, or check its name, place and namespace")
    }

    fn refuse(
        &self,
        node: Node<'_, '_>,
        code: &'static str,
        message: impl Into<String>,
        cure: &'static str,
    ) -> PolicyError {
        PolicyError { file: self.file.to_owned(), line: self.lines.line(node), code, message: message.into(), cure }
    }
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((urn::XACML_NAMESPACE, name))
}

#[cfg(test)]
mod tests;
