//! Random messages from the table of shapes: valid ones, and where in them the lengths and counts stand.

use super::{Rng, uvarint};
use klamm::wire::shape::{Api, Field, Kind, Scalar};

/// A message, and the places that say how long something is.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sites: Vec<Site>,
}

/// A length or count: `width` bytes at `at`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) at: usize,
    pub(crate) width: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// INT16, of a string.
    Short,
    /// INT32, of bytes.
    Int,
    /// INT32, of a list.
    Count,
    /// Unsigned varint of a length + 1.
    CompactLength,
    /// Unsigned varint of a count + 1.
    CompactCount,
    /// Unsigned varint: how many tagged fields.
    TagCount,
    /// Unsigned varint: the size of a tagged field.
    TagSize,
}

impl Site {
    /// The message with another value here.
    pub(crate) fn replaced(&self, bytes: &[u8], value: i64) -> Vec<u8> {
        let mut out = bytes[..self.at].to_vec();
        match self.what {
            What::Short => out.extend_from_slice(&(value as i16).to_be_bytes()),
            What::Int | What::Count => out.extend_from_slice(&(value as i32).to_be_bytes()),
            _ => uvarint(&mut out, value as u32),
        }
        out.extend_from_slice(&bytes[self.at + self.width..]);
        out
    }

    /// Values that claim more than any body holds, or less than nothing.
    pub(crate) fn absurd(&self) -> &'static [i64] {
        match self.what {
            What::Short => &[i16::MAX as i64, -2, i16::MIN as i64],
            What::Int | What::Count => &[i32::MAX as i64, 100_000_000, 1_000_000, -2, i32::MIN as i64],
            What::CompactLength | What::CompactCount | What::TagCount | What::TagSize => {
                &[u32::MAX as i64, 1 << 31, i32::MAX as i64, 100_000_000, 1_000_000]
            }
        }
    }
}

/// A valid message of a version. Every tagged field that is there has a value other than its default, so that encoding the
/// decoded message gives the same bytes.
pub(crate) fn message(rng: &mut Rng, api: &Api, version: i16) -> Message {
    message_of(rng, api, version, 4)
}

/// A valid message whose lists have up to `most` elements.
pub(crate) fn message_of(rng: &mut Rng, api: &Api, version: i16, most: usize) -> Message {
    written(rng, api, version, most, None)
}

/// A valid message whose first list has `count` elements, and the lists within them one at most.
pub(crate) fn wide_message(rng: &mut Rng, api: &Api, version: i16, count: usize) -> Message {
    written(rng, api, version, 1, Some(count))
}

fn written(rng: &mut Rng, api: &Api, version: i16, most: usize, wide: Option<usize>) -> Message {
    let flexible = api.is_flexible(version);
    let mut writer = Writer { rng, version, flexible, most, wide, bytes: Vec::new(), sites: Vec::new() };
    writer.fields(api.fields);
    Message { bytes: writer.bytes, sites: writer.sites }
}

struct Writer<'a> {
    rng: &'a mut Rng,
    version: i16,
    flexible: bool,
    most: usize,
    /// The number of elements of the next list, whatever else would have been drawn.
    wide: Option<usize>,
    bytes: Vec<u8>,
    sites: Vec<Site>,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            let null = field.is_nullable(self.version) && self.rng.percent(20);
            self.field(field, null, 0);
        }
        if self.flexible {
            self.tags(fields);
        }
    }

    fn field(&mut self, field: &Field, null: bool, least: usize) {
        let null = null && !(self.wide.is_some() && matches!(field.kind, Kind::List(_) | Kind::Structs(_)));
        match field.kind {
            Kind::One(Scalar::Text | Scalar::Bytes) if null => {
                let Kind::One(scalar) = field.kind else { return };
                self.length(scalar, -1);
            }
            Kind::One(scalar) => self.scalar(scalar),
            Kind::List(_) | Kind::Structs(_) if null => self.count(-1),
            Kind::List(scalar) => {
                let count = self.some(least);
                self.count(count as i64);
                (0..count).for_each(|_| self.scalar(scalar));
            }
            Kind::Structs(fields) => {
                let count = self.some(least);
                self.count(count as i64);
                (0..count).for_each(|_| self.fields(fields));
            }
            Kind::Struct(_) if null => self.bytes.push(0xff),
            Kind::Struct(fields) => {
                if field.is_nullable(self.version) {
                    self.bytes.push(1);
                }
                self.fields(fields);
            }
        }
    }

    fn some(&mut self, least: usize) -> usize {
        self.wide.take().unwrap_or_else(|| least.max(self.rng.below(self.most + 1)))
    }

    fn scalar(&mut self, scalar: Scalar) {
        match scalar {
            Scalar::Bool => {
                let value = self.rng.below(2) as u8;
                self.bytes.push(value);
            }
            Scalar::Text => {
                let length = self.rng.below(12);
                self.length(scalar, length as i64);
                for _ in 0..length {
                    let letter = b'a' + self.rng.below(26) as u8;
                    self.bytes.push(letter);
                }
            }
            Scalar::Bytes => {
                let length = self.rng.below(40);
                self.length(scalar, length as i64);
                self.noise(length);
            }
            // Not -1 and not 0, which are the defaults of tagged fields; nor, as a float, not a number.
            _ => {
                let size = scalar.fixed().unwrap_or_default();
                self.bytes.push(1 + self.rng.below(0x70) as u8);
                self.noise(size - 1);
            }
        }
    }

    fn noise(&mut self, n: usize) {
        for _ in 0..n {
            let byte = self.rng.next() as u8;
            self.bytes.push(byte);
        }
    }

    fn site(&mut self, what: What, value: i64) {
        let at = self.bytes.len();
        match what {
            What::Short => self.bytes.extend_from_slice(&(value as i16).to_be_bytes()),
            What::Int | What::Count => self.bytes.extend_from_slice(&(value as i32).to_be_bytes()),
            _ => uvarint(&mut self.bytes, value as u32),
        }
        self.sites.push(Site { at, width: self.bytes.len() - at, what });
    }

    fn length(&mut self, scalar: Scalar, value: i64) {
        match scalar {
            _ if self.flexible => self.site(What::CompactLength, value + 1),
            Scalar::Text => self.site(What::Short, value),
            _ => self.site(What::Int, value),
        }
    }

    fn count(&mut self, value: i64) {
        if self.flexible { self.site(What::CompactCount, value + 1) } else { self.site(What::Count, value) }
    }

    fn tags(&mut self, fields: &[Field]) {
        let known: Vec<&Field> =
            fields.iter().filter(|field| field.tag.is_some() && field.is_in(self.version)).collect();
        let known: Vec<&Field> = known.into_iter().filter(|_| self.rng.percent(60)).collect();
        let unknown = if self.rng.percent(10) { 1 + self.rng.below(3) } else { 0 };
        self.site(What::TagCount, (known.len() + unknown) as i64);
        for field in known {
            uvarint(&mut self.bytes, field.tag.unwrap_or_default());
            self.tagged(|inner| inner.field(field, false, 1));
        }
        for i in 0..unknown {
            uvarint(&mut self.bytes, 100 + 100 * i as u32);
            self.tagged(|inner| {
                let length = inner.rng.below(20);
                inner.noise(length);
            });
        }
    }

    /// What `content` writes, after its size.
    fn tagged(&mut self, content: impl FnOnce(&mut Writer<'_>)) {
        let mut inner = Writer {
            rng: self.rng,
            version: self.version,
            flexible: self.flexible,
            most: self.most,
            wide: None,
            bytes: Vec::new(),
            sites: Vec::new(),
        };
        content(&mut inner);
        let (bytes, sites) = (inner.bytes, inner.sites);
        self.site(What::TagSize, bytes.len() as i64);
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&bytes);
        self.sites.extend(sites.into_iter().map(|site| Site { at: base + site.at, ..site }));
    }
}
