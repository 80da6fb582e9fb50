//! Expressions to code, with their types. Recursion is bounded by the depth of the XML.

use std::collections::BTreeSet;

use super::{Compiler, Result};
use crate::xacml::ast::{Apply, Attribute, Expression, Literal};
use crate::xacml::functions::{Function, HigherOrder, Pattern, Type};
use crate::xacml::program::{self, Designator, Instruction, Span, append, position};
use crate::xacml::value::{DataType, Value};

impl<'a> Compiler<'a> {
    /// Compiles an expression that stands alone.
    pub(super) fn block(&mut self, expression: &'a Expression) -> Result<(Span, Type)> {
        let mut code = Vec::new();
        let kind = self.expression(expression, &mut code)?;
        Ok((append(&mut self.program.code, code), kind))
    }

    fn expression(&mut self, expression: &'a Expression, code: &mut Vec<Instruction>) -> Result<Type> {
        match expression {
            Expression::Literal(literal) => {
                let (index, data_type) = self.literal(literal)?;
                code.push(Instruction::Literal(index));
                Ok(Type::One(data_type))
            }
            Expression::Attribute(attribute) => {
                let (index, data_type) = self.designator(attribute)?;
                code.push(Instruction::Attribute(index));
                Ok(Type::Bag(data_type))
            }
            Expression::Variable(variable) => {
                let (index, kind) = self.variables.get(variable.id.as_str()).copied().ok_or_else(|| {
                    let message = format!("there is no variable `{}` in this policy", variable.id);
                    self.refuse(variable.line, "variable_unknown", message, "define it, or correct its id")
                })?;
                code.push(Instruction::Variable(index));
                Ok(kind)
            }
            Expression::Apply(apply) => match HigherOrder::from_uri(&apply.function) {
                Some(kind) => self.call_over(kind, apply, code),
                None => self.call(apply, code),
            },
            Expression::Function(function) => {
                let message = "a `Function` stands only first in a higher-order function";
                Err(self.refuse(function.line, "function_place", message, "apply it instead"))
            }
        }
    }

    fn call(&mut self, apply: &'a Apply, code: &mut Vec<Instruction>) -> Result<Type> {
        let function =
            Function::from_uri(&apply.function).ok_or_else(|| self.unknown_function(apply.line, &apply.function))?;
        let mut types = Vec::new();
        for argument in &apply.arguments {
            types.push(self.expression(argument, code)?);
        }
        let signature = function.signature();
        if let Some((at, expected)) = signature.misfit(&types) {
            return Err(self.misfit(apply, at, &expected, &types));
        }
        self.check_literals(function, apply)?;
        code.push(Instruction::Call { function, arguments: position(types.len()) });
        Ok(signature.returns)
    }

    fn call_over(&mut self, kind: HigherOrder, apply: &'a Apply, code: &mut Vec<Instruction>) -> Result<Type> {
        let Some((Expression::Function(inner), arguments)) = apply.arguments.split_first() else {
            let message = format!("`{}` does not begin with a `Function`", apply.function);
            return Err(self.refuse(apply.line, "function_missing", message, "say which function it applies"));
        };
        let function = Function::from_uri(&inner.id).ok_or_else(|| self.unknown_function(inner.line, &inner.id))?;
        let mut types = Vec::new();
        for argument in arguments {
            types.push(self.expression(argument, code)?);
        }
        let returns = kind.returns(&function.signature(), &types).map_err(|what| {
            let message = format!("`{}` {what}", apply.function);
            self.refuse(apply.line, "argument_type", message, "correct the arguments or the function")
        })?;
        code.push(Instruction::CallOver { kind, function, arguments: position(types.len()) });
        Ok(returns)
    }

    pub(super) fn literal(&mut self, literal: &Literal) -> Result<(u32, DataType)> {
        let data_type = self.data_type(literal.line, &literal.data_type)?;
        let value = Value::parse(data_type, &literal.text).map_err(|error| {
            self.refuse(literal.line, "value_invalid", error.to_string(), "correct the value or its type")
        })?;
        let next = position(self.program.literals.len());
        let index = *self.literals.entry((data_type, value.to_string())).or_insert(next);
        if index == next {
            self.program.literals.push(program::Literal { value, pattern: None });
        }
        Ok((index, data_type))
    }

    pub(super) fn designator(&mut self, attribute: &Attribute) -> Result<(u32, DataType)> {
        let designator = match attribute {
            Attribute::Designator(designator) => designator,
            Attribute::Selector(selector) => {
                let message = "`AttributeSelector` is an optional feature that is not supported";
                return Err(self.refuse(selector.line, "feature_unsupported", message, "use an `AttributeDesignator`"));
            }
        };
        let data_type = self.data_type(designator.line, &designator.data_type)?;
        let designator = Designator {
            category: designator.category.as_str().into(),
            id: designator.id.as_str().into(),
            data_type,
            issuer: designator.issuer.as_deref().map(Into::into),
            must_be_present: designator.must_be_present,
        };
        let next = position(self.program.designators.len());
        let index = *self.designators.entry(designator.clone()).or_insert(next);
        if index == next {
            self.program.designators.push(designator);
        }
        Ok((index, data_type))
    }

    fn data_type(&self, line: u32, uri: &str) -> Result<DataType> {
        DataType::from_uri(uri).ok_or_else(|| {
            let message = format!("`{uri}` is no data type that is supported");
            self.refuse(line, "data_type_unknown", message, "use one of XACML 3.0, appendix B.3, but xpathExpression")
        })
    }

    /// What can be seen to be wrong in literal arguments without any request.
    fn check_literals(&self, function: Function, apply: &Apply) -> Result<()> {
        let literal = |at: usize| match apply.arguments.get(at) {
            Some(Expression::Literal(literal)) => Some(literal),
            _ => None,
        };
        match function {
            Function::RegexpMatch(_) => match literal(0) {
                Some(pattern) => self.check_pattern_text(&pattern.text, pattern.line),
                None => Ok(()),
            },
            Function::Substring(_) => {
                let index = |at| literal(at).and_then(|literal| literal.text.trim().parse::<i128>().ok());
                let (from, to) = (index(1), index(2));
                let is_wrong = from.is_some_and(|from| from < 0)
                    || to.is_some_and(|to| to < -1)
                    || matches!((from, to), (Some(from), Some(to)) if to != -1 && from > to);
                if is_wrong {
                    let message = "a substring begins at 0 or later and ends where it begins or later";
                    return Err(self.refuse(
                        apply.line,
                        "argument_value",
                        message,
                        "correct the positions; -1 as the second is the end",
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_pattern(&self, function: Function, literal: u32, line: u32) -> Result<()> {
        let index = usize::try_from(literal).unwrap_or(usize::MAX);
        match (function, self.program.literals.get(index).map(|literal| &literal.value)) {
            (Function::RegexpMatch(_), Some(Value::String(pattern))) => self.check_pattern_text(pattern, line),
            _ => Ok(()),
        }
    }

    fn check_pattern_text(&self, pattern: &str, line: u32) -> Result<()> {
        let cure = "use what XPath 2.0 has, without back references";
        Pattern::read(pattern).map(drop).map_err(|message| self.refuse(line, "pattern_invalid", message, cure))
    }

    fn misfit(&self, apply: &Apply, at: usize, expected: &str, given: &[Type]) -> super::PolicyError {
        let function = &apply.function;
        let argument = at.checked_sub(1).and_then(|index| apply.arguments.get(index).zip(given.get(index)));
        match argument {
            Some((argument, kind)) => {
                let message = format!("argument {at} of `{function}` is a {kind}, not a {expected}");
                self.refuse(
                    argument.line(),
                    "argument_type",
                    message,
                    "correct the argument or the function; `one-and-only` takes a value out of a bag",
                )
            }
            None => {
                let message = format!("`{function}` takes {expected} arguments, not {}", given.len());
                self.refuse(apply.line, "argument_count", message, "correct the arguments")
            }
        }
    }
}

/// Ids of the variables that an expression uses itself.
pub(super) fn variables_of(expression: &Expression) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![expression];
    while let Some(expression) = waiting.pop() {
        match expression {
            Expression::Variable(variable) => {
                found.insert(variable.id.as_str());
            }
            Expression::Apply(apply) => waiting.extend(&apply.arguments),
            _ => {}
        }
    }
    found
}
