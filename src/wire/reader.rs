//! A checked cursor over the bytes of a message. Every read says where it failed; none can panic or allocate.

use crate::wire::Refused;

/// The most tagged fields that one struct may carry that we do not know. Kafka has no bound; the
/// largest known set in its schemas is under ten.
pub(crate) const UNKNOWN_TAGS_MAX: u32 = 64;

/// The longest string Kafka reads, compact or not.
const STRING_MAX: i64 = i16::MAX as i64;

#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(all: &'a [u8]) -> Reader<'a> {
        Reader { all, at: 0 }
    }

    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.all.len() - self.at
    }

    #[inline]
    pub(crate) fn skip(&mut self, n: usize) -> Result<(), Refused> {
        if n > self.remaining() {
            return Err(Refused::Truncated { at: self.at });
        }
        self.at += n;
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        match self.all.get(self.at..).and_then(<[u8]>::first_chunk::<N>) {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Refused::Truncated { at: self.at }),
        }
    }

    #[inline]
    pub(crate) fn i8(&mut self) -> Result<i8, Refused> {
        self.array().map(i8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i16(&mut self) -> Result<i16, Refused> {
        self.array().map(i16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self) -> Result<i32, Refused> {
        self.array().map(i32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i64(&mut self) -> Result<i64, Refused> {
        self.array().map(i64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn uuid(&mut self) -> Result<uuid::Uuid, Refused> {
        self.array().map(uuid::Uuid::from_bytes)
    }

    /// An unsigned varint of at most five bytes whose value fits in 32 bits. Kafka and the crate drop the bits that
    /// do not fit, each in its own way; nobody sends such a thing honestly, so it is refused.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u32, Refused> {
        let at = self.at;
        let first = self.array::<1>()?[0];
        if first < 0x80 {
            return Ok(u32::from(first));
        }
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.array::<1>()?[0];
            if shift == 28 && byte > 0x0f {
                return Err(Refused::Varint { at });
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Refused::Varint { at })
    }

    /// The length of a string or of bytes, shown to fit; `None` is null.
    #[inline]
    pub(crate) fn length(&mut self, width: Width) -> Result<Option<usize>, Refused> {
        let at = self.at;
        let (length, max) = match width {
            Width::Short => (i64::from(self.i16()?), STRING_MAX),
            Width::Int => (i64::from(self.i32()?), i64::from(i32::MAX)),
            Width::CompactString => (i64::from(self.uvarint()?) - 1, STRING_MAX),
            Width::CompactBytes => (i64::from(self.uvarint()?) - 1, i64::from(i32::MAX)),
        };
        match usize::try_from(length) {
            Ok(n) if length <= max && n <= self.remaining() => Ok(Some(n)),
            Err(_) if length == -1 => Ok(None),
            _ => Err(Refused::Length { at, length }),
        }
    }

    /// The count of an array whose elements take at least `least` bytes each, shown to fit; `None` is null.
    #[inline]
    pub(crate) fn count(&mut self, compact: bool, least: usize) -> Result<Option<usize>, Refused> {
        let at = self.at;
        let count = if compact { i64::from(self.uvarint()?) - 1 } else { i64::from(self.i32()?) };
        match usize::try_from(count) {
            Ok(n) if n <= self.remaining() / least.max(1) => Ok(Some(n)),
            Err(_) if count == -1 => Ok(None),
            _ => Err(Refused::Count { at, count }),
        }
    }

    /// `n` bytes as a slice.
    #[inline]
    pub(crate) fn slice(&mut self, n: usize) -> Result<&'a [u8], Refused> {
        let end = self.at.checked_add(n).ok_or(Refused::Truncated { at: self.at })?;
        match self.all.get(self.at..end) {
            Some(slice) => {
                self.at = end;
                Ok(slice)
            }
            None => Err(Refused::Truncated { at: self.at }),
        }
    }

    #[inline]
    pub(crate) fn nullable_str(&mut self, width: Width) -> Result<Option<&'a str>, Refused> {
        let Some(n) = self.length(width)? else { return Ok(None) };
        let at = self.at;
        match std::str::from_utf8(self.slice(n)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Refused::Utf8 { at }),
        }
    }

    #[inline]
    pub(crate) fn str(&mut self, width: Width) -> Result<&'a str, Refused> {
        let at = self.at;
        self.nullable_str(width)?.ok_or(Refused::Null { at })
    }

    /// Reads past a byte of zero, if that is what comes next.
    #[inline]
    pub(crate) fn next_is_zero(&mut self) -> bool {
        let is = self.all.get(self.at) == Some(&0);
        self.at += usize::from(is);
        is
    }

    /// A tag, and a reader over exactly the bytes of its field, which are passed over. Positions of that reader are
    /// positions in the whole.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, Reader<'a>), Refused> {
        let at = self.at;
        let tag = self.uvarint()?;
        if i32::try_from(tag).is_err() {
            return Err(Refused::Tag { at, tag });
        }
        let size = self.uvarint()? as usize;
        match self.at.checked_add(size).and_then(|end| self.all.get(..end)) {
            Some(all) => {
                let content = Reader { all, at: self.at };
                self.at += size;
                Ok((tag, content))
            }
            None => Err(Refused::TagSize { at, tag }),
        }
    }

    /// Calls `known` with each tag and a reader over exactly its bytes. `known` says whether it knew the tag, and must
    /// then have read all of it. What it does not know is skipped.
    #[inline]
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, Refused>,
    ) -> Result<(), Refused> {
        if self.next_is_zero() {
            return Ok(());
        }
        let at = self.at;
        let count = self.uvarint()?;
        let mut unknown = 0;
        for _ in 0..count {
            let at_tag = self.at;
            let (tag, mut content) = self.tag()?;
            if !known(tag, &mut content)? {
                unknown += 1;
                if unknown > UNKNOWN_TAGS_MAX {
                    return Err(Refused::TooManyTags { at, count });
                }
            } else if content.remaining() > 0 {
                return Err(Refused::TagSize { at: at_tag, tag });
            }
        }
        Ok(())
    }

    /// Skips a section of tagged fields of which none is known.
    #[inline]
    pub(crate) fn skip_tags(&mut self) -> Result<(), Refused> {
        self.tags(|_, _| Ok(false))
    }
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// A string before flexible versions: `INT16`.
    Short,
    /// Bytes before flexible versions: `INT32`.
    Int,
    /// A compact string: unsigned varint of length + 1, at most 32767 long.
    CompactString,
    /// Compact bytes: unsigned varint of length + 1.
    CompactBytes,
}

impl Width {
    #[inline]
    pub(crate) fn string(flexible: bool) -> Width {
        if flexible { Width::CompactString } else { Width::Short }
    }

    #[inline]
    pub(crate) fn bytes(flexible: bool) -> Width {
        if flexible { Width::CompactBytes } else { Width::Int }
    }
}
