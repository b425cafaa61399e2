//! L13, M1: what nodes said of partitions and of who decides.

use super::super::history::Sight;
use std::collections::{BTreeMap, BTreeSet};

fn name(sight: &Sight) -> (&str, i32) {
    (&sight.standing.topic, sight.standing.partition)
}

pub(crate) fn insane(sights: &[Sight]) -> Vec<String> {
    let sane = |sight: &&Sight| {
        let standing = &sight.standing;
        let led = standing.leader < 0 || standing.isr.contains(&standing.leader);
        led && standing.isr.iter().all(|node| standing.replicas.contains(node))
    };
    sights.iter().filter(|sight| !sane(sight)).map(|sight| format!("{sight:?}")).collect()
}

/// One life of a node knows more and more.
pub(crate) fn epochs_that_fell(sights: &[Sight]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<_, i32> = BTreeMap::new();
    for sight in sights {
        let key = (sight.node, sight.life, name(sight));
        let epoch = sight.standing.leader_epoch;
        if let Some(before) = last.insert(key, epoch).filter(|before| *before > epoch) {
            wrong.push(format!("{before} before {sight:?}"));
        }
    }
    wrong
}

pub(crate) fn two_leaders(sights: &[Sight]) -> Vec<String> {
    let mut leaders: BTreeMap<_, BTreeSet<i32>> = BTreeMap::new();
    for sight in sights.iter().filter(|sight| sight.standing.leader >= 0) {
        let key = (name(sight), sight.standing.leader_epoch);
        leaders.entry(key).or_default().insert(sight.standing.leader);
    }
    let two = leaders.into_iter().filter(|(_, leaders)| leaders.len() > 1);
    two.map(|(key, leaders)| format!("{key:?} is led by {leaders:?}")).collect()
}

/// Epochs with who decided in them.
pub(crate) fn two_controllers(told: &BTreeSet<(i32, i32)>) -> Vec<String> {
    let mut controllers: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    for (epoch, node) in told {
        controllers.entry(*epoch).or_default().insert(*node);
    }
    let two = controllers.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    two.map(|(epoch, nodes)| format!("{nodes:?} decide in epoch {epoch}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::ask::Standing;
    use super::*;
    use std::time::Duration;

    fn sight(node: usize, leader: i32, leader_epoch: i32, isr: &[i32]) -> Sight {
        let standing =
            Standing { topic: "t".into(), partition: 0, leader, leader_epoch, replicas: vec![1, 2], isr: isr.to_vec() };
        Sight { at: Duration::ZERO, node, life: 1, standing }
    }

    #[test]
    fn a_leader_that_is_not_in_sync_and_an_isr_of_strangers_are_insane() {
        assert_eq!(insane(&[sight(0, 1, 1, &[1, 2]), sight(0, -1, 1, &[2])]).len(), 0);
        assert_eq!(insane(&[sight(0, 1, 1, &[2]), sight(0, 1, 1, &[1, 3])]).len(), 2);
    }

    #[test]
    fn a_node_that_knew_more_is_seen_and_one_that_learns_late_is_not() {
        let (early, late) = (sight(0, 1, 1, &[1]), sight(0, 1, 2, &[1]));
        assert_eq!(epochs_that_fell(&[early.clone(), late.clone(), sight(1, 1, 1, &[1])]).len(), 0);
        assert_eq!(epochs_that_fell(&[late, early]).len(), 1);
    }

    #[test]
    fn two_leaders_of_one_epoch_are_seen() {
        assert_eq!(two_leaders(&[sight(0, 1, 1, &[1]), sight(1, -1, 1, &[1]), sight(1, 2, 2, &[1])]).len(), 0);
        assert_eq!(two_leaders(&[sight(0, 1, 1, &[1]), sight(1, 2, 1, &[1])]).len(), 1);
    }

    #[test]
    fn two_controllers_of_one_epoch_are_seen() {
        assert_eq!(two_controllers(&BTreeSet::from([(1, 1), (2, 2)])).len(), 0);
        assert_eq!(two_controllers(&BTreeSet::from([(1, 1), (1, 2)])).len(), 1);
    }
}
