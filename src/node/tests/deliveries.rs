//! What is kept of share groups' deliveries, from every node of a cluster.

use super::*;
use crate::model::Delivery::Acknowledged;
use crate::model::{GroupId, Refused, ShareState, ShareSummary, ShareWrite, SharedPartition, StateBatch, StateEpoch};

/// Enough for every node to coordinate some of them.
const PARTITIONS: i32 = 12;

async fn with_topic(nodes: &[Node]) -> Vec<SharedPartition> {
    let topic = NewTopic { partitions: PARTITIONS, ..replicated("shared", 1) };
    nodes[0].create_topics(vec![topic]).await.unwrap();
    let topic = nodes[0].ctx.metadata.load().topic("shared").unwrap().id;
    (0..PARTITIONS).map(|number| SharedPartition { topic, partition: PartitionId(number) }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_kept_wherever_their_coordinators_are_and_outlive_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = quorum(dir.path()).await;
    let all = with_topic(&nodes).await;
    let group = GroupId::new("g");
    let count = all.len();
    let persister = |node: &Node| Arc::clone(&node.ctx.persister);

    // Nobody has made the topic of the coordinators yet.
    let fresh = all.iter().map(|at| (*at, StateEpoch(1), Some(Offset(i64::from(at.partition.0))))).collect();
    assert_eq!(persister(&nodes[0]).initialize(&group, fresh).await, vec![Ok(()); count]);
    let image = nodes[0].ctx.metadata.image();
    let kept = image.topic(TopicName::SHARE_GROUP_STATE).unwrap();
    assert_eq!((kept.partitions.len(), kept.partitions[0].replicas.len()), (5, 3));
    let leaders: std::collections::BTreeSet<_> = kept.partitions.iter().filter_map(|at| at.leader).collect();
    assert!(leaders.len() > 1, "{leaders:?}");

    let read = all.iter().rev().map(|at| (*at, 3)).collect();
    let state = |at: &SharedPartition| ShareState {
        state_epoch: StateEpoch(1),
        start_offset: Some(Offset(i64::from(at.partition.0))),
        batches: Vec::new(),
    };
    let expected: Vec<Result<ShareState, Refused>> = all.iter().rev().map(|at| Ok(state(at))).collect();
    assert_eq!(persister(&nodes[1]).read(&group, read).await, expected);

    let batch = StateBatch { first: Offset(20), last: Offset(29), delivery: Acknowledged, delivery_count: 1 };
    let write = |at: &SharedPartition, leader_epoch| ShareWrite {
        at: *at,
        state_epoch: StateEpoch(1),
        leader_epoch,
        start_offset: None,
        delivery_complete_count: 10,
        batches: vec![batch],
    };
    let written = all.iter().map(|at| write(at, 3)).collect();
    assert_eq!(persister(&nodes[2]).write(&group, written).await, vec![Ok(()); count]);
    let fenced = persister(&nodes[0]).write(&group, all.iter().map(|at| write(at, 2)).collect()).await;
    assert!(
        fenced.iter().all(|it| it.as_ref().is_err_and(|it| it.code == ErrorCode::FENCED_LEADER_EPOCH)),
        "{fenced:?}"
    );

    nodes.remove(2).stop().await;
    let summary = |at: &SharedPartition| {
        Ok(ShareSummary {
            state_epoch: StateEpoch(1),
            leader_epoch: 3,
            start_offset: Some(Offset(i64::from(at.partition.0))),
            delivery_complete_count: 10,
        })
    };
    let expected: Vec<Result<ShareSummary, Refused>> = all.iter().map(summary).collect();
    for node in &nodes {
        assert_eq!(persister(node).summary(&group, all.clone()).await, expected);
    }
    let read = persister(&nodes[0]).read(&group, vec![(all[4], 4)]).await;
    assert_eq!(read, [Ok(ShareState { batches: vec![batch], ..state(&all[4]) })]);

    assert_eq!(persister(&nodes[1]).delete(&group, all.clone()).await, vec![Ok(()); count]);
    let gone = persister(&nodes[0]).read(&group, vec![(all[4], 4)]).await;
    assert!(matches!(&gone[..], [Err(Refused { code: ErrorCode::INVALID_REQUEST, .. })]), "{gone:?}");
    join_all(nodes.into_iter().map(|node| node.stop_after(false))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_cannot_be_is_asked_for_until_the_broker_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut values = values(1, dir.path());
    values.insert("share.coordinator.state.topic.replication.factor".into(), "3".into());
    let node = Node::start(BrokerConfig::new(values).unwrap()).await.unwrap();
    let all = with_topic(std::slice::from_ref(&node)).await;
    let (group, persister) = (GroupId::new("g"), Arc::clone(&node.ctx.persister));
    let asked = tokio::spawn(async move { persister.summary(&group, all).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asked.is_finished());
    node.stop().await;
    let refused = asked.await.unwrap();
    let message = "Error in find coordinator. Exhausted max retries to find coordinator without success.";
    let refusal = Refused { code: ErrorCode::COORDINATOR_NOT_AVAILABLE, message: Some(message.into()) };
    assert_eq!(refused, vec![Err(refusal); PARTITIONS as usize]);
}
