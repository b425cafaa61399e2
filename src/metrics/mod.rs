//! What the broker counts, and how it is shown: Prometheus (OpenMetrics) text.
//!
//! The hot path holds handles ([`ApiMetrics`], [`TopicMetrics`], [`ListenerMetrics`]) that are
//! nothing but atomics; names, labels and text exist only when somebody scrapes. What is cheaper to
//! ask for than to keep (log sizes, offsets, partition counts) comes from closures that
//! [`Metrics::register`] takes and a scrape calls.
//!
//! Every name begins with `klamm_`; the list with its meaning is in `render.rs`.

mod handles;
mod histogram;
mod render;

pub use handles::{
    ApiMetrics, CleanerMetrics, CoordinatorMetrics, Count, FlushMetrics, Level, ListenerMetrics, Rejection,
    ThrottleMetrics, Throttled, TopicMetrics,
};
pub use histogram::Histogram;
pub use render::{CONTENT_TYPE, PartitionSample, Sample, Series};

use crate::model::{TimestampMs, TopicName};
use dashmap::DashMap;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Asked at every scrape for what nobody keeps a counter of.
pub type Collect = Box<dyn Fn(&mut Sample) + Send + Sync>;

/// All metrics of one broker.
pub struct Metrics {
    /// By API key; `None` for keys that are not served.
    apis: Vec<Option<ApiMetrics>>,
    unknown_api: ApiMetrics,
    topics: DashMap<TopicName, Arc<TopicMetrics>>,
    listeners: Mutex<Vec<(String, Arc<ListenerMetrics>)>>,
    rejected: [Count; Rejection::ALL.len()],
    throttled: [ThrottleMetrics; Throttled::ALL.len()],
    /// Bytes granted to requests that are not answered yet (`queued.max.request.bytes`): for large frames, and for
    /// what bodies were decoded to.
    pub request_bytes_in_flight: Level,
    pub flush: Arc<FlushMetrics>,
    pub cleaner: CleanerMetrics,
    coordinators: Mutex<Vec<(&'static str, Arc<CoordinatorMetrics>)>>,
    started: TimestampMs,
    collectors: Mutex<Vec<Collect>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// `apis`: key and name of every API that is served.
    #[must_use]
    pub fn new(apis: impl IntoIterator<Item = (i16, &'static str)>, started: TimestampMs) -> Arc<Metrics> {
        let mut by_key = Vec::new();
        for (key, name) in apis {
            let slot = usize::try_from(key).unwrap_or_default();
            if by_key.len() <= slot {
                by_key.resize_with(slot + 1, || None);
            }
            by_key[slot] = Some(ApiMetrics::new(name));
        }
        Arc::new(Metrics {
            apis: by_key,
            unknown_api: ApiMetrics::new("Unknown"),
            topics: DashMap::new(),
            listeners: Mutex::new(Vec::new()),
            rejected: std::array::from_fn(|_| Count::default()),
            throttled: Default::default(),
            request_bytes_in_flight: Level::default(),
            flush: Arc::default(),
            cleaner: CleanerMetrics::default(),
            coordinators: Mutex::default(),
            started,
            collectors: Mutex::new(Vec::new()),
        })
    }

    /// The counters of an API by its key: an index, no hashing. Keys that are not served share one set.
    #[must_use]
    pub fn api(&self, key: i16) -> &ApiMetrics {
        usize::try_from(key).ok().and_then(|key| self.apis.get(key)?.as_ref()).unwrap_or(&self.unknown_api)
    }

    /// The counters of a topic. Ask once when a partition is created, and keep the handle.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> Arc<TopicMetrics> {
        Arc::clone(&self.topics.entry(name.clone()).or_default())
    }

    /// Forgets a topic that was deleted. Handles still held count into nothing.
    pub fn remove_topic(&self, name: &TopicName) {
        self.topics.remove(name);
    }

    /// The counters of a listener. Ask once when it is bound.
    #[must_use]
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        // The encoder writes labels as they are, and a listener's name is whatever the operator chose.
        let label = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut listeners = self.listeners.lock();
        if let Some((_, known)) = listeners.iter().find(|(known, _)| *known == label) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(ListenerMetrics::default());
        listeners.push((label, Arc::clone(&fresh)));
        fresh
    }

    /// Shows what a runtime of coordinators counts, under the name of what they coordinate.
    pub fn coordinator(&self, of: &'static str, metrics: &Arc<CoordinatorMetrics>) {
        self.coordinators.lock().push((of, Arc::clone(metrics)));
    }

    /// A connection was turned away or cut off.
    pub fn rejected(&self, why: Rejection) {
        self.rejected[why as usize].inc();
    }

    /// A client exceeded a quota, and has to wait for so long.
    pub fn throttled(&self, of: Throttled, milliseconds: u64) {
        let metrics = &self.throttled[of as usize];
        metrics.times.inc();
        metrics.milliseconds.add(milliseconds);
    }

    /// Adds a closure that every scrape calls.
    pub fn register(&self, collect: Collect) {
        self.collectors.lock().push(collect);
    }
}
