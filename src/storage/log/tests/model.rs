//! Random operations against a list of batches in memory.

use super::*;

/// A small generator with a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the log should hold: first offset, last offset, largest timestamp.
struct Model {
    batches: Vec<(i64, i64, i64)>,
    start: i64,
    end: i64,
    sequences: [i32; 3],
    /// No producer has used this sequence yet.
    fresh: i32,
}

fn check(rig: &Rig, model: &Model, dice: &mut Dice, seed: u64) {
    let context = format!("seed {seed}");
    assert_eq!((rig.log.log_start().0, rig.log.log_end().0), (model.start, model.end), "{context}");
    let from = model.start + dice.below((model.end - model.start + 1) as u64) as i64;
    let end = match model.batches.get(dice.below(model.batches.len() as u64 + 1) as usize) {
        Some((first, _, _)) => *first,
        None => model.end,
    };
    let max_bytes = dice.below(1500) as usize;
    let expected: Vec<_> = model.batches.iter().filter(|b| b.1 >= from && b.1 < end).map(|b| (b.0, b.1)).collect();
    match rig.log.read(Offset(from), max_bytes, Offset(end), true).unwrap() {
        None => assert!(expected.is_empty() || from >= end, "{context}: nothing at {from}..{end}"),
        Some(slice) => {
            let got: Vec<_> = headers(&slice).iter().map(|h| (h.base_offset.0, h.last_offset().0)).collect();
            assert!(expected.starts_with(&got) && !got.is_empty(), "{context}: {from}..{end} {got:?} {expected:?}");
            assert!(slice.len <= max_bytes || got.len() == 1, "{context}");
        }
    }
    let all: Vec<_> = model.batches.iter().filter(|b| b.1 >= model.start).map(|b| (b.0, b.1)).collect();
    assert_eq!(read_all(&rig.log, Offset(model.start), 700), all, "{context}");
    // Each record of a batch is one millisecond behind the one before.
    let target = dice.below(2000) as i64;
    let expected = model.batches.iter().filter(|b| b.1 >= model.start).find(|b| b.2 >= target).map(|b| {
        let first_time = b.2 - (b.1 - b.0);
        b.0.max(b.0 + (target - first_time)).max(model.start)
    });
    let got = rig.log.offset_for_timestamp(TimestampMs(target)).unwrap().map(|t| t.offset.0);
    // A segment is chosen by its largest timestamp, which may be below the log start.
    if model.start == model.batches.first().map_or(model.start, |b| b.0) {
        assert_eq!(got, expected, "{context}: time {target} {:?} {:?}", model.batches, rig.log.segments);
    }
}

fn step(rig: &mut Rig, model: &mut Model, dice: &mut Dice) {
    match dice.below(100) {
        0..60 => {
            let mut batches = Vec::new();
            for _ in 0..=dice.below(4) {
                let records = 1 + dice.below(8) as i32;
                let time = dice.below(2000) as i64;
                let producer = dice.below(5) as usize;
                batches.push(match model.sequences.get_mut(producer) {
                    Some(sequence) => {
                        let builder = BatchBuilder::new(Offset(0));
                        let builder =
                            builder.producer(ProducerId(producer as i64), ProducerEpoch(0), Sequence(*sequence));
                        *sequence += records;
                        build(builder, records, time)
                    }
                    None => plain(records, time),
                });
                let header = *batches[batches.len() - 1].header();
                let last = model.end + i64::from(records) - 1;
                model.batches.push((model.end, last, header.max_timestamp.0));
                model.end = last + 1;
            }
            for answer in rig.append(batches) {
                assert!(answer.as_ref().is_ok_and(|appended| !appended.duplicate), "{answer:?}");
            }
        }
        60..68 => rig.reopen(),
        // Recovery may know producers again whose batches lie below the log start.
        68..76 => rig.reopen_unclean(),
        76..82 => rig.flush(),
        82..88 => {
            let target = model.start + dice.below((model.end - model.start + 2) as u64) as i64;
            rig.log.truncate_to(Offset(target), NOW).unwrap();
            model.batches.retain(|b| b.1 < target);
            if target < model.end {
                model.end = model.batches.last().map_or(rig.log.segments[0].base.0, |b| b.1 + 1);
            }
            model.start = model.start.min(model.end);
        }
        88..92 => {
            let start = model.start + dice.below((model.end - model.start + 1) as u64) as i64;
            rig.log.delete_records(Offset(start)).unwrap();
            model.start = model.start.max(start);
        }
        92..98 => {
            rig.log.apply_retention(Offset(model.end), NOW).unwrap();
            rig.log.reap(NOW.plus(1_000_000)).unwrap();
            model.start = rig.log.log_start().0;
            let first = rig.log.segments[0].base.0;
            model.batches.retain(|b| b.0 >= first);
        }
        _ => {
            let at = model.end + dice.below(50) as i64;
            rig.log.truncate_and_restart_at(Offset(at), NOW).unwrap();
            *model = Model { batches: Vec::new(), start: at, end: at, ..*model };
        }
    }
}

/// Each producer goes on where the log knows it to be, or anew, where it has never been: recovery may
/// know its earlier batches again.
fn follow_sequences(rig: &Rig, model: &mut Model) {
    let known = rig.log.producers().unwrap();
    for (id, sequence) in model.sequences.iter_mut().enumerate() {
        let view = known.iter().find(|view| view.producer_id.0 == id as i64);
        model.fresh += 1000;
        *sequence = view.map_or(model.fresh, |view| view.last_sequence.0 + 1);
    }
}

fn run(seed: u64, steps: u64) {
    let mut dice = Dice(seed);
    let config = TopicConfig {
        segment_bytes: 600 + dice.below(4000) as i32,
        index_interval_bytes: dice.below(1000) as i32,
        segment_index_bytes: 100 + dice.below(1000) as i32,
        retention_bytes: 3000 + dice.below(20_000) as i64,
        retention_ms: -1,
        ..TopicConfig::default()
    };
    let mut rig = Rig::with(config);
    let mut model = Model { batches: Vec::new(), start: 0, end: 0, sequences: [0; 3], fresh: 0 };
    for _ in 0..steps {
        step(&mut rig, &mut model, &mut dice);
        follow_sequences(&rig, &mut model);
        check(&rig, &model, &mut dice, seed);
    }
}

#[test]
fn whatever_is_done_to_a_log_it_holds_what_it_should() {
    for seed in 0..60 {
        run(seed, 60);
    }
}
