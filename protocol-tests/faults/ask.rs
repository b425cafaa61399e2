//! One request to one node, and no complaint if there is no answer: nodes that are hurt give none.

use bytes::BytesMut;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, DescribeQuorumRequest, ListOffsetsRequest, MetadataRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn exchange<R: Request>(address: &str, version: i16, request: &R, patience: Duration) -> std::io::Result<R::Response> {
    let wrong = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let socket = TcpStream::connect_timeout(&address.parse().unwrap(), patience)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(StrBytes::from_static_str("faults")));
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, R::header_version(version)).map_err(|error| wrong(&error))?;
    request.encode(&mut bytes, version).map_err(|error| wrong(&error))?;
    let length = i32::try_from(bytes.len()).map_err(|error| wrong(&error))?;
    (&socket).write_all(&[&length.to_be_bytes()[..], &bytes].concat())?;
    let mut length = [0; 4];
    (&socket).read_exact(&mut length)?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).map_err(|error| wrong(&error))?];
    (&socket).read_exact(&mut frame)?;
    let mut frame = bytes::Bytes::from(frame);
    ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(|error| wrong(&error))?;
    R::Response::decode(&mut frame, version).map_err(|error| wrong(&error))
}

pub(crate) fn ask<R: Request>(address: &str, version: i16, request: &R, patience: Duration) -> Option<R::Response> {
    exchange(address, version, request, patience).ok()
}

fn named(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// What a node says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
}

pub(crate) fn standings(address: &str, topics: &[&str], patience: Duration) -> Option<Vec<Standing>> {
    let topics = topics.iter().map(|name| MetadataRequestTopic::default().with_name(Some(named(name)))).collect();
    let request = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false);
    let answer = ask(address, 12, &request, patience)?;
    let plain = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let mut found = Vec::new();
    for topic in &answer.topics {
        let name = topic.name.as_ref()?.to_string();
        for partition in &topic.partitions {
            found.push(Standing {
                topic: name.clone(),
                partition: partition.partition_index,
                leader: partition.leader_id.0,
                leader_epoch: partition.leader_epoch,
                replicas: plain(&partition.replica_nodes),
                isr: plain(&partition.isr_nodes),
            });
        }
    }
    Some(found)
}

/// Who decides for the cluster, as a node sees it, and since which epoch.
pub(crate) fn controller(address: &str, patience: Duration) -> Option<(i32, i32)> {
    use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
    let topic = TopicData::default()
        .with_topic_name(named("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
    let answer = ask(address, 2, &DescribeQuorumRequest::default().with_topics(vec![topic]), patience)?;
    let partition = answer.topics.first()?.partitions.first()?;
    (partition.error_code == 0 && partition.leader_id.0 >= 0).then_some((partition.leader_id.0, partition.leader_epoch))
}

/// The end of a partition for those who read what is committed in transactions (`stable`), or what is replicated, as its leader
/// in this epoch says.
pub(crate) fn end(address: &str, standing: &Standing, stable: bool, patience: Duration) -> Option<i64> {
    let (topic, partition) = (&standing.topic, standing.partition);
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(standing.leader_epoch)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(named(topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(stable))
        .with_topics(vec![topic]);
    let answer = ask(address, 7, &request, patience)?;
    let partition = answer.topics.first()?.partitions.first()?;
    (partition.error_code == 0).then_some(partition.offset)
}
