//! Measuring in turns: every subject once in each round, in an order that differs from round to round, so that a machine
//! that gets slower meanwhile is slower for all of them. Ratios are taken within a round; their median counts.

use engine_guest::random::Random;

/// The turns of all rounds: (round, position of the subject), each subject once in each round.
pub fn turns(rounds: u32, subjects: usize) -> impl Iterator<Item = (u32, usize)> {
    let mut random = Random::new(0x0dd5);
    (0..rounds).flat_map(move |round| {
        let mut order: Vec<usize> = (0..subjects).collect();
        for last in (1..subjects).rev() {
            order.swap(last, random.below(last + 1));
        }
        order.into_iter().map(move |subject| (round, subject))
    })
}

/// What `f` makes of two subjects' values, round by round; rounds that one of them lacks are left out, as is what is not
/// finite.
pub fn paired(first: &[f64], second: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    first.iter().zip(second).map(|(first, second)| f(*first, *second)).filter(|value| value.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_has_its_turn_in_every_round() {
        let turns: Vec<_> = turns(20, 5).collect();
        assert_eq!(turns.len(), 100);
        for (round, of_round) in (0_u32..).zip(turns.chunks(5)) {
            assert!(of_round.iter().all(|(number, _)| *number == round));
            let mut subjects: Vec<usize> = of_round.iter().map(|(_, subject)| *subject).collect();
            subjects.sort_unstable();
            assert_eq!(subjects, [0, 1, 2, 3, 4]);
        }
        assert!(turns.chunks(5).any(|of_round| of_round[0].1 != turns[0].1));
    }

    #[test]
    fn values_are_compared_within_a_round() {
        assert_eq!(paired(&[4.0, 9.0, 1.0], &[2.0, 3.0], |a, b| a / b), [2.0, 3.0]);
        assert_eq!(paired(&[4.0, 9.0], &[0.0, 3.0], |a, b| a / b), [3.0]);
    }
}
