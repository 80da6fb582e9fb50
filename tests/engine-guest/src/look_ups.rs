//! What finding a row costs: system user, row, right, obligations; without a token or a route.

use std::hint::black_box;

use policies::PolicySet;

use crate::clock::Clock;
use crate::figures::{Figure, median, quantile};
use crate::random::Random;
use crate::world::{Question, World};

/// Look-ups timed as one, so that the clock does not count.
const BATCH: usize = 32;

/// Which questions are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookUps {
    /// Batches to time.
    pub(crate) batches: u32,
    /// Which questions.
    pub(crate) seed: u32,
    /// Only about so many rows that were changed; 0 for any row.
    pub(crate) changed: u32,
}

/// Times look-ups, each waiting for the one before, and checks every answer.
pub(crate) fn figures(
    policy: &PolicySet,
    world: &World,
    clock: &Clock,
    wanted: LookUps,
) -> Result<Vec<Figure>, String> {
    let mut random = Random::new(wanted.seed.into());
    let mut times = Vec::new();
    let mut questions = Vec::new();
    for _ in 0..wanted.batches {
        questions.clear();
        questions.extend((0..BATCH).map(|_| question(world, wanted.changed, &mut random)));
        let (nanoseconds, answers) = clock.time(|| ask(policy, &questions));
        times.push(nanoseconds / BATCH as f64);
        let expected = questions.iter().fold(0, |bits, question| bits << 1 | u32::from(question.answer));
        if answers != expected {
            return Err(format!("wrong answers: {answers:032b}, not {expected:032b}"));
        }
    }
    Ok(vec![
        Figure::new("look_up.median", median(&times), "ns"),
        Figure::new("look_up.p99", quantile(&times, 0.99), "ns"),
    ])
}

/// One bit for each answer.
fn ask(policy: &PolicySet, questions: &[Question]) -> u32 {
    let nothing = black_box(0);
    let mut answers: u32 = 0;
    for position in 0..questions.len() {
        // Which question comes next depends on the answer, as far as a processor can know.
        let Some(question) = questions.get(position ^ (answers as usize & nothing)) else { break };
        let level = policy.level_required(question.system_user, question.party, question.right);
        answers = answers << 1 | u32::from(level.is_some());
    }
    answers
}

fn question(world: &World, changed: u32, random: &mut Random) -> Question {
    if changed == 0 {
        return world.question(random);
    }
    let (user, position) = world.changing(random.below(changed as usize) as u32);
    world.question_about(user, world.row_of(user, position), random)
}
