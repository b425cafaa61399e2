//! What people chart about the quorum: who leads it, how far its log is, how long it was without a leader.

use super::{Leadership, Quorum, Shared};
use crate::metrics::{Count, Sample};
use crate::rt::clock;
use parking_lot::Mutex;

/// Changes of leaders as this node saw them.
#[derive(Debug, Default)]
pub(super) struct Elections {
    leaders: Count,
    without_ms: Count,
    /// Since when nobody leads, on the steady clock. The time before the first leader is that of a start, not of an election.
    since: Mutex<Option<i64>>,
}

impl Elections {
    fn turn(&self, led: bool, now_ms: i64) {
        let since = if led { self.since.lock().take() } else { self.since.lock().replace(now_ms) };
        if led {
            self.leaders.inc();
            self.without_ms.add(since.map_or(0, |since| u64::try_from(now_ms - since).unwrap_or(0)));
        }
    }
}

impl Shared {
    /// Takes note of who leads.
    pub(super) fn learn(&self, now: Leadership) {
        self.leadership.send_if_modified(|known| {
            if known.leader != now.leader {
                self.elections.turn(now.leader.is_some(), clock::steady_ms());
            }
            std::mem::replace(known, now) != now
        });
    }
}

impl Quorum {
    /// Fills in how the quorum stands, as this node knows it.
    pub fn sample(&self, sample: &mut Sample) {
        let now = *self.shared.leadership.borrow();
        sample.gauges([
            ("quorum_epoch", "The highest epoch of the metadata quorum heard of.", i64::from(now.epoch.0)),
            (
                "quorum_leader",
                "Who leads the metadata quorum, as far as this node knows; -1 if nobody.",
                now.leader.map_or(-1, |leader| i64::from(leader.0)),
            ),
        ]);
        if let Some(described) = self.describe() {
            let replicas = described.voters.iter().chain(&described.observers);
            let lag = replicas.map(|replica| described.high_watermark.0 - replica.end.0).max().unwrap_or(0);
            sample.gauges([
                (
                    "quorum_max_lag",
                    "Metadata records that a replica of the log is behind its leader, at most.",
                    lag.max(0),
                ),
                (
                    "quorum_observers",
                    "Nodes that follow the metadata log without a vote.",
                    i64::try_from(described.observers.len()).unwrap_or(i64::MAX),
                ),
            ]);
        }
        let elections = &self.shared.elections;
        sample.counters([
            (
                "quorum_leaders",
                "Times that this node learned of a leader of the metadata quorum.",
                elections.leaders.get(),
            ),
            (
                "quorum_leaderless_milliseconds",
                "Time that this node knew of no leader, from the end of one to the next.",
                elections.without_ms.get(),
            ),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_takes_from_the_loss_of_a_leader_to_the_next_and_a_start_is_none() {
        let elections = Elections::default();
        elections.turn(true, 1_000);
        assert_eq!((elections.leaders.get(), elections.without_ms.get()), (1, 0), "a start");
        elections.turn(false, 5_000);
        elections.turn(true, 5_700);
        assert_eq!((elections.leaders.get(), elections.without_ms.get()), (2, 700));
        elections.turn(true, 9_000);
        assert_eq!((elections.leaders.get(), elections.without_ms.get()), (3, 700), "from one to the other at once");
    }
}
