//! Records through the `rdkafka` crate: what is produced is what is consumed, where and when it says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, FutureProducer, FutureRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE, client, read_all, reader, take, text};

/// Sends one record and returns the offset that was acknowledged.
async fn send(producer: &FutureProducer, record: FutureRecord<'_, str, str>) -> Result<i64, KafkaError> {
    producer.send(record, PATIENCE).await.map(|delivery| delivery.offset).map_err(|(error, _)| error)
}

fn producer(broker: &Broker, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = client(broker);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// Sends numbered records to a partition, without waiting between them.
async fn send_numbers(producer: &FutureProducer, topic: &str, partition: i32, numbers: std::ops::Range<usize>) {
    let payloads: Vec<String> = numbers.map(|n| format!("record {n}")).collect();
    let sent = payloads.iter().map(|payload| {
        producer.send(FutureRecord::<str, str>::to(topic).partition(partition).payload(payload), PATIENCE)
    });
    for delivery in futures_util::future::join_all(sent).await {
        delivery.unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("record {n}")).collect()
}

fn texts(records: &[OwnedMessage]) -> Vec<String> {
    records.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_keeps_its_key_value_headers_and_timestamp() {
    let broker = Broker::start();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "one", value: Some("1") })
        .insert(Header { key: "two", value: Some("zwei") })
        .insert(Header { key: "one", value: Some("again") })
        .insert(Header { key: "empty", value: Some("") })
        .insert(Header { key: "null", value: None::<&str> });
    let record = FutureRecord::to("kept").partition(0).key("the key").payload("the value").timestamp(1_700_000_000_123);
    let offset = send(&producer(&broker, &[]), record.headers(headers)).await.unwrap();
    assert_eq!(offset, 0);

    let got = &read_all(&broker, "kept", 0)[0];
    assert_eq!(got.key(), Some(&b"the key"[..]));
    assert_eq!(got.payload(), Some(&b"the value"[..]));
    assert_eq!(got.timestamp(), rdkafka::Timestamp::CreateTime(1_700_000_000_123));
    let headers: Vec<_> = got.headers().unwrap().iter().map(|header| (header.key, header.value)).collect();
    let want: Vec<(&str, Option<&[u8]>)> = vec![
        ("one", Some(b"1")),
        ("two", Some(b"zwei")),
        ("one", Some(b"again")),
        ("empty", Some(b"")),
        ("null", None),
    ];
    assert_eq!(headers, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn null_and_empty_keys_and_values_stay_what_they_are() {
    let broker = Broker::start();
    let producer = producer(&broker, &[]);
    let to = || FutureRecord::<str, str>::to("nulls").partition(0);
    for record in [to(), to().key(""), to().payload(""), to().key("").payload("")] {
        send(&producer, record).await.unwrap();
    }
    let got = read_all(&broker, "nulls", 0);
    let shapes: Vec<_> =
        got.iter().map(|record| (record.key().map(<[u8]>::len), record.payload().map(<[u8]>::len))).collect();
    assert_eq!(shapes, [(None, None), (Some(0), None), (None, Some(0)), (Some(0), Some(0))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_comes_back_whole_and_may_share_a_partition() {
    let broker = Broker::start();
    let mut want = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = producer(&broker, &[("compression.type", codec), ("linger.ms", "20")]);
        send_numbers(&producer, "codecs", 0, 0..500).await;
        want.extend(numbers(0..500));
    }
    assert_eq!(texts(&read_all(&broker, "codecs", 0)), want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_recompresses_gives_the_same_records() {
    for target in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let broker = Broker::with(&[&format!("compression.type={target}")]);
        for codec in ["none", "zstd"] {
            let producer = producer(&broker, &[("compression.type", codec), ("linger.ms", "20")]);
            send_numbers(&producer, "recompressed", 0, 0..300).await;
        }
        let want = [numbers(0..300), numbers(0..300)].concat();
        assert_eq!(texts(&read_all(&broker, "recompressed", 0)), want, "to {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_assigned_to_an_offset_inside_a_batch_starts_at_that_record() {
    let broker = Broker::start();
    send_numbers(&producer(&broker, &[("linger.ms", "100")]), "middle", 0, 0..1000).await;
    for from in [0, 1, 499, 998, 999] {
        let record = &take(&reader(&broker, "middle", 0, Offset::Offset(from)), 1)[0];
        assert_eq!((record.offset(), text(record)), (from, format!("record {from}")));
    }
    let tail = take(&reader(&broker, "middle", 0, Offset::OffsetTail(3)), 3);
    assert_eq!(texts(&tail), numbers(997..1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_beyond_the_end_resets_as_the_consumer_asks() {
    let broker = Broker::start();
    send_numbers(&producer(&broker, &[]), "reset", 0, 0..10).await;
    let consumer: rdkafka::consumer::BaseConsumer = client(&broker)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("reset", 0, Offset::Offset(1_000_000)).unwrap();
    consumer.assign(&assignment).unwrap();
    assert_eq!(texts(&take(&consumer, 10)), numbers(0..10));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_for_times_are_those_of_the_first_record_at_or_after() {
    let broker = Broker::start();
    // One batch for the first five, one for the rest: a time inside a batch must be found inside it.
    let producer = producer(&broker, &[("linger.ms", "50")]);
    let stamps = [1000_i64, 2000, 3000, 4000, 5000, 6000, 7000, 8000].map(|after| 1_700_000_000_000 + after);
    for part in [&stamps[..5], &stamps[5..]] {
        let sent = part.iter().map(|stamp| {
            producer.send(FutureRecord::<str, str>::to("times").partition(0).payload("x").timestamp(*stamp), PATIENCE)
        });
        for delivery in futures_util::future::join_all(sent).await {
            delivery.unwrap();
        }
    }
    let consumer = reader(&broker, "times", 0, Offset::Beginning);
    let look_up = |time: i64| {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("times", 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(times, PATIENCE).unwrap().find_partition("times", 0).unwrap().offset()
    };
    for (offset, stamp) in (0..).zip(stamps) {
        assert_eq!(look_up(stamp), Offset::Offset(offset), "at {stamp}");
        assert_eq!(look_up(stamp - 1), Offset::Offset(offset), "just before {stamp}");
    }
    assert_eq!(look_up(stamps[7] + 1), Offset::End, "after the last");
    assert_eq!(look_up(0), Offset::Offset(0), "before the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn watermarks_are_the_first_offset_and_the_end() {
    let broker = Broker::with(&["num.partitions=2"]);
    send_numbers(&producer(&broker, &[]), "marks", 0, 0..42).await;
    let consumer = reader(&broker, "marks", 0, Offset::Beginning);
    assert_eq!(consumer.fetch_watermarks("marks", 0, PATIENCE).unwrap(), (0, 42));
    assert_eq!(consumer.fetch_watermarks("marks", 1, PATIENCE).unwrap(), (0, 0));
    let missing = consumer.fetch_watermarks("marks", 2, Duration::from_secs(5));
    assert!(missing.is_err(), "a partition that is not there has none: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_be_as_large_as_the_broker_allows_and_no_larger() {
    let broker = Broker::with(&["message.max.bytes=6000000"]);
    let producer = producer(&broker, &[("message.max.bytes", "20000000")]);
    let large: String = "l".repeat(5_500_000);
    let too_large: String = "t".repeat(6_100_000);
    let to = || FutureRecord::<str, str>::to("large").partition(0);
    assert_eq!(send(&producer, to().payload(&large)).await.unwrap(), 0);
    let refused = send(&producer, to().payload(&too_large)).await.unwrap_err();
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(send(&producer, to().payload("small")).await.unwrap(), 1, "the refused one took no offset");
    let got = read_all(&broker, "large", 0);
    assert_eq!(got[0].payload(), Some(large.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_producer_with_five_requests_in_flight_keeps_order_without_duplicates() {
    let broker = Broker::start();
    let settings = [
        ("enable.idempotence", "true"),
        ("max.in.flight.requests.per.connection", "5"),
        ("batch.num.messages", "20"),
        ("linger.ms", "0"),
    ];
    let producer = producer(&broker, &settings);
    send_numbers(&producer, "idempotent", 0, 0..20_000).await;
    assert_eq!(texts(&read_all(&broker, "idempotent", 0)), numbers(0..20_000));
}

#[test]
fn records_sent_with_acks_0_arrive_in_order() {
    let broker = Broker::start();
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        client(&broker).set("acks", "0").create().unwrap();
    // The topic first: acks=0 would not hear that it is not there yet.
    producer.client().fetch_metadata(Some("unheard"), PATIENCE).unwrap();
    let created = Instant::now() + PATIENCE;
    let ready = || {
        let metadata = producer.client().fetch_metadata(Some("unheard"), PATIENCE).unwrap();
        metadata.topics()[0].partitions().first().is_some_and(|partition| partition.leader() >= 0)
    };
    while !ready() {
        assert!(Instant::now() < created, "the topic was not created by a request for its metadata");
    }
    for n in 0..5000 {
        producer.send(BaseRecord::<str, str>::to("unheard").partition(0).payload(&format!("record {n}"))).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let records = take(&reader(&broker, "unheard", 0, Offset::Beginning), 5000);
    assert_eq!(texts(&records), numbers(0..5000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_consumer_hears_of_a_record_at_once() {
    let broker = Broker::start();
    let producer = producer(&broker, &[("linger.ms", "0")]);
    send_numbers(&producer, "prompt", 0, 0..1).await;
    let slow_poll = client(&broker)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20000")
        .create::<rdkafka::consumer::BaseConsumer>()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset("prompt", 0, Offset::Offset(1)).unwrap();
    slow_poll.assign(&assignment).unwrap();
    assert!(slow_poll.poll(Duration::from_millis(1500)).is_none(), "nothing is there yet");
    let sent = Instant::now();
    send_numbers(&producer, "prompt", 0, 1..2).await;
    let record = take(&slow_poll, 1);
    assert_eq!(texts(&record), ["record 1"]);
    assert!(
        sent.elapsed() < Duration::from_secs(10),
        "half of what the long poll would have waited: {:?}",
        sent.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_clean_stop_and_after_a_kill() {
    let mut broker = Broker::with(&["log.segment.bytes=1048576"]);
    let kilobyte = "k".repeat(1000);
    let first = producer(&broker, &[]);
    for round in 0..3 {
        let payloads: Vec<String> = (0..1500).map(|n| format!("{round}-{n}-{kilobyte}")).collect();
        let sent = payloads
            .iter()
            .map(|payload| first.send(FutureRecord::<str, str>::to("durable").partition(0).payload(payload), PATIENCE));
        for delivery in futures_util::future::join_all(sent).await {
            delivery.unwrap();
        }
        let before = texts(&read_all(&broker, "durable", 0));
        assert_eq!(before.len(), (round + 1) * 1500);
        if round % 2 == 0 {
            broker.stop();
        } else {
            broker.kill();
        }
        broker.start_again();
        assert!(texts(&read_all(&broker, "durable", 0)) == before, "the records of round {round} changed");
    }
}

#[test]
fn several_producers_to_one_partition_keep_each_its_own_order() {
    let broker = Broker::start();
    let acknowledged = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..4)
        .map(|who| {
            let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
                client(&broker).set("enable.idempotence", "true").create().unwrap();
            let acknowledged = acknowledged.clone();
            std::thread::spawn(move || {
                for n in 0..2000 {
                    let payload = format!("{who}:{n}");
                    producer.send(BaseRecord::<str, str>::to("shared").partition(0).payload(&payload)).unwrap();
                }
                producer.flush(PATIENCE).unwrap();
                *acknowledged.lock().unwrap() += 2000;
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let all = texts(&read_all(&broker, "shared", 0));
    assert_eq!(all.len(), *acknowledged.lock().unwrap());
    for who in 0..4 {
        let own: Vec<&String> = all.iter().filter(|text| text.starts_with(&format!("{who}:"))).collect();
        let want: Vec<String> = (0..2000).map(|n| format!("{who}:{n}")).collect();
        assert!(own.into_iter().eq(&want), "the records of producer {who} are out of order");
    }
}

#[test]
fn a_consumer_does_not_create_the_topic_it_asks_for() {
    let broker = Broker::start();
    let consumer = reader(&broker, "not-there", 0, Offset::Beginning);
    let error = match consumer.poll(PATIENCE) {
        Some(Err(error)) => error,
        Some(Ok(record)) => panic!("a record of a topic that is not there: {record:?}"),
        None => panic!("no error for a topic that is not there"),
    };
    assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownTopicOrPartition));
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    // The consumer names a group, whose coordinator it looked for.
    let created: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    assert!(!created.contains(&"not-there"), "{created:?}");
}
