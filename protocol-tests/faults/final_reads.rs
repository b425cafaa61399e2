//! What is there when all is healed: whether the cluster is well again, and what every partition holds.

use super::ask;
use super::cluster::{Cluster, SOON};
use super::history::{History, Outcomes, Place};
use super::load::{PLAIN, client};
use super::network::NODES;
use super::observers::topics;
use super::pipes::{INPUT, copies, places_of};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long the cluster may take to be well again. The reliability page says 30 s; machines of CI are slow.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);

/// Asks until there is an answer to `look`, or tells what there was instead.
pub(crate) fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(reason) if Instant::now() > deadline => return Err(reason),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Every node says that every partition is led, by the same one, and has all its replicas in sync.
pub(crate) fn is_well(cluster: &Cluster) -> Result<(), String> {
    let mut all = Vec::new();
    let with_internal: Vec<&str> = topics().into_iter().chain(["__consumer_offsets", "__transaction_state"]).collect();
    for node in 0..NODES {
        let said = ask::standings(&cluster.address(node), &with_internal, 3 * SOON);
        let said = said.ok_or_else(|| format!("node {} gives no answer", node + 1))?;
        let bad = said.iter().find(|standing| standing.leader < 1 || standing.isr.len() < standing.replicas.len());
        if let Some(bad) = bad {
            return Err(format!("node {} says {bad:?}", node + 1));
        }
        all.push(said.iter().map(|standing| (standing.leader, standing.leader_epoch)).collect::<Vec<_>>());
    }
    if all.iter().all(|said| *said == all[0]) { Ok(()) } else { Err("nodes name different leaders".to_owned()) }
}

/// A client that was not there before writes to every partition and is answered.
pub(crate) fn is_writable(cluster: &Cluster, patience: Duration) -> Result<(), String> {
    let producer: BaseProducer = client(&cluster.bootstrap())
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", patience.as_millis().to_string())
        .create()
        .map_err(|error: KafkaError| error.to_string())?;
    // Its values are no producer's, and no checker asks for them.
    for (topic, partition) in places_of(PLAIN) {
        let record = BaseRecord::<(), str>::to(topic).partition(partition).payload("fresh");
        producer.send(record).map_err(|(error, _)| error.to_string())?;
    }
    producer.flush(patience).map_err(|error| error.to_string())?;
    match producer.in_flight_count() {
        0 => Ok(()),
        left => Err(format!("{left} records wait")),
    }
}

/// The last stable offset of every partition is its end: no transaction is open for ever.
pub(crate) fn nothing_is_open(cluster: &Cluster) -> Result<(), String> {
    let standings = ask::standings(&cluster.address(0), &topics(), 3 * SOON).ok_or("no answer")?;
    for standing in standings {
        let leader = usize::try_from(standing.leader - 1).map_err(|_| format!("{standing:?}"))?;
        let end = |stable| ask::end(&cluster.address(leader), &standing, stable, 3 * SOON);
        let (stable, all) = (end(true), end(false));
        if stable != all || all.is_none() {
            return Err(format!("{}-{} is stable to {stable:?} of {all:?}", standing.topic, standing.partition));
        }
    }
    Ok(())
}

/// Every record of a partition, from the beginning to what is the end now.
fn read(cluster: &Cluster, (topic, partition): Place, committed: bool) -> Result<Vec<(i64, String)>, String> {
    let consumer: BaseConsumer = client(&cluster.bootstrap())
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100")
        .set("isolation.level", if committed { "read_committed" } else { "read_uncommitted" })
        .create()
        .map_err(|error: KafkaError| error.to_string())?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&from).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_secs(20) {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(record)) => {
                last = Instant::now();
                let text = String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned();
                records.push((record.offset(), text));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(_)) | None => {}
        }
    }
    Err(format!("{topic}-{partition} cannot be read to its end; {} records came", records.len()))
}

/// What all partitions hold.
pub(crate) fn read_all(cluster: &Cluster, history: &History) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut fill = |place: Place, committed: bool| match read(cluster, place, committed) {
        Ok(records) if committed => {
            outcomes.copies.insert(place, records);
        }
        Ok(records) => {
            outcomes.records.insert(place, records);
        }
        Err(reason) => history.find(reason),
    };
    places_of(PLAIN.into_iter().chain([INPUT])).into_iter().for_each(|place| fill(place, false));
    places_of(copies()).into_iter().for_each(|place| fill(place, true));
    outcomes
}
