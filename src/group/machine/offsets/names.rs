//! Groups and topics by number: a committed offset has the two numbers in its key instead of the two names.
//!
//! A number is given again once nobody has it, so numbers say nothing about order, and two machines in the same state may
//! have given different ones.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Numbers of names of one sort.
#[derive(Clone, Debug)]
pub(super) struct Names<N> {
    numbers: BTreeMap<N, u32>,
    names: Vec<Option<N>>,
    free: Vec<u32>,
}

impl<N> Default for Names<N> {
    fn default() -> Names<N> {
        Names { numbers: BTreeMap::new(), names: Vec::new(), free: Vec::new() }
    }
}

impl<N: Clone + Ord> Names<N> {
    pub(super) fn number<Q: Ord + ?Sized>(&self, name: &Q) -> Option<u32>
    where
        N: Borrow<Q>,
    {
        self.numbers.get(name).copied()
    }

    pub(super) fn name(&self, number: u32) -> Option<&N> {
        self.names.get(number as usize)?.as_ref()
    }

    /// The number of the name, which it has from now on if it had none.
    pub(super) fn take(&mut self, name: &N) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.free.pop().unwrap_or(self.names.len() as u32);
        match self.names.get_mut(number as usize) {
            Some(slot) => *slot = Some(name.clone()),
            None => self.names.push(Some(name.clone())),
        }
        self.numbers.insert(name.clone(), number);
        number
    }

    /// Nobody has the name any more.
    pub(super) fn release(&mut self, number: u32) {
        if let Some(name) = self.names.get_mut(number as usize).and_then(Option::take) {
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &N> {
        self.numbers.keys()
    }
}
