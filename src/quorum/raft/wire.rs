//! The quorum's own messages as bytes. They are no part of Kafka's protocol: one private request carries them between
//! controllers, and from brokers that follow. Whatever comes in is checked; nothing here trusts a length.
//!
//! A request: cluster id, who asks, who is asked, then one of [`Ask`]. An answer: 0 and the answer, or 1 and why not.

use super::types::{
    Entry, Id, TypeConfig, Voter, put_compact, put_log_id, put_stored_members, read_log_id, read_stored_members,
    unsigned,
};
use crate::model::{LeaderEpoch, NodeId, Offset};
use crate::quorum::tail::Piece;
use crate::record::BatchHeader;
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{LeaderId, SnapshotMeta, Vote};
use std::io;
use uuid::Uuid;

/// What one node asks another.
#[derive(Debug)]
pub(in crate::quorum) enum Ask {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    Snapshot(InstallSnapshotRequest<TypeConfig>),
    Fetch(Fetch),
}

/// A node without a vote asks for what was committed after `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quorum) struct Fetch {
    pub(in crate::quorum) from: Offset,
    pub(in crate::quorum) bytes_max: u32,
    /// How long to wait for something to come.
    pub(in crate::quorum) wait_ms: u32,
    /// The id of the asker's metadata directory.
    pub(in crate::quorum) directory: Uuid,
}

/// The answer to [`Fetch`].
#[derive(Debug, PartialEq, Eq)]
pub(in crate::quorum) struct Fetched {
    /// Who answers.
    pub(in crate::quorum) node: NodeId,
    pub(in crate::quorum) epoch: LeaderEpoch,
    pub(in crate::quorum) leader: Option<NodeId>,
    /// The offset after what the asked node knows to be committed.
    pub(in crate::quorum) committed: Offset,
    pub(in crate::quorum) piece: Piece,
}

/// A request with its envelope.
#[derive(Debug)]
pub(in crate::quorum) struct Request {
    pub(in crate::quorum) cluster: String,
    pub(in crate::quorum) from: NodeId,
    pub(in crate::quorum) to: NodeId,
    pub(in crate::quorum) ask: Ask,
}

impl Request {
    pub(in crate::quorum) fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        put_compact(&mut out, &self.cluster);
        out.put_i32(self.from.0);
        out.put_i32(self.to.0);
        match &self.ask {
            Ask::Append(append) => {
                out.put_u8(1);
                put_vote(&mut out, &append.vote);
                put_log_id(&mut out, append.prev_log_id);
                put_log_id(&mut out, append.leader_commit);
                out.put_u64(append.entries.first().map_or(0, |entry| entry.id.index));
                for entry in &append.entries {
                    out.put_slice(entry.stored.as_deref().unwrap_or_default());
                }
            }
            Ask::Vote(vote) => {
                out.put_u8(2);
                put_vote(&mut out, &vote.vote);
                put_log_id(&mut out, vote.last_log_id);
            }
            Ask::Snapshot(part) => {
                out.put_u8(3);
                put_vote(&mut out, &part.vote);
                put_log_id(&mut out, part.meta.last_log_id);
                put_stored_members(&mut out, &part.meta.last_membership);
                put_compact(&mut out, &part.meta.snapshot_id);
                out.put_u64(part.offset);
                out.put_u8(u8::from(part.done));
                out.put_slice(&part.data);
            }
            Ask::Fetch(fetch) => {
                out.put_u8(4);
                out.put_i64(fetch.from.0);
                out.put_u32(fetch.bytes_max);
                out.put_u32(fetch.wait_ms);
                out.put_slice(fetch.directory.as_bytes());
            }
        }
        out.freeze()
    }

    pub(in crate::quorum) fn read(bytes: &Bytes) -> io::Result<Request> {
        let mut reader = Reader::new(bytes);
        read_request(&mut reader, bytes)
    }
}

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn refused(error: Refused) -> io::Error {
    bad(error.to_string())
}

fn read_request(reader: &mut Reader<'_>, bytes: &Bytes) -> io::Result<Request> {
    let cluster = reader.str(Width::CompactString).map_err(refused)?.to_owned();
    let from = NodeId(reader.i32().map_err(refused)?);
    let to = NodeId(reader.i32().map_err(refused)?);
    let ask = match reader.i8().map_err(refused)? {
        1 => Ask::Append(read_append(reader, bytes)?),
        2 => {
            let vote = read_vote(reader).map_err(refused)?;
            Ask::Vote(VoteRequest { vote, last_log_id: read_log_id(reader).map_err(refused)? })
        }
        3 => Ask::Snapshot(read_part(reader).map_err(refused)?),
        4 => Ask::Fetch(Fetch {
            from: Offset(reader.i64().map_err(refused)?),
            bytes_max: u32::from_be_bytes(reader.i32().map_err(refused)?.to_be_bytes()),
            wait_ms: u32::from_be_bytes(reader.i32().map_err(refused)?.to_be_bytes()),
            directory: reader.uuid().map_err(refused)?,
        }),
        other => return Err(bad(format!("message {other} is not known"))),
    };
    Ok(Request { cluster, from, to, ask })
}

fn read_append(reader: &mut Reader<'_>, bytes: &Bytes) -> io::Result<AppendEntriesRequest<TypeConfig>> {
    let vote = read_vote(reader).map_err(refused)?;
    let prev_log_id = read_log_id(reader).map_err(refused)?;
    let leader_commit = read_log_id(reader).map_err(refused)?;
    let mut index = unsigned(reader).map_err(refused)?;
    let mut entries = Vec::new();
    let mut at = reader.at();
    while at < bytes.len() {
        let rest = bytes.slice(at..);
        let size = BatchHeader::parse(&rest).map_err(bad)?.size();
        if size > rest.len() {
            return Err(bad("an entry that is cut off"));
        }
        entries.push(Entry::read(index, rest.slice(..size)).map_err(bad)?);
        at += size;
        index = index.checked_add(1).ok_or_else(|| bad("an index beyond all"))?;
    }
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

fn read_part(reader: &mut Reader<'_>) -> Result<InstallSnapshotRequest<TypeConfig>, Refused> {
    let vote = read_vote(reader)?;
    let last_log_id = read_log_id(reader)?;
    let last_membership = read_stored_members(reader)?;
    let snapshot_id = reader.str(Width::CompactString)?.to_owned();
    let offset = unsigned(reader)?;
    let done = reader.i8()? != 0;
    let data = reader.slice(reader.remaining())?.to_vec();
    let meta = SnapshotMeta::<u64, Voter> { last_log_id, last_membership, snapshot_id };
    Ok(InstallSnapshotRequest { vote, meta, offset, data, done })
}

fn put_vote(out: &mut BytesMut, vote: &Vote<u64>) {
    out.put_u64(vote.leader_id.term);
    match vote.leader_id.voted_for {
        None => out.put_u8(0),
        Some(id) => {
            out.put_u8(1);
            out.put_u64(id);
        }
    }
    out.put_u8(u8::from(vote.committed));
}

fn read_vote(reader: &mut Reader<'_>) -> Result<Vote<u64>, Refused> {
    let term = unsigned(reader)?;
    let voted_for = if reader.next_is_zero() {
        None
    } else {
        reader.skip(1)?;
        Some(unsigned(reader)?)
    };
    Ok(Vote { leader_id: LeaderId { term, voted_for }, committed: reader.i8()? != 0 })
}

/// What can be an answer.
pub(in crate::quorum) trait Answer: Sized {
    fn put(&self, out: &mut BytesMut);
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused>;
}

/// An answer with its envelope.
pub(in crate::quorum) fn answer<T: Answer>(result: Result<T, String>) -> Bytes {
    let mut out = BytesMut::new();
    match result {
        Ok(value) => {
            out.put_u8(0);
            value.put(&mut out);
        }
        Err(why) => {
            out.put_u8(1);
            let end = why.char_indices().map(|(at, _)| at).take_while(|at| *at <= 1000).last().unwrap_or_default();
            put_compact(&mut out, why.get(..end).unwrap_or_default());
        }
    }
    out.freeze()
}

/// Reads what [`answer`] wrote.
pub(in crate::quorum) fn read_answer<T: Answer>(bytes: &Bytes) -> io::Result<T> {
    let mut reader = Reader::new(bytes);
    if reader.i8().map_err(refused)? == 0 {
        return T::read(&mut reader).map_err(refused);
    }
    Err(io::Error::other(reader.str(Width::CompactString).map_err(refused)?.to_owned()))
}

impl Answer for AppendEntriesResponse<u64> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            AppendEntriesResponse::Success => out.put_u8(0),
            AppendEntriesResponse::PartialSuccess(id) => {
                out.put_u8(1);
                put_log_id(out, *id);
            }
            AppendEntriesResponse::Conflict => out.put_u8(2),
            AppendEntriesResponse::HigherVote(vote) => {
                out.put_u8(3);
                put_vote(out, vote);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let at = reader.at();
        Ok(match reader.i8()? {
            0 => AppendEntriesResponse::Success,
            1 => AppendEntriesResponse::PartialSuccess(read_log_id(reader)?),
            2 => AppendEntriesResponse::Conflict,
            3 => AppendEntriesResponse::HigherVote(read_vote(reader)?),
            _ => return Err(Refused::Truncated { at }),
        })
    }
}

impl Answer for VoteResponse<u64> {
    fn put(&self, out: &mut BytesMut) {
        put_vote(out, &self.vote);
        out.put_u8(u8::from(self.vote_granted));
        put_log_id(out, self.last_log_id);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let vote = read_vote(reader)?;
        let vote_granted = reader.i8()? != 0;
        Ok(VoteResponse { vote, vote_granted, last_log_id: read_log_id(reader)? })
    }
}

impl Answer for SnapshotResponse<u64> {
    fn put(&self, out: &mut BytesMut) {
        put_vote(out, &self.vote);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(SnapshotResponse { vote: read_vote(reader)? })
    }
}

impl Answer for Fetched {
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.node.0);
        out.put_i32(self.epoch.0);
        out.put_i32(self.leader.map_or(-1, |node| node.0));
        out.put_i64(self.committed.0);
        match &self.piece {
            Piece::Batches(bytes) => {
                out.put_u8(0);
                out.put_slice(bytes);
            }
            Piece::Snapshot { end, epoch, bytes } => {
                out.put_u8(1);
                out.put_i64(end.0);
                out.put_i32(epoch.0);
                out.put_slice(bytes);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let node = NodeId(reader.i32()?);
        let epoch = LeaderEpoch(reader.i32()?);
        let leader = Some(NodeId(reader.i32()?)).filter(|node| node.0 >= 0);
        let committed = Offset(reader.i64()?);
        let piece = if reader.i8()? == 0 {
            Piece::Batches(Bytes::copy_from_slice(reader.slice(reader.remaining())?))
        } else {
            let (end, epoch) = (Offset(reader.i64()?), LeaderEpoch(reader.i32()?));
            Piece::Snapshot { end, epoch, bytes: Bytes::copy_from_slice(reader.slice(reader.remaining())?) }
        };
        Ok(Fetched { node, epoch, leader, committed, piece })
    }
}

/// The index of the last entry that a request brings, or that it follows.
pub(super) fn reaches(request: &AppendEntriesRequest<TypeConfig>) -> Option<Id> {
    request.entries.last().map(|entry| entry.id).or(request.prev_log_id)
}
