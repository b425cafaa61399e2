//! What is known of a partition's records, with what is new laid over it (`PersisterStateBatchCombiner`).
//!
//! Of two that speak of one record the one counts that was delivered more often, and of those the one that is further on
//! (available, acknowledged, archived). What comes out is in order, does not overlap, and of neighbours with the same fate
//! makes one. Kafka compares pairs until nothing overlaps and may leave such neighbours apart; the fate of each record is
//! the same.

use crate::model::{Delivery, Offset, StateBatch};
use std::collections::BinaryHeap;

/// Both, without what lies before `start`. Batches may overlap and stand in any order; each has its ends the right way
/// round.
#[must_use]
pub(super) fn combined(so_far: &[StateBatch], new: &[StateBatch], start: Option<Offset>) -> Vec<StateBatch> {
    let mut waiting: Vec<StateBatch> = so_far
        .iter()
        .chain(new)
        .filter(|batch| start.is_none_or(|start| batch.last >= start))
        .map(|batch| StateBatch { first: start.map_or(batch.first, |start| batch.first.max(start)), ..*batch })
        .collect();
    // The next one is the last.
    waiting.sort_unstable_by_key(|batch| std::cmp::Reverse(batch.first));
    let mut here: BinaryHeap<(i16, Delivery, Offset)> = BinaryHeap::new();
    let mut out: Vec<StateBatch> = Vec::with_capacity(waiting.len());
    let mut at = Offset::ZERO;
    loop {
        while here.peek().is_some_and(|(.., last)| *last < at) {
            here.pop();
        }
        if here.is_empty() {
            let Some(next) = waiting.last() else { return out };
            at = at.max(next.first);
        }
        while let Some(batch) = waiting.pop_if(|batch| batch.first <= at) {
            here.push((batch.delivery_count, batch.delivery, batch.last));
        }
        let Some((delivery_count, delivery, last)) = here.peek().copied() else { return out };
        let until = waiting.last().map_or(last, |next| last.min(next.first.plus(-1)));
        let piece = StateBatch { first: at, last: until, delivery, delivery_count };
        match out.last_mut() {
            Some(before)
                if before.last.next() == at
                    && (before.delivery, before.delivery_count) == (delivery, delivery_count) =>
            {
                before.last = until;
            }
            _ => out.push(piece),
        }
        if until == Offset(i64::MAX) {
            return out;
        }
        at = until.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Delivery::{Acknowledged, Archived, Available};
    use crate::record::testing::Chance;
    use std::collections::BTreeMap;

    fn batch(first: i64, last: i64, delivery: Delivery, delivery_count: i16) -> StateBatch {
        StateBatch { first: Offset(first), last: Offset(last), delivery, delivery_count }
    }

    #[test]
    fn of_two_that_overlap_the_one_delivered_more_often_counts() {
        let old = [batch(0, 9, Available, 2)];
        assert_eq!(
            combined(&old, &[batch(3, 5, Acknowledged, 3)], None),
            [batch(0, 2, Available, 2), batch(3, 5, Acknowledged, 3), batch(6, 9, Available, 2)]
        );
        assert_eq!(combined(&old, &[batch(3, 5, Acknowledged, 1)], None), old);
        assert_eq!(
            combined(&old, &[batch(5, 14, Available, 1)], None),
            [batch(0, 9, Available, 2), batch(10, 14, Available, 1)]
        );
    }

    #[test]
    fn of_two_delivered_as_often_the_one_further_on_counts() {
        let old = [batch(0, 9, Available, 1)];
        assert_eq!(combined(&old, &[batch(0, 9, Archived, 1)], None), [batch(0, 9, Archived, 1)]);
        assert_eq!(combined(&[batch(0, 9, Archived, 1)], &old, None), [batch(0, 9, Archived, 1)]);
    }

    #[test]
    fn neighbours_with_the_same_fate_become_one() {
        let (old, new) = ([batch(0, 4, Available, 1), batch(10, 14, Available, 1)], [batch(5, 9, Available, 1)]);
        assert_eq!(combined(&old, &new, None), [batch(0, 14, Available, 1)]);
        assert_eq!(combined(&old, &[], None), old);
    }

    #[test]
    fn what_lies_before_the_start_is_left_out() {
        let old = [batch(0, 4, Available, 1), batch(5, 14, Archived, 1)];
        assert_eq!(combined(&old, &[], Some(Offset(8))), [batch(8, 14, Archived, 1)]);
        assert_eq!(combined(&old, &[], Some(Offset(15))), []);
    }

    #[test]
    fn the_last_offset_there_is_ends_it() {
        let old = [batch(5, i64::MAX, Available, 1), batch(7, i64::MAX, Archived, 1)];
        assert_eq!(combined(&old, &[], None), [batch(5, 6, Available, 1), batch(7, i64::MAX, Archived, 1)]);
    }

    #[test]
    fn each_record_has_the_greatest_of_what_was_said_of_it() {
        for seed in 0..500 {
            let mut chance = Chance::new(seed);
            let mut some = || -> Vec<StateBatch> {
                (0..chance.below(6))
                    .map(|_| {
                        let first = chance.below(20) as i64;
                        let delivery = [Available, Acknowledged, Archived][chance.below(3)];
                        batch(first, first + chance.below(8) as i64, delivery, 1 + chance.below(3) as i16)
                    })
                    .collect()
            };
            let (old, new) = (some(), some());
            let start = (chance.below(2) == 0).then(|| Offset(chance.below(15) as i64));
            let out = combined(&old, &new, start);
            let mut expected: BTreeMap<i64, (i16, Delivery)> = BTreeMap::new();
            for one in old.iter().chain(&new) {
                for at in (one.first.0..=one.last.0).filter(|at| start.is_none_or(|start| *at >= start.0)) {
                    let of = expected.entry(at).or_insert((0, Available));
                    *of = (*of).max((one.delivery_count, one.delivery));
                }
            }
            let fates: BTreeMap<i64, (i16, Delivery)> = out
                .iter()
                .flat_map(|one| (one.first.0..=one.last.0).map(|at| (at, (one.delivery_count, one.delivery))))
                .collect();
            assert_eq!(fates, expected, "{seed}: {old:?} {new:?} {start:?}");
            for pair in out.windows(2) {
                let [a, b] = pair else { continue };
                let same = (a.delivery, a.delivery_count) == (b.delivery, b.delivery_count);
                assert!(a.last < b.first && !(same && a.last.next() == b.first), "{out:?}");
            }
        }
    }
}
