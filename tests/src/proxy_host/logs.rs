//! What the guest said, in order, bounded. The host's own remarks stand among it, marked as such.

use std::fmt;

use super::abi::LogLevel;

/// A guest that logs without end must not fill the memory of the test.
const LINES_MAX: usize = 100_000;

/// Who wrote a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogSource {
    /// The guest, through the log call.
    Guest,
    /// The guest, on standard output.
    Stdout,
    /// The guest, on standard error.
    Stderr,
    /// This host.
    Host,
}

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// How grave.
    pub level: LogLevel,
    /// By whom.
    pub source: LogSource,
    /// In which context: 1 is the root, others are streams, 0 is before any.
    pub context: u32,
    /// What.
    pub message: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{:?} {:?} {}] {}", self.level, self.source, self.context, self.message)
    }
}

#[derive(Default)]
pub(super) struct Logs {
    lines: Vec<LogLine>,
}

impl Logs {
    pub(super) fn push(&mut self, line: LogLine) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }

    pub(super) fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    pub(super) fn take(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn last(&self, count: usize) -> Vec<LogLine> {
        let skipped = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(skipped).cloned().collect()
    }
}
