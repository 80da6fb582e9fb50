//! Calls that come before the gateway has any policy: held for a bounded time, then decided or refused.

use std::time::{Duration, Instant};

use gateway_tests::stack::GatewayOptions;
use gateway_tests::stack::cast::{FJORDBAKERIET, ROERLEGGER, vat_path};
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::wait;

use crate::in_envoy_stage::Stage;

#[tokio::test]
async fn held_calls_are_decided_when_the_first_policy_comes() {
    let mut stage = Stage::set().await;
    let (_, token) = moves::system_user_of(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();
    let token = token.access_token;
    stage.platform.control_plane.kill().unwrap();
    let options = GatewayOptions { hold_milliseconds_max: 60_000, ..GatewayOptions::default() };
    let gateway = stage.gateway_with(options).await;

    let (caller, nobody) = (gateway.caller(Some(&token)), gateway.caller(None));
    let (own, others) = (vat_path(ROERLEGGER), vat_path(FJORDBAKERIET));
    let calls = async { tokio::join!(caller.get(&own), caller.get(&others), nobody.get(&own)) };
    let restart = async {
        wait::until("three calls to be held", Duration::from_secs(10), async || {
            Ok((gateway.count("portvakt.held").await? == 3).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(stage.platform.sample_api.calls(), 0);
        stage.platform.control_plane.restart().await.unwrap();
    };
    let ((permit, denial, challenge), ()) = tokio::join!(calls, restart);
    permit.unwrap().expect(200).unwrap();
    assert_eq!(denial.unwrap().expect(403).unwrap().code(), "party_not_represented");
    assert_eq!(challenge.unwrap().expect(401).unwrap().code(), "token_missing");
    assert_eq!(stage.platform.sample_api.calls(), 1);
}

#[tokio::test]
async fn without_a_policy_held_calls_are_refused_when_their_time_is_over() {
    let mut stage = Stage::set().await;
    let (_, token) = moves::system_user_of(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();
    stage.platform.control_plane.kill().unwrap();
    let options = GatewayOptions { hold_milliseconds_max: 300, ..GatewayOptions::default() };
    let gateway = stage.gateway_with(options).await;

    let start = Instant::now();
    let refused = gateway.get(&vat_path(ROERLEGGER), Some(&token.access_token)).await.unwrap();
    let waited = start.elapsed();
    let refused = refused.expect(503).unwrap();
    assert_eq!(refused.code(), "policy_missing");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    assert_eq!(stage.platform.sample_api.calls(), 0);
}
