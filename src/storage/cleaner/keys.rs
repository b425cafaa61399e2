//! Where the last record of each key is: a hash table of fixed size that keeps no keys.
//!
//! A slot has twelve bytes: an offset relative to the first one mapped, and as much of the key's hash as there is room
//! for beside it (64 bits and whatever the offset leaves of 32). The hash is SipHash-1-3 of 128 bits under a random
//! key, so that nobody can choose keys that meet; other bits of it choose the slot, and slots are tried in a row from
//! there. So two keys are taken for one only if some 70 bits agree and their places are next to each other: with ten
//! million keys in a table that is full to the brim, once in some 10^12 cleanings. (Kafka's `SkimpyOffsetMap` takes 24
//! bytes for a key: with the same memory we map twice as many.)

use crate::model::Offset;
use uuid::Uuid;

/// Bytes of a slot.
pub(super) const SLOT: usize = 12;
/// A row of slots must end somewhere.
const LOAD_MAX: f64 = 0.97;

/// The first slot of a key, and its hash as a slot holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: usize,
    tag: [u32; 3],
}

/// The table. Its size never changes.
pub(super) struct KeyMap {
    /// Hash, hash, and hash with offset; all zero: free.
    slots: Vec<[u32; 3]>,
    key: (u64, u64),
    /// The offset that is stored as 1.
    first: Offset,
    /// Bits of the last word that hold the offset.
    offset_bits: u32,
    keys: usize,
    keys_max: usize,
    /// Up to here (inclusive) everything has been mapped.
    latest: Option<Offset>,
}

impl KeyMap {
    /// A table for the records of `first..end`, of at most `bytes` of which the share `load` may be used. It is not
    /// larger than that many records need.
    pub(super) fn new(bytes: usize, load: f64, first: Offset, end: Offset, secret: Uuid) -> KeyMap {
        let load = if load.is_finite() { load.clamp(0.01, LOAD_MAX) } else { LOAD_MAX };
        let records = u64::try_from(end.0.saturating_sub(first.0)).unwrap_or(0);
        let needed = ((records as f64 / load).ceil() as u64).saturating_add(1);
        let slots = usize::try_from(needed).unwrap_or(usize::MAX).min(bytes / SLOT).max(2);
        let (high, low) = secret.as_u64_pair();
        KeyMap {
            // Zeros from the system: memory is taken as slots are filled.
            slots: vec![[0; 3]; slots],
            key: (high, low),
            first,
            offset_bits: (u64::BITS - records.saturating_add(1).leading_zeros()).clamp(1, u32::BITS),
            keys: 0,
            keys_max: ((slots as f64 * load) as usize).clamp(1, slots - 1),
            latest: None,
        }
    }

    /// Notes that the last record of a key is at `offset`, which must not fall from call to call. False if there is
    /// no room for another key: then nothing has changed.
    pub(super) fn put(&mut self, place: &Place, offset: Offset) -> bool {
        let Some(relative) = self.relative(offset) else { return false };
        let Place { mut at, tag } = *place;
        loop {
            let slot = &mut self.slots[at];
            if slot[2] & mask(self.offset_bits) == 0 {
                if self.keys >= self.keys_max {
                    return false;
                }
                self.keys += 1;
            } else if !same(slot, &tag, self.offset_bits) {
                at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
                continue;
            }
            *slot = [tag[0], tag[1], tag[2] | relative];
            self.latest = Some(offset);
            return true;
        }
    }

    /// The offset of the last record of a key that was put.
    pub(super) fn get(&self, place: &Place) -> Option<Offset> {
        let Place { mut at, tag } = *place;
        for _ in 0..self.slots.len() {
            let slot = &self.slots[at];
            let relative = slot[2] & mask(self.offset_bits);
            if relative == 0 {
                return None;
            }
            if same(slot, &tag, self.offset_bits) {
                return Some(self.first.plus(i64::from(relative) - 1));
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        None
    }

    /// Everything up to `offset` has been looked at.
    pub(super) fn mapped_to(&mut self, offset: Offset) {
        self.latest = self.latest.max(Some(offset));
    }

    /// See [`KeyMap::mapped_to`]; `None`: nothing has.
    pub(super) fn latest(&self) -> Option<Offset> {
        self.latest
    }

    /// How full it is, of what it may be.
    pub(super) fn utilization(&self) -> f64 {
        self.keys as f64 / self.keys_max as f64
    }

    fn relative(&self, offset: Offset) -> Option<u32> {
        let relative = u32::try_from(offset.0.checked_sub(self.first.0)?.checked_add(1)?).ok()?;
        (relative <= mask(self.offset_bits)).then_some(relative)
    }

    /// Where a key is looked for.
    pub(super) fn place(&self, key: &[u8]) -> Place {
        let (a, b) = siphash128::<1, 3>(self.key, key);
        let at = (u64::from(a as u32) * self.slots.len() as u64) >> 32;
        let tag = [b as u32, (b >> 32) as u32, (a >> 32) as u32 & !mask(self.offset_bits)];
        Place { at: at as usize, tag }
    }

    /// Has the memory of some places brought near, all at once: one after the other each would be waited for. A few
    /// dozen at a time.
    pub(super) fn warm(&self, places: impl Iterator<Item = Place>) {
        std::hint::black_box(places.fold(0, |sum, place| sum ^ self.slots[place.at][2]));
    }
}

fn mask(bits: u32) -> u32 {
    u32::MAX >> (u32::BITS - bits)
}

fn same(slot: &[u32; 3], tag: &[u32; 3], offset_bits: u32) -> bool {
    slot[0] == tag[0] && slot[1] == tag[1] && slot[2] & !mask(offset_bits) == tag[2]
}

/// SipHash with an output of 128 bits, `C` rounds for each word and `D` at the end (Aumasson and Bernstein).
fn siphash128<const C: usize, const D: usize>(key: (u64, u64), bytes: &[u8]) -> (u64, u64) {
    let mut v = [
        key.0 ^ 0x736f_6d65_7073_6575,
        key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        key.0 ^ 0x6c79_6765_6e65_7261,
        key.1 ^ 0x7465_6462_7974_6573,
    ];
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        absorb::<C>(&mut v, u64::from_le_bytes(eight));
    }
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    absorb::<C>(&mut v, u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
    v[2] ^= 0xee;
    (0..D).for_each(|_| round(&mut v));
    let first = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    (0..D).for_each(|_| round(&mut v));
    (first, v[0] ^ v[1] ^ v[2] ^ v[3])
}

#[inline(always)]
fn absorb<const C: usize>(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    (0..C).for_each(|_| round(v));
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashMap;

    const SECRET: Uuid = Uuid::from_u128(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);

    fn put(map: &mut KeyMap, key: &[u8], offset: i64) -> bool {
        let place = map.place(key);
        map.put(&place, Offset(offset))
    }

    fn get(map: &KeyMap, key: &[u8]) -> Option<Offset> {
        map.get(&map.place(key))
    }

    #[test]
    fn the_hash_is_siphash_as_its_authors_publish_it() {
        // Their first test vector of SipHash-2-4-128: the key 00 01 .. 0f, no input.
        let key = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let (a, b) = siphash128::<2, 4>(key, &[]);
        let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
        let expected = [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn the_last_offset_of_every_key_is_found_and_no_other_key_is() {
        let mut map = KeyMap::new(1 << 20, 0.9, Offset(5_000_000_000), Offset(5_000_050_000), SECRET);
        let mut model = HashMap::new();
        for n in 0..50_000i64 {
            let key = (n * 7919 % 20_011).to_string();
            assert!(put(&mut map, key.as_bytes(), 5_000_000_000 + n));
            model.insert(key, 5_000_000_000 + n);
        }
        for (key, offset) in &model {
            assert_eq!(get(&map, key.as_bytes()), Some(Offset(*offset)));
        }
        assert!((20_011..40_022).all(|n: i32| get(&map, n.to_string().as_bytes()).is_none()));
        assert_eq!(map.latest(), Some(Offset(5_000_049_999)));
    }

    #[test]
    fn a_full_table_takes_known_keys_and_no_new_ones() {
        let mut map = KeyMap::new(SLOT * 10, 0.5, Offset(0), Offset(1_000_000), SECRET);
        let taken = (0..10u8).take_while(|n| put(&mut map, &[*n], i64::from(*n))).count();
        assert_eq!((taken, map.latest(), map.utilization()), (5, Some(Offset(4)), 1.0));
        assert!(put(&mut map, &[2], 20));
        assert!(!put(&mut map, &[99], 21));
        assert_eq!((get(&map, &[2]), get(&map, &[99])), (Some(Offset(20)), None));
    }

    #[test]
    fn an_offset_that_is_too_far_for_a_slot_ends_the_map() {
        let mut map = KeyMap::new(SLOT * 1000, 0.9, Offset(0), Offset(i64::MAX), SECRET);
        assert!(put(&mut map, b"a", i64::from(u32::MAX) - 1));
        assert!(!put(&mut map, b"b", i64::from(u32::MAX)));
        assert_eq!(get(&map, b"a"), Some(Offset(i64::from(u32::MAX) - 1)));
    }

    #[test]
    fn a_table_is_not_larger_than_the_records_need() {
        let map = KeyMap::new(128 << 20, 0.9, Offset(100), Offset(190), SECRET);
        assert_eq!((map.slots.len(), map.keys_max), (101, 90));
        let mut map = KeyMap::new(0, 0.9, Offset(0), Offset(0), SECRET);
        assert!(put(&mut map, b"a", 0) && !put(&mut map, b"b", 1));
    }
}
