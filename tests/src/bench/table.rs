//! Columns of text: the first to the left, the others to the right.

use std::fmt;

/// A table with a line of titles.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows yet.
    pub fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |text| text.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (position, (text, width)) in row.iter().zip(&widths).enumerate() {
                match position {
                    0 => line.push_str(&format!("{text:<width$}")),
                    _ => line.push_str(&format!("  {text:>width$}")),
                }
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["variant", "CPU \u{b5}s"]);
        table.row(vec!["bare".into(), "17.7".into()]);
        table.row(vec!["longer one".into(), "1".into()]);
        assert_eq!(table.to_string(), "variant     CPU \u{b5}s\nbare          17.7\nlonger one       1\n");
    }
}
