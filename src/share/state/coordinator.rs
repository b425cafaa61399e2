//! Hosts the machines of share state, on the partitions of `__share_group_state` that this broker leads
//! (`ShareCoordinatorService`).

use super::machine::{Env, States, Task};
use super::request::{Key, Reply, Request};
use crate::config::topic::TopicConfig;
use crate::config::{self, Settings};
use crate::coordinator::{Host, Limits, Runtime, partition_for};
use crate::metadata::Store;
use crate::metrics::{Count, Metrics};
use crate::model::{ErrorCode, NodeId, PartitionId, TimestampMs, TopicName};
use crate::partition;
use crate::record::Compression;
use std::sync::Arc;
use std::time::Duration;

/// The coordinator of all shared partitions whose partition of `__share_group_state` this broker leads.
pub struct ShareCoordinator {
    runtime: Arc<Runtime<Shards>>,
    node: NodeId,
    writes: Count,
}

impl ShareCoordinator {
    /// Coordinates nothing before [`ShareCoordinator::start`]. To be called within tokio.
    #[must_use]
    pub fn new(
        config: Arc<config::Live>,
        metadata: Arc<Store>,
        partitions: Arc<partition::Manager>,
    ) -> Arc<ShareCoordinator> {
        let node = config.load().settings().node_id;
        let runtime = Runtime::new(Shards { config, metadata }, node, partitions);
        Arc::new(ShareCoordinator { runtime, node, writes: Count::default() })
    }

    /// Loads what the metadata says is coordinated here, and follows it. The partitions must follow it already.
    pub fn start(&self) {
        self.runtime.follow(&self.runtime.host().metadata);
    }

    pub async fn stop(&self) {
        self.runtime.stop().await;
    }

    /// This broker.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The broker that keeps the state of a partition, as the metadata says.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`: there is no `__share_group_state` yet. `COORDINATOR_NOT_AVAILABLE`: its partition has
    /// no leader.
    pub fn place(&self, key: &Key) -> Result<NodeId, ErrorCode> {
        let host = self.runtime.host();
        let image = host.metadata.load();
        let topic = image.topic(Shards::TOPIC).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let leader = topic.partition(host.partition_for(key)).and_then(|partition| partition.leader);
        leader.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }

    /// Asks the machine of a partition, which must be here.
    ///
    /// # Errors
    /// Why there is no answer, in the words of the log (`coordinator::for_clients` has those for whoever asked).
    pub async fn ask(&self, request: Request) -> Result<Reply, ErrorCode> {
        if matches!(request, Request::Write { .. }) {
            self.writes.inc();
        }
        let shard = self.runtime.host().partition_for(&request.key());
        self.runtime.ask(shard, request).await
    }

    /// The settings as they are now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.runtime.host().settings()
    }

    /// Has metrics show what is coordinated here (`ShareCoordinatorMetrics`).
    pub fn measured(self: &Arc<Self>, metrics: &Metrics) {
        metrics.coordinator("share", self.runtime.metrics());
        let coordinator = Arc::clone(self);
        metrics.register(Box::new(move |sample| {
            let mut kept = 0;
            let phases = coordinator.runtime.look(|states| kept += states.len());
            sample.coordinator_partitions("share", phases);
            let help = "Partitions of share groups whose deliveries this broker keeps.";
            sample.gauge("share_states", help, [(Vec::new(), i64::try_from(kept).unwrap_or(i64::MAX))]);
            let help = "Writes of share groups' deliveries that were asked of this broker.";
            let writes = i64::try_from(coordinator.writes.get()).unwrap_or(i64::MAX);
            sample.counter("share_state_writes", help, [(Vec::new(), writes)]);
        }));
    }
}

/// What the machines are made of and see.
struct Shards {
    config: Arc<config::Live>,
    metadata: Arc<Store>,
}

impl Host for Shards {
    type Machine = States;
    const TOPIC: &'static str = TopicName::SHARE_GROUP_STATE;

    fn machine(&self) -> States {
        States::new(self.settings().share_state.updates_per_snapshot)
    }

    fn env(&self, now: TimestampMs, _: &TopicConfig) -> Env {
        let settings = self.settings();
        let share = &settings.share_state;
        Env {
            now,
            image: self.metadata.image(),
            snapshot_every_ms: millis(share.snapshot_interval),
            prune_every_ms: millis(share.prune_interval),
        }
    }

    fn limits(&self) -> Limits {
        let settings = self.settings();
        let share = &settings.share_state;
        Limits {
            commit_timeout: share.write_timeout,
            load_bytes: share.load_bytes,
            opened_bytes_max: settings.network.request_bytes_max,
            compression: Compression::of(share.compression),
        }
    }

    fn run(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, Task::Prune(before): Task) {
        let Some(partition) = runtime.partition(shard) else { return };
        runtime.spawn(async move {
            if let Err(error) = partition.delete_records(before) {
                // It is tried again after the interval.
                tracing::warn!(partition = %partition.name(), %before, %error, "share state that is of no use stays");
            }
        });
    }
}

impl Shards {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.config.load().settings())
    }

    /// The partition of `__share_group_state` that keeps a partition.
    fn partition_for(&self, key: &Key) -> PartitionId {
        partition_for(&self.metadata.load(), Self::TOPIC, &key.text(), || self.settings().share_state.partitions)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
