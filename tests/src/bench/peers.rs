//! The same questions put to engines that others wrote, natively and in turns.
//!
//! Every engine gets the rights in the form that serves it best among those that were tried, and each question ready-made;
//! what it costs to make the question is timed apart. All must give the same answers before any is timed.

mod cedar;
mod rego;

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use engine_guest::figures::{Figure, median};
use engine_guest::random::Random;
use engine_guest::world::{Question, World};
use policies::PolicySet;

use super::report::Report;

/// Authentication level of every caller.
const LEVEL: u8 = 3;
/// Decisions timed as one.
const BATCH: usize = 32;

/// An engine that can be asked.
trait Engine {
    /// What it is called in figures.
    fn name(&self) -> &'static str;
    /// In words: what it was given.
    fn given(&self) -> &'static str;
    /// Takes the questions, so that none has to be made while time is taken.
    fn prepare(&mut self, questions: &[Question]) -> Result<()>;
    /// The answer to a question.
    fn decide(&mut self, question: usize) -> Result<bool>;
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Questions, and decisions of every engine in a turn.
    pub questions: usize,
    /// Turns.
    pub rounds: u32,
}

/// What was compared, in words, a line for each engine.
pub fn run(world: &World, policy: &PolicySet, asked: Asked, report: &mut Report) -> Result<String> {
    let mut random = Random::new(5);
    let questions: Vec<Question> = (0..asked.questions).map(|_| world.question(&mut random)).collect();
    let mut engines: Vec<Box<dyn Engine + '_>> = vec![Box::new(Ours { policy, questions: Vec::new() })];
    engines.push(built(report, "cedar", || Ok(Box::new(cedar::Cedar::new(world, cedar::Requests::Ready)?)))?);
    engines.push(Box::new(cedar::Cedar::new(world, cedar::Requests::Made)?));
    engines.push(built(report, "regorus", || Ok(Box::new(rego::Rego::new(world, rego::Way::Machine)?)))?);
    engines.push(Box::new(rego::Rego::new(world, rego::Way::Interpreter)?));
    for engine in &mut engines {
        engine.prepare(&questions)?;
        check(engine.as_mut(), &questions)?;
    }
    for _ in 0..asked.rounds {
        for engine in &mut engines {
            let nanoseconds = time(engine.as_mut(), questions.len())?;
            report.add("", [Figure::new(format!("peers.{}", engine.name()), nanoseconds, "ns")]);
        }
    }
    let ours = report.value("peers.ours").ok_or_else(|| anyhow!("nothing was timed"))?;
    for peer in ["cedar", "regorus"] {
        let theirs = ["", "_interpreter"].iter().filter_map(|way| report.value(&format!("peers.{peer}{way}")));
        let best = theirs.fold(f64::INFINITY, f64::min);
        report.add("", [Figure::new(format!("peers.{peer}_ratio"), best / ours, "x")]);
    }
    let decisions = asked.questions as u64 * u64::from(asked.rounds);
    let mut words = format!(
        "{} rows, {decisions} decisions of each engine in {} turns, half of them permits; equal answers were checked first\n",
        world.row_count(),
        asked.rounds
    );
    for engine in &engines {
        words.push_str(&format!("  {:<22} {}\n", engine.name(), engine.given()));
    }
    Ok(words)
}

fn built<'a>(
    report: &mut Report,
    name: &str,
    build: impl FnOnce() -> Result<Box<dyn Engine + 'a>>,
) -> Result<Box<dyn Engine + 'a>> {
    let started = Instant::now();
    let engine = build()?;
    report.add("", [Figure::new(format!("peers.{name}_build"), started.elapsed().as_secs_f64(), "s")]);
    Ok(engine)
}

fn check(engine: &mut dyn Engine, questions: &[Question]) -> Result<()> {
    for (position, question) in questions.iter().enumerate() {
        let answer = engine.decide(position)?;
        if answer != question.answer {
            bail!("{} answers {answer} to {question:?}", engine.name());
        }
    }
    Ok(())
}

/// Median of batches, in nanoseconds for one decision.
fn time(engine: &mut dyn Engine, questions: usize) -> Result<f64> {
    let mut times = Vec::new();
    for first in (0..questions).step_by(BATCH) {
        let last = (first + BATCH).min(questions);
        let started = Instant::now();
        for position in first..last {
            black_box(engine.decide(position)?);
        }
        times.push(started.elapsed().as_nanos() as f64 / (last - first) as f64);
    }
    Ok(median(&times))
}

struct Ours<'a> {
    policy: &'a PolicySet,
    questions: Vec<Question>,
}

impl Engine for Ours<'_> {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn given(&self) -> &'static str {
        "the snapshot; system user, party and right of each question"
    }

    fn prepare(&mut self, questions: &[Question]) -> Result<()> {
        self.questions = questions.to_vec();
        Ok(())
    }

    fn decide(&mut self, question: usize) -> Result<bool> {
        let question = self.questions.get(question).ok_or_else(|| anyhow!("no such question"))?;
        let level = self.policy.level_required(question.system_user, question.party, question.right);
        Ok(level.is_some_and(|level| level <= LEVEL.into()))
    }
}
