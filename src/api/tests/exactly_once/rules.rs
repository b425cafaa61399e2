//! What must hold, a function for each rule. Each gives the sentences that say how it is broken.

use super::history::{Fetched, History, Known, Place, Read, Txn};
use super::{DOOMED, GROUPS};
use std::collections::{BTreeMap, BTreeSet};

type Faults = Vec<String>;

/// What the last readers found: by isolation (committed or not) and partition, each offset and its record.
struct Truth {
    logs: BTreeMap<(bool, Place), BTreeMap<i64, String>>,
    ids: BTreeMap<Place, String>,
    /// Where each record that is committed was found.
    committed: BTreeMap<String, Vec<(Place, i64)>>,
    all: BTreeMap<String, usize>,
}

pub(super) fn check(history: &History) -> Faults {
    let truth = Truth::of(history);
    let mut faults = history.faults.clone();
    for rule in [
        nothing_aborted_or_unfinished_is_seen,
        nothing_committed_is_missed,
        transactions_are_whole,
        nothing_is_there_twice,
        records_are_in_order,
        whoever_reads_a_range_finds_the_same,
        last_stable_offsets_do_not_fall_nor_stay_behind,
        offsets_follow_from_each_other,
        offsets_do_not_fall,
        offsets_of_open_transactions_are_not_stable,
        offsets_that_are_seen_are_committed,
    ] {
        faults.extend(rule(history, &truth));
    }
    faults
}

/// Where one must not expect to find what one wrote, since the topic may have been deleted.
fn is_kept(place: Place) -> bool {
    place.0 != DOOMED
}

impl Truth {
    fn of(history: &History) -> Truth {
        let mut logs: BTreeMap<(bool, Place), BTreeMap<i64, String>> = BTreeMap::new();
        for read in history.reads.iter().filter(|read| history.last.get(&read.place) == Some(&read.topic_id)) {
            // Later reads do not change what earlier ones found; that they do not differ is a rule of its own.
            let log = logs.entry((read.committed, read.place)).or_default();
            for (offset, value) in &read.found {
                log.entry(*offset).or_insert_with(|| value.clone());
            }
        }
        let mut committed: BTreeMap<String, Vec<(Place, i64)>> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for ((is_committed, place), log) in &logs {
            for (offset, value) in log {
                if *is_committed {
                    committed.entry(value.clone()).or_default().push((*place, *offset));
                } else {
                    *all.entry(value.clone()).or_default() += 1;
                }
            }
        }
        Truth { logs, ids: history.last.clone(), committed, all }
    }

    fn has(&self, value: &str) -> bool {
        self.committed.contains_key(value)
    }
}

/// The transaction that a record says it is of.
fn txn_of(value: &str) -> Option<usize> {
    value.strip_prefix('t')?.split('.').next()?.parse().ok()
}

fn name(at: usize, txn: &Txn) -> String {
    format!("transaction {at} of {}", txn.id)
}

fn nothing_aborted_or_unfinished_is_seen(history: &History, _: &Truth) -> Faults {
    let mut faults = Faults::new();
    for read in history.reads.iter().filter(|read| read.committed) {
        for (offset, value) in &read.found {
            let Some(txn) = txn_of(value).and_then(|at| history.txns.get(at)) else { continue };
            let asked = txn.commit_asked.is_some_and(|asked| asked < read.ended);
            if !asked || txn.commit == Known::Failed {
                faults.push(format!("{value} at {offset} of {:?} was read as committed, which it is not", read.place));
            }
        }
    }
    faults
}

fn nothing_committed_is_missed(history: &History, truth: &Truth) -> Faults {
    let committed = history.txns.iter().filter(|txn| txn.commit == Known::Done).flat_map(|txn| &txn.sent);
    let acked = committed.chain(&history.plain).filter(|sent| sent.known == Known::Done && is_kept(sent.place));
    let missed = acked.filter(|sent| !truth.has(&sent.value));
    missed
        .map(|sent| format!("{} was acknowledged and committed, and is not in {:?}", sent.value, sent.place))
        .collect()
}

fn transactions_are_whole(history: &History, truth: &Truth) -> Faults {
    let mut faults = Faults::new();
    for (at, txn) in history.txns.iter().enumerate() {
        let acked = txn.sent.iter().filter(|sent| sent.known == Known::Done && is_kept(sent.place));
        let (there, gone): (Vec<_>, Vec<_>) = acked.partition(|sent| truth.has(&sent.value));
        if let (Some(there), Some(gone)) = (there.first(), gone.first()) {
            faults.push(format!("of {} there is {} and not {}", name(at, txn), there.value, gone.value));
        }
    }
    faults
}

fn nothing_is_there_twice(_: &History, truth: &Truth) -> Faults {
    let committed = truth.committed.iter().filter(|(_, at)| at.len() > 1);
    let committed = committed.map(|(value, at)| format!("{value} is there more than once: {at:?}"));
    let all = truth.all.iter().filter(|(_, times)| **times > 1);
    committed.chain(all.map(|(value, times)| format!("{value} is in the log {times} times"))).collect()
}

/// Of one sender in one partition.
fn records_are_in_order(_: &History, truth: &Truth) -> Faults {
    let mut faults = Faults::new();
    for ((_, place), log) in &truth.logs {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for value in log.values() {
            let Some((sender, number)) = value.rsplit_once('.') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if last.insert(sender, number).is_some_and(|before| before >= number) {
                faults.push(format!("{value} in {place:?} comes after one that was sent later"));
            }
        }
    }
    faults
}

/// Whenever they read, and whatever happened since: all that is in the range, and nothing else.
fn whoever_reads_a_range_finds_the_same(history: &History, truth: &Truth) -> Faults {
    let mut faults = Faults::new();
    let mut lost: BTreeMap<(bool, Place, &str), BTreeMap<i64, &String>> = BTreeMap::new();
    for read in &history.reads {
        if truth.ids.get(&read.place) == Some(&read.topic_id) {
            let log = truth.logs.get(&(read.committed, read.place));
            let expected: Vec<_> = log.into_iter().flat_map(|log| log.range(read.from..read.next)).collect();
            let found: Vec<_> = read.found.iter().map(|(offset, value)| (offset, value)).collect();
            if expected != found {
                let (from, next, place) = (read.from, read.next, read.place);
                let kind = if read.committed { "committed" } else { "everything" };
                faults.push(format!("{kind} from {from} to {next} of {place:?} was {found:?}, and is {expected:?}"));
            }
            continue;
        }
        // A topic that is gone: nobody reads all of it at the end.
        let log = lost.entry((read.committed, read.place, &read.topic_id)).or_default();
        for (offset, value) in &read.found {
            if log.insert(*offset, value).is_some_and(|before| before != value) {
                faults.push(format!("{offset} of {:?} was another record before {value}", read.place));
            }
        }
    }
    faults
}

fn last_stable_offsets_do_not_fall_nor_stay_behind(history: &History, truth: &Truth) -> Faults {
    let mut faults = Faults::new();
    let mut reads: Vec<&Read> = history.reads.iter().collect();
    reads.sort_by_key(|read| read.ended);
    // What was known when a read began: positions may be told in another order than they were looked up.
    let mut by_place: BTreeMap<(Place, &str), Vec<&Read>> = BTreeMap::new();
    for read in reads {
        let earlier = by_place.entry((read.place, &read.topic_id)).or_default();
        for before in earlier.iter().filter(|before| before.ended < read.began) {
            if before.last_stable > read.last_stable || before.high_watermark > read.high_watermark {
                let (then, now) = (before.last_stable, read.last_stable);
                faults.push(format!("the last stable offset of {:?} fell from {then} to {now}", read.place));
                break;
            }
        }
        if read.last_stable > read.high_watermark {
            faults.push(format!("the last stable offset of {:?} is beyond the high watermark", read.place));
        }
        earlier.push(read);
    }
    for ((place, id), reads) in &by_place {
        let (Some(last), true) = (reads.last(), truth.ids.get(place).is_some_and(|now| now == id)) else { continue };
        if last.last_stable != last.high_watermark {
            let (at, end) = (last.last_stable, last.high_watermark);
            faults.push(format!("everything has ended, and the last stable offset of {place:?} is {at} of {end}"));
        }
    }
    faults.extend(history.unfinished.iter().map(|what| format!("everything has ended, but not {what}")));
    faults
}

/// Each transaction that commits offsets goes on where the one before had come to; those that are committed, and no others,
/// lead to what is committed in the end.
fn offsets_follow_from_each_other(history: &History, truth: &Truth) -> Faults {
    let mut faults = Faults::new();
    for group in 0..GROUPS {
        let mut chain = Vec::new();
        for (at, txn) in history.txns.iter().enumerate() {
            let Some(offsets) = txn.offsets.as_ref().filter(|offsets| offsets.group == group) else { continue };
            let kept = txn.sent.iter().find(|sent| sent.known == Known::Done && is_kept(sent.place));
            let Some(kept) = kept.filter(|_| offsets.acked.is_some()) else { continue };
            if truth.has(&kept.value) {
                chain.push((offsets.next, offsets.base, at));
            }
        }
        chain.sort_unstable();
        let mut reached = 0;
        for (next, base, at) in chain {
            if base != reached {
                let txn = name(at, &history.txns[at]);
                faults.push(format!("{txn} goes on from {base} in group {group}, which had come to {reached}"));
            }
            reached = next;
        }
        let last = history.fetched.iter().filter(|fetched| fetched.group == group).max_by_key(|fetched| fetched.ended);
        if last.is_some_and(|last| last.offset != Some(reached)) {
            let last = last.and_then(|last| last.offset);
            faults.push(format!("group {group} is at {last:?}, and transactions that are committed led to {reached}"));
        }
    }
    faults
}

fn offsets_do_not_fall(history: &History, _: &Truth) -> Faults {
    let mut faults = Faults::new();
    let told: Vec<(&Fetched, i64)> =
        history.fetched.iter().filter_map(|fetched| Some((fetched, fetched.offset?))).collect();
    for (fetched, offset) in &told {
        let before = |(earlier, higher): &&(&Fetched, i64)| {
            earlier.group == fetched.group && earlier.ended < fetched.began && higher > offset
        };
        if let Some((_, higher)) = told.iter().find(before) {
            faults.push(format!("the offset of group {} fell from {higher} to {offset}", fetched.group));
        }
    }
    faults
}

/// `UNSTABLE_OFFSET_COMMIT`, as long as nobody can have ended the transaction.
fn offsets_of_open_transactions_are_not_stable(history: &History, _: &Truth) -> Faults {
    let mut faults = Faults::new();
    for (at, txn) in history.txns.iter().enumerate() {
        let Some(offsets) = &txn.offsets else { continue };
        let Some(acked) = offsets.acked else { continue };
        let until = txn.touched.unwrap_or(usize::MAX);
        for fetched in &history.fetched {
            let open = acked < fetched.began && fetched.ended < until && fetched.ended_ms < txn.safe_until;
            if open && fetched.stable && fetched.group == offsets.group && fetched.offset.is_some() {
                let (group, txn) = (fetched.group, name(at, txn));
                faults.push(format!("group {group} was told a stable offset while {txn} was open"));
            }
        }
    }
    faults
}

fn offsets_that_are_seen_are_committed(history: &History, _: &Truth) -> Faults {
    let mut faults = Faults::new();
    for group in 0..GROUPS {
        let asked: BTreeSet<(i64, usize)> = history
            .txns
            .iter()
            .filter(|txn| txn.commit != Known::Failed)
            .filter_map(|txn| {
                Some((txn.offsets.as_ref().filter(|offsets| offsets.group == group)?.next, txn.commit_asked?))
            })
            .collect();
        for fetched in history.fetched.iter().filter(|fetched| fetched.group == group) {
            let Some(offset) = fetched.offset.filter(|offset| *offset > 0) else { continue };
            if !asked.iter().any(|(next, when)| *next == offset && *when < fetched.ended) {
                faults.push(format!("group {group} was told {offset}, which nobody has committed"));
            }
        }
    }
    faults
}
