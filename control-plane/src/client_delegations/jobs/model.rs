//! A job and its items.

use std::str::FromStr;

use policies::Timestamp;
use policies::id::{PartyUuid, SystemUserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// What is done to each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClientJobAction)]
pub(crate) enum Action {
    Add,
    Remove,
    /// Removed from another agent system user of the same owner, and added to this one.
    Move,
}

/// The action is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an action is `add`, `remove` or `move`")]
pub(crate) struct ActionError;

impl Action {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Move => "move",
        }
    }
}

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        [Self::Add, Self::Remove, Self::Move].into_iter().find(|action| action.code() == text).ok_or(ActionError)
    }
}

/// What somebody has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) system_user: SystemUserId,
    pub(crate) action: Action,
    /// Of a move.
    pub(crate) moved_from: Option<SystemUserId>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: i64,
    pub(crate) finished_at: Option<Timestamp>,
}

/// A client of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) position: i64,
    pub(crate) client: PartyUuid,
}

/// How many clients of a job are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) waiting: i64,
    pub(crate) done: i64,
    pub(crate) failed: i64,
}

/// A client that nothing was done to, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) position: i64,
    pub(crate) client: String,
    pub(crate) code: String,
}

impl Job {
    /// As its owner sees it, failures aside.
    pub(crate) fn json(&self, progress: Progress) -> Value {
        json!({
            "id": self.id,
            "systemUserId": self.system_user,
            "action": self.action,
            "from": self.moved_from,
            "state": if self.finished_at.is_some() { "finished" } else { "running" },
            "total": progress.waiting + progress.done + progress.failed,
            "done": progress.done,
            "failed": progress.failed,
            "createdAt": self.created_at,
            "finishedAt": self.finished_at,
        })
    }
}
