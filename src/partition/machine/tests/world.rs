//! A partition on three nodes, a controller, and messages that come late or not at all. The nodes decide with the machines;
//! the logs are lists, and everything else is as simple as it can be.

use super::super::{FollowerFetch, Leader, Proposal, Verdict, Visibility, truncation};
use super::image;
use crate::metadata::{PartitionImage, Replicas};
use crate::model::{LeaderEpoch, NodeId, Offset};
use crate::storage::EpochEnd;
use std::collections::BTreeMap;

pub(super) const LAG_MAX: i64 = 50;
const NODES: i32 = 3;

/// A fault that is planted to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// The leader answers when it has appended.
    AnswersBeforeCommit,
    /// A follower whose log diverges goes on where it is.
    SkipsTruncation,
    /// Earlier lives of a broker are taken for the present one.
    CountsStaleReplicas,
}

/// Kafka's generator would do as well: the same numbers from the same seed are all that is wanted.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn node(&mut self) -> i32 {
        i32::try_from(self.below(NODES as u64)).unwrap() + 1
    }
}

#[derive(Clone, Debug, Default)]
struct Log {
    /// Epoch and value.
    records: Vec<(i32, u64)>,
    /// Epoch and where it starts, of those in which something was written or led.
    epochs: Vec<(i32, usize)>,
}

impl Log {
    fn end(&self) -> Offset {
        Offset(self.records.len() as i64)
    }

    fn assign(&mut self, epoch: i32, start: usize) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            self.epochs.retain(|(_, at)| *at < start);
            self.epochs.push((epoch, start));
        }
    }

    fn push(&mut self, epoch: i32, value: u64) {
        self.assign(epoch, self.records.len());
        self.records.push((epoch, value));
    }

    fn truncate(&mut self, to: Offset) {
        let to = usize::try_from(to.0).unwrap();
        self.records.truncate(to);
        self.epochs.retain(|(_, start)| *start < to);
    }

    fn last_epoch(&self) -> i32 {
        self.epochs.last().map_or(-1, |(epoch, _)| *epoch)
    }

    fn end_of(&self, epoch: i32) -> Option<EpochEnd> {
        let of = |epoch, end: usize| EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end as i64) };
        if epoch < 0 {
            return None;
        }
        if self.last_epoch() == epoch {
            return Some(of(epoch, self.records.len()));
        }
        let above = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(above)?.1;
        Some(of(above.checked_sub(1).map_or(epoch, |floor| self.epochs[floor].0), end))
    }
}

/// A fetch that a follower has sent.
#[derive(Clone, Debug)]
struct Fetch {
    from: i32,
    broker_epoch: i64,
    to: i32,
    epoch: i32,
    at: Offset,
    last_epoch: i32,
}

#[derive(Clone, Debug)]
struct Answer {
    fetch: Fetch,
    diverging: Option<EpochEnd>,
    records: Vec<(i32, u64)>,
    high_watermark: Offset,
}

struct Node {
    id: i32,
    up: bool,
    broker_epoch: i64,
    log: Log,
    /// On disk.
    checkpoint: Offset,
    visibility: Visibility,
    leader: Option<Leader>,
    /// How many of the controller's images it has seen.
    seen: usize,
    leader_epoch: i32,
    follows: Option<i32>,
    fetching: bool,
    /// Offset and value of what was appended and not answered.
    waiting: Vec<(Offset, u64)>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    bug: Bug,
    min_isr: usize,
    now: i64,
    nodes: Vec<Node>,
    /// What the controller has decided, oldest first.
    images: Vec<PartitionImage>,
    /// Broker epochs as registered, and whether fenced.
    brokers: BTreeMap<i32, (i64, bool)>,
    next_broker_epoch: i64,
    fetches: Vec<Fetch>,
    late: Vec<Fetch>,
    answers: Vec<Answer>,
    proposals: Vec<(i32, Proposal)>,
    verdicts: Vec<(i32, Proposal, Verdict)>,
    next_value: u64,
    pub(super) acked: BTreeMap<i64, u64>,
    pub(super) trace: Vec<String>,
    pub(super) violation: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, bug: Bug, min_isr: usize) -> World {
        let node = |id: i32| Node {
            id,
            up: true,
            broker_epoch: i64::from(id),
            log: Log::default(),
            checkpoint: Offset(0),
            visibility: Visibility::opened(Offset(0), Offset(0), Offset(0)),
            leader: None,
            seen: 0,
            leader_epoch: -1,
            follows: None,
            fetching: false,
            waiting: Vec::new(),
        };
        World {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            bug,
            min_isr,
            now: 0,
            nodes: (1..=NODES).map(node).collect(),
            images: vec![image(&[1, 2, 3], &[1, 2, 3], 0, 0)],
            brokers: (1..=NODES).map(|id| (id, (i64::from(id), false))).collect(),
            next_broker_epoch: 10,
            fetches: Vec::new(),
            late: Vec::new(),
            answers: Vec::new(),
            proposals: Vec::new(),
            verdicts: Vec::new(),
            next_value: 0,
            acked: BTreeMap::new(),
            trace: Vec::new(),
            violation: None,
        }
    }

    fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[usize::try_from(id - 1).unwrap()]
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    fn eligible(&self, id: i32) -> Option<i64> {
        let (epoch, fenced) = self.brokers[&id];
        (!fenced).then_some(epoch)
    }

    /// One step of the schedule.
    pub(super) fn step(&mut self) {
        self.now += 1;
        let id = self.dice.node();
        match self.dice.below(100) {
            0..20 => self.produce(id),
            20..40 => self.send_fetch(id),
            40..58 => self.serve_fetch(),
            58..76 => self.take_answer(),
            76..84 => self.see_metadata(id),
            84..88 => self.decide(),
            88..91 => self.take_verdict(),
            91..93 => self.shrink(id),
            93 => self.now += LAG_MAX,
            94 => self.lose_message(),
            95 => self.crash(id),
            96 => self.fence(id),
            97..99 => self.restart(id),
            _ => self.checkpoint(id),
        }
        self.check();
    }

    fn produce(&mut self, id: i32) {
        let (bug, min_isr, value) = (self.bug, self.min_isr, self.next_value);
        let node = self.node(id);
        let Some(leader) = &node.leader else { return };
        if !node.up || leader.is_under_min_isr(min_isr) {
            return;
        }
        let epoch = node.leader_epoch;
        node.log.push(epoch, value);
        let end = node.log.end();
        node.visibility.appended(end, false);
        node.waiting.push((Offset(end.0 - 1), value));
        if bug == Bug::AnswersBeforeCommit {
            self.acked.insert(end.0 - 1, value);
        }
        self.next_value += 1;
        self.note(format!("{id} appends {value} at {}", end.0 - 1));
        self.relimit(id);
    }

    fn send_fetch(&mut self, id: i32) {
        let node = self.node(id);
        let Some(leader) = node.follows.filter(|_| node.up && !node.fetching) else { return };
        let fetch = Fetch {
            from: id,
            broker_epoch: node.broker_epoch,
            to: leader,
            epoch: node.leader_epoch,
            at: node.log.end(),
            last_epoch: node.log.last_epoch(),
        };
        node.fetching = true;
        // The network may keep a copy, and deliver it when nobody expects it any more.
        if self.dice.below(6) == 0 {
            self.late.push(fetch.clone());
        }
        self.fetches.push(fetch);
    }

    fn serve_fetch(&mut self) {
        if self.fetches.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.fetches.len() as u64)).unwrap();
        let fetch = self.fetches.swap_remove(at);
        let (now, bug) = (self.now, self.bug);
        let eligible = self.eligible(fetch.from);
        let node = self.node(fetch.to);
        if !node.up || node.leader.is_none() || node.leader_epoch != fetch.epoch {
            return self.end_fetch(&fetch);
        }
        let mut diverging = None;
        if fetch.last_epoch >= 0 {
            match node.log.end_of(fetch.last_epoch) {
                Some(end) if end.epoch.0 < fetch.last_epoch || end.end < fetch.at => diverging = Some(end),
                Some(_) => {}
                None => return self.end_fetch(&fetch),
            }
        }
        if diverging.is_none() && fetch.at > node.log.end() {
            return self.end_fetch(&fetch);
        }
        let mut records = Vec::new();
        let mut proposal = None;
        if bug == Bug::SkipsTruncation && diverging.is_some() && fetch.at <= node.log.end() {
            diverging = None;
        }
        if diverging.is_none() {
            records = node.log.records[usize::try_from(fetch.at.0).unwrap()..].to_vec();
            let (broker_epoch, eligible) = match bug {
                Bug::CountsStaleReplicas => (-1, eligible),
                _ => (fetch.broker_epoch, eligible),
            };
            let noted =
                FollowerFetch { from: NodeId(fetch.from), at: fetch.at, log_start: Offset(0), broker_epoch, eligible };
            let high_watermark = node.visibility.high_watermark();
            let log_end = node.log.end();
            let leader = node.leader.as_mut().unwrap();
            if leader.fetched(&noted, log_end, now).is_none() {
                return self.end_fetch(&fetch);
            }
            proposal = leader.expansion(NodeId(fetch.from), high_watermark);
        }
        let to = fetch.to;
        if let Some(proposal) = proposal {
            self.proposals.push((to, proposal));
        }
        self.relimit(to);
        let high_watermark = self.node(to).visibility.high_watermark();
        self.answers.push(Answer { fetch, diverging, records, high_watermark });
    }

    fn end_fetch(&mut self, fetch: &Fetch) {
        let node = self.node(fetch.from);
        if node.broker_epoch == fetch.broker_epoch {
            node.fetching = false;
        }
    }

    fn take_answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.answers.len() as u64)).unwrap();
        let Answer { fetch, diverging, records, high_watermark } = self.answers.swap_remove(at);
        self.end_fetch(&fetch);
        let id = fetch.from;
        let node = self.node(id);
        let holds = node.up
            && node.broker_epoch == fetch.broker_epoch
            && node.leader.is_none()
            && node.leader_epoch == fetch.epoch
            && node.log.end() == fetch.at
            // A late answer may find the log as long as it was, and another one.
            && node.log.last_epoch() == fetch.last_epoch;
        if !holds {
            return;
        }
        if let Some(end) = diverging {
            let cut = truncation(end, node.log.end_of(end.epoch.0), node.log.end());
            node.log.truncate(cut);
            let below = cut < node.visibility.high_watermark();
            node.visibility.cut(cut);
            self.note(format!("{id} cuts to {cut}"));
            if below {
                self.violation = Some(format!("{id} cut below its high watermark, to {cut}"));
            }
            return;
        }
        for (epoch, value) in records {
            node.log.push(epoch, value);
        }
        let end = node.log.end();
        let before = node.visibility.high_watermark();
        node.visibility.appended(end, false);
        node.visibility.limited(high_watermark);
        assert!(node.visibility.high_watermark() >= before, "the high watermark fell");
        self.note(format!("{id} has {end} of {}", fetch.to));
    }

    fn see_metadata(&mut self, id: i32) {
        let now = self.now;
        let next = self.node(id).seen;
        let Some(seen) = self.images.get(next).cloned() else { return };
        let known: Vec<Option<i64>> = (1..=NODES).map(|id| self.eligible(id)).collect();
        let node = self.node(id);
        if !node.up {
            return;
        }
        node.seen += 1;
        let (me, rises) = (NodeId(id), seen.leader_epoch.0 > node.leader_epoch);
        let end = node.log.end();
        let eligible = |node: NodeId| known[usize::try_from(node.0 - 1).unwrap()];
        if seen.leader == Some(me) && seen.isr.contains(&me) {
            match &mut node.leader {
                Some(leader) => {
                    leader.update(&seen, Some(end), now);
                }
                none => {
                    let mut leader = Leader::new(me, &seen, now);
                    leader.begins_at(end);
                    *none = Some(leader);
                }
            }
            node.leader.as_mut().unwrap().set_eligible(eligible);
            node.follows = None;
            if rises {
                let start = node.log.records.len();
                node.log.assign(seen.leader_epoch.0, start);
            }
        } else {
            node.leader = None;
            node.waiting.clear();
            node.follows = seen.leader.map(|leader| leader.0).filter(|leader| *leader != id);
            let committed = node.visibility.high_watermark();
            node.visibility.limited(committed);
        }
        node.leader_epoch = seen.leader_epoch.0;
        self.note(format!("{id} sees {:?} lead in {}, isr {:?}", seen.leader, seen.leader_epoch, seen.isr));
        self.relimit(id);
    }

    fn relimit(&mut self, id: i32) {
        let (now, min_isr) = (self.now, self.min_isr);
        let node = self.node(id);
        let Some(leader) = &node.leader else { return };
        let known = node.visibility.high_watermark();
        let limit = leader.limit(node.log.end(), min_isr, now, LAG_MAX).unwrap_or(known);
        node.visibility.limited(limit);
        let committed = node.visibility.high_watermark();
        let done: Vec<(Offset, u64)> = node.waiting.iter().copied().filter(|(at, _)| *at < committed).collect();
        node.waiting.retain(|(at, _)| *at >= committed);
        for (at, value) in done {
            self.note(format!("{id} answers {value}"));
            self.acked.insert(at.0, value);
        }
    }

    fn shrink(&mut self, id: i32) {
        let now = self.now;
        let node = self.node(id);
        let end = node.log.end();
        let Some(leader) = node.leader.as_mut().filter(|_| node.up) else { return };
        if let Some(proposal) = leader.shrinking(end, now, LAG_MAX) {
            self.proposals.push((id, proposal));
        }
        self.relimit(id);
    }

    /// The controller takes a proposal.
    fn decide(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.proposals.len() as u64)).unwrap();
        let (from, proposal) = self.proposals.swap_remove(at);
        let mut current = self.images.last().unwrap().clone();
        let stale = current.leader != Some(NodeId(from))
            || current.leader_epoch != proposal.leader_epoch
            || current.partition_epoch != proposal.partition_epoch;
        let checks_epochs = self.bug != Bug::CountsStaleReplicas;
        let ineligible = proposal.isr.iter().any(|(node, epoch)| {
            let (registered, fenced) = self.brokers[&node.0];
            fenced || (checks_epochs && *epoch != -1 && *epoch != registered)
        });
        let verdict = if stale {
            Verdict::Unknown
        } else if ineligible {
            Verdict::Refused
        } else {
            current.isr = proposal.isr.iter().map(|(node, _)| *node).collect();
            current.partition_epoch += 1;
            self.note(format!("the controller sets isr {:?}", current.isr));
            let verdict = Verdict::Is {
                leader_epoch: current.leader_epoch,
                partition_epoch: current.partition_epoch,
                isr: current.isr.clone(),
            };
            self.images.push(current);
            verdict
        };
        self.verdicts.push((from, proposal, verdict));
    }

    fn take_verdict(&mut self) {
        let Some((id, proposal, verdict)) = self.verdicts.pop() else { return };
        let node = self.node(id);
        if let Some(leader) = node.leader.as_mut().filter(|_| node.up) {
            leader.decided(proposal, verdict);
        }
        self.relimit(id);
    }

    fn lose_message(&mut self) {
        if self.dice.below(2) == 0 {
            self.fetches.append(&mut self.late);
            return;
        }
        if let Some(fetch) = self.fetches.pop() {
            self.end_fetch(&fetch);
        } else if let Some(answer) = self.answers.pop() {
            self.end_fetch(&answer.fetch);
        }
    }

    /// The controller hears nothing from a broker: whoever leads there leads no more.
    fn fence(&mut self, id: i32) {
        let (epoch, _) = self.brokers[&id];
        self.brokers.insert(id, (epoch, true));
        self.elect(Some(id));
    }

    /// Takes `gone` out of the in-sync replicas, unless it is the last, and elects a leader if there is none that lives.
    fn elect(&mut self, gone: Option<i32>) {
        let mut current = self.images.last().unwrap().clone();
        let before = current.clone();
        if let Some(gone) = gone {
            let rest: Replicas = current.isr.iter().filter(|node| node.0 != gone).copied().collect();
            if !rest.is_empty() {
                current.isr = rest;
            }
        }
        let lives = |node: &NodeId| !self.brokers[&node.0].1;
        let leads = current.leader.filter(|leader| lives(leader) && current.isr.contains(leader));
        current.leader = leads.or_else(|| current.isr.iter().find(|node| lives(node)).copied());
        if current.leader != before.leader {
            current.leader_epoch = LeaderEpoch(current.leader_epoch.0 + 1);
        }
        if current != before {
            current.partition_epoch += 1;
            self.note(format!(
                "the controller: {:?} leads in {}, isr {:?}",
                current.leader, current.leader_epoch, current.isr
            ));
            self.images.push(current);
        }
    }

    /// A process ends. Sometimes the machine does too, and takes with it what was not on disk; not of the last in-sync
    /// replica, of which nobody promises anything.
    fn crash(&mut self, id: i32) {
        let power = self.dice.below(2) == 0 && self.images.last().unwrap().isr.len() > 1;
        let lost = i64::try_from(self.dice.below(4)).unwrap();
        let node = self.node(id);
        if !node.up {
            return;
        }
        node.up = false;
        node.leader = None;
        node.follows = None;
        node.waiting.clear();
        if power {
            let end = (node.log.end().0 - lost).max(0);
            node.log.truncate(Offset(end));
        }
        self.note(format!("{id} crashes, power {power}"));
        // A cut log is never that of an in-sync replica: the controller does not see it as one when it comes back.
        if power {
            self.fence(id);
        }
    }

    fn restart(&mut self, id: i32) {
        if self.node(id).up {
            // It was only silent.
            if self.brokers[&id].1 {
                let epoch = self.brokers[&id].0;
                self.brokers.insert(id, (epoch, false));
                self.elect(None);
            }
            return;
        }
        self.fence(id);
        let epoch = self.next_broker_epoch;
        self.next_broker_epoch += 1;
        self.brokers.insert(id, (epoch, false));
        self.elect(None);
        let latest = self.images.len() - 1;
        let node = self.node(id);
        node.up = true;
        node.broker_epoch = epoch;
        node.fetching = false;
        let (committed, end) = (node.checkpoint.min(node.log.end()), node.log.end());
        node.visibility = Visibility::opened(committed, end, committed);
        node.seen = latest;
        node.leader_epoch = -1;
        self.note(format!("{id} comes back"));
    }

    fn checkpoint(&mut self, id: i32) {
        let node = self.node(id);
        node.checkpoint = node.visibility.high_watermark();
    }

    /// What was acknowledged is in the log of every in-sync replica.
    fn check(&mut self) {
        let current = self.images.last().unwrap();
        for id in &current.isr {
            let node = &self.nodes[usize::try_from(id.0 - 1).unwrap()];
            for (at, value) in &self.acked {
                let has = node.log.records.get(usize::try_from(*at).unwrap());
                if has.map(|(_, value)| value) != Some(value) {
                    self.violation.get_or_insert(format!("{} has {has:?} at {at}, {value} was acknowledged", node.id));
                }
            }
        }
    }
}
