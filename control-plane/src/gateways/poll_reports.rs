//! What each worker of each gateway said when it last polled.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::SnapshotVersion;

/// Workers remembered per provider; the one silent for longest makes room.
const WORKERS_MAX: usize = 4096;
/// Silence after which a worker is said to be silent: the longest poll, and as long again for trying anew.
const SILENT_AFTER_S: i64 = 120;
/// Silence after which a worker is forgotten.
const SILENCE_S_MAX: i64 = 3600;

/// One worker's last poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PollReport {
    /// The snapshot in force there; `None` before the first.
    pub(crate) applied: Option<SnapshotVersion>,
    /// Snapshots it has refused since it started.
    pub(crate) refused: u64,
    pub(crate) seen_at: Timestamp,
}

impl PollReport {
    /// Nobody has heard of the worker for longer than a poll takes.
    pub(crate) fn is_silent(&self, now: Timestamp) -> bool {
        self.seen_at.plus_seconds(SILENT_AFTER_S) <= now
    }
}

/// Gateway and worker.
pub(crate) type WorkerName = (String, String);
type Workers = BTreeMap<WorkerName, PollReport>;

/// The last report of every worker.
#[derive(Debug, Default)]
pub(crate) struct PollReports(Mutex<BTreeMap<ProviderId, Workers>>);

impl PollReports {
    pub(crate) fn record(&self, provider: &ProviderId, worker: WorkerName, report: PollReport) {
        let mut providers = self.lock();
        let workers = providers.entry(provider.clone()).or_default();
        if workers.len() >= WORKERS_MAX && !workers.contains_key(&worker) {
            let longest_silent =
                workers.iter().min_by_key(|(_, report)| report.seen_at).map(|(worker, _)| worker.clone());
            if let Some(longest_silent) = longest_silent {
                workers.remove(&longest_silent);
            }
        }
        workers.insert(worker, report);
    }

    /// The provider's workers, by gateway and worker.
    pub(crate) fn of_provider(&self, provider: &ProviderId, now: Timestamp) -> Vec<(WorkerName, PollReport)> {
        let mut providers = self.lock();
        let Some(workers) = providers.get_mut(provider) else { return Vec::new() };
        workers.retain(|_, report| report.seen_at.plus_seconds(SILENCE_S_MAX) > now);
        workers.iter().map(|(worker, report)| (worker.clone(), report.clone())).collect()
    }

    /// A poisoned lock holds whole reports all the same: each change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProviderId, Workers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_silent_workers_are_forgotten() {
        let provider = ProviderId::parse("p").unwrap();
        let reports = PollReports::default();
        for second in 0..=WORKERS_MAX {
            let seen_at = Timestamp::from_unix_seconds(second as i64);
            let report = PollReport { applied: None, refused: 0, seen_at };
            reports.record(&provider, ("gateway".to_owned(), second.to_string()), report);
        }
        let kept = reports.of_provider(&provider, Timestamp::from_unix_seconds(0));
        assert_eq!(kept.len(), WORKERS_MAX);
        assert!(kept.iter().all(|((_, worker), _)| worker != "0"));
        let later = Timestamp::from_unix_seconds(SILENCE_S_MAX + 10);
        assert_eq!(reports.of_provider(&provider, later).len(), WORKERS_MAX - 10);
    }
}
