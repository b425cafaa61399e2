//! The access control entries of the cluster. A copy shares its content with the original.

use super::sorted::SortedMap;
use crate::model::{Acl, ResourceKind};
use std::sync::Arc;
use uuid::Uuid;

/// See the module. Each entry is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acls {
    by_id: SortedMap<Uuid, Arc<Acl>>,
    by_entry: SortedMap<Arc<Acl>, Uuid>,
}

impl Acls {
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    #[must_use]
    pub fn contains(&self, acl: &Acl) -> bool {
        self.by_entry.contains_key(acl)
    }

    #[must_use]
    pub fn contains_id(&self, id: Uuid) -> bool {
        self.by_id.contains_key(&id)
    }

    /// All entries with their ids: by kind of resource, then by its name.
    pub fn iter(&self) -> impl Iterator<Item = (Uuid, &Arc<Acl>)> {
        self.by_entry.iter().map(|(acl, id)| (*id, acl))
    }

    /// The entries of one kind of resource, in the order of [`Acls::iter`].
    pub fn of(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<Acl>> {
        self.by_entry.keys().skip_while(move |acl| acl.resource < kind).take_while(move |acl| acl.resource == kind)
    }

    /// Adds an entry; whether neither it nor its id were there.
    pub(super) fn insert(&mut self, id: Uuid, acl: &Acl) -> bool {
        if self.by_id.contains_key(&id) || self.by_entry.contains_key(acl) {
            return false;
        }
        let acl = Arc::new(acl.clone());
        self.by_entry.insert(Arc::clone(&acl), id);
        self.by_id.insert(id, acl);
        true
    }

    /// Takes an entry away and gives it back.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<Acl>> {
        let acl = self.by_id.remove(&id)?;
        self.by_entry.remove(acl.as_ref());
        Some(acl)
    }
}
