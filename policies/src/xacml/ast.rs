//! A policy as it is written, with the line of every part: what [`super::parse`] gives and `super::compile` takes.
//!
//! Structure only. Functions, data types and algorithms are still the identifiers that stand in the XML: what they mean,
//! and whether they are known, depends on the semantics it is compiled for.

/// A file: one policy or one policy set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    /// Name of the file, for messages.
    pub file: String,
    /// What is in it.
    pub root: PolicyElement,
}

/// A policy or a policy set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyElement {
    /// `Policy`
    Policy(Policy),
    /// `PolicySet`
    PolicySet(PolicySet),
}

/// `Policy`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Line in the file, from 1.
    pub line: u32,
    /// `PolicyId`
    pub id: String,
    /// `Version`
    pub version: Version,
    /// `RuleCombiningAlgId`
    pub algorithm: String,
    /// `Description`
    pub description: Option<String>,
    /// `Target`
    pub target: Target,
    /// `VariableDefinition`
    pub variables: Vec<VariableDefinition>,
    /// `Rule`
    pub rules: Vec<Rule>,
    /// `ObligationExpression` and `AdviceExpression`
    pub notices: Vec<NoticeExpression>,
}

/// `PolicySet`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    /// Line in the file, from 1.
    pub line: u32,
    /// `PolicySetId`
    pub id: String,
    /// `Version`
    pub version: Version,
    /// `PolicyCombiningAlgId`
    pub algorithm: String,
    /// `Description`
    pub description: Option<String>,
    /// `Target`
    pub target: Target,
    /// Policies, sets and references, in order.
    pub children: Vec<PolicyChild>,
    /// `ObligationExpression` and `AdviceExpression`
    pub notices: Vec<NoticeExpression>,
}

/// What a policy set holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyChild {
    /// A policy or set that stands inside.
    Element(PolicyElement),
    /// A policy or set that stands elsewhere.
    Reference(PolicyReference),
}

/// `PolicyIdReference` or `PolicySetIdReference`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyReference {
    /// Line in the file, from 1.
    pub line: u32,
    /// Whether it names a set.
    pub to_set: bool,
    /// The identifier.
    pub id: String,
    /// `Version`
    pub version: Option<VersionPattern>,
    /// `EarliestVersion`
    pub earliest: Option<VersionPattern>,
    /// `LatestVersion`
    pub latest: Option<VersionPattern>,
}

/// Numbers between dots; a later number counts less.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

/// A version in which `*` is any number and `+` any numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPattern(Vec<VersionPart>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VersionPart {
    Number(u64),
    Any,
    Rest,
}

/// `Rule`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Line in the file, from 1.
    pub line: u32,
    /// `RuleId`
    pub id: String,
    /// `Effect`
    pub effect: Effect,
    /// `Description`
    pub description: Option<String>,
    /// `Target`; empty when the rule has none.
    pub target: Target,
    /// `Condition`
    pub condition: Option<Expression>,
    /// `ObligationExpression` and `AdviceExpression`
    pub notices: Vec<NoticeExpression>,
}

/// What a rule says when it applies, and what an obligation goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in XACML")]
pub enum Effect {
    Permit,
    Deny,
}

/// `Target`: every one must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target(pub Vec<AnyOf>);

/// `AnyOf`: one must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyOf(pub Vec<AllOf>);

/// `AllOf`: every one must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllOf(pub Vec<Match>);

/// `Match`: the function holds between the literal and some value of the attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Line in the file, from 1.
    pub line: u32,
    /// `MatchId`
    pub function: String,
    /// `AttributeValue`
    pub literal: Literal,
    /// Where its values are.
    pub attribute: Attribute,
}

/// Where an expression takes values of the request from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// `AttributeDesignator`
    Designator(Designator),
    /// `AttributeSelector`: an optional feature that is never evaluated.
    Selector(Selector),
}

/// `AttributeValue`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Line in the file, from 1.
    pub line: u32,
    /// `DataType`
    pub data_type: String,
    /// The text as written.
    pub text: String,
}

/// `AttributeDesignator`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Designator {
    /// Line in the file, from 1.
    pub line: u32,
    /// `Category`
    pub category: String,
    /// `AttributeId`
    pub id: String,
    /// `DataType`
    pub data_type: String,
    /// `Issuer`
    pub issuer: Option<String>,
    /// `MustBePresent`
    pub must_be_present: bool,
}

/// `AttributeSelector`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Line in the file, from 1.
    pub line: u32,
    /// `Category`
    pub category: String,
    /// `Path`
    pub path: String,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// `Apply`
    Apply(Apply),
    /// `AttributeValue`
    Literal(Literal),
    /// `AttributeDesignator` or `AttributeSelector`
    Attribute(Attribute),
    /// `VariableReference`
    Variable(VariableReference),
    /// `Function`
    Function(FunctionReference),
}

/// `Apply`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// Line in the file, from 1.
    pub line: u32,
    /// `FunctionId`
    pub function: String,
    /// Line of its `Description`.
    pub description: Option<u32>,
    /// What it is applied to.
    pub arguments: Vec<Expression>,
}

/// `VariableReference`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableReference {
    /// Line in the file, from 1.
    pub line: u32,
    /// `VariableId`
    pub id: String,
}

/// `Function`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionReference {
    /// Line in the file, from 1.
    pub line: u32,
    /// `FunctionId`
    pub id: String,
}

/// `VariableDefinition`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableDefinition {
    /// Line in the file, from 1.
    pub line: u32,
    /// `VariableId`
    pub id: String,
    /// What it stands for.
    pub expression: Expression,
}

/// Whether a notice must be understood by who enforces the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// It must.
    Obligation,
    /// It may be left.
    Advice,
}

/// `ObligationExpression` or `AdviceExpression`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeExpression {
    /// Line in the file, from 1.
    pub line: u32,
    /// Which of the two.
    pub kind: NoticeKind,
    /// `ObligationId` or `AdviceId`
    pub id: String,
    /// `FulfillOn` or `AppliesTo`
    pub effect: Effect,
    /// `AttributeAssignmentExpression`
    pub assignments: Vec<AssignmentExpression>,
}

/// `AttributeAssignmentExpression`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentExpression {
    /// Line in the file, from 1.
    pub line: u32,
    /// `AttributeId`
    pub id: String,
    /// `Category`
    pub category: Option<String>,
    /// `Issuer`
    pub issuer: Option<String>,
    /// What is assigned: one value, or an assignment for each of a bag.
    pub expression: Expression,
}

impl PolicyElement {
    /// Its identifier.
    pub fn id(&self) -> &str {
        match self {
            Self::Policy(policy) => &policy.id,
            Self::PolicySet(set) => &set.id,
        }
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        match self {
            Self::Policy(policy) => &policy.version,
            Self::PolicySet(set) => &set.version,
        }
    }

    /// Whether it is a set.
    pub fn is_set(&self) -> bool {
        matches!(self, Self::PolicySet(_))
    }

    /// Its line.
    pub fn line(&self) -> u32 {
        match self {
            Self::Policy(policy) => policy.line,
            Self::PolicySet(set) => set.line,
        }
    }
}

impl Expression {
    /// Its line.
    pub fn line(&self) -> u32 {
        match self {
            Self::Apply(apply) => apply.line,
            Self::Literal(literal) => literal.line,
            Self::Attribute(Attribute::Designator(designator)) => designator.line,
            Self::Attribute(Attribute::Selector(selector)) => selector.line,
            Self::Variable(variable) => variable.line,
            Self::Function(function) => function.line,
        }
    }
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.trim().split('.').map(read_number).collect::<Option<_>>().map(Self)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u64::to_string).collect();
        formatter.write_str(&numbers.join("."))
    }
}

impl VersionPattern {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let part = |part| match part {
            "*" => Some(VersionPart::Any),
            "+" => Some(VersionPart::Rest),
            number => read_number(number).map(VersionPart::Number),
        };
        text.trim().split('.').map(part).collect::<Option<_>>().map(Self)
    }

    /// Whether it stands for this version; `+` stands for no number, too.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.against(version) == Against::Equal
    }

    /// Whether the version is this one or later.
    pub(crate) fn is_up_to(&self, version: &Version) -> bool {
        matches!(self.against(version), Against::Equal | Against::Later)
    }

    /// Whether the version is this one or earlier.
    pub(crate) fn is_from(&self, version: &Version) -> bool {
        matches!(self.against(version), Against::Equal | Against::Earlier)
    }

    /// Where the version is, number by number.
    fn against(&self, version: &Version) -> Against {
        let mut numbers = version.0.iter();
        for part in &self.0 {
            match (part, numbers.next()) {
                (VersionPart::Rest, _) => return Against::Equal,
                (_, None) => return Against::Earlier,
                (VersionPart::Any, Some(_)) => {}
                (VersionPart::Number(wanted), Some(number)) if number < wanted => return Against::Earlier,
                (VersionPart::Number(wanted), Some(number)) if number > wanted => return Against::Later,
                (VersionPart::Number(_), Some(_)) => {}
            }
        }
        if numbers.next().is_none() { Against::Equal } else { Against::Later }
    }
}

/// Where a version is, seen from a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Earlier,
    Equal,
    Later,
}

fn read_number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("1.9") < version("1.10"));
        assert!(version("1") < version("1.0"));
        assert_eq!(version("1.02").to_string(), "1.2");
        for wrong in ["", "1.", ".1", "a", "1.*", "-1", "99999999999999999999"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn patterns_stand_for_versions() {
        for (pattern, version, matches) in [
            ("1.2", "1.2", true),
            ("1.2", "1.2.0", false),
            ("1.*", "1.7", true),
            ("1.*", "1.7.1", false),
            ("1.+", "1.7.1", true),
            ("1.+", "2", false),
            ("*", "4", true),
            ("+", "4.5.6", true),
        ] {
            let found = VersionPattern::parse(pattern).unwrap().matches(&Version::parse(version).unwrap());
            assert_eq!(found, matches, "{pattern} {version}");
        }
        let pattern = VersionPattern::parse("1.5").unwrap();
        assert!(
            pattern.is_up_to(&Version::parse("1.6").unwrap()) && !pattern.is_up_to(&Version::parse("1.4").unwrap())
        );
        assert!(pattern.is_from(&Version::parse("1.4").unwrap()) && !pattern.is_from(&Version::parse("1.6").unwrap()));
    }
}
