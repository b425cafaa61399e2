//! A change of one partition: which leader, ISR and eligible replicas follow from what is asked
//! (`PartitionChangeBuilder`, `PartitionReassignmentReplicas`).
//!
//! Everything that changes a partition comes through here, so that the rules hold everywhere: the
//! leader is one of the ISR; when the ISR is empty, of the eligible replicas (KIP-966); otherwise
//! only by an election that may lose records. What an election makes of a partition is decided on
//! the state that is asked for, not on the one that is.

use super::view::View;
use crate::metadata::record::PartitionChange;
use crate::metadata::{DirectoryId, PartitionImage, Record, Replicas};
use crate::model::{NodeId, PartitionId, TopicId};
use std::collections::BTreeSet;

/// Which leaders an election may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica if it may lead; else as `Online`.
    Preferred,
    /// The leader stays while it may lead.
    Online,
    /// As `Online`, and if nobody may lead, any replica that is there: records may be lost.
    Unclean,
}

/// Who is there to lead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    /// Is treated as active although the image does not say so yet.
    pub(super) added: Option<NodeId>,
    /// Is not, although the image still says so.
    pub(super) removed: Option<NodeId>,
}

/// What is asked of a partition. Begins with nothing.
pub(super) struct Change<'a> {
    view: &'a View<'a>,
    partition: &'a PartitionImage,
    topic: TopicId,
    number: PartitionId,
    /// `min.insync.replicas` as it counts for this topic.
    min_isr: usize,
    present: Present,
    election: Election,
    isr: Replicas,
    replicas: Replicas,
    adding: Replicas,
    removing: Replicas,
    elr: Replicas,
    /// Its log may lack records that it had: it is no longer eligible.
    unclean: Option<NodeId>,
    recovering: bool,
    directory: Option<(NodeId, DirectoryId)>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        view: &'a View<'a>,
        topic: TopicId,
        number: PartitionId,
        partition: &'a PartitionImage,
        min_isr: usize,
    ) -> Change<'a> {
        Change {
            view,
            partition,
            topic,
            number,
            min_isr,
            present: Present::default(),
            election: Election::Online,
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            adding: partition.adding.clone(),
            removing: partition.removing.clone(),
            elr: partition.elr.clone(),
            unclean: None,
            recovering: partition.recovering,
            directory: None,
        }
    }

    pub(super) fn election(self, election: Election) -> Self {
        Change { election, ..self }
    }

    pub(super) fn present(self, present: Present) -> Self {
        Change { present, ..self }
    }

    pub(super) fn isr(self, isr: Replicas) -> Self {
        Change { isr, ..self }
    }

    pub(super) fn replicas(self, replicas: Replicas) -> Self {
        Change { replicas, ..self }
    }

    pub(super) fn adding(self, adding: Replicas) -> Self {
        Change { adding, ..self }
    }

    pub(super) fn removing(self, removing: Replicas) -> Self {
        Change { removing, ..self }
    }

    pub(super) fn unclean(self, unclean: Option<NodeId>) -> Self {
        Change { unclean, ..self }
    }

    pub(super) fn recovering(self, recovering: bool) -> Self {
        Change { recovering, ..self }
    }

    pub(super) fn directory(self, broker: NodeId, directory: DirectoryId) -> Self {
        Change { directory: Some((broker, directory)), ..self }
    }

    /// The record, or `None` if nothing changes.
    pub(super) fn build(mut self) -> Option<PartitionChange> {
        let mut change = PartitionChange::new(self.topic, self.number);
        self.complete_reassignment();
        self.find_eligible();
        self.elect(&mut change);
        if change.leader.is_none() && !contains_all(&self.replicas, &self.partition.replicas) {
            // Whoever loses its replica learns so by a new epoch.
            change.leader = Some(self.partition.leader);
        }
        self.note_eligible(&mut change);
        if change.isr.is_none() && (!self.isr.is_empty() || self.view.elr_enabled()) && self.isr != self.partition.isr {
            change.isr = Some(self.isr.clone());
        }
        if self.view.shrinking_needs_an_epoch()
            && change.leader.is_none()
            && change.isr.as_ref().is_some_and(|isr| !contains_all(isr, &self.partition.isr))
        {
            change.leader = Some(self.partition.leader);
        }
        self.note_last_leader(&mut change);
        self.note_assignment(&mut change);
        if self.recovering != self.partition.recovering {
            change.recovering = Some(self.recovering);
        }
        (change != PartitionChange::new(self.topic, self.number)).then_some(change)
    }

    /// As [`Change::build`], as a record.
    pub(super) fn record(self) -> Option<Record> {
        self.build().map(Record::PartitionChange)
    }

    /// A reassignment is over when all that are added are in sync, and, if there will be fewer replicas than before, all
    /// that remain are.
    fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let isr = without(&self.isr, &self.removing);
        let replicas = without(&self.replicas, &self.removing);
        let shrinks = self.adding.len() < self.removing.len();
        if (!self.removing.is_empty() && (isr.is_empty() || replicas.is_empty()))
            || !contains_all(&isr, &self.adding)
            || shrinks && !contains_all(&isr, &replicas)
        {
            return;
        }
        self.isr = isr;
        self.replicas = replicas;
        self.adding.clear();
        self.removing.clear();
    }

    /// Whoever leaves an ISR below the minimum stays eligible: it has all that was committed, since nothing more could be.
    fn find_eligible(&mut self) {
        if !self.view.elr_enabled() {
            return;
        }
        if self.isr.len() >= self.min_isr {
            self.elr.clear();
            return;
        }
        let candidates: BTreeSet<NodeId> = self.elr.iter().chain(&self.partition.isr).copied().collect();
        let left = |id: &NodeId| !self.isr.contains(id);
        self.elr = candidates.iter().copied().filter(|id| left(id) && self.unclean != Some(*id)).collect();
    }

    fn is_present(&self, id: NodeId) -> bool {
        self.present.removed != Some(id)
            && self.unclean != Some(id)
            && (self.present.added == Some(id) || self.view.is_active(id))
            && self.view.replica_is_online(self.partition, id)
    }

    fn may_lead(&self, id: NodeId) -> bool {
        (self.isr.contains(&id) || self.isr.is_empty() && self.elr.contains(&id)) && self.is_present(id)
    }

    /// The last one to lead, when all eligible replicas have lost their claim: most likely to have what was committed. It may
    /// have lost its replica to a move since, and leads no more then; Kafka would have it lead what it does not hold.
    fn last_leader(&self) -> Option<NodeId> {
        if !self.view.elr_enabled() || !self.elr.is_empty() || !self.isr.is_empty() {
            return None;
        }
        match self.partition.last_known_elr[..] {
            [last] if self.replicas.contains(&last) && self.is_present(last) => Some(last),
            _ => None,
        }
    }

    /// Who is to lead, and whether records may be lost by it.
    fn winner(&self) -> (Option<NodeId>, bool) {
        let preferred =
            self.replicas.first().copied().filter(|id| self.election == Election::Preferred && self.may_lead(*id));
        let clean = preferred
            .or_else(|| self.partition.leader.filter(|id| self.may_lead(*id)))
            .or_else(|| self.replicas.iter().copied().find(|id| self.may_lead(*id)));
        if clean.is_some() {
            return (clean, false);
        }
        let any =
            || self.replicas.iter().copied().find(|id| self.election == Election::Unclean && self.is_present(*id));
        let unclean = self.last_leader().or_else(any);
        (unclean, unclean.is_some())
    }

    fn elect(&mut self, change: &mut PartitionChange) {
        let (winner, unclean) = self.winner();
        if winner == self.partition.leader {
            return;
        }
        if let Some(winner) = winner.filter(|id| self.elr.contains(id)) {
            self.isr = Replicas::from_slice(&[winner]);
            self.elr = without(&self.elr, &[winner]);
        }
        change.leader = Some(winner);
        if let Some(winner) = winner.filter(|_| unclean) {
            change.isr = Some(Replicas::from_slice(&[winner]));
            if !self.partition.recovering {
                change.recovering = Some(true);
            }
        }
    }

    fn note_eligible(&mut self, change: &mut PartitionChange) {
        // An unclean election has set the ISR: nobody else has what the leader has.
        if change.isr.is_some() || !self.view.elr_enabled() {
            self.elr.clear();
        }
        if self.elr != self.partition.elr {
            change.elr = Some(self.elr.clone());
        }
    }

    fn note_last_leader(&self, change: &mut PartitionChange) {
        if !self.view.elr_enabled() {
            return;
        }
        match (change.leader, self.partition.leader) {
            (Some(None), Some(last)) if self.partition.last_known_elr.is_empty() => {
                change.last_known_elr = Some(Replicas::from_slice(&[last]));
            }
            (Some(Some(_)), _) if !self.partition.last_known_elr.is_empty() => {
                change.last_known_elr = Some(Replicas::new());
            }
            _ => {}
        }
    }

    fn note_assignment(&self, change: &mut PartitionChange) {
        if self.view.directories_supported() {
            let directories = self.replicas.iter().map(|id| self.directory_of(*id)).collect();
            if directories != self.partition.directories {
                change.directories = Some(directories);
            }
        }
        let differs = |new: &Replicas, old: &Replicas| (new != old).then(|| new.clone());
        change.replicas = differs(&self.replicas, &self.partition.replicas);
        change.removing = differs(&self.removing, &self.partition.removing);
        change.adding = differs(&self.adding, &self.partition.adding);
    }

    fn directory_of(&self, id: NodeId) -> DirectoryId {
        if let Some((broker, directory)) = self.directory
            && broker == id
        {
            return directory;
        }
        let index = self.partition.replicas.iter().position(|replica| *replica == id);
        let known = index.and_then(|index| self.partition.directories.get(index)).copied();
        known.unwrap_or_else(|| self.view.default_directory(id))
    }
}

/// The nodes less some, in order.
pub(super) fn without(nodes: &[NodeId], less: &[NodeId]) -> Replicas {
    nodes.iter().copied().filter(|id| !less.contains(id)).collect()
}

fn contains_all(nodes: &[NodeId], all: &[NodeId]) -> bool {
    all.iter().all(|id| nodes.contains(id))
}
