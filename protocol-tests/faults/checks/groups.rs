//! G3 and G4: what groups committed, what was committed for whoever asked, and what members got.

use super::super::history::{Commit, Outcome, Place, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever asks after a commit was acknowledged hears of that offset or a later one.
pub(crate) fn forgotten(commits: &[Commit], seen: &[Seen]) -> Vec<String> {
    let mut by_place: BTreeMap<_, Vec<&Commit>> = BTreeMap::new();
    for commit in commits.iter().filter(|commit| commit.outcome == Outcome::Done(())) {
        by_place.entry((commit.group, commit.place)).or_default().push(commit);
    }
    let mut wrong = Vec::new();
    for seen in seen {
        let Some(commits) = by_place.get(&(seen.group, seen.place)) else { continue };
        let before = commits.iter().filter(|commit| commit.ended < seen.began).max_by_key(|commit| commit.offset);
        if let Some(commit) = before.filter(|commit| commit.offset > seen.offset) {
            wrong.push(format!("{seen:?} after {commit:?}"));
        }
    }
    wrong
}

/// One after the other has asked.
pub(crate) fn fell(seen: &[Seen]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<_, i64> = BTreeMap::new();
    for seen in seen {
        let before = last.insert((seen.group, seen.place), seen.offset).unwrap_or(-1);
        if before > seen.offset {
            wrong.push(format!("{seen:?} after {before}"));
        }
    }
    wrong
}

/// Everything below what is committed came to some member.
pub(crate) fn undelivered(
    commits: &[Commit],
    delivered: &BTreeMap<(&'static str, Place), BTreeSet<i64>>,
    records: &BTreeMap<Place, Vec<(i64, String)>>,
) -> Vec<String> {
    let mut farthest: BTreeMap<(&'static str, Place), i64> = BTreeMap::new();
    for commit in commits.iter().filter(|commit| commit.outcome == Outcome::Done(())) {
        let known = farthest.entry((commit.group, commit.place)).or_default();
        *known = commit.offset.max(*known);
    }
    let none = BTreeSet::new();
    let mut wrong = Vec::new();
    for (key, committed) in farthest {
        let got = delivered.get(&key).unwrap_or(&none);
        let there = records.get(&key.1).into_iter().flatten().map(|(offset, _)| *offset);
        let missed: Vec<i64> = there.filter(|offset| *offset < committed && !got.contains(offset)).collect();
        if let Some(first) = missed.first() {
            let count = missed.len();
            wrong.push(format!("{key:?} committed {committed} but {count} records never came, the first at {first}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PLACE: Place = ("t", 0);

    fn commit(offset: i64, ended: u64, outcome: Outcome<()>) -> Commit {
        Commit { group: "g", place: PLACE, offset, ended: Duration::from_secs(ended), outcome }
    }

    fn seen(offset: i64, began: u64) -> Seen {
        Seen { group: "g", place: PLACE, began: Duration::from_secs(began), offset }
    }

    #[test]
    fn a_commit_that_is_not_there_any_more_is_found() {
        let commits = [commit(5, 2, Outcome::Done(())), commit(9, 2, Outcome::Unknown)];
        assert_eq!(forgotten(&commits, &[seen(-1, 1), seen(5, 3), seen(9, 4)]).len(), 0);
        assert_eq!(forgotten(&commits, &[seen(4, 3), seen(-1, 3)]).len(), 2);
    }

    #[test]
    fn a_group_that_goes_back_is_found() {
        assert_eq!(fell(&[seen(-1, 1), seen(5, 2), seen(5, 3)]).len(), 0);
        assert_eq!(fell(&[seen(5, 2), seen(-1, 3)]).len(), 1);
    }

    #[test]
    fn a_record_that_no_member_got_is_found() {
        let records = BTreeMap::from([(PLACE, vec![(0, "x".to_owned()), (1, "y".to_owned())])]);
        let got = |offsets: &[i64]| BTreeMap::from([(("g", PLACE), offsets.iter().copied().collect())]);
        let commits = [commit(2, 1, Outcome::Done(()))];
        assert_eq!(undelivered(&commits, &got(&[0, 1]), &records).len(), 0);
        assert_eq!(undelivered(&commits, &got(&[1]), &records).len(), 1);
        assert_eq!(undelivered(&commits, &BTreeMap::new(), &records).len(), 1);
    }
}
