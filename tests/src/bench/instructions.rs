//! Instructions of single decisions, counted by valgrind: the same on every run, whatever else the machine does.
//!
//! The measuring program runs natively under callgrind, once with few repetitions and once with many; the difference is
//! the repetitions'. Its requests are made beforehand, so that making keys and snapshots is not counted.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use engine_guest::figures::Figure;
use engine_guest::frames::{Request, Work};
use engine_guest::random::Random;
use engine_guest::world::{ACTIONS, RESOURCES, Row, Shape, World};
use policies::snapshot::CHUNK_BYTES;

use super::publisher::{Published, Publisher, issuer_jwk};
use super::report::Report;
use super::tokens;

const ROWS: u32 = 10_000;
const FEW: u32 = 100;
const MANY: u32 = 1_100;

/// One thing that is counted.
struct Case {
    name: &'static str,
    work: Work,
    user: u32,
    party: u32,
    right: usize,
    is_permit: bool,
    with_changes: bool,
}

/// Counts every case.
pub fn run(report: &mut Report) -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !valgrind.is_ok_and(|status| status.success()) {
        bail!("valgrind is not installed: `apt-get install valgrind` (or your system's package) brings it");
    }
    let folder = tempfile::tempdir()?;
    let publisher = Publisher::new()?;
    let files = Published::inside(folder.path());
    let shape = Shape::of_rows(ROWS);
    publisher.build(shape, &files)?;
    let mut world = World::new(shape)?;
    let cases = cases(&world)?;
    let mut policy = publisher.open(&files)?;
    let changing = world.changing(0);
    world.change(1);
    let piece = publisher.change(&world, &BTreeSet::from([changing.0]), &mut policy)?.piece;
    for case in cases {
        let count = |times: u32| {
            let requests = folder.path().join("requests");
            let change = if case.with_changes { Some(piece.as_slice()) } else { None };
            write_requests(&case, times, &publisher, &files, change, &world, &requests)?;
            counted(&requests, case.is_permit)
        };
        let instructions = (count(MANY)? - count(FEW)?) / f64::from(MANY - FEW);
        eprintln!("{}: {instructions:.0}", case.name);
        report.add("", [Figure::new(format!("instructions.{}", case.name), instructions, "instructions")]);
    }
    Ok(())
}

fn cases(world: &World) -> Result<Vec<Case>> {
    let mut random = Random::new(11);
    let mut through_package = None;
    let mut direct = None;
    while through_package.is_none() || direct.is_none() {
        let (user, position) = world.any_row(&mut random);
        let row = world.row_of(user, position);
        let template = row.template.and_then(|template| world.templates().get(template)).context("no template")?;
        let rights: Vec<usize> = (0..RESOURCES * ACTIONS.len())
            .filter(|right| engine_guest::world::right_at(*right).is_ok_and(|right| template.rights.contains(&right)))
            .collect();
        let of_packages = engine_guest::world::packages()
            .filter(|(name, _)| template.packages.iter().any(|package| package.name() == name.as_str()));
        let of_packages: BTreeSet<usize> = of_packages.flat_map(|(_, rights)| rights).collect();
        through_package = through_package.or(of_packages.first().map(|right| (user, row, *right)));
        direct = direct.or(rights.iter().find(|right| !of_packages.contains(right)).map(|right| (user, row, *right)));
    }
    let package = through_package.context("no right through a package")?;
    let direct = direct.context("no right of its own")?;
    let (user, row, right) = package;
    let held = world.templates().get(row.template.unwrap_or(0)).map_or(&[][..], |template| &template.held);
    let missing = (0..RESOURCES * ACTIONS.len()).find(|right| !held.contains(right)).context("every right is held")?;
    let stranger = world.stranger(&mut random);
    let case = |name, work, (user, row, right): (u32, Row, usize), is_permit, with_changes| Case {
        name,
        work,
        user,
        party: row.party.as_u32(),
        right,
        is_permit,
        with_changes,
    };
    let mut changed = World::new(world.shape())?;
    changed.change(1);
    let (changed_user, position) = changed.changing(0);
    let changed_row = changed.row_of(changed_user, position);
    let changed_right = changed_row.template.and_then(|template| changed.templates().get(template)?.held.first());
    let overlay = (changed_user, changed_row, *changed_right.context("nothing is held")?);
    Ok(vec![
        case("parse_call", Work::Parse, package, true, false),
        case("look_up", Work::LookUp, package, true, false),
        case("permit_through_package", Work::Decide, package, true, false),
        case("permit_direct", Work::Decide, direct, true, false),
        case("denial_party", Work::Decide, (user, Row { party: stranger, ..row }, right), false, false),
        case("denial_right", Work::Decide, (user, row, missing), false, false),
        case("permit_beside_changes", Work::Decide, package, true, true),
        case("permit_of_changed_row", Work::Decide, overlay, true, true),
    ])
}

fn write_requests(
    case: &Case,
    times: u32,
    publisher: &Publisher,
    files: &Published,
    change: Option<&[u8]>,
    world: &World,
    path: &Path,
) -> Result<()> {
    let mut file = File::create(path)?;
    Request::SnapshotKey(publisher.key_der()).write(&mut file)?;
    Request::Load { step_numbers: u32::MAX, head: &std::fs::read(&files.head)? }.write(&mut file)?;
    for slice in std::fs::read(&files.image)?.chunks(CHUNK_BYTES) {
        Request::Slice(slice).write(&mut file)?;
    }
    if let Some(piece) = change {
        Request::Change { is_checked: false, rows: 1, piece }.write(&mut file)?;
    }
    Request::IssuerKey(issuer_jwk()?.to_string().as_bytes()).write(&mut file)?;
    let token = tokens::token(world, case.user, 0)?;
    Request::Token { user: case.user, token: token.as_bytes() }.write(&mut file)?;
    let Case { work, party, right, .. } = *case;
    Request::Repeat { work, token: 0, party, right: u32::try_from(right)?, times }.write(&mut file)?;
    Ok(())
}

/// All instructions of the program with these requests; its last answer must be the expected one.
fn counted(requests: &Path, is_permit: bool) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .arg("serve")
        .stdin(File::open(requests)?)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("the measuring program failed under valgrind: {said}");
    }
    let figures = String::from_utf8_lossy(&output.stdout).into_owned();
    let permits = figures.lines().filter_map(Figure::parse).find(|figure| figure.name == "repeat.permits");
    if permits.map(|figure| figure.value) != Some(if is_permit { 100.0 } else { 0.0 }) {
        bail!("the case was decided otherwise than expected");
    }
    collected(&said).ok_or_else(|| anyhow!("valgrind counted nothing: {said}"))
}

/// The number in callgrind's closing line.
fn collected(said: &str) -> Option<f64> {
    let line = said.lines().rev().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_in_the_closing_line() {
        let said = "==7== Events    : Ir\n==7== Collected : 2306478\n==7== \n==7== I   refs:      2,306,478\n";
        assert_eq!(collected(said), Some(2_306_478.0));
        assert_eq!(collected("==7== "), None);
    }
}
