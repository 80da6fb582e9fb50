//! Findings as text: each with the line that it is about, why it matters and what to write instead.

use std::io::{self, Write};

use policies::xacml::GeneralReason;
use policies::xacml::lint::{Finding, Severity};

use super::{Enforced, FileReport};

/// Letters of a line that are shown.
const LINE_LETTERS_MAX: usize = 100;
/// Letters of a line of text, with the space before it.
const WIDTH: usize = 110;

/// Prints what was found, and a line that counts it.
pub fn print_text(to: &mut impl Write, reports: &[FileReport], colour: bool) -> io::Result<()> {
    let style = Style(colour);
    for report in reports {
        for (at, finding) in report.findings.iter().enumerate() {
            let mut earlier = report.findings.iter().take(at);
            let same = earlier.find(|other| (other.why, &other.fix) == (finding.why, &finding.fix));
            print_finding(to, report, finding, same.map(|other| other.line), style)?;
        }
        print_enforced(to, report, style)?;
    }
    let count = |severity| reports.iter().map(|report| report.count(severity)).sum::<usize>();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let of = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    writeln!(
        to,
        "{}: {}, {}, {}",
        of(reports.len(), "file"),
        of(errors, "error"),
        of(warnings, "warning"),
        of(notes, "note")
    )
}

/// One finding; why and what to do only where that has not been said before.
fn print_finding(
    to: &mut impl Write,
    report: &FileReport,
    finding: &Finding,
    said_on: Option<u32>,
    style: Style,
) -> io::Result<()> {
    let Finding { code, severity, line, message, why, fix } = finding;
    let file = &report.file;
    writeln!(
        to,
        "{file}:{line}: {}: {}",
        style.of(*severity, &format!("{} {code}", severity.as_str())),
        style.bold(message)
    )?;
    let index = usize::try_from(*line).unwrap_or(usize::MAX).saturating_sub(1);
    if let Some(text) = report.lines.get(index).map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let shown: String = text.chars().take(LINE_LETTERS_MAX).collect();
        let more = if shown.len() < text.len() { " …" } else { "" };
        writeln!(to, "  {}", style.dim(&format!("{line:>5} | {shown}{more}")))?;
    }
    match said_on {
        Some(line) => writeln!(to, "    {}", style.dim(&format!("why and fix as on line {line}")))?,
        None => {
            print_wrapped(to, "why", why, style)?;
            print_wrapped(to, "fix", fix, style)?;
        }
    }
    writeln!(to)
}

/// How gateways enforce the policy, in a sentence and the reasons.
fn print_enforced(to: &mut impl Write, report: &FileReport, style: Style) -> io::Result<()> {
    let file = &report.file;
    match &report.enforced {
        Enforced::Exact(resource) => {
            writeln!(to, "{file}: gateways enforce it for `{resource}` as a look-up of rules\n")
        }
        Enforced::General { resource, reasons, unknowable } => {
            writeln!(to, "{file}: gateways evaluate it for every call to `{resource}`, because")?;
            print_reasons(to, reasons, style)?;
            if !unknowable.is_empty() {
                writeln!(to, "  and it asks what gateways do not know:")?;
                print_reasons(to, unknowable, style)?;
            }
            writeln!(to)
        }
        Enforced::Refused => writeln!(to, "{file}: {}\n", style.bold("gateways do not enforce it")),
        Enforced::Unclear => {
            writeln!(to, "{file}: say with `--resource` which resource it is for, to see how gateways enforce it\n")
        }
    }
}

fn print_reasons(to: &mut impl Write, reasons: &[GeneralReason], style: Style) -> io::Result<()> {
    reasons.iter().try_for_each(|GeneralReason { line, code, message }| {
        writeln!(to, "  {line:>5}: {message} {}", style.dim(&format!("({code})")))
    })
}

fn print_wrapped(to: &mut impl Write, name: &str, text: &str, style: Style) -> io::Result<()> {
    let mut line = format!("    {}", style.bold(&format!("{name}:")));
    // Without the letters that only colour.
    let mut width = "    ".len() + name.len() + 1;
    let indent = width;
    for word in text.split_whitespace() {
        if width + 1 + word.chars().count() > WIDTH {
            writeln!(to, "{line}")?;
            line = " ".repeat(indent);
            width = indent;
        }
        line.push(' ');
        line.push_str(word);
        width += 1 + word.chars().count();
    }
    writeln!(to, "{line}")
}

/// Letters that colour, or none.
#[derive(Debug, Clone, Copy)]
struct Style(bool);

impl Style {
    fn of(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Error => self.with("1;31", text),
            Severity::Warning => self.with("1;33", text),
            Severity::Note => self.with("1;36", text),
        }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
