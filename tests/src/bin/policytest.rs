//! What platform teams ask of a policy before it ships. Exit code 1: something was found that must not ship; 2: the command
//! is wrong, or a file cannot be read.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gateway_tests::policytest::{FileReport, LintRun, print_text, read_catalogue};
use policies::id::ResourceId;
use policies::xacml::Semantics;
use policies::xacml::lint::Severity;

/// Test policies before they ship
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find what a policy says and does not mean
    Lint(LintOptions),
}

#[derive(Args)]
struct LintOptions {
    /// Policies in XACML 3.0 (XML)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The resource that the policies are for [default: the one that each names]
    #[arg(long, value_name = "ID", value_parser = ResourceId::parse)]
    resource: Option<ResourceId>,
    /// How the policies will be read; findings are about both, how gateways enforce a policy is about this one
    #[arg(long, value_enum, default_value_t = SemanticsName::Altinn)]
    semantics: SemanticsName,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A catalogue of access packages or roles (CSV or JSON); may be given several times
    #[arg(long, value_name = "FILE")]
    packages: Vec<PathBuf>,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SemanticsName {
    Altinn,
    Standard,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> ExitCode {
    let Verb::Lint(options) = Options::parse().verb;
    lint(options).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn lint(options: LintOptions) -> Result<ExitCode> {
    let run = LintRun {
        files: options.files,
        resource: options.resource,
        semantics: match options.semantics {
            SemanticsName::Altinn => Semantics::Altinn,
            SemanticsName::Standard => Semantics::Standard,
        },
        catalogue: read_catalogue(&options.packages)?,
    };
    let reports = run.run()?;
    let mut out = std::io::stdout().lock();
    let printed = match options.format {
        Format::Text => {
            let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            print_text(&mut out, &reports, colour)
        }
        Format::Json => {
            let all: Vec<_> = reports.iter().map(FileReport::to_json).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)
        }
    };
    match printed {
        // Who reads has read enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(anyhow!(error)),
        _ => {}
    }
    let found = |severity| reports.iter().any(|report| report.count(severity) > 0);
    let fails = found(Severity::Error) || (options.strict && found(Severity::Warning));
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
