#![allow(clippy::unwrap_used)]

use super::*;
use crate::metadata::ConfigResource;
use crate::rt::fs::sim::SimFs;

const DIR: &str = "/data";

fn settings() -> Settings {
    Settings { segment_bytes: 600, snapshot_bytes: 1500, batch_bytes_max: 1 << 20, pending_bytes_max: 1 << 20 }
}

fn open_with(disk: &SimFs, settings: Settings) -> Result<(Quorum, Arc<Store>), QuorumError> {
    open_founding(disk, settings, Founding::Durable)
}

fn open_founding(disk: &SimFs, settings: Settings, founding: Founding) -> Result<(Quorum, Arc<Store>), QuorumError> {
    let store = Arc::new(Store::default());
    let quorum = Quorum::open(Open {
        fs: disk.shared(),
        dir: DIR.into(),
        node: NodeId(0),
        settings,
        store: Arc::clone(&store),
        now: TimestampMs(1),
        founding,
    })?;
    Ok((quorum, store))
}

fn open(disk: &SimFs) -> (Quorum, Arc<Store>) {
    open_with(disk, settings()).unwrap()
}

/// A config of the cluster: the smallest state there is.
fn set(key: &str, value: i64) -> Record {
    Record::Config { resource: ConfigResource::cluster_default(), key: key.into(), value: Some(value.to_string()) }
}

fn get(store: &Store, key: &str) -> Option<i64> {
    store.load().config(&ConfigResource::cluster_default()).get(key).map(|value| value.parse().unwrap())
}

fn propose(quorum: &Quorum, records: Vec<Record>) -> Result<(), ProposeError> {
    quorum.propose(quorum.term().unwrap(), records, 30, TimestampMs(2))?.wait()
}

fn files(disk: &SimFs, suffix: &str) -> Vec<String> {
    let entries = disk.shared().read_dir(&std::path::Path::new(DIR).join(LOG_DIR)).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    propose(&quorum, vec![set("a", 1), set("b", 2)]).unwrap();
    assert_eq!((get(&store, "a"), get(&store, "b")), (Some(1), Some(2)));
    quorum.close();
    let (quorum, store) = open(&disk);
    assert_eq!((get(&store, "a"), get(&store, "b")), (Some(1), Some(2)));
    // One control record begins each epoch that writes; the second has not written yet.
    assert_eq!((quorum.epoch(), quorum.next_offset()), (LeaderEpoch(2), Offset(4)));
    assert_eq!(quorum.replayed(), Replayed { records: 2, cut: 0, in_transaction: false });
}

/// A quorum that founds early, and what lets its disk go on.
fn found_early(disk: &SimFs) -> (Quorum, Arc<Store>, std::sync::mpsc::Sender<io::Result<()>>) {
    let fs = disk.shared();
    fs.create_dir_all(Path::new(DIR)).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let settle = Box::new(move || may_go_on.recv().unwrap_or_else(|_| Err(io::Error::other("the test is over"))));
    let (quorum, store) = open_founding(disk, settings(), Founding::Early { settle }).unwrap();
    (quorum, store, go_on)
}

#[test]
fn a_new_cluster_need_not_wait_for_the_disk_but_all_that_follows_waits() {
    let disk = SimFs::new();
    let (quorum, store, go_on) = found_early(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    assert_eq!(get(&store, "a"), Some(1));
    let syncs = disk.syncs();
    let second = quorum.propose(quorum.term().unwrap(), vec![set("a", 2)], 30, TimestampMs(2)).unwrap();
    // Not even an answer that changes nothing, since it rests on what is not on disk.
    let third = quorum.propose(quorum.term().unwrap(), Vec::new(), 30, TimestampMs(2)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!((get(&store, "a"), disk.syncs()), (Some(1), syncs));
    go_on.send(Ok(())).unwrap();
    second.wait().unwrap();
    third.wait().unwrap();
    disk.crash_losing_all();
    drop(quorum);
    assert_eq!(get(&open(&disk).1, "a"), Some(2));
}

#[test]
fn a_new_cluster_that_a_crash_took_is_founded_again() {
    let disk = SimFs::new();
    let (quorum, ..) = found_early(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    disk.crash_losing_all();
    drop(quorum);
    let (quorum, store) = open(&disk);
    assert_eq!((get(&store, "a"), quorum.replayed().records), (None, 0));
}

#[test]
fn what_cannot_be_settled_fails_the_log() {
    let disk = SimFs::new();
    let (quorum, _, go_on) = found_early(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    go_on.send(Err(io::Error::other("no disk"))).unwrap();
    let second = propose(&quorum, vec![set("a", 2)]);
    assert!(matches!(second, Err(ProposeError::Failed(_))), "{second:?}");
}

#[test]
fn only_a_new_log_is_published_early() {
    let disk = SimFs::new();
    let (quorum, _) = open(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    quorum.close();
    let (quorum, store, go_on) = found_early(&disk);
    let ticket = quorum.propose(quorum.term().unwrap(), vec![set("a", 2)], 30, TimestampMs(2)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(get(&store, "a"), Some(1));
    go_on.send(Ok(())).unwrap();
    ticket.wait().unwrap();
    assert_eq!(get(&store, "a"), Some(2));
}

#[test]
fn proposals_that_wait_together_share_one_sync() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    propose(&quorum, vec![set("a", 0)]).unwrap();
    let before = disk.syncs();
    let tickets: Vec<Ticket> = {
        // While the queue is held the worker cannot take a part of them.
        let tickets =
            (0..100).map(|n| quorum.propose(quorum.term().unwrap(), vec![set("a", n)], 30, TimestampMs(2)).unwrap());
        tickets.collect()
    };
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    assert_eq!(get(&store, "a"), Some(99));
    assert!(disk.syncs() - before < 100, "{} syncs for 100 proposals", disk.syncs() - before);
}

#[test]
fn a_snapshot_replaces_the_segments_before_it() {
    let disk = SimFs::new();
    let (quorum, _) = open(&disk);
    for n in 0..100 {
        propose(&quorum, vec![set("a", n), set(&format!("k{}", n % 7), n)]).unwrap();
    }
    quorum.close();
    assert_eq!(files(&disk, ".checkpoint").len(), 1);
    assert!(files(&disk, ".log").len() <= 4, "{:?}", files(&disk, ".log"));
    let (quorum, store) = open(&disk);
    assert_eq!((get(&store, "a"), get(&store, "k1"), get(&store, "k0")), (Some(99), Some(99), Some(98)));
    assert!(quorum.replayed().records < 60, "{:?}", quorum.replayed());
    assert_eq!(quorum.next_offset(), Offset(202));
}

#[test]
fn a_snapshot_that_cannot_be_written_is_tried_again_later() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    let path = std::path::Path::new(DIR).join(LOG_DIR);
    // Nothing can be created under the name of the staged file: a directory is in its place.
    for end in 0..40 {
        disk.shared().create_dir_all(&path.join(format!("{end:020}-0000000001.checkpoint.part"))).unwrap();
    }
    for n in 0..100 {
        propose(&quorum, vec![set("a", n)]).unwrap();
        if n == 30 {
            assert!(files(&disk, ".checkpoint").is_empty());
        }
    }
    quorum.close();
    assert_eq!(files(&disk, ".checkpoint").len(), 1);
    assert_eq!(get(&store, "a"), Some(99));
}

#[test]
fn a_write_that_fails_takes_its_term_along_and_the_log_goes_on() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    let (term, next) = (quorum.term().unwrap(), quorum.next_offset());
    disk.fail_write(1);
    assert!(matches!(propose(&quorum, vec![set("a", 2)]), Err(ProposeError::Write(_))));
    assert_ne!(quorum.term(), Some(term));
    assert_eq!(quorum.leadership().borrow().term, quorum.term(), "the leadership says that the term is another");
    assert!(matches!(quorum.propose(term, vec![set("a", 3)], 30, TimestampMs(2)), Err(ProposeError::TermOver)));
    assert_eq!((get(&store, "a"), quorum.next_offset()), (Some(1), next));
    propose(&quorum, vec![set("b", 4)]).unwrap();
    quorum.close();
    let (_, store) = open(&disk);
    assert_eq!((get(&store, "a"), get(&store, "b")), (Some(1), Some(4)));
}

#[test]
fn a_full_disk_refuses_and_recovers_when_there_is_room() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    disk.set_capacity(200);
    assert!(matches!(propose(&quorum, vec![set("a", 2)]), Err(ProposeError::Write(_))));
    disk.set_capacity(u64::MAX);
    propose(&quorum, vec![set("a", 3)]).unwrap();
    assert_eq!(get(&store, "a"), Some(3));
}

#[test]
fn a_failed_sync_is_the_end() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    disk.fail_sync(1);
    assert!(matches!(propose(&quorum, vec![set("a", 2)]), Err(ProposeError::Failed(_))));
    assert!(matches!(propose(&quorum, vec![set("a", 3)]), Err(ProposeError::Failed(_))));
    assert_eq!(get(&store, "a"), Some(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(&*runtime.block_on(quorum.failed()), QuorumError::Io { .. }));
}

#[test]
fn an_unfinished_write_at_the_end_is_cut() {
    let disk = SimFs::new();
    let (quorum, _) = open(&disk);
    propose(&quorum, vec![set("a", 1)]).unwrap();
    propose(&quorum, vec![set("a", 2)]).unwrap();
    quorum.close();
    let path = std::path::Path::new(DIR).join(LOG_DIR).join(&files(&disk, ".log")[0]);
    let whole = disk.shared().read(&path).unwrap();
    let last = crate::record::Batches::new(&whole).map(|batch| batch.unwrap().1.len()).last().unwrap();
    for end in whole.len() - last + 1..whole.len() {
        let file = disk.shared().open(&path, crate::rt::fs::Open::Truncate).unwrap();
        file.write_all_at(&mut [io::IoSlice::new(&whole[..end])], 0).unwrap();
        let (quorum, store) = open(&disk);
        assert_eq!(get(&store, "a"), Some(1));
        assert_eq!(quorum.replayed().cut as usize, end + last - whole.len());
        quorum.close();
    }
}

#[test]
fn damage_before_the_end_is_not_taken_for_an_unfinished_write() {
    let disk = SimFs::new();
    let (quorum, _) = open_with(&disk, Settings { snapshot_bytes: u64::MAX, ..settings() }).unwrap();
    for n in 0..20 {
        propose(&quorum, vec![set("a", n)]).unwrap();
    }
    quorum.close();
    let names = files(&disk, ".log");
    assert!(names.len() > 2);
    let path = std::path::Path::new(DIR).join(LOG_DIR).join(&names[0]);
    let file = disk.shared().open(&path, crate::rt::fs::Open::ReadWrite).unwrap();
    file.write_all_at(&mut [io::IoSlice::new(&[0xff])], 100).unwrap();
    assert!(matches!(open_with(&disk, settings()), Err(QuorumError::Damaged { .. })));
    disk.shared().remove_file(&path).unwrap();
    assert!(matches!(open_with(&disk, settings()), Err(QuorumError::Missing(Offset(0), _))));
}

#[test]
fn no_bytes_whatever_in_the_log_make_it_panic() {
    let disk = SimFs::new();
    let (quorum, _) = open(&disk);
    propose(&quorum, vec![set("a", 1), set("b", 2)]).unwrap();
    quorum.close();
    let path = std::path::Path::new(DIR).join(LOG_DIR).join(&files(&disk, ".log")[0]);
    let whole = disk.shared().read(&path).unwrap();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let file = disk.shared().open(&path, crate::rt::fs::Open::Truncate).unwrap();
            file.write_all_at(&mut [io::IoSlice::new(&bytes)], 0).unwrap();
            if let Ok((quorum, _)) = open_with(&disk, settings()) {
                quorum.close();
            }
        }
    }
}

#[test]
fn what_is_too_large_for_a_batch_is_refused_and_nothing_of_it_is_there() {
    let disk = SimFs::new();
    let (quorum, store) = open_with(&disk, Settings { batch_bytes_max: 500, ..settings() }).unwrap();
    let next = quorum.next_offset();
    let many = (0..100).map(|n| set("a", n)).collect();
    assert!(matches!(propose(&quorum, many), Err(ProposeError::TooLarge(500))));
    assert_eq!((quorum.next_offset(), get(&store, "a")), (next, None));
    propose(&quorum, vec![set("a", 1)]).unwrap();
}

#[test]
fn an_empty_proposal_waits_for_those_before_it() {
    let disk = SimFs::new();
    let (quorum, store) = open(&disk);
    let _first = quorum.propose(quorum.term().unwrap(), vec![set("a", 1)], 30, TimestampMs(2)).unwrap();
    propose(&quorum, vec![]).unwrap();
    assert_eq!(get(&store, "a"), Some(1));
    let before = disk.syncs();
    propose(&quorum, vec![]).unwrap();
    assert_eq!(disk.syncs(), before, "nothing to wait for, nothing to sync");
}

#[test]
fn after_close_nothing_more_is_accepted() {
    let disk = SimFs::new();
    let (quorum, _) = open(&disk);
    let ticket = quorum.propose(quorum.term().unwrap(), vec![set("a", 1)], 30, TimestampMs(2)).unwrap();
    quorum.close();
    ticket.wait().unwrap();
    assert!(matches!(propose(&quorum, vec![set("a", 2)]), Err(ProposeError::Failed(_))));
}

/// Cuts the power at every sync there is, with several fates of what was not synced: nothing that was
/// answered is lost, nothing that was refused for good is there, and a batch is there whole or not.
#[test]
fn a_power_cut_at_any_sync_loses_nothing_that_was_answered() {
    let mut ran_through = false;
    for at in 1.. {
        let mut off = false;
        for seed in 0..4 {
            let disk = SimFs::new();
            disk.crash_at_sync(at);
            let mut acked = 0;
            let mut tried = 0;
            if let Ok((quorum, _)) = open_with(&disk, settings()) {
                for n in 1..=60 {
                    tried = n;
                    if propose(&quorum, vec![set("a", n), set("b", n), set(&format!("k{n}"), n)]).is_err() {
                        break;
                    }
                    acked = n;
                }
                quorum.close();
            }
            off = disk.is_off();
            disk.crash(seed);
            let (quorum, store) = open(&disk);
            let (a, b) = (get(&store, "a").unwrap_or(0), get(&store, "b").unwrap_or(0));
            assert_eq!(a, b, "sync {at}, seed {seed}: half a batch");
            assert!((acked..=tried).contains(&a), "sync {at}, seed {seed}: {a} of {acked} answered, {tried} tried");
            for n in 1..=a {
                assert_eq!(get(&store, &format!("k{n}")), Some(n), "sync {at}, seed {seed}");
            }
            // And it goes on.
            propose(&quorum, vec![set("a", 1000)]).unwrap();
            quorum.close();
            disk.crash(seed);
            let (_, store) = open(&disk);
            assert_eq!(get(&store, "a"), Some(1000), "sync {at}, seed {seed}");
        }
        if !off {
            ran_through = true;
            break;
        }
    }
    assert!(ran_through);
}
