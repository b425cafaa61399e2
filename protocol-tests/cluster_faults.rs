//! Random faults over three real nodes under load, and checks of everything that was promised.
//!
//! Nodes are killed, stopped, paused, cut off and made to lose packets by a schedule that the seed determines; meanwhile
//! idempotent producers write, groups of both protocols read and commit, and copiers move records in transactions. When
//! all is healed, the cluster has to be well within a minute, and `faults/checks` hold the history against what is there,
//! for clients and on the disks.
//!
//! `FAULTS_SEED` repeats a schedule, `FAULTS_SECONDS` says how long faults come, `KLAMM_BIN` which program is hurt. The
//! With the feature `planted` the program is given bugs, which have to be found. The
//! network is hurt only as root (namespaces, iptables). What a run with findings leaves lies where its last lines say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod support;

use faults::cluster::Cluster;
use faults::final_reads::{self, RECOVERY, wait_for};
use faults::history::{History, Outcome};
use faults::load::{Names, PARTITIONS, READERS, client};
use faults::pipes::{INPUT, PIPES};
use faults::plan::{self, Step};
use faults::{checks, disks, load, network::NODES, observers, pipes};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::PATIENCE;
use support::chance::number_from;

fn create_topics(cluster: &Cluster) {
    let admin: AdminClient<DefaultClientContext> = client(&cluster.bootstrap()).create().unwrap();
    let names = observers::topics();
    let topics: Vec<NewTopic<'_>> =
        names.iter().map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(3))).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // An attempt whose answer did not come in time may have made them.
    let is_there = |result: &TopicResult| matches!(result, Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let created = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new()));
        match created {
            Ok(results) if results.iter().all(is_there) => return,
            // Brokers that have not registered yet.
            other => assert!(Instant::now() < deadline, "topics cannot be created: {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Every group has committed all that its topics hold.
fn groups_are_done(cluster: &Cluster) -> Result<(), String> {
    let readers = READERS.iter().map(|(group, _)| (*group, load::PLAIN.to_vec()));
    let pipes = PIPES.iter().map(|(group, _, _)| (*group, vec![INPUT]));
    for (group, topics) in readers.chain(pipes) {
        let consumer: BaseConsumer = client(&cluster.bootstrap()).set("group.id", group).create().unwrap();
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in pipes::places_of(topics) {
            asked.add_partition(topic, partition);
        }
        let patience = Duration::from_secs(5);
        let committed = consumer.committed_offsets(asked, patience).map_err(|error| format!("{group}: {error}"))?;
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let ends = consumer.fetch_watermarks(topic, partition, patience);
            let (_, end) = ends.map_err(|error| format!("{topic}-{partition}: {error}"))?;
            if element.offset() != Offset::Offset(end) && end > 0 {
                return Err(format!("{group} is at {:?} of {end} in {topic}-{partition}", element.offset()));
            }
        }
    }
    Ok(())
}

fn end_all(stop: &AtomicBool, threads: Vec<JoinHandle<()>>, history: &History) {
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        if thread.join().is_err() {
            history.find("a client panicked".to_owned());
        }
    }
}

fn numbers(history: &History) -> String {
    let sent = history.sent.lock();
    let acknowledged = sent.values().filter(|outcome| matches!(outcome, Outcome::Done(_))).count();
    let txns = history.txns.lock();
    let committed = txns.iter().filter(|txn| txn.outcome == Outcome::Done(())).count();
    let commits = history.commits.lock();
    let taken = commits.iter().filter(|commit| commit.outcome == Outcome::Done(())).count();
    format!(
        "{acknowledged} of {} records acknowledged, {committed} of {} transactions committed, {taken} of {} commits of offsets, {} \
         views of partitions, {} ends, {} epochs of controllers",
        sent.len(),
        txns.len(),
        commits.len(),
        history.sights.lock().len(),
        history.ends.lock().len(),
        history.controllers.lock().len(),
    )
}

/// Lets a cluster in `dir` suffer; what is wrong afterwards.
fn run(dir: &Path, planted: Option<&'static str>, plan: impl Fn(bool) -> Vec<Step>) -> Vec<String> {
    let history = Arc::new(History::new());
    let cluster = Arc::new(Cluster::start(dir, planted));
    create_topics(&cluster);
    history.say("the cluster is there");

    let flag = || Arc::new(AtomicBool::new(false));
    let (writing, reading, looking, names) = (flag(), flag(), flag(), Arc::new(Names::default()));
    let bootstrap = cluster.bootstrap();
    let observers = observers::begin(&cluster, &history, &looking);
    let (mut writers, mut readers) = load::begin(&bootstrap, &names, &history, [&writing, &reading]);
    let (feeder, copiers) = pipes::begin(&bootstrap, &names, &history, [&writing, &reading]);
    writers.extend(feeder);
    readers.extend(copiers);
    std::thread::sleep(Duration::from_secs(3));

    cluster.suffer(&plan(cluster.has_network()), load::PLAIN[0], &history);

    let healed = Instant::now();
    let require = |patience: Duration, what: &str, look: &dyn Fn() -> Result<(), String>| match wait_for(patience, look)
    {
        Ok(()) => history.say(&format!("{what}, {:?} after the healing", healed.elapsed())),
        Err(reason) => history.find(format!("{patience:?} were not enough until {what}: {reason}")),
    };
    require(RECOVERY, "every partition is led and in sync", &|| final_reads::is_well(&cluster));
    require(RECOVERY, "the cluster is writable", &|| final_reads::is_writable(&cluster, Duration::from_secs(10)));
    end_all(&writing, writers, &history);
    history.say("producers are done");
    // A member that hangs in its client is thrown out after half a minute, what it held is read by another.
    require(2 * RECOVERY, "groups are at the end", &|| groups_are_done(&cluster));
    end_all(&reading, readers, &history);
    require(RECOVERY, "no transaction is open", &|| final_reads::nothing_is_open(&cluster));
    std::thread::sleep(Duration::from_secs(1));
    end_all(&looking, observers, &history);
    let outcomes = final_reads::read_all(&cluster, &history);
    cluster.look(&history);
    cluster.stop_all(&history);
    cluster.look_for_panics(&history);
    let disks: Vec<_> = (0..NODES).map(|node| disks::replicas(&cluster.data(node))).collect();
    let mut findings = checks::all(&history, &outcomes, &disks);
    findings.splice(0..0, history.findings.lock().iter().cloned());
    history.say(&numbers(&history));
    if !findings.is_empty() {
        cluster.keep_disks();
    }
    findings
}

#[test]
fn nothing_that_was_promised_is_broken_whatever_happens_to_nodes_and_network() {
    let seed = number_from("FAULTS_SEED", u64::from(std::process::id()));
    let time = Duration::from_secs(number_from("FAULTS_SECONDS", 20));
    eprintln!("FAULTS_SEED={seed} FAULTS_SECONDS={}", time.as_secs());
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let findings = run(dir.path(), None, |spaces| plan::schedule(seed, time, spaces));
    if !findings.is_empty() {
        let (count, kept) = (findings.len(), dir.keep());
        panic!("FAULTS_SEED={seed}: {count} findings; logs and data in {}\n{}", kept.display(), findings.join("\n"));
    }
}

/// The program with a bug, and faults that bring it to light: a leader appends what nobody else gets, and dies.
#[cfg(feature = "planted")]
fn finds(bug: &'static str, check: &str) {
    use plan::{Fault, Target};
    let stranded =
        |at, target| Step { at: Duration::from_secs(at), lasts: Duration::from_secs(2), fault: Fault::Strand(target) };
    let steps = vec![stranded(0, Target::Leader), stranded(10, Target::Leader), stranded(20, Target::Node(1))];
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let findings = run(dir.path(), Some(bug), |_| steps.clone());
    assert!(findings.iter().any(|finding| finding.starts_with(check)), "{bug} was not found: {findings:?}");
}

#[cfg(feature = "planted")]
#[test]
fn an_answer_before_the_commit_is_found() {
    finds("answers-before-commit", "L1, L2");
}

#[cfg(feature = "planted")]
#[test]
fn a_log_that_is_not_cut_where_it_diverges_is_found() {
    finds("skips-truncation", "L10");
}
