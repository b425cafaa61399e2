//! Names and epochs of groups, their members, and transactional producers.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn new(name: &str) -> $name {
                $name(Arc::from(name))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> $name {
                $name::new(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names!(
    /// `group.id`. Cheap to clone.
    GroupId,
    /// What a coordinator (or, since KIP-848, the client) calls a member.
    MemberId,
    /// `group.instance.id` of a static member (KIP-345).
    InstanceId,
    /// `transactional.id` of a producer.
    TransactionalId
);

/// The generation of a classic group: rises with every rebalance. `-1` is "none": a commit from outside the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub i32);

impl Generation {
    pub const NONE: Generation = Generation(-1);
}

/// The epoch of a consumer group, of its assignment, or of a member (KIP-848): they are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupEpoch(pub i32);

impl GroupEpoch {
    /// A member that joins.
    pub const JOIN: GroupEpoch = GroupEpoch(0);
    /// A member that leaves.
    pub const LEAVE: GroupEpoch = GroupEpoch(-1);
    /// A static member that leaves for a while.
    pub const LEAVE_STATIC: GroupEpoch = GroupEpoch(-2);
}
