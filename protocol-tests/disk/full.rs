//! What runs out and comes back: room on the disk, file descriptors.

use super::*;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::process::Command;

/// A small volume, unmounted with the value.
struct Volume {
    at: tempfile::TempDir,
}

impl Volume {
    /// `None`, and why on the standard output, if this process may not mount.
    fn mount(mib: usize) -> Option<Volume> {
        let at = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(at.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: a small volume can be mounted by root only");
            return None;
        }
        Some(Volume { at })
    }

    fn path(&self) -> &Path {
        self.at.path()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: the broker may end only after this.
        let unmounted = Command::new("umount").arg("-l").arg(self.at.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Sends records to a partition until one is refused; answers how many were not.
async fn until_refused(
    ledger: &mut Ledger,
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
) -> (usize, RDKafkaErrorCode) {
    for sent in 0..10_000 {
        let value = value(ledger.0.len(), 20_000);
        match send(producer, topic, partition, &value).await {
            Ok(offset) => ledger.note(topic, partition, offset, value),
            Err(error) => return (sent, error),
        }
    }
    panic!("a small disk never got full");
}

async fn send_one(ledger: &mut Ledger, producer: &FutureProducer, topic: &str, partition: i32) {
    let value = value(ledger.0.len(), 20_000);
    let offset = send(producer, topic, partition, &value).await.unwrap();
    ledger.note(topic, partition, offset, value);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_records_until_there_is_room_and_loses_none() {
    let Some(volume) = Volume::mount(8) else { return };
    let filler = volume.path().join("filler");
    std::fs::write(&filler, vec![1; 3 << 20]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().join("roomy"), volume.path().join("small")];
    let mut broker =
        Broker::within(dir, &[&log_dirs(&dirs), "log.segment.bytes=1048576", "log.segment.delete.delay.ms=0"]);
    // Or the consumers of this test, which name a group, have it made with 50 partitions once the disk is full.
    create(&broker, "__consumer_offsets", 1, &[]).await;
    create(&broker, "t", 2, &[]).await;
    create(&broker, "gone", 2, &[]).await;
    let small = i32::from(home(&dirs, "t-1") == dirs[1]);
    let gone = i32::from(home(&dirs, "gone-1") == dirs[1]);
    let (mut ledger, mut lost) = (Ledger::default(), Ledger::default());
    let producer = blunt_producer(&broker);
    for _ in 0..50 {
        send_one(&mut lost, &producer, "gone", gone).await;
    }
    let (_, error) = until_refused(&mut ledger, &producer, "t", small).await;
    assert_eq!(error, RDKafkaErrorCode::KafkaStorageError);
    // Others go on, and a topic can be created, if not written where there is no room.
    send_one(&mut ledger, &producer, "t", 1 - small).await;
    create(&broker, "new", 4, &[]).await;
    ledger.check(&broker);

    // Room by removing a file: no restart.
    std::fs::remove_file(&filler).unwrap();
    for partition in 0..4 {
        send_one(&mut ledger, &producer, "new", partition).await;
    }
    let (sent, error) = until_refused(&mut ledger, &producer, "t", small).await;
    assert!(sent > 50, "only {sent} records after there was room");
    assert_eq!(error, RDKafkaErrorCode::KafkaStorageError);
    ledger.check(&broker);

    // Room by deleting a topic.
    delete(&broker, "gone").await;
    eventually("the deleted topic's directory is removed", || {
        !names(&dirs[1]).iter().any(|name| name.starts_with("gone"))
    });
    let (sent, _) = until_refused(&mut ledger, &producer, "t", small).await;
    assert!(sent > 20, "only {sent} records after a topic was deleted");
    ledger.check(&broker);

    // On a full disk it stops, is killed and starts as ever.
    broker.stop();
    broker.start_again();
    ledger.check(&broker);
    broker.kill();
    broker.start_again();
    ledger.check(&broker);
    assert!(send(&blunt_producer(&broker), "t", small, &value(0, 20_000)).await.is_err());
    send_one(&mut ledger, &blunt_producer(&broker), "t", 1 - small).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_metadata_disk_refuses_topics_until_there_is_room() {
    let Some(volume) = Volume::mount(4) else { return };
    let filler = volume.path().join("filler");
    let dir = tempfile::tempdir().unwrap();
    let data = [volume.path().join("data")];
    let mut broker = Broker::within(dir, &[&log_dirs(&data)]);
    create(&broker, "before", 1, &[]).await;
    let mut ledger = Ledger::default();
    ledger.fill(&broker, "before", 0, 10, 100).await;
    // All of the room goes.
    let _full = std::fs::write(&filler, vec![1; 8 << 20]);
    // The last page of the metadata log takes some.
    let mut created = 0;
    loop {
        let name = format!("during-{created}");
        let new = NewTopic::new(&name, 3, TopicReplication::Fixed(1));
        let answers = admin(&broker).create_topics([&new], &AdminOptions::new()).await.unwrap();
        match answers.into_iter().next().unwrap() {
            Ok(_) => created += 1,
            Err((_, error)) => {
                assert_eq!(error, RDKafkaErrorCode::KafkaStorageError);
                break;
            }
        }
        assert!(created < 500, "topics were created without room for them");
    }
    ledger.check(&broker);
    std::fs::remove_file(&filler).unwrap();
    create(&broker, "after", 3, &[]).await;
    for n in 0..created {
        ledger.fill(&broker, &format!("during-{n}"), 1, 1, 100).await;
    }
    ledger.fill(&broker, "after", 2, 10, 100).await;
    ledger.fill(&broker, "before", 0, 10, 100).await;
    broker.kill();
    broker.start_again();
    ledger.check(&broker);
}

/// Sets how many descriptors a process may have open.
fn limit_descriptors(broker: &Broker, to: u64) {
    let pid = Pid::from_raw(i32::try_from(broker.pid()).unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(to), maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_that_run_out_fail_no_log_directory() {
    let mut broker = Broker::with(&["log.retention.check.interval.ms=100", "log.initial.task.delay.ms=0"]);
    create(&broker, "t", 40, &[]).await;
    let mut ledger = Ledger::default();
    for partition in 0..40 {
        ledger.fill(&broker, "t", partition, 1, 100).await;
    }
    // After a clean stop no log is open.
    broker.stop();
    broker.start_again();
    let producer = blunt_producer(&broker);
    send(&producer, "t", 0, "connected").await.unwrap();
    let open = names(&PathBuf::from(format!("/proc/{}/fd", broker.pid()))).len();
    limit_descriptors(&broker, u64::try_from(open).unwrap() + 8);
    let mut refused = 0;
    for partition in 0..40 {
        match send(&producer, "t", partition, &value(partition as usize, 100)).await {
            Ok(offset) => ledger.note("t", partition, offset, value(partition as usize, 100)),
            Err(error) => {
                assert_eq!(error, RDKafkaErrorCode::KafkaStorageError);
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the limit was not felt");
    // Retention comes by too.
    std::thread::sleep(Duration::from_millis(500));
    limit_descriptors(&broker, 1024);
    for partition in 0..40 {
        let offset =
            send(&producer, "t", partition, "again").await.unwrap_or_else(|error| panic!("{partition}: {error}"));
        ledger.note("t", partition, offset, "again".into());
    }
    ledger.check(&broker);
    broker.kill();
    broker.start_again();
    ledger.check(&broker);
}
