//! For which packages, and for which actions, part of a rule's target matches.
//!
//! A target is made of "one of" and "all of" over matches, and no match is negated: so all that need be kept is which
//! single packages are enough, and whether there is any other way to match.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::AccessPackage;

/// Which packages are enough, when the action is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Held<'a> {
    /// Whatever is held, even nothing. Invariant: the other two say nothing then.
    pub(super) always: bool,
    /// Any one of these.
    pub(super) packages: BTreeSet<&'a AccessPackage>,
    /// There are other ways, which this form does not tell: two packages at once, or what differs from call to call.
    pub(super) more: bool,
}

/// The same for every action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByAction<'a> {
    /// Actions for which it is not as for all others, by position.
    pub(super) listed: BTreeMap<usize, Held<'a>>,
    /// For every other action.
    pub(super) others: Held<'a>,
}

impl<'a> Held<'a> {
    pub(super) fn never() -> Self {
        Self::default()
    }

    pub(super) fn always() -> Self {
        Self { always: true, ..Self::default() }
    }

    pub(super) fn one_of(packages: BTreeSet<&'a AccessPackage>) -> Self {
        Self { packages, ..Self::default() }
    }

    pub(super) fn in_other_ways() -> Self {
        Self { more: true, ..Self::default() }
    }

    pub(super) fn is_never(&self) -> bool {
        !self.always && self.packages.is_empty() && !self.more
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        if self.is_never() || other.is_never() {
            return Self::never();
        }
        if self.always {
            return other.clone();
        }
        if other.always {
            return self.clone();
        }
        // One of this and one of that: two at once, unless each single one of one side is enough for the other.
        let two_at_once = !self.packages.is_subset(&other.packages) && !other.packages.is_subset(&self.packages);
        Self {
            always: false,
            packages: self.packages.intersection(&other.packages).copied().collect(),
            more: self.more || other.more || two_at_once,
        }
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        if self.always || other.always {
            return Self::always();
        }
        Self {
            always: false,
            packages: self.packages.union(&other.packages).copied().collect(),
            more: self.more || other.more,
        }
    }
}

impl<'a> ByAction<'a> {
    /// The same for all actions.
    pub(super) fn of(others: Held<'a>) -> Self {
        Self { listed: BTreeMap::new(), others }
    }

    pub(super) fn for_action(&self, action: usize) -> &Held<'a> {
        self.listed.get(&action).unwrap_or(&self.others)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let actions: BTreeSet<usize> = self.listed.keys().chain(other.listed.keys()).copied().collect();
        let both = |action| (action, self.for_action(action).and(other.for_action(action)));
        Self { listed: actions.into_iter().map(both).collect(), others: self.others.and(&other.others) }
    }

    /// Adds another way to match: for these actions only, or for all.
    pub(super) fn or(&mut self, actions: Option<&BTreeSet<usize>>, held: &Held<'a>) {
        match actions {
            Some(actions) => {
                for action in actions {
                    let joined = self.for_action(*action).or(held);
                    self.listed.insert(*action, joined);
                }
            }
            None => {
                for known in self.listed.values_mut() {
                    *known = known.or(held);
                }
                self.others = self.others.or(held);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xacml::fuzz::Dice;

    /// A formula, both as it is kept and as a table: for each set of packages held, whether it is true.
    type Both<'a> = (Held<'a>, u32);

    /// Every formula over three packages: what is kept is the truth where it says that it is all, and never says too
    /// much where it is not.
    #[test]
    fn what_is_enough_is_enough() {
        let names = ["a", "b", "c"].map(|name| AccessPackage::from_name(name).unwrap());
        let table =
            |holds: &dyn Fn(usize) -> bool| (0..8).filter(|held| holds(*held)).map(|held| 1 << held).sum::<u32>();
        let mut known: Vec<Both<'_>> = vec![(Held::never(), 0), (Held::always(), 255)];
        for (at, package) in names.iter().enumerate() {
            known.push((Held::one_of(BTreeSet::from([package])), table(&|held| held >> at & 1 == 1)));
        }
        let mut dice = Dice(0x706f_7274_7661_6b10);
        let (mut whole, mut with_more) = (0, 0);
        for _ in 0..4_000 {
            let (one, other) = (&known[dice.below(known.len())], &known[dice.below(known.len())]);
            let joined = if dice.below(2) == 0 {
                (one.0.and(&other.0), one.1 & other.1)
            } else {
                (one.0.or(&other.0), one.1 | other.1)
            };
            let (held, truth) = &joined;
            let said = table(&|set| {
                held.always
                    || names.iter().enumerate().any(|(at, name)| set >> at & 1 == 1 && held.packages.contains(name))
            });
            assert_eq!(said & !truth, 0, "{held:?} says more than is true");
            assert!(held.more || said == *truth, "{held:?} says less than is true");
            *(if held.more { &mut with_more } else { &mut whole }) += 1;
            known.push(joined);
        }
        assert!(whole > 1_000 && with_more > 100, "{whole} {with_more}");
    }

    #[test]
    fn actions_that_are_not_listed_are_as_all_others() {
        let (a, b) = (AccessPackage::from_name("a").unwrap(), AccessPackage::from_name("b").unwrap());
        let one = |package| Held::one_of(BTreeSet::from([package]));
        let mut first = ByAction::of(Held::never());
        first.or(Some(&BTreeSet::from([0, 1])), &one(&a));
        first.or(None, &one(&b));
        let mut second = ByAction::of(Held::never());
        second.or(Some(&BTreeSet::from([1])), &Held::always());
        let both = first.and(&second);
        assert_eq!(both.for_action(1), &Held::one_of(BTreeSet::from([&a, &b])));
        assert!(both.for_action(0).is_never() && both.others.is_never());
        assert_eq!(first.for_action(7), &one(&b));
    }
}
