//! L1 to L9: what idempotent producers sent and what is there.

use super::super::disks::Replica;
use super::super::history::{End, Outcome, Place, Value};
use std::collections::{BTreeMap, BTreeSet};

type Sent = BTreeMap<(Place, Value), Outcome<i64>>;
type Records = BTreeMap<Place, Vec<(i64, String)>>;

/// The values of the run with their offsets: what else is there is none of its own.
fn values(records: &[(i64, String)]) -> impl Iterator<Item = (i64, Value)> {
    records.iter().filter_map(|(offset, text)| Some((*offset, Value::parse(text)?)))
}

/// Records but those of some producers.
pub(crate) fn without(producers: &BTreeSet<u32>, records: &Records) -> Records {
    let keep = |text: &str| Value::parse(text).is_none_or(|value| !producers.contains(&value.producer));
    let kept = |records: &[(i64, String)]| records.iter().filter(|(_, text)| keep(text)).cloned().collect();
    records.iter().map(|(place, records)| (*place, kept(records))).collect()
}

/// Producers whose records lie there under several ids or epochs. librdkafka takes a new epoch and sends again what it has no
/// answer for, wherever that was to go, when one partition refuses a batch because an earlier one failed
/// (`rd_kafka_handle_Produce_error`, "skipped sequence numbers"): it can double records against any broker.
pub(crate) fn renewed(records: &Records, disks: &[BTreeMap<String, Replica>]) -> BTreeSet<u32> {
    let mut lives: BTreeMap<u32, BTreeSet<(i64, i16)>> = BTreeMap::new();
    for (place, records) in records {
        let name = format!("{}-{}", place.0, place.1);
        for replica in disks.iter().filter_map(|disk| disk.get(&name)) {
            for (offset, value) in values(records) {
                let at = replica.batches.partition_point(|batch| batch.last < offset);
                let numbered = replica.batches.get(at).and_then(|batch| batch.numbered);
                lives.entry(value.producer).or_default().extend(numbered.map(|one| (one.producer, one.epoch)));
            }
        }
    }
    lives.into_iter().filter(|(_, lives)| lives.len() > 1).map(|(producer, _)| producer).collect()
}

pub(crate) fn lost(sent: &Sent, records: &Records) -> Vec<String> {
    let there: BTreeSet<(Place, Value)> =
        records.iter().flat_map(|(place, records)| values(records).map(|(_, value)| (*place, value))).collect();
    let acknowledged = sent.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_)));
    acknowledged
        .filter(|(key, _)| !there.contains(key))
        .map(|((place, value), outcome)| format!("{} of {place:?} ({outcome:?}) is lost", value.text()))
        .collect()
}

pub(crate) fn phantoms(sent: &Sent, records: &Records) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, records) in records {
        for (offset, text) in records {
            let known = Value::parse(text).and_then(|value| sent.get(&(*place, value)));
            if text != "fresh" && !matches!(known, Some(Outcome::Done(_) | Outcome::Unknown)) {
                wrong.push(format!("{text:?} at {offset} of {place:?} was {known:?}"));
            }
        }
    }
    wrong
}

pub(crate) fn doubled(records: &Records) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, records) in records {
        let mut at = BTreeMap::new();
        for (offset, value) in values(records) {
            if let Some(before) = at.insert(value, offset) {
                wrong.push(format!("{} is at {before} and {offset} of {place:?}", value.text()));
            }
        }
    }
    wrong
}

/// What is missing altogether is another finding.
pub(crate) fn misplaced(sent: &Sent, records: &Records) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, records) in records {
        for (offset, value) in values(records) {
            match sent.get(&(*place, value)) {
                // A negative offset says that it was a repetition of what is too long ago to know where it went.
                Some(Outcome::Done(told)) if *told >= 0 && *told != offset => {
                    wrong.push(format!("{} is at {offset} of {place:?}, acknowledged was {told}", value.text()));
                }
                _ => {}
            }
        }
    }
    wrong
}

pub(crate) fn disordered(records: &Records) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, records) in records {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        for (offset, value) in values(records) {
            if let Some(before) = last.insert(value.producer, value.number).filter(|before| *before > value.number) {
                wrong.push(format!("{} at {offset} of {place:?} comes after {before}", value.text()));
            }
        }
    }
    wrong
}

/// These partitions hold no control batches: offsets have no gaps.
pub(crate) fn skipped(records: &Records) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, records) in records {
        let gap = (0..).zip(records).find(|(expected, (offset, _))| expected != offset);
        if let Some((expected, (offset, _))) = gap {
            wrong.push(format!("after {expected} records of {place:?} comes {offset}"));
        }
    }
    wrong
}

/// An observer asks leaders by the epoch that it knows; a later answer from the same or a later epoch is never less.
pub(crate) fn ends_that_fell(ends: &[End]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut highest: BTreeMap<(Place, bool), BTreeMap<i32, i64>> = BTreeMap::new();
    for end in ends {
        let known = highest.entry((end.place, end.stable)).or_default();
        let before = known.range(..=end.epoch).map(|(_, offset)| *offset).max().unwrap_or(0);
        if end.offset < before {
            let what = if end.stable { "last stable offset" } else { "high watermark" };
            wrong.push(format!(
                "the {what} of {:?} fell from {before} to {} in epoch {}, {:?}",
                end.place, end.offset, end.epoch, end.at
            ));
        }
        let highest = known.entry(end.epoch).or_default();
        *highest = end.offset.max(*highest);
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::super::disks::{Batch, Numbered};
    use super::*;
    use std::time::Duration;

    const PLACE: Place = ("t", 0);

    fn sent(values: &[(u64, Outcome<i64>)]) -> Sent {
        let value = |number| Value { producer: 1, number };
        values.iter().map(|(number, outcome)| ((PLACE, value(*number)), *outcome)).collect()
    }

    fn records(values: &[(i64, &str)]) -> Records {
        BTreeMap::from([(PLACE, values.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect())])
    }

    #[test]
    fn a_run_without_faults_has_no_finding() {
        let (sent, records) = (
            sent(&[(0, Outcome::Done(0)), (1, Outcome::Unknown), (2, Outcome::Done(1)), (3, Outcome::Failed)]),
            records(&[(0, "1.0"), (1, "1.2"), (2, "fresh")]),
        );
        let all = [
            lost(&sent, &records),
            phantoms(&sent, &records),
            doubled(&records),
            misplaced(&sent, &records),
            disordered(&records),
            skipped(&records),
        ];
        assert_eq!(all.concat(), Vec::<String>::new());
    }

    #[test]
    fn a_producer_whose_records_lie_in_two_epochs_began_anew() {
        let batch = |base, epoch| Batch {
            base,
            last: base,
            epoch: 1,
            digest: 0,
            sound: true,
            numbered: Some(Numbered { producer: 9, epoch, first: 0 }),
        };
        let disk = |epochs: &[i16]| {
            let batches = (0..).zip(epochs).map(|(base, epoch)| batch(base, *epoch)).collect();
            BTreeMap::from([("t-0".to_owned(), Replica { batches, epochs: Vec::new() })])
        };
        let records = records(&[(0, "1.0"), (1, "1.1")]);
        assert_eq!(renewed(&records, &[disk(&[0, 0])]).len(), 0);
        assert_eq!(renewed(&records, &[disk(&[0, 1])]), BTreeSet::from([1]));
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost() {
        assert_eq!(lost(&sent(&[(0, Outcome::Done(0)), (1, Outcome::Unknown)]), &records(&[])).len(), 1);
    }

    #[test]
    fn what_failed_or_was_never_sent_is_a_phantom() {
        assert_eq!(phantoms(&sent(&[(0, Outcome::Failed)]), &records(&[(0, "1.0"), (1, "1.7"), (2, "x")])).len(), 3);
    }

    #[test]
    fn a_value_at_two_offsets_is_doubled() {
        assert_eq!(doubled(&records(&[(0, "1.0"), (1, "1.0")])).len(), 1);
    }

    #[test]
    fn a_value_is_where_it_was_acknowledged() {
        assert_eq!(misplaced(&sent(&[(0, Outcome::Done(5))]), &records(&[(0, "1.0")])).len(), 1);
        assert_eq!(misplaced(&sent(&[(0, Outcome::Done(-1))]), &records(&[(0, "1.0")])).len(), 0);
    }

    #[test]
    fn a_later_value_before_an_earlier_one_is_disorder() {
        assert_eq!(disordered(&records(&[(0, "1.1"), (1, "2.0"), (2, "1.0")])).len(), 1);
    }

    #[test]
    fn a_gap_in_the_offsets_is_seen() {
        assert_eq!(skipped(&records(&[(0, "1.0"), (2, "1.1")])).len(), 1);
    }

    #[test]
    fn an_end_that_falls_is_seen_but_not_one_of_an_earlier_epoch() {
        let end = |epoch, offset| End { at: Duration::ZERO, place: PLACE, stable: false, epoch, offset };
        assert_eq!(ends_that_fell(&[end(1, 5), end(1, 4)]).len(), 1);
        assert_eq!(ends_that_fell(&[end(1, 5), end(2, 4)]).len(), 1);
        assert_eq!(ends_that_fell(&[end(2, 5), end(1, 4), end(2, 5)]).len(), 0);
    }
}
