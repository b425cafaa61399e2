//! What lies in the log directories while topics live, are moved, and go.

use super::*;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use std::io::{Read, Write};
use std::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn several_log_directories_share_the_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = ["a", "b", "c"].map(|name| dir.path().join(name));
    let mut broker = Broker::within(dir, &[&log_dirs(&dirs)]);
    create(&broker, "t", 7, &[]).await;
    let mut held: Vec<usize> =
        dirs.iter().map(|dir| names(dir).iter().filter(|name| name.starts_with("t-")).count()).collect();
    held.sort_unstable();
    assert_eq!(held, [2, 2, 3]);
    let mut ledger = Ledger::default();
    for partition in 0..7 {
        ledger.fill(&broker, "t", partition, 20, 100).await;
    }
    let homes: Vec<PathBuf> = (0..7).map(|n| home(&dirs, &format!("t-{n}")).to_owned()).collect();
    broker.stop();
    broker.start_again();
    ledger.check(&broker);
    broker.kill();
    broker.start_again();
    ledger.check(&broker);
    assert_eq!((0..7).map(|n| home(&dirs, &format!("t-{n}")).to_owned()).collect::<Vec<_>>(), homes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_broken_at_start_takes_only_its_own_partitions_along() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = ["a", "b"].map(|name| dir.path().join(name));
    let mut broker = Broker::within(dir, &[&log_dirs(&dirs)]);
    create(&broker, "t", 2, &[]).await;
    let broken = i32::from(home(&dirs, "t-1") == dirs[1]);
    let (mut ledger, mut away) = (Ledger::default(), Ledger::default());
    ledger.fill(&broker, "t", 1 - broken, 10, 100).await;
    away.fill(&broker, "t", broken, 10, 100).await;
    broker.stop();
    let (meta, kept) = (dirs[1].join("meta.properties"), dirs[1].join("kept"));
    std::fs::rename(&meta, &kept).unwrap();
    std::fs::write(&meta, "version=99\n").unwrap();
    broker.start_again();
    ledger.check(&broker);
    ledger.fill(&broker, "t", 1 - broken, 10, 100).await;
    let refused = send(&blunt_producer(&broker), "t", broken, "x").await.unwrap_err();
    assert_eq!(refused, RDKafkaErrorCode::KafkaStorageError);
    assert!(!dirs[0].join(format!("t-{broken}")).exists(), "the lost partition was made anew, empty");
    // Mended, everything is back.
    broker.stop();
    std::fs::rename(&kept, &meta).unwrap();
    broker.start_again();
    ledger.check(&broker);
    away.check(&broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_segments_roll_all_the_time_lose_nothing() {
    // An index of ten entries is full after ten batches.
    let settings =
        ["log.index.size.max.bytes=80", "log.index.interval.bytes=1", "log.flush.offset.checkpoint.interval.ms=50"];
    let mut broker = Broker::with(&settings);
    create(&broker, "t", 3, &[]).await;
    let mut ledger = Ledger::default();
    for round in 0..6 {
        let mut config = client(&broker);
        let producer: FutureProducer = config.set("batch.num.messages", "5").set("linger.ms", "0").create().unwrap();
        let killed = Instant::now() + Duration::from_millis(300 + 150 * round);
        let values: Vec<(i32, String)> =
            (0..3000).map(|n| (i32::try_from(n).unwrap() % 3, value(ledger.0.len() + n, 200))).collect();
        // `None`: not known by the time of the kill.
        let sent = values
            .iter()
            .map(|(partition, value)| tokio::time::timeout_at(killed.into(), send(&producer, "t", *partition, value)));
        let outcomes = futures_util::future::join_all(sent).await;
        broker.kill();
        let acked = outcomes.into_iter().zip(&values).filter_map(|(outcome, sent)| Some((outcome.ok()?.ok()?, sent)));
        for (offset, (partition, value)) in acked {
            ledger.note("t", *partition, offset, value.clone());
        }
        drop(producer);
        broker.start_again();
        ledger.check(&broker);
    }
    let logs = names(&broker.data_dir().join("data/t-0")).iter().filter(|name| name.ends_with(".log")).count();
    assert!(ledger.0.len() > 500 && logs > 20, "{} acknowledged, {logs} segments", ledger.0.len());
}

/// The first offset that can be read.
fn log_start(broker: &Broker, topic: &str, partition: i32) -> i64 {
    let consumer: rdkafka::consumer::BaseConsumer = client(broker).create().unwrap();
    consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap().0
}

fn bytes_of_logs(dir: &Path) -> u64 {
    let logs = names(dir).into_iter().filter(|name| name.contains(".log"));
    logs.filter_map(|name| Some(std::fs::metadata(dir.join(name)).ok()?.len())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_by_time_and_by_size_removes_files_and_moves_the_log_start() {
    let settings = ["log.retention.check.interval.ms=100", "log.initial.task.delay.ms=0", "log.segment.bytes=1048576"];
    let mut broker = Broker::with(&settings);
    create(&broker, "size", 1, &[("retention.bytes", "2097152"), ("file.delete.delay.ms", "500")]).await;
    create(&broker, "time", 1, &[("retention.ms", "1500"), ("file.delete.delay.ms", "0"), ("segment.ms", "500")]).await;
    let mut ledger = Ledger::default();
    ledger.fill(&broker, "size", 0, 600, 10_000).await;
    ledger.fill(&broker, "time", 0, 100, 10_000).await;
    let (size, time) = (broker.data_dir().join("data/size-0"), broker.data_dir().join("data/time-0"));
    eventually("the log start moves by size", || log_start(&broker, "size", 0) > 0);
    eventually("no more is kept than retention.bytes and a segment", || bytes_of_logs(&size) <= 3 << 20);
    eventually("everything goes by time, the active segment too", || log_start(&broker, "time", 0) == 100);
    eventually("the files go", || bytes_of_logs(&time) == 0);
    assert!(names(&time).iter().filter(|name| name.ends_with(".log")).count() == 1, "{:?}", names(&time));
    // The rest is there, before and after a restart.
    let start = log_start(&broker, "size", 0);
    let kept = Ledger(ledger.0.into_iter().filter(|(t, _, offset, _)| t == "size" && *offset >= start).collect());
    assert!(kept.0.len() > 100);
    kept.check(&broker);
    broker.kill();
    broker.start_again();
    kept.check(&broker);
    assert_eq!((log_start(&broker, "size", 0), log_start(&broker, "time", 0)), (start, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topics_directory_goes_after_the_delay() {
    let broker = Broker::with(&["log.segment.delete.delay.ms=2000"]);
    create(&broker, "t", 2, &[]).await;
    Ledger::default().fill(&broker, "t", 0, 10, 100).await;
    let data = broker.data_dir().join("data");
    let begun = Instant::now();
    delete(&broker, "t").await;
    let of_topic =
        |suffix: &str| names(&data).iter().filter(|name| name.starts_with("t-") && name.ends_with(suffix)).count();
    assert!(!data.join("t-0").exists() && !data.join("t-1").exists());
    assert_eq!(of_topic("-delete"), 2);
    // A topic of the same name is another one.
    create(&broker, "t", 1, &[]).await;
    assert_eq!(read_all(&broker, "t", 0).len(), 0);
    eventually("the directories go", || of_topic("-delete") == 0);
    assert!(begun.elapsed() >= Duration::from_secs(2), "gone after {:?}", begun.elapsed());
    assert!(data.join("t-0").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_records_survives_restarts_and_kills() {
    let mut broker = Broker::with(&["log.flush.start.offset.checkpoint.interval.ms=100"]);
    create(&broker, "t", 1, &[]).await;
    let mut ledger = Ledger::default();
    ledger.fill(&broker, "t", 0, 50, 100).await;
    let delete_before = async |broker: &Broker, offset: i64| {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset("t", 0, rdkafka::Offset::Offset(offset)).unwrap();
        admin(broker).delete_records(&before, &AdminOptions::new()).await.unwrap();
    };
    delete_before(&broker, 17).await;
    assert_eq!(log_start(&broker, "t", 0), 17);
    broker.stop();
    broker.start_again();
    assert_eq!(log_start(&broker, "t", 0), 17);
    delete_before(&broker, 30).await;
    // Until the checkpoint is written, as in Kafka.
    let checkpoint = broker.data_dir().join("data/log-start-offset-checkpoint");
    eventually("the checkpoint says so", || {
        std::fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("t 0 30"))
    });
    broker.kill();
    broker.start_again();
    assert_eq!(log_start(&broker, "t", 0), 30);
    let kept = Ledger(ledger.0.into_iter().filter(|(_, _, offset, _)| *offset >= 30).collect());
    kept.check(&broker);
}

/// AlterReplicaLogDirs v1 for one partition; the error code of the answer.
fn move_to(broker: &Broker, topic: &str, partition: i32, dir: &Path) -> i16 {
    let text = |to: &mut Vec<u8>, text: &str| {
        to.extend_from_slice(&i16::try_from(text.len()).unwrap().to_be_bytes());
        to.extend_from_slice(text.as_bytes());
    };
    // Key 34, version 1, correlation id 7, no client id; one directory with one topic with one partition.
    let mut frame = vec![0, 34, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1];
    text(&mut frame, dir.to_str().unwrap());
    frame.extend_from_slice(&[0, 0, 0, 1]);
    text(&mut frame, topic);
    frame.extend_from_slice(&[0, 0, 0, 1]);
    frame.extend_from_slice(&partition.to_be_bytes());
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // The last field is the error code of the last partition.
    i16::from_be_bytes(answer[answer.len() - 2..].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_moves_between_directories_while_it_is_written_and_through_kills() {
    let dir = tempfile::tempdir().unwrap();
    let dirs = ["a", "b", "c"].map(|name| dir.path().join(name));
    let mut broker = Broker::within(dir, &[&log_dirs(&dirs), "log.segment.delete.delay.ms=0"]);
    create(&broker, "t", 1, &[]).await;
    assert_eq!(move_to(&broker, "t", 0, Path::new("/nowhere")), 57);
    assert_eq!(move_to(&broker, "t", 1, &dirs[0]), 3);
    let mut ledger = Ledger::default();
    ledger.fill(&broker, "t", 0, 2000, 10_000).await;
    for round in 0..4 {
        let from = home(&dirs, "t-0").to_owned();
        let to = dirs[(dirs.iter().position(|dir| *dir == from).unwrap() + 1) % 3].clone();
        assert_eq!(move_to(&broker, "t", 0, &to), 0);
        ledger.fill(&broker, "t", 0, 200, 10_000).await;
        if round % 2 == 0 {
            // At some point of the copy; the next life begins it again.
            broker.kill();
            broker.start_again();
        }
        eventually("it lies where it was sent", || to.join("t-0").is_dir() && !from.join("t-0").exists());
        ledger.fill(&broker, "t", 0, 10, 100).await;
        ledger.check(&broker);
    }
    broker.stop();
    broker.start_again();
    ledger.check(&broker);
    eventually("nothing is left over", || {
        dirs.iter().all(|dir| !names(dir).iter().any(|name| name.ends_with("-future") || name.ends_with("-delete")))
    });
}
