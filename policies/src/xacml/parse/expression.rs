//! Targets, expressions and assignments.

use roxmltree::Node;

use super::{Reader, Result};
use crate::xacml::ast::{
    AllOf, AnyOf, Apply, AssignmentExpression, Attribute, Designator, Expression, FunctionReference, Literal, Match,
    Selector, Target, VariableReference,
};
use crate::xacml::xml::{self, elements};

impl Reader<'_> {
    pub(super) fn target(&self, node: Node<'_, '_>) -> Result<Target> {
        self.attributes(node, &[], &[])?;
        if elements(node).next().is_none() {
            return Ok(Target::default());
        }
        let mut any_ofs = Vec::new();
        for any_of in self.named(node, "AnyOf")? {
            self.attributes(any_of, &[], &[])?;
            let mut all_ofs = Vec::new();
            for all_of in self.named(any_of, "AllOf")? {
                self.attributes(all_of, &[], &[])?;
                let matches = self.named(all_of, "Match")?;
                all_ofs.push(AllOf(matches.into_iter().map(|node| self.matching(node)).collect::<Result<_>>()?));
            }
            any_ofs.push(AnyOf(all_ofs));
        }
        Ok(Target(any_ofs))
    }

    fn matching(&self, node: Node<'_, '_>) -> Result<Match> {
        self.attributes(node, &["MatchId"], &[])?;
        let mut parts = elements(node).map(|child| self.expression(child));
        match (parts.next().transpose()?, parts.next().transpose()?, parts.next()) {
            (Some(Expression::Literal(literal)), Some(Expression::Attribute(attribute)), None) => Ok(Match {
                line: self.lines.line(node),
                function: self.attribute(node, "MatchId")?,
                literal,
                attribute,
            }),
            _ => Err(self.refuse(
                node,
                "match_form",
                "a `Match` is an `AttributeValue` and then an `AttributeDesignator`",
                "write both, in this order",
            )),
        }
    }

    pub(super) fn assignment(&self, node: Node<'_, '_>) -> Result<AssignmentExpression> {
        if self.name(node)? != "AttributeAssignmentExpression" {
            return Err(self.unexpected(node));
        }
        self.attributes(node, &["AttributeId"], &["Category", "Issuer"])?;
        Ok(AssignmentExpression {
            line: self.lines.line(node),
            id: self.attribute(node, "AttributeId")?,
            category: node.attribute("Category").map(str::to_owned),
            issuer: node.attribute("Issuer").map(str::to_owned),
            expression: self.only_expression(node)?,
        })
    }

    /// The one expression inside.
    pub(super) fn only_expression(&self, node: Node<'_, '_>) -> Result<Expression> {
        let mut children = elements(node);
        match (children.next(), children.next()) {
            (Some(child), None) => self.expression(child),
            _ => {
                let message = format!("`{}` has one expression inside", node.tag_name().name());
                Err(self.refuse(node, "expression_count", message, "write exactly one"))
            }
        }
    }

    fn expression(&self, node: Node<'_, '_>) -> Result<Expression> {
        let line = self.lines.line(node);
        Ok(match self.name(node)? {
            "Apply" => {
                self.attributes(node, &["FunctionId"], &[])?;
                let (mut description, mut arguments) = (None, Vec::new());
                for (at, child) in elements(node).enumerate() {
                    if at == 0 && self.name(child)? == "Description" {
                        description = Some(self.lines.line(child));
                    } else {
                        arguments.push(self.expression(child)?);
                    }
                }
                Expression::Apply(Apply { line, function: self.attribute(node, "FunctionId")?, description, arguments })
            }
            "AttributeValue" => {
                self.attributes(node, &["DataType"], &["XPathCategory"])?;
                if let Some(child) = elements(node).next() {
                    return Err(self.unexpected(child));
                }
                let data_type = self.attribute(node, "DataType")?;
                Expression::Literal(Literal { line, data_type, text: xml::text(node) })
            }
            "AttributeDesignator" => {
                self.empty(node)?;
                self.attributes(node, &["Category", "AttributeId", "DataType", "MustBePresent"], &["Issuer"])?;
                let must_be_present = self.attribute(node, "MustBePresent")?;
                Expression::Attribute(Attribute::Designator(Designator {
                    line,
                    category: self.attribute(node, "Category")?,
                    id: self.attribute(node, "AttributeId")?,
                    data_type: self.attribute(node, "DataType")?,
                    issuer: node.attribute("Issuer").map(str::to_owned),
                    must_be_present: xml::boolean(&must_be_present).ok_or_else(|| {
                        let message = format!("`MustBePresent` is `{must_be_present}`");
                        self.refuse(node, "must_be_present", message, "write `true` or `false`")
                    })?,
                }))
            }
            "AttributeSelector" => {
                self.empty(node)?;
                let required = ["Category", "Path", "DataType", "MustBePresent"];
                self.attributes(node, &required, &["ContextSelectorId"])?;
                Expression::Attribute(Attribute::Selector(Selector {
                    line,
                    category: self.attribute(node, "Category")?,
                    path: self.attribute(node, "Path")?,
                }))
            }
            "VariableReference" => {
                self.empty(node)?;
                self.attributes(node, &["VariableId"], &[])?;
                Expression::Variable(VariableReference { line, id: self.attribute(node, "VariableId")? })
            }
            "Function" => {
                self.empty(node)?;
                self.attributes(node, &["FunctionId"], &[])?;
                Expression::Function(FunctionReference { line, id: self.attribute(node, "FunctionId")? })
            }
            _ => return Err(self.unexpected(node)),
        })
    }

    fn empty(&self, node: Node<'_, '_>) -> Result<()> {
        elements(node).next().map_or(Ok(()), |child| Err(self.unexpected(child)))
    }
}
