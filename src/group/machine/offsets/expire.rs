//! Offsets that nobody has used for `offsets.retention.minutes` go, and groups that are then nothing.
//!
//! The search goes through all groups of the shard, which takes long where there are many: it goes in steps, between which
//! requests are served.

use super::state::{Committed, Key};
use super::{Env, Groups, Out};
use crate::group::machine::{Ages, Timer, batch_size};
use crate::model::{GroupId, TimestampMs};
use std::ops::Bound;

/// Groups and offsets that one step looks at.
const STEP: usize = 10_000;

/// How much more a step may do.
struct Room {
    looks: usize,
    bytes: usize,
}

impl Room {
    fn is_left(&self) -> bool {
        self.looks > 0 && self.bytes > 0
    }
}

impl Groups {
    /// Offsets that have expired are looked for when the check interval is over.
    pub(in crate::group::machine) fn arm_expiry(&mut self, env: &Env) {
        let interval = env.settings.groups.offsets_retention_check_interval.as_millis();
        self.timers.arm(Timer::Expiry, env.now.plus(i64::try_from(interval).unwrap_or(i64::MAX)));
    }

    pub(in crate::group::machine) fn expire_offsets(&mut self, env: &Env, out: &mut Out) {
        let written = batch_size(&out.records);
        let mut room = Room { looks: STEP, bytes: (env.batch_bytes_max / 2).saturating_sub(written).max(1) };
        let (mut from, mut key) = match self.offsets.expiry_from.take() {
            Some((group, key)) => (Bound::Included(group), key),
            None => (Bound::Unbounded, None),
        };
        while let Some(group) = self.groups.range((from, Bound::Unbounded)).next().map(|(id, _)| id.clone()) {
            if !room.is_left() {
                self.offsets.expiry_from = Some((group, key));
                return self.timers.arm(Timer::Expiry, env.now.plus(1));
            }
            room.looks -= 1;
            key = self.expire_offsets_of(env, &group, key, &mut room, out);
            // With a key the group is gone on with.
            from = if key.is_some() { Bound::Included(group) } else { Bound::Excluded(group) };
        }
        self.arm_expiry(env);
    }

    /// From `from` on. Answers the offset at which the room ended, if it did before the group was done.
    fn expire_offsets_of(
        &mut self,
        env: &Env,
        id: &GroupId,
        from: Option<Key>,
        room: &mut Room,
        out: &mut Out,
    ) -> Option<Key> {
        let group = self.groups.get(id)?.kind();
        let retention = i64::try_from(env.settings.groups.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let ages = group.offsets_age();
        let mut expired = Vec::new();
        let mut rest = None;
        let mut topic = None;
        let offsets = (ages != Ages::Never).then(|| self.offsets.of_group(id, from));
        for (key, committed) in offsets.into_iter().flatten() {
            if !room.is_left() {
                rest = Some(key);
                break;
            }
            room.looks -= 1;
            // Offsets of a topic come one after the other: it is looked for among the subscriptions once.
            let subscribed = match topic {
                Some((number, subscribed)) if number == key.topic => subscribed,
                _ => self.offsets.topics.name(key.topic).is_some_and(|name| group.subscribes(name)),
            };
            topic = Some((key.topic, subscribed));
            if subscribed || !is_expired(ages, committed, env.now, retention) || self.offsets.has_pending(key) {
                continue;
            }
            if let Some(record) = self.offsets.tombstone(id, key) {
                room.bytes = room.bytes.saturating_sub(batch_size(&[record.encode()]));
                expired.push(record);
            }
        }
        for record in expired {
            self.commit(env.now, out, record);
        }
        if rest.is_none() && !self.offsets.any_of(id) {
            let group = self.groups.get(id)?.kind();
            let tombstones = if group.is_empty() && group.expires() { group.tombstones(id) } else { Vec::new() };
            for record in tombstones {
                room.bytes = room.bytes.saturating_sub(batch_size(&[record.encode()]));
                self.commit(env.now, out, record);
            }
        }
        rest
    }
}

/// `OffsetExpirationConditionImpl`
fn is_expired(ages: Ages, offset: &Committed, now: TimestampMs, retention_ms: i64) -> bool {
    // The client said how long it wants the offset kept, as it could before version 5.
    if offset.expires_at != TimestampMs::NONE {
        return now >= offset.expires_at;
    }
    let since = match ages {
        Ages::Never => return false,
        Ages::SinceCommit => offset.committed_at,
        Ages::Since(since) => since,
    };
    now.0.saturating_sub(since.0) >= retention_ms
}
