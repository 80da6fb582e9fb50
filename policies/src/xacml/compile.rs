//! The tree of a policy, with all it refers to, to a [`Program`] as the standard means it.
//!
//! Everything is checked here, so that nothing is left to find while deciding: identifiers, types, values, variables,
//! references. What is not known is refused with file, line and cure. The program is not run as it is: [`super::image`]
//! writes it, and makes ready what it reads.

mod expression;

use std::collections::{BTreeMap, BTreeSet};

use super::PolicyError;
use super::ast::{
    AnyOf, AssignmentExpression, Match, NoticeExpression, Policy, PolicyChild, PolicyDocument, PolicyElement,
    PolicyReference, PolicySet, Rule, Target, VariableDefinition, Version,
};
use super::combine::Algorithm;
use super::functions::{Function, Type};
use super::program::{self, Program, Span, append, position};
use super::value::DataType;

type Result<T> = std::result::Result<T, PolicyError>;

/// Deepest nesting of policy sets, through references too.
pub(crate) const POLICY_DEPTH_MAX: usize = 32;

/// Compiles a document; `others` are what it may refer to.
pub(crate) fn compile(root: &PolicyDocument, others: &[PolicyDocument]) -> Result<Program> {
    let documents = library(root, others)?;
    let mut compiler = Compiler {
        documents,
        compiled: BTreeMap::new(),
        program: Program::default(),
        designators: BTreeMap::new(),
        literals: BTreeMap::new(),
        elements: BTreeMap::new(),
        file: "",
        variables: BTreeMap::new(),
    };
    compiler.document(0, &mut Vec::new())?;
    Ok(compiler.program)
}

struct Compiler<'a> {
    /// The root first, then what may be referred to.
    documents: Vec<&'a PolicyDocument>,
    /// Nodes of the documents that are compiled.
    compiled: BTreeMap<usize, u32>,
    program: Program,
    /// Positions of the program's designators, so that each is there once.
    designators: BTreeMap<program::Designator, u32>,
    /// Positions of the program's literals by type and text, so that each is there once.
    literals: BTreeMap<(DataType, String), u32>,
    /// Policies and sets met so far, wherever they stand, with file and line: no two may have the same id and version.
    elements: BTreeMap<(bool, &'a str, &'a Version), (&'a str, u32)>,
    /// The file that is being compiled.
    file: &'a str,
    /// Variables of the policy that is being compiled, with their types.
    variables: BTreeMap<&'a str, (u32, Type)>,
}

/// Where in the nesting of documents and sets the compiler is.
type Path = Vec<Place>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Document(usize),
    Set,
}

/// Every document once. Two that are not the same may not have the same identifier and version.
fn library<'a>(root: &'a PolicyDocument, others: &'a [PolicyDocument]) -> Result<Vec<&'a PolicyDocument>> {
    let mut documents = vec![root];
    let mut known = BTreeMap::from([((root.root.is_set(), root.root.id(), root.root.version()), root)]);
    for other in others {
        let element = &other.root;
        match known.insert((element.is_set(), element.id(), element.version()), other) {
            None => documents.push(other),
            Some(first) if first.root == *element => {}
            Some(first) => {
                let message = format!(
                    "`{}` version {} is also in `{}`, line {}",
                    element.id(),
                    element.version(),
                    first.file,
                    first.root.line()
                );
                return Err(PolicyError {
                    file: other.file.clone(),
                    line: element.line(),
                    code: "policy_id_twice",
                    message,
                    cure: "give it another id or version",
                });
            }
        }
    }
    Ok(documents)
}

impl<'a> Compiler<'a> {
    /// Compiles a document, once.
    fn document(&mut self, index: usize, path: &mut Path) -> Result<u32> {
        if let Some(node) = self.compiled.get(&index) {
            return Ok(*node);
        }
        let Some(document) = self.documents.get(index).copied() else {
            return Err(self.refuse(0, "reference_unknown", "a reference leads nowhere", "add the policy"));
        };
        let outer = std::mem::replace(&mut self.file, &document.file);
        path.push(Place::Document(index));
        let node = self.element(&document.root, path)?;
        path.pop();
        self.file = outer;
        self.compiled.insert(index, node);
        Ok(node)
    }

    fn element(&mut self, element: &'a PolicyElement, path: &mut Path) -> Result<u32> {
        let place = (self.file, element.line());
        if let Some((file, line)) = self.elements.insert((element.is_set(), element.id(), element.version()), place) {
            let message = format!("`{}` version {} is also in `{file}`, line {line}", element.id(), element.version());
            return Err(self.refuse(element.line(), "policy_id_twice", message, "give it another id or version"));
        }
        match element {
            PolicyElement::Policy(policy) => self.policy(policy),
            PolicyElement::PolicySet(set) => self.policy_set(set, path),
        }
    }

    fn policy_set(&mut self, set: &'a PolicySet, path: &mut Path) -> Result<u32> {
        path.push(Place::Set);
        if path.iter().filter(|place| **place == Place::Set).count() > POLICY_DEPTH_MAX {
            let message = format!("policy sets are nested deeper than {POLICY_DEPTH_MAX}");
            return Err(self.refuse(set.line, "policy_too_deep", message, "flatten them"));
        }
        let algorithm = self.algorithm(set.line, &set.algorithm, true)?;
        let target = self.target(&set.target)?;
        let mut children = Vec::new();
        for child in &set.children {
            children.push(match child {
                PolicyChild::Element(element) => self.element(element, path)?,
                PolicyChild::Reference(reference) => {
                    let index = self.resolve(reference)?;
                    if path.contains(&Place::Document(index)) {
                        let message = format!("`{}` refers back to itself", reference.id);
                        return Err(self.refuse(reference.line, "reference_cycle", message, "break the circle"));
                    }
                    self.document(index, path)?
                }
            });
        }
        path.pop();
        let notices = self.notices(&set.notices)?;
        let children = append(&mut self.program.children, children);
        Ok(self.node(program::Node {
            is_set: true,
            id: set.id.as_str().into(),
            version: set.version.to_string().into(),
            algorithm,
            target,
            children,
            notices,
        }))
    }

    fn policy(&mut self, policy: &'a Policy) -> Result<u32> {
        let algorithm = self.algorithm(policy.line, &policy.algorithm, false)?;
        self.variables(&policy.variables)?;
        let target = self.target(&policy.target)?;
        let mut ids = BTreeMap::new();
        let mut rules = Vec::new();
        for rule in &policy.rules {
            if let Some(first) = ids.insert(rule.id.as_str(), rule.line) {
                let message = format!("the rule on line {first} has the id `{}`, too", rule.id);
                return Err(self.refuse(rule.line, "rule_id_twice", message, "give it an id of its own"));
            }
            rules.push(self.rule(rule)?);
        }
        let notices = self.notices(&policy.notices)?;
        let children = append(&mut self.program.rules, rules);
        self.variables.clear();
        Ok(self.node(program::Node {
            is_set: false,
            id: policy.id.as_str().into(),
            version: policy.version.to_string().into(),
            algorithm,
            target,
            children,
            notices,
        }))
    }

    /// The latest version that a reference allows.
    fn resolve(&self, reference: &PolicyReference) -> Result<usize> {
        let candidates = self.documents.iter().enumerate().filter(|(_, document)| {
            let (element, version) = (&document.root, document.root.version());
            element.is_set() == reference.to_set
                && element.id() == reference.id
                && reference.version.as_ref().is_none_or(|pattern| pattern.matches(version))
                && reference.earliest.as_ref().is_none_or(|pattern| pattern.is_up_to(version))
                && reference.latest.as_ref().is_none_or(|pattern| pattern.is_from(version))
        });
        candidates.max_by_key(|(_, document)| document.root.version()).map(|(index, _)| index).ok_or_else(|| {
            let kind = if reference.to_set { "policy set" } else { "policy" };
            let message = format!("there is no {kind} `{}` in a version that the reference allows", reference.id);
            self.refuse(reference.line, "reference_unknown", message, "add the policy, or correct the reference")
        })
    }

    fn rule(&mut self, rule: &'a Rule) -> Result<program::Rule> {
        let target = self.target(&rule.target)?;
        let condition = match &rule.condition {
            None => None,
            Some(expression) => {
                let (code, kind) = self.block(expression)?;
                if kind != Type::One(DataType::Boolean) {
                    let message = format!("the condition is a {kind}");
                    return Err(self.refuse(
                        expression.line(),
                        "condition_type",
                        message,
                        "write one that is true or false",
                    ));
                }
                Some(code)
            }
        };
        Ok(program::Rule { effect: rule.effect, target, condition, notices: self.notices(&rule.notices)? })
    }

    /// Compiles the variables of a policy, each after those it uses.
    fn variables(&mut self, definitions: &'a [VariableDefinition]) -> Result<()> {
        self.variables.clear();
        let mut by_id = BTreeMap::new();
        for definition in definitions {
            if by_id.insert(definition.id.as_str(), definition).is_some() {
                let message = format!("a second variable `{}`", definition.id);
                return Err(self.refuse(definition.line, "variable_id_twice", message, "give it another id"));
            }
        }
        for definition in self.in_order(definitions, &by_id)? {
            let (code, kind) = self.block(&definition.expression)?;
            let index = position(self.program.variables.len());
            self.program.variables.push(code);
            self.variables.insert(&definition.id, (index, kind));
        }
        Ok(())
    }

    /// The definitions, each after those it uses. Ids that are defined nowhere are refused where they are used.
    fn in_order(
        &self,
        definitions: &'a [VariableDefinition],
        by_id: &BTreeMap<&str, &'a VariableDefinition>,
    ) -> Result<Vec<&'a VariableDefinition>> {
        let mut ordered = Vec::new();
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for definition in definitions {
            // Definitions begun, each with what it uses and is not done.
            let mut begun = vec![(definition, expression::variables_of(&definition.expression))];
            let mut open = BTreeSet::from([definition.id.as_str()]);
            while let Some((current, uses)) = begun.last_mut() {
                match uses.pop_first().map(|id| (id, by_id.get(id).copied())) {
                    Some((id, _)) if open.contains(id) => {
                        let message = format!("variable `{id}` depends on itself");
                        return Err(self.refuse(current.line, "variable_cycle", message, "break the circle"));
                    }
                    Some((id, Some(next))) if !done.contains(id) => {
                        open.insert(id);
                        begun.push((next, expression::variables_of(&next.expression)));
                    }
                    Some(_) => {}
                    None => {
                        if done.insert(&current.id) {
                            ordered.push(*current);
                        }
                        open.remove(current.id.as_str());
                        begun.pop();
                    }
                }
            }
        }
        Ok(ordered)
    }

    fn target(&mut self, Target(any_ofs): &Target) -> Result<Span> {
        let mut spans = Vec::new();
        for AnyOf(all_ofs) in any_ofs {
            let mut spans_of_matches = Vec::new();
            for all_of in all_ofs {
                let matches = all_of.0.iter().map(|one| self.matching(one)).collect::<Result<Vec<_>>>()?;
                spans_of_matches.push(append(&mut self.program.matches, matches));
            }
            spans.push(append(&mut self.program.all_ofs, spans_of_matches));
        }
        Ok(append(&mut self.program.any_ofs, spans))
    }

    fn matching(&mut self, one: &Match) -> Result<program::Match> {
        let function =
            Function::from_uri(&one.function).ok_or_else(|| self.unknown_function(one.line, &one.function))?;
        let (literal, literal_type) = self.literal(&one.literal)?;
        let (designator, data_type) = self.designator(&one.attribute)?;
        let signature = function.signature();
        if signature.returns != Type::One(DataType::Boolean)
            || signature.misfit(&[Type::One(literal_type), Type::One(data_type)]).is_some()
        {
            let message = format!("`{}` does not compare a {literal_type} with a {data_type}", one.function);
            return Err(self.refuse(one.line, "match_type", message, "use a match function of both types"));
        }
        self.check_pattern(function, literal, one.line)?;
        Ok(program::Match { function, literal, designator })
    }

    fn notices(&mut self, notices: &'a [NoticeExpression]) -> Result<Span> {
        let mut compiled = Vec::new();
        for notice in notices {
            let assignments = notice.assignments.iter().map(|one| self.assignment(one)).collect::<Result<Vec<_>>>()?;
            let assignments = append(&mut self.program.assignments, assignments);
            compiled.push(program::Notice {
                kind: notice.kind,
                id: notice.id.as_str().into(),
                effect: notice.effect,
                assignments,
            });
        }
        Ok(append(&mut self.program.notices, compiled))
    }

    fn assignment(&mut self, assignment: &'a AssignmentExpression) -> Result<program::Assignment> {
        let (value, _) = self.block(&assignment.expression)?;
        let AssignmentExpression { id, category, issuer, .. } = assignment;
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        Ok(program::Assignment { id: id.as_str().into(), category: text(category), issuer: text(issuer), value })
    }

    fn algorithm(&self, line: u32, uri: &str, for_set: bool) -> Result<Algorithm> {
        Algorithm::from_uri(uri, for_set).ok_or_else(|| {
            let of = if for_set { "policies" } else { "rules" };
            let message = format!("`{uri}` is no combining algorithm of {of}");
            self.refuse(line, "algorithm_unknown", message, "use one of XACML 3.0, appendix C")
        })
    }

    fn node(&mut self, node: program::Node) -> u32 {
        self.program.nodes.push(node);
        position(self.program.nodes.len()).saturating_sub(1)
    }

    fn unknown_function(&self, line: u32, uri: &str) -> PolicyError {
        let message = format!("`{uri}` is no function that is supported");
        self.refuse(line, "function_unknown", message, "use one of XACML 3.0, appendix A.3")
    }

    fn refuse(&self, line: u32, code: &'static str, message: impl Into<String>, cure: &'static str) -> PolicyError {
        PolicyError { file: self.file.to_owned(), line, code, message: message.into(), cure }
    }
}
