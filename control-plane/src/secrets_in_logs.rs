//! Nothing that is logged, at the most talkative level, has a token, a credential, a key or a body in it.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::json;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::test_state::{TestState, story};

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Says of every log line that somebody may want it, and wants none.
struct Undecided;

impl Subscriber for Undecided {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// `tracing` asks once for each log line whether anybody wants it, when the first thread comes by, and a test without a
/// subscriber would answer for all. Whoever makes a control plane calls this first; then each thread is asked.
pub(crate) fn ask_each_thread() {
    static ASKED: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Undecided));
    LazyLock::force(&ASKED);
}

#[tokio::test]
async fn secrets_are_in_no_log_line() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let test = TestState::with_request().await;
    let id = test.approve().await;
    let gateway = test.gateway().await;
    test.fetch(&gateway, None).await;
    test.poll("pvgw_wrong-credential", None, "wait=0").await.expect_code(401, "credential_invalid");
    let forged = format!("{}x", test.vendor());
    test.get(story::SYSTEMS, &forged).await.expect_code(401, "token_invalid");
    let body = json!({ "systemId": "very-private-body", "partyOrgNo": "310247049" });
    test.post(story::REQUESTS, &test.vendor(), &body).await.expect(404);
    test.get(&format!("{}&externalRef=very-private-query", story::lookup()), &test.maskinporten()).await.expect(404);
    // What fails on our side is logged with its cause.
    test.state.store.close().await;
    test.get(&format!("{}/{id}", story::system_users_of_hansen()), &test.administrator_of_hansen()).await.expect(500);

    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("answered") && text.contains("call failed"), "nothing was logged");
    let mut secrets = vec![gateway, forged, "pvgw_wrong-credential".to_owned(), "very-private".to_owned()];
    for token in [test.vendor(), test.operator(), test.resource_owner(), test.maskinporten()] {
        secrets.push(token.split('.').nth(1).unwrap().to_owned());
        secrets.push(token);
    }
    secrets.push("PRIVATE KEY".to_owned());
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "logged: {}", line.unwrap_or_default());
    }
}
