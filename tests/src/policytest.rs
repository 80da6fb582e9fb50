//! `policytest`: what platform teams ask of a policy before it ships. `lint` finds what is not meant as it is written.
//!
//! The findings are those of `policies::xacml::lint`; here are only files, the catalogue of names, and how findings are
//! printed: as text for people, as JSON for programs.

mod catalogue;
mod text;

use std::path::PathBuf;

use anyhow::{Context, Result};
use policies::id::ResourceId;
use policies::xacml::lint::{Finding, LintCatalogue, Severity, lint};
use policies::xacml::{GeneralReason, ResourcePolicy, RightsForm, Semantics, parse};
use serde_json::{Value, json};

pub use catalogue::read as read_catalogue;
pub use text::print_text;

/// What is to be linted, and how.
#[derive(Debug)]
pub struct LintRun {
    /// The policies.
    pub files: Vec<PathBuf>,
    /// The resource that they are for; none for the one that each names itself.
    pub resource: Option<ResourceId>,
    /// How they will be read.
    pub semantics: Semantics,
    /// Known names.
    pub catalogue: LintCatalogue,
}

/// What was found in one file.
#[derive(Debug)]
pub struct FileReport {
    /// Its name, as given.
    pub file: String,
    /// What was found, by line.
    pub findings: Vec<Finding>,
    /// Its lines, to show them.
    pub lines: Vec<String>,
    /// How gateways enforce it.
    pub enforced: Enforced,
}

/// How gateways enforce a policy.
#[derive(Debug)]
pub enum Enforced {
    /// For this resource, as a look-up of rules.
    Exact(ResourceId),
    /// For this resource, by evaluating it for every call.
    General {
        /// The resource.
        resource: ResourceId,
        /// Why it is evaluated.
        reasons: Vec<GeneralReason>,
        /// What it asks that gateways do not know.
        unknowable: Vec<GeneralReason>,
    },
    /// Not at all: it is refused.
    Refused,
    /// It is not known for which resource it is.
    Unclear,
}

/// Why a file that cannot be read as a policy is an error.
const REFUSED: &str = "a policy that is not read is not enforced: neither here nor at Altinn";
/// Why a policy that gateways refuse is an error.
const NOT_ENFORCED: &str = "the control plane refuses to store it for the resource";

impl LintRun {
    /// Lints every file.
    pub fn run(&self) -> Result<Vec<FileReport>> {
        self.files.iter().map(|file| self.file(file)).collect()
    }

    fn file(&self, path: &PathBuf) -> Result<FileReport> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read `{file}`"))?;
        let lines = lines(&bytes);
        let document = match parse(&file, &bytes) {
            Ok(document) => document,
            Err(error) => {
                let finding = Finding {
                    code: error.code,
                    severity: Severity::Error,
                    line: error.line,
                    message: error.message,
                    why: REFUSED,
                    fix: error.cure.to_owned(),
                };
                return Ok(FileReport { file, findings: vec![finding], lines, enforced: Enforced::Refused });
            }
        };
        let mut findings = lint(&document, self.resource.as_ref(), &self.catalogue);
        let resource = self.resource.clone().or_else(|| policies::xacml::lint::resource_of(&document));
        let mut enforced = Enforced::Unclear;
        if let Some(resource) = resource {
            match ResourcePolicy::of_document(&document, &resource, self.semantics) {
                Ok(policy) => enforced = Enforced::of(resource, &policy),
                // What the linter has said with the same code, it has said better.
                Err(error) if findings.iter().any(|known| known.code == error.code) => enforced = Enforced::Refused,
                Err(error) => {
                    enforced = Enforced::Refused;
                    let fix = "correct it, or store it with the other semantics".to_owned();
                    let severity = Severity::Error;
                    let finding = Finding {
                        code: error.code,
                        severity,
                        line: error.line,
                        message: error.message,
                        why: NOT_ENFORCED,
                        fix,
                    };
                    let at = findings.partition_point(|known| known.line <= finding.line);
                    findings.insert(at, finding);
                }
            }
        }
        Ok(FileReport { file, findings, lines, enforced })
    }
}

impl Enforced {
    fn of(resource: ResourceId, policy: &ResourcePolicy) -> Self {
        match policy.form() {
            RightsForm::Exact => Self::Exact(resource),
            RightsForm::General { reasons, .. } => {
                Self::General { resource, reasons: reasons.to_vec(), unknowable: policy.unknowable().to_vec() }
            }
        }
    }
}

impl FileReport {
    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "line": finding.line,
                    "severity": finding.severity.as_str(),
                    "code": finding.code,
                    "message": finding.message,
                    "why": finding.why,
                    "fix": finding.fix,
                })
            })
            .collect();
        let enforced = match &self.enforced {
            Enforced::Exact(resource) => json!({ "form": "exact", "resource": resource.as_str() }),
            Enforced::General { resource, reasons, unknowable } => {
                let each = |reasons: &[GeneralReason]| {
                    let each =
                        reasons.iter().map(|one| json!({ "line": one.line, "code": one.code, "message": one.message }));
                    each.collect::<Vec<_>>()
                };
                let (reasons, unknowable) = (each(reasons), each(unknowable));
                json!({ "form": "general", "resource": resource.as_str(), "reasons": reasons, "unknowable": unknowable })
            }
            Enforced::Refused => json!({ "form": "refused" }),
            Enforced::Unclear => json!({ "form": "unclear" }),
        };
        json!({ "file": self.file, "findings": findings, "enforced": enforced })
    }
}

/// The lines of a file, whichever Unicode form it is in; none if it is not text.
fn lines(bytes: &[u8]) -> Vec<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<_> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
