//! Runs folders of decision cases that others wrote, and says where our answers differ.
//!
//! A case is a folder with `case.json` (what is expected), `policy.xml` or `policies/`, and mostly a request and a response
//! as they were written upstream; a suite is a folder of cases. The decision is made by `policies`; here are only files,
//! comparison and the report. Nothing is skipped: an expectation that is not understood counts as different.

mod answer;
mod case;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use policies::xacml::Semantics;

/// What came of one suite.
#[derive(Debug, Default)]
pub struct SuiteReport {
    /// Name of its folder.
    pub name: String,
    /// How many cases were equal.
    pub equal: usize,
    /// Cases that were not, each with what was different.
    pub different: BTreeMap<String, String>,
}

/// Runs every suite in the folders, in order of name.
pub fn run(folders: &[PathBuf], semantics: Option<Semantics>) -> Result<Vec<SuiteReport>> {
    let mut reports = Vec::new();
    for folder in folders {
        let suites = suites_in(folder)?;
        if suites.is_empty() {
            bail!("`{}` holds no case: there is no `case.json` in it, nor one or two folders below", folder.display());
        }
        for suite in suites {
            reports.push(run_suite(&suite, semantics)?);
        }
    }
    Ok(reports)
}

/// The folder itself if it is a suite or a case, otherwise the suites in it.
fn suites_in(folder: &Path) -> Result<Vec<PathBuf>> {
    if is_case(folder) || !cases_in(folder)?.is_empty() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut suites = Vec::new();
    for inner in folders_in(folder)? {
        if !cases_in(&inner)?.is_empty() {
            suites.push(inner);
        }
    }
    Ok(suites)
}

fn run_suite(folder: &Path, semantics: Option<Semantics>) -> Result<SuiteReport> {
    let (cases, suite) = if is_case(folder) {
        (vec![folder.to_owned()], folder.parent().unwrap_or(folder))
    } else {
        (cases_in(folder)?, folder)
    };
    let name = file_name(suite);
    let by_name = if name.starts_with("altinn") || name.starts_with("resource-policy") {
        Semantics::Altinn
    } else {
        Semantics::Standard
    };
    let semantics = semantics.unwrap_or(by_name);
    let mut report = SuiteReport { name, ..SuiteReport::default() };
    for case in cases {
        match case::run(&case, semantics) {
            Ok(None) => report.equal += 1,
            Ok(Some(difference)) => {
                report.different.insert(file_name(&case), difference);
            }
            Err(error) => {
                report.different.insert(file_name(&case), format!("could not be run: {error:#}"));
            }
        }
    }
    Ok(report)
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

fn is_case(folder: &Path) -> bool {
    folder.join("case.json").is_file()
}

fn cases_in(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(folders_in(folder)?.into_iter().filter(|inner| is_case(inner)).collect())
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
mod tests {
    use super::*;

    const POLICY: &str = r#"<Policy xmlns="urn:oasis:names:tc:xacml:3.0:core:schema:wd-17" PolicyId="p" Version="1.0" RuleCombiningAlgId="urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides"><Target/><Rule RuleId="r" Effect="Permit"/></Policy>"#;

    /// One suite of four cases: equal, different, rightly refused, not understood.
    #[test]
    fn a_suite_is_counted_and_nothing_is_skipped() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |case: &str, files: &[(&str, &str)]| -> Result<()> {
            let case = folder.path().join("own-suite").join(case);
            std::fs::create_dir_all(&case)?;
            files.iter().try_for_each(|(name, text)| Ok(std::fs::write(case.join(name), text)?))
        };
        let request = r#"{"Request":{"Action":{"Attribute":{"AttributeId":"a","Value":"b"}}}}"#;
        let response = |decision: &str| {
            format!(
                "\u{feff}{{\"Response\":[{{\"decision\":\"{decision}\",\"Status\":{{\"StatusCode\":{{\"Value\":\"urn:oasis:names:tc:xacml:1.0:status:ok\"}},}},}}]}}"
            )
        };
        let decides = r#"{"expect":{"status":["ok"]}}"#;
        let (permit, deny) = (response("Permit"), response("Deny"));
        for (case, answer) in [("equal", &permit), ("different", &deny)] {
            write(
                case,
                &[("case.json", decides), ("policy.xml", POLICY), ("request.json", request), ("response.json", answer)],
            )?;
        }
        write("refused", &[("case.json", r#"{"expect":{"result":"invalid-policy"}}"#), ("policy.xml", "<Policy/>")])?;
        write("unknown", &[("case.json", r#"{"expect":{"result":"surprise"}}"#), ("policy.xml", POLICY)])?;
        let reports = run(&[folder.path().to_owned()], None)?;
        let [report] = reports.as_slice() else { bail!("{} suites", reports.len()) };
        assert_eq!((report.name.as_str(), report.equal), ("own-suite", 2));
        assert_eq!(report.different.keys().collect::<Vec<_>>(), ["different", "unknown"]);
        assert!(report.to_string().starts_with("own-suite: 4 cases, 2 equal, 2 different\n"));
        let one = run(&[folder.path().join("own-suite/equal")], None)?;
        assert_eq!(one.first().map(|report| report.equal), Some(1));
        assert!(run(&[folder.path().join("own-suite/equal/none")], None).is_err());
        Ok(())
    }
}
