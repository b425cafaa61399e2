//! A sorted map whose copies share their content: changing one entry of 10 000 copies one leaf
//! and the list of leaves, not the map.
//!
//! Two levels: a list of leaves, each a sorted run of at most [`LEAF_MAX`] entries behind an `Arc`.
//! Look-up is two binary searches; iteration is in key order.

use std::borrow::Borrow;
use std::sync::Arc;

/// A leaf that grows past this is cut in two.
const LEAF_MAX: usize = 64;

type Leaf<K, V> = Arc<Vec<(K, V)>>;

/// See the module.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V> {
    /// No leaf is empty; keys rise within and across leaves.
    leaves: Arc<Vec<Leaf<K, V>>>,
    len: usize,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap { leaves: Arc::default(), len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SortedMap<K, V> {
    fn eq(&self, other: &SortedMap<K, V>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K, V> SortedMap<K, V> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.leaves.iter().flat_map(|leaf| leaf.iter().map(|(k, v)| (k, v)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(k, _)| k)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, v)| v)
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let leaf = self.leaves.get(self.leaf_for(key)?)?;
        let at = leaf.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        leaf.get(at).map(|(_, v)| v)
    }

    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Entries whose key is at least `from`, in key order.
    pub fn range_from<'a, Q: Ord + ?Sized>(&'a self, from: &'a Q) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let first = self.leaf_for(from).unwrap_or(0);
        self.leaves
            .get(first..)
            .unwrap_or_default()
            .iter()
            .flat_map(|leaf| leaf.iter().map(|(k, v)| (k, v)))
            .skip_while(move |(k, _)| (*k).borrow() < from)
    }

    /// The leaf that holds `key` or would take it; `None` only when there is no leaf.
    fn leaf_for<Q: Ord + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let after = self.leaves.partition_point(|leaf| leaf.first().is_some_and(|(k, _)| k.borrow() <= key));
        if self.leaves.is_empty() { None } else { Some(after.saturating_sub(1)) }
    }
}

impl<K: Ord + Clone, V: Clone> SortedMap<K, V> {
    /// Adds or replaces an entry; the old value if there was one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(index) = self.leaf_for(&key) else {
            self.leaves = Arc::new(vec![Arc::new(vec![(key, value)])]);
            self.len = 1;
            return None;
        };
        let leaves = Arc::make_mut(&mut self.leaves);
        let leaf = Arc::make_mut(&mut leaves[index]);
        match leaf.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut leaf[at].1, value)),
            Err(at) => {
                leaf.insert(at, (key, value));
                self.len += 1;
                if leaf.len() > LEAF_MAX {
                    // Keys that arrive in rising order would leave half-full leaves behind: cut the
                    // last leaf near its end.
                    let cut = if at + 1 == leaf.len() { leaf.len() - 1 } else { leaf.len() / 2 };
                    let right = leaf.split_off(cut);
                    leaves.insert(index + 1, Arc::new(right));
                }
                None
            }
        }
    }

    /// Removes an entry and gives it back.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if !self.contains_key(key) {
            return None;
        }
        let index = self.leaf_for(key)?;
        let leaves = Arc::make_mut(&mut self.leaves);
        let leaf = Arc::make_mut(&mut leaves[index]);
        let at = leaf.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        let (_, value) = leaf.remove(at);
        if leaf.is_empty() {
            leaves.remove(index);
        }
        self.len -= 1;
        Some(value)
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut map = SortedMap::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A small generator, so that a failure can be run again.
    fn next(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn it_agrees_with_a_btree_map_through_random_changes() {
        let (mut ours, mut theirs) = (SortedMap::default(), BTreeMap::new());
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            let (key, value) = ((next(&mut state) % 900) as u32, next(&mut state));
            if next(&mut state).is_multiple_of(3) {
                assert_eq!(ours.remove(&key), theirs.remove(&key));
            } else {
                assert_eq!(ours.insert(key, value), theirs.insert(key, value));
            }
            assert_eq!(ours.len(), theirs.len());
        }
        assert!(ours.iter().eq(theirs.iter()));
        for from in [0, 1, 450, 899, 900] {
            assert!(ours.range_from(&from).eq(theirs.range(from..)), "from {from}");
        }
        assert!((0..1000).all(|k| ours.get(&k) == theirs.get(&k)));
    }

    #[test]
    fn a_copy_keeps_its_content_and_shares_the_leaves_that_did_not_change() {
        let before: SortedMap<u32, u32> = (0..1000).map(|n| (n, n)).collect();
        let mut after = before.clone();
        after.insert(500, 7);
        assert_eq!((before.get(&500), after.get(&500)), (Some(&500), Some(&7)));
        let copied = before.leaves.iter().zip(after.leaves.iter()).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(copied, 1);
    }
}
