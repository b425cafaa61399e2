//! Who may do what to which resource: the rules of Kafka's `StandardAuthorizer`.
//!
//! A super user may do everything. For anybody else, of the entries that match the resource, the principal, the host and
//! the operation, one that denies outweighs all that allow; without any that allows nothing is allowed, unless
//! `allow.everyone.if.no.acl.found` is set and the resource has no entry at all.
//!
//! [`Index`] decides and knows nothing of threads; [`Authorizer`] holds the newest one, made of the metadata image as that
//! changes, and keeps the audit. A decision takes no lock and allocates nothing unless it is logged.

mod audit;
mod index;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use index::{Index, Rule};

use crate::metadata::{Delta, Image, Publisher};
use crate::model::{CLUSTER_NAME, Operation, Principal, ResourceKind};
use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who asks, and by what request.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub principal: &'a Principal,
    pub address: IpAddr,
    /// The request's name, for the audit.
    pub request: &'static str,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    pub operation: Operation,
    pub kind: ResourceKind,
    pub name: &'a str,
    /// How often the request names the resource, for the audit.
    pub count: usize,
    /// Whether a refusal is worth a line: not where the client did not name the resource itself.
    pub log_denied: bool,
    /// Whether leave is worth a line (at debug): not where nothing is done with it.
    pub log_allowed: bool,
}

/// See the module.
pub struct Authorizer {
    super_users: HashSet<Principal>,
    allow_if_no_acl: bool,
    index: ArcSwap<Index>,
    /// The entries are those of the cluster.
    complete: AtomicBool,
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").field("entries", &self.index.load().len()).finish_non_exhaustive()
    }
}

impl Authorizer {
    /// An authorizer that knows no entries yet: subscribe it to the metadata, and see [`Authorizer::complete`].
    #[must_use]
    pub fn new(super_users: impl IntoIterator<Item = Principal>, allow_if_no_acl: bool) -> Authorizer {
        let super_users = super_users.into_iter().collect();
        Authorizer { super_users, allow_if_no_acl, index: ArcSwap::default(), complete: AtomicBool::new(false) }
    }

    /// Says that the metadata is there. Until then only super users may do anything, as in Kafka, where others are told that
    /// the authorizer is not ready: what is not known yet may deny them. So controllers, who talk to each other before they
    /// have any metadata, have to be super users.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Decides, and keeps the audit.
    #[must_use]
    pub fn allows(&self, subject: &Subject<'_>, action: &Action<'_>) -> bool {
        if self.super_users.contains(subject.principal) {
            audit::log(subject, action, &Rule::SuperUser);
            return true;
        }
        if !self.complete.load(Ordering::Acquire) {
            tracing::debug!(principal = %subject.principal, request = subject.request, "the access rules are not there yet");
            return false;
        }
        let index = self.index.load();
        let rule = index.decide(subject.principal, subject.address, action, self.allow_if_no_acl);
        audit::log(subject, action, &rule);
        rule.allows()
    }

    /// Whether there is any resource of the kind, existing or not, to which the subject may do this
    /// (`Authorizer.authorizeByResourceType`).
    #[must_use]
    pub fn allows_somewhere(&self, subject: &Subject<'_>, operation: Operation, kind: ResourceKind) -> bool {
        // Kafka asks for a resource that nobody has, so that super users, and everybody where that is the default, pass.
        let probe = Action { operation, kind, name: "hardcode", count: 0, log_denied: false, log_allowed: true };
        self.allows(subject, &probe)
            || self.complete.load(Ordering::Acquire)
                && self.index.load().allows_somewhere(subject.principal, subject.address, operation, kind)
    }
}

impl Publisher for Authorizer {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        if !delta.acls.is_empty() {
            let next = self.index.load().updated(&image.acls, &delta.acls);
            self.index.store(Arc::new(next));
        }
    }
}

/// What the caller of one request may do. Without an authorizer, everything.
#[derive(Clone, Copy, Debug)]
pub struct Permissions<'a> {
    authorizer: Option<(&'a Authorizer, Subject<'a>)>,
}

impl<'a> Permissions<'a> {
    #[must_use]
    pub fn new(authorizer: Option<&'a Authorizer>, subject: Subject<'a>) -> Permissions<'a> {
        Permissions { authorizer: authorizer.map(|authorizer| (authorizer, subject)) }
    }

    /// Everything is allowed.
    #[must_use]
    pub const fn everything() -> Permissions<'static> {
        Permissions { authorizer: None }
    }

    /// Nothing is checked: there is no authorizer.
    #[must_use]
    pub fn are_unlimited(&self) -> bool {
        self.authorizer.is_none()
    }

    fn ask(&self, action: Action<'_>) -> bool {
        match &self.authorizer {
            None => true,
            Some((authorizer, subject)) => authorizer.allows(subject, &action),
        }
    }

    /// Whether this may be done to a resource that the request names.
    #[must_use]
    pub fn allow(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        self.allow_counted(operation, kind, name, 1)
    }

    /// As [`Permissions::allow`], for a resource that the request names `count` times.
    #[must_use]
    pub fn allow_counted(&self, operation: Operation, kind: ResourceKind, name: &str, count: usize) -> bool {
        self.ask(Action { operation, kind, name, count, log_denied: true, log_allowed: true })
    }

    /// As [`Permissions::allow`], without a line for a refusal: the request did not name the resource, or there is another
    /// permission that will do.
    #[must_use]
    pub fn allow_quietly(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        self.ask(Action { operation, kind, name, count: 1, log_denied: false, log_allowed: true })
    }

    #[must_use]
    pub fn topic(&self, operation: Operation, name: &str) -> bool {
        self.allow(operation, ResourceKind::Topic, name)
    }

    #[must_use]
    pub fn group(&self, operation: Operation, name: &str) -> bool {
        self.allow(operation, ResourceKind::Group, name)
    }

    #[must_use]
    pub fn transactional_id(&self, operation: Operation, id: &str) -> bool {
        self.allow(operation, ResourceKind::TransactionalId, id)
    }

    #[must_use]
    pub fn cluster(&self, operation: Operation) -> bool {
        self.allow(operation, ResourceKind::Cluster, CLUSTER_NAME)
    }

    #[must_use]
    pub fn cluster_quietly(&self, operation: Operation) -> bool {
        self.allow_quietly(operation, ResourceKind::Cluster, CLUSTER_NAME)
    }

    /// Whether this may be done to any resource of the kind.
    #[must_use]
    pub fn somewhere(&self, operation: Operation, kind: ResourceKind) -> bool {
        match &self.authorizer {
            None => true,
            Some((authorizer, subject)) => authorizer.allows_somewhere(subject, operation, kind),
        }
    }

    /// The operations that may be done to a resource, as the bit field of responses: a bit's number is the operation's.
    #[must_use]
    pub fn operations(&self, kind: ResourceKind, name: &str) -> i32 {
        let allowed = kind.operations().iter().filter(|operation| {
            self.ask(Action { operation: **operation, kind, name, count: 1, log_denied: false, log_allowed: false })
        });
        allowed.fold(0, |bits, operation| bits | 1 << (*operation as i8))
    }
}
