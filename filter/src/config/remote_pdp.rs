//! The remote decision point: where it is, for whom it is asked, and how much of it there may be.

use std::collections::{BTreeMap, BTreeSet};

use policies::snapshot::CallerKind;
use serde::Deserialize;

use super::{ConfigError, quotable};

/// Most headers that a request to it carries of its own.
const HEADERS_MAX: usize = 8;
/// Most routes on which it is asked.
const ROUTES_MAX: usize = 1000;

/// Where calls are decided that the snapshot cannot decide.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RemotePdpConfig {
    /// Name of the cluster in the gateway's configuration.
    pub(crate) cluster: String,
    /// Host name that is sent.
    pub(crate) authority: String,
    #[serde(default = "default_path")]
    pub(crate) path: String,
    /// Headers that prove who asks, for example `authorization`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Routes by name, with the kinds of caller that it is asked about there.
    #[serde(default)]
    pub(crate) routes: BTreeMap<String, BTreeSet<CallerKind>>,
    /// Longest wait for an answer, in milliseconds.
    #[serde(default = "default_milliseconds_max")]
    pub(crate) milliseconds_max: u32,
    /// Most calls of a worker that wait for answers.
    #[serde(default = "default_calls_max")]
    pub(crate) calls_max: usize,
    /// How long an answer counts, in seconds; 0 for one call.
    #[serde(default = "default_cache_seconds_max")]
    pub(crate) cache_seconds_max: u32,
    /// Most answers that a worker remembers.
    #[serde(default = "default_cache_entries_max")]
    pub(crate) cache_entries_max: usize,
    /// Of so many calls that the snapshot decided it is asked about one, to compare; 0 for none.
    #[serde(default)]
    pub(crate) compare_one_in: u32,
}

fn default_path() -> String {
    "/authorization/api/v1/authorize".to_owned()
}

fn default_milliseconds_max() -> u32 {
    500
}

fn default_calls_max() -> usize {
    100
}

fn default_cache_seconds_max() -> u32 {
    60
}

fn default_cache_entries_max() -> usize {
    10_000
}

impl RemotePdpConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let text = |text: &str| !text.is_empty() && quotable(text);
        let name = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !name.is_empty()
                && name.bytes().all(is_plain)
                && !["host", "content-length", "content-type"].contains(&name)
        };
        let checks = [
            (text(&self.cluster), "remotePdp.cluster", "the name of a cluster"),
            (text(&self.authority), "remotePdp.authority", "a host name"),
            (self.path.starts_with('/') && quotable(&self.path), "remotePdp.path", "a path from `/` on"),
            (
                self.headers.len() <= HEADERS_MAX && self.headers.iter().all(|(key, value)| name(key) && text(value)),
                "remotePdp.headers",
                "at most 8, with names in small letters and values of printable ASCII",
            ),
            (self.routes.len() <= ROUTES_MAX, "remotePdp.routes", "at most 1000"),
            (
                self.routes.values().all(|kinds| !kinds.is_empty()),
                "remotePdp.routes",
                "for each route the kinds of caller",
            ),
            ((1..=10_000).contains(&self.milliseconds_max), "remotePdp.millisecondsMax", "1 to 10000"),
            ((1..=1000).contains(&self.calls_max), "remotePdp.callsMax", "1 to 1000"),
            (self.cache_seconds_max <= 600, "remotePdp.cacheSecondsMax", "at most 600"),
            ((1..=100_000).contains(&self.cache_entries_max), "remotePdp.cacheEntriesMax", "1 to 100000"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, path, problem)) => Err(ConfigError::Field { path, problem }),
            None => Ok(()),
        }
    }
}
