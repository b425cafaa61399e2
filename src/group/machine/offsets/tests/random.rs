use super::*;
use crate::record::testing::Chance;

fn some(chance: &mut Chance, names: &[&'static str]) -> &'static str {
    names[chance.below(names.len())]
}

const GROUPS: &[&str] = &["a", "b", "c", "d"];
const TOPICS: &[&str] = &["t", "u", "v"];

fn offsets(h: &Harness, chance: &mut Chance) -> Vec<CommitOffset> {
    let count = chance.below(6);
    let one = |chance: &mut Chance| {
        let topic = some(chance, TOPICS);
        let topic_id = match chance.below(3) {
            0 => TopicId::ZERO,
            _ => h.env.image.topic(topic).map_or(TopicId::ZERO, |topic| topic.id),
        };
        CommitOffset { topic_id, ..at(topic, chance.below(4) as i32, chance.below(1000) as i64) }
    };
    (0..count).map(|_| one(chance)).collect()
}

fn act(h: &mut Harness, chance: &mut Chance) {
    let group = some(chance, GROUPS);
    let topic = some(chance, TOPICS);
    let partition = chance.below(4) as i32;
    let producer = chance.below(3) as i64;
    match chance.below(20) {
        0..=7 => {
            let retention_ms = [-1, -1, DAY][chance.below(3)];
            let offsets = offsets(h, chance);
            run_commit(h, Commit { version: 4, retention_ms, offsets, ..commit(group) });
        }
        8..=9 => drop(delete(h, group, &[(topic, partition), (topic, 0)])),
        10 => drop(delete_group(h, group)),
        11..=12 => h.pass(chance.below(DAY as usize * 3) as i64),
        13..=15 => {
            let value = offset_record(group, topic, partition, chance.below(1000) as i64);
            h.replay_of(producer, &value);
        }
        16..=17 => h.end(producer, chance.below(2) == 0),
        18 if h.env.image.topic(topic).is_some() => h.delete_topic(topic),
        18 => drop(h.topic(topic, 4)),
        _ => {
            let fetch =
                FetchOffsets { require_stable: chance.below(2) == 0, ..fetch(group, Some(&[(topic, &[0, 1])])) };
            assert_eq!(run_fetch(h, fetch).error, ErrorCode::NONE);
        }
    }
}

#[test]
fn after_any_requests_a_replay_gives_what_is_live() {
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let mut h = Harness::with(|settings| {
            settings.groups.offsets_retention_check_interval = std::time::Duration::from_secs(6 * 3600);
        });
        if seed % 3 == 0 {
            h.env.batch_bytes_max = 600;
        }
        for step in 0..150 {
            act(&mut h, &mut chance);
            check(&h.groups.offsets);
            if step % 30 == 29 {
                let again = h.replayed();
                assert_eq!(view(&h.groups.offsets), view(&again.groups.offsets), "seed {seed}, step {step}");
                let ids = |h: &Harness| h.groups.groups.keys().cloned().collect::<Vec<_>>();
                assert_eq!(ids(&h), ids(&again), "seed {seed}, step {step}");
                assert_eq!(h.waiting(), 0);
            }
        }
        // Whatever happened: what transactions have left is gone when they have ended, and in the end all is.
        (0..3).for_each(|producer| h.end(producer, seed % 2 == 0));
        h.pass(3 * RETENTION);
        check(&h.groups.offsets);
        assert!(view(&h.groups.offsets).is_empty() && h.groups.groups.is_empty(), "seed {seed}");
        let again = h.replayed();
        assert!(again.groups.groups.is_empty(), "seed {seed}");
    }
}
