//! Requests in any order, of whoever: what must hold after each of them.
use super::*;
use std::collections::BTreeSet;

/// Numbers without order that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

fn check(group: &ClassicGroup) {
    let members = &group.members;
    assert_eq!(group.joining, members.values().filter(|member| member.awaiting_join.is_some()).count());
    let mut supported = BTreeMap::new();
    for member in members.values() {
        for name in member.protocols.iter().map(|protocol| &protocol.name).collect::<BTreeSet<_>>() {
            *supported.entry(name.clone()).or_insert(0) += 1;
        }
    }
    assert_eq!(group.supported, supported);
    assert_eq!(group.leader.is_some(), !members.is_empty());
    assert!(group.leader.iter().all(|leader| members.contains_key(leader)));
    let fixed = members.iter().filter_map(|(id, member)| Some((member.instance.clone()?, id.clone())));
    assert_eq!(group.static_members, fixed.collect());
    assert!(group.pending.iter().all(|id| !members.contains_key(id)));
    assert!(group.pending_sync.iter().all(|id| members.contains_key(id)));
    let (joins, syncs) = (group.joining > 0, members.values().any(|member| member.awaiting_sync.is_some()));
    assert!(!joins || group.state == ClassicState::PreparingRebalance, "{:?}", group.state);
    assert!(!syncs || group.state == ClassicState::CompletingRebalance, "{:?}", group.state);
    assert!(group.state != ClassicState::Empty || members.is_empty());
    let settled = matches!(group.state, ClassicState::CompletingRebalance | ClassicState::Stable);
    assert!(!settled || (!members.is_empty() && group.protocol.is_some()));
}

#[test]
fn counters_are_right_and_every_request_is_answered_in_the_end() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut shard = Shard::new();
        shard.settings().groups.members_max = 4 + dice.below(4);
        let mut ids = vec![String::new(), "nobody".to_owned()];
        for _ in 0..150 {
            let member = dice.of(&ids);
            let instance = dice.of(&[None, None, None, Some("i"), Some("j")]);
            let generation = shard.harness.groups.groups.get("g").map_or(0, |_| shard.group().generation.0);
            let generation = generation - i32::from(dice.below(10) == 0);
            match dice.below(12) {
                0..=4 => {
                    let names: &[&str] =
                        dice.of(&[&["range"] as &[&str], &["range", "roundrobin"], &["roundrobin", "range"]]);
                    let join = Join {
                        version: dice.of(&[3, 4, 9]),
                        instance: instance.map(InstanceId::from),
                        protocols: protocols(names),
                        rebalance_timeout_ms: dice.of(&[5_000, 20_000]),
                        ..again(&member)
                    };
                    shard.join(join);
                    ids.push(id("client", shard.ids()));
                    ids.push(id(instance.unwrap_or("client"), shard.ids()));
                }
                5..=7 => {
                    let sync = Sync { instance: instance.map(InstanceId::from), ..syncs(&member, generation) };
                    shard.sync(Sync { protocol_name: None, ..sync });
                }
                8 => drop(shard.beat_as(&member, instance, generation)),
                9 if dice.below(4) == 0 => drop(shard.leave(&[(&member, instance), (&dice.of(&ids), None)])),
                _ => shard.pass(dice.of(&[1, 1_000, 3_000, 12_000])),
            }
            if shard.harness.groups.groups.contains_key("g") {
                check(shard.group());
                shard.harness.replayed();
            }
            let newest = ids.len().saturating_sub(12).max(2);
            ids.drain(2..newest);
        }
        shard.pass(400_000);
        assert_eq!(shard.harness.waiting(), 0, "seed {seed}");
        assert!(shard.waits_for_nothing(), "seed {seed}");
        // A group without offsets is removed by and by.
        if let Some(Group::Classic(group)) = shard.harness.groups.groups.get("g") {
            assert!(group.state == ClassicState::Empty && group.pending.is_empty(), "seed {seed}");
        }
    }
}
