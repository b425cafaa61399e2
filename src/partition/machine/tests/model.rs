//! Seeded schedules of the model: what was acknowledged is never lost, and planted bugs are found.

use super::world::{Bug, World};

const STEPS: usize = 600;

/// The violation of a run, if there is one, with its schedule.
fn run(seed: u64, bug: Bug, min_isr: usize) -> Result<usize, String> {
    let mut world = World::new(seed, bug, min_isr);
    for _ in 0..STEPS {
        world.step();
        if let Some(violation) = &world.violation {
            let from = world.trace.len().saturating_sub(60);
            return Err(format!("seed {seed}: {violation}\n{}", world.trace[from..].join("\n")));
        }
    }
    Ok(world.acked.len())
}

#[test]
fn what_was_acknowledged_is_in_every_in_sync_replica_whatever_happens() {
    let mut acked = 0;
    for seed in 1..=1500 {
        for min_isr in [1, 2] {
            match run(seed, Bug::None, min_isr) {
                Ok(count) => acked += count,
                Err(violation) => panic!("{violation}"),
            }
        }
    }
    assert!(acked > 10_000, "only {acked} records were acknowledged: the schedules do too little");
}

#[test]
fn one_seed_is_one_schedule() {
    let trace = |seed| {
        let mut world = World::new(seed, Bug::None, 2);
        (0..STEPS).for_each(|_| world.step());
        world.trace
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn planted_bugs_are_found() {
    for bug in [Bug::AnswersBeforeCommit, Bug::SkipsTruncation, Bug::CountsStaleReplicas] {
        let found = (1..=3000).find_map(|seed| run(seed, bug, 1).err());
        assert!(found.is_some(), "{bug:?} was not found");
    }
}
