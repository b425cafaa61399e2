//! DescribeQuorum (55), v0-2: the voters of the metadata log and those who follow it, how far each is, and who leads.
//!
//! Versions: v1 has timestamps; v2 has directory ids, error messages and the addresses of the voters.
//! The cluster needs DESCRIBE.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::config::Settings;
use crate::model::{ErrorCode, Operation};
use crate::quorum::{Description, ReplicaState, Voter};
use kafka_protocol::messages::describe_quorum_request::{PartitionData as AskedPartition, TopicData as AskedTopic};
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState as Replica, TopicData,
};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use std::sync::Arc;
use uuid::Uuid;

/// The one topic there is to ask for, and its one partition.
const METADATA: &str = "__cluster_metadata";

pub struct DescribeQuorum;

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    const NAME: &'static str = "DescribeQuorum";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        if let Err(error) = call.on_cluster(Operation::Describe) {
            return refused(call.version, error.code);
        }
        respond(call.version, ctx.controller.quorum().describe().as_ref(), &ctx.settings(), &request)
    }
}

/// From this version errors have messages.
const MESSAGES: i16 = 2;

fn refused(version: i16, code: ErrorCode) -> DescribeQuorumResponse {
    let ApiError { code, message } = text::explained(ApiError::bare(code));
    DescribeQuorumResponse::default()
        .with_error_code(code.0)
        .with_error_message(text::message(message.filter(|_| version >= MESSAGES)))
}

fn respond(
    version: i16,
    known: Option<&Description>,
    settings: &Settings,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let topic = |asked: &AskedTopic| {
        let partitions = asked.partitions.iter().map(|partition| describe(version, known, asked, partition)).collect();
        TopicData::default().with_topic_name(asked.topic_name.clone()).with_partitions(partitions)
    };
    let nodes =
        known.filter(|_| version >= 2).map(|known| known.voters.iter().map(|voter| node(voter, settings)).collect());
    DescribeQuorumResponse::default()
        .with_topics(request.topics.iter().map(topic).collect())
        .with_nodes(nodes.unwrap_or_default())
}

fn describe(version: i16, known: Option<&Description>, topic: &AskedTopic, asked: &AskedPartition) -> PartitionData {
    let answer = PartitionData::default().with_partition_index(asked.partition_index);
    let failed = |code: ErrorCode| {
        let ApiError { code, message } = text::explained(ApiError::bare(code));
        let message = message.filter(|_| version >= MESSAGES);
        answer.clone().with_error_code(code.0).with_error_message(text::message(message))
    };
    if topic.topic_name.as_str() != METADATA || asked.partition_index != 0 {
        return failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let Some(known) = known else {
        return failed(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    };
    let replica = |state: &ReplicaState| replica(version, state);
    answer
        .with_leader_id(text::broker(known.leader))
        .with_leader_epoch(known.epoch.0)
        .with_high_watermark(known.high_watermark.0)
        .with_current_voters(known.voters.iter().map(replica).collect())
        .with_observers(known.observers.iter().map(replica).collect())
}

fn replica(version: i16, state: &ReplicaState) -> Replica {
    Replica::default()
        .with_replica_id(text::broker(state.node))
        .with_replica_directory_id(if version >= 2 { state.at.directory } else { Uuid::nil() })
        .with_log_end_offset(state.end.0)
        .with_last_fetch_timestamp(state.last_fetch.0)
        .with_last_caught_up_timestamp(state.last_caught_up.0)
}

fn node(state: &ReplicaState, settings: &Settings) -> Node {
    let own = settings.network.controller_listeners.first();
    let name = settings.network.controller_protocol.as_ref().map_or("CONTROLLER", |(name, _)| name.as_str());
    let Voter { host, port, .. } = &state.at;
    // A quorum of one is not named with an address.
    let (host, port) = match own.filter(|_| host.is_empty()) {
        Some(own) => (own.host.as_str(), own.port),
        None => (host.as_str(), *port),
    };
    let listener = Listener::default().with_name(text::text(name)).with_host(text::text(host)).with_port(port);
    let listeners = if host.is_empty() { Vec::new() } else { vec![listener] };
    Node::default().with_node_id(text::broker(state.node)).with_listeners(listeners)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::encoded;
    use super::*;
    use crate::config::BrokerConfig;
    use crate::model::{LeaderEpoch, NodeId, Offset, TimestampMs};
    use kafka_protocol::messages::TopicName;

    fn known() -> Description {
        let state = |node: i32, end: i64| ReplicaState {
            node: NodeId(node),
            at: Voter { host: "h".into(), port: 9093, directory: Uuid::from_u128(3) },
            end: Offset(end),
            last_fetch: TimestampMs(7),
            last_caught_up: TimestampMs(6),
        };
        Description {
            leader: NodeId(1),
            epoch: LeaderEpoch(4),
            high_watermark: Offset(9),
            voters: vec![state(1, 10), state(2, 9)],
            observers: vec![state(5, 3)],
        }
    }

    fn ask(known: Option<&Description>, topic: &str, version: i16) -> PartitionData {
        let config = BrokerConfig::new(Default::default()).unwrap();
        let partition = AskedPartition::default().with_partition_index(0);
        let topic =
            AskedTopic::default().with_topic_name(TopicName(text::text(topic))).with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let response = respond(version, known, config.settings(), &request);
        encoded(version, &response);
        response.topics[0].partitions[0].clone()
    }

    #[test]
    fn the_leader_tells_how_far_voters_and_observers_are() {
        for version in 0..=2 {
            let found = ask(Some(&known()), METADATA, version);
            assert_eq!((found.leader_id.0, found.leader_epoch, found.high_watermark), (1, 4, 9));
            let ends: Vec<i64> = found.current_voters.iter().map(|voter| voter.log_end_offset).collect();
            assert_eq!((ends, found.observers[0].replica_id.0), (vec![10, 9], 5));
        }
    }

    #[test]
    fn who_does_not_lead_says_so_and_other_topics_are_not_known() {
        assert_eq!(ask(None, METADATA, 2).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER.0);
        assert_eq!(ask(Some(&known()), "t", 2).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
    }
}
