//! The run: builds snapshots of every size, loads them, and times what the engine does with them, in turns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use engine_guest::figures::Figure;
use engine_guest::frames::Request;
use engine_guest::world::{CHANGED_ROWS_OF_ONE, Shape, World};
use policies::snapshot::CHUNK_BYTES;

use super::guest::Guest;
use super::peers::{self, Asked};
use super::publisher::{Published, Publisher, issuer_jwk};
use super::report::{Bound, Bounds, Report};
use super::tokens::tokens;
use super::wasi::Program;

/// Numbers that a gateway looks at in one step.
pub const STEP_NUMBERS: u32 = 250_000;
/// Changes of one row that are timed with the check of their signature, and as many without.
const CHANGES_TIMED: u32 = 8;
/// Most rows that change in one delta here.
const CHANGED_ROWS_OF_DELTA: u32 = 10_000;
/// Rows that have changed when look-ups are timed again.
const OVERLAYS: [u32; 3] = [1, 1_000, 50_000];

/// Figures with a bound. Units are the figures' own.
pub const BOUNDS: Bounds = &[
    ("build.image.10m", Bound::AtMost(130.0)),
    ("build.image.10m_3m", Bound::AtMost(130.0)),
    ("build.time.10m", Bound::AtMost(60.0)),
    ("build.time.10m_3m", Bound::AtMost(60.0)),
    ("build.memory_peak.10m", Bound::AtMost(2_000.0)),
    ("build.memory_peak.10m_3m", Bound::AtMost(2_000.0)),
    ("load.push_max.10m", Bound::AtMost(4.0)),
    ("load.push_max.10m_3m", Bound::AtMost(4.0)),
    ("load.step_max.10m", Bound::AtMost(4.0)),
    ("load.step_max.10m_3m", Bound::AtMost(4.0)),
    ("memory.two.10m", Bound::AtMost(450.0)),
    ("memory.two.10m_3m", Bound::AtMost(450.0)),
    ("look_up.median.10m", Bound::AtMost(600.0)),
    ("look_up.median.10m_3m", Bound::AtMost(600.0)),
    ("decide.median.10m", Bound::AtMost(2_000.0)),
    ("decide.median.10m_3m", Bound::AtMost(2_000.0)),
    ("decide.p99.10m", Bound::AtMost(5_000.0)),
    ("decide.p99.10m_3m", Bound::AtMost(5_000.0)),
    ("change.piece.10m", Bound::AtMost(1_000.0)),
    ("change.apply.10m", Bound::AtMost(5_000.0)),
    ("peers.cedar_ratio", Bound::AtLeast(10.0)),
    ("peers.regorus_ratio", Bound::AtLeast(10.0)),
];

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The measuring program, compiled for WebAssembly.
    pub program: PathBuf,
    /// What is built.
    pub sizes: Vec<Size>,
    /// Loads of each snapshot.
    pub loads: u32,
    /// Turns.
    pub rounds: u32,
    /// Batches of look-ups in a turn.
    pub batches: u32,
    /// Decisions in a turn.
    pub decisions: u32,
    /// Tokens that callers have.
    pub tokens: usize,
    /// Numbers to a step.
    pub step_numbers: u32,
    /// Also measure changes.
    pub changes: bool,
}

/// A size, and what its figures are called.
#[derive(Debug, Clone)]
pub struct Size {
    /// `10m`, `10m_3m`.
    pub name: String,
    /// The world.
    pub shape: Shape,
}

impl Size {
    /// So many rows, with system users as 300,000 to 10,000,000.
    pub fn of_rows(rows: u32) -> Self {
        Self { name: count_word(rows), shape: Shape::of_rows(rows) }
    }

    /// So many rows over so many system users.
    pub fn of(rows: u32, system_users: u32) -> Self {
        let name = format!("{}_{}", count_word(rows), count_word(system_users));
        Self { name, shape: Shape::new(system_users, rows) }
    }
}

/// `300k`, `10m`.
fn count_word(count: u32) -> String {
    match count {
        count if count % 1_000_000 == 0 => format!("{}m", count / 1_000_000),
        count if count % 1_000 == 0 => format!("{}k", count / 1_000),
        count => count.to_string(),
    }
}

/// A size with its snapshot and a program that has it in force.
struct Stage {
    size: Size,
    files: Published,
    guest: Guest,
}

/// Measures everything but the peers.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let publisher = Publisher::new()?;
    eprintln!("compiling the measuring program");
    let program = Program::compile(&plan.program)?;
    let mut stages = Vec::new();
    for size in &plan.sizes {
        let files = build(size, folder.path(), report)?;
        let guest = load(plan, size, &files, &publisher, &program, report)?;
        stages.push(Stage { size: size.clone(), files, guest });
    }
    for stage in &mut stages {
        prepare(&mut stage.guest, stage.size.shape, plan.tokens, Some((report, &stage.size.name)))?;
    }
    eprintln!("timing look-ups and decisions: {} rounds", plan.rounds);
    for round in 0..plan.rounds {
        for stage in &mut stages {
            let look_ups = Request::LookUps { batches: plan.batches, seed: round, changed: 0 };
            report.add(&stage.size.name, stage.guest.ask(&look_ups)?);
            let decisions = Request::Decisions { count: plan.decisions, seed: round };
            report.add(&stage.size.name, stage.guest.ask(&decisions)?);
        }
    }
    let largest =
        stages.into_iter().max_by_key(|stage| (stage.size.shape.rows, u32::MAX - stage.size.shape.system_users));
    match largest {
        Some(stage) if plan.changes => changes(plan, stage, &publisher, report),
        _ => Ok(()),
    }
}

/// Rows that the peers get.
const PEER_ROWS: u32 = 100_000;

/// Puts the same questions to the peers; what each was given, in words.
pub fn run_peers(asked: Asked, report: &mut Report) -> Result<String> {
    eprintln!("beside the peers: {PEER_ROWS} rows");
    let folder = tempfile::tempdir()?;
    let publisher = Publisher::new()?;
    let (shape, files) = (Shape::of_rows(PEER_ROWS), Published::inside(folder.path()));
    publisher.build(shape, &files)?;
    peers::run(&World::new(shape)?, &publisher.open(&files)?, asked, report)
}

/// Builds in a process of its own, whose peak memory is its own.
fn build(size: &Size, folder: &Path, report: &mut Report) -> Result<Published> {
    let folder = folder.join(&size.name);
    std::fs::create_dir(&folder)?;
    let Shape { system_users, rows, .. } = size.shape;
    eprintln!("building {rows} rows over {system_users} system users");
    let output = Command::new(std::env::current_exe()?)
        .args(["build", "--rows", &rows.to_string(), "--system-users", &system_users.to_string(), "--into"])
        .arg(&folder)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the snapshot could not be built");
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    report.add(&size.name, lines.lines().filter_map(Figure::parse));
    Ok(Published::inside(&folder))
}

/// Starts a program and loads the snapshot as often as planned, each beside the one in force.
fn load(
    plan: &Plan,
    size: &Size,
    files: &Published,
    publisher: &Publisher,
    program: &Program,
    report: &mut Report,
) -> Result<Guest> {
    let mut guest = Guest::in_wasmtime(program);
    report.add("", guest.ask(&Request::SnapshotKey(publisher.key_der()))?);
    let head = std::fs::read(&files.head)?;
    let image = std::fs::read(&files.image)?;
    for turn in 0..plan.loads.max(2) {
        eprintln!("loading {} (turn {})", size.name, turn + 1);
        load_once(&mut guest, plan.step_numbers, &head, &image)?;
        let megabytes = guest.memory_bytes() as f64 / 1e6;
        match turn {
            0 => report.add(&size.name, [Figure::new("memory.one", megabytes, "MB")]),
            1 => report.add(&size.name, [Figure::new("memory.two", megabytes, "MB")]),
            _ => {}
        }
    }
    report.add(&size.name, guest.ask(&Request::Loads)?);
    Ok(guest)
}

fn load_once(guest: &mut Guest, step_numbers: u32, head: &[u8], image: &[u8]) -> Result<()> {
    guest.tell(&Request::Load { step_numbers, head })?;
    for slice in image.chunks(CHUNK_BYTES) {
        guest.tell(&Request::Slice(slice))?;
    }
    guest.figures().map(|_| ())
}

/// Tells the program whose rows it has and gives it tokens.
fn prepare(guest: &mut Guest, shape: Shape, count: usize, report: Option<(&mut Report, &str)>) -> Result<()> {
    guest.ask(&Request::World(shape))?;
    guest.ask(&Request::IssuerKey(issuer_jwk()?.to_string().as_bytes()))?;
    let world = World::new(shape)?;
    let mut figures = Vec::new();
    for (user, token) in tokens(&world, count)? {
        figures.extend(guest.ask(&Request::Token { user, token: token.as_bytes() })?);
    }
    if let Some((report, name)) = report {
        report.add(name, figures);
    }
    Ok(())
}

/// What a change costs, and what it costs to have very many of them.
fn changes(plan: &Plan, mut stage: Stage, publisher: &Publisher, report: &mut Report) -> Result<()> {
    let name = stage.size.name.clone();
    eprintln!("changing {name}");
    let mut policy = publisher.open(&stage.files)?;
    let mut world = World::new(stage.size.shape)?;
    let mut changed = 0;
    for turn in 0..CHANGES_TIMED * 2 {
        let is_checked = turn % 2 == 0;
        let piece = change(publisher, &mut world, &mut policy, &mut changed, 1, (report, &name))?;
        if turn == 0 {
            report.add(&name, [Figure::new("change.piece", piece.len() as f64, "bytes")]);
        }
        let figures = stage.guest.ask(&Request::Change { is_checked, rows: changed, piece: &piece })?;
        let named = |figure: Figure| {
            if is_checked { figure } else { Figure { name: "change.apply_unchecked".to_owned(), ..figure } }
        };
        report.add(&name, figures.into_iter().map(named));
        if changed == 1 {
            overlaid(plan, &mut stage, changed, report)?;
        }
    }
    let changeable = world.shape().agents * CHANGED_ROWS_OF_ONE;
    for rows in OVERLAYS.into_iter().filter(|rows| *rows <= changeable) {
        while changed < rows {
            let more = (rows - changed).min(CHANGED_ROWS_OF_DELTA);
            let mut unused = Report::default();
            let piece = change(publisher, &mut world, &mut policy, &mut changed, more, (&mut unused, &name))?;
            stage.guest.ask(&Request::Change { is_checked: false, rows: changed, piece: &piece })?;
        }
        if changed == rows {
            overlaid(plan, &mut stage, rows, report)?;
        }
    }
    Ok(())
}

/// The piece that changes so many more rows.
fn change(
    publisher: &Publisher,
    world: &mut World,
    policy: &mut policies::PolicySet,
    changed: &mut u32,
    more: u32,
    (report, name): (&mut Report, &str),
) -> Result<Vec<u8>> {
    let users: BTreeSet<u32> = (*changed..*changed + more).map(|number| world.changing(number).0).collect();
    *changed += more;
    world.change(*changed);
    let change = publisher.change(world, &users, policy).context("the change could not be compiled")?;
    report.add(name, [Figure::new("change.compile", change.compile_microseconds, "us")]);
    Ok(change.piece)
}

/// Look-ups with so many rows changed: of any row, and of those.
fn overlaid(plan: &Plan, stage: &mut Stage, rows: u32, report: &mut Report) -> Result<()> {
    let of = format!("{}.overlay_{}", stage.size.name, count_word(rows));
    for round in 0..plan.rounds {
        let any = Request::LookUps { batches: plan.batches, seed: round, changed: 0 };
        report.add(&of, stage.guest.ask(&any)?);
        let only = Request::LookUps { batches: plan.batches, seed: round, changed: rows };
        report.add(&format!("{of}.changed"), stage.guest.ask(&only)?);
    }
    let memory = Figure::new("memory.with_changes", stage.guest.memory_bytes() as f64 / 1e6, "MB");
    report.add(&of, [memory]);
    Ok(())
}
