//! Writes the fields of a response in either encoding (before and since flexible versions). What cannot be written is
//! remembered and reported when the frame is closed, so that an encoder reads as the list of its fields.

use crate::model::TopicId;
use crate::wire::encode::{EncodeError, api_name, close_frame};
use crate::wire::{CurrentLeader, NodeEndpoint, TopicRef};
use bytes::{BufMut, BytesMut};

pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut BytesMut,
    pub(crate) version: i16,
    pub(crate) flexible: bool,
    key: i16,
    start: usize,
    fault: Option<&'static str>,
}

impl<'a> Writer<'a> {
    /// Begins a frame: room for the length, then the response header.
    pub(crate) fn frame(
        out: &'a mut BytesMut,
        key: i16,
        version: i16,
        flexible: bool,
        correlation_id: i32,
    ) -> Writer<'a> {
        let start = out.len();
        out.put_i32(0);
        out.put_i32(correlation_id);
        let mut writer = Writer { out, version, flexible, key, start, fault: None };
        writer.no_tags();
        writer
    }

    /// Ends the frame, whose `elsewhere` bytes are not in this buffer. On an error nothing of it is left behind.
    pub(crate) fn close(self, elsewhere: usize) -> Result<usize, EncodeError> {
        let framed = match self.fault {
            Some(fault) => {
                Err(EncodeError::Body { api: api_name(self.key), version: self.version, message: fault.to_owned() })
            }
            None => close_frame(self.out, self.start, elsewhere, self.key, self.version),
        };
        if framed.is_err() {
            self.out.truncate(self.start);
        }
        framed
    }

    pub(crate) fn fail(&mut self, fault: &'static str) {
        self.fault.get_or_insert(fault);
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    /// The count of an array that is not null.
    #[inline]
    pub(crate) fn count(&mut self, n: usize) {
        match i32::try_from(n) {
            Ok(count) if self.flexible => self.uvarint(count as u32 + 1),
            Ok(count) => self.out.put_i32(count),
            Err(_) => self.fail("an array has more than 2^31 elements"),
        }
    }

    /// The length of records that follow elsewhere.
    #[inline]
    pub(crate) fn records_length(&mut self, n: usize) {
        self.count(n);
    }

    pub(crate) fn null_array(&mut self) {
        if self.flexible {
            self.out.put_u8(0);
        } else {
            self.out.put_i32(-1);
        }
    }

    #[inline]
    pub(crate) fn string(&mut self, text: &str) {
        match i16::try_from(text.len()) {
            Ok(length) if self.flexible => self.uvarint(length as u32 + 1),
            Ok(length) => self.out.put_i16(length),
            Err(_) => return self.fail("a string is longer than 32767 bytes"),
        }
        self.out.put_slice(text.as_bytes());
    }

    #[inline]
    pub(crate) fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.out.put_u8(0),
            None => self.out.put_i16(-1),
        }
    }

    /// The end of a struct that has no tagged fields.
    #[inline]
    pub(crate) fn no_tags(&mut self) {
        if self.flexible {
            self.out.put_u8(0);
        }
    }

    /// The tagged field `tag` that holds a current leader: two integers and an empty tagged section.
    pub(crate) fn current_leader(&mut self, tag: u8, leader: CurrentLeader) {
        self.out.put_slice(&[tag, 9]);
        self.out.put_i32(leader.leader.0);
        self.out.put_i32(leader.epoch.0);
        self.no_tags();
    }

    /// The topic as the version names it.
    #[inline]
    pub(crate) fn topic(&mut self, topic: TopicRef<'_>, ids_since: i16) {
        match topic {
            TopicRef::Name(name) if self.version < ids_since => self.string(name),
            TopicRef::Id(TopicId(id)) if self.version >= ids_since => self.out.put_slice(id.as_bytes()),
            TopicRef::Name(_) => self.fail("a topic is named in a version that uses topic ids"),
            TopicRef::Id(_) => self.fail("a topic id is used in a version that names topics"),
        }
    }

    /// The tagged section of a response, whose one field (tag 0) is the endpoints of the leaders it names.
    pub(crate) fn node_endpoints(&mut self, endpoints: &[NodeEndpoint<'_>]) {
        if endpoints.is_empty() {
            return self.no_tags();
        }
        self.uvarint(1);
        self.uvarint(0);
        let size = uvarint_size(endpoints.len() + 1) + endpoints.iter().map(endpoint_size).sum::<usize>();
        match u32::try_from(size) {
            Ok(size) => self.uvarint(size),
            Err(_) => return self.fail("the node endpoints are too large"),
        }
        self.count(endpoints.len());
        for endpoint in endpoints {
            self.node_endpoint(endpoint);
        }
    }

    /// Where a leader is.
    pub(crate) fn node_endpoint(&mut self, endpoint: &NodeEndpoint<'_>) {
        self.out.put_i32(endpoint.node.0);
        self.string(endpoint.host);
        self.out.put_i32(endpoint.port);
        self.nullable_string(endpoint.rack);
        self.no_tags();
    }
}

fn endpoint_size(endpoint: &NodeEndpoint<'_>) -> usize {
    let string = |text: &str| uvarint_size(text.len() + 1) + text.len();
    4 + string(endpoint.host) + 4 + endpoint.rack.map_or(1, string) + 1
}

fn uvarint_size(value: usize) -> usize {
    (usize::BITS - value.leading_zeros()).div_ceil(7).max(1) as usize
}
