//! The Kafka wire: frames, headers, the guard, decoding and encoding.
//!
//! A request's way in: [`frame::FrameCodec`] cuts the length-prefixed frame, [`header::parse`] reads its header,
//! [`guard::check`] walks the body by the message's shape and says what its decoded form will cost, and
//! [`decode()`] (or [`offsets`], or [`produce::parse`], [`fetch::parse`], which are their own guards) makes a value of it:
//! the crate's, or one of [`share_state`], which stand in for those that the crate does not know in all versions.
//! The way out: [`response`] for everything that the `kafka-protocol` crate encodes,
//! [`produce::encode_response`] and [`fetch::encode_response`] for the two hot answers.
//!
//! Nothing here trusts a byte: no length sizes an allocation before it was shown to fit in the bytes that are there.

mod compact;
pub mod decode;
pub mod encode;
pub mod fetch;
pub mod frame;
pub mod guard;
pub mod header;
pub mod offsets;
pub mod principal;
pub mod produce;
pub(crate) mod reader;
mod refused;
pub mod share_acknowledge;
pub mod share_fetch;
pub mod share_offsets;
pub mod share_state;
pub mod shape;
mod writer;

pub use decode::{DECODED_MAX, DecodeError, decode, decode_response};
pub use encode::{EncodeError, response, response_into};
pub use frame::{FrameCodec, FrameError};
pub use guard::Cost;
pub use header::{HeaderError, RequestHeader};
pub use refused::Refused;

use crate::model::{LeaderEpoch, NodeId, TopicId};

/// A string that is a slice of the frame it came in (validated UTF-8, reference-counted). Holding one holds the
/// whole read buffer of its frame: what outlives the request must copy it.
pub use kafka_protocol::protocol::StrBytes as Text;

/// How a request names a topic: by name in the older versions, by id in the newer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicRef<'a> {
    Name(&'a str),
    Id(TopicId),
}

/// `LeaderIdAndEpoch`: where a partition's leader is now, for a client that asked the wrong broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    /// `NodeId(-1)` when there is none.
    pub leader: NodeId,
    pub epoch: LeaderEpoch,
}

impl CurrentLeader {
    /// False for the field's default, which is not written.
    fn is_set(&self) -> bool {
        self.leader != NodeId(-1) || self.epoch != LeaderEpoch::NONE
    }
}

/// `NodeEndpoint`: the address of a leader named in a [`CurrentLeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeEndpoint<'a> {
    pub node: NodeId,
    pub host: &'a str,
    pub port: i32,
    pub rack: Option<&'a str>,
}
