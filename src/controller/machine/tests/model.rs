//! Whatever happens in whatever order, what must always hold holds.

use super::*;
use crate::controller::machine::heartbeats::{Sessions, expire, heartbeat};
use crate::controller::machine::{brokers, isr, leadership, reassignment};
use std::collections::BTreeSet;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn node(&mut self) -> NodeId {
        NodeId(self.below(BROKERS) as i32)
    }

    fn nodes(&mut self) -> Vec<NodeId> {
        let count = 1 + self.below(4);
        let chosen: BTreeSet<NodeId> = (0..count).map(|_| self.node()).collect();
        chosen.into_iter().collect()
    }
}

const BROKERS: u64 = 5;
const PARTITIONS: i32 = 4;

struct World {
    rng: Rng,
    image: Image,
    sessions: Sessions,
    offset: i64,
    now_ms: u64,
    /// Replicas that may lack what was committed: an election of one of them loses records.
    unclean: bool,
    /// Who is in sync, as the leader that was asked last said.
    vouched: BTreeSet<NodeId>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng(seed);
        let mut image = cluster((0..BROKERS as i32).map(broker).collect());
        if rng.below(3) == 0 {
            image = without_elr(&image);
        }
        image = with_topic(&image, "a", &[&[0, 1, 2], &[1, 2, 3], &[4, 0, 1], &[2, 4, 3]]);
        image = with_config(&image, "min.insync.replicas", &(1 + rng.below(3)).to_string());
        let unclean = rng.below(3) == 0;
        if unclean {
            image = with_config(&image, "unclean.leader.election.enable", "true");
        }
        let sessions = Sessions::of(&image, DEFAULTS.node, 9000, 0);
        World { rng, image, sessions, offset: 1000, now_ms: 0, unclean, vouched: BTreeSet::new() }
    }

    fn epoch(&self, broker: NodeId) -> i64 {
        self.image.brokers.get(&broker).map_or(-1, |broker| broker.epoch)
    }

    fn step(&mut self) -> Vec<Record> {
        let id = self.rng.node();
        self.now_ms += self.rng.below(3000);
        self.vouched.clear();
        match self.rng.below(9) {
            0 => {
                let known = self.epoch(id);
                let registration = Registration {
                    broker: id,
                    cluster_id: "c".into(),
                    incarnation: Uuid::from_u128(u128::from(self.rng.below(1 << 30))),
                    listeners: Vec::new(),
                    features: crate::controller::supported_features(),
                    rack: None,
                    log_dirs: vec![directory(id.0).0],
                    previous_broker_epoch: if self.rng.below(2) == 0 { known } else { -1 },
                };
                let (sessions, next) = (&mut self.sessions, Offset(self.offset));
                brokers::register(&registration, "c", next, sessions, self.now_ms, &view(&self.image)).records
            }
            1..=3 => {
                let beat = Heartbeat {
                    broker: id,
                    broker_epoch: self.epoch(id),
                    metadata_offset: self.offset - self.rng.below(20) as i64,
                    want_fence: self.rng.below(6) == 0,
                    want_shut_down: self.rng.below(8) == 0,
                    offline_log_dirs: if self.rng.below(30) == 0 { vec![directory(id.0).0] } else { Vec::new() },
                };
                let decided = heartbeat(&beat, &mut self.sessions, self.now_ms, &view(&self.image));
                if decided.answer.is_ok_and(|answer| answer.leaving) {
                    self.sessions.leaves_at(id, Offset(self.offset + decided.records.len() as i64 - 1));
                }
                decided.records
            }
            4 => match self.sessions.expired(&self.image, self.now_ms) {
                Some(broker) => expire(broker, &view(&self.image)).records,
                None => Vec::new(),
            },
            5 | 6 => {
                let number = PartitionId(self.rng.below(PARTITIONS as u64) as i32);
                let at = partition(&self.image, number.0);
                let leader = at.leader.unwrap_or(id);
                let mut wanted = self.rng.nodes();
                wanted.push(leader);
                let isr: BTreeSet<NodeId> = wanted.into_iter().filter(|id| at.replicas.contains(id)).collect();
                self.vouched.clone_from(&isr);
                let proposal = IsrProposal {
                    topic: TopicId(Uuid::from_u128(1)),
                    partition: number,
                    leader_epoch: LeaderEpoch(at.leader_epoch.0 - i32::from(self.rng.below(9) == 0)),
                    isr: isr.into_iter().map(|id| (id, self.epoch(id))).collect(),
                    recovered: self.rng.below(5) != 0,
                    partition_epoch: at.partition_epoch - i32::from(self.rng.below(9) == 0),
                };
                isr::alter(leader, self.epoch(leader), &[proposal], &view(&self.image)).records
            }
            7 => {
                let replicas = if self.rng.below(3) == 0 { None } else { Some(self.rng.nodes()) };
                let partition = PartitionId(self.rng.below(PARTITIONS as u64) as i32);
                let partitions = vec![Reassignment { topic: "a".into(), partition, replicas }];
                reassignment::alter(&Reassign { partitions, may_change_factor: true }, &view(&self.image)).records
            }
            _ => match self.rng.below(3) {
                0 => leadership::balance(&view(&self.image)),
                1 => leadership::elect_unclean(&view(&self.image)),
                _ => brokers::unregister(id, &mut self.sessions, &view(&self.image)).records,
            },
        }
    }
}

fn check(before: &PartitionImage, now: &PartitionImage, world: &World, what: &str) {
    let set = |ids: &Replicas| ids.iter().copied().collect::<BTreeSet<NodeId>>();
    for ids in [&now.replicas, &now.isr, &now.elr, &now.adding, &now.removing] {
        assert_eq!(set(ids).len(), ids.len(), "{what}: somebody is there twice: {now:?}");
    }
    assert!(!now.replicas.is_empty(), "{what}: no replicas");
    assert!(set(&now.isr).is_subset(&set(&now.replicas)), "{what}: ISR beyond the replicas: {now:?}");
    assert!(set(&now.elr).is_disjoint(&set(&now.isr)), "{what}: eligible and in sync: {now:?}");
    assert!(now.leader.is_none_or(|leader| now.isr.contains(&leader)), "{what}: leader not in sync: {now:?}");
    assert_eq!(now.directories.len(), now.replicas.len(), "{what}: a directory for each replica");
    assert!(
        now.leader_epoch >= before.leader_epoch && now.partition_epoch >= before.partition_epoch,
        "{what}: epochs fall"
    );
    if now != before {
        assert!(now.partition_epoch > before.partition_epoch, "{what}: changed within an epoch");
    }
    if now.leader != before.leader {
        assert!(now.leader_epoch > before.leader_epoch, "{what}: another leader in the same epoch");
    }
    if let Some(leader) = now.leader.filter(|leader| before.leader != Some(*leader)) {
        let known = before.isr.contains(&leader) || before.elr.contains(&leader);
        // A move that an ISR completes goes from the leader that proposed it to one that it named.
        let clean = known || world.vouched.contains(&leader);
        let last = before.last_known_elr.contains(&leader) && now.recovering;
        assert!(clean || last || world.unclean && now.recovering, "{what}: an unclean leader: {before:?} {now:?}");
        let there = world.image.brokers.get(&leader).is_some_and(|broker| !broker.fenced);
        assert!(there, "{what}: a leader that is not there");
    }
}

#[test]
fn whatever_brokers_leaders_and_clients_do_what_must_hold_holds() {
    for seed in 0..150 {
        let mut world = World::new(seed);
        for step in 0..300 {
            let before: Vec<PartitionImage> = (0..PARTITIONS).map(|number| partition(&world.image, number)).collect();
            let records = world.step();
            world.offset += records.len() as i64;
            let what = format!("seed {seed}, step {step}: {records:?}");
            world.image = after(&world.image, records);
            for (number, before) in (0..).zip(&before) {
                check(before, &partition(&world.image, number), &world, &what);
            }
        }
    }
}
