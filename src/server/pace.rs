//! How fast connections may come: `max.connection.creation.rate` of the broker and of each listener, and the
//! `connection_creation_rate` of addresses (`ConnectionQuotas`).
//!
//! Who exceeds the rate of the broker or of a listener has its listener wait; an address that exceeds its own is turned away,
//! which costs the others nothing.

use crate::access::quotas::Quotas;
use crate::access::quotas::machine::Rate;
use crate::config::ListenerName;
use crate::config::settings::Network;
use crate::metrics::{Metrics, Throttled};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Most addresses whose connections are counted. Beyond it, new ones are not held back by quotas of addresses.
const ADDRESSES_MAX: usize = 10_000;

/// What counts as no limit: the largest number that the setting takes.
const UNLIMITED: usize = i32::MAX as usize;

#[derive(Default)]
struct Rates {
    broker: Rate,
    listeners: HashMap<ListenerName, Rate>,
    addresses: HashMap<IpAddr, Rate>,
}

/// See the module.
pub(super) struct Pace {
    quotas: Arc<Quotas>,
    rates: Mutex<Rates>,
    metrics: Arc<Metrics>,
}

impl Pace {
    pub(super) fn new(quotas: Arc<Quotas>, metrics: Arc<Metrics>) -> Pace {
        Pace { quotas, rates: Mutex::default(), metrics }
    }

    /// Counts a connection to a listener; answers for how long the listener has to wait before it takes it.
    pub(super) fn count(&self, network: &Network, listener: &ListenerName) -> Duration {
        let (now, windows) = (self.quotas.now(), self.quotas.windows());
        let of_listener = network.connection_rates_per_listener.iter().find(|(name, _)| name == listener);
        let (broker_max, listener_max) =
            (broker_max(network, listener), of_listener.map_or(UNLIMITED, |(_, max)| *max));
        if broker_max == UNLIMITED && listener_max == UNLIMITED {
            return Duration::ZERO;
        }
        let mut rates = self.rates.lock();
        let mut wait_ms = 0;
        if broker_max != UNLIMITED {
            rates.broker.record(1.0, now, windows);
            wait_ms = rates.broker.excess(broker_max as f64, now, windows);
        }
        if listener_max != UNLIMITED {
            let rate = rates.listeners.entry(listener.clone()).or_default();
            rate.record(1.0, now, windows);
            wait_ms = wait_ms.max(rate.excess(listener_max as f64, now, windows));
        }
        self.bounded(Throttled::Connections, wait_ms)
    }

    /// Counts a connection of an address, which its listener has counted before. When it is one too many, it counts nowhere.
    ///
    /// # Errors
    /// For how long the address is to wait.
    pub(super) fn count_address(
        &self,
        network: &Network,
        listener: &ListenerName,
        address: IpAddr,
    ) -> Result<(), Duration> {
        let Some(max) = self.quotas.connection_rate(address) else { return Ok(()) };
        let (now, windows) = (self.quotas.now(), self.quotas.windows());
        let mut rates = self.rates.lock();
        if rates.addresses.len() >= ADDRESSES_MAX && !rates.addresses.contains_key(&address) {
            rates.addresses.retain(|_, rate| !rate.is_over(now, windows));
            if rates.addresses.len() >= ADDRESSES_MAX {
                return Ok(());
            }
        }
        let rate = rates.addresses.entry(address).or_default();
        rate.record(1.0, now, windows);
        let excess_ms = rate.excess(max, now, windows);
        if excess_ms == 0 {
            return Ok(());
        }
        rate.record(-1.0, now, windows);
        if broker_max(network, listener) != UNLIMITED {
            rates.broker.record(-1.0, now, windows);
        }
        if let Some(rate) = rates.listeners.get_mut(listener) {
            rate.record(-1.0, now, windows);
        }
        Err(self.bounded(Throttled::Address, excess_ms))
    }

    /// Nobody waits for longer than a window.
    fn bounded(&self, of: Throttled, ms: u64) -> Duration {
        let ms = ms.min(u64::try_from(self.quotas.windows().size).unwrap_or(0));
        if ms > 0 {
            self.metrics.throttled(of, ms);
        }
        Duration::from_millis(ms)
    }
}

/// The broker's rate as it holds for a listener: clients cannot keep brokers out.
fn broker_max(network: &Network, listener: &ListenerName) -> usize {
    if network.is_protected(listener) { UNLIMITED } else { network.connection_rate_max }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::quotas::machine::Windows;
    use crate::config::{BrokerConfig, Values, settings};
    use crate::metadata::record::ClientQuota;
    use crate::metadata::{Change, Publisher, QuotaEntity, QuotaName, Record, Store};
    use crate::model::{Offset, TimestampMs};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn network(pairs: &[(&str, &str)]) -> Network {
        let two = [
            ("listeners", "A://localhost:1,B://localhost:2"),
            ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT"),
            ("inter.broker.listener.name", "B"),
        ];
        let values: Values =
            two.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BrokerConfig::new(values).unwrap().settings().network.clone()
    }

    fn pace(address_rate: Option<f64>) -> Pace {
        let windows = Windows { count: 11, size: 1000 };
        let metrics = Metrics::new([], TimestampMs(0));
        let settings = settings::Quotas { clients: windows, mutations: windows };
        let quotas = Arc::new(Quotas::new(&settings, Arc::clone(&metrics)));
        if let Some(value) = address_rate {
            let entity = QuotaEntity { ip: Some(QuotaName::Default), ..QuotaEntity::default() };
            let quota = ClientQuota { entity, key: "connection_creation_rate".into(), value: Some(value) };
            let store = Store::default();
            let mut change = Change::new(&store.image());
            change.apply(&Record::ClientQuota(quota)).unwrap();
            let (image, delta) = change.finish(Offset(0), 1).unwrap();
            quotas.publish(&Arc::new(image), &delta);
        }
        Pace::new(quotas, metrics)
    }

    fn waits(pace: &Pace, network: &Network, listener: &str, times: usize) -> Vec<bool> {
        let listener = ListenerName::new(listener);
        (0..times).map(|_| !pace.count(network, &listener).is_zero()).collect()
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let (pace, network) = (pace(None), network(&[]));
        assert!(waits(&pace, &network, "A", 1000).iter().all(|waits| !waits));
        assert_eq!(pace.count_address(&network, &ListenerName::new("A"), HERE), Ok(()));
    }

    #[test]
    fn the_broker_takes_a_burst_of_ten_windows_and_then_waits_a_window_at_most() {
        let (pace, network) = (pace(None), network(&[("max.connection.creation.rate", "2")]));
        assert_eq!(waits(&pace, &network, "A", 22).iter().filter(|waits| **waits).count(), 2);
        let _ = waits(&pace, &network, "A", 500);
        assert_eq!(pace.count(&network, &ListenerName::new("A")), Duration::from_secs(1));
        // The brokers' own listener has no part in it.
        assert!(waits(&pace, &network, "B", 100).iter().all(|waits| !waits));
    }

    #[test]
    fn a_listener_has_a_rate_of_its_own() {
        let (pace, network) = (pace(None), network(&[("listener.name.b.max.connection.creation.rate", "1")]));
        assert_eq!(waits(&pace, &network, "B", 12).iter().filter(|waits| **waits).count(), 2);
        assert!(waits(&pace, &network, "A", 100).iter().all(|waits| !waits));
    }

    #[test]
    fn an_address_that_connects_too_often_is_turned_away_and_does_not_count_elsewhere() {
        let (pace, network) = (pace(Some(1.0)), network(&[("max.connection.creation.rate", "100")]));
        let listener = ListenerName::new("A");
        let mut refused = 0;
        for _ in 0..500 {
            assert_eq!(pace.count(&network, &listener), Duration::ZERO);
            refused += usize::from(pace.count_address(&network, &listener, HERE).is_err());
        }
        assert!((488..=490).contains(&refused), "{refused}");
        assert_eq!(pace.count_address(&network, &listener, [10, 0, 0, 7].into()), Ok(()));
    }
}
