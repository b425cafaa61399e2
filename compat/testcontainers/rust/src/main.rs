//! A record through the broker of `testcontainers-modules`' Kafka container, whose image is ours.

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};
use testcontainers_modules::testcontainers::ImageExt;
use testcontainers_modules::testcontainers::runners::AsyncRunner;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = std::env::args().nth(1).ok_or("give the image, name:tag")?;
    let (name, tag) = image.rsplit_once(':').ok_or("give the image, name:tag")?;
    for (kind, jvm, group) in [("Kafka", false, false), ("Kafka as the JVM image, a group", true, true)] {
        let began = Instant::now();
        let kafka = if jvm { Kafka::default().with_jvm_image() } else { Kafka::default() };
        // The other languages' modules say so themselves: the first member of a group waits for no others.
        let kafka = kafka.with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0");
        let node = kafka.with_name(name).with_tag(tag).start().await?;
        let started = began.elapsed().as_millis();
        let bootstrap = format!("127.0.0.1:{}", node.get_host_port_ipv4(KAFKA_PORT).await?);
        let config = |more: &[(&str, &str)]| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", &bootstrap);
            more.iter().for_each(|(key, value)| {
                config.set(*key, *value);
            });
            config
        };
        let producer: FutureProducer = config(&[("linger.ms", "0")]).create()?;
        producer.send(FutureRecord::to("t").key("key").payload("value"), Duration::from_secs(20)).await.map_err(|(e, _)| e)?;
        let consumer: StreamConsumer = config(&[("group.id", "g"), ("auto.offset.reset", "earliest")]).create()?;
        if group {
            consumer.subscribe(&["t"])?;
        } else {
            let mut partition = TopicPartitionList::new();
            partition.add_partition_offset("t", 0, Offset::Beginning)?;
            consumer.assign(&partition)?;
        }
        let record = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await??;
        if record.payload() != Some(b"value") {
            return Err(format!("{kind}: {:?} came", record.payload()).into());
        }
        println!("ok {kind} in {} ms, of which the start {started}", began.elapsed().as_millis());
    }
    Ok(())
}
