//! Instructions of the decision core for every case of `policies/cases`, compared with the table that is kept beside them.
//!
//! One process decides all cases, each twice: first to warm up, with signatures really checked; then in [`counted`], with
//! what the first check said, because a signature costs a thousand times as much as everything else. Callgrind writes down
//! what it counted since the last time whenever that function begins, and when [`afterwards`] does: every second dump is a
//! case's. The counts are those of one compiler, one profile (`release`) and one processor architecture; the table says
//! which compiler.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use policies::token::{PureRust, SignatureError, VerificationKey, VerifySignature};
use policies::{ApiCall, CallError, Decision, PolicySet, Timestamp, authorize};

use crate::cases::{self, CASE_NOW, HostKind, native};
use crate::proxy_host::encode_pairs;

/// Share of a count by which it may differ from the table's without being told.
const DIFFERENCE_MAX: f64 = 0.02;
/// What callgrind calls the functions before which it writes down what it counted.
const MARKS: [&str; 2] = ["*case_instructions::counted", "*case_instructions::afterwards"];

/// Instructions by case.
type Counts = BTreeMap<String, u64>;

/// The table.
pub fn table_file() -> PathBuf {
    cases::folder().join("instructions.txt")
}

/// Counts, and compares with the table; `true` when nothing differs. With `renew`, writes the table instead.
pub fn run(compiler: &str, renew: bool) -> Result<bool> {
    let counts = count()?;
    let path = table_file();
    if renew {
        std::fs::write(&path, table(&counts, compiler)).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{} cases written to {}", counts.len(), path.display());
        return Ok(true);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let known = read_table(&text)?;
    let differences = differences(&known, &counts);
    for difference in &differences {
        println!("{difference}");
    }
    println!("instructions: {} cases, {} different", counts.len(), differences.len());
    if !differences.is_empty() {
        if !text.contains(compiler) {
            println!("note: the table was made with another compiler than {compiler}");
        }
        println!("if that is meant: cargo xtask bench engine --instructions --renew");
    }
    Ok(differences.is_empty())
}

/// Decides every case; what [`count`] runs under callgrind. Prints the names in order.
pub fn decide_all() -> Result<()> {
    let now = Timestamp::parse_rfc3339(CASE_NOW)?;
    for case in cases::for_host(HostKind::Native)? {
        let policy = native::policy(&case, now)?;
        let headers = case.headers(now)?;
        // As gateways hand them over.
        let headers: Vec<_> =
            headers.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
        let headers = encode_pairs(&headers);
        let known = Known::default();
        drop(decide(&policy, headers.clone(), now, &Recording(&known)));
        drop(counted(&policy, headers, now, &Replaying(&known)));
        afterwards(&case.name);
    }
    Ok(())
}

type Decided = Result<Decision, CallError>;

/// Callgrind finds it by its name.
#[inline(never)]
fn counted(policy: &PolicySet, headers: Vec<u8>, now: Timestamp, signatures: &Replaying<'_>) -> Decided {
    black_box(decide(policy, black_box(headers), now, signatures))
}

/// Callgrind finds it by its name, too.
#[inline(never)]
fn afterwards(name: &str) {
    println!("{name}");
}

#[inline(never)]
fn decide(policy: &PolicySet, headers: Vec<u8>, now: Timestamp, signatures: &dyn VerifySignature) -> Decided {
    let call = ApiCall::parse_serialized(headers)?;
    Ok(authorize(policy, &call, now, signatures))
}

/// What checks of signatures said, in order.
#[derive(Default)]
struct Known {
    said: RefCell<Vec<Result<(), SignatureError>>>,
    next: Cell<usize>,
}

struct Recording<'a>(&'a Known);

impl VerifySignature for Recording<'_> {
    fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let said = PureRust.verify(key, message, signature);
        self.0.said.borrow_mut().push(said);
        said
    }
}

struct Replaying<'a>(&'a Known);

impl VerifySignature for Replaying<'_> {
    fn verify(&self, _: &VerificationKey, _: &[u8], _: &[u8]) -> Result<(), SignatureError> {
        let next = self.0.next.get();
        self.0.next.set(next + 1);
        self.0.said.borrow().get(next).copied().unwrap_or(Err(SignatureError::Unavailable))
    }
}

fn count() -> Result<Counts> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !valgrind.is_ok_and(|status| status.success()) {
        bail!("valgrind is not installed: `apt-get install valgrind` (or your system's package) brings it");
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    eprintln!("counting instructions of every case");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(MARKS.map(|function| format!("--dump-before={function}")))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .arg("decide-cases")
        .output()?;
    if !output.status.success() {
        bail!("the cases could not be decided under valgrind: {}", String::from_utf8_lossy(&output.stderr));
    }
    let names = String::from_utf8(output.stdout)?;
    let dumps = (2..).step_by(MARKS.len());
    names.lines().zip(dumps).map(|(name, number)| Ok((name.to_owned(), counted_in(folder.path(), number)?))).collect()
}

/// The sum in a dump.
fn counted_in(folder: &Path, number: u32) -> Result<u64> {
    let path = folder.join(format!("out.{number}"));
    let dump = std::fs::read_to_string(&path).with_context(|| format!("callgrind left no {}", path.display()))?;
    let sum = dump.lines().rev().find_map(|line| line.strip_prefix("totals: ")).context("a dump without a sum")?;
    let sum = sum.trim().parse().with_context(|| format!("`{sum}` is no sum"))?;
    ensure!(sum > 0, "callgrind did not find the functions that it is to tell apart");
    Ok(sum)
}

fn table(counts: &Counts, compiler: &str) -> String {
    let mut text = format!(
        "# Instructions of each case: reading the call, deciding, and dropping the decision; without signatures. Profile release, {},\n\
         # {compiler}. Compared and renewed by `cargo xtask bench engine --instructions [--renew]`.\n",
        std::env::consts::ARCH
    );
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count}");
    }
    text
}

fn read_table(text: &str) -> Result<Counts> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, count) = line.split_once(' ').with_context(|| format!("`{line}` is no line of the table"))?;
            Ok((name.to_owned(), count.parse().with_context(|| format!("`{count}` is no count"))?))
        })
        .collect()
}

/// In words: counts beyond the permitted difference, cases that are new, and cases that are gone.
fn differences(known: &Counts, counts: &Counts) -> Vec<String> {
    let of_counts = counts.iter().filter_map(|(name, count)| match known.get(name) {
        None => Some(format!("{name}: {count}, not in the table")),
        Some(before) => {
            let share = *count as f64 / *before as f64 - 1.0;
            (share.abs() > DIFFERENCE_MAX).then(|| format!("{name}: {before} → {count} ({:+.1} %)", share * 100.0))
        }
    });
    let gone =
        known.keys().filter(|name| !counts.contains_key(*name)).map(|name| format!("{name}: is no case any more"));
    of_counts.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn the_table_reads_back() {
        let counts = counts(&[("permit/direct", 4_321), ("right/none", 17)]);
        let text = table(&counts, "rustc 1.95.0");
        assert!(text.starts_with("# ") && text.contains("rustc 1.95.0"), "{text}");
        assert_eq!(read_table(&text).unwrap(), counts);
        assert!(read_table("permit/direct\n").is_err() && read_table("permit/direct many\n").is_err());
    }

    #[test]
    fn two_percent_are_permitted() {
        let known = counts(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("gone", 1)]);
        let counts = counts(&[("a", 1_020), ("b", 1_021), ("c", 979), ("new", 1)]);
        let different = differences(&known, &counts);
        let expected = [
            "b: 1000 → 1021 (+2.1 %)",
            "c: 1000 → 979 (-2.1 %)",
            "new: 1, not in the table",
            "gone: is no case any more",
        ];
        assert_eq!(different, expected);
    }

    #[test]
    fn every_case_is_in_the_table_and_nothing_else() {
        let known = read_table(&std::fs::read_to_string(table_file()).unwrap()).unwrap();
        let cases: Vec<_> = cases::for_host(HostKind::Native).unwrap().into_iter().map(|case| case.name).collect();
        assert_eq!(known.into_keys().collect::<Vec<_>>(), cases);
    }
}
