//! Cases put to `policies` directly.

use std::hash::RandomState;

use anyhow::{Result, bail, ensure};
use policies::id::ProviderId;
use policies::snapshot::SnapshotKey;
use policies::token::{PureRust, TokenCache, VerifySignature};
use policies::{
    ApiCall, Basis, Decision, Denial, Permit, PolicySet, PolicyTrouble, Timestamp, authorize, authorize_cached,
};

use super::{CASE_NOW, Case, Expectation, keys, publish_all};

/// The decision about a case's call, with signatures verified so.
pub fn decide(case: &Case, signatures: &dyn VerifySignature) -> Result<Result<Permit, Box<Denial>>> {
    let now = Timestamp::parse_rfc3339(CASE_NOW)?;
    let policy = policy(case, now)?;
    let headers = case.headers(now)?;
    let call = ApiCall::parse(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    let decision = call.map(|call| {
        let decision = authorize(&policy, &call, now, signatures);
        let mut cache = TokenCache::new(RandomState::new());
        for again in ["for the first time", "with the token known"] {
            let cached = authorize_cached(&policy, &call, now, signatures, &mut cache);
            assert_eq!(format!("{cached:?}"), format!("{decision:?}"), "{}: {again}", case.name);
        }
        decision
    });
    Ok(match decision {
        Ok(Decision::Permit(permit)) => Ok(permit),
        Ok(Decision::Denial(denial)) => Err(denial),
        Err(error) => Err(Box::new(Denial::new(error.into()))),
    })
}

/// Runs one case.
pub fn run(case: &Case) -> Result<()> {
    match (&decide(case, &PureRust)?, &case.expect) {
        (Ok(permit), Expectation::Permit { route, through, .. }) => {
            ensure!(permit.route() == route, "took route `{}`", permit.route());
            let basis = through_text(permit);
            ensure!(basis == *through, "permitted through `{basis}`");
            Ok(())
        }
        (Err(denial), Expectation::Deny { reason, status, .. }) => {
            let code = denial.reason.code();
            ensure!(code == reason, "denied with `{code}`");
            ensure!(denial.reason.status() == *status, "denied with status {}", denial.reason.status());
            Ok(())
        }
        (Ok(permit), _) => bail!("permitted through `{}`", through_text(permit)),
        (Err(denial), _) => bail!("denied: {} ({})", denial.explain(), denial.reason.code()),
    }
}

/// The policy after everything has been published, as a gateway would have it.
pub fn policy(case: &Case, now: Timestamp) -> Result<PolicySet> {
    let key = SnapshotKey::from_public_key_pem(&keys::key("snapshot")?.public_pem()?)?;
    let provider = ProviderId::parse("regnskapsregisteret")?;
    let mut policy = PolicySet::deny_all(PolicyTrouble::Missing);
    for (publication, published) in case.published.iter().zip(publish_all(&case.published, now)?) {
        let keys = std::slice::from_ref(&key);
        let taken = policy.update(published.body, keys, &provider, now, &PureRust);
        match (taken, publication.refused.as_deref()) {
            (Ok(()), None) => {}
            (Err(error), Some(code)) => {
                ensure!(error.code() == code, "snapshot refused with `{}`: {error}", error.code())
            }
            (Ok(()), Some(code)) => bail!("a snapshot was applied that should be refused with `{code}`"),
            (Err(error), None) => bail!("snapshot refused: {error}"),
        }
    }
    Ok(policy)
}

fn through_text(permit: &Permit) -> String {
    match permit.basis() {
        Basis::Right(held) => held.through.to_string(),
        Basis::CallerKind { .. } => "caller_kind".to_owned(),
        Basis::Shadow(denial) => format!("shadow:{}", denial.reason.code()),
        Basis::RouteOff => "off".to_owned(),
        Basis::Remote(_) => "remote".to_owned(),
        Basis::Preflight => "preflight".to_owned(),
    }
}
