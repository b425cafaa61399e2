//! One step of a member towards its target: every state, and what leads out of it.

use super::bed::*;
use crate::group::machine::consumer::reconcile::Step;
use crate::group::machine::consumer::state::Member;
use crate::group::record::{CurrentValue, MemberState, RegexValue, WithEpochs};
use crate::group::request::{Assignment, Refusal};
use crate::model::{ErrorCode, GroupEpoch, PartitionId, TimestampMs, TopicId, TopicName};
use MemberState::{Stable, Unknown, UnreleasedPartitions, UnrevokedPartitions};

/// Partitions of two topics.
type Two = [&'static [i32]; 2];

const NONE: Two = [&[], &[]];

struct Case {
    topics: [TopicId; 2],
    bed: Bed,
    was: CurrentValue,
    target: (i32, Two),
    /// Others have every partition, or nobody has any.
    taken: bool,
    owned: Option<Two>,
    subscribed: &'static [&'static str],
    regex: Option<(&'static str, Option<&'static str>)>,
    subscription_changed: bool,
}

impl Case {
    fn new(state: MemberState, epochs: (i32, i32), assigned: Two, revoking: Two) -> Case {
        let mut bed = Bed::new();
        let topics = [bed.h.topic("t1", 10), bed.h.topic("t2", 10)];
        let was = value(topics, state, epochs, [(assigned, epochs.0)], (revoking, epochs.0));
        Case {
            topics,
            bed,
            was,
            target: (epochs.0, assigned),
            taken: false,
            owned: None,
            subscribed: &["t1", "t2"],
            regex: None,
            subscription_changed: false,
        }
    }

    fn step(&self) -> Result<Option<CurrentValue>, Refusal> {
        let mut group = crate::group::machine::consumer::ConsumerGroup::new(g());
        if self.taken {
            for topic in self.topics {
                group.owned.insert(topic, (0..10).map(|p| (PartitionId(p), GroupEpoch(10))).collect());
            }
        }
        let mut about = Member::new().about;
        about.topics = self.subscribed.iter().map(|topic| TopicName::new(topic)).collect();
        if let Some((regex, resolved)) = self.regex {
            about.regex = Some(regex.into());
            if let Some(topic) = resolved {
                let value = RegexValue { topics: vec![topic.into()], version: 1, at: TimestampMs(0) };
                group.resolved.insert(regex.into(), value);
            }
        }
        let owned = self.owned.map(|owned| two(self.topics, owned));
        Step {
            group: &group,
            image: &self.bed.h.env.image,
            about: &about,
            current: &self.was,
            target_epoch: GroupEpoch(self.target.0),
            target: &two(self.topics, self.target.1),
            subscription_changed: self.subscription_changed,
            owned: owned.as_ref(),
        }
        .take()
    }

    /// Comes to be this. `assigned`: each with the epoch at which it was assigned.
    fn comes<const N: usize>(&self, state: MemberState, epochs: (i32, i32), assigned: [(Two, i32); N], revoking: Two) {
        let expected = value(self.topics, state, epochs, assigned, (revoking, self.was.epoch.0));
        assert_eq!(self.step(), Ok(Some(expected)));
    }

    fn stays(&self) {
        assert_eq!(self.step(), Ok(None));
    }
}

fn two(topics: [TopicId; 2], partitions: Two) -> Assignment {
    let each = topics.into_iter().zip(partitions).filter(|(_, of)| !of.is_empty());
    each.map(|(topic, of)| (topic, of.iter().copied().map(PartitionId).collect())).collect()
}

fn value<const N: usize>(
    topics: [TopicId; 2],
    state: MemberState,
    (epoch, previous): (i32, i32),
    assigned: [(Two, i32); N],
    revoking: (Two, i32),
) -> CurrentValue {
    let mut sets = [WithEpochs::new(), WithEpochs::new()];
    let all = assigned.into_iter().map(|set| (0, set)).chain([(1, revoking)]);
    for (set, (partitions, epoch)) in all {
        for (topic, partitions) in two(topics, partitions) {
            let of = sets[set].entry(topic).or_default();
            of.extend(partitions.into_iter().map(|partition| (partition, GroupEpoch(epoch))));
        }
    }
    let [assigned, pending_revocation] = sets;
    CurrentValue { epoch: GroupEpoch(epoch), previous_epoch: GroupEpoch(previous), state, assigned, pending_revocation }
}

#[test]
fn a_stable_member_whose_target_is_the_same_only_takes_the_epoch() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2, 3], &[4, 5, 6]], NONE);
    case.stays();
    case.target.0 = 11;
    case.comes(Stable, (11, 10), [([&[1, 2, 3], &[4, 5, 6]], 10)], NONE);
}

#[test]
fn a_stable_member_gets_new_partitions_that_nobody_has_at_the_new_epoch() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2], &[3]], NONE);
    case.target = (11, [&[1, 2, 4], &[3, 7]]);
    case.comes(Stable, (11, 10), [([&[1, 2], &[3]], 10), ([&[4], &[7]], 11)], NONE);
}

#[test]
fn a_stable_member_that_is_to_have_less_gives_it_up_first_and_stays_at_its_epoch() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2, 3], &[4, 5, 6]], NONE);
    case.target = (11, [&[2, 3, 4], &[5, 6, 7]]);
    case.comes(UnrevokedPartitions, (10, 10), [([&[2, 3], &[5, 6]], 10)], [&[1], &[4]]);
}

#[test]
fn a_stable_member_waits_for_partitions_that_others_have_at_the_new_epoch() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2, 3], &[4, 5, 6]], NONE);
    case.target = (11, [&[1, 2, 3, 4], &[4, 5, 6, 7]]);
    case.taken = true;
    case.comes(UnreleasedPartitions, (11, 10), [([&[1, 2, 3], &[4, 5, 6]], 10)], NONE);
}

#[test]
fn a_member_that_has_given_up_already_what_it_is_to_give_up_goes_on() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2, 3], &[4, 5, 6]], NONE);
    case.target = (11, [&[2, 3, 5], &[4, 5, 6]]);
    case.taken = true;
    case.owned = Some(NONE);
    case.comes(UnreleasedPartitions, (11, 10), [([&[2, 3], &[4, 5, 6]], 10)], NONE);
}

#[test]
fn a_member_that_has_given_everything_up_comes_to_its_target() {
    let mut case = Case::new(UnrevokedPartitions, (10, 10), [&[2, 3], &[5, 6]], [&[1], &[4]]);
    case.target = (11, [&[2, 3], &[5, 6]]);
    case.owned = Some([&[2, 3], &[5, 6]]);
    case.comes(Stable, (11, 10), [([&[2, 3], &[5, 6]], 10)], NONE);
    case.target = (10, [&[2, 3], &[5, 6]]);
    case.comes(Stable, (10, 10), [([&[2, 3], &[5, 6]], 10)], NONE);
}

#[test]
fn a_member_that_still_has_what_it_is_to_give_up_or_does_not_say_stays_where_it_is() {
    let mut case = Case::new(UnrevokedPartitions, (10, 10), [&[2, 3], &[5, 6]], [&[1], &[4]]);
    case.target = (12, [&[3], &[6]]);
    for owned in [None, Some([&[1, 2, 3][..], &[5, 6]]), Some([&[2, 3], &[4, 5, 6]])] {
        case.owned = owned;
        case.stays();
    }
}

#[test]
fn a_member_that_has_given_up_may_have_to_give_up_more() {
    let mut case = Case::new(UnrevokedPartitions, (10, 10), [&[2, 3], &[5, 6]], [&[1], &[4]]);
    case.target = (12, [&[3], &[6]]);
    case.owned = Some([&[2, 3], &[5, 6]]);
    case.comes(UnrevokedPartitions, (10, 10), [([&[3], &[6]], 10)], [&[2], &[5]]);
}

#[test]
fn a_member_that_has_given_up_may_have_to_wait() {
    let mut case = Case::new(UnrevokedPartitions, (11, 10), [&[2, 3], &[5, 6]], NONE);
    case.target = (11, [&[2, 3, 4], &[5, 6, 7]]);
    case.taken = true;
    case.owned = Some([&[2, 3], &[5, 6]]);
    case.comes(UnreleasedPartitions, (11, 11), [([&[2, 3], &[5, 6]], 11)], NONE);
}

#[test]
fn what_a_member_gave_up_may_come_back_to_it() {
    let mut case = Case::new(UnrevokedPartitions, (10, 10), [&[2, 3], &[5, 6]], [&[1], &[4]]);
    // It is the one that has them still.
    case.taken = true;
    case.target = (12, [&[1, 2, 3], &[4, 5, 6]]);
    case.owned = Some([&[2, 3], &[5, 6]]);
    case.comes(Stable, (12, 10), [([&[2, 3], &[5, 6]], 10), ([&[1], &[4]], 12)], NONE);
}

#[test]
fn a_member_that_waits_for_nothing_any_more_is_stable() {
    let mut case = Case::new(UnreleasedPartitions, (11, 11), [&[2, 3], &[5, 6]], NONE);
    case.taken = true;
    case.target = (12, [&[2, 3], &[5, 6]]);
    case.comes(Stable, (12, 11), [([&[2, 3], &[5, 6]], 11)], NONE);
}

#[test]
fn a_member_that_waits_gets_what_has_become_free() {
    let mut case = Case::new(UnreleasedPartitions, (11, 11), [&[2, 3], &[5, 6]], NONE);
    case.target = (11, [&[2, 3, 4], &[5, 6, 7]]);
    case.comes(Stable, (11, 11), [([&[2, 3, 4], &[5, 6, 7]], 11)], NONE);
}

#[test]
fn a_member_goes_on_waiting_for_what_others_have() {
    let mut case = Case::new(UnreleasedPartitions, (11, 11), [&[2, 3], &[5, 6]], NONE);
    case.taken = true;
    case.target = (11, [&[2, 3, 4], &[5, 6, 7]]);
    case.stays();
}

#[test]
fn a_member_that_waits_may_have_to_give_up() {
    let mut case = Case::new(UnreleasedPartitions, (11, 11), [&[2, 3], &[5, 6]], NONE);
    case.taken = true;
    case.target = (12, [&[3], &[6]]);
    case.comes(UnrevokedPartitions, (11, 11), [([&[3], &[6]], 11)], [&[2], &[5]]);
}

#[test]
fn a_member_in_a_state_of_later_versions_has_to_begin_anew() {
    let mut case = Case::new(Unknown, (11, 11), [&[3], &[6]], [&[2], &[5]]);
    case.taken = true;
    case.target = (12, [&[3], &[6]]);
    for owned in [None, Some([&[3][..], &[]])] {
        case.owned = owned;
        assert_eq!(case.step().unwrap_err().code, ErrorCode::FENCED_MEMBER_EPOCH);
    }
    case.owned = Some(NONE);
    case.comes(Stable, (12, 11), [([&[3], &[6]], 11)], NONE);
}

#[test]
fn a_topic_that_is_not_subscribed_any_more_is_no_target() {
    for (target, changed) in [(11, false), (11, true), (10, true)] {
        let mut case = Case::new(Stable, (10, 9), [&[1, 2, 3], &[4, 5, 6]], NONE);
        case.subscribed = &["t2"];
        case.target.0 = target;
        case.subscription_changed = changed;
        case.owned = Some([&[], &[4, 5, 6]]);
        case.comes(Stable, (target, 10), [([&[], &[4, 5, 6]], 10)], NONE);
        // It has them still.
        case.owned = Some([&[1, 2, 3], &[4, 5, 6]]);
        case.comes(UnrevokedPartitions, (10, 10), [([&[], &[4, 5, 6]], 10)], [&[1, 2, 3], &[]]);
    }
}

#[test]
fn what_is_not_subscribed_any_more_comes_to_what_is_to_be_given_up() {
    let mut case = Case::new(UnrevokedPartitions, (10, 10), [&[2, 3], &[5, 6]], [&[1], &[4]]);
    case.subscribed = &["t2"];
    case.subscription_changed = true;
    case.target = (12, [&[1, 3, 4], &[6, 7]]);
    case.owned = Some([&[1, 2, 3], &[4, 5, 6]]);
    case.comes(UnrevokedPartitions, (10, 10), [([&[], &[5, 6]], 10)], [&[1, 2, 3], &[4]]);
}

#[test]
fn a_regular_expression_subscribes_to_what_it_was_resolved_to() {
    let mut case = Case::new(Stable, (10, 10), [&[1, 2, 3], &[4, 5, 6]], NONE);
    case.subscription_changed = true;
    case.owned = Some([&[1, 2, 3], &[4, 5, 6]]);
    case.subscribed = &["t1"];
    case.regex = Some(("t2*", Some("t2")));
    case.stays();
    case.regex = Some(("t2*", None));
    case.comes(UnrevokedPartitions, (10, 10), [([&[1, 2, 3], &[]], 10)], [&[], &[4, 5, 6]]);
    case.subscribed = &[];
    case.comes(UnrevokedPartitions, (10, 10), [(NONE, 10)], [&[1, 2, 3], &[4, 5, 6]]);
}
