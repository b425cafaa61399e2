//! Limits that all connections share: how many there may be, and how many bytes of requests.
//!
//! The limits on connections are read from the live settings whenever a connection asks, so a dynamic change
//! acts on the next one; connections that are there already stay, as in Kafka.
//!
//! `queued.max.request.bytes` bounds the bytes of requests that are received and not answered, in three parts: the
//! frames, taken before a body is read; what bodies become when they are decoded, taken before they are; and what busy
//! connections read ahead. Who holds of the first may wait for the second, never the other way round, so that nobody
//! waits for somebody who waits. Nobody waits for the third: without it a connection reads ahead less.

use super::incoming::Buffers;
use super::journal::Journal;
use super::pace::Pace;
use super::strangers::Strangers;
use crate::access::quotas::Quotas;
use crate::config::settings::Network;
use crate::config::{Listener, ListenerName, Live};
use crate::metrics::{Metrics, Rejection};
use crate::wire::{Cost, DECODED_MAX};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// One permit of the request memory stands for this many bytes.
const UNIT: usize = 1024;
/// Frames up to this size need no permit: the limit on connections bounds them.
pub(super) const FREE: usize = 16 * 1024;
/// The same for what they are decoded to.
pub(super) const DECODED_FREE: usize = 64 * 1024;
/// What one request may be decoded to, even if less is kept for all of them.
const ALONE: usize = 4 * 1024 * 1024;
/// Of the request memory one part in this many is kept for decoded requests, and one for reading ahead.
const PART: usize = 4;
/// Connections that are turned away later are held for so long; no more than these.
const TURNED_AWAY_MAX: usize = 1000;
/// How long a listener that waits for a place goes without looking at the settings again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// `max.connections`, `max.connections.per.ip` with its overrides, `listener.name.<name>.max.connections`,
/// `queued.max.request.bytes`.
pub struct Limits {
    config: Arc<Live>,
    counts: Mutex<Counts>,
    pace: Pace,
    turned_away: Arc<Semaphore>,
    /// A connection ended: its place may be taken.
    freed: Notify,
    pub(super) frames: Memory,
    pub(super) decoded: Memory,
    pub(super) buffers: Buffers,
    pub(super) strangers: Arc<Strangers>,
    pub(super) journal: Journal,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_listener: HashMap<ListenerName, usize>,
    by_ip: HashMap<IpAddr, usize>,
}

/// Bytes that requests may hold.
pub(super) struct Memory {
    free: Arc<Semaphore>,
    units: usize,
}

/// Bytes that a request holds. Given back when it is dropped.
pub(super) struct Grant {
    permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

/// Held by a connection while it lives.
pub(super) struct Admission {
    limits: Arc<Limits>,
    listener: ListenerName,
    ip: IpAddr,
}

/// Why a connection is turned away: its address has too many, or made too many in too short a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    TooMany,
    /// The address is to wait for so long.
    TooFast(Duration),
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// For anybody: until somebody leaves.
    Broker,
    /// For this address: it is turned away.
    Address,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        counts.total -= 1;
        take_one(&mut counts.by_listener, &self.listener);
        take_one(&mut counts.by_ip, &self.ip);
        drop(counts);
        // Every listener that waits looks whether the place is for it.
        self.limits.freed.notify_waiters();
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Limits {
    #[must_use]
    pub fn new(config: Arc<Live>, metrics: Arc<Metrics>, quotas: Arc<Quotas>) -> Arc<Limits> {
        let whole = config.load().settings().network.request_bytes_in_flight_max;
        let (decoded, read_ahead) = ((whole / PART).min(DECODED_MAX.0), whole / PART);
        Arc::new(Limits {
            strangers: Strangers::new(Arc::clone(&config)),
            journal: Journal::default(),
            config,
            counts: Mutex::default(),
            pace: Pace::new(quotas, Arc::clone(&metrics)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            freed: Notify::new(),
            frames: Memory::new(whole - decoded - read_ahead),
            decoded: Memory::new(decoded),
            buffers: Buffers::new(read_ahead),
            metrics,
        })
    }

    /// Waits for a place for a connection from `ip` that `listener` has accepted, as Kafka's acceptor does, which
    /// accepts no other meanwhile.
    ///
    /// # Errors
    /// That address may have no more, or not yet.
    pub(super) async fn admit(self: &Arc<Self>, listener: &Listener, ip: IpAddr) -> Result<Admission, Refused> {
        self.keep_pace(&listener.name, ip).await?;
        let mut waited = false;
        loop {
            // Before the look, so that nobody leaves unnoticed between the two.
            let freed = self.freed.notified();
            match self.try_admit(&listener.name, ip) {
                Ok(()) => {
                    return Ok(Admission { limits: Arc::clone(self), listener: listener.name.clone(), ip });
                }
                Err(Full::Address) => {
                    self.metrics.rejected(Rejection::MaxConnectionsPerIp);
                    return Err(Refused::TooMany);
                }
                Err(Full::Broker) => {
                    if !std::mem::replace(&mut waited, true) {
                        self.metrics.rejected(Rejection::MaxConnections);
                        self.journal.full(listener);
                    }
                    // Whether it was a place or the time, the next look tells.
                    let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
                }
            }
        }
    }

    /// Waits as long as the rates of the broker and of the listener want it.
    async fn keep_pace(&self, listener: &ListenerName, ip: IpAddr) -> Result<(), Refused> {
        let pause = self.pace.count(&self.config.load().settings().network, listener);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let network = &self.config.load();
        self.pace.count_address(&network.settings().network, listener, ip).map_err(Refused::TooFast)
    }

    /// A place among the connections that are turned away later.
    pub(super) fn place_to_wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turned_away).try_acquire_owned().ok()
    }

    fn try_admit(&self, listener: &ListenerName, ip: IpAddr) -> Result<(), Full> {
        let config = self.config.load();
        let network = &config.settings().network;
        let mut counts = self.counts.lock();
        counts.fits(network, listener, ip)?;
        counts.total += 1;
        *counts.by_listener.entry(listener.clone()).or_insert(0) += 1;
        *counts.by_ip.entry(ip).or_insert(0) += 1;
        Ok(())
    }

    /// Accounts for bytes that were granted.
    pub(super) fn granted(&self, permit: OwnedSemaphorePermit) -> Grant {
        self.metrics.request_bytes_in_flight.add(bytes(&permit));
        Grant { permit, metrics: Arc::clone(&self.metrics) }
    }
}

impl Counts {
    fn fits(&self, network: &Network, listener: &ListenerName, ip: IpAddr) -> Result<(), Full> {
        let overridden = network.connections_per_ip_overrides.iter().find(|(of, _)| *of == ip);
        let ip_max = overridden.map_or(network.connections_per_ip_max, |(_, max)| *max);
        if self.by_ip.get(&ip).copied().unwrap_or(0) >= ip_max {
            return Err(Full::Address);
        }
        let of_listener = network.connections_per_listener.iter().find(|(name, _)| name == listener);
        if let Some((_, max)) = of_listener
            && self.by_listener.get(listener).copied().unwrap_or(0) >= *max
        {
            return Err(Full::Broker);
        }
        // Clients cannot keep brokers out: the brokers' own listener, if it is one of several, is not counted out.
        if !network.is_protected(listener) && self.total >= network.connections_max {
            Err(Full::Broker)
        } else {
            Ok(())
        }
    }
}

impl Memory {
    fn new(bytes: usize) -> Memory {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Memory { free: Arc::new(Semaphore::new(units)), units }
    }

    pub(super) fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.free)
    }

    /// Permits for `bytes`. What is larger than the whole takes all of it, alone.
    pub(super) fn units(&self, bytes: usize) -> u32 {
        u32::try_from((bytes / UNIT + 1).min(self.units)).unwrap_or(u32::MAX)
    }

    /// There could be room for `cost`, if nobody else had any; or it is so little that it may have all of it, alone.
    pub(super) fn could_hold(&self, cost: Cost) -> bool {
        cost.0 <= ALONE || cost.0 / UNIT < self.units
    }
}

fn bytes(permit: &OwnedSemaphorePermit) -> i64 {
    i64::try_from(permit.num_permits().saturating_mul(UNIT)).unwrap_or(i64::MAX)
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.metrics.request_bytes_in_flight.add(-bytes(&self.permit));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{BrokerConfig, Values};
    use crate::model::TimestampMs;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn limits(pairs: &[(&str, &str)]) -> Arc<Limits> {
        let two = [
            ("listeners", "A://localhost:1,B://localhost:2"),
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "B"),
        ];
        let config = BrokerConfig::new(values(&[&two[..], pairs].concat())).unwrap();
        let metrics = Metrics::new([], TimestampMs(0));
        let quotas = Arc::new(Quotas::new(&config.settings().quotas, Arc::clone(&metrics)));
        Limits::new(Arc::new(Live::new(config)), metrics, quotas)
    }

    /// As many connections from `ip` to a listener as there may be, up to ten.
    fn admitted(limits: &Arc<Limits>, listener: &str, ip: IpAddr) -> Vec<Admission> {
        let listener = ListenerName::new(listener);
        let admission = || Admission { limits: Arc::clone(limits), listener: listener.clone(), ip };
        (0..10).map_while(|_| limits.try_admit(&listener, ip).ok().map(|()| admission())).collect()
    }

    fn why(limits: &Arc<Limits>, listener: &str, ip: IpAddr) -> Option<Full> {
        limits.try_admit(&ListenerName::new(listener), ip).err()
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_over_all_listeners() {
        let limits = limits(&[("max.connections.per.ip", "3"), ("max.connections.per.ip.overrides", "10.0.0.7:5")]);
        let held = admitted(&limits, "A", HERE);
        assert_eq!(held.len(), 3);
        assert_eq!(why(&limits, "B", HERE), Some(Full::Address));
        let others = admitted(&limits, "A", THERE);
        assert_eq!(others.len(), 5);
        drop(held);
        assert_eq!(admitted(&limits, "B", HERE).len(), 3);
    }

    #[test]
    fn the_brokers_own_listener_is_not_shut_by_the_clients_of_another() {
        let limits = limits(&[("max.connections", "2")]);
        let held = admitted(&limits, "A", HERE);
        assert_eq!(held.len(), 2);
        assert_eq!(why(&limits, "A", THERE), Some(Full::Broker));
        assert_eq!(admitted(&limits, "B", HERE).len(), 10);
    }

    #[test]
    fn a_listener_has_a_limit_of_its_own() {
        let limits = limits(&[("listener.name.b.max.connections", "1"), ("max.connections", "4")]);
        let _held = admitted(&limits, "B", HERE);
        assert_eq!(why(&limits, "B", HERE), Some(Full::Broker));
        assert_eq!(admitted(&limits, "A", HERE).len(), 3);
    }

    #[test]
    fn a_dynamic_change_acts_on_the_next_connection() {
        let limits = limits(&[("max.connections", "1")]);
        let _held = admitted(&limits, "A", HERE);
        assert_eq!(why(&limits, "A", HERE), Some(Full::Broker));
        let set = |cluster: &[(&str, &str)], broker: &[(&str, &str)]| {
            assert_eq!(limits.config.set_dynamic(values(cluster), values(broker)), Vec::<String>::new());
        };
        set(&[("max.connections", "3")], &[]);
        assert_eq!(admitted(&limits, "A", HERE).len(), 2);
        set(&[("max.connections", "9")], &[("max.connections.per.ip", "1")]);
        assert_eq!(why(&limits, "A", HERE), Some(Full::Address));
        set(&[], &[("listener.name.a.max.connections", "1"), ("max.connections", "9")]);
        assert_eq!(why(&limits, "A", HERE), Some(Full::Broker));
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_that_is_left_or_that_a_change_makes() {
        let limits = limits(&[("max.connections", "1")]);
        let listener = limits.config.load().settings().network.listeners[0].clone();
        let first = limits.admit(&listener, HERE).await.unwrap();
        let second = {
            let (limits, listener) = (Arc::clone(&limits), listener.clone());
            tokio::spawn(async move { limits.admit(&listener, HERE).await.unwrap() })
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!second.is_finished());
        drop(first);
        let _second = second.await.unwrap();
        limits.config.set_dynamic(values(&[("max.connections", "2")]), Values::new());
        assert!(limits.admit(&listener, HERE).await.is_ok());
    }

    #[test]
    fn request_memory_is_one_limit_in_three_parts_and_what_exceeds_its_part_cannot_be_held() {
        let limits = limits(&[("queued.max.request.bytes", "104857600")]);
        let parts = [&limits.frames, &limits.decoded].map(|memory| memory.units * UNIT);
        assert_eq!(parts.iter().sum::<usize>() + limits.buffers.lent_max(), 104_857_600);
        assert!(limits.decoded.could_hold(Cost(25 * 1024 * 1024 - 1)));
        assert!(!limits.decoded.could_hold(Cost(25 * 1024 * 1024)));
        // A frame of the largest size is received, alone.
        assert_eq!(limits.frames.units(104_857_600) as usize, limits.frames.units);
        let permit = limits.frames.semaphore().try_acquire_many_owned(10).unwrap();
        let grant = limits.granted(permit);
        assert_eq!(limits.metrics.request_bytes_in_flight.get(), 10 * 1024);
        drop(grant);
        assert_eq!(limits.metrics.request_bytes_in_flight.get(), 0);
    }
}
