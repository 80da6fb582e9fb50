//! The answer to a decision request. How it is written is for [`super::json_profile`] and [`super::xml_context`].

use super::request::Category;

/// One result for every decision asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// In the order asked.
    pub results: Vec<DecisionResult>,
}

/// One decision with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionResult {
    /// The decision.
    pub decision: Decision,
    /// Whether something went wrong, and what.
    pub status: Status,
    /// What must be done with it; who does not understand one must refuse.
    pub obligations: Vec<Notice>,
    /// What may be done with it.
    pub advice: Vec<Notice>,
    /// Attributes that the request wanted repeated.
    pub categories: Vec<Category>,
    /// Policies that applied, if the request wanted them.
    pub policies: Vec<PolicyIdentifier>,
}

/// A decision of XACML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in XACML")]
pub enum Decision {
    Permit,
    Deny,
    NotApplicable,
    Indeterminate,
}

/// Status of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: StatusCode,
    /// What happened, for people.
    pub message: Option<String>,
    /// The attribute that was not there, if that is why.
    pub missing: Option<Box<MissingAttribute>>,
}

/// Status codes of XACML (appendix B.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in XACML")]
pub enum StatusCode {
    Ok,
    MissingAttribute,
    SyntaxError,
    ProcessingError,
}

/// An attribute that a policy needs and the request does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingAttribute {
    /// Its category.
    pub category: String,
    /// Its id.
    pub id: String,
    /// Identifier of its type.
    pub data_type: String,
    /// Its issuer, if it must have one.
    pub issuer: Option<String>,
}

/// An obligation or advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// What it says.
    pub assignments: Vec<Assignment>,
}

/// One attribute of an obligation or advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// `AttributeId`
    pub id: String,
    /// `Category`
    pub category: Option<String>,
    /// `Issuer`
    pub issuer: Option<String>,
    /// Identifier of the value's type.
    pub data_type: String,
    /// The value as text.
    pub value: String,
}

/// A policy or policy set that applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyIdentifier {
    /// Whether it is a set.
    pub is_set: bool,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
}

impl Response {
    /// The answer to a request that cannot be decided: one Indeterminate.
    pub fn indeterminate(code: StatusCode, message: impl Into<String>) -> Self {
        Self { results: vec![DecisionResult::indeterminate(code, message)] }
    }
}

impl DecisionResult {
    /// An Indeterminate with nothing else.
    pub fn indeterminate(code: StatusCode, message: impl Into<String>) -> Self {
        let status = Status { code, message: Some(message.into()), missing: None };
        Self { status, ..Self::plain(Decision::Indeterminate) }
    }

    /// A decision with status ok and nothing else.
    pub(crate) fn plain(decision: Decision) -> Self {
        Self {
            decision,
            status: Status { code: StatusCode::Ok, message: None, missing: None },
            obligations: Vec::new(),
            advice: Vec::new(),
            categories: Vec::new(),
            policies: Vec::new(),
        }
    }
}

impl Decision {
    const ALL: [Self; 4] = [Self::Permit, Self::Deny, Self::NotApplicable, Self::Indeterminate];

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }

    /// As XACML writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "Permit",
            Self::Deny => "Deny",
            Self::NotApplicable => "NotApplicable",
            Self::Indeterminate => "Indeterminate",
        }
    }
}

impl StatusCode {
    const ALL: [Self; 4] = [Self::Ok, Self::MissingAttribute, Self::SyntaxError, Self::ProcessingError];

    /// The code with this URN.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.uri() == uri)
    }

    /// Its URN.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Ok => "urn:oasis:names:tc:xacml:1.0:status:ok",
            Self::MissingAttribute => "urn:oasis:names:tc:xacml:1.0:status:missing-attribute",
            Self::SyntaxError => "urn:oasis:names:tc:xacml:1.0:status:syntax-error",
            Self::ProcessingError => "urn:oasis:names:tc:xacml:1.0:status:processing-error",
        }
    }
}
