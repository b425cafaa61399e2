//! Hosts a machine on each partition of an internal topic that this broker leads.
//!
//! The metadata says which those are: [`Runtime::follow`] loads a shard when this broker comes to lead its partition and
//! lets it go when it does no more. Requests find their shard without a lock that shards share.
//!
//! Differs from Kafka's `CoordinatorRuntime` in having no threads of its own: a request is handled by the task that has it,
//! deadlines by one task, loads by at most [`LOADS_AT_ONCE`] threads that may block.

use super::Machine;
use super::alarms::Alarms;
use super::load;
use super::shard::{Asked, Shard};
use crate::config::topic::TopicConfig;
use crate::metadata::{Delta, Image, Publisher, Store};
use crate::metrics::CoordinatorMetrics;
use crate::model::{ErrorCode, NodeId, PartitionId, ProducerEpoch, ProducerId, TimestampMs};
use crate::partition::{Manager, Partition, TransactionEnd, Verified};
use crate::record::Compression;
use crate::rt::{blocking, clock};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shards that are read from disk at the same time: each takes a buffer of [`Limits::load_bytes`] and what one batch
/// opens to.
const LOADS_AT_ONCE: usize = 2;

/// What the runtime has to know of the machines it hosts.
pub trait Host: Send + Sync + 'static {
    type Machine: Machine<Change = Arc<Delta>>;
    /// The internal topic whose partitions are the shards.
    const TOPIC: &'static str;

    /// An empty machine, to replay records into.
    fn machine(&self) -> Self::Machine;

    /// What a step at `now` sees of the outside. The metadata is at least as new as any change the machine was told of.
    /// `topic` has the settings of the internal topic.
    fn env(&self, now: TimestampMs, topic: &TopicConfig) -> <Self::Machine as Machine>::Env;

    fn limits(&self) -> Limits;

    /// Does what a machine cannot do itself. Called with the shard locked: must not ask it, but may spawn who does.
    fn run(runtime: &Arc<Runtime<Self>>, shard: PartitionId, task: <Self::Machine as Machine>::Task)
    where
        Self: Sized;
}

/// The settings of a runtime, as they are now.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a reply waits for the commit of what it depends on.
    pub commit_timeout: Duration,
    /// Bytes that are read at once while loading.
    pub load_bytes: usize,
    /// What a compressed batch may open to while loading.
    pub opened_bytes_max: usize,
    /// How the batches of the machines are compressed.
    pub compression: Option<Compression>,
}

type Shards<H> = BTreeMap<PartitionId, Arc<Shard<<H as Host>::Machine>>>;
type Reply<H> = <<H as Host>::Machine as Machine>::Reply;
type Request<H> = <<H as Host>::Machine as Machine>::Request;

/// See the module.
pub struct Runtime<H: Host> {
    host: H,
    node: NodeId,
    partitions: Arc<Manager>,
    shards: ArcSwap<Shards<H>>,
    /// Whoever changes `shards`.
    changing: Mutex<()>,
    alarms: Alarms,
    loads: Semaphore,
    metrics: Arc<CoordinatorMetrics>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// The metadata changes on a thread of its own.
    handle: Handle,
}

impl<H: Host> Runtime<H> {
    /// No shards yet: see [`Runtime::follow`]. To be called within tokio.
    #[must_use]
    pub fn new(host: H, node: NodeId, partitions: Arc<Manager>) -> Arc<Runtime<H>> {
        let runtime = Arc::new(Runtime {
            host,
            node,
            partitions,
            shards: ArcSwap::default(),
            changing: Mutex::default(),
            alarms: Alarms::default(),
            loads: Semaphore::new(LOADS_AT_ONCE),
            metrics: Arc::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            handle: Handle::current(),
        });
        let ticking = Arc::clone(&runtime);
        runtime.spawn(async move {
            loop {
                let (at, id) = ticking.alarms.next().await;
                if let Some(shard) = ticking.shard(id) {
                    shard.tick(&ticking, at);
                }
            }
        });
        runtime
    }

    /// Loads and lets go shards as the metadata says. Call it once the partitions follow the metadata.
    pub fn follow(self: &Arc<Self>, store: &Store) {
        store.subscribe(Arc::new(Follower(Arc::clone(self))));
    }

    /// Asks the machine of a shard.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` if it is not here, `COORDINATOR_LOAD_IN_PROGRESS` while it is loaded, `REQUEST_TIMED_OUT` if what
    /// the answer depends on is not committed in time, or what kept its records from being appended.
    pub async fn ask(self: &Arc<Self>, shard: PartitionId, request: Request<H>) -> Result<Reply<H>, ErrorCode> {
        self.ask_within(shard, request, None).await
    }

    /// As [`Runtime::ask`], for a request whose records are part of a transaction.
    ///
    /// # Errors
    /// As [`Runtime::ask`] and `Partition::check_verified`.
    pub async fn ask_within(
        self: &Arc<Self>,
        shard: PartitionId,
        request: Request<H>,
        within: Option<((ProducerId, ProducerEpoch), Verified<'_>)>,
    ) -> Result<Reply<H>, ErrorCode> {
        let shard = self.shard(shard).ok_or(ErrorCode::NOT_COORDINATOR)?;
        match shard.ask(self, request, within)? {
            Asked::Answered(reply) => Ok(reply),
            Asked::Waits(later) => later.await.unwrap_or(Err(ErrorCode::NOT_COORDINATOR)),
        }
    }

    /// The partition that a shard lives on, if it is here.
    #[must_use]
    pub fn partition(&self, shard: PartitionId) -> Option<Arc<Partition>> {
        self.shard(shard).map(|shard| Arc::clone(&shard.partition))
    }

    /// Writes the end of a transaction into a shard's log and tells its machine. Done when it is committed.
    ///
    /// # Errors
    /// As [`Runtime::ask`], and the log's: `INVALID_PRODUCER_EPOCH` and `TRANSACTION_COORDINATOR_FENCED`, if it is from
    /// the past.
    pub async fn end_transaction(self: &Arc<Self>, shard: PartitionId, end: &TransactionEnd) -> Result<(), ErrorCode> {
        let shard = self.shard(shard).ok_or(ErrorCode::NOT_COORDINATOR)?;
        let Some(commit) = shard.end_transaction(self, end)? else { return Ok(()) };
        match tokio::time::timeout(self.host.limits().commit_timeout, commit.outcome()).await {
            Ok(ErrorCode::NONE) => Ok(()),
            Ok(error) => Err(error),
            Err(_) => Err(ErrorCode::REQUEST_TIMED_OUT),
        }
    }

    /// Asks the machines of all shards that are here, one after the other.
    pub async fn ask_all(self: &Arc<Self>, request: impl Fn() -> Request<H>) -> Vec<Result<Reply<H>, ErrorCode>> {
        let shards: Vec<PartitionId> = self.shards.load().keys().copied().collect();
        let mut answers = Vec::with_capacity(shards.len());
        for shard in shards {
            answers.push(self.ask(shard, request()).await);
        }
        answers
    }

    /// Lets all shards go, whoever waits at them is told so, and nothing is appended afterwards.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let shards = {
            let _one = self.changing.lock();
            self.shards.swap(Arc::default())
        };
        shards.values().for_each(|shard| shard.resign());
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    pub fn metrics(&self) -> &Arc<CoordinatorMetrics> {
        &self.metrics
    }

    /// Looks at every machine that is here and loaded, each under its lock: for metrics, at a scrape. How many shards are
    /// in which phase.
    pub fn look(&self, mut look: impl FnMut(&H::Machine)) -> BTreeMap<&'static str, i64> {
        // A phase that no shard is in is shown too.
        let mut phases = BTreeMap::from(["loading", "active", "failed"].map(|phase| (phase, 0)));
        for shard in self.shards.load().values() {
            *phases.entry(shard.look(&mut look)).or_default() += 1;
        }
        phases
    }

    pub(super) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Runs a task until the runtime stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = task => {}
            }
        };
        self.tasks.spawn_on(task, &self.handle);
    }

    /// Loads a shard after `delay`.
    pub(super) fn load(self: &Arc<Self>, shard: &Arc<Shard<H::Machine>>, life: u32, delay: Duration) {
        let (runtime, shard) = (Arc::clone(self), Arc::clone(shard));
        self.spawn(async move {
            tokio::time::sleep(delay).await;
            let Ok(_permit) = runtime.loads.acquire().await else { return };
            if !shard.awaits_load(life) {
                return;
            }
            let began = clock::now();
            let (reader, read) = (Arc::clone(&runtime), Arc::clone(&shard));
            // Tracked of its own: when the runtime stops, the log is not closed under it.
            let reading = blocking::run(&runtime.tasks, move || {
                let given_up = || reader.stopping.is_cancelled() || !read.awaits_load(life);
                load::replay(&read.partition, reader.host.machine(), &reader.host.limits(), given_up)
            });
            let loaded = match reading.await {
                Ok(loaded) => loaded.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match &loaded {
                Ok(_) => runtime.metrics.load.observe(clock::now().saturating_duration_since(began)),
                Err(_) if shard.awaits_load(life) => runtime.metrics.failed_loads.inc(),
                // Nobody wants it any more.
                Err(_) => {}
            }
            shard.loaded(&runtime, life, loaded);
        });
    }

    fn shard(&self, id: PartitionId) -> Option<Arc<Shard<H::Machine>>> {
        self.shards.load().get(&id).cloned()
    }

    /// Acts on a change of the metadata.
    fn publish(self: &Arc<Self>, delta: &Delta) {
        let changing = self.changing.lock();
        if self.stopping.is_cancelled() {
            return;
        }
        let old = self.shards.load_full();
        let (new, resigned, added) = self.led(&old, delta);
        if !resigned.is_empty() || !added.is_empty() {
            self.shards.store(Arc::new(new));
        }
        drop(changing);
        resigned.iter().for_each(|shard| shard.resign());
        added.iter().for_each(|shard| self.load(shard, 0, Duration::ZERO));
        let staying = self.shards.load();
        if !staying.is_empty() {
            let delta = Arc::new(delta.clone());
            staying.values().for_each(|shard| shard.change(self, &delta));
        }
    }

    /// The shards after a change, and which of them go and come.
    #[expect(clippy::type_complexity, reason = "three lists of the same")]
    fn led(
        &self,
        old: &Shards<H>,
        delta: &Delta,
    ) -> (Shards<H>, Vec<Arc<Shard<H::Machine>>>, Vec<Arc<Shard<H::Machine>>>) {
        let mut new = old.clone();
        let (mut resigned, mut added) = (Vec::new(), Vec::new());
        for topic in delta.deleted.values().filter(|topic| topic.name.as_str() == H::TOPIC) {
            new.retain(|_, shard| {
                let goes = shard.partition.topic_id() == topic.id;
                if goes {
                    resigned.push(Arc::clone(shard));
                }
                !goes
            });
        }
        for topic in delta.topics.values().filter(|topic| topic.new.name.as_str() == H::TOPIC) {
            let held = self.partitions.topic_by_id(topic.new.id);
            for id in &topic.changed {
                let leads = topic.new.partition(*id).is_some_and(|image| image.leader == Some(self.node));
                let partition = held.as_ref().filter(|_| leads).and_then(|topic| topic.partition(*id));
                let known = new.get(id).is_some_and(|shard| {
                    partition.as_ref().is_some_and(|partition| Arc::ptr_eq(partition, &shard.partition))
                });
                if known {
                    continue;
                }
                resigned.extend(new.remove(id));
                if let Some(partition) = partition {
                    let shard = Shard::new(partition);
                    added.push(Arc::clone(&shard));
                    new.insert(*id, shard);
                }
            }
        }
        (new, resigned, added)
    }
}

struct Follower<H: Host>(Arc<Runtime<H>>);

impl<H: Host> Publisher for Follower<H> {
    fn publish(&self, _: &Arc<Image>, delta: &Delta) {
        self.0.publish(delta);
    }
}
