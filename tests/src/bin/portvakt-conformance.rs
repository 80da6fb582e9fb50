//! Runs suites of decision cases and prints, for each, how many answers are equal to what others wrote down, and whether
//! the policies that are enforced as rules answer the same when they are evaluated.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use gateway_tests::conformance::{self, SuiteReport};
use policies::xacml::Semantics;

/// Decide the cases in folders and compare
#[derive(Parser)]
struct Options {
    /// How policies are read (default: as the name of the suite says)
    #[arg(long)]
    semantics: Option<SemanticsName>,
    /// Folders of cases, of suites, or a single case
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SemanticsName {
    Altinn,
    Standard,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let semantics = options.semantics.map(|name| match name {
        SemanticsName::Altinn => Semantics::Altinn,
        SemanticsName::Standard => Semantics::Standard,
    });
    let reports = conformance::run(&options.folders, semantics)?;
    for report in &reports {
        println!("{report}\n{}", report.forms);
    }
    let equal = reports.iter().all(SuiteReport::is_equal);
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
