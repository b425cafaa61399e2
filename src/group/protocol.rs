//! The bytes that the members of `consumer` groups send each other through the classic protocol (`ConsumerProtocol`):
//! subscription and assignment. The coordinator only passes them on, but looks into them to know what a group is subscribed
//! to, and builds and reads them when a group changes its protocol.
//!
//! Whoever is in a group chooses these bytes: nothing here trusts a length, and what is kept is never more than a fixed
//! multiple of what was read. A version that is newer than ours is read as our newest, and what follows it is not looked at,
//! as in Kafka: new versions only add fields at the end.

use crate::model::{PartitionId, TopicName};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::borrow::Cow;

/// `protocolType` of groups that speak this protocol.
pub const PROTOCOL_TYPE: &str = "consumer";

/// The newest version that is read and written.
pub const NEWEST: i16 = 3;

/// The bytes are not what a member would send, or the words do not fit into them (Kafka's `SchemaException`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Partitions by topic, in the order of the bytes.
pub type Partitions = Vec<(TopicName, Vec<PartitionId>)>;

/// What a member wants to consume, as it tells the leader (`ConsumerProtocolSubscription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub topics: Vec<TopicName>,
    pub user_data: Option<Bytes>,
    /// From version 1 on.
    pub owned: Partitions,
    /// From version 2 on; -1: none.
    pub generation: i32,
    /// From version 3 on. Never empty.
    pub rack: Option<String>,
}

/// What a member is to consume, as the leader says (`ConsumerProtocolAssignment`). All versions have the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Assignment {
    pub partitions: Partitions,
    pub user_data: Option<Bytes>,
}

/// The version that a subscription or an assignment begins with (`ConsumerProtocol.deserializeVersion`).
///
/// # Errors
/// There are not even two bytes.
pub fn version(bytes: &[u8]) -> Result<i16, Malformed> {
    Reader { rest: bytes }.i16()
}

/// Calls `each` with every topic of a subscription of any version, without keeping any.
///
/// The coordinator reads no more than the topics, which all versions begin with, so that a member of a later version, or one
/// that got the rest wrong, is understood too (`ClassicGroup.computeSubscribedTopics` reads version 0).
///
/// # Errors
/// The beginning is not that of a subscription. `each` may have been called.
pub fn subscribed_topics(bytes: &[u8], mut each: impl FnMut(&str)) -> Result<(), Malformed> {
    let mut reader = Reader { rest: bytes };
    reader.i16()?;
    for _ in 0..reader.length()? {
        each(&reader.string()?);
    }
    reader.nullable_bytes()?;
    Ok(())
}

impl Subscription {
    /// Reads a subscription with its version in front.
    ///
    /// # Errors
    /// The bytes are not a subscription.
    pub fn parse(bytes: &[u8]) -> Result<Subscription, Malformed> {
        let mut reader = Reader { rest: bytes };
        let version = known(reader.i16()?)?;
        let mut topics = Vec::new();
        for _ in 0..reader.length()? {
            topics.push(TopicName::new(&reader.string()?));
        }
        let user_data = reader.nullable_bytes()?.map(Bytes::copy_from_slice);
        let owned = if version >= 1 { reader.partitions()? } else { Vec::new() };
        let generation = if version >= 2 { reader.i32()? } else { -1 };
        let rack = if version >= 3 { reader.nullable_string()? } else { None };
        let rack = rack.filter(|rack| !rack.is_empty()).map(Cow::into_owned);
        Ok(Subscription { topics, user_data, owned, generation, rack })
    }

    /// The bytes, with the version in front; what the version has no field for is left out.
    ///
    /// # Errors
    /// The version is negative, or something is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes, Malformed> {
        let version = known(version)?;
        let mut out = BytesMut::new();
        out.put_i16(version);
        put_length(&mut out, self.topics.len())?;
        for topic in &self.topics {
            put_string(&mut out, topic.as_str())?;
        }
        put_nullable_bytes(&mut out, self.user_data.as_deref())?;
        if version >= 1 {
            put_partitions(&mut out, &self.owned)?;
        }
        if version >= 2 {
            out.put_i32(self.generation);
        }
        if version >= 3 {
            match &self.rack {
                Some(rack) => put_string(&mut out, rack)?,
                None => out.put_i16(-1),
            }
        }
        Ok(out.freeze())
    }
}

impl Assignment {
    /// Reads an assignment with its version in front.
    ///
    /// # Errors
    /// The bytes are not an assignment.
    pub fn parse(bytes: &[u8]) -> Result<Assignment, Malformed> {
        let mut reader = Reader { rest: bytes };
        known(reader.i16()?)?;
        let partitions = reader.partitions()?;
        let user_data = reader.nullable_bytes()?.map(Bytes::copy_from_slice);
        Ok(Assignment { partitions, user_data })
    }

    /// The bytes, with the version in front.
    ///
    /// # Errors
    /// The version is negative, or something is too long.
    pub fn encode(&self, version: i16) -> Result<Bytes, Malformed> {
        let mut out = BytesMut::new();
        out.put_i16(known(version)?);
        put_partitions(&mut out, &self.partitions)?;
        put_nullable_bytes(&mut out, self.user_data.as_deref())?;
        Ok(out.freeze())
    }
}

/// The version to read or write for one that is asked for.
fn known(version: i16) -> Result<i16, Malformed> {
    if version < 0 { Err(Malformed("the version is negative")) } else { Ok(version.min(NEWEST)) }
}

/// Takes fields off the front of the bytes.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("a field is longer than the bytes"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("the bytes end within a field"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// Of an array that may not be null.
    fn length(&mut self) -> Result<usize, Malformed> {
        let length = usize::try_from(self.i32()?).map_err(|_| Malformed("an array is null"))?;
        // Every element takes a byte at least: a longer array is a lie, found before anything is kept.
        if length > self.rest.len() {
            return Err(Malformed("an array is longer than the bytes"));
        }
        Ok(length)
    }

    /// Java replaces what is not UTF-8 as well.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.nullable_string()?.ok_or(Malformed("a string is null"))
    }

    fn nullable_string(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?)))
    }

    fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let Ok(length) = usize::try_from(self.i32()?) else { return Ok(None) };
        self.take(length).map(Some)
    }

    fn partitions(&mut self) -> Result<Partitions, Malformed> {
        let mut topics = Vec::new();
        for _ in 0..self.length()? {
            let topic = TopicName::new(&self.string()?);
            let mut partitions = Vec::new();
            for _ in 0..self.length()? {
                partitions.push(PartitionId(self.i32()?));
            }
            topics.push((topic, partitions));
        }
        Ok(topics)
    }
}

fn put_length(out: &mut BytesMut, length: usize) -> Result<(), Malformed> {
    out.put_i32(i32::try_from(length).map_err(|_| Malformed("too many elements"))?);
    Ok(())
}

fn put_string(out: &mut BytesMut, string: &str) -> Result<(), Malformed> {
    out.put_i16(i16::try_from(string.len()).map_err(|_| Malformed("a string is too long"))?);
    out.put_slice(string.as_bytes());
    Ok(())
}

fn put_nullable_bytes(out: &mut BytesMut, bytes: Option<&[u8]>) -> Result<(), Malformed> {
    match bytes {
        None => out.put_i32(-1),
        Some(bytes) => {
            put_length(out, bytes.len())?;
            out.put_slice(bytes);
        }
    }
    Ok(())
}

fn put_partitions(out: &mut BytesMut, topics: &Partitions) -> Result<(), Malformed> {
    put_length(out, topics.len())?;
    for (topic, partitions) in topics {
        put_string(out, topic.as_str())?;
        put_length(out, partitions.len())?;
        for partition in partitions {
            out.put_i32(partition.0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
