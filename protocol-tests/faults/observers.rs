//! Those who only look, while things happen: what nodes say of partitions, where partitions end, how far groups are.

use super::ask;
use super::cluster::{Cluster, SOON};
use super::history::{End, History, Seen, Sight};
use super::load::{PARTITIONS, PLAIN, READERS, client};
use super::network::NODES;
use super::pipes::{INPUT, PIPES, copies};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// All that clients of a run write to.
pub(crate) fn topics() -> Vec<&'static str> {
    PLAIN.into_iter().chain([INPUT]).chain(copies()).collect()
}

/// What one node says, again and again, of all partitions and of who decides.
fn watch(node: usize, cluster: &Cluster, history: &History) {
    let life = cluster.life(node);
    let at = history.now();
    let Some(standings) = ask::standings(&cluster.address(node), &topics(), SOON) else { return };
    if let Some(decides) = ask::controller(&cluster.address(node), SOON) {
        history.controllers.lock().insert((decides.1, decides.0));
    }
    // An answer of the life that was there before and after the question.
    if life != cluster.life(node) {
        return;
    }
    let mut sights = history.sights.lock();
    sights.extend(standings.into_iter().map(|standing| Sight { at, node, life, standing }));
}

/// Where partitions end, as their leaders say.
fn measure(cluster: &Cluster, history: &History) {
    let Some(standings) = (0..NODES).find_map(|node| ask::standings(&cluster.address(node), &topics(), SOON)) else {
        return;
    };
    for standing in &standings {
        let topic = topics().into_iter().find(|topic| **topic == *standing.topic).unwrap();
        let leader = usize::try_from(standing.leader - 1).ok().filter(|leader| *leader < NODES);
        let Some(leader) = leader else { continue };
        for stable in [true, false] {
            if let Some(offset) = ask::end(&cluster.address(leader), standing, stable, SOON) {
                let (place, epoch) = ((topic, standing.partition), standing.leader_epoch);
                history.ends.lock().push(End { at: history.now(), place, stable, epoch, offset });
            }
        }
    }
}

/// How far a group is, as its coordinator says.
fn follow(group: &'static str, topics: &[&'static str], history: &History, consumer: &BaseConsumer) {
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        (0..PARTITIONS).for_each(|partition| {
            asked.add_partition(topic, partition);
        });
    }
    let began = history.now();
    let Ok(answer) = consumer.committed_offsets(asked, Duration::from_secs(5)) else { return };
    for element in answer.elements() {
        if element.error().is_err() {
            continue;
        }
        let topic = topics.iter().find(|topic| **topic == element.topic()).unwrap();
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
        history.seen.lock().push(Seen { group, place: (topic, element.partition()), began, offset });
    }
}

pub(crate) fn begin(cluster: &Arc<Cluster>, history: &Arc<History>, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let again = |pause: Duration, look: Box<dyn Fn() + Send>| {
        let stop = Arc::clone(stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                look();
                std::thread::sleep(pause);
            }
        })
    };
    let mut threads = Vec::new();
    for node in 0..NODES {
        let (cluster, history) = (Arc::clone(cluster), Arc::clone(history));
        threads.push(again(Duration::from_millis(150), Box::new(move || watch(node, &cluster, &history))));
    }
    {
        let (cluster, history) = (Arc::clone(cluster), Arc::clone(history));
        threads.push(again(Duration::from_millis(300), Box::new(move || measure(&cluster, &history))));
    }
    let readers = READERS.iter().map(|(group, _)| (*group, PLAIN.to_vec()));
    let pipes = PIPES.iter().map(|(group, _, _)| (*group, vec![INPUT]));
    for (group, topics) in readers.chain(pipes) {
        let history = Arc::clone(history);
        let consumer: BaseConsumer = client(&cluster.bootstrap()).set("group.id", group).create().unwrap();
        threads.push(again(Duration::from_millis(500), Box::new(move || follow(group, &topics, &history, &consumer))));
    }
    threads
}
