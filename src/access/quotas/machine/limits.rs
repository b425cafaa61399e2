//! Which limit applies to a client: the most specific of eight (`ClientQuotaManager`).
//!
//! In this order: the user with the client id, the user with any client id, the user; any user with the client id, any user
//! with any client id, any user; the client id; any client id.

use crate::metadata::{QuotaEntity, QuotaName, Quotas};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Whom a limit is shared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each client id of each user has it for itself.
    UserAndClient,
    /// All client ids of a user together.
    User,
    /// All users of a client id together.
    Client,
}

/// What applies to a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub scope: Scope,
    pub value: f64,
}

/// The limits of one user, of users that have none of their own, or of no user.
#[derive(Clone, Debug, Default, PartialEq)]
struct Level {
    own: Option<f64>,
    clients: BTreeMap<String, f64>,
    any_client: Option<f64>,
}

impl Level {
    fn of_client(&self, client: &str) -> Option<f64> {
        // A client without an id is none that a quota of client ids means.
        if client.is_empty() { None } else { self.clients.get(client).copied().or(self.any_client) }
    }

    fn set(&mut self, client: Option<&QuotaName>, value: f64) {
        match client {
            None => self.own = Some(value),
            Some(QuotaName::Default) => self.any_client = Some(value),
            Some(QuotaName::Named(name)) => {
                self.clients.insert(name.clone(), value);
            }
        }
    }
}

/// The limits of one kind, of all clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    users: BTreeMap<String, Level>,
    any_user: Level,
    no_user: Level,
    any: bool,
}

impl Limits {
    /// The limits under this key.
    #[must_use]
    pub fn new<'a>(quotas: impl Iterator<Item = (&'a QuotaEntity, &'a Quotas)>, key: &str) -> Limits {
        let mut limits = Limits::default();
        for (entity, quotas) in quotas.filter(|(entity, _)| entity.ip.is_none()) {
            let Some(value) = quotas.get(key) else { continue };
            let level = match &entity.user {
                None => &mut limits.no_user,
                Some(QuotaName::Default) => &mut limits.any_user,
                Some(QuotaName::Named(user)) => limits.users.entry(user.clone()).or_default(),
            };
            level.set(entity.client_id.as_ref(), *value);
            limits.any = true;
        }
        limits
    }

    /// No client has a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// What applies to a client; `None`: it is not limited.
    #[must_use]
    pub fn of(&self, user: &str, client: &str) -> Option<Limit> {
        let limit = |scope, value| Limit { scope, value };
        for level in self.users.get(user).into_iter().chain([&self.any_user]) {
            let both = level.of_client(client).map(|value| limit(Scope::UserAndClient, value));
            if let Some(found) = both.or_else(|| level.own.map(|value| limit(Scope::User, value))) {
                return Some(found);
            }
        }
        self.no_user.of_client(client).map(|value| limit(Scope::Client, value))
    }
}

/// The rates at which addresses may connect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressLimits {
    addresses: BTreeMap<IpAddr, f64>,
    any: Option<f64>,
}

impl AddressLimits {
    #[must_use]
    pub fn new<'a>(quotas: impl Iterator<Item = (&'a QuotaEntity, &'a Quotas)>, key: &str) -> AddressLimits {
        let mut limits = AddressLimits::default();
        for (entity, quotas) in quotas {
            match (&entity.ip, quotas.get(key)) {
                (Some(QuotaName::Default), Some(value)) => limits.any = Some(*value),
                (Some(QuotaName::Named(name)), Some(value)) => {
                    if let Ok(address) = name.parse() {
                        limits.addresses.insert(address, *value);
                    }
                }
                _ => {}
            }
        }
        limits
    }

    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<f64> {
        self.addresses.get(&address.to_canonical()).copied().or(self.any)
    }
}
