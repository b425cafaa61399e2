//! The guard: walks a request's body by the shape of its message before the `kafka-protocol` crate sees it.
//!
//! A body that passes cannot make the crate's decoder allocate more than [`Cost`] says: every length and count was shown
//! to fit in the bytes that remain, every tagged field has the size it declares, every varint fits its type.

use crate::wire::Refused;

/// Bytes of heap that the decoded form of a body will occupy at most, beyond the body itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cost(pub usize);

/// Walks `body`. Bytes after the message are allowed, as Kafka allows them.
pub fn check(key: i16, version: i16, body: &[u8]) -> Result<Cost, Refused> {
    let _ = body;
    Err(Refused::UnsupportedVersion { key, version })
}

/// Kafka's name of an API whose shape is known.
#[must_use]
pub fn name(key: i16) -> Option<&'static str> {
    let _ = key;
    None
}

/// The first flexible version of an API whose shape is known; `i16::MAX` if it has none.
#[must_use]
pub fn first_flexible(key: i16) -> Option<i16> {
    let _ = key;
    None
}
