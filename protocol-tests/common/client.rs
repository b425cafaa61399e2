//! A client that is nothing but a socket: frames go out as they are given, answers are read by the `kafka-protocol` crate,
//! which knows nothing of the broker's own codecs.

use super::framed;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use klamm::model::{Offset, TimestampMs};
use klamm::record::BatchBuilder;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longer than any answer takes; only a fault makes a test wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    correlation_id: i32,
}

impl Client {
    /// Connects to `host:port`.
    pub(crate) fn connect(address: &str) -> Client {
        let socket = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, correlation_id: 0 }
    }

    /// Connects from an address of this machine.
    pub(crate) fn connect_from(source: [u8; 4], address: &str) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from((source, 0)).into()).unwrap();
        let address: std::net::SocketAddr = address.parse().unwrap();
        socket.connect(&address.into()).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, correlation_id: 0 }
    }

    /// Sends a request; the answer is left for [`Client::receive`].
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let (id, frame) = self.frame(version, request);
        self.socket.write_all(&frame).unwrap();
        id
    }

    /// A request as it goes over the wire, and its correlation id.
    pub(crate) fn frame<R: Request>(&mut self, version: i16, request: &R) -> (i32, Vec<u8>) {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("raw")));
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes, R::header_version(version)).unwrap();
        request.encode(&mut bytes, version).unwrap();
        (self.correlation_id, framed(&bytes))
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next frame without its length; `None` if the broker closed the connection.
    pub(crate) fn next_frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.socket.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("no answer: {error}"),
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.socket.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }

    /// The next answer, which must be to an `R` of this version, with its correlation id.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut frame = self.next_frame().unwrap_or_else(|| panic!("closed instead of answered"));
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        let answer = R::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "bytes after the answer");
        (header.correlation_id, answer)
    }

    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request);
        let (answered, answer) = self.receive::<R>(version);
        assert_eq!(answered, id);
        answer
    }

    /// The broker closes the connection without another byte.
    pub(crate) fn assert_closed(mut self, what: &str) {
        match self.socket.read(&mut [0; 64]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{what}: not closed but {other:?}"),
        }
    }

    /// No byte comes within `time`.
    pub(crate) fn assert_silent(&mut self, time: Duration) {
        self.socket.set_read_timeout(Some(time)).unwrap();
        match self.socket.read(&mut [0; 64]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("not silent: {other:?}"),
        }
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Creates a topic; its error code.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> i16 {
        let configs = configs
            .iter()
            .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))));
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        self.call(7, &request).topics[0].error_code
    }

    /// Produces to one partition with acks=all in the version before topic ids.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, records: &[u8]) -> PartitionProduceResponse {
        let mut answer = self.call(12, &produce(topic, partition, -1, records));
        answer.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches without a session and without waiting.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, from: i64) -> PartitionData {
        let mut answer = self.call(12, &fetch(topic, partition, from, 0));
        assert_eq!(answer.error_code, 0);
        answer.responses.remove(0).partitions.remove(0)
    }

    /// The offset of a timestamp or of one of the special ones.
    pub(crate) fn offset_at(&mut self, topic: &str, timestamp: i64) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        self.call(10, &request).topics.remove(0).partitions.remove(0)
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    text(name).into()
}

pub(crate) fn produce(topic: &str, partition: i32, acks: i16, records: &[u8]) -> ProduceRequest {
    let data =
        PartitionProduceData::default().with_index(partition).with_records(Some(Bytes::copy_from_slice(records)));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

pub(crate) fn fetch(topic: &str, partition: i32, from: i64, max_wait_ms: i32) -> FetchRequest {
    let partition =
        FetchPartition::default().with_partition(partition).with_fetch_offset(from).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// A batch of records with these values, each with the key `k`, of the present time.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (now_ms(), Some("k"), *value)).collect();
    batch_of(&records).build().unwrap()
}

/// A batch of these (timestamp, key, value).
pub(crate) fn batch_of(records: &[(i64, Option<&str>, &str)]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(Offset(0));
    for (timestamp, key, value) in records {
        batch.push(TimestampMs(*timestamp), key.map(str::as_bytes), Some(value.as_bytes()), &[]);
    }
    batch
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Waits until `done`, for as long as any answer may take.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come true within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
