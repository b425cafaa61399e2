//! `RangeAssignor`: each topic is cut into as many runs of neighbouring partitions as it has subscribers, the longer ones
//! first, and the members take the next run of each of their topics in turn.
//!
//! Static members come first, by instance id: theirs outlive restarts, so what they have moves less.

use super::index::{Index, partition_id};
use super::{Subscriber, Target};
use crate::model::MemberId;
use std::cmp::Ordering;

/// What is left of a topic.
struct Rest {
    next: usize,
    partitions: usize,
    takers: usize,
}

pub(super) fn assign(index: &Index<'_>) -> Target {
    let mut order: Vec<usize> = (0..index.members.len()).collect();
    order.sort_by(|a, b| turn(index.members[*a], index.members[*b]));

    let rest =
        |topic: &super::index::Topic| Rest { next: 0, partitions: topic.partitions.len(), takers: topic.subscribers };
    let mut rests: Vec<Rest> = index.topics.iter().map(rest).collect();
    let mut target = Target::new();
    for member in order {
        let mut runs = Vec::new();
        for topic in index.subscription(member) {
            let rest = &mut rests[*topic];
            let run = rest.partitions.div_ceil(rest.takers);
            if run > 0 {
                runs.push((index.topics[*topic].id, (rest.next..rest.next + run).map(partition_id).collect()));
            }
            rest.next += run;
            rest.partitions -= run;
            rest.takers -= 1;
        }
        target.insert(index.members[member].0.clone(), runs.into_iter().collect());
    }
    target
}

/// Whose turn is first. Ids compare as Java compares strings, by UTF-16 units.
fn turn((a_id, a): (&MemberId, &Subscriber), (b_id, b): (&MemberId, &Subscriber)) -> Ordering {
    let text = |a: &str, b: &str| a.encode_utf16().cmp(b.encode_utf16());
    match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => text(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => text(a_id.as_str(), b_id.as_str()),
    }
}
