#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::PartitionId;
use crate::rt::fs::Open;
use crate::rt::fs::sim::SimFs;
use checkpoint::RECOVERY_POINTS;

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

fn owner() -> Owner {
    Owner { node_id: NodeId(1), cluster_id: Some(CLUSTER.into()) }
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

fn open(fs: &SimFs, names: &[&str]) -> LogDirs {
    LogDirs::open(fs.shared(), &paths(names), &owner()).unwrap()
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic), PartitionId(partition))
}

fn id(n: u128) -> TopicId {
    TopicId(Uuid::from_u128(n))
}

fn put(fs: &SimFs, path: &str, content: &str) {
    let path = Path::new(path);
    fs.create_dir_all(path.parent().unwrap()).unwrap();
    fs.write_atomic(path, content.as_bytes()).unwrap();
}

#[test]
fn new_directories_are_created_and_marked_as_ours_in_kafkas_format() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/data/a", "/data/b"]);
    let ids: Vec<Uuid> = dirs.all().iter().map(LogDir::id).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(dirs.cluster_id(), CLUSTER);
    let text = String::from_utf8(fs.read(Path::new("/data/a/meta.properties")).unwrap()).unwrap();
    let expected = format!("cluster.id={CLUSTER}\ndirectory.id={}\nnode.id=1\nversion=1\n", meta::base64(ids[0]));
    assert!(text.ends_with(&expected), "{text}");
    drop(dirs);
    let again = open(&fs, &["/data/a", "/data/b"]);
    assert_eq!(again.all().iter().map(LogDir::id).collect::<Vec<_>>(), ids);
    assert_eq!(again.by_id(ids[1]).unwrap().path(), Path::new("/data/b"));
}

#[test]
fn what_is_not_settled_a_crash_takes_back_whole() {
    let fs = SimFs::new();
    let unsettled = LogDirs::open_unsettled(fs.shared(), &paths(&["/x/y"]), &owner()).unwrap();
    let lost = unsettled.all()[0].id();
    drop(unsettled);
    fs.crash_losing_all();
    let dirs = LogDirs::open_unsettled(fs.shared(), &paths(&["/x/y"]), &owner()).unwrap();
    let id = dirs.all()[0].id();
    assert_ne!(id, lost);
    dirs.settle().unwrap();
    let syncs = fs.syncs();
    dirs.settle().unwrap();
    assert_eq!(fs.syncs(), syncs, "there was nothing left to do");
    drop(dirs);
    fs.crash_losing_all();
    assert_eq!(open(&fs, &["/x/y"]).all()[0].id(), id);
}

#[test]
fn a_new_directory_survives_a_crash_however_deep_it_lies() {
    let fs = SimFs::new();
    let id = open(&fs, &["/x/y/z"]).all()[0].id();
    fs.crash_losing_all();
    assert_eq!(open(&fs, &["/x/y/z"]).all()[0].id(), id);
}

#[test]
fn without_a_cluster_id_the_directories_decide_and_new_ones_get_a_new_one() {
    let fs = SimFs::new();
    let anyone = Owner { node_id: NodeId(1), cluster_id: None };
    let first = LogDirs::open(fs.shared(), &paths(&["/a"]), &anyone).unwrap();
    let cluster = first.cluster_id().to_owned();
    assert_eq!(cluster.len(), 22);
    drop(first);
    let second = LogDirs::open(fs.shared(), &paths(&["/b", "/a"]), &anyone).unwrap();
    assert_eq!(second.cluster_id(), cluster);
}

#[test]
fn directories_of_another_node_or_cluster_are_refused_with_one_sentence() {
    let fs = SimFs::new();
    drop(open(&fs, &["/a"]));
    let refused = |node, cluster: &str| {
        let owner = Owner { node_id: NodeId(node), cluster_id: Some(cluster.into()) };
        LogDirs::open(fs.shared(), &paths(&["/a"]), &owner).unwrap_err().to_string()
    };
    assert_eq!(refused(2, CLUSTER), "the log directory /a belongs to node 1, but node.id is 2");
    let other = refused(1, "other");
    assert_eq!(other, format!("the log directory /a belongs to the cluster {CLUSTER}, not to other"));
}

#[test]
fn a_directory_is_used_by_one_process_and_once() {
    let fs = SimFs::new();
    let held = open(&fs, &["/a"]);
    let again = LogDirs::open(fs.shared(), &paths(&["/a"]), &owner()).unwrap_err();
    assert_eq!(again, DirsError::Locked("/a".into()));
    drop(held);
    let twice = LogDirs::open(fs.shared(), &paths(&["/a", "/b", "/a"]), &owner()).unwrap_err();
    assert_eq!(twice, DirsError::Duplicate("/a".into()));
    assert_eq!(LogDirs::open(fs.shared(), &[], &owner()).unwrap_err(), DirsError::None);
}

#[test]
fn a_copied_directory_is_refused() {
    let fs = SimFs::new();
    drop(open(&fs, &["/a"]));
    let text = fs.read(Path::new("/a/meta.properties")).unwrap();
    put(&fs, "/b/meta.properties", std::str::from_utf8(&text).unwrap());
    let copied = LogDirs::open(fs.shared(), &paths(&["/a", "/b"]), &owner()).unwrap_err();
    assert_eq!(copied, DirsError::SameDirectory("/a".into(), "/b".into()));
}

#[test]
fn a_directory_without_an_id_gets_one_and_keeps_the_rest() {
    let fs = SimFs::new();
    put(&fs, "/a/meta.properties", &format!("version=1\nnode.id=1\ncluster.id={CLUSTER}\n"));
    let id = open(&fs, &["/a"]).all()[0].id();
    assert!(!id.is_nil());
    assert_eq!(open(&fs, &["/a"]).all()[0].id(), id);
}

#[test]
fn one_bad_directory_is_failed_and_the_others_go_on_but_one_must_be_left() {
    let fs = SimFs::new();
    put(&fs, "/bad/meta.properties", "version=7\n");
    let dirs = open(&fs, &["/bad", "/good"]);
    assert!(dirs.all()[0].failure().unwrap().contains("meta.properties is not valid"));
    assert_eq!(dirs.live().map(LogDir::path).collect::<Vec<_>>(), [Path::new("/good")]);
    assert_eq!(dirs.choose().unwrap().path(), Path::new("/good"));
    assert!(!dirs.fail(&dirs.all()[1], "EIO"), "a directory was still live");
    assert!(dirs.choose().is_none());
    drop(dirs);
    let none = LogDirs::open(fs.shared(), &paths(&["/bad"]), &owner()).unwrap_err();
    assert!(matches!(none, DirsError::AllFailed(_)), "{none}");
}

#[test]
fn the_first_failure_is_the_one_that_is_kept() {
    let dirs = open(&SimFs::new(), &["/a", "/b"]);
    assert!(dirs.fail(&dirs.all()[0], "first"));
    assert!(dirs.fail(&dirs.all()[0], "second"));
    assert_eq!(dirs.all()[0].failure().as_deref(), Some("first"));
}

#[test]
fn a_clean_close_is_noticed_once() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a"]);
    assert!(!dirs.all()[0].was_closed_cleanly());
    dirs.close(&dirs.all()[0], 42).unwrap();
    assert_eq!(fs.read(Path::new("/a/.kafka_cleanshutdown")).unwrap(), br#"{"version":0,"brokerEpoch":42}"#);
    drop(dirs);
    let dirs = open(&fs, &["/a"]);
    assert!(dirs.all()[0].was_closed_cleanly());
    assert_eq!(dirs.all()[0].epoch_of_clean_close(), Some(42));
    drop(dirs);
    fs.crash_losing_all();
    assert!(!open(&fs, &["/a"]).all()[0].was_closed_cleanly(), "a crash looks like a clean close");
}

#[test]
fn a_life_ended_cleanly_if_it_closed_every_directory_in_one_epoch() {
    let fs = SimFs::new();
    let close = |epochs: &[i64]| {
        let dirs = open(&fs, &["/a", "/b"]);
        for (dir, epoch) in dirs.all().iter().zip(epochs) {
            dirs.close(dir, *epoch).unwrap();
        }
        drop(dirs);
        open(&fs, &["/a", "/b"]).epoch_of_clean_close()
    };
    assert_eq!(close(&[42, 42]), Some(42));
    assert_eq!(close(&[42, 43]), None);
    assert_eq!(close(&[42]), None);
    assert_eq!(close(&[]), None);
}

#[test]
fn an_empty_mark_of_an_older_kafka_is_a_clean_close() {
    let fs = SimFs::new();
    put(&fs, "/a/.kafka_cleanshutdown", "");
    let dirs = open(&fs, &["/a"]);
    assert!(dirs.all()[0].was_closed_cleanly());
    assert_eq!(dirs.all()[0].epoch_of_clean_close(), None);
}

#[test]
fn a_failed_directory_is_not_closed_cleanly() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a", "/b"]);
    dirs.fail(&dirs.all()[0], "EIO");
    assert!(dirs.close(&dirs.all()[0], 1).is_err());
    assert!(!fs.exists(Path::new("/a/.kafka_cleanshutdown")));
}

#[test]
fn partitions_are_found_by_name_and_what_is_not_one_is_left_alone() {
    let fs = SimFs::new();
    for name in ["t-1", "t-0", "lost+found", "__cluster_metadata-0", "x-0.0123-future", "x-0.0123-stray"] {
        fs.create_dir_all(&Path::new("/a").join(name)).unwrap();
    }
    put(&fs, "/a/file-0", "");
    let dirs = open(&fs, &["/a"]);
    assert_eq!(dirs.all()[0].found_at_start(), [at("t", 0), at("t", 1)]);
    assert_eq!(dirs.all()[0].partitions(), 2);
    assert_eq!(dirs.reap(TimestampMs(i64::MAX)), 0);
    assert_eq!(dirs.all()[0].futures_at_start(), [(at("x", 0), "/a/x-0.0123-future".into())]);
    assert!(fs.exists(Path::new("/a/x-0.0123-future")) && fs.exists(Path::new("/a/lost+found")));
}

#[test]
fn opening_costs_the_same_reads_however_many_partitions_there_are() {
    let reads = |partitions| {
        let fs = SimFs::new();
        let dirs = open(&fs, &["/a"]);
        let new: Vec<_> = (0..partitions).map(|i| (at("t", i), id(1))).collect();
        dirs.create_partitions(&dirs.all()[0], &new).unwrap();
        dirs.close(&dirs.all()[0], 1).unwrap();
        drop(dirs);
        let before = fs.reads();
        assert_eq!(open(&fs, &["/a"]).all()[0].found_at_start().len(), new.len());
        fs.reads() - before
    };
    assert_eq!(reads(1), reads(200));
}

#[test]
fn a_new_partition_goes_where_the_fewest_are() {
    let dirs = open(&SimFs::new(), &["/a", "/b", "/c"]);
    for i in 0..7 {
        let dir = dirs.choose().unwrap();
        dirs.create_partitions(dir, &[(at("t", i), id(1))]).unwrap();
    }
    assert_eq!(dirs.all().iter().map(LogDir::partitions).collect::<Vec<_>>(), [3, 2, 2]);
    dirs.delete_partition(&dirs.all()[0], &at("t", 0), TimestampMs(0), 0).unwrap();
    dirs.delete_partition(&dirs.all()[0], &at("t", 3), TimestampMs(0), 0).unwrap();
    assert_eq!(dirs.choose().unwrap().path(), Path::new("/a"));
}

#[test]
fn a_created_partition_survives_a_crash_with_its_topic_id() {
    for count in [1, 2, 3, 20] {
        let fs = SimFs::new();
        let dirs = open(&fs, &["/a"]);
        let new: Vec<_> = (0..count).map(|i| (at("t", i), id(9))).collect();
        dirs.create_partitions(&dirs.all()[0], &new).unwrap();
        drop(dirs);
        fs.crash_losing_all();
        let dirs = open(&fs, &["/a"]);
        assert_eq!(dirs.all()[0].found_at_start().len(), new.len());
        for (at, id) in &new {
            let path = dirs.all()[0].partition_path(at);
            assert_eq!(dirs.topic_id(&path).unwrap(), Some(*id), "{count}: {at}");
        }
    }
}

/// Creates partitions and cuts the power at the `n`-th sync. Says whether it was done before.
fn create_until(n: u64, seed: u64, new: &[(TopicPartition, TopicId)]) -> bool {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a"]);
    fs.crash_at_sync(fs.syncs() + n);
    let done = dirs.create_partitions(&dirs.all()[0], new).is_ok();
    drop(dirs);
    fs.crash(seed);
    let dirs = open(&fs, &["/a"]);
    for (at, id) in new {
        let path = dirs.all()[0].partition_path(at);
        // A file that Kafka could not read must never be there under its name.
        let is_there = fs.exists(&path.join(PARTITION_METADATA));
        let found = dirs.topic_id(&path).unwrap();
        assert_eq!(found, is_there.then_some(*id), "sync {n}, seed {seed}");
        assert!(is_there || !done, "sync {n}, seed {seed}: a created partition is gone");
    }
    dirs.create_partitions(&dirs.all()[0], new).unwrap();
    done
}

#[test]
fn whenever_the_power_fails_a_partition_has_its_topic_id_or_none() {
    for count in [1, 5] {
        let new: Vec<_> = (0..count).map(|i| (at("t", i), id(9))).collect();
        let mut n = 1;
        while (0..30).filter(|seed| !create_until(n, *seed, &new)).count() > 0 {
            n += 1;
        }
        assert!(n > 2, "the syncs were not visited");
    }
}

#[test]
fn a_partition_of_another_topic_of_that_name_is_not_taken_over() {
    let dirs = open(&SimFs::new(), &["/a"]);
    let dir = &dirs.all()[0];
    dirs.create_partitions(dir, &[(at("t", 0), id(1))]).unwrap();
    dirs.create_partitions(dir, &[(at("t", 0), id(1))]).unwrap();
    let other = dirs.create_partitions(dir, &[(at("t", 0), id(2))]).unwrap_err();
    assert_eq!(other.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(dir.partitions(), 1);
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_after_the_delay() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a"]);
    let dir = &dirs.all()[0];
    dirs.create_partitions(dir, &[(at("t", 0), id(1))]).unwrap();
    dirs.delete_partition(dir, &at("t", 0), TimestampMs(1000), 60_000).unwrap();
    dirs.delete_partition(dir, &at("t", 0), TimestampMs(1000), 60_000).unwrap();
    assert!(!fs.exists(Path::new("/a/t-0")));
    let left = || fs.read_dir(Path::new("/a")).unwrap().iter().any(|entry| entry.name.ends_with("-delete"));
    assert_eq!(dirs.next_reap(), Some(TimestampMs(61_000)));
    assert_eq!(dirs.reap(TimestampMs(60_999)), 0);
    assert!(left());
    dirs.create_partitions(dir, &[(at("t", 0), id(2))]).unwrap();
    assert_eq!(dirs.reap(TimestampMs(61_000)), 1);
    assert!(!left());
    assert_eq!(dirs.topic_id(Path::new("/a/t-0")).unwrap(), Some(id(2)));
    assert_eq!(dirs.next_reap(), None);
}

#[test]
fn what_was_deleted_stays_deleted_after_a_crash_and_is_removed_by_the_next_life() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a"]);
    dirs.create_partitions(&dirs.all()[0], &[(at("t", 0), id(1))]).unwrap();
    dirs.delete_partition(&dirs.all()[0], &at("t", 0), TimestampMs(0), 60_000).unwrap();
    drop(dirs);
    fs.crash_losing_all();
    let dirs = open(&fs, &["/a"]);
    assert!(dirs.all()[0].found_at_start().is_empty());
    assert_eq!(dirs.reap(TimestampMs(0)), 1);
}

/// Puts a copy in a partition's place and cuts the power at the `n`-th sync. Says whether it was done before.
fn promote_until(n: u64, seed: u64) -> bool {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a", "/b"]);
    let [a, b] = dirs.all() else { panic!("two directories") };
    dirs.create_partitions(a, &[(at("t", 0), id(9))]).unwrap();
    fs.crash_at_sync(fs.syncs() + n);
    let done = dirs
        .create_future(b, &at("t", 0), id(9))
        .is_ok_and(|future| dirs.promote(&future, (a, b), &at("t", 0), TimestampMs(0), 0).is_ok());
    drop(dirs);
    fs.crash(seed);
    let dirs = open(&fs, &["/a", "/b"]);
    let [a, b] = dirs.all() else { panic!("two directories") };
    let (old, new) = (!a.found_at_start().is_empty(), !b.found_at_start().is_empty());
    assert!(old || new, "sync {n}, seed {seed}: the partition is nowhere");
    assert!(!done || (new && !old), "sync {n}, seed {seed}: a finished move is not there");
    assert!(!new || dirs.topic_id(&b.partition_path(&at("t", 0))).unwrap() == Some(id(9)));
    for (of, path) in b.futures_at_start() {
        assert_eq!(*of, at("t", 0));
        dirs.discard_future(path).unwrap();
    }
    drop(dirs);
    assert!(open(&fs, &["/a", "/b"]).all()[1].futures_at_start().is_empty());
    done
}

#[test]
fn whenever_the_power_fails_a_partition_that_moves_is_in_one_directory_or_both() {
    let mut n = 1;
    while (0..30).filter(|seed| !promote_until(n, *seed)).count() > 0 {
        n += 1;
    }
    assert!(n > 4, "the syncs were not visited");
}

#[test]
fn a_move_that_the_target_refuses_leaves_the_partition_where_it_was() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a", "/b"]);
    let [a, b] = dirs.all() else { panic!("two directories") };
    dirs.create_partitions(a, &[(at("t", 0), id(9))]).unwrap();
    let future = dirs.create_future(b, &at("t", 0), id(9)).unwrap();
    fs.fail_sync(1);
    let refused = dirs.promote(&future, (a, b), &at("t", 0), TimestampMs(0), 0);
    assert!(matches!(refused, Err(PromoteError::Target(_))));
    assert!(fs.exists(&a.partition_path(&at("t", 0))) && !fs.exists(&b.partition_path(&at("t", 0))));
    assert_eq!((a.partitions(), b.partitions()), (1, 0));
}

#[test]
fn checkpoints_are_kept_for_each_directory_and_a_damaged_one_counts_as_empty() {
    let fs = SimFs::new();
    let dirs = open(&fs, &["/a", "/b"]);
    let offsets = HashMap::from([(at("t", 0), Offset(5))]);
    let dir = &dirs.all()[0];
    dirs.write_checkpoint(dir, RECOVERY_POINTS, offsets.iter().map(|(at, offset)| (at, *offset))).unwrap();
    assert_eq!(dirs.read_checkpoint(dir, RECOVERY_POINTS), offsets);
    assert!(dirs.read_checkpoint(&dirs.all()[1], RECOVERY_POINTS).is_empty());
    let file = fs.open(Path::new("/a/recovery-point-offset-checkpoint"), Open::ReadWrite).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"9")], 0).unwrap();
    assert!(dirs.read_checkpoint(dir, RECOVERY_POINTS).is_empty());
}

#[test]
fn it_works_on_a_real_disk() {
    let root = tempfile::tempdir().unwrap();
    let path = vec![root.path().join("new/data")];
    let fs = crate::rt::fs::disk::disk();
    let dirs = LogDirs::open(fs.clone(), &path, &owner()).unwrap();
    let new: Vec<_> = (0..10).map(|i| (at("t", i), id(1))).collect();
    dirs.create_partitions(&dirs.all()[0], &new).unwrap();
    assert!(matches!(LogDirs::open(fs.clone(), &path, &owner()), Err(DirsError::Locked(_))));
    dirs.delete_partition(&dirs.all()[0], &at("t", 3), TimestampMs(0), 0).unwrap();
    assert_eq!(dirs.reap(TimestampMs(0)), 1);
    assert!(dirs.space(&dirs.all()[0]).unwrap().total > 0);
    dirs.close(&dirs.all()[0], 1).unwrap();
    drop(dirs);
    let dirs = LogDirs::open(fs, &path, &owner()).unwrap();
    assert!(dirs.all()[0].was_closed_cleanly());
    assert_eq!(dirs.all()[0].found_at_start().len(), 9);
}
