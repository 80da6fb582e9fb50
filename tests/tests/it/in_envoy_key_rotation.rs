//! Maskinporten signs with a new key: gateways learn it through the control plane, and forget dropped ones.

use std::time::Duration;

use gateway_tests::stack::Gateway;
use gateway_tests::stack::cast::{ROERLEGGER, vat_path};
use gateway_tests::story::moves::{self, Wanted};
use gateway_tests::wait;

use crate::in_envoy_stage::Stage;

/// The control plane looks at most every ten seconds.
const LEARNED: Duration = Duration::from_secs(45);

async fn status_becomes(gateway: &Gateway, token: &str, status: u16, meanwhile: (u16, &str)) {
    let what = format!("the answer {status}");
    wait::until(&what, LEARNED, async || {
        let answer = gateway.get(&vat_path(ROERLEGGER), Some(token)).await?;
        if answer.status == status {
            return Ok(Some(()));
        }
        let answer = answer.expect(meanwhile.0)?;
        assert_eq!(answer.code(), meanwhile.1);
        Ok(None)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_new_key_reaches_the_gateway_and_a_dropped_one_is_forgotten() {
    let stage = Stage::set().await;
    let gateway = stage.gateway().await;
    let (_, first) = moves::system_user_of(&stage.platform, ROERLEGGER, Wanted::Vat).await.unwrap();
    let first = first.access_token;
    moves::first_permit(&gateway, &vat_path(ROERLEGGER), &first).await.unwrap();

    // The look-up is asked with a token of the new key, which the control plane must learn first.
    stage.platform.standin.set_token_lifetime(600).await.unwrap();
    let mut tokens = vec![first];
    for (algorithm, drop_old) in [("ES256", false), ("RS256", true)] {
        stage.platform.standin.rotate_keys(algorithm, drop_old).await.unwrap();
        let token = wait::until("a token with the new key", LEARNED, async || {
            Ok(moves::ask_for_token(&stage.platform, ROERLEGGER).await?.ok())
        });
        let token = token.await.unwrap().access_token;
        status_becomes(&gateway, &token, 200, (401, "key_unknown")).await;
        if !drop_old {
            for token in &tokens {
                status_becomes(&gateway, token, 200, (200, "")).await;
            }
        }
        tokens.push(token);
    }
    let newest = tokens.pop().unwrap();
    for token in &tokens {
        status_becomes(&gateway, token, 401, (200, "")).await;
    }
    status_becomes(&gateway, &newest, 200, (200, "")).await;
}
