use super::*;

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
