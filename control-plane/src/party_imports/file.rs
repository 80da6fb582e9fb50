//! A file of parties: one body of `PUT /portvakt/v1/parties` after another, each stored as if it had been sent.

use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::put::{Body, store_body};
use crate::parties;
use crate::problem::Problem;
use crate::state::AppState;

/// Stores every body of the file; gives their number. Bodies before a wrong one stay stored.
pub(crate) async fn import(state: &AppState, file: &Path) -> anyhow::Result<usize> {
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read the parties `{}`", file.display()))?;
    let mut bodies = 0;
    for body in serde_json::Deserializer::from_reader(BufReader::new(opened)).into_iter::<Body>() {
        bodies += 1;
        let which = || format!("body {bodies} of `{}` is not accepted", file.display());
        let body = body.with_context(which)?;
        let by = json!({ "file": file.display().to_string() });
        store_body(state, body, by).await.map_err(Problem::into_error).with_context(which)?;
    }
    Ok(bodies)
}

/// The same, unless there are parties already: what is stored may be newer than the file.
pub(crate) async fn import_first(state: &AppState, file: &Path) -> anyhow::Result<()> {
    let mut connection = state.store.read().await?;
    let has_parties = parties::store::has_some(&mut connection).await?;
    drop(connection);
    if !has_parties {
        let bodies = import(state, file).await?;
        tracing::info!(bodies, "imported the first parties");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn a_file_has_one_body_after_another() {
        let test = TestState::new().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("parties.json");
        let mut second = story::parties()["parties"][0].clone();
        second["name"] = "Hansen AS".into();
        let text = format!("{:#}\n{}", story::parties(), serde_json::json!({ "parties": [second] }));
        std::fs::write(&file, text).unwrap();
        super::import_first(&test.state, &file).await.unwrap();
        let before = test.state.store.revision().await.unwrap();
        super::import_first(&test.state, &file).await.unwrap();
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        assert_eq!(super::import(&test.state, &file).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_wrong_body_is_named() {
        let test = TestState::new().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("parties.json");
        for (text, named) in [
            (format!("{} {{\"people\":[]}}", story::parties()), "people"),
            ("{} {\"relations\":[{\"client\":\"310247049\",\"role\":\"regnskapsforer\",\"provider\":\"310247065\"}]}".into(), "party_unknown"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", super::import(&test.state, &file).await.unwrap_err());
            assert!(error.starts_with("body 2 of") && error.contains(named), "{error}");
        }
        let error = super::import(&test.state, &folder.path().join("none")).await.unwrap_err();
        assert!(error.to_string().contains("none"));
    }
}
