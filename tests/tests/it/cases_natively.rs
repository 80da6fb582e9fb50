//! Every case, put to `policies` directly; and what the cases must cover.

use std::collections::BTreeSet;
use std::hash::RandomState;

use gateway_tests::cases::{self, CASE_NOW, Expectation, HostKind, Report, native};
use policies::token::{PureRust, SignatureError, TokenCache, VerificationKey, VerifySignature};
use policies::{ApiCall, DenialReason, Timestamp, authorize, authorize_cached};

#[test]
fn every_case() {
    let mut report = Report::default();
    for case in cases::for_host(HostKind::Native).unwrap() {
        report.note(&case, native::run(&case));
    }
    report.finish().unwrap();
}

/// Most cases have the same token and the same call, and many nearly the same policy: what was remembered of one must not
/// decide another.
#[test]
fn what_is_known_from_other_calls_and_policies_changes_no_decision() {
    let now = Timestamp::parse_rfc3339(CASE_NOW).unwrap();
    let decided: Vec<_> = cases::for_host(HostKind::Native)
        .unwrap()
        .into_iter()
        .filter_map(|case| {
            let policy = native::policy(&case, now).unwrap();
            let headers = case.headers(now).unwrap();
            let call = ApiCall::parse(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))).ok()?;
            let decision = format!("{:?}", authorize(&policy, &call, now, &PureRust));
            Some((case.name, policy, call, decision))
        })
        .collect();
    assert!(decided.len() > 100, "{}", decided.len());
    let mut cache = TokenCache::new(RandomState::new());
    let (forth, back) = (decided.iter(), decided.iter().rev());
    for (name, policy, call, decision) in forth.chain(back).chain(&decided) {
        for _ in 0..2 {
            let cached = authorize_cached(policy, call, now, &PureRust, &mut cache);
            assert_eq!(format!("{cached:?}"), *decision, "{name}");
        }
    }
}

#[test]
fn every_reason_to_deny_is_in_a_case_and_names_its_file() {
    // A host that fails while it verifies cannot be written as a case; `signature_that_cannot_be_checked` proves it.
    // Nor can one of a remote decision point: `remote_pdp.rs` has those.
    let elsewhere = BTreeSet::from(["signature_unchecked", "remote_pdp_denies", "remote_pdp_unavailable"]);
    let all = cases::all().unwrap();
    let proven: BTreeSet<&str> = all
        .iter()
        .filter_map(|case| match &case.expect {
            Expectation::Deny { reason, .. } => Some((case, reason)),
            Expectation::Permit { .. } => None,
        })
        .filter(|(case, reason)| {
            let file = case.name.split('/').next_back().unwrap();
            file.split('-').next().unwrap() == reason.as_str()
        })
        .map(|(_, reason)| reason.as_str())
        .collect();
    let known: BTreeSet<&str> = DenialReason::all().map(DenialReason::code).collect();
    let missing: Vec<_> = known.difference(&proven).filter(|code| !elsewhere.contains(*code)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "reasons without a case that is named after them");
    let unknown: Vec<_> = proven.difference(&known).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
}

#[test]
fn every_way_to_a_permit_is_in_a_case() {
    let ways: BTreeSet<String> = cases::all()
        .unwrap()
        .into_iter()
        .filter_map(|case| match case.expect {
            Expectation::Permit { through, .. } => Some(through.split(':').next().unwrap().to_owned()),
            Expectation::Deny { .. } => None,
        })
        .collect();
    assert_eq!(
        ways.into_iter().collect::<Vec<_>>(),
        ["caller_kind", "direct", "off", "policy", "preflight", "shadow", "urn"]
    );
}

#[test]
fn signature_that_cannot_be_checked() {
    struct Broken;
    impl VerifySignature for Broken {
        fn verify(&self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
            // Snapshots verify; then the host fails.
            if key.kid() == "snapshot" {
                PureRust.verify(key, message, signature)
            } else {
                Err(SignatureError::Unavailable)
            }
        }
    }
    let case = cases::all().unwrap().into_iter().find(|case| case.name == "permit/direct_right").unwrap();
    let denial = native::decide(&case, &Broken).unwrap().unwrap_err();
    assert_eq!((denial.reason.code(), denial.reason.status()), ("signature_unchecked", 503));
}
