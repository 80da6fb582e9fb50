//! From a document to an image: every mistake found and named, or an image that gateways accept.
//!
//! Order in the document does not matter; equal content gives equal bytes. Partial evaluation happens here: what a
//! system user holds for a party becomes one set of rights, shared by all who hold the same for the same reasons.
//! [`SnapshotBuilder`] takes system users one by one, for databases too large to be read at once; [`compile()`] takes a
//! whole document. What has changed since is compiled in [`delta`].

mod builder;
pub(crate) mod delta;
mod issuers;
mod revocations;
mod right_sets;
mod rights;
mod routes;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::document::{Document, SystemUserDocument, SystemUserKind};
use crate::id::OrganizationNumber;
pub use builder::{Holding, SnapshotBuilder};
use writer::{ImageWriter, Strings};

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Where, as a JSON Pointer (RFC 6901).
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Every mistake in a document; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileErrors(pub Vec<CompileError>);

impl fmt::Display for CompileErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(formatter, "{separator}{}: {} ({})", error.path, error.message, error.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileErrors {}

/// Compiles a document into an image.
///
/// ```
/// let document = serde_json::from_str(r#"{"provider": "regnskapsregisteret"}"#)?;
/// let image = policies::snapshot::compile(&document)?;
/// assert_eq!(image, policies::snapshot::compile(&document)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compile(document: &Document) -> Result<Vec<u8>, CompileErrors> {
    let (mut builder, mut errors) = SnapshotBuilder::begin(document);
    let mut users: Vec<_> = document.system_users.iter().enumerate().collect();
    users.sort_by_key(|(_, user)| user.id);
    for (position, user) in users {
        let path = format!("/systemUsers/{position}");
        let rows = rows(user, &path, &mut builder, &mut errors);
        if let Err(error) = builder.system_user(user.id, user.owner, &user.system, rows) {
            let part = if error.code == "system_unknown" { "/system" } else { "" };
            errors.push(CompileError { path: format!("{path}{part}"), ..error });
        }
        if document.withdrawn_system_users.contains(&user.id) {
            let message = format!("system user `{}` is both active and withdrawn", user.id);
            errors.push(CompileError { path, code: "system_user_withdrawn", message });
        }
    }
    for id in &document.withdrawn_system_users {
        builder.withdrawn(*id);
    }
    if !errors.is_empty() {
        return Err(CompileErrors(errors));
    }
    builder.finish()
}

/// A system user's rows, each party once.
fn rows(
    user: &SystemUserDocument,
    path: &str,
    builder: &mut SnapshotBuilder<'_>,
    errors: &mut Vec<CompileError>,
) -> Vec<(OrganizationNumber, Holding)> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for (position, delegation) in user.delegations.iter().enumerate() {
        let path = format!("{path}/delegations/{position}");
        if !seen.insert(delegation.party) {
            let message = format!("party {} is there twice", delegation.party);
            errors.push(CompileError { path: format!("{path}/party"), code: "party_twice", message });
            continue;
        }
        if user.kind == SystemUserKind::Standard && delegation.party != user.owner {
            let message = format!("a standard system user acts for its owner {} only", user.owner);
            errors.push(CompileError { path: format!("{path}/party"), code: "party_not_owner", message });
        }
        match builder.holding(&delegation.access_packages, &delegation.rights) {
            Ok(holding) => rows.push((delegation.party, holding)),
            Err(right) => {
                let message = format!("the resource of right `{right}` is not there");
                errors.push(CompileError { path: format!("{path}/rights"), code: "resource_unknown", message });
            }
        }
    }
    rows
}

/// What is being written, and what was wrong so far.
struct Compiler<'document> {
    document: &'document Document,
    errors: Vec<CompileError>,
    strings: Strings,
    writer: ImageWriter,
}

impl<'document> Compiler<'document> {
    fn new(document: &'document Document) -> Self {
        Self { document, errors: Vec::new(), strings: Strings::default(), writer: ImageWriter::default() }
    }

    fn error(&mut self, path: String, code: &'static str, message: impl Into<String>) {
        self.errors.push(CompileError { path, code, message: message.into() });
    }
}

/// Rights by position in the image, each with its reason.
type RightSet = BTreeMap<u32, right_sets::Reason>;

#[cfg(test)]
mod tests;
