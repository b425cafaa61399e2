//! Limits that all connections share: how many there may be, and how many bytes of requests.

use super::incoming::Buffers;
use crate::config::Settings;
use crate::metrics::{Metrics, Rejection};
use dashmap::DashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit of the request memory stands for this many bytes.
const UNIT: usize = 1024;
/// Frames up to this size need no permit: they fit in a connection's read-ahead buffer, which the
/// limit on connections bounds.
pub(super) const FREE: usize = 64 * 1024;

/// `max.connections`, `max.connections.per.ip`, `queued.max.request.bytes`.
pub struct Limits {
    connections: Arc<Semaphore>,
    per_ip_max: usize,
    per_ip_overrides: Vec<(IpAddr, usize)>,
    per_ip: DashMap<IpAddr, usize>,
    pub(super) request_memory: Arc<Semaphore>,
    request_units: usize,
    pub(super) buffers: Buffers,
    metrics: Arc<Metrics>,
}

/// Held by a connection while it lives.
pub(super) struct Admission {
    limits: Arc<Limits>,
    ip: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut gone = false;
        if let Some(mut count) = self.limits.per_ip.get_mut(&self.ip) {
            *count -= 1;
            gone = *count == 0;
        }
        if gone {
            self.limits.per_ip.remove_if(&self.ip, |_, count| *count == 0);
        }
    }
}

impl Limits {
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Arc<Limits> {
        let network = &settings.network;
        let request_units = (network.request_bytes_in_flight_max / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Limits {
            connections: Arc::new(Semaphore::new(network.connections_max.min(Semaphore::MAX_PERMITS))),
            per_ip_max: network.connections_per_ip_max,
            per_ip_overrides: network.connections_per_ip_overrides.clone(),
            per_ip: DashMap::new(),
            request_memory: Arc::new(Semaphore::new(request_units)),
            request_units,
            buffers: Buffers::default(),
            metrics,
        })
    }

    /// Waits for a place under `max.connections`, as Kafka's acceptor does.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// Admits a connection from `ip`, or `None` when that address has as many as it may.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr, permit: OwnedSemaphorePermit) -> Option<Admission> {
        let max = self.per_ip_overrides.iter().find(|(of, _)| *of == ip).map_or(self.per_ip_max, |(_, max)| *max);
        let mut count = self.per_ip.entry(ip).or_insert(0);
        if *count >= max {
            self.metrics.rejected(Rejection::MaxConnectionsPerIp);
            return None;
        }
        *count += 1;
        drop(count);
        Some(Admission { limits: Arc::clone(self), ip, _permit: permit })
    }

    /// Permits for a frame of `length` bytes. A frame larger than the whole limit takes all of it, alone.
    pub(super) fn units(&self, length: usize) -> u32 {
        u32::try_from((length / UNIT + 1).min(self.request_units)).unwrap_or(u32::MAX)
    }
}
