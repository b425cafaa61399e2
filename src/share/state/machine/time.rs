//! What is done from time to time: snapshots of partitions whose last one is old, and the end of the log's unused part.

use super::super::record::{Record, Snapshot};
use super::super::request::Key;
use super::{Entry, Env, Out, States, Task};
use crate::model::{Offset, TimestampMs};

/// The feature without which there are no share groups, and nothing to do.
const FEATURE: &str = "share.version";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Snapshots,
    Prune,
}

impl Job {
    fn next(self, env: &Env) -> TimestampMs {
        let pause = match self {
            Job::Snapshots => env.snapshot_every_ms,
            Job::Prune => env.prune_every_ms,
        };
        env.now.plus(pause.max(1))
    }
}

impl States {
    /// Has the jobs done, from when there may be share groups.
    pub(super) fn wait(&mut self, env: &Env) {
        if self.jobs.is_empty() && env.image.feature(FEATURE) > 0 {
            for job in [Job::Snapshots, Job::Prune] {
                self.jobs.arm(job, job.next(env));
            }
        }
    }

    pub(super) fn tick(&mut self, env: &Env, out: &mut Out) {
        while let Some(job) = self.jobs.pop_due(env.now) {
            if env.image.feature(FEATURE) <= 0 {
                self.jobs = super::Timers::default();
                return;
            }
            self.jobs.arm(job, job.next(env));
            match job {
                Job::Snapshots => self.snapshot_old(env, out),
                Job::Prune => out.then.extend(self.unused().map(Task::Prune)),
            }
        }
    }

    /// Writes a snapshot of what has had none for long. If everything was written so before, nothing goes on, and it would
    /// not help.
    fn snapshot_old(&mut self, env: &Env, out: &mut Out) {
        if self.all.values().all(|Entry { state, .. }| state.created != state.written) {
            return;
        }
        let is_old = |state: &Snapshot| env.now.0.saturating_sub(state.written.0) >= env.snapshot_every_ms;
        let again = |(key, entry): (&Key, &Entry)| {
            let state = Snapshot { snapshot_epoch: entry.next_epoch(), written: env.now, ..entry.state.clone() };
            Record::Snapshot(key.clone(), Some(state))
        };
        let old: Vec<Record> = self.all.iter().filter(|(_, entry)| is_old(&entry.state)).map(again).collect();
        for record in old {
            self.commit(out, record);
        }
    }

    /// Up to where the log is of no use: all snapshots that count lie behind (`ShareCoordinatorOffsetsManager`).
    fn unused(&self) -> Option<Offset> {
        let first = self.all.values().filter_map(|entry| entry.snapshot_at).min();
        first.or(self.last_snapshot).filter(|offset| *offset > Offset::ZERO)
    }
}
