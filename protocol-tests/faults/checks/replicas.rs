//! L10 to L12: what lies on the disks of nodes that were stopped when all was quiet.

use super::super::disks::{Batch, Numbered, Replica};
use std::collections::BTreeMap;

type Disks = [BTreeMap<String, Replica>];

/// Partitions of which compaction keeps less on one node than on another.
fn is_compacted(name: &str) -> bool {
    name.starts_with("__consumer_offsets-") || name.starts_with("__transaction_state-")
}

/// Each controller writes for itself who founded the cluster, before there is a leader.
fn is_founding(name: &str, batch: &Batch) -> bool {
    name.starts_with("__cluster_metadata-") && batch.epoch == 0
}

fn end(replica: &Replica) -> i64 {
    replica.batches.last().map_or(0, |batch| batch.last + 1)
}

/// Batches are the same bytes up to the shorter end, and of clients' topics there is no shorter end.
pub(crate) fn different(disks: &Disks) -> Vec<String> {
    let mut wrong = Vec::new();
    let names: Vec<&String> = disks.first().into_iter().flat_map(BTreeMap::keys).collect();
    for name in names.into_iter().filter(|name| !is_compacted(name)) {
        let copies: Vec<(usize, &Replica)> =
            disks.iter().enumerate().filter_map(|(node, disk)| Some((node + 1, disk.get(name)?))).collect();
        if copies.len() < disks.len() && !name.starts_with("__") {
            wrong.push(format!("{name} lies on {} nodes", copies.len()));
        }
        for pair in copies.windows(2) {
            let [(one, first), (other, second)] = pair else { continue };
            let common = end(first).min(end(second));
            let within = |replica: &&Replica| -> Vec<Batch> {
                let counts = |batch: &&Batch| batch.last < common && !is_founding(name, batch);
                replica.batches.iter().filter(counts).cloned().collect()
            };
            let (left, right) = (within(first), within(second));
            // Metadata begins where a node took a snapshot.
            let from = left.first().map_or(0, |b| b.base).max(right.first().map_or(0, |b| b.base));
            let begun = |batches: Vec<Batch>| batches.into_iter().skip_while(|b| b.base < from).collect::<Vec<_>>();
            let (left, right) = (begun(left), begun(right));
            if let Some((l, r)) = left.iter().zip(&right).find(|(l, r)| l != r) {
                wrong.push(format!("{name}: node {one} has {l:?}, node {other} {r:?}"));
            } else if left.len() != right.len() {
                wrong.push(format!("{name}: node {one} has {} batches, node {other} {}", left.len(), right.len()));
            }
            if end(first) != end(second) && !name.starts_with("__") {
                wrong.push(format!("{name} ends at {} on node {one}, at {} on node {other}", end(first), end(second)));
            }
        }
    }
    wrong
}

pub(crate) fn wrong_epochs(disks: &Disks) -> Vec<String> {
    let mut wrong = Vec::new();
    for (node, disk) in (1..).zip(disks) {
        for (name, replica) in disk.iter().filter(|(name, _)| !name.starts_with("__cluster_metadata")) {
            if !replica.epochs.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
                wrong.push(format!("node {node}, {name}: epochs {:?} do not rise", replica.epochs));
            }
            for batch in &replica.batches {
                let entry = replica.epochs.iter().rev().find(|(_, start)| *start <= batch.base);
                // Of what lies before the first entry, compaction or deletion took the beginning.
                if let Some((epoch, _)) = entry.filter(|(epoch, _)| *epoch != batch.epoch) {
                    wrong.push(format!("node {node}, {name}: {batch:?} lies in epoch {epoch}"));
                    break;
                }
            }
        }
    }
    wrong
}

/// Batches follow each other, in epochs that do not fall, and each is whole.
pub(crate) fn unsound(disks: &Disks) -> Vec<String> {
    let mut wrong = Vec::new();
    for (node, disk) in (1..).zip(disks) {
        for (name, replica) in disk {
            for pair in replica.batches.windows(2) {
                let [before, after] = pair else { continue };
                let follows = if is_compacted(name) { before.last < after.base } else { before.last + 1 == after.base };
                if !follows || before.epoch > after.epoch {
                    wrong.push(format!("node {node}, {name}: {after:?} comes after {before:?}"));
                }
            }
            if let Some(batch) = replica.batches.iter().find(|batch| !batch.sound) {
                wrong.push(format!("node {node}, {name}: {batch:?} is damaged"));
            }
        }
    }
    wrong
}

/// What one life of a producer numbered follows number by number: nothing is there twice, and nothing was left out.
pub(crate) fn misnumbered(disks: &Disks) -> Vec<String> {
    let mut wrong = Vec::new();
    for (node, disk) in (1..).zip(disks) {
        for (name, replica) in disk.iter().filter(|(name, _)| !name.starts_with("__")) {
            let mut next: BTreeMap<(i64, i16), i32> = BTreeMap::new();
            for batch in &replica.batches {
                let Some(Numbered { producer, epoch, first }) = batch.numbered else { continue };
                let records = i32::try_from(batch.last - batch.base + 1).unwrap_or(i32::MAX);
                let after = (first.wrapping_add(records)) & i32::MAX;
                let expected = next.insert((producer, epoch), after).unwrap_or(0);
                if expected != first {
                    wrong.push(format!("node {node}, {name}: number {expected} should be where {batch:?} is"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, epoch: i32, digest: u64) -> Batch {
        Batch { base, last: base, epoch, digest, sound: true, numbered: None }
    }

    #[test]
    fn a_number_that_comes_again_or_is_left_out_is_found_but_another_epoch_counts_anew() {
        let of =
            |base, epoch, first| Batch { numbered: Some(Numbered { producer: 7, epoch, first }), ..batch(base, 1, 0) };
        assert_eq!(misnumbered(&[disk(&[of(0, 0, 0), of(1, 0, 1), of(2, 1, 0), batch(3, 1, 0)], &[])]).len(), 0);
        assert_eq!(misnumbered(&[disk(&[of(0, 0, 0), of(1, 0, 0)], &[])]).len(), 1);
        assert_eq!(misnumbered(&[disk(&[of(0, 0, 0), of(1, 0, 2)], &[])]).len(), 1);
    }

    fn disk(batches: &[Batch], epochs: &[(i32, i64)]) -> BTreeMap<String, Replica> {
        BTreeMap::from([("t-0".to_owned(), Replica { batches: batches.to_vec(), epochs: epochs.to_vec() })])
    }

    #[test]
    fn other_bytes_and_another_end_are_differences() {
        let first = disk(&[batch(0, 1, 7), batch(1, 1, 8)], &[]);
        assert_eq!(different(&[first.clone(), first.clone()]).len(), 0);
        assert_eq!(different(&[first.clone(), disk(&[batch(0, 1, 9), batch(1, 1, 8)], &[])]).len(), 1);
        assert_eq!(different(&[first.clone(), disk(&[batch(0, 1, 7)], &[])]).len(), 1);
        assert_eq!(different(&[first, BTreeMap::new()]).len(), 1);
    }

    #[test]
    fn a_batch_in_anothers_epoch_and_epochs_that_fall_are_wrong() {
        assert_eq!(wrong_epochs(&[disk(&[batch(0, 1, 0), batch(1, 2, 0)], &[(1, 0), (2, 1)])]).len(), 0);
        assert_eq!(wrong_epochs(&[disk(&[batch(0, 1, 0), batch(1, 2, 0)], &[(1, 0)])]).len(), 1);
        assert_eq!(wrong_epochs(&[disk(&[], &[(2, 0), (1, 5)])]).len(), 1);
    }

    #[test]
    fn a_gap_an_epoch_that_falls_and_a_damaged_batch_are_unsound() {
        assert_eq!(unsound(&[disk(&[batch(0, 1, 0), batch(1, 1, 0)], &[])]).len(), 0);
        assert_eq!(unsound(&[disk(&[batch(0, 1, 0), batch(2, 1, 0)], &[])]).len(), 1);
        assert_eq!(unsound(&[disk(&[batch(0, 2, 0), batch(1, 1, 0)], &[])]).len(), 1);
        assert_eq!(unsound(&[disk(&[Batch { sound: false, ..batch(0, 1, 0) }], &[])]).len(), 1);
    }
}
