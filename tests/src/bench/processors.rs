//! Processors: how much of them a process or some of its threads have used, and which of them it may use.
//!
//! CPU time is what to compare: it hardly changes when neighbours work, which requests per second do.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

/// A process that measures are taken of.
#[derive(Debug, Clone, Copy)]
pub struct Observed {
    id: u32,
}

impl Observed {
    /// By its id.
    pub fn new(id: u32) -> Self {
        Self { id }
    }

    /// This process.
    pub fn this() -> Self {
        Self { id: std::process::id() }
    }

    /// CPU time that its living threads have used.
    pub fn cpu_time(self) -> Result<Duration> {
        self.cpu_time_of(|_| true)
    }

    /// CPU time of its living threads with such names. Linux cuts names after 15 bytes.
    pub fn cpu_time_of(self, is_meant: impl Fn(&str) -> bool) -> Result<Duration> {
        let mut sum = 0;
        for thread in self.threads()? {
            let file = |name: &str| fs::read_to_string(format!("/proc/{}/task/{thread}/{name}", self.id));
            // A thread may end while we look.
            let (Ok(name), Ok(times)) = (file("comm"), file("schedstat")) else { continue };
            if is_meant(name.trim_end()) {
                let nanoseconds = times.split(' ').next().and_then(|first| first.parse::<u64>().ok());
                sum += nanoseconds.context("/proc has no scheduler statistics")?;
            }
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Memory that is resident, in bytes.
    pub fn resident_bytes(self) -> Result<u64> {
        self.kilobytes("VmRSS:").map(|kilobytes| kilobytes * 1024)
    }

    /// Most memory that was resident, in bytes.
    pub fn resident_bytes_peak(self) -> Result<u64> {
        self.kilobytes("VmHWM:").map(|kilobytes| kilobytes * 1024)
    }

    /// Keeps its threads, and those that they start from now on, to these processors.
    pub fn pin(self, processors: &[usize]) -> Result<()> {
        let set = set_of(processors);
        for thread in self.threads()? {
            let id = i32::try_from(thread).ok().and_then(Pid::from_raw);
            // A thread may end while we look.
            let _ended = sched_setaffinity(Some(id.context("0 is no thread")?), &set);
        }
        Ok(())
    }

    fn threads(self) -> Result<Vec<u32>> {
        let folder = format!("/proc/{}/task", self.id);
        let entries = fs::read_dir(folder).with_context(|| format!("process {} is gone", self.id))?;
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
    }

    fn kilobytes(self, member: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix(member)).context("no such line in its status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// Keeps the calling thread, and those that it starts from now on, to these processors.
pub fn pin_this_thread(processors: &[usize]) -> Result<()> {
    sched_setaffinity(None, &set_of(processors)).context("these processors cannot be used")
}

/// How many there are.
pub fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn set_of(processors: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_the_thread_that_does_it() {
        let work = std::thread::Builder::new().name("hard-at-work".to_owned());
        let worked = work.spawn(|| {
            pin_this_thread(&[0]).unwrap();
            let own = || Observed::this().cpu_time_of(|name| name == "hard-at-work").unwrap();
            let before = own();
            let sum = (0..2_000_000_u64).fold(0_u64, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
            std::hint::black_box(sum);
            (before, own(), Observed::this().cpu_time().unwrap())
        });
        let (before, after, process) = worked.unwrap().join().unwrap();
        assert!(before < after && after <= process, "{before:?} {after:?} {process:?}");
    }

    #[test]
    fn memory_is_read() {
        let (now, most) = (Observed::this().resident_bytes().unwrap(), Observed::this().resident_bytes_peak().unwrap());
        assert!(now > 1_000_000 && most >= now / 2);
        assert!(Observed::new(u32::MAX).resident_bytes().is_err());
    }
}
