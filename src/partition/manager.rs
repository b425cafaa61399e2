//! All partitions of this broker, and what a metadata delta means for them.

use super::cleaning::{Cleaning, Standing};
use super::leadership::{Common, IsrChange, IsrCounts, Role};
use super::machine::{Leader, NO_LIMIT, Visibility};
use super::moving::Moves;
use super::state::{Partition, Slot, State, min_isr};
use super::throttles::Throttles;
use super::verification::Verifying;
use super::waiting::Waiting;
use crate::config::Cleaner;
use crate::config::topic::TopicConfig;
use crate::metadata::{Delta, DirectoryId, Image, PartitionImage, Publisher, ResourceType, TopicImage};
use crate::metrics::{Metrics, TopicMetrics};
use crate::model::{ErrorCode, NodeId, Offset, PartitionId, TimestampMs, TopicId, TopicName, TopicPartition};
use crate::rt::clock;
use crate::rt::fs::{Fs, will_pass};
use crate::storage::checkpoint;
use crate::storage::dirs::LogDirs;
use crate::storage::flusher::Flusher;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The effective settings of a topic, from the image and the broker's own.
pub type ResolveConfig = Box<dyn Fn(&Image, &TopicName) -> Arc<TopicConfig> + Send + Sync>;

/// What the manager takes from the broker's settings.
pub struct ManagerSettings {
    pub node: NodeId,
    /// `replica.lag.time.max.ms`
    pub lag_max: std::time::Duration,
    /// `producer.id.expiration.ms`
    pub producer_expiry_ms: i64,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads_per_dir: usize,
    /// `num.replica.alter.log.dirs.threads`
    pub move_threads: usize,
    pub resolve_config: ResolveConfig,
    /// `log.cleaner.*`, as they are now.
    pub cleaner: Box<dyn Fn() -> Cleaner + Send + Sync>,
    pub throttles: Throttles,
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
    common: Arc<Common>,
    fs: Arc<dyn Fs>,
    pub(super) dirs: Arc<LogDirs>,
    /// What the checkpoints of each log directory said at start.
    recovery_points: Vec<HashMap<TopicPartition, Offset>>,
    log_starts: Vec<HashMap<TopicPartition, Offset>>,
    high_watermarks: Vec<HashMap<TopicPartition, Offset>>,
    cleaned_to: Vec<HashMap<TopicPartition, Offset>>,
    /// One per log directory.
    pub(super) flushers: Vec<Arc<Flusher>>,
    pub(super) metrics: Arc<Metrics>,
    by_name: DashMap<TopicName, Arc<Topic>>,
    by_id: DashMap<TopicId, Arc<Topic>>,
    /// Where each partition's directory was found at start; taken out as partitions are made. More than one if
    /// the last life was cut short while it moved.
    found: Mutex<BTreeMap<TopicPartition, SmallVec<[usize; 1]>>>,
    pub(super) moves: Moves,
    pub(super) cleaning: Cleaning,
    /// Whoever writes the checkpoint files.
    pub(super) checkpointing: Mutex<()>,
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
        let mut found: BTreeMap<TopicPartition, SmallVec<[usize; 1]>> = BTreeMap::new();
        for (index, dir) in dirs.all().iter().enumerate() {
            for partition in dir.found_at_start() {
                found.entry(partition.clone()).or_default().push(index);
            }
        }
        let read = |file| dirs.all().iter().map(|dir| dirs.read_checkpoint(dir, file)).collect();
        let (recovery_points, log_starts) = (read(checkpoint::RECOVERY_POINTS), read(checkpoint::LOG_STARTS));
        let cleaned_to = read(checkpoint::CLEANED_TO);
        let high_watermarks = read(checkpoint::HIGH_WATERMARKS);
        Arc::new(Manager {
            common: Arc::new(Common::new(settings.node, settings.lag_max)),
            settings,
            fs,
            dirs,
            recovery_points,
            log_starts,
            high_watermarks,
            cleaned_to,
            flushers,
            metrics,
            by_name: DashMap::new(),
            by_id: DashMap::new(),
            found: Mutex::new(found),
            moves: Moves::default(),
            cleaning: Cleaning::default(),
            checkpointing: Mutex::new(()),
            image: ArcSwap::from_pointee(Image::default()),
        })
    }

    #[must_use]
    pub fn throttles(&self) -> &Throttles {
        &self.settings.throttles
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
        let is_ours = |number: &PartitionId| {
            topic.partition(*number).is_some_and(|wanted| wanted.replicas.contains(&self.settings.node))
        };
        if !changed.iter().any(is_ours) {
            return;
        }
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
        let ours = |number: &&PartitionId| is_ours(number);
        let fresh: Vec<PartitionId> =
            changed.iter().filter(ours).filter(|number| known.partition(**number).is_none()).copied().collect();
        let mut places = self.places(topic, &fresh).into_iter();
        for number in changed.iter().filter(ours) {
            let Some(wanted) = topic.partition(*number) else { continue };
            let partition = known.partition(*number).unwrap_or_else(|| {
                let place = places.next().unwrap_or((0, Slot::Offline));
                let home = DirectoryId(self.dirs.all()[place.0].id());
                let is_news = !matches!(place.1, Slot::Offline) && self.assigned(wanted) != Some(home);
                let partition = self.make(&known, *number, wanted, &config, place);
                if is_news {
                    self.moves.placed(&partition, home);
                }
                let at = usize::try_from(number.0).unwrap_or_default();
                let mut partitions = known.partitions.write();
                if partitions.len() <= at {
                    partitions.resize(at + 1, None);
                }
                partitions[at] = Some(Arc::clone(&partition));
                partition
            });
            partition.stand(wanted, image);
        }
    }

    /// The log directory and the state in which each partition begins: where it was found at start, or where it
    /// is to be made: where it was asked for, where the metadata says, or in the directory with the fewest.
    fn places(&self, topic: &TopicImage, numbers: &[PartitionId]) -> Vec<(usize, Slot)> {
        let dirs = self.dirs.all();
        let mut added: Vec<Vec<(TopicPartition, TopicId)>> = vec![Vec::new(); dirs.len()];
        let mut places: Vec<(usize, Slot)> = numbers
            .iter()
            .map(|number| {
                let name = TopicPartition::new(topic.name.clone(), *number);
                let assigned = topic.partition(*number).and_then(|wanted| self.assigned(wanted));
                if let Some(dir) = self.found_in(&name, assigned) {
                    if !dirs[dir].is_live() {
                        return (dir, Slot::Offline);
                    }
                    let known = |offsets: &[HashMap<TopicPartition, Offset>]| {
                        offsets.get(dir).and_then(|offsets| offsets.get(&name)).copied().unwrap_or(Offset::ZERO)
                    };
                    let (recovery_point, log_start) = (known(&self.recovery_points), known(&self.log_starts));
                    let high_watermark = known(&self.high_watermarks);
                    let cleaned_to = self.cleaned_to.get(dir).and_then(|offsets| offsets.get(&name)).copied();
                    let clean = dirs[dir].was_closed_cleanly();
                    return (dir, Slot::Cold { clean, recovery_point, log_start, high_watermark, cleaned_to });
                }
                if let Some(failed) = assigned.and_then(|id| self.failed_home(id)) {
                    // It has a log, which cannot be read now. An empty one in its place would be a loss.
                    tracing::error!(partition = %name, "its log directory has failed: offline");
                    return (failed, Slot::Offline);
                }
                let live = |dir: &usize| dirs[*dir].is_live();
                let dir = self.moves.take_preferred(&name).filter(live);
                let dir = dir.or_else(|| assigned.and_then(|id| dirs.iter().position(|dir| dir.id() == id.0)));
                let dir = dir.or_else(|| {
                    (0..dirs.len()).filter(live).min_by_key(|dir| dirs[*dir].partitions() + added[*dir].len())
                });
                let Some(dir) = dir else { return (0, Slot::Offline) };
                added[dir].push((name, topic.id));
                (
                    dir,
                    Slot::Cold {
                        clean: true,
                        recovery_point: Offset::ZERO,
                        log_start: Offset::ZERO,
                        high_watermark: Offset::ZERO,
                        cleaned_to: None,
                    },
                )
            })
            .collect();
        for (dir, new) in added.iter().enumerate().filter(|(_, new)| !new.is_empty()) {
            match self.dirs.create_partitions(&dirs[dir], new) {
                Ok(()) => {}
                Err(error) if will_pass(&error) => {
                    tracing::warn!(topic = %topic.name, %error, "the topic's directories are made when there is room");
                }
                Err(error) => {
                    tracing::error!(topic = %topic.name, %error, "cannot create the topic's directories");
                    self.dirs.fail(&dirs[dir], &error.to_string());
                    for place in places.iter_mut().filter(|(at, _)| *at == dir) {
                        place.1 = Slot::Offline;
                    }
                }
            }
        }
        places
    }

    /// The directory that the metadata names for this broker's replica.
    fn assigned(&self, partition: &PartitionImage) -> Option<DirectoryId> {
        let replica = partition.replicas.iter().position(|id| *id == self.settings.node)?;
        let named = partition.directories.get(replica).copied()?;
        let says_nothing = [DirectoryId::UNASSIGNED, DirectoryId::MIGRATING, DirectoryId::LOST].contains(&named);
        (!says_nothing).then_some(named)
    }

    /// Where a partition was found at start. In two directories: the metadata decides, since it is told of a move
    /// after the move; the other one is set aside.
    fn found_in(&self, name: &TopicPartition, assigned: Option<DirectoryId>) -> Option<usize> {
        let found = self.found.lock().remove(name)?;
        let dirs = self.dirs.all();
        let named = found.iter().copied().find(|dir| assigned.is_some_and(|id| dirs[*dir].id() == id.0));
        let home =
            named.or_else(|| found.iter().copied().find(|dir| dirs[*dir].is_live())).or(found.first().copied())?;
        for other in found.into_iter().filter(|dir| *dir != home) {
            tracing::warn!(
                partition = %name,
                used = %dirs[home].path().display(),
                set_aside = %dirs[other].path().display(),
                "it lies in two log directories: a move was cut short"
            );
            self.set_stray_aside(name, other);
        }
        Some(home)
    }

    /// The directory, failed, in which a partition must lie that was found nowhere.
    fn failed_home(&self, assigned: DirectoryId) -> Option<usize> {
        let dirs = self.dirs.all();
        match dirs.iter().position(|dir| dir.id() == assigned.0) {
            Some(dir) => (!dirs[dir].is_live()).then_some(dir),
            // One that failed before it could be asked for its id; or it is not in log.dirs any more.
            None => dirs.iter().position(|dir| !dir.is_live() && dir.id().is_nil()),
        }
    }

    fn set_stray_aside(&self, partition: &TopicPartition, dir: usize) {
        if let Err(error) = self.dirs.set_stray_aside(&self.dirs.all()[dir], partition) {
            tracing::error!(%partition, %error, "cannot rename a stray directory");
        }
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
            common: Arc::clone(&self.common),
            fs: Arc::clone(&self.fs),
            dirs: Arc::clone(&self.dirs),
            producer_expiry_ms: self.settings.producer_expiry_ms,
            config: ArcSwap::new(Arc::clone(config)),
            appended: AtomicBool::new(false),
            state: Mutex::new(State {
                log,
                dir,
                flusher: Arc::clone(&self.flushers[dir]),
                moves: 0,
                leader_epoch: wanted.leader_epoch,
                role: self.role(wanted),
                min_isr: min_isr(config),
                visibility: Visibility::opened(Offset::ZERO, Offset::ZERO, NO_LIMIT),
                waiting: Waiting::default(),
                flushing: false,
                cleaning: Standing::default(),
                complained: TimestampMs::NONE,
                verifying: Verifying::default(),
            }),
        })
    }

    /// What this broker is to a partition that it did not have.
    fn role(&self, wanted: &PartitionImage) -> Role {
        let me = self.settings.node;
        match wanted.leader {
            Some(leader) if leader == me && wanted.isr.contains(&me) => {
                Role::Leader(Box::new(Leader::new(me, wanted, clock::steady_ms())))
            }
            leader => Role::Follower { leader: leader.filter(|leader| *leader != me) },
        }
    }

    /// How in-sync replicas have changed.
    #[must_use]
    pub fn isr_counts(&self) -> &IsrCounts {
        &self.common.counts
    }

    /// Resolves once partitions want their in-sync replicas changed.
    pub async fn isr_changes(&self) -> Vec<IsrChange> {
        self.common.proposals().await
    }

    /// The partitions that this broker is to hold no longer.
    fn let_go(&self, topic: &TopicImage, changed: &[PartitionId]) {
        let Some(known) = self.topic_by_id(topic.id) else { return };
        for number in changed {
            let stays = topic.partition(*number).is_some_and(|wanted| wanted.replicas.contains(&self.settings.node));
            let at = usize::try_from(number.0).unwrap_or_default();
            if stays || known.partition(*number).is_none() {
                continue;
            }
            let gone = known.partitions.write().get_mut(at).and_then(Option::take);
            if let Some(partition) = gone {
                self.cleaning.checkpoint_due.store(true, Ordering::Relaxed);
                self.set_deleted_aside(&partition, ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
        }
        if known.partitions().is_empty() {
            self.by_id.remove(&topic.id);
            self.by_name.remove_if(&topic.name, |_, current| current.id == topic.id);
            self.metrics.remove_topic(&topic.name);
        }
    }

    /// Tells who waits at a partition that it is not here any more, and renames its directory.
    fn set_deleted_aside(&self, partition: &Arc<Partition>, error: ErrorCode) {
        let delay = partition.config().file_delete_delay_ms;
        let dir = &self.dirs.all()[partition.retire(error)];
        if let Err(error) = self.dirs.delete_partition(dir, partition.name(), clock::now_ms(), delay) {
            self.dir_refused(dir, &format!("cannot set the deleted partition {} aside", partition.name()), &error);
        }
    }

    fn delete(&self, topic: &TopicImage) {
        let Some((_, known)) = self.by_id.remove(&topic.id) else { return };
        self.by_name.remove_if(&topic.name, |_, current| current.id == topic.id);
        self.metrics.remove_topic(&topic.name);
        // So that a new topic of the name is not taken for clean.
        self.cleaning.checkpoint_due.store(true, Ordering::Relaxed);
        for partition in known.partitions() {
            self.set_deleted_aside(&partition, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
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
        for (partition, dirs) in std::mem::take(&mut *self.found.lock()) {
            tracing::warn!(%partition, "no topic claims this directory: renamed to -stray");
            dirs.into_iter().for_each(|dir| self.set_stray_aside(&partition, dir));
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
            self.let_go(&changed.new, &changed.changed);
            self.create(image, &changed.new, &changed.changed);
        }
        if !delta.brokers.is_empty() {
            self.all().iter().for_each(|partition| partition.brokers_changed(image));
        }
        if !delta.configs.is_empty() {
            self.configure(image, delta);
        }
        self.image.store(Arc::clone(image));
    }
}
