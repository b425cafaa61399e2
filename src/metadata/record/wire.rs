//! The flexible-version encoding of Kafka's messages: what the cluster log's records are made of.
//!
//! [`Reader`] takes bytes from a disk or a peer: every length is checked against what remains
//! before anything is allocated.

use super::BadRecord;
use crate::metadata::image::{DirectoryId, Replicas};
use crate::model::NodeId;
use uuid::Uuid;

/// Reads fields, front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BadRecord> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(BadRecord::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(BadRecord::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn i8(&mut self) -> Result<i8, BadRecord> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, BadRecord> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, BadRecord> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, BadRecord> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, BadRecord> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, BadRecord> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    pub(super) fn bool(&mut self) -> Result<bool, BadRecord> {
        Ok(self.i8()? != 0)
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, BadRecord> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(super) fn uvarint(&mut self) -> Result<u32, BadRecord> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BadRecord::Invalid("a varint of more than five bytes"))
    }

    /// A number that Kafka keeps in a short but writes as a varint.
    pub(super) fn short_uvarint(&mut self) -> Result<i16, BadRecord> {
        i16::try_from(self.uvarint()?).map_err(|_| BadRecord::Invalid("a type or version that is too large"))
    }

    fn nullable_len(&mut self) -> Result<Option<usize>, BadRecord> {
        Ok(self.uvarint()?.checked_sub(1).map(|len| len as usize))
    }

    /// The count of an array whose elements take at least `min` bytes each.
    fn nullable_count(&mut self, min: usize) -> Result<Option<usize>, BadRecord> {
        match self.nullable_len()? {
            Some(count) if count > self.bytes.len() / min => Err(BadRecord::Truncated),
            other => Ok(other),
        }
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, BadRecord> {
        let Some(len) = self.nullable_len()? else { return Ok(None) };
        let text =
            std::str::from_utf8(self.take(len)?).map_err(|_| BadRecord::Invalid("a string that is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn string(&mut self) -> Result<String, BadRecord> {
        self.nullable_string()?.ok_or(BadRecord::Invalid("a null string"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], BadRecord> {
        let len = self.nullable_len()?.ok_or(BadRecord::Invalid("null bytes"))?;
        self.take(len)
    }

    pub(super) fn nullable_list<T, C: FromIterator<T>>(
        &mut self,
        min: usize,
        mut one: impl FnMut(&mut Reader<'a>) -> Result<T, BadRecord>,
    ) -> Result<Option<C>, BadRecord> {
        let Some(count) = self.nullable_count(min)? else { return Ok(None) };
        (0..count).map(|_| one(self)).collect::<Result<C, _>>().map(Some)
    }

    pub(super) fn list<T, C: FromIterator<T>>(
        &mut self,
        min: usize,
        one: impl FnMut(&mut Reader<'a>) -> Result<T, BadRecord>,
    ) -> Result<C, BadRecord> {
        self.nullable_list(min, one)?.ok_or(BadRecord::Invalid("a null array"))
    }

    pub(super) fn nullable_nodes(&mut self) -> Result<Option<Replicas>, BadRecord> {
        self.nullable_list(4, |r| Ok(NodeId(r.i32()?)))
    }

    pub(super) fn nodes(&mut self) -> Result<Replicas, BadRecord> {
        self.list(4, |r| Ok(NodeId(r.i32()?)))
    }

    pub(super) fn nullable_directories<C: FromIterator<DirectoryId>>(&mut self) -> Result<Option<C>, BadRecord> {
        self.nullable_list(16, |r| Ok(DirectoryId(r.uuid()?)))
    }

    pub(super) fn directories<C: FromIterator<DirectoryId>>(&mut self) -> Result<C, BadRecord> {
        self.list(16, |r| Ok(DirectoryId(r.uuid()?)))
    }

    /// The tagged fields at the end of a message or struct. `known` gets each tag with a reader of
    /// its content and says whether it took it; what it does not know is skipped, as Kafka does.
    pub(super) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, BadRecord>,
    ) -> Result<(), BadRecord> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let mut content = Reader::new(self.take(size)?);
            if known(tag, &mut content)? && content.remaining() > 0 {
                return Err(BadRecord::Invalid("a tagged field longer than its content"));
            }
        }
        Ok(())
    }

    pub(super) fn no_tags(&mut self) -> Result<(), BadRecord> {
        self.tags(|_, _| Ok(false))
    }
}

/// Writes fields at the end of a buffer.
pub(super) trait Write {
    fn fixed(&mut self, bytes: &[u8]);
    fn uvarint(&mut self, value: u32);

    fn i8(&mut self, value: i8) {
        self.fixed(&value.to_be_bytes());
    }
    fn i16(&mut self, value: i16) {
        self.fixed(&value.to_be_bytes());
    }
    fn u16(&mut self, value: u16) {
        self.fixed(&value.to_be_bytes());
    }
    fn i32(&mut self, value: i32) {
        self.fixed(&value.to_be_bytes());
    }
    fn i64(&mut self, value: i64) {
        self.fixed(&value.to_be_bytes());
    }
    fn f64(&mut self, value: f64) {
        self.fixed(&value.to_be_bytes());
    }
    fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }
    fn uuid(&mut self, value: Uuid) {
        self.fixed(value.as_bytes());
    }
    /// A length or count, which Kafka writes with one added so that 0 is null.
    fn len(&mut self, len: usize) {
        self.uvarint(u32::try_from(len).unwrap_or(u32::MAX - 1).saturating_add(1));
    }
    fn string(&mut self, text: &str) {
        self.len(text.len());
        self.fixed(text.as_bytes());
    }
    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.fixed(bytes);
    }
    fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.uvarint(0),
        }
    }
    fn nodes(&mut self, nodes: &[NodeId]) {
        self.len(nodes.len());
        for node in nodes {
            self.i32(node.0);
        }
    }
    fn directories(&mut self, directories: &[DirectoryId]) {
        self.len(directories.len());
        for directory in directories {
            self.uuid(directory.0);
        }
    }
    fn no_tags(&mut self) {
        self.uvarint(0);
    }
}

impl Write for Vec<u8> {
    fn fixed(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }
}

/// Collects the tagged fields of one message; they must be added in rising order of their tags.
#[derive(Default)]
pub(super) struct Tags {
    count: u32,
    bytes: Vec<u8>,
}

impl Tags {
    pub(super) fn add(&mut self, tag: u32, content: impl FnOnce(&mut Vec<u8>)) {
        let mut field = Vec::new();
        content(&mut field);
        self.count += 1;
        self.bytes.uvarint(tag);
        self.bytes.uvarint(u32::try_from(field.len()).unwrap_or(u32::MAX));
        self.bytes.fixed(&field);
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.uvarint(self.count);
        out.fixed(&self.bytes);
    }
}
