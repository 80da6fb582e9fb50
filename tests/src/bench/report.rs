//! What was measured, as a table for people and as lines for programs, with the bounds that the project set itself.
//!
//! A figure's rounds come to their median. Values that are compared are compared within a round ([`super::rounds`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use engine_guest::figures::{Figure, median, rounded};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
}

/// Figures with a bound. Units are the figures' own.
pub type Bounds = &'static [(&'static str, Bound)];

/// Everything measured so far.
#[derive(Debug, Default)]
pub struct Report {
    bounds: Bounds,
    /// In the order of their first appearance.
    names: Vec<String>,
    values: BTreeMap<String, (Vec<f64>, String)>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Adds a round's figures under what they were measured on.
    pub fn add(&mut self, of: &str, figures: impl IntoIterator<Item = Figure>) {
        for figure in figures {
            let name = if of.is_empty() { figure.name } else { format!("{}.{of}", figure.name) };
            let (values, _) = self.values.entry(name.clone()).or_insert_with(|| {
                self.names.push(name);
                (Vec::new(), figure.unit)
            });
            values.push(figure.value);
        }
    }

    /// The median over the rounds.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).map(|(values, _)| median(values))
    }

    /// Every figure once: the median over its rounds.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |name: &String| {
            let (values, unit) = self.values.get(name)?;
            Some(Figure::new(name.clone(), median(values), unit.clone()))
        };
        self.names.iter().filter_map(figure).collect()
    }

    /// A table: figure, value, spread over the rounds, bound, whether it was kept.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<44} {:>14} {:<5} {:<24} {}\n", "figure", "median", "", "of rounds (min … max)", "bound");
        for name in &self.names {
            let Some((values, unit)) = self.values.get(name) else { continue };
            let value = median(values);
            let spread = match values.len() {
                0 | 1 => String::new(),
                rounds => format!("{rounds}: {} … {}", rounded(lowest(values)), rounded(highest(values))),
            };
            let _ = writeln!(
                text,
                "{name:<44} {:>14} {unit:<5} {spread:<24} {}",
                rounded(value),
                self.verdict(name, value)
            );
        }
        text
    }

    /// The table, and a line `figure NAME VALUE UNIT` for each.
    pub fn print(&self) {
        println!("{}", self.table());
        for figure in self.figures() {
            println!("{figure}");
        }
    }

    /// Names of figures that are not within their bound.
    pub fn missed(&self) -> Vec<&str> {
        let missed = |(name, bound): &&(&'static str, Bound)| self.value(name).is_some_and(|value| !bound.holds(value));
        self.bounds.iter().filter(missed).map(|(name, _)| *name).collect()
    }

    fn verdict(&self, name: &str, value: f64) -> String {
        let Some((_, bound)) = self.bounds.iter().find(|(bounded, _)| *bounded == name) else { return String::new() };
        format!("{bound}: {}", if bound.holds(value) { "ok" } else { "MISSED" })
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(formatter, "at most {bound}"),
            Self::AtLeast(bound) => write!(formatter, "at least {bound}"),
        }
    }
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_to_one_figure_with_its_bound() {
        let mut report =
            Report::new(&[("look_up.median.10m", Bound::AtMost(600.0)), ("decide.p99.10m", Bound::AtMost(5_000.0))]);
        for value in [700.0, 500.0, 400.0] {
            report.add("10m", [Figure::new("look_up.median", value, "ns")]);
        }
        report.add("10m", [Figure::new("decide.p99", 5_001.0, "ns")]);
        assert_eq!(report.figures()[0].to_string(), "figure look_up.median.10m 500.0 ns");
        let table = report.table();
        assert!(table.contains("3: 400.0 … 700.0") && table.contains("at most 600: ok"), "{table}");
        assert!(table.contains("at most 5000: MISSED"), "{table}");
        assert_eq!(report.missed(), ["decide.p99.10m"]);
    }
}
