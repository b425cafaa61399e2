//! Epochs: of leaders and of the state.

use super::*;

#[test]
fn a_leader_that_reads_fences_those_before_it_and_that_is_written() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.read(5).unwrap();
    let update = Update {
        snapshot_epoch: 0,
        leader_epoch: 5,
        start_offset: Some(Offset(10)),
        delivery_complete_count: 0,
        batches: Vec::new(),
    };
    assert_eq!(rig.written, [Record::Update(key(0), update)]);
    assert_eq!((rig.read(5).is_ok(), rig.written.len()), (true, 0));
    assert_eq!(rig.read(4), Err(ErrorCode::FENCED_LEADER_EPOCH));
    assert_eq!(rig.write(ShareWrite { leader_epoch: 4, ..write() }), Err(ErrorCode::FENCED_LEADER_EPOCH));
    assert_eq!(rig.written, []);
    assert_eq!(rig.write(ShareWrite { leader_epoch: 5, ..write() }), Ok(()));
}

#[test]
fn who_has_no_leader_epoch_is_not_fenced() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.read(5).unwrap();
    assert!(rig.read(-1).is_ok());
    assert_eq!(rig.write(ShareWrite { leader_epoch: -1, ..write() }), Ok(()));
}

#[test]
fn a_write_raises_no_epoch() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.write(ShareWrite { leader_epoch: 9, state_epoch: StateEpoch(9), ..write() }).unwrap();
    assert_eq!((rig.summary().leader_epoch, rig.summary().state_epoch), (0, StateEpoch(1)));
    assert_eq!(rig.write(write()), Ok(()));
}

#[test]
fn a_leader_of_before_stays_fenced_when_the_partition_is_set_back() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.read(5).unwrap();
    rig.initialize(0, 2, Some(0)).unwrap();
    assert_eq!(rig.summary().leader_epoch, 0);
    assert_eq!(rig.read(4), Err(ErrorCode::FENCED_LEADER_EPOCH));
    let now_of = |leader_epoch| ShareWrite { leader_epoch, state_epoch: StateEpoch(2), ..write() };
    assert_eq!(rig.write(now_of(4)), Err(ErrorCode::FENCED_LEADER_EPOCH));
    assert_eq!(rig.write(now_of(5)), Ok(()));
}

#[test]
fn a_state_epoch_fences_those_before_it() {
    let mut rig = Rig::new();
    rig.initialize(0, 3, Some(10)).unwrap();
    let of = |epoch| ShareWrite { state_epoch: StateEpoch(epoch), ..write() };
    assert_eq!(rig.write(of(2)), Err(ErrorCode::FENCED_STATE_EPOCH));
    assert_eq!(rig.initialize(0, 2, Some(0)), Err(ErrorCode::FENCED_STATE_EPOCH));
    assert_eq!((rig.write(of(3)), rig.write(of(-1)), rig.write(of(4))), (Ok(()), Ok(()), Ok(())));
    assert_eq!(rig.initialize(0, 3, Some(0)), Ok(()));
    // Whoever sets back without an epoch is let in, and the highest is remembered.
    assert_eq!(rig.initialize(0, -1, Some(0)), Ok(()));
    assert_eq!(rig.summary().state_epoch, StateEpoch(-1));
    assert_eq!(rig.write(of(2)), Err(ErrorCode::FENCED_STATE_EPOCH));
}

#[test]
fn whoever_is_fenced_for_both_is_told_of_the_leader() {
    let mut rig = Rig::new();
    rig.initialize(0, 3, Some(10)).unwrap();
    rig.read(5).unwrap();
    assert_eq!(rig.write(write()), Err(ErrorCode::FENCED_LEADER_EPOCH));
}

#[test]
fn epochs_outlive_the_machine() {
    let mut rig = Rig::new();
    rig.initialize(0, 3, Some(10)).unwrap();
    rig.read(5).unwrap();
    rig.machine = rig.reloaded(0);
    assert_eq!(rig.read(4), Err(ErrorCode::FENCED_LEADER_EPOCH));
    let of_leader_5 = ShareWrite { leader_epoch: 5, state_epoch: StateEpoch(2), ..write() };
    assert_eq!(rig.write(of_leader_5), Err(ErrorCode::FENCED_STATE_EPOCH));
}
