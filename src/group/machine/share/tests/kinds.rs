//! Share groups among groups of other kinds: who takes one for the other is refused as by Kafka.

use super::*;
use crate::group::request::{
    Commit, CommitOffset, ConsumerHeartbeat, DeleteOffsets, FetchOffsets, FetchOffsetsTopic, Heartbeat, Join, Leave,
    Leaver, List, Sync,
};
use crate::model::{Generation, LeaderEpoch, Offset};

/// `g` is a share group without members.
fn empty() -> Bed {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.beat("a", -1, None).unwrap();
    bed
}

fn commit(member: &str, epoch: i32) -> Commit {
    Commit {
        version: 9,
        group: g(),
        member: m(member),
        instance: None,
        generation_or_epoch: epoch,
        retention_ms: -1,
        offsets: vec![CommitOffset {
            topic: TopicName::new("foo"),
            topic_id: TopicId::ZERO,
            partition: PartitionId(0),
            offset: Offset(1),
            leader_epoch: LeaderEpoch(0),
            metadata: None,
        }],
    }
}

#[test]
fn a_share_group_has_no_committed_offsets() {
    let mut bed = empty();
    let Reply::Commit(committed) = bed.h.run(Request::Commit(commit("", -1))) else { panic!() };
    assert_eq!(committed.0, [ErrorCode::GROUP_ID_NOT_FOUND]);
    let topics = vec![(TopicName::new("foo"), PartitionId(0))];
    let delete = Request::DeleteOffsets(DeleteOffsets { group: g(), partitions: topics });
    let Reply::DeleteOffsets(deleted) = bed.h.run(delete) else { panic!() };
    assert_eq!(deleted.error, ErrorCode::GROUP_ID_NOT_FOUND);
    let (topic, topic_id, partitions) = (TopicName::new("foo"), TopicId::ZERO, vec![PartitionId(0)]);
    let topics = Some(vec![FetchOffsetsTopic { topic, topic_id, partitions }]);
    let (version, member, epoch, require_stable) = (9, None, -1, false);
    let fetch = FetchOffsets { version, group: g(), member, epoch, topics, require_stable };
    let Reply::FetchOffsets(fetched) = bed.h.run(Request::FetchOffsets(fetch)) else { panic!() };
    assert_eq!((fetched.error, fetched.topics[0].partitions[0].offset), (ErrorCode::NONE, Offset::NONE));
}

#[test]
fn a_share_group_takes_no_members_of_other_protocols() {
    let mut bed = empty();
    let join = Join {
        version: 9,
        client: Client::default(),
        group: g(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member: m(""),
        instance: None,
        protocol_type: "consumer".into(),
        protocols: vec![],
        reason: None,
    };
    let Reply::Join(joined) = bed.h.run(Request::Join(join)) else { panic!() };
    assert_eq!((joined.error, joined.member), (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, m("")));
    let sync = Sync {
        version: 5,
        group: g(),
        generation: Generation(1),
        member: m("a"),
        instance: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![],
    };
    let Reply::Sync(synced) = bed.h.run(Request::Sync(sync)) else { panic!() };
    assert_eq!(synced.error, ErrorCode::UNKNOWN_MEMBER_ID);
    let heartbeat = Heartbeat { group: g(), generation: Generation(1), member: m("a"), instance: None };
    assert!(matches!(bed.h.run(Request::Heartbeat(heartbeat)), Reply::Heartbeat(ErrorCode::UNKNOWN_MEMBER_ID)));
    let members = vec![Leaver { member: m("a"), instance: None, reason: None }];
    let Reply::Leave(left) = bed.h.run(Request::Leave(Leave { version: 5, group: g(), members })) else { panic!() };
    assert_eq!(left.members[0].2, ErrorCode::UNKNOWN_MEMBER_ID);
    let beat = ConsumerHeartbeat {
        version: 1,
        client: Client::default(),
        group: g(),
        member: m("a"),
        epoch: GroupEpoch(0),
        instance: None,
        rack: None,
        rebalance_timeout_ms: 1000,
        topics: Some(vec![TopicName::new("foo")]),
        regex: None,
        assignor: None,
        owned: Some(Assignment::new()),
    };
    let Reply::ConsumerHeartbeat(beaten) = bed.h.run(Request::ConsumerHeartbeat(beat)) else { panic!() };
    assert_eq!(beaten, refused(ErrorCode::GROUP_ID_NOT_FOUND, "Group g is not a consumer group."));
    // None of them left a trace.
    bed.check_replay();
}

#[test]
fn a_share_group_is_described_as_nothing_else() {
    let mut bed = empty();
    let Reply::Describe(Err(refusal)) = bed.h.run(Request::Describe(g())) else { panic!() };
    assert_eq!(refusal, Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g is not a classic group."));
    let Reply::DescribeConsumer(Err(refusal)) = bed.h.run(Request::DescribeConsumer(g())) else { panic!() };
    assert_eq!(refusal, Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g is not a consumer group."));
}

#[test]
fn a_group_of_another_kind_is_no_share_group() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.h.run(Request::Commit(commit("", -1)));
    let not_one = "Group g is not a share group.";
    assert_eq!(bed.beat("a", 0, Some(&["foo"])), refused(ErrorCode::GROUP_ID_NOT_FOUND, not_one));
    assert_eq!(bed.beat("a", 1, None), refused(ErrorCode::GROUP_ID_NOT_FOUND, not_one));
    assert_eq!(bed.beat("a", -1, None), refused(ErrorCode::GROUP_ID_NOT_FOUND, not_one));
    let ShareReply::Describe(described) = bed.share(ShareRequest::Describe(g())) else { panic!() };
    assert_eq!(described, Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, not_one)));
}

#[test]
fn a_share_group_is_listed_with_its_type_and_state() {
    let mut bed = empty();
    let mut listed = |states: &[&str], types: &[&str]| {
        let owned = |filter: &[&str]| filter.iter().map(|item| (*item).to_owned()).collect();
        match bed.h.run(Request::List(List { states: owned(states), types: owned(types) })) {
            Reply::List(listed) => listed.into_iter().map(|of| (of.protocol_type, of.state, of.kind)).collect(),
            other => panic!("{other:?}"),
        }
    };
    let all: Vec<_> = listed(&[], &[]);
    assert_eq!(all, [("share".to_owned(), "Empty", "share")]);
    assert_eq!(
        (listed(&["empty"], &["Share"]), listed(&["Stable"], &[]), listed(&[], &["consumer"])),
        (all, vec![], vec![])
    );
}

#[test]
fn an_empty_share_group_does_not_expire() {
    let mut bed = empty();
    bed.h.pass(30 * 24 * 3_600_000);
    assert_eq!(bed.group().state(), "Empty");
}
