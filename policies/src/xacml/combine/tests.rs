//! Every algorithm on every row of decisions, against what the standard's text says of a whole row.

use super::*;
use Extended::{Deny, IndeterminateBoth, IndeterminateDeny, IndeterminatePermit, NotApplicable, Permit};

const ALL: [Extended; 6] = [Permit, Deny, NotApplicable, IndeterminatePermit, IndeterminateDeny, IndeterminateBoth];

/// As appendix C has it, read over all decisions at once.
fn expected(algorithm: Algorithm, row: &[Extended]) -> Extended {
    let has = |decision| row.contains(&decision);
    let any_indeterminate = row.iter().any(|decision| decision.is_indeterminate());
    let first = row.iter().copied().find(|decision| *decision != NotApplicable).unwrap_or(NotApplicable);
    // Overrides, told once for the winning side; the other is its mirror image.
    let overrides = |wins: Extended, loses: Extended, may_win: Extended, may_lose: Extended| {
        if has(wins) {
            wins
        } else if has(IndeterminateBoth) || (has(may_win) && (has(may_lose) || has(loses))) {
            IndeterminateBoth
        } else if has(may_win) {
            may_win
        } else if has(loses) {
            loses
        } else if has(may_lose) {
            may_lose
        } else {
            NotApplicable
        }
    };
    let legacy = |wins: Extended, loses: Extended, may_win: Extended| {
        if has(wins) {
            wins
        } else if has(may_win) || has(IndeterminateBoth) {
            IndeterminateBoth
        } else if has(loses) {
            loses
        } else if any_indeterminate {
            IndeterminateBoth
        } else {
            NotApplicable
        }
    };
    match algorithm {
        Algorithm::DenyOverrides => overrides(Deny, Permit, IndeterminateDeny, IndeterminatePermit),
        Algorithm::PermitOverrides => overrides(Permit, Deny, IndeterminatePermit, IndeterminateDeny),
        Algorithm::DenyUnlessPermit => {
            if has(Permit) {
                Permit
            } else {
                Deny
            }
        }
        Algorithm::PermitUnlessDeny => {
            if has(Deny) {
                Deny
            } else {
                Permit
            }
        }
        Algorithm::FirstApplicable | Algorithm::OnlyOneApplicable => first,
        Algorithm::LegacyRuleDenyOverrides => legacy(Deny, Permit, IndeterminateDeny),
        Algorithm::LegacyRulePermitOverrides => legacy(Permit, Deny, IndeterminatePermit),
        Algorithm::LegacyPolicyDenyOverrides if has(Deny) || any_indeterminate => Deny,
        Algorithm::LegacyPolicyDenyOverrides => {
            if has(Permit) {
                Permit
            } else {
                NotApplicable
            }
        }
        Algorithm::LegacyPolicyPermitOverrides if has(Permit) => Permit,
        Algorithm::LegacyPolicyPermitOverrides if has(Deny) => Deny,
        Algorithm::LegacyPolicyPermitOverrides => {
            if any_indeterminate {
                IndeterminateBoth
            } else {
                NotApplicable
            }
        }
    }
}

#[test]
fn every_algorithm_on_every_row_of_up_to_four() {
    let algorithms = [
        Algorithm::DenyOverrides,
        Algorithm::PermitOverrides,
        Algorithm::DenyUnlessPermit,
        Algorithm::PermitUnlessDeny,
        Algorithm::FirstApplicable,
        Algorithm::OnlyOneApplicable,
        Algorithm::LegacyRuleDenyOverrides,
        Algorithm::LegacyRulePermitOverrides,
        Algorithm::LegacyPolicyDenyOverrides,
        Algorithm::LegacyPolicyPermitOverrides,
    ];
    let mut rows: Vec<Vec<Extended>> = vec![Vec::new()];
    let mut at = 0;
    while at < rows.len() {
        let row = rows[at].clone();
        for algorithm in algorithms {
            let mut combiner = Combiner::new(algorithm);
            for decision in &row {
                if !combiner.is_decided() {
                    combiner.add(*decision);
                }
            }
            assert_eq!(combiner.finish(), expected(algorithm, &row), "{algorithm:?} {row:?}");
        }
        if row.len() < 4 {
            rows.extend(ALL.map(|next| [row.as_slice(), &[next]].concat()));
        }
        at += 1;
    }
    assert_eq!(rows.len(), 1 + 6 + 36 + 216 + 1_296);
}

#[test]
fn identifiers() {
    let of = |version: &str, kind: &str, name: &str, for_set| {
        Algorithm::from_uri(&format!("urn:oasis:names:tc:xacml:{version}:{kind}-combining-algorithm:{name}"), for_set)
    };
    for kind in ["rule", "policy"] {
        let for_set = kind == "policy";
        for name in [
            "deny-overrides",
            "permit-overrides",
            "ordered-deny-overrides",
            "ordered-permit-overrides",
            "deny-unless-permit",
            "permit-unless-deny",
        ] {
            assert!(of("3.0", kind, name, for_set).is_some(), "{kind} {name}");
            assert_eq!(of("3.0", kind, name, !for_set), None);
        }
        assert!(of("1.0", kind, "first-applicable", for_set).is_some());
        assert!(of("1.1", kind, "ordered-deny-overrides", for_set).is_some());
        assert_eq!(of("1.0", kind, "only-one-applicable", for_set).is_some(), for_set);
        assert_eq!(of("3.0", kind, "on-permit-apply-second", for_set), None);
    }
}

/// Snapshots hold these numbers.
#[test]
fn numbers_of_algorithms_never_change() {
    let numbers: Vec<_> =
        (0..=255).filter_map(|number| Some(format!("{number} {:?}", Algorithm::from_number(number)?))).collect();
    assert_eq!(
        numbers.join(", "),
        "1 DenyOverrides, 2 PermitOverrides, 3 DenyUnlessPermit, 4 PermitUnlessDeny, 5 FirstApplicable, \
         6 OnlyOneApplicable, 7 LegacyRuleDenyOverrides, 8 LegacyRulePermitOverrides, 9 LegacyPolicyDenyOverrides, \
         10 LegacyPolicyPermitOverrides"
    );
    assert!((1..=10).all(|number| Algorithm::from_number(number).is_some_and(|one| one.number() == number)));
}
