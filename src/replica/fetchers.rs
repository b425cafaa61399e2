//! Which fetcher follows which partition, as the metadata says.

use super::fetcher::Fetcher;
use super::machine::Key;
use crate::config::settings::Replication;
use crate::metadata::{Delta, Image, Publisher};
use crate::model::{NodeId, PartitionId, TopicId};
use crate::partition::Manager;
use crate::peer::Pool;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What fetchers need to know.
pub struct FetcherSettings {
    pub node: NodeId,
    pub replication: Replication,
    /// This broker's epoch; -1 before it is registered.
    pub broker_epoch: Box<dyn Fn() -> i64 + Send + Sync>,
}

/// All fetchers of a broker. See the module.
pub struct Fetchers {
    settings: Arc<FetcherSettings>,
    partitions: Arc<Manager>,
    pool: Arc<Pool>,
    state: Mutex<State>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// The metadata changes on a thread of its own.
    handle: Handle,
}

#[derive(Default)]
struct State {
    fetchers: BTreeMap<(NodeId, usize), Arc<Fetcher>>,
    /// Which fetcher has a partition.
    placed: BTreeMap<Key, (NodeId, usize)>,
}

impl Fetchers {
    /// No fetchers yet: subscribe it to the metadata, after the partitions. To be called within tokio.
    #[must_use]
    pub fn new(settings: FetcherSettings, partitions: Arc<Manager>, pool: Arc<Pool>) -> Arc<Fetchers> {
        Arc::new(Fetchers {
            settings: Arc::new(settings),
            partitions,
            pool,
            state: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            handle: Handle::current(),
        })
    }

    /// Ends all fetching, and waits until nothing is appended any more.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How far the partition that is furthest behind is behind its leader, in records, by leader.
    #[must_use]
    pub fn lags(&self) -> Vec<(NodeId, i64)> {
        let state = self.state.lock();
        state.fetchers.iter().map(|((leader, _), fetcher)| (*leader, fetcher.lag_max())).collect()
    }

    fn place(&self, state: &mut State, topic: TopicId, number: PartitionId) {
        let key = (topic, number);
        let partition = self.partitions.topic_by_id(topic).and_then(|topic| topic.partition(number));
        let led = partition.as_ref().and_then(|partition| match partition.leader() {
            (Some(leader), epoch) if leader != self.settings.node => Some((leader, epoch)),
            _ => None,
        });
        let (Some(partition), Some((leader, epoch))) = (partition, led) else {
            self.displace(state, key);
            return;
        };
        let at = (leader, self.number(&key));
        if state.placed.get(&key).is_some_and(|placed| *placed != at) {
            self.displace(state, key);
        }
        state.placed.insert(key, at);
        let fetcher = state.fetchers.entry(at).or_insert_with(|| {
            let link = self.pool.dedicated(leader);
            let fetcher = Fetcher::new(link, Arc::clone(&self.settings), Arc::clone(&self.partitions));
            let running = Arc::clone(&fetcher).run(self.stopping.clone());
            self.tasks.spawn_on(running, &self.handle);
            fetcher
        });
        fetcher.follow(key, epoch, partition);
    }

    fn displace(&self, state: &mut State, key: Key) {
        let Some(at) = state.placed.remove(&key) else { return };
        let Some(fetcher) = state.fetchers.get(&at) else { return };
        if fetcher.leave(key) {
            // Its last partition: the task ends.
            state.fetchers.remove(&at);
        }
    }

    /// Which of the fetchers of a leader takes a partition (`AbstractFetcherManager.getFetcherId`).
    fn number(&self, (topic, partition): &Key) -> usize {
        let (high, low) = topic.0.as_u64_pair();
        let hash = (high ^ low).wrapping_add(u64::from(partition.0.unsigned_abs()));
        usize::try_from(hash % self.settings.replication.fetchers.max(1) as u64).unwrap_or(0)
    }
}

impl Publisher for Fetchers {
    fn publish(&self, _: &Arc<Image>, delta: &Delta) {
        if self.stopping.is_cancelled() {
            return;
        }
        let mut state = self.state.lock();
        for topic in delta.deleted.values() {
            for (number, _) in topic.numbered() {
                self.displace(&mut state, (topic.id, number));
            }
        }
        for (id, topic) in &delta.topics {
            for number in &topic.changed {
                self.place(&mut state, *id, *number);
            }
        }
    }
}
