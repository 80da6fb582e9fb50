//! Figures as lines: `figure NAME VALUE UNIT`. What measures prints them, what compares reads them.

use std::fmt;

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Stable; letters, digits, `_`, with dots between the parts.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit, one word.
    pub unit: String,
}

impl Figure {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit: unit.into() }
    }

    /// Reads a line; `None` when it is no figure.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [word, name, value, unit] = words.as_slice() else { return None };
        let named = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
        (*word == "figure" && named(name) && named(unit)).then(|| Self::new(*name, value, *unit))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "figure {} {} {}", self.name, rounded(self.value), self.unit)
    }
}

/// Four significant digits, without an exponent.
pub fn rounded(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { 3 - value.abs().log10().floor() as i32 };
    format!("{value:.*}", usize::try_from(digits.clamp(0, 6)).unwrap_or(0))
}

/// The value below which this share of the values lies; 0 without values.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(position).copied().unwrap_or(0.0)
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_reads_back() {
        for (value, printed) in
            [(0.0, "0"), (1.0, "1.000"), (412.36, "412.4"), (0.000_12, "0.000120"), (9e7, "90000000")]
        {
            let figure = Figure::new("look_up.rows_10m", value, "ns");
            assert_eq!(figure.to_string(), format!("figure look_up.rows_10m {printed} ns"));
            let read = Figure::parse(&figure.to_string()).unwrap();
            assert!((read.value - value).abs() <= value / 1000.0, "{read:?}");
        }
    }

    #[test]
    fn anything_else_is_no_figure() {
        for line in
            ["", "figure a 1", "figure a 1 ns more", "figur a 1 ns", "figure a x ns", "figure a NaN ns", "figure  1 ns"]
        {
            assert_eq!(Figure::parse(line), None, "{line}");
        }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((median(&values), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(median(&[]), 0.0);
    }
}
