//! All partitions of this broker, and what a metadata delta means for them.

use super::machine::Visibility;
use super::state::{Partition, Slot, State};
use super::waiting::Waiting;
use crate::config::topic::TopicConfig;
use crate::metadata::{Delta, Image, PartitionImage, Publisher, ResourceType, TopicImage};
use crate::metrics::{Metrics, TopicMetrics};
use crate::model::{NodeId, Offset, PartitionId, TopicId, TopicName, TopicPartition};
use crate::rt::clock;
use crate::rt::fs::Fs;
use crate::storage::checkpoint;
use crate::storage::dirs::LogDirs;
use crate::storage::flusher::Flusher;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The effective settings of a topic, from the image and the broker's own.
pub type ResolveConfig = Box<dyn Fn(&Image, &TopicName) -> Arc<TopicConfig> + Send + Sync>;

/// What the manager takes from the broker's settings.
pub struct ManagerSettings {
    pub node: NodeId,
    /// `producer.id.expiration.ms`
    pub producer_expiry_ms: i64,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads_per_dir: usize,
    pub resolve_config: ResolveConfig,
}

/// The partitions of one topic that this broker holds.
pub struct Topic {
    name: TopicName,
    id: TopicId,
    metrics: Arc<TopicMetrics>,
    /// By number; `None` where another broker holds it.
    partitions: RwLock<Vec<Option<Arc<Partition>>>>,
}

impl Topic {
    #[must_use]
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    #[must_use]
    pub fn id(&self) -> TopicId {
        self.id
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<TopicMetrics> {
        &self.metrics
    }

    #[must_use]
    pub fn partition(&self, number: PartitionId) -> Option<Arc<Partition>> {
        let at = usize::try_from(number.0).ok()?;
        self.partitions.read().get(at)?.clone()
    }

    /// Those that this broker holds, in order.
    #[must_use]
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().iter().flatten().cloned().collect()
    }
}

/// See the module.
pub struct Manager {
    pub(super) settings: ManagerSettings,
    fs: Arc<dyn Fs>,
    pub(super) dirs: Arc<LogDirs>,
    /// What the checkpoints of each log directory said at start.
    recovery_points: Vec<HashMap<TopicPartition, Offset>>,
    log_starts: Vec<HashMap<TopicPartition, Offset>>,
    /// One per log directory.
    pub(super) flushers: Vec<Arc<Flusher>>,
    pub(super) metrics: Arc<Metrics>,
    by_name: DashMap<TopicName, Arc<Topic>>,
    by_id: DashMap<TopicId, Arc<Topic>>,
    /// Where each partition's directory was found at start; taken out as partitions are made.
    found: Mutex<BTreeMap<TopicPartition, usize>>,
    /// Newest image this manager has acted on.
    pub(super) image: ArcSwap<Image>,
}

impl Manager {
    /// No partitions yet: they come with the first image.
    #[must_use]
    pub fn new(
        settings: ManagerSettings,
        fs: Arc<dyn Fs>,
        dirs: Arc<LogDirs>,
        flushers: Vec<Arc<Flusher>>,
        metrics: Arc<Metrics>,
    ) -> Arc<Manager> {
        let mut found = BTreeMap::new();
        for (index, dir) in dirs.all().iter().enumerate() {
            found.extend(dir.found_at_start().iter().map(|partition| (partition.clone(), index)));
        }
        let read = |file| dirs.all().iter().map(|dir| dirs.read_checkpoint(dir, file)).collect();
        let (recovery_points, log_starts) = (read(checkpoint::RECOVERY_POINTS), read(checkpoint::LOG_STARTS));
        Arc::new(Manager {
            settings,
            fs,
            dirs,
            recovery_points,
            log_starts,
            flushers,
            metrics,
            by_name: DashMap::new(),
            by_id: DashMap::new(),
            found: Mutex::new(found),
            image: ArcSwap::from_pointee(Image::default()),
        })
    }

    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.get(name).map(|topic| Arc::clone(topic.value()))
    }

    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<Topic>> {
        self.by_id.get(&id).map(|topic| Arc::clone(topic.value()))
    }

    #[must_use]
    pub fn partition(&self, topic: &str, partition: PartitionId) -> Option<Arc<Partition>> {
        self.topic(topic)?.partition(partition)
    }

    /// Every partition of this broker.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.by_name.iter().flat_map(|topic| topic.partitions()).collect()
    }

    #[must_use]
    pub fn dirs(&self) -> &Arc<LogDirs> {
        &self.dirs
    }

    fn create(&self, image: &Image, topic: &TopicImage, changed: &[PartitionId]) {
        let known = self.by_id.get(&topic.id).map(|topic| Arc::clone(topic.value())).unwrap_or_else(|| {
            let fresh = Arc::new(Topic {
                name: topic.name.clone(),
                id: topic.id,
                metrics: self.metrics.topic(&topic.name),
                partitions: RwLock::new(Vec::new()),
            });
            self.by_id.insert(topic.id, Arc::clone(&fresh));
            self.by_name.insert(topic.name.clone(), Arc::clone(&fresh));
            fresh
        });
        let config = (self.settings.resolve_config)(image, &topic.name);
        let ours = |number: &&PartitionId| {
            topic.partition(**number).is_some_and(|wanted| wanted.replicas.contains(&self.settings.node))
        };
        let fresh: Vec<PartitionId> =
            changed.iter().filter(ours).filter(|number| known.partition(**number).is_none()).copied().collect();
        let mut places = self.places(&topic.name, topic.id, &fresh).into_iter();
        for number in changed.iter().filter(ours) {
            let Some(wanted) = topic.partition(*number) else { continue };
            let partition = known.partition(*number).unwrap_or_else(|| {
                let place = places.next().unwrap_or((0, Slot::Offline));
                let partition = self.make(&known, *number, wanted, &config, place);
                let at = usize::try_from(number.0).unwrap_or_default();
                let mut partitions = known.partitions.write();
                if partitions.len() <= at {
                    partitions.resize(at + 1, None);
                }
                partitions[at] = Some(Arc::clone(&partition));
                partition
            });
            partition.lead(wanted.leader_epoch, wanted.isr.len());
        }
    }

    /// The log directory and the state in which each partition begins: where it was found at start, or in the
    /// directory with the fewest partitions, made there.
    fn places(&self, topic: &TopicName, id: TopicId, numbers: &[PartitionId]) -> Vec<(usize, Slot)> {
        let dirs = self.dirs.all();
        let mut added: Vec<Vec<(TopicPartition, TopicId)>> = vec![Vec::new(); dirs.len()];
        let mut places: Vec<(usize, Slot)> = numbers
            .iter()
            .map(|number| {
                let name = TopicPartition::new(topic.clone(), *number);
                if let Some(dir) = self.found.lock().remove(&name) {
                    if !dirs[dir].is_live() {
                        return (dir, Slot::Offline);
                    }
                    let known = |offsets: &[HashMap<TopicPartition, Offset>]| {
                        offsets.get(dir).and_then(|offsets| offsets.get(&name)).copied().unwrap_or(Offset::ZERO)
                    };
                    let (recovery_point, log_start) = (known(&self.recovery_points), known(&self.log_starts));
                    return (dir, Slot::Cold { clean: dirs[dir].was_closed_cleanly(), recovery_point, log_start });
                }
                let emptiest = (0..dirs.len())
                    .filter(|dir| dirs[*dir].is_live())
                    .min_by_key(|dir| dirs[*dir].partitions() + added[*dir].len());
                let Some(dir) = emptiest else { return (0, Slot::Offline) };
                added[dir].push((name, id));
                (dir, Slot::Cold { clean: true, recovery_point: Offset::ZERO, log_start: Offset::ZERO })
            })
            .collect();
        for (dir, new) in added.iter().enumerate().filter(|(_, new)| !new.is_empty()) {
            if let Err(error) = self.dirs.create_partitions(&dirs[dir], new) {
                tracing::error!(%topic, %error, "cannot create the topic's directories");
                self.dirs.fail(&dirs[dir], &error.to_string());
                for place in places.iter_mut().filter(|(at, _)| *at == dir) {
                    place.1 = Slot::Offline;
                }
            }
        }
        places
    }

    /// A partition whose log is opened when somebody asks for it.
    fn make(
        &self,
        topic: &Topic,
        number: PartitionId,
        wanted: &PartitionImage,
        config: &Arc<TopicConfig>,
        (dir, log): (usize, Slot),
    ) -> Arc<Partition> {
        Arc::new(Partition {
            name: TopicPartition::new(topic.name.clone(), number),
            topic_id: topic.id,
            metrics: Arc::clone(&topic.metrics),
            fs: Arc::clone(&self.fs),
            dirs: Arc::clone(&self.dirs),
            producer_expiry_ms: self.settings.producer_expiry_ms,
            config: ArcSwap::new(Arc::clone(config)),
            appended: AtomicBool::new(false),
            state: Mutex::new(State {
                log,
                dir,
                flusher: Arc::clone(&self.flushers[dir]),
                leader_epoch: wanted.leader_epoch,
                in_sync: wanted.isr.len(),
                visibility: Visibility::opened(Offset::ZERO),
                waiting: Waiting::default(),
                flushing: false,
            }),
        })
    }

    fn delete(&self, topic: &TopicImage) {
        let Some((_, known)) = self.by_id.remove(&topic.id) else { return };
        self.by_name.remove_if(&topic.name, |_, current| current.id == topic.id);
        self.metrics.remove_topic(&topic.name);
        for partition in known.partitions() {
            let delay = partition.config().file_delete_delay_ms;
            let dir = partition.retire();
            if let Err(error) =
                self.dirs.delete_partition(&self.dirs.all()[dir], partition.name(), clock::now_ms(), delay)
            {
                tracing::error!(partition = %partition.name(), %error, "cannot set the deleted partition's directory aside");
            }
        }
    }

    /// Re-reads the settings of the topics that a change of configs touches.
    fn configure(&self, image: &Image, delta: &Delta) {
        let brokers_changed = delta.configs.keys().any(|resource| resource.kind == ResourceType::Broker);
        let reconfigure = |topic: &Topic| {
            let config = (self.settings.resolve_config)(image, &topic.name);
            for partition in topic.partitions() {
                partition.set_config(Arc::clone(&config));
            }
        };
        if brokers_changed {
            self.by_name.iter().for_each(|topic| reconfigure(&topic));
            return;
        }
        for resource in delta.configs.keys().filter(|resource| resource.kind == ResourceType::Topic) {
            if let Some(topic) = self.topic(&resource.name) {
                reconfigure(&topic);
            }
        }
    }

    /// Sets aside the directories that no topic of the metadata claims, as Kafka does (`-stray`).
    /// Call once the first image has been acted on.
    pub fn set_strays_aside(&self) {
        for (partition, dir) in std::mem::take(&mut *self.found.lock()) {
            match self.dirs.set_stray_aside(&self.dirs.all()[dir], &partition) {
                Ok(()) => tracing::warn!(%partition, "no topic claims this directory: renamed to -stray"),
                Err(error) => tracing::error!(%partition, %error, "cannot rename a stray directory"),
            }
        }
    }
}

impl Publisher for Manager {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        // Deletions first: a name may be deleted and created again in one change.
        for topic in delta.deleted.values() {
            self.delete(topic);
        }
        for changed in delta.topics.values() {
            self.create(image, &changed.new, &changed.changed);
        }
        if !delta.configs.is_empty() {
            self.configure(image, delta);
        }
        self.image.store(Arc::clone(image));
    }
}
