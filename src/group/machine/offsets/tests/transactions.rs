use super::*;
use crate::model::{ProducerEpoch, ProducerId};

#[test]
fn an_offset_of_a_transaction_counts_when_it_is_committed_and_not_when_it_is_aborted() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1)]);
    h.replay_of(7, &offset_record("g", "t", 0, 2));
    h.replay_of(8, &offset_record("g", "t", 1, 3));
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 1)]);
    h.end(7, true);
    h.end(8, false);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 2)]);
    same_as_replayed(&h);
}

#[test]
fn a_transaction_that_ends_late_does_not_undo_what_was_committed_since() {
    let mut h = Harness::new();
    h.replay_of(7, &offset_record("g", "t", 0, 1));
    h.replay_of(8, &offset_record("g", "t", 0, 2));
    h.end(8, true);
    h.end(7, true);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 2)]);
    h.replay_of(7, &offset_record("g", "t", 0, 3));
    outside(&mut h, "g", vec![at("t", 0, 4)]);
    h.end(7, true);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 4)]);
    same_as_replayed(&h);
}

#[test]
fn the_last_offset_of_a_transaction_is_its_offset() {
    let mut h = Harness::new();
    h.replay_of(7, &offset_record("g", "t", 0, 1));
    h.replay_of(7, &offset_record("g", "t", 0, 2));
    h.end(7, true);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 2)]);
}

#[test]
fn transactions_that_are_open_are_open_after_a_restart() {
    let mut h = Harness::new();
    h.replay_of(7, &offset_record("g", "t", 0, 1));
    let mut again = h.replayed();
    assert_eq!(view(&h.groups.offsets), view(&again.groups.offsets));
    again.end(7, true);
    assert_eq!(all(&mut again, "g"), [("t".into(), 0, 1)]);
}

#[test]
fn a_tombstone_removes_what_transactions_have_committed_too() {
    let mut h = Harness::new();
    h.replay_of(7, &offset_record("g", "t", 0, 1));
    h.replay_of(8, &offset_record("g", "t", 0, 1));
    assert_eq!(delete(&mut h, "g", &[("t", 0)]).partitions, [ErrorCode::NONE]);
    assert_eq!(h.written().last(), Some(&tombstone("g", "t", 0)));
    h.end(7, true);
    h.end(8, true);
    assert_eq!(all(&mut h, "g"), []);
    same_as_replayed(&h);
}

#[test]
fn the_end_of_a_transaction_that_wrote_nothing_here_is_nothing() {
    let mut h = Harness::new();
    h.end(7, true);
    h.end(7, false);
    assert!(view(&h.groups.offsets).is_empty() && h.groups.groups.is_empty());
}

/// A commit in the transaction of a producer.
fn within(h: &mut Harness, producer: i64, commit: Commit) -> Vec<ErrorCode> {
    match h.run(Request::TxnCommit(ProducerId(producer), ProducerEpoch(0), commit)) {
        Reply::Commit(committed) => committed.0,
        other => panic!("{other:?}"),
    }
}

fn of(group: &str, offsets: Vec<CommitOffset>) -> Commit {
    Commit { offsets, ..commit(group) }
}

#[test]
fn what_a_producer_commits_counts_when_its_transaction_is_committed() {
    let mut h = Harness::new();
    h.topic("t", 2);
    assert_eq!(within(&mut h, 7, of("g", vec![at("t", 0, 1), at("t", 1, 2)])), [ErrorCode::NONE; 2]);
    assert_eq!(all(&mut h, "g"), []);
    same_as_replayed(&h);
    h.end(7, true);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 1), ("t".into(), 1, 2)]);
    assert_eq!(within(&mut h, 7, of("g", vec![at("t", 0, 9)])), [ErrorCode::NONE]);
    h.end(7, false);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 1), ("t".into(), 1, 2)]);
    same_as_replayed(&h);
}

#[test]
fn who_wants_what_is_stable_is_told_of_transactions_that_are_open() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1)]);
    within(&mut h, 7, of("g", vec![at("t", 0, 2)]));
    let mut fetched = |stable| {
        let asked = FetchOffsets { require_stable: stable, ..fetch("g", Some(&[("t", &[0])])) };
        let partition = run_fetch(&mut h, asked).topics.remove(0).partitions.remove(0);
        (partition.error, partition.offset)
    };
    assert_eq!(fetched(true), (ErrorCode::UNSTABLE_OFFSET_COMMIT, Offset(-1)));
    assert_eq!(fetched(false), (ErrorCode::NONE, Offset(1)));
}

#[test]
fn a_producer_need_not_say_for_whom_it_commits_and_is_checked_if_it_does() {
    let mut h = Harness::new();
    h.replay(&classic("g", "consumer", &["m"], "t", 0));
    let one = || vec![at("t", 0, 1)];
    // Before TxnOffsetCommit v3 there was no way to say it.
    assert_eq!(within(&mut h, 7, of("g", one())), [ErrorCode::NONE]);
    let says = |member: &str, generation| Commit {
        member: MemberId::new(member),
        generation_or_epoch: generation,
        ..of("g", one())
    };
    assert_eq!(within(&mut h, 7, says("m", 5)), [ErrorCode::NONE]);
    assert_eq!(within(&mut h, 7, says("m", 4)), [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(within(&mut h, 7, says("m", -1)), [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(within(&mut h, 7, says("stranger", 5)), [ErrorCode::UNKNOWN_MEMBER_ID]);
    assert_eq!(within(&mut h, 7, says("", 5)), [ErrorCode::UNKNOWN_MEMBER_ID]);
    let nowhere = Commit { group: "nowhere".into(), ..says("m", 5) };
    assert_eq!(within(&mut h, 7, nowhere), [ErrorCode::ILLEGAL_GENERATION]);
}

#[test]
fn in_a_transaction_too_metadata_that_is_too_long_refuses_its_own_offset_only() {
    let mut h = Harness::with(|settings| settings.groups.offset_metadata_bytes_max = 4);
    let with = |partition, metadata: &str| CommitOffset { metadata: Some(metadata.into()), ..at("t", partition, 5) };
    let errors = within(&mut h, 7, of("g", vec![with(0, "12345"), with(1, "1234")]));
    assert_eq!(errors, [ErrorCode::OFFSET_METADATA_TOO_LARGE, ErrorCode::NONE]);
    h.end(7, true);
    assert_eq!(all(&mut h, "g"), [("t".into(), 1, 5)]);
}

#[test]
fn in_a_transaction_too_a_commit_that_is_larger_than_a_batch_is_refused_as_a_whole() {
    let mut h = Harness::new();
    h.env.batch_bytes_max = 1000;
    let offsets = (0..100).map(|partition| at("t", partition, 1)).collect();
    assert_eq!(within(&mut h, 7, of("g", offsets)), [ErrorCode::UNKNOWN_SERVER_ERROR; 100]);
    assert!(h.groups.groups.is_empty() && h.written().is_empty());
}
