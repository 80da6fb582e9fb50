//! Passed, failed, skipped: read from what the test runners print, never guessed.

use std::fmt;
use std::ops::AddAssign;

/// Shown as the closing line `N passed, N failed, N skipped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// nextest's last summary line, e.g. `Summary [ 0.01s] 3 tests run: 2 passed (1 slow), 1 timed out, 4 skipped`.
pub(crate) fn from_nextest(output: &str) -> Option<Counts> {
    let output = without_colors(output);
    let summary = output.lines().rev().find_map(|line| line.trim_start().strip_prefix("Summary ["))?;
    let (run, results) = summary.split_once(']')?.1.split_once("run:")?;
    let mut counts = Counts { skipped: not_run(run), ..Counts::default() };
    for (number, word) in without_remarks(results).split(',').filter_map(number_and_word) {
        match word {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            _ => counts.failed += number,
        }
    }
    Some(counts)
}

/// The sum of libtest's lines, e.g. `test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s`.
pub(crate) fn from_libtest(output: &str) -> Option<Counts> {
    let output = without_colors(output);
    let mut sum = None;
    for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let counts: &mut Counts = sum.get_or_insert_default();
        for (number, word) in line.split(['.', ';']).filter_map(number_and_word) {
            match word {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                "ignored" | "filtered out" => counts.skipped += number,
                _ => {}
            }
        }
    }
    sum
}

/// How many tests a cancelled nextest run left out: `2/5 tests` → 3.
fn not_run(run: &str) -> u64 {
    let count = run.split_whitespace().next().and_then(|word| word.split_once('/'));
    let numbers = count.and_then(|(done, all)| Some((done.parse::<u64>().ok()?, all.parse::<u64>().ok()?)));
    numbers.map_or(0, |(done, all)| all.saturating_sub(done))
}

fn number_and_word(part: &str) -> Option<(u64, &str)> {
    let (number, word) = part.trim().split_once(' ')?;
    Some((number.parse().ok()?, word.trim()))
}

/// Drops `(1 slow, 1 flaky)`.
fn without_remarks(text: &str) -> String {
    let mut depth = 0_u32;
    let keep = |character: &char| match character {
        '(' => {
            depth += 1;
            false
        }
        ')' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    };
    text.chars().filter(keep).collect()
}

/// Drops the escape sequences `ESC [ … letter`.
fn without_colors(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            let _ = characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Option<Counts> {
        Some(Counts { passed, failed, skipped })
    }

    #[test]
    fn reads_nextest() {
        let check = |line: &str, expected| assert_eq!(from_nextest(line), expected, "{line}");
        check("     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped\n", counts(3, 0, 0));
        check(
            "Summary [1.2s] 9 tests run: 6 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 4 skipped",
            counts(6, 3, 4),
        );
        check("Summary [1.2s] 2 tests run: 1 passed, 1 exec failed, 0 skipped", counts(1, 1, 0));
        check("Summary [1.2s] 2/5 tests run: 1 passed, 1 failed, 1 skipped", counts(1, 1, 4));
        check("Summary [1.2s] 1 test run: 1 passed, 0 skipped\n   TRY 1 FAIL x", counts(1, 0, 0));
        check(
            "\x1b[32;1m     Summary\x1b[0m [   0.0s] \x1b[1m1\x1b[0m test run: \x1b[1m1\x1b[0m \x1b[32mpassed\x1b[0m, 0 skipped",
            counts(1, 0, 0),
        );
    }

    #[test]
    fn the_last_nextest_summary_counts() {
        assert_eq!(
            from_nextest("Summary [] 1 test run: 1 passed\nSummary [] 2 tests run: 2 failed\n"),
            counts(0, 2, 0)
        );
    }

    #[test]
    fn sums_libtest() {
        let output = "running 1 test\ntest a ... ok\n\
            test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: \x1b[31mFAILED\x1b[0m. 4 passed; 1 failed; 0 ignored; 7 measured; 3 filtered out; finished in 1.25s\n";
        assert_eq!(from_libtest(output), counts(5, 1, 5));
    }

    #[test]
    fn no_summary_is_not_a_pass() {
        assert_eq!(from_nextest("error: could not compile `filter`"), None);
        assert_eq!(from_libtest("error: could not compile `filter`"), None);
    }

    #[test]
    fn the_closing_line_has_its_fixed_form() {
        assert_eq!(Counts { passed: 3, failed: 0, skipped: 1 }.to_string(), "3 passed, 0 failed, 1 skipped");
    }
}
