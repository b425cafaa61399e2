use super::*;
use crate::controller::machine::placement::place;
use std::collections::BTreeSet;

/// Draws from a seed.
struct Seeded(u64);

impl Draw for Seeded {
    fn topic_id(&mut self) -> TopicId {
        TopicId(Uuid::from_u128(u128::from(self.0)))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn in_rack(id: i32, rack: &str) -> BrokerImage {
    BrokerImage { rack: Some(rack.into()), ..broker(id) }
}

fn placed(brokers: Vec<BrokerImage>, partitions: usize, factor: i16) -> Vec<Vec<i32>> {
    let placed = place(&cluster(brokers), partitions, factor, &mut Counting::default()).unwrap();
    placed.iter().map(|replicas| replicas.iter().map(|id| id.0).collect()).collect()
}

#[test]
fn partitions_go_round_the_brokers() {
    let brokers = || vec![broker(0), broker(1), broker(2)];
    assert_eq!(placed(brokers(), 3, 2), vec![vec![0, 1], vec![1, 2], vec![2, 0]]);
}

#[test]
fn replicas_go_round_the_racks_first() {
    let brokers = vec![in_rack(0, "a"), in_rack(1, "a"), in_rack(2, "b"), in_rack(3, "b")];
    assert_eq!(placed(brokers, 3, 2), vec![vec![0, 2], vec![3, 1], vec![0, 2]]);
}

#[test]
fn a_fenced_broker_is_the_last_choice_and_never_the_first_replica() {
    let fenced = |id| BrokerImage { fenced: true, ..broker(id) };
    for replicas in placed(vec![fenced(0), broker(1), fenced(2)], 6, 3) {
        assert_eq!(replicas[0], 1);
        assert_eq!(replicas.len(), 3);
    }
    for replicas in placed(vec![fenced(0), broker(1), broker(2)], 6, 2) {
        assert!(!replicas.contains(&0), "{replicas:?}");
    }
}

#[test]
fn brokers_that_leave_or_whose_directories_are_cordoned_get_nothing() {
    let leaving = BrokerImage { in_controlled_shutdown: true, ..broker(0) };
    let cordoned = BrokerImage { cordoned: Some(vec![directory(1)]), ..broker(1) };
    assert_eq!(placed(vec![leaving, cordoned, broker(2)], 2, 1), vec![vec![2], vec![2]]);
}

#[test]
fn whatever_the_chances_no_broker_twice_no_rack_twice_while_there_are_others_and_loads_are_even() {
    for seed in 0..200 {
        let mut draw = Seeded(seed);
        let racks = ["a", "b", "c"];
        let count = 3 * (1 + draw.below(3) as i32);
        let brokers = (0..count).map(|id| in_rack(id, racks[id as usize % 3])).collect();
        let placed = place(&cluster(brokers), 90, 3, &mut draw).unwrap();
        let mut load = BTreeMap::new();
        for replicas in &placed {
            let racks: BTreeSet<i32> = replicas.iter().map(|id| id.0 % 3).collect();
            assert_eq!(racks.len(), 3, "seed {seed}: {replicas:?}");
            for id in replicas {
                *load.entry(*id).or_insert(0) += 1;
            }
        }
        let fair = 90 * 3 / count;
        assert_eq!(load.len(), count as usize, "seed {seed}: a broker has nothing");
        assert!(load.values().all(|n| (fair * 3 / 4..=fair * 5 / 4).contains(n)), "seed {seed}: {load:?}");
    }
}

#[test]
fn racks_of_unequal_sizes_and_fenced_brokers_never_stop_the_placer() {
    for seed in 0..300 {
        let mut draw = Seeded(seed);
        let count = 2 + draw.below(7) as i32;
        let brokers: Vec<BrokerImage> = (0..count)
            .map(|id| BrokerImage {
                fenced: id > 0 && draw.below(2) == 0,
                rack: [None, Some("x".to_owned()), Some("y".to_owned())][draw.below(3)].clone(),
                ..broker(id)
            })
            .collect();
        let factor = 1 + draw.below(count as usize) as i16;
        for replicas in place(&cluster(brokers), 40, factor, &mut draw).unwrap() {
            let different: BTreeSet<NodeId> = replicas.iter().copied().collect();
            assert_eq!(different.len(), factor as usize, "seed {seed}: {replicas:?}");
        }
    }
}
