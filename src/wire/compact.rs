//! The fields of flexible versions, for messages of our own that stand in for the crate's where it lacks a version: they
//! implement its traits, whose helpers are its own.
//!
//! What is read has been walked by the guard; a length that does not fit is refused here all the same.

use anyhow::{Result, bail};
use bytes::BytesMut;
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

/// Writes fields.
pub(crate) trait Put: ByteBufMut + Sized {
    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.put_u8(value as u8);
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.len() > i16::MAX as usize {
            bail!("a string is longer than 32767 bytes");
        }
        self.uvarint(text.len() as u32 + 1);
        self.put_slice(text.as_bytes());
        Ok(())
    }

    fn nullable(&mut self, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => self.text(text)?,
            None => self.put_u8(0),
        }
        Ok(())
    }

    fn list<T>(&mut self, all: &[T], mut element: impl FnMut(&mut Self, &T) -> Result<()>) -> Result<()> {
        if i32::try_from(all.len()).is_err() {
            bail!("an array has more than 2^31 elements");
        }
        self.uvarint(all.len() as u32 + 1);
        all.iter().try_for_each(|one| element(self, one))
    }

    /// The end of a struct, which has no tagged fields.
    fn no_tags(&mut self) -> Result<()> {
        self.put_u8(0);
        Ok(())
    }
}

impl<B: ByteBufMut> Put for B {}

/// Reads fields.
pub(crate) trait Get: ByteBuf + Sized {
    fn uvarint(&mut self) -> Result<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.try_get_u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a varint of more than five bytes")
    }

    fn nullable(&mut self) -> Result<Option<StrBytes>> {
        match self.uvarint()?.checked_sub(1) {
            Some(length) => Ok(Some(StrBytes::try_from(self.try_get_bytes(length as usize)?)?)),
            None => Ok(None),
        }
    }

    fn text(&mut self) -> Result<StrBytes> {
        match self.nullable()? {
            Some(text) => Ok(text),
            None => bail!("a string is null"),
        }
    }

    fn id(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_u128(self.try_get_u128()?))
    }

    /// A list of structs, which take a byte each at the least.
    fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let Some(count) = self.uvarint()?.checked_sub(1) else { bail!("an array is null") };
        if count as usize > self.remaining() {
            bail!("an array of {count} elements in {} bytes", self.remaining());
        }
        // As many as the guard has counted, so that growing takes no more than it said.
        let mut list = Vec::with_capacity(count as usize);
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    fn skip_tags(&mut self) -> Result<()> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()?;
            self.try_get_bytes(size as usize)?;
        }
        Ok(())
    }
}

impl<B: ByteBuf> Get for B {}

/// What a message takes, found by writing it.
pub(crate) fn size(message: &impl Encodable, version: i16) -> Result<usize> {
    let mut out = BytesMut::new();
    message.encode(&mut out, version)?;
    Ok(out.len())
}
