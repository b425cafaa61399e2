//! Random schedules against a reference that keeps every record on its own: members that fetch, acknowledge and vanish,
//! locks that end, writes that are late or lost, leaders that crash, a log that is compacted and whose start moves.

use super::*;
use std::collections::BTreeMap;

/// Repeatable chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound.unsigned_abs().max(1)) as i64
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

/// What the reference knows of a record.
#[derive(Clone, Debug, Default)]
struct Seen {
    holder: Option<(String, i64)>,
    deliveries: i16,
    /// The persister has it as acknowledged or archived.
    kept_over: bool,
    /// Archived after its last delivery, which a crash undoes.
    given_up: bool,
}

/// What the persister has: the start, and records with a state.
#[derive(Clone, Default)]
struct Kept {
    start: i64,
    records: BTreeMap<i64, (Delivery, i16)>,
}

impl Kept {
    fn write(&mut self, write: &Write) {
        for batch in &write.batches {
            for offset in batch.first.0..=batch.last.0 {
                self.records.insert(offset, (batch.delivery, batch.delivery_count));
            }
        }
        self.start = self.start.max(write.start.0);
        self.records = self.records.split_off(&self.start);
    }

    fn batches(&self) -> Vec<StateBatch> {
        self.records.iter().map(|(offset, (delivery, count))| kept(*offset, *offset, *delivery, *count)).collect()
    }
}

struct World {
    chance: Chance,
    bench: Bench,
    log: Vec<(i64, i64)>,
    log_start: i64,
    kept: Kept,
    records: BTreeMap<i64, Seen>,
    /// On their way.
    writes: Vec<Write>,
}

const MEMBERS: [&str; 3] = ["a", "b", "c"];

impl World {
    fn new(seed: u64) -> World {
        let mut bench = Bench::at(0);
        bench.terms = Terms { delivery_limit: 4, in_flight_max: 40, lock_ms: 100, renews: true };
        let mut world = World {
            chance: Chance(seed),
            bench,
            log: Vec::new(),
            log_start: 0,
            kept: Kept::default(),
            records: BTreeMap::new(),
            writes: Vec::new(),
        };
        let mut next = 0;
        for _ in 0..20 {
            if world.chance.one_in(5) {
                next += 1 + world.chance.below(3);
            }
            let last = next + world.chance.below(6);
            world.log.push((next, last));
            next = last + 1;
        }
        world
    }

    fn member(&mut self) -> &'static str {
        MEMBERS[self.chance.below(3) as usize]
    }

    fn has(&self, offset: i64) -> bool {
        offset >= self.log_start && self.log.iter().any(|(first, last)| (*first..=*last).contains(&offset))
    }

    fn fetch(&mut self) {
        let member = self.member();
        let from = self.bench.partition.next_fetch().0;
        if from < self.log_start {
            self.bench.partition.log_start_moved(Offset(self.log_start));
            return;
        }
        let mut found: Vec<_> = self.log.iter().filter(|(_, last)| *last >= from).copied().collect();
        found.truncate(1 + self.chance.below(4) as usize);
        self.bench.mode = if self.chance.one_in(2) { Mode::Batches } else { Mode::Records };
        self.bench.max_records = 1 + self.chance.below(20);
        self.bench.batch_size = 1 + self.chance.below(10);
        let taken = self.bench.fetch(member, &found);
        let mut n = 0;
        let until = self.bench.now_ms + self.bench.terms.lock_ms;
        for (first, last, count) in taken {
            for offset in first..=last {
                n += 1;
                let seen = self.records.entry(offset).or_default();
                assert!(seen.holder.is_none(), "{offset} is with {:?} and goes to {member}", seen.holder);
                assert!(!seen.kept_over && !seen.given_up, "{offset} was settled and is delivered again");
                seen.deliveries += 1;
                assert_eq!(count, seen.deliveries, "delivery of {offset}");
                assert!(count <= self.bench.terms.delivery_limit, "{offset} is delivered {count} times");
                seen.holder = Some((member.into(), until));
            }
        }
        assert!(self.bench.mode == Mode::Batches || n <= self.bench.max_records, "{n} records");
    }

    fn acknowledge(&mut self) {
        let member = self.member();
        let begun = |writes: &[Write], offset: i64| {
            let covers = |batch: &StateBatch| batch.first.0 <= offset && offset <= batch.last.0;
            writes.iter().any(|write| write.batches.iter().any(covers))
        };
        let mine = |seen: &Seen| seen.holder.as_ref().is_some_and(|(holder, _)| holder == member);
        let held: Vec<i64> = self
            .records
            .iter()
            .filter(|(offset, seen)| mine(seen) && !begun(&self.writes, **offset))
            .map(|(offset, _)| *offset)
            .collect();
        if held.is_empty() {
            return;
        }
        let first = held[self.chance.below(held.len() as i64) as usize];
        let mut last = first;
        while held.contains(&(last + 1)) && !self.chance.one_in(4) {
            last += 1;
        }
        let all = [Kind::Accept, Kind::Release, Kind::Reject, Kind::Gap, Kind::Renew];
        let kinds: Vec<Kind> = match self.chance.below(2) {
            0 => vec![all[self.chance.below(5) as usize]],
            _ => (first..=last).map(|_| all[self.chance.below(5) as usize]).collect(),
        };
        let write = self.bench.say(member, first, last, &kinds).unwrap();
        let until = self.bench.now_ms + self.bench.terms.lock_ms;
        for offset in first..=last {
            let kind = if kinds.len() == 1 { kinds[0] } else { kinds[(offset - first) as usize] };
            let seen = self.records.get_mut(&offset).unwrap();
            if kind == Kind::Renew {
                seen.holder = Some((member.into(), until));
            }
        }
        self.writes.extend(write);
    }

    fn land(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let at = self.chance.below(self.writes.len() as i64) as usize;
        let write = self.writes.remove(at);
        let ok = !self.chance.one_in(4);
        if ok {
            self.keep(&write);
        }
        self.bench.partition.written(write.id, ok);
        if ok {
            for batch in &write.batches {
                for offset in batch.first.0..=batch.last.0 {
                    self.records.get_mut(&offset).unwrap().holder = None;
                }
            }
        }
    }

    fn keep(&mut self, write: &Write) {
        self.kept.write(write);
        for batch in &write.batches {
            for offset in batch.first.0..=batch.last.0 {
                let seen = self.records.get_mut(&offset).unwrap();
                seen.kept_over |= batch.delivery != Delivery::Available;
            }
        }
    }

    fn expire(&mut self) {
        self.bench.now_ms += self.chance.below(120);
        let now = self.bench.now_ms;
        let Some(write) = self.bench.partition.expire(now, &self.bench.terms) else { return };
        for batch in &write.batches {
            for offset in batch.first.0..=batch.last.0 {
                let seen = self.records.get_mut(&offset).unwrap();
                let (_, until) = seen.holder.take().unwrap();
                assert!(until <= now, "the lock of {offset} ended {} ms early", until - now);
                seen.given_up = batch.delivery == Delivery::Archived;
            }
        }
        if self.chance.one_in(3) {
            // Lost; nobody waits for it.
            self.bench.partition.written(write.id, false);
        } else {
            self.keep(&write);
            self.bench.partition.written(write.id, true);
        }
    }

    fn crash(&mut self) {
        self.writes.clear();
        let kept = &self.kept;
        self.bench.partition = SharePartition::load(Offset(kept.start), &kept.batches()).unwrap();
        for (offset, seen) in &mut self.records {
            seen.holder = None;
            seen.given_up = false;
            let known = kept.records.get(offset).map_or(0, |(_, count)| *count);
            seen.deliveries = if *offset < kept.start { seen.deliveries } else { known };
        }
    }

    fn release(&mut self) {
        let member = self.member();
        let write = self.bench.partition.release(&MemberId::new(member), &self.bench.terms);
        self.writes.extend(write);
    }

    fn lose_log(&mut self) {
        if self.chance.one_in(4) {
            self.log_start += self.chance.below(4);
            for (offset, seen) in &mut self.records {
                if *offset < self.log_start {
                    seen.kept_over = true;
                }
            }
        } else if self.log.len() > 3 {
            let at = self.chance.below(self.log.len() as i64) as usize;
            self.log.remove(at);
        }
        let start = self.log_start;
        self.log.retain(|(_, last)| *last >= start);
    }

    fn step(&mut self) {
        match self.chance.below(40) {
            0..12 => self.fetch(),
            12..24 => self.acknowledge(),
            24..34 => self.land(),
            34..37 => self.expire(),
            37 => self.release(),
            38 if self.chance.one_in(3) => self.crash(),
            39 if self.chance.one_in(6) => self.lose_log(),
            _ => {}
        }
        self.check();
    }

    fn check(&mut self) {
        let (start, end, next) = self.bench.places();
        assert!(start <= next && next <= end, "{start} {next} {end}");
        let mut at = start;
        for (span, _) in self.bench.partition.runs.iter() {
            assert_eq!(span.first.0, at, "a hole or an overlap");
            at = span.last.0 + 1;
        }
        assert_eq!(at, end);
        for (offset, seen) in &self.records {
            if seen.holder.is_some() && *offset >= start {
                let run = self.bench.partition.runs.touching(span(*offset, *offset)).next().unwrap().1;
                assert!(matches!(run.state, State::Acquired(_)), "{offset} should be held");
            }
        }
    }

    /// No crash, no loss, everything is fetched and accepted: what the log has is settled in the end.
    fn drain(&mut self) {
        while let Some(write) = self.writes.pop() {
            self.keep(&write);
            self.bench.partition.written(write.id, true);
        }
        let end = self.log.last().map_or(0, |(_, last)| last + 1);
        for _ in 0..1000 {
            self.bench.now_ms += self.bench.terms.lock_ms;
            if let Some(write) = self.bench.partition.expire(self.bench.now_ms, &self.bench.terms) {
                self.keep(&write);
                self.bench.partition.written(write.id, true);
            }
            let from = self.bench.partition.next_fetch().0;
            if from < self.log_start {
                self.bench.partition.log_start_moved(Offset(self.log_start));
                continue;
            }
            let found: Vec<_> = self.log.iter().filter(|(_, last)| *last >= from).copied().collect();
            for (first, last, _) in self.bench.fetch("a", &found) {
                for offset in first..=last {
                    let seen = self.records.entry(offset).or_default();
                    assert!(!seen.kept_over, "{offset} was settled and is delivered again");
                }
                let write = self.bench.say("a", first, last, &[Kind::Accept]).unwrap().unwrap();
                self.keep(&write);
                self.bench.partition.written(write.id, true);
            }
            if self.bench.partition.start().0 >= end {
                break;
            }
        }
        let start = self.bench.partition.start().0;
        assert!(start >= end, "stuck at {start} of {end}");
        for offset in self.log_start..end {
            let over = self.records.get(&offset).is_some_and(|seen| seen.kept_over || seen.given_up)
                || offset < self.kept.start;
            assert!(over || !self.has(offset), "{offset} was lost");
        }
    }
}

#[test]
fn no_record_is_with_two_members_none_is_lost_and_none_comes_back_after_it_was_settled() {
    let seed = std::env::var("KLAMM_CHECK_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = seed.map_or(0..300, |seed| seed..seed + 1);
    for seed in seeds {
        println!("KLAMM_CHECK_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
        }
        world.drain();
    }
}
