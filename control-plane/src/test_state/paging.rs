//! Reads a long list to its end while entries are added, and says whether each was there once.

use std::collections::BTreeMap;

use super::TestState;

/// Entries that are there before the reading.
const ENTRIES: i64 = 2000;

/// Entries come by twos at one instant. `insert` takes an id, a reference and an instant.
pub(crate) async fn each_once(test: &TestState, path: &str, token: &str, insert: &'static str) {
    add(test, insert, 0, ENTRIES, 1_000_000).await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut next, mut pages) = (Some(path.to_owned()), 0);
    while let Some(page) = next {
        let page = test.get(&page, token).await.expect(200);
        let entries = page["data"].as_array().unwrap();
        for entry in entries {
            *seen.entry(entry["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        next = page["links"]["next"].as_str().map(|link| link.strip_prefix("http://portvakt.test").unwrap().to_owned());
        assert_eq!(next.is_some(), page["links"].get("next").is_some());
        assert!(entries.len() == 50 || next.is_none(), "{} entries on page {pages}", entries.len());
        pages += 1;
        if pages % 8 == 0 {
            // Some with ids below those that were shown, some above.
            add(test, insert, 10_000 + pages * 20, 20, 2_000_000).await;
        }
    }
    let of_before = (0..ENTRIES).filter(|number| seen.contains_key(&id(*number))).count();
    assert_eq!((of_before, seen.values().max()), (2000, Some(&1)));
    // What was added while there were pages to come was shown too.
    assert!(seen.len() >= 2080, "{}", seen.len());
}

async fn add(test: &TestState, insert: &'static str, first: i64, count: i64, instant: i64) {
    let mut change = test.state.store.change().await.unwrap();
    for number in first..first + count {
        sqlx::query(insert)
            .bind(id(number))
            .bind(format!("ref {number}"))
            .bind(instant + number / 2)
            .execute(change.connection())
            .await
            .unwrap();
    }
    change.commit_derived().await.unwrap();
}

/// Ids whose order is not that of the instants.
fn id(number: i64) -> String {
    format!("{:08x}-0000-4000-8000-{number:012}", (number * 7919) % 4093)
}
