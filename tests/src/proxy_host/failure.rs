//! How a callback can fail, as a value that names the callback and shows what the guest said last.

use std::fmt;

use wasmtime::{Trap, WasmBacktrace};

use super::logs::LogLine;

/// A callback that did not end well. Both of its texts, for people and for `unwrap`, are the same.
#[derive(Clone)]
pub struct GuestFailure {
    /// Which, for example `proxy_on_request_headers`.
    pub callback: &'static str,
    /// In which context: 1 is the root, others are streams.
    pub context: u32,
    /// Why.
    pub cause: Cause,
    /// The last lines of the log.
    pub logs: Vec<LogLine>,
}

/// Why a callback failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The guest trapped; a panic is one. The VM is dead, as it would be in Envoy.
    Trap(String),
    /// The guest used all fuel: an endless loop, or a limit set too low. The VM is dead.
    OutOfFuel(u64),
    /// The guest called `proc_exit`. The VM is dead.
    Exit(i32),
    /// The guest answered `false` to VM start or configure.
    Refused,
    /// The guest did what a real proxy punishes with a hang or a hole. The VM lives on.
    Misuse(String),
    /// The VM died in an earlier callback.
    Dead,
    /// The test asked for what cannot happen, such as an answer to a call that was never made.
    NotPossible(String),
}

impl GuestFailure {
    /// Whether the guest refused its configuration.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.cause == Cause::Refused
    }

    /// The last log lines as text, one per line.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.logs.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl fmt::Display for GuestFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` in context {}: {}", self.callback, self.context, self.cause)?;
        if self.logs.is_empty() {
            return Ok(());
        }
        write!(formatter, "\nlast log lines:\n{}", self.log_text().trim_end())
    }
}

impl fmt::Debug for GuestFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(trap) => write!(formatter, "the guest trapped: {trap}"),
            Self::OutOfFuel(fuel) => write!(formatter, "the guest used all {fuel} units of fuel: an endless loop?"),
            Self::Exit(code) => write!(formatter, "the guest ended itself with code {code}"),
            Self::Refused => write!(formatter, "the guest refused its configuration"),
            Self::Misuse(what) => write!(formatter, "the guest misused the host: {what}"),
            Self::Dead => write!(formatter, "the VM died in an earlier callback"),
            Self::NotPossible(why) => write!(formatter, "this cannot happen now: {why}"),
        }
    }
}

impl std::error::Error for GuestFailure {}

impl Cause {
    pub(super) fn of(error: &wasmtime::Error, fuel: u64) -> Self {
        if let Some(Exited(code)) = error.downcast_ref() {
            return Self::Exit(*code);
        }
        match (error.downcast_ref(), error.downcast_ref::<WasmBacktrace>()) {
            (Some(Trap::OutOfFuel), _) => Self::OutOfFuel(fuel),
            (Some(trap), Some(backtrace)) => Self::Trap(format!("{trap}\n{backtrace}")),
            _ => Self::Trap(format!("{error:?}")),
        }
    }
}

/// Carries the code of `proc_exit` out of the guest.
#[derive(Debug)]
pub(super) struct Exited(pub(super) i32);

impl fmt::Display for Exited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit with code {}", self.0)
    }
}

impl std::error::Error for Exited {}
