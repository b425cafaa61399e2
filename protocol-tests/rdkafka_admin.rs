//! Administration through the `rdkafka` crate: topics, partitions, configs, records.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use support::{Broker, PATIENCE, client, read_all, reader, take};

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    client(broker).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

fn topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    new: NewTopic<'_>,
) -> Result<String, (String, RDKafkaErrorCode)> {
    admin.create_topics(&[new], &options()).await.unwrap().remove(0)
}

/// Topic names with their numbers of partitions.
/// Without the offsets topic, which is there because the reader names a group.
fn topics(broker: &Broker) -> Vec<(String, usize)> {
    let metadata = reader(broker, "any", 0, Offset::Beginning).fetch_metadata(None, PATIENCE).unwrap();
    let mut topics: Vec<_> =
        metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
    topics.retain(|(name, _)| name != "__consumer_offsets");
    topics.sort();
    topics
}

fn fill(broker: &Broker, topic: &str, partition: i32, count: usize) {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = client(broker).create().unwrap();
    for n in 0..count {
        producer.send(BaseRecord::<str, str>::to(topic).partition(partition).payload(&n.to_string())).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

async fn describe(admin: &AdminClient<DefaultClientContext>, what: ResourceSpecifier<'_>) -> ConfigResource {
    admin.describe_configs(&[what], &options()).await.unwrap().remove(0).unwrap()
}

#[tokio::test]
async fn a_created_topic_has_its_partitions_and_its_configs() {
    let broker = Broker::start();
    let admin = admin(&broker);
    let new = topic("made", 5).set("retention.ms", "3600000").set("cleanup.policy", "compact,delete");
    assert_eq!(create(&admin, new).await.unwrap(), "made");
    assert_eq!(topics(&broker), [("made".to_owned(), 5)]);

    let configs = describe(&admin, ResourceSpecifier::Topic("made")).await;
    let set: Vec<_> = configs.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic).collect();
    let mut set: Vec<_> = set.iter().map(|entry| (entry.name.as_str(), entry.value.as_deref().unwrap())).collect();
    set.sort_unstable();
    assert_eq!(set, [("cleanup.policy", "compact,delete"), ("retention.ms", "3600000")]);
    let default = configs.get("segment.bytes").unwrap();
    assert_eq!((default.value.as_deref(), default.is_default), (Some("1073741824"), true));
    assert_eq!(configs.entries.len(), 33, "Kafka 4.3 describes all 33 topic configs");
}

#[tokio::test]
async fn a_topic_that_cannot_be_created_says_why() {
    let broker = Broker::start();
    let admin = admin(&broker);
    create(&admin, topic("there", 1)).await.unwrap();
    let long = "x".repeat(250);
    let cases = [
        (topic("there", 1), RDKafkaErrorCode::TopicAlreadyExists),
        (topic("bad/name", 1), RDKafkaErrorCode::InvalidTopic),
        (topic("..", 1), RDKafkaErrorCode::InvalidTopic),
        (topic(&long, 1), RDKafkaErrorCode::InvalidTopic),
        (NewTopic::new("replicated", 1, TopicReplication::Fixed(3)), RDKafkaErrorCode::InvalidReplicationFactor),
        (topic("misconfigured", 1).set("retention.ms", "soon"), RDKafkaErrorCode::InvalidConfig),
        (topic("misconfigured", 1).set("no.such.config", "1"), RDKafkaErrorCode::InvalidConfig),
    ];
    for (new, want) in cases {
        let name = new.name.to_owned();
        let (_, error) = create(&admin, new).await.unwrap_err();
        assert_eq!(error, want, "{name}");
    }
    assert_eq!(topics(&broker), [("there".to_owned(), 1)]);
}

#[tokio::test]
async fn validate_only_creates_nothing() {
    let broker = Broker::start();
    let results = admin(&broker).create_topics(&[topic("maybe", 3)], &options().validate_only(true)).await.unwrap();
    assert_eq!(results[0], Ok("maybe".to_owned()));
    assert_eq!(topics(&broker), []);
}

#[tokio::test]
async fn partitions_can_be_added_but_not_taken_away() {
    let broker = Broker::start();
    let admin = admin(&broker);
    create(&admin, topic("growing", 2)).await.unwrap();
    fill(&broker, "growing", 1, 10);
    let grown = admin.create_partitions(&[NewPartitions::new("growing", 4)], &options()).await.unwrap();
    assert_eq!(grown, [Ok("growing".to_owned())]);
    assert_eq!(topics(&broker), [("growing".to_owned(), 4)]);
    fill(&broker, "growing", 3, 5);
    assert_eq!((read_all(&broker, "growing", 1).len(), read_all(&broker, "growing", 3).len()), (10, 5));

    for (count, want) in [(3, RDKafkaErrorCode::InvalidPartitions), (4, RDKafkaErrorCode::InvalidPartitions)] {
        let refused = admin.create_partitions(&[NewPartitions::new("growing", count)], &options()).await.unwrap();
        assert_eq!(refused, [Err(("growing".to_owned(), want))]);
    }
    let missing = admin.create_partitions(&[NewPartitions::new("missing", 3)], &options()).await.unwrap();
    assert_eq!(missing, [Err(("missing".to_owned(), RDKafkaErrorCode::UnknownTopicOrPartition))]);
}

#[tokio::test]
async fn a_deleted_topic_is_gone_and_a_new_one_of_its_name_is_empty() {
    let mut broker = Broker::start();
    let admin = admin(&broker);
    create(&admin, topic("passing", 2)).await.unwrap();
    fill(&broker, "passing", 0, 100);
    assert_eq!(admin.delete_topics(&["passing"], &options()).await.unwrap(), [Ok("passing".to_owned())]);
    assert_eq!(topics(&broker), []);
    let again = admin.delete_topics(&["passing"], &options()).await.unwrap();
    assert_eq!(again, [Err(("passing".to_owned(), RDKafkaErrorCode::UnknownTopicOrPartition))]);

    create(&admin, topic("passing", 1)).await.unwrap();
    let consumer = reader(&broker, "passing", 0, Offset::Beginning);
    assert_eq!(consumer.fetch_watermarks("passing", 0, PATIENCE).unwrap(), (0, 0));
    fill(&broker, "passing", 0, 3);
    broker.kill();
    broker.start_again();
    assert_eq!(topics(&broker), [("passing".to_owned(), 1)]);
    assert_eq!(read_all(&broker, "passing", 0).len(), 3, "only what the new topic got");
}

#[tokio::test]
async fn altered_configs_act_at_once_and_survive_a_restart() {
    let mut broker = Broker::start();
    let admin = admin(&broker);
    create(&admin, topic("tuned", 1)).await.unwrap();
    let small = AlterConfig::new(ResourceSpecifier::Topic("tuned")).set("max.message.bytes", "200");
    admin.alter_configs(&[small], &options()).await.unwrap().remove(0).unwrap();

    let producer: rdkafka::producer::FutureProducer = client(&broker).create().unwrap();
    let large = "l".repeat(1000);
    let record = rdkafka::producer::FutureRecord::<str, str>::to("tuned").partition(0).payload(&large);
    let (refused, _) = producer.send(record, PATIENCE).await.unwrap_err();
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));

    broker.kill();
    broker.start_again();
    let configs = describe(&admin, ResourceSpecifier::Topic("tuned")).await;
    let entry = configs.get("max.message.bytes").unwrap();
    assert_eq!((entry.value.as_deref(), &entry.source), (Some("200"), &ConfigSource::DynamicTopic));
}

#[tokio::test]
async fn the_brokers_configs_are_described_with_their_sources() {
    let broker = Broker::with(&["num.partitions=7"]);
    let configs = describe(&admin(&broker), ResourceSpecifier::Broker(1)).await;
    let partitions = configs.get("num.partitions").unwrap();
    assert_eq!((partitions.value.as_deref(), &partitions.source), (Some("7"), &ConfigSource::StaticBroker));
    let retention = configs.get("log.retention.hours").unwrap();
    assert_eq!((retention.value.as_deref(), &retention.source), (Some("168"), &ConfigSource::Default));
}

#[tokio::test]
async fn deleted_records_are_gone_from_the_front() {
    let broker = Broker::start();
    let admin = admin(&broker);
    create(&admin, topic("shortened", 1)).await.unwrap();
    fill(&broker, "shortened", 0, 100);
    let mut before = TopicPartitionList::new();
    before.add_partition_offset("shortened", 0, Offset::Offset(60)).unwrap();
    let results = admin.delete_records(&before, &options()).await.unwrap();
    assert_eq!(results.find_partition("shortened", 0).unwrap().offset(), Offset::Offset(60));

    let consumer = reader(&broker, "shortened", 0, Offset::Beginning);
    assert_eq!(consumer.fetch_watermarks("shortened", 0, PATIENCE).unwrap(), (60, 100));
    let records = take(&consumer, 40);
    assert_eq!(records.iter().map(Message::offset).collect::<Vec<_>>(), (60..100).collect::<Vec<_>>());
}
