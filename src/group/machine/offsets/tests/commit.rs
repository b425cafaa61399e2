use super::*;
use crate::group::machine::Timer;

#[test]
fn a_commit_from_outside_makes_a_group_without_members() {
    let mut h = Harness::new();
    assert_eq!(outside(&mut h, "g", vec![at("t", 0, 5), at("t", 1, 6)]), [ErrorCode::NONE; 2]);
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 5), ("t".into(), 1, 6)]);
    let group = h.groups.groups.get("g").unwrap().kind();
    assert_eq!((group.name(), group.state(), group.protocol_type()), ("classic", "Empty", ""));
    assert_eq!(h.written().len(), 2, "the group has no record of its own");
    same_as_replayed(&h);
}

#[test]
fn what_is_committed_is_written_as_the_client_said_it() {
    let mut h = Harness::new();
    let id = h.topic("t", 1);
    let offsets =
        vec![CommitOffset { topic_id: id, ..at("t", 0, 5) }, CommitOffset { metadata: None, ..at("u", 1, 6) }];
    outside(&mut h, "g", offsets);
    let value = |offset, metadata: &str, topic_id| {
        Some(OffsetValue {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(3),
            metadata: metadata.into(),
            committed_at: START,
            expires_at: TimestampMs::NONE,
            topic_id,
        })
    };
    let record = |topic: &str, partition, value| Record::Offset {
        group: "g".into(),
        topic: topic.into(),
        partition: PartitionId(partition),
        value,
    };
    let expected = [record("t", 0, value(5, "md", id)), record("u", 1, value(6, "", TopicId::ZERO))];
    assert_eq!(h.written(), expected);
}

#[test]
fn a_member_of_a_group_that_is_not_known_is_told_so_in_the_words_of_its_version() {
    let mut h = Harness::new();
    for (version, error) in [(8, ErrorCode::ILLEGAL_GENERATION), (9, ErrorCode::GROUP_ID_NOT_FOUND)] {
        let commit =
            Commit { version, generation_or_epoch: 0, offsets: vec![at("t", 0, 5), at("t", 1, 5)], ..commit("g") };
        assert_eq!(run_commit(&mut h, commit), [error; 2]);
    }
    assert!(h.groups.groups.is_empty() && h.written().is_empty());
}

#[test]
fn metadata_that_is_too_long_refuses_its_own_offset_only() {
    let mut h = Harness::with(|settings| settings.groups.offset_metadata_bytes_max = 4);
    let with = |partition, metadata: &str| CommitOffset { metadata: Some(metadata.into()), ..at("t", partition, 5) };
    let errors = outside(&mut h, "g", vec![with(0, "12345"), with(1, "1234"), with(2, "éééé"), with(3, "𝄞𝄞𝄞")]);
    let (long, none) = (ErrorCode::OFFSET_METADATA_TOO_LARGE, ErrorCode::NONE);
    // Four characters of two bytes each fit; three that a Java string has as two each do not.
    assert_eq!(errors, [long, none, none, long]);
    let kept: Vec<i32> = all(&mut h, "g").into_iter().map(|(_, partition, _)| partition).collect();
    assert_eq!(kept, [1, 2]);
}

#[test]
fn a_commit_of_nothing_makes_no_group() {
    let mut h = Harness::with(|settings| settings.groups.offset_metadata_bytes_max = 1);
    assert_eq!(outside(&mut h, "g", Vec::new()), []);
    assert_eq!(outside(&mut h, "g", vec![at("t", 0, 1)]), [ErrorCode::OFFSET_METADATA_TOO_LARGE]);
    assert!(h.groups.groups.is_empty());
    same_as_replayed(&h);
}

#[test]
fn a_commit_that_is_larger_than_a_batch_is_refused_as_a_whole() {
    let mut h = Harness::new();
    h.env.batch_bytes_max = 1000;
    let offsets = |n| (0..n).map(|partition| at("t", partition, 1)).collect::<Vec<_>>();
    assert_eq!(outside(&mut h, "g", offsets(100)), [ErrorCode::UNKNOWN_SERVER_ERROR; 100]);
    assert!(h.groups.groups.is_empty() && h.written().is_empty());
    assert_eq!(outside(&mut h, "g", offsets(10)), [ErrorCode::NONE; 10]);
}

#[test]
fn what_the_group_says_to_a_commit_is_said_to_every_offset() {
    let mut h = Harness::new();
    h.replay(&classic("g", "consumer", &["m"], "t", -1));
    let of = |member: &str, generation| Commit {
        member: MemberId::new(member),
        generation_or_epoch: generation,
        offsets: vec![at("t", 0, 5), at("t", 1, 5)],
        ..commit("g")
    };
    assert_eq!(run_commit(&mut h, of("m", 4)), [ErrorCode::ILLEGAL_GENERATION; 2]);
    assert_eq!(run_commit(&mut h, of("n", 5)), [ErrorCode::UNKNOWN_MEMBER_ID; 2]);
    assert_eq!(run_commit(&mut h, of("", -1)), [ErrorCode::UNKNOWN_MEMBER_ID; 2]);
    h.written();
    assert_eq!(run_commit(&mut h, of("m", 5)), [ErrorCode::NONE; 2]);
    assert_eq!(h.written().len(), 2);
}

#[test]
fn a_commit_keeps_the_session_of_a_classic_member_alive_whatever_becomes_of_it() {
    let mut h = Harness::with(|settings| settings.groups.offset_metadata_bytes_max = 1);
    h.replay(&classic("g", "consumer", &["m"], "t", -1));
    let mut h = h.replayed();
    h.pass(20_000);
    let member = Commit { member: "m".into(), generation_or_epoch: 5, offsets: vec![at("t", 0, 5)], ..commit("g") };
    assert_eq!(run_commit(&mut h, member), [ErrorCode::OFFSET_METADATA_TOO_LARGE]);
    let deadline = h.groups.timers.deadline(&Timer::ClassicSession("g".into(), "m".into()));
    assert_eq!(deadline, Some(h.env.now.plus(30_000)));
}

#[test]
fn an_offset_with_a_time_of_its_own_is_kept_as_its_record_has_it() {
    let mut h = Harness::new();
    let id = h.topic("t", 1);
    let offsets = vec![CommitOffset { topic_id: id, ..at("t", 0, 5) }];
    run_commit(&mut h, Commit { version: 4, retention_ms: 1000, offsets, ..commit("g") });
    let kept = view(&h.groups.offsets).into_values().collect::<Vec<_>>();
    assert_eq!(kept, [(5, -1, "md".into(), START.0, START.0 + 1000, TopicId::ZERO)]);
    same_as_replayed(&h);
}

#[test]
fn the_last_of_several_commits_counts() {
    let mut h = Harness::new();
    for offset in [9, 3, 7] {
        outside(&mut h, "g", vec![at("t", 0, offset)]);
    }
    assert_eq!(all(&mut h, "g"), [("t".into(), 0, 7)]);
    same_as_replayed(&h);
}
