//! What openraft is told about us: node ids, voters, and entries, each of which is one record batch.
//!
//! An entry is stored and sent as its batch: the leader epoch is the raft term, the base offset is where the log ends,
//! the index is counted. What has no records is a control batch of Kafka's: LeaderChange for the blank entry that begins
//! a term, KRaftVoters for a membership, which is in a tagged field that Kafka's tools skip.

use crate::model::{LeaderEpoch, NodeId, Offset, TimestampMs};
use crate::record::build::{BatchBuilder, ControlType, leader_change};
use crate::record::{self, BadBatch, BatchHeader, records};
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use bytes::{BufMut, Bytes, BytesMut};
use openraft::entry::{FromAppData, RaftEntry, RaftPayload};
use openraft::{CommittedLeaderId, LogId, Membership, RaftLogId, RaftTypeConfig, StoredMembership};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Cursor;
use uuid::Uuid;

/// The tagged field in which a control record carries what only we read.
pub(super) const TAG: u32 = 10_000;
/// A control record is small.
const CONTROL_BYTES_MAX: usize = 1 << 20;

/// See openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::quorum) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Proposed;
    type R = Outcome;
    type NodeId = u64;
    type Node = Voter;
    type Entry = Entry;
    type SnapshotData = Cursor<Vec<u8>>;
    type AsyncRuntime = openraft::TokioRuntime;
    type Responder = openraft::impls::OneshotResponder<TypeConfig>;
}

pub(super) type Id = LogId<u64>;
pub(super) type Members = Membership<u64, Voter>;
pub(super) type StoredMembers = StoredMembership<u64, Voter>;

pub(super) fn log_id(term: u64, index: u64) -> Id {
    LogId::new(CommittedLeaderId::new(term, 0), index)
}

pub(super) fn raft_id(node: NodeId) -> u64 {
    u64::try_from(node.0).unwrap_or_default()
}

pub(super) fn node_id(id: u64) -> NodeId {
    NodeId(i32::try_from(id).unwrap_or(-1))
}

/// A raft term as the epoch it is.
pub(super) fn epoch(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

/// A voter, or a controller that may become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voter {
    pub host: String,
    pub port: u16,
    /// The id of its metadata directory; nil where voters are named by configuration.
    pub directory: Uuid,
}

/// Records that were decided in an epoch. The base offset in the batch is where the leader expects the log to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::quorum) struct Proposed {
    pub(in crate::quorum) epoch: LeaderEpoch,
    pub(in crate::quorum) batch: Bytes,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quorum) enum Outcome {
    Applied,
    /// It came to the log in another epoch than it was decided in, and is void.
    Void,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Blank,
    Records(Proposed),
    Members(Members),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::quorum) struct Entry {
    pub(super) id: Id,
    pub(super) payload: Payload,
    /// As it is stored, once it has its place.
    pub(super) stored: Option<Bytes>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.payload {
            Payload::Blank => "blank",
            Payload::Records(_) => "records",
            Payload::Members(_) => "members",
        };
        write!(f, "{} {what}", self.id)
    }
}

impl RaftPayload<u64, Voter> for Entry {
    fn is_blank(&self) -> bool {
        self.payload == Payload::Blank
    }

    fn get_membership(&self) -> Option<&Members> {
        match &self.payload {
            Payload::Members(members) => Some(members),
            _ => None,
        }
    }
}

impl RaftLogId<u64> for Entry {
    fn get_log_id(&self) -> &Id {
        &self.id
    }

    fn set_log_id(&mut self, id: &Id) {
        self.id = *id;
    }
}

impl RaftEntry<u64, Voter> for Entry {
    fn new_blank(id: Id) -> Entry {
        Entry { id, payload: Payload::Blank, stored: None }
    }

    fn new_membership(id: Id, members: Members) -> Entry {
        Entry { id, payload: Payload::Members(members), stored: None }
    }
}

impl FromAppData<Proposed> for Entry {
    fn from_app_data(records: Proposed) -> Entry {
        Entry { id: Id::default(), payload: Payload::Records(records), stored: None }
    }
}

impl Entry {
    /// The entry that a batch is, at `index`.
    pub(super) fn read(index: u64, bytes: Bytes) -> Result<Entry, BadBatch> {
        let header = record::verify(&bytes)?;
        if bytes.len() != header.size() {
            return Err(BadBatch::Truncated);
        }
        let term = u64::try_from(header.leader_epoch.0).map_err(|_| BadBatch::Records("a negative epoch"))?;
        let payload = if header.attributes.is_control() {
            control(&header, &bytes)?
        } else {
            Payload::Records(Proposed { epoch: header.leader_epoch, batch: bytes.clone() })
        };
        Ok(Entry { id: log_id(term, index), payload, stored: Some(bytes) })
    }

    /// Gives the entry its place in the log of `node`: `base` is where it ends. What has a place keeps it.
    ///
    /// # Errors
    /// It has another place, or cannot be written as a batch.
    pub(super) fn place(&mut self, base: Offset, node: NodeId, now: TimestampMs) -> Result<Bytes, BadBatch> {
        if let Some(stored) = &self.stored {
            let header = BatchHeader::parse(stored)?;
            return if header.base_offset == base {
                Ok(stored.clone())
            } else {
                Err(BadBatch::Records("a batch that does not begin where the log ends"))
            };
        }
        let epoch = epoch(self.id.leader_id.term);
        let stored = match &self.payload {
            Payload::Records(proposed) if proposed.epoch == epoch => {
                let mut batch = record::Batch::verify(proposed.batch.clone())?;
                batch.assign(base, epoch);
                batch.to_bytes()
            }
            Payload::Members(members) => {
                let mut batch = BatchBuilder::new(base).leader_epoch(epoch).control();
                batch.push(now, Some(&ControlType::KRaftVoters.key()), Some(&voters_record(members)), &[]);
                batch.build()?
            }
            // Decided in another epoch: to keep the offsets of what follows it is replaced, not dropped.
            Payload::Blank | Payload::Records(_) => leader_change(base, epoch, node, &[], &[], now)?,
        };
        *self = Entry::read(self.id.index, stored.clone())?;
        Ok(stored)
    }
}

fn control(header: &BatchHeader, bytes: &[u8]) -> Result<Payload, BadBatch> {
    let payload = records::open(header, bytes, CONTROL_BYTES_MAX)?;
    for record in records::Records::new(header, &payload)? {
        let record = record?;
        if ControlType::parse(record.key)? == ControlType::KRaftVoters {
            let members = record.value.map(read_voters_record).transpose();
            return match members.map_err(|_| BadBatch::Records("a voters record that cannot be read"))?.flatten() {
                Some(members) => Ok(Payload::Members(members)),
                // Of another program: not a membership of ours.
                None => Ok(Payload::Blank),
            };
        }
    }
    Ok(Payload::Blank)
}

/// Kafka's `VotersRecord` version 0 with all nodes of the membership, and the membership in a tagged field.
fn voters_record(members: &Members) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i16(0);
    let nodes: Vec<_> = members.nodes().collect();
    put_uvarint(&mut out, nodes.len() + 1);
    for (id, voter) in nodes {
        out.put_i32(node_id(*id).0);
        out.put_slice(voter.directory.as_bytes());
        put_uvarint(&mut out, 2);
        put_compact(&mut out, "CONTROLLER");
        put_compact(&mut out, &voter.host);
        out.put_u16(voter.port);
        // No tagged fields of the endpoint; kraft.version 0 to 1, no tagged fields of it; none of the voter.
        out.put_slice(&[0, 0, 0, 0, 1, 0, 0]);
    }
    put_tag(&mut out, &members_to_bytes(members));
    out.to_vec()
}

fn read_voters_record(value: &[u8]) -> Result<Option<Members>, Refused> {
    let mut reader = Reader::new(value);
    reader.i16()?;
    for _ in 0..reader.count(true, 27)?.unwrap_or_default() {
        reader.i32()?;
        reader.uuid()?;
        for _ in 0..reader.count(true, 5)?.unwrap_or_default() {
            reader.str(Width::CompactString)?;
            reader.str(Width::CompactString)?;
            reader.i16()?;
            reader.skip_tags()?;
        }
        reader.skip(4)?;
        reader.skip_tags()?;
        reader.skip_tags()?;
    }
    our_tag(&mut reader, read_members)
}

/// Tagged fields with one of ours.
pub(super) fn put_tag(out: &mut BytesMut, content: &[u8]) {
    put_uvarint(out, 1);
    put_uvarint(out, TAG as usize);
    put_uvarint(out, content.len());
    out.put_slice(content);
}

/// Reads tagged fields, and what is in ours if it is there.
pub(super) fn our_tag<T>(
    reader: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Refused>,
) -> Result<Option<T>, Refused> {
    let mut found = None;
    reader.tags(|tag, content| {
        if tag == TAG {
            found = Some(read(content)?);
        }
        Ok(tag == TAG)
    })?;
    Ok(found)
}

/// A membership in our own form: the configs, each a list of ids, then the nodes.
pub(super) fn members_to_bytes(members: &Members) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_uvarint(&mut out, members.get_joint_config().len() + 1);
    for config in members.get_joint_config() {
        put_uvarint(&mut out, config.len() + 1);
        for id in config {
            out.put_u64(*id);
        }
    }
    let nodes: Vec<_> = members.nodes().collect();
    put_uvarint(&mut out, nodes.len() + 1);
    for (id, voter) in nodes {
        out.put_u64(*id);
        put_compact(&mut out, &voter.host);
        out.put_u16(voter.port);
        out.put_slice(voter.directory.as_bytes());
    }
    out.to_vec()
}

pub(super) fn read_members(reader: &mut Reader<'_>) -> Result<Members, Refused> {
    let mut configs = Vec::new();
    for _ in 0..reader.count(true, 1)?.unwrap_or_default() {
        let mut config = BTreeSet::new();
        for _ in 0..reader.count(true, 8)?.unwrap_or_default() {
            config.insert(unsigned(reader)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.count(true, 27)?.unwrap_or_default() {
        let id = unsigned(reader)?;
        let host = reader.str(Width::CompactString)?.to_owned();
        let port = u16::from_be_bytes(reader.i16()?.to_be_bytes());
        nodes.insert(id, Voter { host, port, directory: reader.uuid()? });
    }
    Ok(Members::new(configs, nodes))
}

pub(super) fn unsigned(reader: &mut Reader<'_>) -> Result<u64, Refused> {
    Ok(u64::from_be_bytes(reader.i64()?.to_be_bytes()))
}

pub(super) fn put_log_id(out: &mut BytesMut, id: Option<Id>) {
    match id {
        None => out.put_u8(0),
        Some(id) => {
            out.put_u8(1);
            out.put_u64(id.leader_id.term);
            out.put_u64(id.index);
        }
    }
}

pub(super) fn read_log_id(reader: &mut Reader<'_>) -> Result<Option<Id>, Refused> {
    if reader.next_is_zero() {
        return Ok(None);
    }
    reader.skip(1)?;
    let term = unsigned(reader)?;
    Ok(Some(log_id(term, unsigned(reader)?)))
}

pub(super) fn put_stored_members(out: &mut BytesMut, members: &StoredMembers) {
    put_log_id(out, *members.log_id());
    out.put_slice(&members_to_bytes(members.membership()));
}

pub(super) fn read_stored_members(reader: &mut Reader<'_>) -> Result<StoredMembers, Refused> {
    let id = read_log_id(reader)?;
    Ok(StoredMembers::new(id, read_members(reader)?))
}

pub(super) fn put_compact(out: &mut BytesMut, text: &str) {
    put_uvarint(out, text.len() + 1);
    out.put_slice(text.as_bytes());
}

pub(super) fn put_uvarint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8((value & 0x7f) as u8);
}
