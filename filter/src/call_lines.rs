//! The log's lines about single calls: one per denial, and per call that something beside would have decided otherwise.
//!
//! They are told to the host with the tick: a refused call does not wait for the host's log. So that a flood of refused calls
//! fills no disk, a worker writes only so many in a second; how many it left out is a line, too. Never a token, a key or a
//! body.

use policies::snapshot::SnapshotVersion;
use policies::{Denial, Permit, Timestamp};

use crate::text::{push_organization, push_system_user, push_version};

/// Lines that a worker writes in a second; counters and the decision log have every denial.
pub(crate) const LINES_PER_SECOND_MAX: usize = 100;
const SECOND_MILLIS: i64 = 1000;
/// Room for the usual line.
const LINE_BYTES: usize = 320;

pub(crate) struct CallLines {
    /// Not told yet.
    lines: Vec<String>,
    /// Written since the second began, told or not.
    written: usize,
    left_out: u64,
    second_began_at: Timestamp,
}

impl CallLines {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new(), written: 0, left_out: 0, second_began_at: Timestamp::from_unix_millis(0) }
    }

    /// A call that was refused, or would have been.
    pub(crate) fn denial(
        &mut self,
        what: &str,
        denial: &Denial,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
    ) {
        self.write(what, version, request_id, |line| {
            line.extend([" denial.reason=", denial.reason.code()]);
            line.extend([" route=", denial.route.as_deref().unwrap_or("-"), " system_user.id="]);
            or_none(line, denial.system_user, push_system_user);
            line.push_str(" party=");
            or_none(line, denial.party, push_organization);
            line.push_str(" right=");
            or_none(line, denial.right.as_ref(), |line, right| {
                line.extend([right.resource.as_str(), "/", right.action.as_str()]);
            });
        });
    }

    /// A call that would have been permitted.
    pub(crate) fn permit(
        &mut self,
        what: &str,
        permit: &Permit,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
    ) {
        self.write(what, version, request_id, |line| line.extend([" route=", permit.route()]));
    }

    /// Tells the host.
    pub(crate) fn tell(&mut self, now: Timestamp) {
        self.tell_lines();
        if !(0..SECOND_MILLIS).contains(&now.millis_since(self.second_began_at)) {
            self.tell_left_out();
            self.written = 0;
            self.second_began_at = now;
        }
    }

    fn tell_lines(&mut self) {
        for line in self.lines.drain(..) {
            log::info!("{line}");
        }
    }

    fn tell_left_out(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            log::info!(
                "lines about calls were left out: more than {LINES_PER_SECOND_MAX} in a second lines={left_out}"
            );
        }
    }

    /// Nothing is put together that nobody will see.
    fn write(
        &mut self,
        what: &str,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        fields: impl FnOnce(&mut String),
    ) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        if self.written >= LINES_PER_SECOND_MAX {
            self.left_out += 1;
            return;
        }
        self.written += 1;
        let mut line = String::with_capacity(LINE_BYTES);
        line.push_str(what);
        fields(&mut line);
        line.push_str(" snapshot.version=");
        or_none(&mut line, version, push_version);
        line.extend([" request.id=", request_id.unwrap_or("-")]);
        self.lines.push(line);
    }
}

impl Drop for CallLines {
    /// A worker whose context the host ends, as when the configuration changes, tells what it wrote; one that traps cannot.
    fn drop(&mut self) {
        self.tell_lines();
        self.tell_left_out();
    }
}

fn or_none<T>(line: &mut String, value: Option<T>, push: impl FnOnce(&mut String, T)) {
    match value {
        Some(value) => push(line, value),
        None => line.push('-'),
    }
}
