//! Client quotas: what clients may take a second, and for how long they must wait when they took more.
//!
//! [`Quotas`] follows the metadata. Without a quota it costs whoever asks one load. What a client took is counted where it
//! is served; the answer tells how long to wait, and the connection is muted for that time ([`Mute`]).

pub mod machine;
mod mute;

pub use mute::Mute;

use crate::config::settings;
use crate::metadata::{Delta, Image, Publisher, QuotaEntity};
use crate::metrics::{Metrics, Throttled};
use crate::rt::clock;
use arc_swap::ArcSwap;
use machine::{AddressLimits, Bucket, Limits, Rate, Scope, Windows};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Most clients whose use is counted one by one, for each kind of quota. More than that share one count each user, so
/// that client ids made up for the purpose neither fill the memory nor get around a quota.
const CLIENTS_MAX: usize = 10_000;

/// A client, as quotas know it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The name of its principal.
    pub user: &'a str,
    /// Empty: it gave none.
    pub id: &'a str,
}

/// Kinds of quotas that have a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Produce,
    Fetch,
    Request,
}

#[derive(Debug, Default)]
struct All {
    rates: [Limits; 3],
    mutations: Limits,
    addresses: AddressLimits,
}

impl All {
    fn new(image: &Image) -> All {
        fn each(image: &Image) -> impl Iterator<Item = (&QuotaEntity, &crate::metadata::Quotas)> {
            image.quotas.iter().map(|(entity, quotas)| (entity, quotas.as_ref()))
        }
        let of = |key| Limits::new(each(image), key);
        All {
            rates: [of("producer_byte_rate"), of("consumer_byte_rate"), of("request_percentage")],
            mutations: of("controller_mutation_rate"),
            addresses: AddressLimits::new(each(image), "connection_creation_rate"),
        }
    }
}

/// What each client has used, by user and client id.
type Used<T> = Mutex<HashMap<(String, String), T>>;

/// See the module.
#[derive(Debug)]
pub struct Quotas {
    limits: ArcSwap<All>,
    /// Some client is limited in some way, addresses aside.
    any: AtomicBool,
    rates: [Used<Rate>; 3],
    buckets: Used<Bucket>,
    windows: Windows,
    mutation_windows: Windows,
    /// Where our milliseconds begin.
    epoch: Instant,
    metrics: Arc<Metrics>,
}

impl Quotas {
    #[must_use]
    pub fn new(settings: &settings::Quotas, metrics: Arc<Metrics>) -> Quotas {
        Quotas {
            limits: ArcSwap::default(),
            any: AtomicBool::new(false),
            rates: Default::default(),
            buckets: Used::default(),
            windows: settings.clients,
            mutation_windows: settings.mutations,
            epoch: clock::now(),
            metrics,
        }
    }

    /// Whether any client is limited.
    #[must_use]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Whether the time that requests take is to be measured.
    #[must_use]
    pub fn measures_time(&self) -> bool {
        self.any() && !self.limits.load().rates[Kind::Request as usize].is_empty()
    }

    /// A client sent so many bytes of records. Answers for how many milliseconds it must wait.
    pub fn produced(&self, client: Client<'_>, bytes: usize) -> u64 {
        let ms = self.record(Kind::Produce, client, bytes as f64);
        self.throttled(Throttled::Produce, ms)
    }

    /// A client is to get so many bytes. Answers for how many milliseconds it must wait; if it must, it gets nothing and
    /// they do not count.
    pub fn fetched(&self, client: Client<'_>, bytes: usize, must_wait_anyway: bool) -> u64 {
        let ms = self.record(Kind::Fetch, client, bytes as f64);
        if ms > 0 || must_wait_anyway {
            self.record(Kind::Fetch, client, -(bytes as f64));
        }
        self.throttled(Throttled::Fetch, ms)
    }

    /// The most bytes that a client can get at once without having to wait in any case.
    #[must_use]
    pub fn fetchable(&self, client: Client<'_>) -> Option<usize> {
        let limit = self.limits.load().rates[Kind::Fetch as usize].of(client.user, client.id)?;
        let seconds = (f64::from(self.windows.count) - 1.0) * (self.windows.size as f64 / 1000.0);
        Some((limit.value * seconds) as usize)
    }

    /// A request of a client took so much of our time. Answers for how many milliseconds the client must wait: one
    /// window at most.
    pub fn worked(&self, client: Client<'_>, time: Duration) -> u64 {
        let percent = time.as_secs_f64() * 100.0;
        let ms = self.record(Kind::Request, client, percent).min(u64::try_from(self.windows.size).unwrap_or(0));
        self.throttled(Throttled::Request, ms)
    }

    /// A client wants to create or delete so many partitions.
    ///
    /// # Errors
    /// For how many milliseconds it must wait. If that is strict, nothing may be done; else it is done and counted.
    pub fn mutate(&self, client: Client<'_>, partitions: u32, strict: bool) -> Result<(), u64> {
        let Some(limit) = self.limits.load().mutations.of(client.user, client.id) else { return Ok(()) };
        let (now, windows) = (self.now(), self.mutation_windows);
        let mut buckets = self.buckets.lock();
        let bucket =
            slot(&mut buckets, client, limit.scope, |bucket: &mut Bucket| bucket.is_full(limit.value, now, windows));
        let mut overdrawn = bucket.overdrawn(limit.value, now, windows);
        if !strict || overdrawn == 0 {
            bucket.take(f64::from(partitions), limit.value, now, windows);
        }
        if !strict {
            overdrawn = bucket.overdrawn(limit.value, now, windows);
        }
        match self.throttled(Throttled::ControllerMutation, overdrawn) {
            0 => Ok(()),
            ms => Err(ms),
        }
    }

    /// How many connections a second an address may make.
    #[must_use]
    pub fn connection_rate(&self, address: IpAddr) -> Option<f64> {
        self.limits.load().addresses.of(address)
    }

    pub(crate) fn windows(&self) -> Windows {
        self.windows
    }

    /// Adds to what a client has used; answers for how many milliseconds it is too much.
    fn record(&self, kind: Kind, client: Client<'_>, value: f64) -> u64 {
        let Some(limit) = self.limits.load().rates[kind as usize].of(client.user, client.id) else { return 0 };
        let (now, windows) = (self.now(), self.windows);
        let mut rates = self.rates[kind as usize].lock();
        let rate = slot(&mut rates, client, limit.scope, |rate: &mut Rate| rate.is_over(now, windows));
        rate.record(value, now, windows);
        rate.excess(limit.value, now, windows)
    }

    fn throttled(&self, of: Throttled, ms: u64) -> u64 {
        if ms > 0 {
            self.metrics.throttled(of, ms);
        }
        ms
    }

    /// Milliseconds of a clock that never goes back.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from(clock::now().saturating_duration_since(self.epoch).as_millis()).unwrap_or(i64::MAX)
    }
}

/// What a client used so far. `is_void`: it makes no difference any more.
fn slot<'a, T: Default>(
    used: &'a mut HashMap<(String, String), T>,
    client: Client<'_>,
    scope: Scope,
    mut is_void: impl FnMut(&mut T) -> bool,
) -> &'a mut T {
    let key = match scope {
        Scope::UserAndClient => (client.user.to_owned(), client.id.to_owned()),
        Scope::User => (client.user.to_owned(), String::new()),
        Scope::Client => (String::new(), client.id.to_owned()),
    };
    let key = if used.len() < CLIENTS_MAX || used.contains_key(&key) {
        key
    } else {
        used.retain(|_, one| !is_void(one));
        if used.len() < CLIENTS_MAX { key } else { (key.0, String::new()) }
    };
    used.entry(key).or_default()
}

impl Publisher for Quotas {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        if delta.quotas.is_empty() {
            return;
        }
        let all = All::new(image);
        let any = all.rates.iter().chain([&all.mutations]).any(|limits| !limits.is_empty());
        self.limits.store(Arc::new(all));
        self.any.store(any, Relaxed);
    }
}

#[cfg(test)]
mod tests;
