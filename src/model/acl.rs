//! Access control in Kafka's words: resources, operations, and entries that allow or deny them.
//!
//! [`Acl`] is an entry as it is stored; [`AclRequest`] and [`AclFilter`] are what clients send, where a field may also be
//! ANY or nothing that is known ([`Asked`]).

use super::Principal;
use std::fmt;
use std::sync::Arc;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $code:literal $word:literal $text:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i8)]
        pub enum $name { $($variant = $code),* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// Kafka's name, as its messages show it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// The name as tools and the audit log write it.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }

        impl Coded for $name {
            fn from_code(code: i8) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            fn code(self) -> i8 {
                self as i8
            }

            fn name(self) -> &'static str {
                $name::name(self)
            }
        }
    };
}

/// A word with a number of Kafka's.
pub trait Coded: Copy + PartialEq {
    fn from_code(code: i8) -> Option<Self>;
    fn code(self) -> i8;
    fn name(self) -> &'static str;
}

words! {
    /// What kind of thing an entry is about (`ResourceType`).
    ResourceKind {
        Topic = 2 "TOPIC" "Topic",
        Group = 3 "GROUP" "Group",
        Cluster = 4 "CLUSTER" "Cluster",
        TransactionalId = 5 "TRANSACTIONAL_ID" "TransactionalId",
        DelegationToken = 6 "DELEGATION_TOKEN" "DelegationToken",
        User = 7 "USER" "User",
    }
}

words! {
    /// What somebody does with a resource (`AclOperation`). `All` only occurs in entries.
    Operation {
        All = 2 "ALL" "All",
        Read = 3 "READ" "Read",
        Write = 4 "WRITE" "Write",
        Create = 5 "CREATE" "Create",
        Delete = 6 "DELETE" "Delete",
        Alter = 7 "ALTER" "Alter",
        Describe = 8 "DESCRIBE" "Describe",
        ClusterAction = 9 "CLUSTER_ACTION" "ClusterAction",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS" "DescribeConfigs",
        AlterConfigs = 11 "ALTER_CONFIGS" "AlterConfigs",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE" "IdempotentWrite",
        CreateTokens = 13 "CREATE_TOKENS" "CreateTokens",
        DescribeTokens = 14 "DESCRIBE_TOKENS" "DescribeTokens",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT" "TwoPhaseCommit",
    }
}

words! {
    /// What an entry says (`AclPermissionType`).
    Permission {
        Deny = 2 "DENY" "Deny",
        Allow = 3 "ALLOW" "Allow",
    }
}

words! {
    /// How an entry names its resources (`PatternType`).
    Pattern {
        Literal = 3 "LITERAL" "Literal",
        Prefixed = 4 "PREFIXED" "Prefixed",
    }
}

/// The name of the one resource of the kind `Cluster`.
pub const CLUSTER_NAME: &str = "kafka-cluster";

/// Matches any host, and as the name of a literal pattern any resource.
pub const WILDCARD: &str = "*";

impl ResourceKind {
    /// The operations that make sense on a resource of this kind (`AclEntry.supportedOperations`).
    #[must_use]
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            ResourceKind::Topic => &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            ResourceKind::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            ResourceKind::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            ResourceKind::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            ResourceKind::DelegationToken => &[Describe],
            ResourceKind::User => &[CreateTokens, DescribeTokens],
        }
    }
}

/// An access control entry. Entries are in the order of their resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    pub resource: ResourceKind,
    pub name: Arc<str>,
    pub pattern: Pattern,
    /// `Type:name`; `User:*` is everybody. Kept as the client wrote it.
    pub principal: Arc<str>,
    /// An address as Java writes it, or `*`.
    pub host: Arc<str>,
    pub operation: Operation,
    pub permission: Permission,
}

impl fmt::Display for Acl {
    /// As Kafka's audit log shows an entry (`StandardAcl`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StandardAcl(resourceType={}, resourceName={}, patternType={}, principal={}, host={}, operation={}, \
             permissionType={})",
            self.resource.name(),
            self.name,
            self.pattern.name(),
            self.principal,
            self.host,
            self.operation.name(),
            self.permission.name()
        )
    }
}

/// A field of a request about entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// A number that stands for nothing.
    Unknown,
    Any,
    Is(T),
}

impl<T: Coded> Asked<T> {
    #[must_use]
    pub fn from_code(code: i8) -> Asked<T> {
        match code {
            1 => Asked::Any,
            code => T::from_code(code).map_or(Asked::Unknown, Asked::Is),
        }
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Asked::Unknown => "UNKNOWN",
            Asked::Any => "ANY",
            Asked::Is(word) => word.name(),
        }
    }

    fn admits(self, value: T) -> bool {
        match self {
            Asked::Unknown => false,
            Asked::Any => true,
            Asked::Is(word) => word == value,
        }
    }
}

/// A pattern's type in a request: there is also `Match`, whatever pattern covers the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedPattern {
    Unknown,
    Any,
    Match,
    Is(Pattern),
}

impl AskedPattern {
    #[must_use]
    pub fn from_code(code: i8) -> AskedPattern {
        match code {
            1 => AskedPattern::Any,
            2 => AskedPattern::Match,
            code => Pattern::from_code(code).map_or(AskedPattern::Unknown, AskedPattern::Is),
        }
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AskedPattern::Unknown => "UNKNOWN",
            AskedPattern::Any => "ANY",
            AskedPattern::Match => "MATCH",
            AskedPattern::Is(pattern) => pattern.name(),
        }
    }
}

/// An entry that a client wants to exist. Anything may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRequest {
    pub resource: Asked<ResourceKind>,
    pub name: String,
    pub pattern: AskedPattern,
    pub principal: String,
    pub host: String,
    pub operation: Asked<Operation>,
    pub permission: Asked<Permission>,
}

/// Which entries are meant (`AclBindingFilter`). `None`: any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    pub resource: Asked<ResourceKind>,
    pub name: Option<String>,
    pub pattern: AskedPattern,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: Asked<Operation>,
    pub permission: Asked<Permission>,
}

impl AclFilter {
    /// Every entry there is.
    #[must_use]
    pub fn any() -> AclFilter {
        AclFilter {
            resource: Asked::Any,
            name: None,
            pattern: AskedPattern::Any,
            principal: None,
            host: None,
            operation: Asked::Any,
            permission: Asked::Any,
        }
    }

    #[must_use]
    pub fn matches(&self, acl: &Acl) -> bool {
        self.resource.admits(acl.resource)
            && self.matches_name(acl)
            && self.principal.as_deref().is_none_or(|principal| principal == &*acl.principal)
            && self.host.as_deref().is_none_or(|host| host == &*acl.host)
            && self.operation.admits(acl.operation)
            && self.permission.admits(acl.permission)
    }

    fn matches_name(&self, acl: &Acl) -> bool {
        let same = self.name.as_deref().is_none_or(|name| name == &*acl.name);
        match (self.pattern, self.name.as_deref()) {
            (AskedPattern::Unknown, _) => false,
            (AskedPattern::Any, _) => same,
            (AskedPattern::Is(pattern), _) => pattern == acl.pattern && same,
            (AskedPattern::Match, None) => true,
            (AskedPattern::Match, Some(name)) => match acl.pattern {
                Pattern::Literal => same || &*acl.name == WILDCARD,
                Pattern::Prefixed => name.starts_with(&*acl.name),
            },
        }
    }
}

impl Principal {
    /// Whether the principal of an entry is this one.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        text.split_once(':').is_some_and(|(kind, name)| kind == self.kind() && name == self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(pattern: Pattern, name: &str) -> Acl {
        Acl {
            resource: ResourceKind::Topic,
            name: name.into(),
            pattern,
            principal: "User:alice".into(),
            host: WILDCARD.into(),
            operation: Operation::Read,
            permission: Permission::Allow,
        }
    }

    fn named(pattern: AskedPattern, name: &str) -> AclFilter {
        AclFilter { pattern, name: Some(name.into()), ..AclFilter::any() }
    }

    #[test]
    fn a_filter_without_fields_matches_everything() {
        assert!(AclFilter::any().matches(&acl(Pattern::Literal, "a")));
        assert!(AclFilter::any().matches(&acl(Pattern::Prefixed, "a")));
    }

    #[test]
    fn every_field_that_is_set_must_be_the_same() {
        let entry = acl(Pattern::Literal, "a");
        let any = AclFilter::any;
        for (filter, matches) in [
            (AclFilter { resource: Asked::Is(ResourceKind::Topic), ..any() }, true),
            (AclFilter { resource: Asked::Is(ResourceKind::Group), ..any() }, false),
            (AclFilter { resource: Asked::Unknown, ..any() }, false),
            (AclFilter { principal: Some("User:alice".into()), ..any() }, true),
            (AclFilter { principal: Some("User:*".into()), ..any() }, false),
            (AclFilter { host: Some("*".into()), ..any() }, true),
            (AclFilter { host: Some("1.2.3.4".into()), ..any() }, false),
            (AclFilter { operation: Asked::Is(Operation::Read), ..any() }, true),
            (AclFilter { operation: Asked::Is(Operation::All), ..any() }, false),
            (AclFilter { permission: Asked::Is(Permission::Deny), ..any() }, false),
        ] {
            assert_eq!(filter.matches(&entry), matches, "{filter:?}");
        }
    }

    #[test]
    fn a_name_is_compared_as_the_pattern_type_says() {
        let literal = AskedPattern::Is(Pattern::Literal);
        for (filter, entry, matches) in [
            (named(literal, "ab"), acl(Pattern::Literal, "ab"), true),
            (named(literal, "ab"), acl(Pattern::Literal, "*"), false),
            (named(literal, "ab"), acl(Pattern::Prefixed, "ab"), false),
            (named(AskedPattern::Any, "ab"), acl(Pattern::Prefixed, "ab"), true),
            (named(AskedPattern::Any, "ab"), acl(Pattern::Prefixed, "a"), false),
            (named(AskedPattern::Match, "ab"), acl(Pattern::Prefixed, "a"), true),
            (named(AskedPattern::Match, "ab"), acl(Pattern::Prefixed, "b"), false),
            (named(AskedPattern::Match, "ab"), acl(Pattern::Literal, "*"), true),
            (named(AskedPattern::Match, "ab"), acl(Pattern::Literal, "a"), false),
            (named(AskedPattern::Unknown, "ab"), acl(Pattern::Literal, "ab"), false),
        ] {
            assert_eq!(filter.matches(&entry), matches, "{filter:?} {entry}");
        }
    }

    #[test]
    fn numbers_that_stand_for_nothing_are_unknown() {
        assert_eq!(Asked::<ResourceKind>::from_code(99), Asked::Unknown);
        assert_eq!(Asked::<Operation>::from_code(0), Asked::Unknown);
        assert_eq!(Asked::<Operation>::from_code(1), Asked::Any);
        assert_eq!(Asked::<Operation>::from_code(15), Asked::Is(Operation::TwoPhaseCommit));
        assert_eq!(AskedPattern::from_code(2), AskedPattern::Match);
        assert_eq!(AskedPattern::from_code(5), AskedPattern::Unknown);
    }

    #[test]
    fn an_entrys_principal_is_split_at_its_first_colon() {
        assert!(Principal::user("a:b").is("User:a:b"));
        assert!(!Principal::user("a").is("Group:a"));
        assert!(!Principal::user("a").is("a"));
    }
}
