//! Who leads: what happens to partitions when brokers come and go, elections by request and by timer
//! (`ReplicationControlManager`).

use super::change::{Change, Election, Present, without};
use super::view::View;
use super::{Decision, RECORDS_MAX};
use crate::controller::request::{ApiError, ElectLeaders, Elected, ElectionType};
use crate::metadata::record::{BrokerChange, PartitionChange};
use crate::metadata::{BrokerImage, DirectoryId, PartitionImage, Record, TopicImage};
use crate::model::{ErrorCode, NodeId, PartitionId};

/// Elections that one round of a periodic task holds at most (`MAX_ELECTIONS_PER_IMBALANCE`).
pub(crate) const ELECTIONS_MAX: usize = 1000;

/// A broker that goes, comes, or was found to have lost the end of its logs.
#[derive(Clone, Copy, Default)]
struct Sweep {
    present: Present,
    unclean: Option<NodeId>,
}

impl Sweep {
    fn gone(broker: NodeId) -> Sweep {
        Sweep { present: Present { removed: Some(broker), added: None }, unclean: None }
    }

    fn back(broker: NodeId) -> Sweep {
        Sweep { present: Present { added: Some(broker), removed: None }, unclean: None }
    }

    /// Partitions that `of` picks, without the broker in their ISR, and with a leader if there is one to be had.
    fn over(self, view: &View<'_>, of: impl Fn(&PartitionImage) -> bool, records: &mut Vec<Record>) {
        for topic in view.image.topics_by_id.values() {
            for (number, partition) in topic.numbered().filter(|(_, partition)| of(partition)) {
                records.extend(self.change(view, topic, number, partition).map(Record::PartitionChange));
            }
        }
    }

    fn change(
        self,
        view: &View<'_>,
        topic: &TopicImage,
        number: PartitionId,
        partition: &PartitionImage,
    ) -> Option<PartitionChange> {
        let less: Vec<NodeId> = self.present.removed.into_iter().chain(self.unclean).collect();
        change(view, topic, number, partition)
            .election(unclean_if_allowed(view, topic))
            .present(self.present)
            .unclean(self.unclean)
            .isr(without(&partition.isr, &less))
            .build()
    }
}

/// A change of a partition, to begin with.
pub(super) fn change<'a>(
    view: &'a View<'a>,
    topic: &TopicImage,
    number: PartitionId,
    partition: &'a PartitionImage,
) -> Change<'a> {
    Change::new(view, topic.id, number, partition, view.min_isr(topic))
}

/// The election for a partition that needs a leader.
pub(super) fn unclean_if_allowed(view: &View<'_>, topic: &TopicImage) -> Election {
    if view.unclean_election(&topic.name) { Election::Unclean } else { Election::Online }
}

/// Whether a broker leads anything.
pub(super) fn leads(view: &View<'_>, broker: NodeId) -> bool {
    view.image.topics_by_id.values().any(|topic| topic.partitions.iter().any(|p| p.leader == Some(broker)))
}

/// A broker that is registered is fenced: nothing is led by it, it is in no ISR.
pub(super) fn fence(view: &View<'_>, broker: &BrokerImage, records: &mut Vec<Record>) {
    Sweep::gone(broker.id).over(view, |partition| partition.isr.contains(&broker.id), records);
    if !broker.fenced {
        let change = BrokerChange { fenced: Some(true), ..BrokerChange::new(broker.id, broker.epoch) };
        records.push(Record::BrokerChange(change));
    }
}

/// A broker is unfenced: it leads what has no leader and may be led by it.
pub(super) fn unfence(view: &View<'_>, broker: &BrokerImage, records: &mut Vec<Record>) {
    let change = BrokerChange { fenced: Some(false), ..BrokerChange::new(broker.id, broker.epoch) };
    records.push(Record::BrokerChange(change));
    Sweep::back(broker.id).over(view, |partition| partition.leader.is_none(), records);
}

/// A broker is about to stop: what it leads goes to others, and it joins no ISR any more.
pub(super) fn begin_shutdown(view: &View<'_>, broker: &BrokerImage, records: &mut Vec<Record>) {
    if !broker.in_controlled_shutdown {
        let change = BrokerChange { in_controlled_shutdown: true, ..BrokerChange::new(broker.id, broker.epoch) };
        records.push(Record::BrokerChange(change));
    }
    Sweep::gone(broker.id).over(view, |partition| partition.isr.contains(&broker.id), records);
}

/// A broker registers in a new incarnation: the one before is gone. If that was not a clean stop, the broker may lack records
/// that it had, and is eligible no more.
pub(super) fn restarted(view: &View<'_>, broker: NodeId, clean: bool, records: &mut Vec<Record>) {
    let in_isr = |partition: &PartitionImage| partition.isr.contains(&broker);
    if clean || !view.elr_enabled() {
        Sweep::gone(broker).over(view, in_isr, records);
    } else {
        let sweep = Sweep { present: Present::default(), unclean: Some(broker) };
        sweep.over(view, in_isr, records);
        sweep.over(view, |partition| partition.elr.contains(&broker), records);
    }
}

/// A broker is removed from the cluster.
pub(super) fn unregister(view: &View<'_>, broker: &BrokerImage, records: &mut Vec<Record>) {
    let sweep = Sweep::gone(broker.id);
    sweep.over(view, |partition| partition.isr.contains(&broker.id), records);
    sweep.over(view, |partition| partition.elr.contains(&broker.id), records);
    records.push(Record::UnregisterBroker { broker: broker.id, epoch: broker.epoch });
}

/// A broker has lost directories: their partitions go to others.
pub(super) fn lose_directories(
    view: &View<'_>,
    broker: &BrokerImage,
    offline: &[DirectoryId],
    records: &mut Vec<Record>,
) {
    let (lost, kept): (Vec<DirectoryId>, Vec<DirectoryId>) =
        broker.directories.iter().copied().partition(|directory| offline.contains(directory));
    if lost.is_empty() {
        return;
    }
    let lies_there = |partition: &PartitionImage| {
        let replicas = partition.replicas.iter().zip(&partition.directories);
        replicas.into_iter().any(|(id, directory)| *id == broker.id && lost.contains(directory))
    };
    Sweep::gone(broker.id).over(view, lies_there, records);
    let change = BrokerChange { directories: Some(kept), ..BrokerChange::new(broker.id, broker.epoch) };
    records.push(Record::BrokerChange(change));
}

/// A broker's replica turns out to lie in a directory that is lost.
pub(super) fn lose_replica(
    view: &View<'_>,
    broker: NodeId,
    topic: &TopicImage,
    number: PartitionId,
    partition: &PartitionImage,
) -> Option<PartitionChange> {
    Sweep::gone(broker).change(view, topic, number, partition)
}

/// Decides ElectLeaders. Of all partitions, those that need no election are left out of the answer.
pub(crate) fn elect(request: &ElectLeaders, view: &View<'_>) -> Decision<Vec<(String, Vec<Elected>)>> {
    let mut records = Vec::new();
    let answer = match &request.partitions {
        None => {
            let all = view.image.topics_by_name.values().map(|topic| {
                let results = topic.numbered().map(|(number, _)| {
                    (number, elect_one(view, topic.name.as_str(), number, request.election, &mut records))
                });
                let needed = |error: &ApiError| error.code == ErrorCode::ELECTION_NOT_NEEDED;
                let told = results.filter(|(_, result)| !result.as_ref().is_err_and(needed)).collect();
                (topic.name.as_str().to_owned(), told)
            });
            all.collect()
        }
        Some(topics) => topics
            .iter()
            .map(|(name, numbers)| {
                let results = numbers
                    .iter()
                    .map(|number| (*number, elect_one(view, name, *number, request.election, &mut records)));
                (name.clone(), results.collect())
            })
            .collect(),
    };
    Decision { records, answer }
}

fn elect_one(
    view: &View<'_>,
    name: &str,
    number: PartitionId,
    election: ElectionType,
    records: &mut Vec<Record>,
) -> Result<(), ApiError> {
    let missing = |text: String| ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text);
    let topic = view.image.topic(name).ok_or_else(|| missing(format!("No such topic as {name}")))?;
    let partition =
        topic.partition(number).ok_or_else(|| missing(format!("No such partition as {name}-{}", number.0)))?;
    let (needed, election, unavailable) = match election {
        ElectionType::Preferred => {
            let needed = partition.leader != partition.replicas.first().copied();
            (needed, Election::Preferred, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)
        }
        ElectionType::Unclean => {
            (partition.leader.is_none(), Election::Unclean, ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE)
        }
    };
    if !needed {
        return Err(ApiError::bare(ErrorCode::ELECTION_NOT_NEEDED));
    }
    if records.len() >= RECORDS_MAX {
        let text = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::POLICY_VIOLATION, text));
    }
    let change = change(view, topic, number, partition).election(election).record();
    records.push(change.ok_or_else(|| ApiError::bare(unavailable))?);
    Ok(())
}

/// A round of giving partitions back to their first replicas. At [`ELECTIONS_MAX`] records there may be more to do.
pub(crate) fn balance(view: &View<'_>) -> Vec<Record> {
    round(view, |_, partition| (partition.leader != partition.replicas.first().copied()).then_some(Election::Preferred))
}

/// A round of electing leaders that may lack records, for partitions without one whose topics allow it. At
/// [`ELECTIONS_MAX`] records there may be more to do.
pub(crate) fn elect_unclean(view: &View<'_>) -> Vec<Record> {
    round(view, |topic, partition| {
        (partition.leader.is_none() && view.unclean_election(&topic.name)).then_some(Election::Unclean)
    })
}

fn round(view: &View<'_>, due: impl Fn(&TopicImage, &PartitionImage) -> Option<Election>) -> Vec<Record> {
    let mut records = Vec::new();
    for topic in view.image.topics_by_id.values() {
        for (number, partition) in topic.numbered() {
            if records.len() >= ELECTIONS_MAX {
                return records;
            }
            let due = due(topic, partition);
            records.extend(due.and_then(|election| change(view, topic, number, partition).election(election).record()));
        }
    }
    records
}
