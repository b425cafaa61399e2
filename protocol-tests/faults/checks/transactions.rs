//! T1, T3, T8: copies that were made in transactions. A copy is what was copied, a bar, and the transaction's name.

use super::super::history::{Outcome, Outcomes, Place, Txn};
use super::super::pipes::{INPUT, PIPES};
use std::collections::{BTreeMap, BTreeSet};

/// Input and transaction of a copy.
fn parts(text: &str) -> Option<(&str, &str)> {
    text.split_once('|')
}

/// Partitions and inputs, by transaction and topic.
type Found<'a> = BTreeMap<&'a str, BTreeMap<&'static str, BTreeSet<(i32, &'a str)>>>;

/// Where values of each transaction are.
fn found(outcomes: &Outcomes) -> Found<'_> {
    let mut found = Found::new();
    for ((topic, partition), records) in &outcomes.copies {
        for (input, txn) in records.iter().filter_map(|(_, text)| parts(text)) {
            found.entry(txn).or_default().entry(topic).or_default().insert((*partition, input));
        }
    }
    found
}

pub(crate) fn aborted(txns: &[Txn], outcomes: &Outcomes) -> Vec<String> {
    let found = found(outcomes);
    let aborted = txns.iter().filter(|txn| txn.outcome == Outcome::Failed);
    aborted
        .filter_map(|txn| Some(format!("{} was aborted, and there is {:?}", txn.id, found.get(txn.id.as_str())?)))
        .collect()
}

/// All of a transaction is there, in both copies, or nothing; what was committed is there.
pub(crate) fn torn(txns: &[Txn], outcomes: &Outcomes) -> Vec<String> {
    let found = found(outcomes);
    let mut wrong = Vec::new();
    for txn in txns {
        let copies: Vec<usize> =
            found.get(txn.id.as_str()).into_iter().flat_map(|found| found.values().map(BTreeSet::len)).collect();
        let whole = copies.len() == 2 && copies.iter().all(|count| *count == txn.inputs.len());
        if !(whole || copies.is_empty() && !matches!(txn.outcome, Outcome::Done(()))) {
            wrong.push(format!("of {txn:?} there are {copies:?}"));
        }
    }
    wrong
}

pub(crate) fn not_once(outcomes: &Outcomes) -> Vec<String> {
    let mut wrong = Vec::new();
    for (group, _, topics) in PIPES {
        for topic in topics {
            for ((_, partition), inputs) in outcomes.records.iter().filter(|((topic, _), _)| *topic == INPUT) {
                let place: Place = (topic, *partition);
                let Some(copied) = outcomes.copies.get(&place) else { continue };
                let copied: Vec<(i64, &str)> =
                    copied.iter().filter_map(|(offset, text)| Some((*offset, parts(text)?.0))).collect();
                let inputs: Vec<&str> = inputs.iter().map(|(_, text)| text.as_str()).collect();
                let mut seen = BTreeMap::new();
                for (offset, input) in &copied {
                    if let Some(before) = seen.insert(*input, *offset) {
                        wrong.push(format!("{input} is at {before} and {offset} of {place:?} by {group}"));
                    }
                }
                let missing = inputs.iter().filter(|input| !seen.contains_key(**input));
                wrong.extend(missing.map(|input| format!("{input} is not in {place:?} by {group}")));
                if wrong.is_empty() && copied.iter().map(|(_, input)| *input).ne(inputs) {
                    wrong.push(format!("{place:?} by {group} is in another order than its input"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(inputs: &[&str], a: &[&str], b: &[&str]) -> Outcomes {
        let listed = |texts: &[&str]| (0..).zip(texts).map(|(at, text)| (at, (*text).to_owned())).collect::<Vec<_>>();
        Outcomes {
            records: BTreeMap::from([((INPUT, 0), listed(inputs))]),
            copies: BTreeMap::from([(("copy-a", 0), listed(a)), (("copy-b", 0), listed(b))]),
        }
    }

    fn txn(id: &str, outcome: Outcome<()>) -> Txn {
        Txn { id: id.into(), inputs: vec![(0, 0)], outcome }
    }

    #[test]
    fn what_was_aborted_and_is_read_is_found() {
        let read = outcomes(&["x"], &["x|t"], &["x|t"]);
        assert_eq!(aborted(&[txn("t", Outcome::Unknown)], &read).len(), 0);
        assert_eq!(aborted(&[txn("t", Outcome::Failed)], &read).len(), 1);
    }

    #[test]
    fn half_of_a_transaction_and_none_of_a_committed_one_are_found() {
        let (whole, half, none) =
            (outcomes(&["x"], &["x|t"], &["x|t"]), outcomes(&["x"], &["x|t"], &[]), outcomes(&["x"], &[], &[]));
        for outcome in [Outcome::Unknown, Outcome::Done(())] {
            assert_eq!(torn(&[txn("t", outcome)], &whole).len(), 0);
            assert_eq!(torn(&[txn("t", outcome)], &half).len(), 1);
        }
        assert_eq!(torn(&[txn("t", Outcome::Unknown)], &none).len(), 0);
        assert_eq!(torn(&[txn("t", Outcome::Done(()))], &none).len(), 1);
    }

    #[test]
    fn an_input_that_is_missing_doubled_or_out_of_order_is_found() {
        let once = ["x|t", "y|t"];
        assert_eq!(not_once(&outcomes(&["x", "y"], &once, &once)).len(), 0);
        assert_eq!(not_once(&outcomes(&["x", "y"], &once, &["x|t"])).len(), 1);
        assert_eq!(not_once(&outcomes(&["x", "y"], &once, &["x|t", "y|t", "x|u"])).len(), 1);
        assert_eq!(not_once(&outcomes(&["x", "y"], &once, &["y|t", "x|t"])).len(), 1);
    }
}
