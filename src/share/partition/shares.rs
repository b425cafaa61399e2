//! The share partitions of this broker (`SharePartitionManager`, `SharePartitionCache`).
//!
//! One comes to be with the first fetch, which has it loaded in the background, and goes when the leadership moves, the
//! partition is deleted, somebody else has written its state, or the last session of its group on this broker has ended.

use super::held::{Held, Key};
use super::machine::{SharePartition, Terms};
use crate::config::{self, ShareConfig, ShareReset};
use crate::metadata::{ConfigResource, Delta, Image, Publisher, ResourceType, Store};
use crate::model::{ErrorCode, GroupId, MemberId, NodeId, Offset};
use crate::partition::Partition;
use crate::rt::clock;
use crate::share::persister::{Persister, Refused, SharedPartition, StateEpoch};
use crate::share::session::Sessions;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// `share.version`: the feature without which there are no share groups.
const FEATURE: &str = "share.version";

/// See the module.
pub struct Shares {
    config: Arc<config::Live>,
    metadata: Arc<Store>,
    pub(super) persister: Arc<Persister>,
    held: Mutex<BTreeMap<Key, Arc<Held>>>,
    sessions: Sessions,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// The metadata changes on a thread of its own, and connections end on any.
    handle: Handle,
}

impl Shares {
    /// Holds nothing. To be called within tokio.
    #[must_use]
    pub fn new(config: Arc<config::Live>, metadata: Arc<Store>, persister: Arc<Persister>) -> Arc<Shares> {
        Arc::new(Shares {
            config,
            metadata,
            persister,
            held: Mutex::default(),
            sessions: Sessions::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            handle: Handle::current(),
        })
    }

    /// Lets share partitions go as the metadata says. Call it once the partitions follow the metadata.
    pub fn start(self: &Arc<Self>) {
        self.metadata.subscribe(Arc::new(Follower(Arc::clone(self))));
    }

    /// Lets everything go.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let all = std::mem::take(&mut *self.held.lock());
        all.values().for_each(|held| held.fence(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether the cluster has share groups.
    #[must_use]
    pub fn are_enabled(&self) -> bool {
        self.metadata.load().feature(FEATURE) > 0
    }

    /// The sessions of members with this broker.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What the group goes by.
    #[must_use]
    pub fn config(&self, group: &GroupId) -> ShareConfig {
        let image = self.metadata.load();
        let own = image.config(&ConfigResource::new(ResourceType::Group, group.as_str()));
        ShareConfig::resolve((!own.is_empty()).then_some(own), self.config.load().settings())
    }

    pub(super) fn terms(&self, group: &GroupId) -> Terms {
        let config = self.config(group);
        Terms {
            delivery_limit: config.delivery_count,
            in_flight_max: i64::try_from(config.record_locks).unwrap_or(i64::MAX),
            lock_ms: i64::try_from(config.record_lock.as_millis()).unwrap_or(i64::MAX),
            renews: config.renews,
        }
    }

    pub(super) fn node(&self) -> NodeId {
        self.config.load().settings().node_id
    }

    pub(super) fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    /// The share partition, if it is here.
    pub(super) fn get(&self, group: &GroupId, at: SharedPartition) -> Option<Arc<Held>> {
        self.held.lock().get(&Key { group: group.clone(), at }).map(Arc::clone)
    }

    /// The share partition; the first who asks has it loaded.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER`.
    pub(super) fn hold(
        self: &Arc<Self>,
        group: &GroupId,
        at: SharedPartition,
        partition: &Arc<Partition>,
    ) -> Result<Arc<Held>, ErrorCode> {
        let key = Key { group: group.clone(), at };
        let held = {
            let mut all = self.held.lock();
            if let Some(held) = all.get(&key) {
                return Ok(Arc::clone(held));
            }
            let (leader, epoch) = partition.leader();
            if leader != Some(self.node()) {
                return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
            let held = Arc::new(Held::new(key.clone(), Arc::clone(partition), epoch));
            all.insert(key, Arc::clone(&held));
            held
        };
        let (shares, loading) = (Arc::clone(self), Arc::clone(&held));
        self.spawn(async move {
            let loaded = shares.load(&loading).await;
            if loaded.is_err() {
                shares.forget(&loading);
            }
            loading.loaded(loaded);
        });
        Ok(held)
    }

    /// What the persister knows, else where the group's settings say that it begins.
    async fn load(&self, held: &Held) -> Result<(SharePartition, StateEpoch), Refused> {
        let Key { group, at } = &held.key;
        let mut read = self.persister.read(group, vec![(*at, held.leader_epoch.0)]).await;
        let state = read.pop().unwrap_or_else(|| Err(refused(ErrorCode::UNKNOWN_SERVER_ERROR)));
        let state = state.map_err(|refused| {
            tracing::debug!(%group, partition = %held.partition.name(), ?refused, "a share partition cannot be loaded");
            as_told(refused)
        })?;
        let start = match state.start_offset {
            Some(start) => start,
            None => first_offset(&held.partition, self.config(group).auto_offset_reset).map_err(refused)?,
        };
        match SharePartition::load(start, &state.batches) {
            Ok(machine) => Ok((machine, state.state_epoch)),
            Err(error) => {
                tracing::error!(%group, partition = %held.partition.name(), %error, "the state of a share partition is bad");
                Err(refused(ErrorCode::UNKNOWN_SERVER_ERROR))
            }
        }
    }

    /// Lets it go; who asks for it again has it loaded anew.
    pub(super) fn forget(&self, held: &Arc<Held>) {
        let mut all = self.held.lock();
        if all.get(&held.key).is_some_and(|known| Arc::ptr_eq(known, held)) {
            all.remove(&held.key);
        }
    }

    /// As [`Shares::forget`], and nothing comes of what is still done with it.
    pub(super) fn drop_fenced(&self, held: &Arc<Held>, code: ErrorCode) {
        self.forget(held);
        held.fence(code);
    }

    fn drop_where(&self, code: ErrorCode, mut is: impl FnMut(&Held) -> bool) {
        let gone: Vec<Arc<Held>> = self.held.lock().values().filter(|held| is(held)).map(Arc::clone).collect();
        gone.iter().for_each(|held| self.drop_fenced(held, code));
    }

    /// Ends a member's session, gives back what it holds, and lets the group go if that was its last session here. Nobody
    /// has to wait for that.
    pub fn leave(self: &Arc<Self>, group: &GroupId, member: &MemberId) {
        let Some(partitions) = self.sessions.remove(group, member) else { return };
        let (shares, group, member) = (Arc::clone(self), group.clone(), member.clone());
        self.spawn(async move {
            shares.release(&group, &member, &partitions).await;
            if !shares.sessions.has_any(&group) {
                shares.drop_where(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |held| held.key.group == group);
            }
        });
    }

    /// Runs a task until the broker stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = task => {}
            }
        };
        self.tasks.spawn_on(task, &self.handle);
    }

    fn publish(&self, image: &Image, delta: &Delta) {
        if delta.features.contains_key(FEATURE) && image.feature(FEATURE) == 0 {
            self.sessions.clear();
            self.drop_where(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |_| true);
        }
        if !delta.deleted.is_empty() {
            let deleted = |held: &Held| delta.deleted.contains_key(&held.key.at.topic);
            self.drop_where(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, deleted);
        }
        if !delta.topics.is_empty() {
            let node = self.node();
            self.drop_where(ErrorCode::NOT_LEADER_OR_FOLLOWER, |held| {
                let SharedPartition { topic, partition } = held.key.at;
                if !delta.topics.get(&topic).is_some_and(|change| change.changed.contains(&partition)) {
                    return false;
                }
                let now = image.topic_by_id(topic).and_then(|topic| topic.partition(partition));
                now.is_none_or(|now| now.leader != Some(node) || !held.still_led(now.leader_epoch))
            });
        }
    }
}

struct Follower(Arc<Shares>);

impl Publisher for Follower {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        self.0.publish(image, delta);
    }
}

pub(super) fn refused(code: ErrorCode) -> Refused {
    Refused { code, message: None }
}

/// The persister's error as members hear it (`SharePartition.fetchPersisterError`).
pub(super) fn as_told(refused: Refused) -> Refused {
    let code = match refused.code {
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => refused.code,
        ErrorCode::FENCED_LEADER_EPOCH | ErrorCode::FENCED_STATE_EPOCH => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::SASL_AUTHENTICATION_FAILED | ErrorCode::UNSUPPORTED_VERSION => {
            let message = Some("Unable to complete operation due to server error.".to_owned());
            return Refused { code: ErrorCode::UNKNOWN_SERVER_ERROR, message };
        }
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    };
    Refused { code, message: refused.message }
}

/// Where a group begins that has read nothing yet.
fn first_offset(partition: &Partition, reset: ShareReset) -> Result<Offset, ErrorCode> {
    let positions = partition.positions()?;
    match reset {
        ShareReset::Earliest => Ok(positions.log_start),
        ShareReset::Latest => Ok(positions.high_watermark),
        ShareReset::ByDuration(back) => {
            let since = clock::now_ms().minus(i64::try_from(back.as_millis()).unwrap_or(i64::MAX));
            let found = partition.offset_for_timestamp(since)?;
            let found = found.filter(|found| found.offset < positions.high_watermark);
            found.map(|found| found.offset).ok_or(ErrorCode::OFFSET_NOT_AVAILABLE)
        }
    }
}
