//! One step of a member towards its target (`CurrentAssignmentBuilder`).
//!
//! A member first gives up what it is not to have: it stays at its epoch until it no longer reports those partitions. Then it
//! comes to the target's epoch and gets what nobody else has; for the rest it waits.

use super::state::{ConsumerGroup, Member, regex_of};
use crate::group::record::{CurrentValue, MemberState, MemberValue, WithEpochs};
use crate::group::request::{Assignment, Refusal};
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupEpoch, PartitionId, TopicId, TopicName};

/// Where a member is to be led.
pub(super) struct Step<'a> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) image: &'a Image,
    /// The member as it says that it is now.
    pub(super) about: &'a MemberValue,
    pub(super) current: &'a CurrentValue,
    pub(super) target_epoch: GroupEpoch,
    pub(super) target: &'a Assignment,
    pub(super) subscription_changed: bool,
    /// What it says it has; `None`: it does not say.
    pub(super) owned: Option<&'a Assignment>,
}

impl Step<'_> {
    /// Where the member is then; `None`: where it was.
    ///
    /// # Errors
    /// FENCED_MEMBER_EPOCH: it is in a state that a later version wrote, and has to start again.
    pub(super) fn take(&self) -> Result<Option<CurrentValue>, Refusal> {
        let current = self.current;
        let at_target = current.state == MemberState::Stable && current.epoch == self.target_epoch;
        if at_target && !self.subscription_changed {
            return Ok(None);
        }
        let next = match current.state {
            MemberState::Stable if at_target => self.leave_topics(),
            MemberState::UnrevokedPartitions if self.still_has(&current.pending_revocation) => {
                if self.subscription_changed { self.leave_topics() } else { None }
            }
            MemberState::Stable | MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                Some(self.advance(current.epoch))
            }
            MemberState::Unknown if self.owned.is_none_or(|owned| !owned.is_empty()) => {
                return Err(Refusal::new(
                    ErrorCode::FENCED_MEMBER_EPOCH,
                    "The consumer group member is in a unknown state. The member must abandon all its partitions and \
                     rejoin.",
                ));
            }
            MemberState::Unknown => Some(self.advance(self.target_epoch)),
        };
        Ok(next.filter(|next| next != current))
    }

    /// Does it report any of these, or report nothing at all?
    fn still_has(&self, partitions: &WithEpochs) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, has)| {
            partitions.get(topic).is_some_and(|of_topic| has.iter().any(|partition| of_topic.contains_key(partition)))
        })
    }

    /// It is where it was to be, or is on its way there; but what it has of topics that it does not consume any more it has
    /// to give up at once.
    fn leave_topics(&self) -> Option<CurrentValue> {
        let current = self.current;
        let mut assigned = current.assigned.clone();
        let mut revoking = current.pending_revocation.clone();
        assigned.retain(|topic, partitions| {
            let stays = self.subscribes(*topic);
            if !stays {
                revoking.entry(*topic).or_default().append(&mut partitions.clone());
            }
            stays
        });
        if assigned.len() == current.assigned.len() {
            return None;
        }
        Some(if self.still_has(&revoking) {
            CurrentValue {
                epoch: current.epoch,
                previous_epoch: current.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned,
                pending_revocation: revoking,
            }
        } else {
            // It has given them up already.
            CurrentValue { previous_epoch: current.epoch, assigned, ..current.clone() }
        })
    }

    fn advance(&self, from: GroupEpoch) -> CurrentValue {
        let current = self.current;
        let mut assigned = WithEpochs::new();
        let mut revoking = WithEpochs::new();
        let mut coming: Vec<(TopicId, PartitionId)> = Vec::new();
        let mut others_have_some = false;

        for (topic, has) in &current.assigned {
            let target = self.target_in(*topic);
            for (partition, epoch) in has {
                let goes_to = if target.binary_search(partition).is_ok() { &mut assigned } else { &mut revoking };
                goes_to.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        for topic in self.target.keys() {
            let has = current.assigned.get(topic);
            let giving_up = current.pending_revocation.get(topic);
            for partition in self.target_in(*topic) {
                if has.is_some_and(|has| has.contains_key(partition)) {
                    continue;
                }
                let is_its_own = giving_up.is_some_and(|partitions| partitions.contains_key(partition));
                if is_its_own || !self.group.is_owned(*topic, *partition) {
                    coming.push((*topic, *partition));
                } else {
                    others_have_some = true;
                }
            }
        }

        if !revoking.is_empty() && self.still_has(&revoking) {
            return CurrentValue {
                epoch: from,
                previous_epoch: current.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned,
                pending_revocation: revoking,
            };
        }
        for (topic, partition) in coming {
            assigned.entry(topic).or_default().insert(partition, self.target_epoch);
        }
        CurrentValue {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state: if others_have_some { MemberState::UnreleasedPartitions } else { MemberState::Stable },
            assigned,
            pending_revocation: WithEpochs::new(),
        }
    }

    /// What it is to have of a topic: nothing, unless it consumes it.
    fn target_in(&self, topic: TopicId) -> &[PartitionId] {
        match self.target.get(&topic) {
            Some(partitions) if self.subscribes(topic) => partitions,
            _ => &[],
        }
    }

    /// A regular expression that is not resolved matches nothing.
    fn subscribes(&self, topic: TopicId) -> bool {
        let Some(topic) = self.image.topic_by_id(topic) else { return false };
        let among = |topics: &[TopicName]| topics.binary_search(&topic.name).is_ok();
        among(&self.about.topics)
            || regex_of(self.about)
                .and_then(|regex| self.group.resolved.get(regex))
                .is_some_and(|resolved| among(&resolved.topics))
    }
}

impl Member {
    /// What it has, without epochs.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        without_epochs(&self.current.assigned)
    }
}

/// The partitions alone.
pub(super) fn without_epochs(partitions: &WithEpochs) -> Assignment {
    partitions.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect())).collect()
}
