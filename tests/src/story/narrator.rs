//! Tells the story in plain lines, to a terminal or into a text.

use std::io::{self, Write};
use std::time::Duration;

/// Widest name in a list of names and values.
const NAME_WIDTH: usize = 30;

/// Writes the story as it happens.
pub struct Narrator<'out> {
    out: &'out mut (dyn Write + Send),
    steps: u32,
}

impl<'out> Narrator<'out> {
    pub fn new(out: &'out mut (dyn Write + Send)) -> Self {
        Self { out, steps: 0 }
    }

    /// Steps begun so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// A headline.
    pub fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{text}\n")?;
        self.out.flush()
    }

    /// The next step.
    pub fn step(&mut self, text: &str) -> io::Result<()> {
        self.steps += 1;
        writeln!(self.out, "\n{:>3}  {text}", self.steps)?;
        self.out.flush()
    }

    /// Something that happened in the step.
    pub fn happened(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "     {text}")?;
        self.out.flush()
    }

    /// What the step shows, once it has gone as expected.
    pub fn proves(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "     ok: {text}")?;
        self.out.flush()
    }

    /// One entry of a list.
    pub fn entry(&mut self, name: &str, value: &str) -> io::Result<()> {
        writeln!(self.out, "  {name:<NAME_WIDTH$} {value}")?;
        self.out.flush()
    }

    /// A line as it is, to be copied.
    pub fn verbatim(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// A measured time for people: `41 ms`.
pub fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_and_lines_aligned() {
        let mut text = Vec::new();
        let mut narrator = Narrator::new(&mut text);
        narrator.step("First").unwrap();
        narrator.happened("GET / 200").unwrap();
        narrator.step("Second").unwrap();
        narrator.proves("it works").unwrap();
        narrator.entry("name", "value").unwrap();
        assert_eq!(narrator.steps(), 2);
        let expected = "\n  1  First\n     GET / 200\n\n  2  Second\n     ok: it works\n  \
                        name                           value\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
