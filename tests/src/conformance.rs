//! Runs folders of decision cases that others wrote, and says where our answers differ.
//!
//! A case is a folder with `case.json` (what is expected), `policy.xml` or `policies/`, and mostly a request and a response
//! as they were written upstream; a suite is a folder of cases, however deep. The decision is made by `policies`; here are
//! only files, comparison and the report. Nothing is skipped: an expectation that is not understood counts as different.
//! Beside that, policies that are enforced as rules are decided both ways: `forms`.

mod answer;
mod case;
mod forms;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use policies::xacml::Semantics;

pub use forms::FormsReport;

/// Deepest folder below the given one that is looked into for cases.
const DEPTH_MAX: usize = 12;

/// What came of one suite.
#[derive(Debug, Default)]
pub struct SuiteReport {
    /// Name of its folder.
    pub name: String,
    /// How many cases were equal.
    pub equal: usize,
    /// Cases that were not, each with what was different.
    pub different: BTreeMap<String, String>,
    /// What came of its policies.
    pub forms: FormsReport,
}

/// Runs every suite in the folders, in order of name.
pub fn run(folders: &[PathBuf], semantics: Option<Semantics>) -> Result<Vec<SuiteReport>> {
    let mut reports = Vec::new();
    for folder in folders {
        let suites = suites_in(folder)?;
        if suites.is_empty() {
            bail!("`{}` holds no case: there is no `case.json` in it, nor in the folders below", folder.display());
        }
        for (suite, cases) in suites {
            reports.push(run_suite(&suite, &cases, semantics)?);
        }
    }
    Ok(reports)
}

/// The cases in a folder, itself one or not, by the folder that they lie in.
fn suites_in(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<PathBuf>>> {
    let mut suites: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if folder.join("case.json").is_file() {
            let suite = folder.canonicalize()?.parent().map_or_else(|| folder.clone(), Path::to_owned);
            suites.entry(suite).or_default().push(folder);
        } else if depth < DEPTH_MAX {
            waiting.extend(folders_in(&folder)?.into_iter().map(|inner| (inner, depth + 1)));
        }
    }
    suites.values_mut().for_each(|cases| cases.sort());
    Ok(suites)
}

fn run_suite(suite: &Path, cases: &[PathBuf], semantics: Option<Semantics>) -> Result<SuiteReport> {
    let name = file_name(suite);
    let forms = FormsReport { name: name.clone(), ..FormsReport::default() };
    let mut report = SuiteReport { name, forms, ..SuiteReport::default() };
    for case in cases {
        let own = semantics_of(case, &report.name);
        let semantics = semantics.unwrap_or(own);
        match case::run(case, semantics, own) {
            Ok(None) => report.equal += 1,
            Ok(Some(difference)) => {
                report.different.insert(file_name(case), difference);
            }
            Err(error) => {
                report.different.insert(file_name(case), format!("could not be run: {error:#}"));
            }
        }
        report.forms.add(case, semantics)?;
    }
    Ok(report)
}

/// How the policies of a case are read: as the name of its suite says, the one that the case gives or that of the folder.
fn semantics_of(case: &Path, folder: &str) -> Semantics {
    let suite = case::suite_of(case).unwrap_or_default();
    let is_altinn = |name: &str| name.starts_with("altinn") || name.starts_with("resource-policy");
    if is_altinn(&suite) || is_altinn(folder) { Semantics::Altinn } else { Semantics::Standard }
}

impl SuiteReport {
    /// Whether every answer was as expected, and every look-up as its policy.
    pub fn is_equal(&self) -> bool {
        self.different.is_empty() && self.forms.different == 0
    }
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (equal, different) = (self.equal, self.different.len());
        write!(formatter, "{}: {} cases, {equal} equal, {different} different", self.name, equal + different)?;
        for (case, difference) in &self.different {
            write!(formatter, "\n  {case}: {difference}")?;
        }
        Ok(())
    }
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let mut folders = Vec::new();
    for entry in listed {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
