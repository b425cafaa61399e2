#![allow(clippy::unwrap_used)]

use super::log::RaftLog;
use super::store::LogStore;
use super::types::{Entry, Members, Payload, Proposed, StoredMembers, TypeConfig, Voter, log_id};
use super::wire::{Ask, Request, read_answer};
use super::*;
use crate::metadata::{ConfigResource, Record, Store};
use crate::model::{LeaderEpoch, TimestampMs};
use crate::quorum::{Founding, ProposeError, Quorum, Settings};
use crate::record::build::BatchBuilder;
use crate::rt::fs::sim::SimFs;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use openraft::entry::RaftEntry;
use openraft::raft::{VoteRequest, VoteResponse};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{StorageError, Vote};
use std::io;
use std::path::Path;

const DIR: &str = "/data";

fn settings() -> Settings {
    Settings { segment_bytes: 2000, snapshot_bytes: 4000, ..Settings::default() }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, State> for Builder {
    async fn build(&self) -> Result<((), LogStore, State), StorageError<u64>> {
        let (fs, covered) = (SimFs::new().shared(), Arc::default());
        let replica = Replica::new(Arc::default());
        let tail = Arc::new(Tail::new());
        let state = State::open(Arc::clone(&fs), DIR.into(), replica, tail, Arc::clone(&covered)).unwrap();
        let log = LogStore::open(fs, DIR.into(), NodeId(0), 1 << 20, covered, 1 << 20).unwrap();
        Ok(((), log.clone(), state.with_log(log)))
    }
}

/// All of them but one, which appends entries that it has purged: our log takes none that leaves a hole.
#[tokio::test]
async fn openrafts_own_suite_finds_nothing() {
    type All = Suite<TypeConfig, LogStore, State, Builder, ()>;
    macro_rules! run {
        ($($check:ident),* $(,)?) => {
            $({
                let ((), log, state) = Builder.build().await.unwrap();
                All::$check(log, state).await.unwrap();
            })*
        };
    }
    run![
        last_membership_in_log_initial,
        last_membership_in_log,
        last_membership_in_log_multi_step,
        get_membership_initial,
        get_membership_from_log_and_empty_sm,
        get_membership_from_empty_log_and_sm,
        get_membership_from_log_le_sm_last_applied,
        get_membership_from_log_gt_sm_last_applied_1,
        get_membership_from_log_gt_sm_last_applied_2,
        get_initial_state_without_init,
        get_initial_state_with_state,
        get_initial_state_last_log_gt_sm,
        get_initial_state_last_log_lt_sm,
        get_initial_state_log_ids,
        get_initial_state_re_apply_committed,
        save_vote,
        get_log_entries,
        limited_get_log_entries,
        try_get_log_entry,
        initial_logs,
        get_log_state,
        get_log_id,
        last_id_in_log,
        last_applied_state,
        purge_logs_upto_0,
        purge_logs_upto_5,
        purge_logs_upto_20,
        delete_logs_since_11,
        delete_logs_since_0,
        append_to_log,
        snapshot_meta,
        apply_single,
        apply_multiple,
    ];
    All::transfer_snapshot(&Builder).await.unwrap();
}

fn set(key: &str, value: i64) -> Record {
    Record::Config { resource: ConfigResource::cluster_default(), key: key.into(), value: Some(value.to_string()) }
}

fn get(store: &Store, key: &str) -> Option<i64> {
    store.load().config(&ConfigResource::cluster_default()).get(key).map(|value| value.parse().unwrap())
}

fn records(term: u64, index: u64, count: i64) -> Entry {
    let mut batch = BatchBuilder::new(Offset(0)).leader_epoch(types::epoch(term));
    for n in 0..count {
        let mut value = Vec::new();
        set("k", n).encode(30, &mut value);
        batch.push(TimestampMs(0), None, Some(&value), &[]);
    }
    let proposed = Proposed { epoch: types::epoch(term), batch: batch.build().unwrap() };
    Entry { id: log_id(term, index), payload: Payload::Records(proposed), stored: None }
}

fn members() -> Members {
    let voter = |port| Voter { host: "localhost".into(), port, directory: uuid::Uuid::from_u128(7) };
    Members::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])], BTreeMap::from([(1, voter(1)), (3, voter(3))]))
}

#[test]
fn an_entry_is_read_back_as_it_was_placed() {
    let entries = [Entry::new_blank(log_id(3, 7)), Entry::new_membership(log_id(3, 7), members()), records(3, 7, 2)];
    for mut entry in entries {
        let stored = entry.place(Offset(40), NodeId(1), TimestampMs(5)).unwrap();
        let read = Entry::read(7, stored.clone()).unwrap();
        assert_eq!(read, entry);
        assert_eq!(crate::record::BatchHeader::parse(&stored).unwrap().base_offset, Offset(40));
        for cut in 0..stored.len() {
            assert!(Entry::read(7, stored.slice(..cut)).is_err(), "{cut} bytes are no entry");
        }
    }
}

#[test]
fn what_was_decided_in_another_epoch_is_void_and_takes_its_place() {
    let mut entry = records(2, 7, 3);
    entry.id = log_id(4, 7);
    entry.place(Offset(40), NodeId(1), TimestampMs(5)).unwrap();
    assert_eq!((entry.id, &entry.payload), (log_id(4, 7), &Payload::Blank));
}

/// Appends, cuts and crashes: what was synced is there, and what was cut never comes back behind what replaced it.
#[test]
fn a_power_cut_at_any_sync_loses_no_entry_that_was_synced_and_revives_none_that_was_cut() {
    for at in 1..40 {
        for seed in 0..4 {
            let disk = SimFs::new();
            disk.crash_at_sync(at);
            let synced = append_and_cut(&disk).unwrap_or_else(|synced| synced);
            disk.crash(seed);
            let log = RaftLog::open(disk.shared(), DIR.into(), NodeId(0), 400, None).unwrap();
            let found: Vec<u64> =
                log.read(0, u64::MAX, usize::MAX).unwrap().iter().map(|e| e.id.leader_id.term).collect();
            assert!(found.is_sorted(), "sync {at}, seed {seed}: {found:?}");
            assert!(
                found.len() >= synced.len() || synced.is_empty(),
                "sync {at}, seed {seed}: {found:?} of {synced:?}"
            );
            assert_eq!(found[..synced.len()], synced[..], "sync {at}, seed {seed}");
        }
    }
}

/// Terms of the entries that must be there; `Err` when the disk went away.
fn append_and_cut(disk: &SimFs) -> Result<Vec<u64>, Vec<u64>> {
    let fs = disk.shared();
    let mut synced: Vec<u64> = Vec::new();
    let Ok(mut log) = RaftLog::open(Arc::clone(&fs), DIR.into(), NodeId(0), 400, None) else { return Err(synced) };
    for term in 1..6 {
        let keep = synced.len().saturating_sub(2);
        if term > 1 {
            // What is cut may be gone from here on.
            synced.truncate(keep);
            log.truncate(keep as u64).map_err(|_| synced.clone())?;
        }
        for _ in 0..4 {
            let entry = records(term, log.next_index(), 2);
            log.append(vec![entry]).map_err(|_| synced.clone())?;
            log.unsynced().sync(fs.as_ref()).map_err(|_| synced.clone())?;
            synced.push(term);
        }
    }
    Ok(synced)
}

/// The other end of nothing.
struct Nowhere;

impl Transport for Nowhere {
    fn call(&self, _: NodeId, _: &str, _: u16, _: Bytes, _: Duration) -> BoxFuture<'static, io::Result<Bytes>> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }
}

async fn join(disk: &SimFs, node: i32, transport: Arc<dyn Transport>, fetch: Duration) -> (Arc<Quorum>, Arc<Store>) {
    disk.shared().create_dir_all(Path::new(DIR)).unwrap();
    disk.shared().sync_dir(Path::new("/")).unwrap();
    let store = Arc::new(Store::default());
    let voter = |id: i32| (NodeId(id), Voter { host: "h".into(), port: 1, ..Voter::default() });
    let open = Open {
        fs: disk.shared(),
        dir: DIR.into(),
        node: NodeId(node),
        settings: settings(),
        store: Arc::clone(&store),
        now: TimestampMs(0),
        founding: Founding::Durable,
    };
    let timing = Timing { fetch, request: Duration::from_millis(100) };
    let join = Join {
        cluster_id: "c".into(),
        voters: (1..=3).map(voter).collect(),
        timing,
        transport,
        bytes_max: 1 << 20,
        snapshot_bytes_max: 1000,
    };
    (Arc::new(Quorum::join(open, join).await.unwrap()), store)
}

async fn close(quorum: Arc<Quorum>) {
    tokio::task::spawn_blocking(move || quorum.close()).await.unwrap();
}

/// Whether a node that promised its vote to node 1 also gives it to node 3, after a power cut.
async fn votes_twice(forget: bool) -> bool {
    let disk = SimFs::new();
    let never = Duration::from_secs(600);
    let ask = |from: i32| {
        let vote =
            Ask::Vote(VoteRequest { vote: Vote::new(9, raft_id(NodeId(from))), last_log_id: Some(log_id(8, 1000)) });
        Request { cluster: "c".into(), from: NodeId(from), to: NodeId(2), ask: vote }.to_bytes()
    };
    let (quorum, _) = join(&disk, 2, Arc::new(Nowhere), never).await;
    let answer: VoteResponse<u64> = read_answer(&quorum.serve("c", &ask(1)).await.unwrap()).unwrap();
    assert!(answer.vote_granted);
    close(quorum).await;
    disk.crash_losing_all();
    if forget {
        disk.shared().remove_file(&Path::new(DIR).join(LOG_DIR).join("quorum-state")).unwrap();
    }
    let (quorum, _) = join(&disk, 2, Arc::new(Nowhere), never).await;
    let answer: VoteResponse<u64> = read_answer(&quorum.serve("c", &ask(3)).await.unwrap()).unwrap();
    close(quorum).await;
    answer.vote_granted
}

#[tokio::test]
async fn a_vote_outlives_a_power_cut() {
    assert!(!votes_twice(false).await);
    assert!(votes_twice(true).await, "the test sees a vote that is forgotten");
}

#[tokio::test]
async fn messages_of_another_cluster_or_for_another_node_are_refused_and_rubbish_ends_the_connection() {
    let disk = SimFs::new();
    let (quorum, _) = join(&disk, 2, Arc::new(Nowhere), Duration::from_secs(600)).await;
    let ask = |cluster: &str, to: i32| {
        let vote = Ask::Vote(VoteRequest { vote: Vote::new(9, 1), last_log_id: None });
        Request { cluster: cluster.into(), from: NodeId(1), to: NodeId(to), ask: vote }.to_bytes()
    };
    for message in [ask("d", 2), ask("c", 3)] {
        let answer = quorum.serve("c", &message).await.unwrap();
        assert!(read_answer::<VoteResponse<u64>>(&answer).is_err());
    }
    let good = ask("c", 2);
    for cut in 0..good.len() {
        assert!(quorum.serve("c", &good.slice(..cut)).await.is_err(), "{cut} bytes");
    }
    close(quorum).await;
}

/// A network in memory that loses and delays messages, and can be cut.
#[derive(Default)]
struct Net {
    nodes: Mutex<BTreeMap<i32, Arc<Quorum>>>,
    alone: Mutex<BTreeSet<i32>>,
    lost_percent: Mutex<u64>,
    state: Mutex<u64>,
}

impl Net {
    fn below(&self, bound: u64) -> u64 {
        let mut state = self.state.lock();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % bound
    }

    fn passes(&self, from: i32, to: i32) -> bool {
        let alone = self.alone.lock();
        !alone.contains(&from) && !alone.contains(&to) && self.below(100) >= *self.lost_percent.lock()
    }
}

struct From(i32, Arc<Net>);

impl Transport for From {
    fn call(&self, to: NodeId, _: &str, _: u16, message: Bytes, _: Duration) -> BoxFuture<'static, io::Result<Bytes>> {
        let (from, net) = (self.0, Arc::clone(&self.1));
        Box::pin(async move {
            let lost = || io::Error::from(io::ErrorKind::TimedOut);
            tokio::time::sleep(Duration::from_micros(net.below(2000))).await;
            let there = net.nodes.lock().get(&to.0).cloned().filter(|_| net.passes(from, to.0)).ok_or_else(lost)?;
            let answer = there.serve("c", &message).await?;
            if net.passes(to.0, from) { Ok(answer) } else { Err(lost()) }
        })
    }
}

struct Cluster {
    net: Arc<Net>,
    disks: BTreeMap<i32, SimFs>,
    stores: BTreeMap<i32, Arc<Store>>,
    /// Who decided in which epoch.
    led: Arc<Mutex<BTreeMap<LeaderEpoch, NodeId>>>,
    fetch: Duration,
}

/// For so long a node hears of no leader before it wants to be one.
const RESTLESS: Duration = Duration::from_millis(400);
/// Long enough that a busy machine deposes nobody whom the test did not mean.
const CALM: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    async fn start(seed: u64, fetch: Duration) -> Cluster {
        let net = Arc::new(Net { state: Mutex::new(seed), ..Net::default() });
        let disks = (1..=3).map(|id| (id, SimFs::new())).collect();
        let mut cluster = Cluster { net, disks, stores: BTreeMap::new(), led: Arc::default(), fetch };
        for id in 1..=3 {
            cluster.begin(id).await;
        }
        cluster
    }

    async fn begin(&mut self, id: i32) {
        let transport = Arc::new(From(id, Arc::clone(&self.net)));
        let (quorum, store) = join(&self.disks[&id], id, transport, self.fetch).await;
        let (mut leadership, led) = (quorum.leadership(), Arc::clone(&self.led));
        tokio::spawn(async move {
            while leadership.changed().await.is_ok() {
                let now = *leadership.borrow_and_update();
                if now.term.is_some() {
                    let leader = *led.lock().entry(now.epoch).or_insert(NodeId(id));
                    assert_eq!(leader, NodeId(id), "two leaders in epoch {}", now.epoch.0);
                }
            }
        });
        self.net.nodes.lock().insert(id, quorum);
        self.stores.insert(id, store);
    }

    async fn crash(&mut self, id: i32, seed: u64) {
        let quorum = self.net.nodes.lock().remove(&id).unwrap();
        close(quorum).await;
        self.disks[&id].crash(seed);
    }

    fn active(&self) -> Option<(i32, Arc<Quorum>)> {
        let nodes = self.net.nodes.lock();
        nodes.iter().find(|(_, quorum)| quorum.term().is_some()).map(|(id, quorum)| (*id, Arc::clone(quorum)))
    }

    /// Proposes until it is committed or nobody knows; `None`: nobody decided in time.
    async fn commit(&self, key: &str, value: i64) -> Option<Result<(), ProposeError>> {
        for _ in 0..300 {
            if let Some((_, quorum)) = self.active()
                && let Some(term) = quorum.term()
                && let Ok(ticket) = quorum.propose(term, vec![set(key, value), set("last", value)], 30, TimestampMs(0))
            {
                match ticket.committed().await {
                    Err(ProposeError::TermOver) => {}
                    outcome => return Some(outcome),
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    /// Proposes until it is committed, again where nobody knows whether it was.
    async fn must_commit(&self, key: &str, value: i64) {
        let committed = async { while !matches!(self.commit(key, value).await, Some(Ok(()))) {} };
        tokio::time::timeout(PATIENCE, committed).await.expect("nothing is committed any more");
    }

    /// Waits until every node has `key`.
    async fn everywhere(&self, key: &str, value: i64) {
        for _ in 0..1000 {
            if self.stores.values().all(|store| get(store, key) == Some(value)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let failures: Vec<_> =
            self.net.nodes.lock().iter().map(|(id, quorum)| (*id, quorum.shared.failure.borrow().clone())).collect();
        eprintln!("{failures:?}");
        let got: Vec<_> = self.stores.iter().map(|(id, store)| (*id, get(store, key), store.load().offset)).collect();
        panic!("{key} is not {value} everywhere: {got:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_agree_and_go_on_without_the_one_that_led() {
    let mut cluster = Cluster::start(1, CALM).await;
    cluster.must_commit("a", 1).await;
    cluster.everywhere("a", 1).await;
    let (leader, quorum) = cluster.active().unwrap();
    let description = quorum.describe().unwrap();
    assert_eq!((description.leader, description.voters.len()), (NodeId(leader), 3));
    let next = quorum.next_offset();
    drop(quorum);
    cluster.crash(leader, 7).await;
    cluster.must_commit("b", 2).await;
    let (other, quorum) = cluster.active().unwrap();
    assert!(other != leader && quorum.next_offset() > next, "{other} goes on after {leader}");
    // Offsets that were given out are those that the batches got.
    assert_eq!(quorum.next_offset(), cluster.stores[&other].load().offset.next());
    drop(quorum);
    cluster.begin(leader).await;
    cluster.everywhere("b", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_for_long_takes_a_snapshot() {
    let mut cluster = Cluster::start(2, CALM).await;
    cluster.must_commit("a", 1).await;
    let (leader, _) = cluster.active().unwrap();
    let away = (1..=3).find(|id| *id != leader).unwrap();
    cluster.crash(away, 3).await;
    for n in 0..1300 {
        cluster.must_commit("n", n).await;
    }
    let files = |disk: &SimFs| disk.shared().read_dir(&Path::new(DIR).join(LOG_DIR)).unwrap();
    assert!(files(&cluster.disks[&leader]).iter().any(|entry| entry.name.ends_with(".checkpoint")));
    cluster.begin(away).await;
    cluster.everywhere("n", 1299).await;
    assert!(files(&cluster.disks[&away]).iter().any(|entry| entry.name.ends_with(".checkpoint")), "it took a snapshot");
    cluster.must_commit("n", 2000).await;
    cluster.everywhere("n", 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lost_the_majority_stops_deciding() {
    let cluster = Cluster::start(4, CALM).await;
    cluster.must_commit("a", 1).await;
    let (leader, quorum) = cluster.active().unwrap();
    cluster.net.alone.lock().insert(leader);
    let lost = tokio::time::timeout(PATIENCE, async {
        quorum.leadership().wait_for(|now| now.term.is_none()).await.unwrap();
    });
    lost.await.expect("it goes on deciding");
    cluster.must_commit("b", 2).await;
    cluster.net.alone.lock().clear();
    cluster.everywhere("b", 2).await;
}

/// Crashes, a node alone, lost messages, drawn from a seed. What was answered as committed is there at the end, on every node.
async fn faults(seed: u64) {
    let mut cluster = Cluster::start(seed, RESTLESS).await;
    let net = Arc::clone(&cluster.net);
    let mut acked = Vec::new();
    for round in 0..12 {
        *net.lost_percent.lock() = net.below(15);
        let victim = i32::try_from(net.below(3)).unwrap() + 1;
        let crashed = match net.below(3) {
            0 => {
                cluster.crash(victim, seed + round).await;
                true
            }
            1 => {
                net.alone.lock().insert(victim);
                false
            }
            _ => false,
        };
        for n in 0..10 {
            let value = i64::try_from(round).unwrap() * 10 + n;
            let key = format!("k{value}");
            if let Some(Ok(())) = cluster.commit(&key, value).await {
                acked.push((key, value));
            }
        }
        net.alone.lock().clear();
        if crashed {
            cluster.begin(victim).await;
        }
    }
    *net.lost_percent.lock() = 0;
    cluster.must_commit("end", 1).await;
    cluster.everywhere("end", 1).await;
    assert!(acked.len() > 60, "seed {seed}: only {} of 120 were committed", acked.len());
    for (id, store) in &cluster.stores {
        for (key, value) in &acked {
            assert_eq!(get(store, key), Some(*value), "seed {seed}: node {id} lost {key}");
        }
    }
    let configs: Vec<_> =
        cluster.stores.values().map(|store| store.load().config(&ConfigResource::cluster_default()).clone()).collect();
    assert!(configs.iter().all(|config| *config == configs[0]), "seed {seed}: the nodes differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_committed_is_lost_whatever_crashes_and_whatever_messages_are_lost() {
    for seed in [11, 12, 13] {
        faults(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_vote_follows_through_a_change_of_leaders() {
    let mut cluster = Cluster::start(5, CALM).await;
    cluster.must_commit("a", 1).await;
    let store = Arc::new(Store::default());
    let follower = Quorum::follow(crate::quorum::Follow {
        node: NodeId(9),
        cluster_id: "c".into(),
        controllers: (1..=3).map(|id| (NodeId(id), "h".to_owned(), 1)).collect(),
        directory: uuid::Uuid::from_u128(9),
        transport: Arc::new(From(9, Arc::clone(&cluster.net))),
        request_timeout: Duration::from_millis(500),
        backoff: Duration::from_millis(20),
        bytes_max: 1 << 20,
        store: Arc::clone(&store),
    });
    follower.caught_up().await.unwrap();
    assert_eq!(get(&store, "a"), Some(1));
    assert!(follower.term().is_none());
    let (leader, _) = cluster.active().unwrap();
    cluster.crash(leader, 1).await;
    cluster.must_commit("b", 2).await;
    cluster.begin(leader).await;
    cluster.stores.insert(9, store);
    cluster.everywhere("b", 2).await;
    let described = async {
        let observers = || cluster.active()?.1.describe().map(|described| described.observers);
        while !observers().is_some_and(|found| found.iter().map(|observer| observer.node).eq([NodeId(9)])) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, described).await.expect("the follower is among the observers");
    follower.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_is_removed_does_not_count_and_one_that_is_added_does() {
    let cluster = Cluster::start(6, CALM).await;
    cluster.must_commit("a", 1).await;
    let (leader, quorum) = cluster.active().unwrap();
    let other = (1..=3).find(|id| *id != leader).unwrap();
    let next = quorum.next_offset();
    quorum.remove_voter(NodeId(other)).await.unwrap();
    cluster.must_commit("b", 2).await;
    assert_eq!(quorum.describe().unwrap().voters.len(), 2);
    assert!(quorum.next_offset() > next);
    assert_eq!(
        quorum.next_offset(),
        cluster.stores[&leader].load().offset.next(),
        "offsets are given out as they are taken"
    );
    let voter = Voter { host: "h".into(), port: 1, directory: uuid::Uuid::from_u128(4) };
    quorum.add_voter(NodeId(other), voter).await.unwrap();
    cluster.must_commit("c", 3).await;
    assert_eq!(quorum.describe().unwrap().voters.len(), 3);
    cluster.everywhere("c", 3).await;
}

#[test]
fn a_stored_membership_is_read_back() {
    let stored = StoredMembers::new(Some(log_id(3, 4)), members());
    let mut out = bytes::BytesMut::new();
    types::put_stored_members(&mut out, &stored);
    assert_eq!(types::read_stored_members(&mut crate::wire::reader::Reader::new(&out)).unwrap(), stored);
}
