//! The entries, arranged so that a decision looks only at those that can matter.
//!
//! Per kind of resource: literal names by hash; prefixes sorted, each knowing the longest other prefix that it begins with.
//! The prefixes of a name are then a chain: one search finds the last prefix that sorts before the name, and those of its
//! chain that the name begins with are all there are. Under a name, entries are sorted by principal.

use super::Action;
use super::audit::Host;
use crate::metadata::Acls;
use crate::model::{Acl, Operation, Pattern, Permission, Principal, ResourceKind, WILDCARD};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Why something is allowed or not. Shown as Kafka's audit shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule<'a> {
    SuperUser,
    /// No entry decided.
    Default {
        allows: bool,
    },
    Matching {
        acl: &'a Acl,
    },
}

impl Rule<'_> {
    #[must_use]
    pub fn allows(&self) -> bool {
        match self {
            Rule::SuperUser => true,
            Rule::Default { allows } => *allows,
            Rule::Matching { acl } => acl.permission == Permission::Allow,
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::SuperUser => f.write_str("SuperUser"),
            Rule::Default { allows: true } => f.write_str("DefaultAllow"),
            Rule::Default { allows: false } => f.write_str("DefaultDeny"),
            Rule::Matching { acl } => write!(f, "MatchingAcl(acl={acl})"),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    /// By [`place`].
    kinds: [Arc<Kind>; 6],
}

fn place(kind: ResourceKind) -> usize {
    ResourceKind::ALL.iter().position(|known| *known == kind).unwrap_or(0)
}

/// The entries of one kind of resource.
#[derive(Debug, Default)]
struct Kind {
    /// Of the literal name `*`.
    any: Entries,
    literal: HashMap<Arc<str>, Entries>,
    prefixes: Vec<Prefix>,
    len: usize,
}

#[derive(Debug)]
struct Prefix {
    text: Arc<str>,
    /// The longest other prefix that this one begins with.
    parent: Option<usize>,
    entries: Entries,
}

/// The entries of one pattern, by principal.
#[derive(Debug, Default)]
struct Entries(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    acl: Arc<Acl>,
    host: Hosts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    One(IpAddr),
    /// Written as no address is.
    None,
}

impl Index {
    /// Entries in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.iter().map(|kind| kind.len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index after the entries of these kinds changed.
    #[must_use]
    pub fn updated(&self, acls: &Acls, changed: &BTreeSet<ResourceKind>) -> Index {
        let mut kinds = self.kinds.clone();
        for kind in changed {
            if let Some(slot) = kinds.get_mut(place(*kind)) {
                *slot = Arc::new(Kind::new(acls.of(*kind)));
            }
        }
        Index { kinds }
    }

    fn kind(&self, kind: ResourceKind) -> Option<&Kind> {
        self.kinds.get(place(kind)).map(Arc::as_ref)
    }

    /// Decides. `default` is the answer for a resource that has no entries at all.
    #[must_use]
    pub fn decide(&self, who: &Principal, address: IpAddr, action: &Action<'_>, default: bool) -> Rule<'_> {
        let Some(kind) = self.kind(action.kind) else { return Rule::Default { allows: default } };
        let address = address.to_canonical();
        // As Kafka goes through them: the name itself, prefixes from the longest, everything. The first entry that denies
        // decides, else the last that allows.
        let mut allowed = None;
        let mut found = false;
        for entries in kind.matching(action.name) {
            found |= !entries.0.is_empty();
            for acl in entries.of(who, address) {
                if matches_operation(acl, action.operation) {
                    match acl.permission {
                        Permission::Deny => return Rule::Matching { acl },
                        Permission::Allow => allowed = Some(acl),
                    }
                }
            }
        }
        match allowed {
            Some(acl) => Rule::Matching { acl },
            None => Rule::Default { allows: default && !found },
        }
    }

    /// Whether there is a resource, existing or not, to which entries allow this and none denies it.
    #[must_use]
    pub fn allows_somewhere(&self, who: &Principal, address: IpAddr, operation: Operation, kind: ResourceKind) -> bool {
        let Some(kind) = self.kind(kind) else { return false };
        let address = address.to_canonical();
        // No operation implies another here.
        let has = |entries: &Entries, permission| {
            entries.of(who, address).any(|acl| {
                acl.permission == permission && (acl.operation == operation || acl.operation == Operation::All)
            })
        };
        if has(&kind.any, Permission::Deny) {
            return false;
        }
        if has(&kind.any, Permission::Allow) {
            return true;
        }
        let denied = |name: &str| kind.prefixes_of(name).any(|prefix| has(&prefix.entries, Permission::Deny));
        let literal = kind
            .literal
            .iter()
            .any(|(name, entries)| has(entries, Permission::Allow) && !has(entries, Permission::Deny) && !denied(name));
        literal || kind.prefixes.iter().any(|prefix| has(&prefix.entries, Permission::Allow) && !denied(&prefix.text))
    }
}

/// Operations that an entry allows besides its own. One that denies denies its own only.
fn matches_operation(acl: &Acl, asked: Operation) -> bool {
    use Operation::{All, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
    if acl.operation == All || acl.operation == asked {
        return true;
    }
    match (acl.permission, asked) {
        (Permission::Allow, Describe) => matches!(acl.operation, Read | Write | Delete | Alter),
        (Permission::Allow, DescribeConfigs) => acl.operation == AlterConfigs,
        _ => false,
    }
}

impl Kind {
    /// `acls`: by name.
    fn new<'a>(acls: impl Iterator<Item = &'a Arc<Acl>>) -> Kind {
        let mut kind = Kind::default();
        for acl in acls {
            kind.len += 1;
            let entries = match acl.pattern {
                Pattern::Literal if &*acl.name == WILDCARD => &mut kind.any,
                Pattern::Literal => kind.literal.entry(Arc::clone(&acl.name)).or_default(),
                Pattern::Prefixed => kind.prefix(&acl.name),
            };
            entries.0.push(Entry { acl: Arc::clone(acl), host: Hosts::new(&acl.host) });
        }
        let literal = kind.literal.values_mut();
        for entries in literal.chain(kind.prefixes.iter_mut().map(|prefix| &mut prefix.entries)).chain([&mut kind.any])
        {
            entries.0.sort_by(|a, b| split(&a.acl).cmp(&split(&b.acl)).then_with(|| order(&a.acl).cmp(&order(&b.acl))));
        }
        kind
    }

    /// The entries of a prefix that is the last so far, or a new one behind it.
    fn prefix(&mut self, text: &Arc<str>) -> &mut Entries {
        if self.prefixes.last().is_none_or(|last| last.text != *text) {
            let mut parent = self.prefixes.len().checked_sub(1);
            while let Some(prefix) = parent.and_then(|at| self.prefixes.get(at)) {
                if text.starts_with(&*prefix.text) {
                    break;
                }
                parent = prefix.parent;
            }
            self.prefixes.push(Prefix { text: Arc::clone(text), parent, entries: Entries::default() });
        }
        let last = self.prefixes.len().saturating_sub(1);
        &mut self.prefixes[last].entries
    }

    /// The prefixes that a name begins with, the longest first.
    fn prefixes_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Prefix> + use<'a> {
        let after = self.prefixes.partition_point(|prefix| &*prefix.text <= name);
        let mut at = after.checked_sub(1).and_then(|last| self.prefixes.get(last));
        while let Some(prefix) = at
            && !name.starts_with(&*prefix.text)
        {
            at = prefix.parent.and_then(|parent| self.prefixes.get(parent));
        }
        std::iter::successors(at, |prefix| self.prefixes.get(prefix.parent?))
    }

    /// The entries of every pattern that a name matches.
    fn matching<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Entries> + use<'a> {
        let literal = self.literal.get(name);
        let prefixes = self.prefixes_of(name).map(|prefix| &prefix.entries);
        literal.into_iter().chain(prefixes).chain(std::iter::once(&self.any))
    }
}

/// Type and name of an entry's principal.
fn split(acl: &Acl) -> (&str, &str) {
    acl.principal.split_once(':').unwrap_or(("", &acl.principal))
}

/// Kafka's order of the entries of one resource and principal.
fn order(acl: &Acl) -> (Operation, &str, Permission) {
    (acl.operation, &acl.host, acl.permission)
}

impl Entries {
    /// The entries of a principal and of everybody, as far as they hold for the address.
    fn of(&self, who: &Principal, address: IpAddr) -> impl Iterator<Item = &Acl> {
        let own = self.exactly((who.kind(), who.name()));
        let everybody = self.exactly((Principal::USER, WILDCARD));
        let matching = own.iter().chain(everybody);
        matching.filter(move |entry| entry.host.include(address)).map(|entry| entry.acl.as_ref())
    }

    fn exactly(&self, principal: (&str, &str)) -> &[Entry] {
        let from = self.0.partition_point(|entry| split(&entry.acl) < principal);
        let rest = self.0.get(from..).unwrap_or_default();
        let count = rest.partition_point(|entry| split(&entry.acl) == principal);
        rest.get(..count).unwrap_or_default()
    }
}

impl Hosts {
    fn new(text: &str) -> Hosts {
        if text == WILDCARD {
            return Hosts::All;
        }
        // Kafka compares texts, so an address counts only as Java writes it.
        match text.parse::<IpAddr>() {
            Ok(address) if Host(address).to_string() == text => Hosts::One(address.to_canonical()),
            _ => Hosts::None,
        }
    }

    fn include(self, address: IpAddr) -> bool {
        match self {
            Hosts::All => true,
            Hosts::One(one) => one == address,
            Hosts::None => false,
        }
    }
}
