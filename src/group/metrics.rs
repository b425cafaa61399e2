//! What a scrape is told of groups (`GroupCoordinatorMetrics`).

use super::machine::Groups;
use crate::metrics::Sample;
use std::collections::BTreeMap;

/// Every state of each protocol: one that no group is in is shown as 0.
const STATES: [(&str, &[&str]); 3] = [
    ("classic", &["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]),
    ("consumer", &["Empty", "Assigning", "Reconciling", "Stable", "Dead"]),
    ("share", &["Empty", "Stable", "Dead"]),
];

/// How many groups there are, by protocol and state, and how many offsets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Census {
    groups: BTreeMap<(&'static str, &'static str), i64>,
    offsets: i64,
}

impl Default for Census {
    fn default() -> Census {
        let every = STATES.iter().flat_map(|(protocol, states)| states.iter().map(|state| ((*protocol, *state), 0)));
        Census { groups: every.collect(), offsets: 0 }
    }
}

impl Census {
    pub(super) fn count(&mut self, groups: &Groups) {
        for key in groups.states() {
            *self.groups.entry(key).or_default() += 1;
        }
        self.offsets += i64::try_from(groups.offset_count()).unwrap_or(i64::MAX);
    }

    pub(super) fn show(self, sample: &mut Sample) {
        let lines =
            self.groups.into_iter().map(|((protocol, state), n)| (vec![("protocol", protocol), ("state", state)], n));
        sample.gauge("groups", "Groups that this broker coordinates, by protocol and state.", lines);
        let help = "Committed offsets of the groups that this broker coordinates.";
        sample.gauge("group_offsets", help, [(Vec::new(), self.offsets)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_without_groups_is_shown() {
        let mut sample = Sample::default();
        Census::default().show(&mut sample);
        let lines: usize = sample.series.iter().map(|series| series.values.len()).sum();
        assert_eq!(lines, 14);
    }
}
