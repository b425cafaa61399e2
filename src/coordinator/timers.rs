//! The deadlines of a machine, by key. Plain data: whoever hosts the machine calls when the first has come.

use crate::model::TimestampMs;
use std::collections::{BTreeMap, BTreeSet};

/// At most one deadline a key.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_key: BTreeMap<K, TimestampMs>,
    by_time: BTreeSet<(TimestampMs, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> Timers<K> {
    /// Sets the deadline of `key`, whether it had one or not.
    pub fn arm(&mut self, key: K, at: TimestampMs) {
        if let Some(old) = self.by_key.insert(key.clone(), at) {
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((at, key));
    }

    pub fn disarm(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    #[must_use]
    pub fn deadline(&self, key: &K) -> Option<TimestampMs> {
        self.by_key.get(key).copied()
    }

    /// The first deadline.
    #[must_use]
    pub fn next(&self) -> Option<TimestampMs> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the key whose deadline was first, if it has come.
    pub fn pop_due(&mut self, now: TimestampMs) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deadline_comes_first_and_only_when_it_has_come() {
        let mut timers = Timers::default();
        timers.arm("b", TimestampMs(20));
        timers.arm("a", TimestampMs(30));
        assert_eq!(timers.next(), Some(TimestampMs(20)));
        assert_eq!(timers.pop_due(TimestampMs(19)), None);
        assert_eq!(timers.pop_due(TimestampMs(30)), Some("b"));
        assert_eq!(timers.pop_due(TimestampMs(30)), Some("a"));
        assert_eq!(timers.pop_due(TimestampMs(30)), None);
    }

    #[test]
    fn a_key_that_is_armed_again_has_its_new_deadline_only() {
        let mut timers = Timers::default();
        timers.arm("a", TimestampMs(10));
        timers.arm("a", TimestampMs(20));
        assert_eq!((timers.len(), timers.deadline(&"a")), (1, Some(TimestampMs(20))));
        assert_eq!(timers.pop_due(TimestampMs(15)), None);
        timers.disarm(&"a");
        assert_eq!((timers.next(), timers.is_empty()), (None, true));
    }
}
