//! Keys and values of records, field by field, as Kafka's generated classes write them.

use crate::model::TopicName;

/// Bytes that grow field by field, in the encoding before or since flexible versions.
#[derive(Debug)]
pub struct Fields {
    pub out: Vec<u8>,
    flexible: bool,
}

impl Fields {
    /// A key of this kind that begins with names.
    #[must_use]
    pub fn key(kind: i16, names: &[&str]) -> Fields {
        let mut key = Fields::plain(kind);
        for name in names {
            key.string(name);
        }
        key
    }

    /// A value of a version that is not flexible.
    #[must_use]
    pub fn plain(version: i16) -> Fields {
        Fields { out: version.to_be_bytes().to_vec(), flexible: false }
    }

    /// A value of a flexible version.
    #[must_use]
    pub fn flexible(version: i16) -> Fields {
        Fields { out: version.to_be_bytes().to_vec(), flexible: true }
    }

    /// What is inside of another field of a flexible version.
    #[must_use]
    pub fn nested() -> Fields {
        Fields { out: Vec::new(), flexible: true }
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    pub fn string(&mut self, text: &str) {
        // Whatever comes here came in a request, whose strings are no longer than this. Were one, a record that is cut
        // is better than one that nobody can read.
        let cut = (0..=text.len().min(i16::MAX as usize)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let text = text.get(..cut).unwrap_or_default().as_bytes();
        if self.flexible {
            self.uvarint(text.len() as u32 + 1);
        } else {
            self.i16(text.len() as i16);
        }
        self.raw(text);
    }

    pub fn nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.out.push(0),
            None => self.i16(-1),
        }
    }

    /// The number of elements of an array, or of bytes: both are written alike.
    pub fn count(&mut self, n: usize) {
        if self.flexible {
            self.uvarint(n as u32 + 1);
        } else {
            self.i32(n as i32);
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub fn ints(&mut self, values: impl ExactSizeIterator<Item = i32>) {
        self.count(values.len());
        values.for_each(|value| self.i32(value));
    }

    pub fn topics(&mut self, topics: &[TopicName]) {
        self.count(topics.len());
        topics.iter().for_each(|topic| self.string(topic.as_str()));
    }

    /// The section of tagged fields, which has the field with tag 0 or none.
    pub fn tagged(&mut self, zero: Option<Vec<u8>>) {
        match zero {
            None => self.out.push(0),
            Some(field) => {
                self.raw(&[1, 0]);
                self.uvarint(field.len() as u32);
                self.raw(&field);
            }
        }
    }
}
