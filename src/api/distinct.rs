//! What comes more than once in a request.

use std::collections::HashSet;
use std::hash::Hash;

/// The items that come more than once.
pub(super) fn repeated<'a, T: Eq + Hash>(items: impl Iterator<Item = &'a T>) -> HashSet<&'a T> {
    let mut seen = HashSet::new();
    items.filter(|item| !seen.insert(*item)).collect()
}

/// Every item where it comes first.
pub(super) fn each_once<'a, T: Eq + Hash>(items: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(*item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_three_times_is_one_repeated_item() {
        let items = [3, 1, 3, 2, 3];
        assert_eq!(repeated(items.iter()), HashSet::from([&3]));
        assert_eq!(each_once(items.iter()), [&3, &1, &2]);
    }
}
