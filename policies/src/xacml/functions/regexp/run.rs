//! Runs the program of a pattern: all ways through it at once, one character after the other. Every step is paid for.

use super::{Machine, Step};
use crate::xacml::functions::{Fuel, Spent};

/// Steps that one unit of fuel buys.
const STEPS_PER_FUEL: usize = 8;
/// Steps that are taken before they are paid for, at most, but for those to the next character.
const UNPAID_MAX: usize = 4_096;

/// Where the ways through a pattern are: room that is taken once in a decision and serves every match.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    /// Steps to go on from.
    following: Vec<usize>,
    /// Steps that wait for the next character.
    waiting: Vec<usize>,
    /// Of each step the place at which it was last reached, counted from 1.
    reached: Vec<usize>,
    /// Steps that were taken and are not paid for.
    unpaid: usize,
}

/// Whether the pattern matches some part of the text.
pub(super) fn is_match(machine: &Machine, text: &str, fuel: &mut Fuel) -> Result<bool, Spent> {
    let mut threads = fuel.lend_threads();
    let answer = threads.run(machine, text, fuel);
    fuel.take_back(threads);
    answer
}

impl Threads {
    fn run(&mut self, machine: &Machine, text: &str, fuel: &mut Fuel) -> Result<bool, Spent> {
        self.following.clear();
        self.reached.clear();
        self.reached.resize(machine.steps.len(), 0);
        self.unpaid = machine.steps.len();
        let mut letters = text.chars();
        for place in 1_usize.. {
            let letter = letters.next();
            // A match may begin anywhere.
            self.following.push(0);
            if self.follow(machine, place, letter.is_none()) {
                break;
            }
            let Some(letter) = letter else { return self.pay(fuel).map(|()| false) };
            self.look_at(machine, letter, fuel)?;
            self.pay(fuel)?;
        }
        self.pay(fuel).map(|()| true)
    }

    /// Goes on to the steps that look at a character. True if the pattern matches before that.
    fn follow(&mut self, machine: &Machine, place: usize, is_end: bool) -> bool {
        self.waiting.clear();
        while let Some(at) = self.following.pop() {
            self.unpaid = self.unpaid.saturating_add(1);
            let (Some(step), Some(reached)) = (machine.steps.get(at), self.reached.get_mut(at)) else { continue };
            if *reached == place {
                continue;
            }
            *reached = place;
            match *step {
                Step::Letter(_) | Step::Class(_) => self.waiting.push(at),
                Step::Start if place == 1 => self.following.push(off(at, 1)),
                Step::End if is_end => self.following.push(off(at, 1)),
                Step::Start | Step::End => {}
                Step::Jump(by) => self.following.push(off(at, by)),
                Step::Fork(by) => self.following.extend([off(at, by), off(at, 1)]),
                Step::Match => return true,
            }
        }
        false
    }

    /// Goes on from the steps that this character lets through.
    fn look_at(&mut self, machine: &Machine, letter: char, fuel: &mut Fuel) -> Result<(), Spent> {
        for index in 0..self.waiting.len() {
            // One character may cost much where many wait for it with long classes.
            if self.unpaid > UNPAID_MAX {
                self.pay(fuel)?;
            }
            let Some(at) = self.waiting.get(index) else { break };
            self.unpaid = self.unpaid.saturating_add(1);
            let goes_on = match machine.steps.get(*at) {
                Some(Step::Letter(wanted)) => *wanted == letter,
                Some(Step::Class(position)) => {
                    let class = usize::try_from(*position).ok().and_then(|index| machine.classes.get(index));
                    class.is_some_and(|class| {
                        self.unpaid = self.unpaid.saturating_add(class.weight());
                        class.has(letter)
                    })
                }
                _ => false,
            };
            if goes_on {
                self.following.push(off(*at, 1));
            }
        }
        Ok(())
    }

    fn pay(&mut self, fuel: &mut Fuel) -> Result<(), Spent> {
        let units = self.unpaid / STEPS_PER_FUEL;
        self.unpaid %= STEPS_PER_FUEL;
        fuel.pay(u64::try_from(units).unwrap_or(u64::MAX))
    }
}

fn off(at: usize, by: i32) -> usize {
    at.saturating_add_signed(isize::try_from(by).unwrap_or(0))
}
