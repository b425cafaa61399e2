//! What the image knows of users and clients: SCRAM credentials, quotas, delegation tokens.

use crate::model::{Principal, ScramCredential, ScramMechanism, TimestampMs};
use std::collections::BTreeMap;
use std::fmt;

/// A user's credentials, one for each mechanism.
pub type UserCredentials = BTreeMap<ScramMechanism, ScramCredential>;

/// Whom a quota names: one by name, or all that have none of their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaName {
    Default,
    Named(String),
}

impl QuotaName {
    /// As records and requests have it: `None` is the default.
    #[must_use]
    pub fn from_nullable(name: Option<String>) -> QuotaName {
        name.map_or(QuotaName::Default, QuotaName::Named)
    }

    /// `None`: the default.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            QuotaName::Default => None,
            QuotaName::Named(name) => Some(name),
        }
    }
}

impl fmt::Debug for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("<default>"))
    }
}

/// What kinds of names a quota entity is made of (`ClientQuotaEntity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaType {
    User,
    ClientId,
    Ip,
}

impl QuotaType {
    /// In the order of Kafka's answers.
    pub const ALL: [QuotaType; 3] = [QuotaType::ClientId, QuotaType::User, QuotaType::Ip];

    /// Kafka's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            QuotaType::User => "user",
            QuotaType::ClientId => "client-id",
            QuotaType::Ip => "ip",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<QuotaType> {
        QuotaType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a set of quotas belongs to: a user, a client id, both together, or an address.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    pub user: Option<QuotaName>,
    pub client_id: Option<QuotaName>,
    pub ip: Option<QuotaName>,
}

impl QuotaEntity {
    #[must_use]
    pub fn get(&self, kind: QuotaType) -> Option<&QuotaName> {
        match kind {
            QuotaType::User => self.user.as_ref(),
            QuotaType::ClientId => self.client_id.as_ref(),
            QuotaType::Ip => self.ip.as_ref(),
        }
    }

    /// Sets one part; the old one, if there was one.
    pub fn set(&mut self, kind: QuotaType, name: QuotaName) -> Option<QuotaName> {
        match kind {
            QuotaType::User => self.user.replace(name),
            QuotaType::ClientId => self.client_id.replace(name),
            QuotaType::Ip => self.ip.replace(name),
        }
    }

    /// The parts that it has.
    pub fn parts(&self) -> impl Iterator<Item = (QuotaType, &QuotaName)> {
        QuotaType::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }
}

impl fmt::Debug for QuotaEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.parts().map(|(kind, name)| (kind.name(), name))).finish()
    }
}

/// The quotas of one entity, by Kafka's names (`producer_byte_rate`).
pub type Quotas = BTreeMap<String, f64>;

/// A delegation token (KIP-48). Its HMAC is not kept: it follows from the id and `delegation.token.secret.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationToken {
    pub id: String,
    /// Whom it lets a client be.
    pub owner: Principal,
    /// Who asked for it.
    pub requester: Principal,
    /// Who else may renew it and let it expire.
    pub renewers: Vec<Principal>,
    pub issued: TimestampMs,
    /// It is never valid after this.
    pub max: TimestampMs,
    /// It is not valid after this, unless it is renewed.
    pub expires: TimestampMs,
}

impl DelegationToken {
    /// It is over: it counts for nothing, until the controller removes it.
    #[must_use]
    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.max < now || self.expires < now
    }

    /// Who may renew it and let it expire.
    #[must_use]
    pub fn is_of(&self, principal: &Principal) -> bool {
        self.owner == *principal || self.renewers.contains(principal)
    }

    /// Who may know of it: those, and who asked for it (`TokenInformation.ownerOrRenewer`).
    #[must_use]
    pub fn concerns(&self, principal: &Principal) -> bool {
        self.is_of(principal) || self.requester == *principal
    }
}
