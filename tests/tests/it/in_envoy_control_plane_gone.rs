//! The control plane dies without warning: gateways go on deciding, and take up changes when it is back.

use std::time::Duration;

use gateway_tests::stack::GatewayOptions;
use gateway_tests::stack::cast::{FJORDBAKERIET, ROERLEGGER, annual_accounts_path, vat_path};
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::wait;

use crate::in_envoy_stage::Stage;

#[tokio::test]
async fn decisions_go_on_and_the_next_approval_arrives_after_a_restart() {
    let mut stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let (_, theirs) = moves::system_user_of(&stage.platform, FJORDBAKERIET, Wanted::Vat).await.unwrap();
    let theirs = theirs.access_token;
    moves::first_permit(&gateway, &vat_path(FJORDBAKERIET), &theirs).await.unwrap();
    stage.platform.newest_in_force(gateway.name()).await.unwrap();
    let request = moves::request_system_user(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();

    stage.platform.control_plane.kill().unwrap();
    for _ in 0..20 {
        gateway.get(&vat_path(FJORDBAKERIET), Some(&theirs)).await.unwrap().expect(200).unwrap();
        let refused = gateway.get(&annual_accounts_path(FJORDBAKERIET), Some(&theirs)).await.unwrap();
        assert_eq!(refused.expect(403).unwrap().code(), "right_missing");
    }
    let what = "the gateway to notice that the control plane is gone";
    wait::until(what, Duration::from_secs(10), async || {
        Ok((gateway.count("portvakt.feed.failed").await? > 0).then_some(()))
    })
    .await
    .unwrap();
    gateway.get(&vat_path(FJORDBAKERIET), Some(&theirs)).await.unwrap().expect(200).unwrap();
    assert!(moves::ask_for_token(&stage.platform, FJORDBAKERIET).await.unwrap().is_err_and(|refusal| {
        // Maskinporten cannot ask, so it gives nothing.
        refusal.error == "server_error"
    }));

    stage.platform.control_plane.restart().await.unwrap();
    moves::approve(&stage.platform, ROERLEGGER, &request.id).await.unwrap();
    let token = moves::token(&stage.platform, ROERLEGGER).await.unwrap().access_token;
    moves::first_permit(&gateway, &vat_path(ROERLEGGER), &token).await.unwrap();
    // What was approved before is still in the database.
    gateway.get(&vat_path(FJORDBAKERIET), Some(&theirs)).await.unwrap().expect(200).unwrap();
}

#[tokio::test]
async fn a_policy_that_is_too_old_denies_until_the_control_plane_is_back() {
    let mut stage = Stage::set().await;
    let options = GatewayOptions { poll_seconds: 1, stale_seconds: 3, ..GatewayOptions::default() };
    let gateway = stage.gateway_with(options).await;
    let (_, token) = moves::system_user_of(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();
    let (path, token) = (vat_path(ROERLEGGER), token.access_token);
    moves::first_permit(&gateway, &path, &token).await.unwrap();

    stage.platform.control_plane.kill().unwrap();
    let refused = wait::until("the policy to be too old", Duration::from_secs(15), async || {
        let answer = gateway.get(&path, Some(&token)).await?;
        Ok((answer.status != 200).then_some(answer))
    });
    let refused = refused.await.unwrap().expect(503).unwrap();
    assert_eq!(refused.code(), "policy_stale");
    assert!(refused.header("retry-after").is_some());

    stage.platform.control_plane.restart().await.unwrap();
    wait::until("calls to be let through again", Duration::from_secs(30), async || {
        let answer = gateway.get(&path, Some(&token)).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await
    .unwrap();
}
