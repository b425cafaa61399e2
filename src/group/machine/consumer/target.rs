//! When a group needs a new epoch and a new target assignment, and the assignment itself (`updateSubscriptionMetadata`,
//! `maybeUpdateTargetAssignment`, `TargetAssignmentBuilder`).

use super::draft::{Context, Draft};
use super::hash;
use super::member::Change;
use super::state::{ConsumerGroup, Subscribed, regex_of};
use crate::group::machine::assign::{self, Assignor, Subscriber};
use crate::group::record::{MemberValue, Record, TargetValue};
use crate::group::request::Assignment;
use crate::metadata::Image;
use crate::model::{GroupEpoch, TimestampMs, TopicId, TopicName};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changes of the topics ask for a heartbeat's attention themselves; otherwise the metadata hash holds for this long.
pub(in crate::group::machine) const HASH_HOLDS_MS: i64 = i32::MAX as i64;

/// The target assignment that a member is to be led to.
pub(super) struct Target<'a> {
    pub(super) epoch: GroupEpoch,
    pub(super) of_member: Cow<'a, Assignment>,
}

impl ConsumerGroup {
    /// Who consumes what, with one member changed.
    fn subscribed_with(&self, change: &Change<'_>) -> Subscribed {
        let mut subscribed = self.subscribed.clone();
        for topic in &change.old.topics {
            subscribed.name_removed(topic);
        }
        for topic in &change.new.topics {
            subscribed.name_added(topic);
        }
        let (old, new) = change.regexes();
        if let Some(old) = old
            && Some(old) != new
            && self.with_regex(old) == 1
            && let Some(resolved) = self.resolved.get(old)
        {
            for topic in &resolved.topics {
                subscribed.regex_removed(topic);
            }
        }
        subscribed
    }

    /// Looks at the subscribed topics anew, and raises the group's epoch if they changed, or if `raise` says so. Gives the
    /// epoch.
    pub(super) fn look_again(
        &self,
        context: &mut Context<'_>,
        raise: bool,
        change: &Change<'_>,
        draft: &mut Draft,
    ) -> GroupEpoch {
        let subscribed = match change.topics_changed() || change.regexes().0 != change.regexes().1 {
            true => Cow::Owned(self.subscribed_with(change)),
            false => Cow::Borrowed(&self.subscribed),
        };
        let hash = hash::of_group(&subscribed, &context.env.image, context.index);
        let mut epoch = self.epoch;
        if raise || hash != self.metadata_hash {
            epoch = next(epoch);
            draft.epoch(&self.id, epoch, hash);
        }
        draft.hash_holds = Some((TimestampMs(context.env.now.0.saturating_add(HASH_HOLDS_MS)), epoch));
        if self.has_partition_metadata {
            draft.records.push(Record::PartitionMetadata { group: self.id.clone(), present: false });
        }
        epoch
    }

    /// Assigns anew if the group's epoch asks for it and the last assignment is long enough ago.
    pub(super) fn assign(
        &self,
        context: &Context<'_>,
        epoch: GroupEpoch,
        change: &Change<'_>,
        draft: &mut Draft,
    ) -> Target<'_> {
        if self.assigned.epoch >= epoch
            || !may_assign(&self.assigned, context.env.now, context.config.consumer_assignment_interval.as_millis())
        {
            return self.last_target(change);
        }
        let known = &context.env.settings.groups.consumer_assignors;
        let assignor = self
            .preferred_assignor(Some((change.old, change.new)), known)
            .or_else(|| known.first().map(String::as_str))
            .and_then(Assignor::by_name)
            .unwrap_or(Assignor::Uniform);

        let replaced = change.new.instance.as_ref().and_then(|instance| self.static_members.get(instance));
        let replaced = replaced.filter(|id| *id != change.id);
        let mut spec = Spec { group: self, image: &context.env.image, ids: BTreeMap::new(), shared: Vec::new() };
        let mut members = BTreeMap::new();
        for (id, member) in &self.members {
            if id != change.id && Some(id) != replaced {
                members.insert(id.clone(), spec.subscriber(&member.about, self.target.get(id)));
            }
        }
        let current = self.target.get(replaced.unwrap_or(change.id));
        members.insert(change.id.clone(), spec.subscriber(change.new, current));
        let partitions = spec.partitions();
        let mut target = assignor.assign(&assign::Group { members, partitions });

        let mut of_member = Assignment::new();
        let mut records = Vec::new();
        let all = self.members.keys().filter(|id| *id != change.id && Some(*id) != replaced).chain([change.id]);
        for id in all {
            let new = super::apply::tidied(target.remove(id).unwrap_or_default());
            if id == change.id {
                of_member = new.clone();
            }
            if self.target.get(id) != Some(&new) {
                records.push(Record::TargetMember { group: self.id.clone(), member: id.clone(), value: Some(new) });
            }
        }
        draft.records.append(&mut records);
        draft.records.push(Record::Target {
            group: self.id.clone(),
            value: Some(TargetValue { epoch, assigned_at: context.env.now }),
        });
        Target { epoch, of_member: Cow::Owned(of_member) }
    }

    pub(super) fn last_target(&self, change: &Change<'_>) -> Target<'_> {
        let last = self.target_of(change.id, change.new.instance.as_ref());
        Target { epoch: self.assigned.epoch, of_member: last.map_or_else(Cow::default, Cow::Borrowed) }
    }
}

/// `canComputeNextTargetAssignment`. Whoever sends a heartbeat once the interval is over gets the group its assignment: a
/// deadline of its own it has not, in Kafka either.
pub(in crate::group::machine) fn may_assign(last: &TargetValue, now: TimestampMs, interval_ms: u128) -> bool {
    let interval = i64::try_from(interval_ms).unwrap_or(i64::MAX);
    let last = last.assigned_at;
    last.0 == 0 || interval == 0 || now.0 >= last.0.saturating_add(interval)
}

/// The epoch after.
pub(in crate::group::machine) fn next(epoch: GroupEpoch) -> GroupEpoch {
    GroupEpoch(epoch.0.saturating_add(1))
}

/// What the assignor is told.
struct Spec<'a> {
    group: &'a ConsumerGroup,
    image: &'a Image,
    ids: BTreeMap<&'a TopicName, Option<TopicId>>,
    /// Subscriptions that occur: members that consume the same share them.
    shared: Vec<Subscription<'a>>,
}

/// Names and a regular expression, and the topics that they stand for.
struct Subscription<'a> {
    names: &'a [TopicName],
    regex: Option<&'a str>,
    topics: Arc<BTreeSet<TopicId>>,
}

/// Different subscriptions in one group that are looked for before a member gets one of its own.
const SHARED_MAX: usize = 16;

impl<'a> Spec<'a> {
    fn subscriber(&mut self, about: &'a MemberValue, current: Option<&Assignment>) -> Subscriber {
        Subscriber {
            rack: about.rack.clone(),
            instance: about.instance.as_ref().map(|instance| instance.as_str().to_owned()),
            topics: self.topics(about),
            current: current.cloned().unwrap_or_default(),
        }
    }

    fn topics(&mut self, about: &'a MemberValue) -> Arc<BTreeSet<TopicId>> {
        let (names, regex) = (about.topics.as_slice(), regex_of(about));
        if let Some(known) = self.shared.iter().find(|known| known.names == names && known.regex == regex) {
            return Arc::clone(&known.topics);
        }
        let resolved = regex.and_then(|regex| self.group.resolved.get(regex));
        let mut topics = BTreeSet::new();
        for name in names.iter().chain(resolved.iter().flat_map(|resolved| &resolved.topics)) {
            let image = self.image;
            let id = self.ids.entry(name).or_insert_with(|| image.topic(name.as_str()).map(|topic| topic.id));
            topics.extend(*id);
        }
        let topics = Arc::new(topics);
        if self.shared.len() < SHARED_MAX {
            self.shared.push(Subscription { names, regex, topics: Arc::clone(&topics) });
        }
        topics
    }

    fn partitions(&self) -> BTreeMap<TopicId, usize> {
        let ids = self.ids.values().flatten();
        ids.filter_map(|id| Some((*id, self.image.topic_by_id(*id)?.partitions.len()))).collect()
    }
}
