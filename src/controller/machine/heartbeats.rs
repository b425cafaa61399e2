//! Who is there: the sessions of brokers, heartbeats, fencing (`BrokerHeartbeatManager`,
//! `BrokerHeartbeatTracker`).
//!
//! Sessions are the active controller's memory only: a new one grants everybody a whole
//! `broker.session.timeout.ms` before it fences. Not the node that decided before it: that one's silence is why there is a new
//! controller, so its session began when the quorum heard of it last. (Kafka grants it a whole one too, and its partitions
//! wait for the election and then for the session.) Times are milliseconds of a steady clock.

use super::view::View;
use super::{Decision, brokers, leadership};
use crate::controller::request::{ApiError, Heartbeat, Standing};
use crate::metadata::{BrokerImage, Change, DirectoryId, Image, Record};
use crate::model::{ErrorCode, NodeId, Offset};
use std::collections::BTreeMap;

/// A broker as this controller heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    epoch: i64,
    /// When it was heard of last; `None`: never in this epoch.
    contact_ms: Option<u64>,
    /// The last record it has applied.
    applied: i64,
    /// What the others must have applied before it may stop: the records that moved its partitions.
    leaving: Option<Offset>,
}

impl Session {
    fn new(epoch: i64) -> Session {
        Session { epoch, contact_ms: None, applied: -1, leaving: None }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// The node that decides. Its broker is in the same process: there as long as this is.
    own: NodeId,
    timeout_ms: u64,
    brokers: BTreeMap<NodeId, Session>,
}

/// Where a broker stands, as Kafka's `BrokerControlState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    Leaving,
    MayStop,
}

impl Sessions {
    /// The sessions of a controller that becomes active: whoever is unfenced was heard of just now. Not its own broker: the
    /// one that is registered may be the one before this start.
    pub(crate) fn of(image: &Image, own: NodeId, timeout_ms: u64, now_ms: u64) -> Sessions {
        let session = |broker: &BrokerImage| Session {
            contact_ms: (!broker.fenced && broker.id != own).then_some(now_ms),
            ..Session::new(broker.epoch)
        };
        let brokers = image.brokers.values().map(|broker| (broker.id, session(broker))).collect();
        Sessions { own, timeout_ms, brokers }
    }

    /// The node that decided before this one was heard of at `at_ms`, by the quorum. It keeps a third of its session at least:
    /// it may live, and has to find out first whom to tell.
    pub(crate) fn silent_since(&mut self, broker: NodeId, at_ms: u64, now_ms: u64) {
        let earliest = now_ms.saturating_sub(self.timeout_ms - self.timeout_ms / 3);
        if let Some(contact) = self.brokers.get_mut(&broker).and_then(|session| session.contact_ms.as_mut()) {
            *contact = at_ms.clamp(earliest.min(now_ms), now_ms);
        }
    }

    /// Whether a broker was heard of within the timeout, in this epoch.
    pub(super) fn is_valid(&self, broker: NodeId, epoch: i64, now_ms: u64) -> bool {
        let session = self.brokers.get(&broker).filter(|session| session.epoch == epoch);
        session.and_then(|session| session.contact_ms).is_some_and(|at| !self.is_over(at, now_ms))
    }

    fn is_over(&self, contact_ms: u64, now_ms: u64) -> bool {
        contact_ms.saturating_add(self.timeout_ms) < now_ms
    }

    /// A broker registered: its session before is over.
    pub(super) fn registered(&mut self, broker: NodeId, epoch: i64) {
        if self.brokers.get(&broker).is_none_or(|session| session.epoch != epoch) {
            self.brokers.insert(broker, Session::new(epoch));
        }
    }

    pub(super) fn unregistered(&mut self, broker: NodeId) {
        self.brokers.remove(&broker);
    }

    /// Brokers that count as there, with when they were heard of last.
    fn held<'a>(&'a self, image: &'a Image) -> impl Iterator<Item = (NodeId, u64)> + 'a {
        self.brokers.iter().filter_map(move |(id, session)| {
            let broker = image.brokers.get(id).filter(|broker| !broker.fenced && broker.epoch == session.epoch)?;
            (broker.id != self.own).then_some((*id, session.contact_ms?))
        })
    }

    /// A broker whose session is over and that is not fenced yet.
    pub(crate) fn expired(&self, image: &Image, now_ms: u64) -> Option<NodeId> {
        self.held(image).find(|(_, contact)| self.is_over(*contact, now_ms)).map(|(id, _)| id)
    }

    /// The first moment at which a session may be over.
    pub(crate) fn next_expiry_ms(&self, image: &Image) -> Option<u64> {
        self.held(image).map(|(_, at)| at.saturating_add(self.timeout_ms).saturating_add(1)).min()
    }

    /// The records that move a leaving broker's partitions end with `last`. The first time counts.
    pub(crate) fn leaves_at(&mut self, broker: NodeId, last: Offset) {
        if let Some(session) = self.brokers.get_mut(&broker) {
            session.leaving.get_or_insert(last);
        }
    }

    /// What every other broker that is there and stays has applied.
    fn lowest_applied(&self, image: &Image) -> i64 {
        let staying = self.brokers.iter().filter(|(id, session)| {
            let there = image.brokers.get(id).is_some_and(|broker| !broker.fenced);
            there && session.leaving.is_none() && **id != self.own
        });
        staying.map(|(_, session)| session.applied).min().unwrap_or(i64::MAX)
    }

    fn state(&self, broker: &BrokerImage) -> State {
        let leaving = self.brokers.get(&broker.id).is_some_and(|session| session.leaving.is_some());
        match (broker.fenced, leaving) {
            (true, _) => State::Fenced,
            (false, true) => State::Leaving,
            (false, false) => State::Unfenced,
        }
    }

    fn next(&self, current: State, beat: &Heartbeat, broker: &BrokerImage, view: &View<'_>) -> State {
        match current {
            State::Fenced if beat.want_shut_down => State::MayStop,
            State::Fenced if !beat.want_fence && beat.metadata_offset >= broker.epoch => State::Unfenced,
            State::Unfenced if beat.want_fence && beat.want_shut_down => State::MayStop,
            State::Unfenced if beat.want_fence => State::Fenced,
            State::Unfenced if beat.want_shut_down && leadership::leads(view, broker.id) => State::Leaving,
            State::Unfenced if beat.want_shut_down => State::MayStop,
            State::Leaving if !leadership::leads(view, broker.id) => {
                let leaving = self.brokers.get(&broker.id).and_then(|session| session.leaving);
                // Until the others know who leads now, clients that ask them would be sent here.
                let known = leaving.is_none_or(|last| last.0 <= self.lowest_applied(view.image));
                if known { State::MayStop } else { State::Leaving }
            }
            stays => stays,
        }
    }
}

/// What a heartbeat comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) standing: Standing,
    /// The broker is leaving: what is proposed now is to be told to [`Sessions::leaves_at`].
    pub(crate) leaving: bool,
}

/// Decides BrokerHeartbeat.
pub(crate) fn heartbeat(
    beat: &Heartbeat,
    sessions: &mut Sessions,
    now_ms: u64,
    view: &View<'_>,
) -> Decision<Result<Beat, ApiError>> {
    if let Err(error) = brokers::check_epoch(beat.broker, beat.broker_epoch, view.image) {
        return Decision { records: Vec::new(), answer: Err(error) };
    }
    let Some(broker) = view.image.brokers.get(&beat.broker) else {
        return Decision { records: Vec::new(), answer: Err(ApiError::bare(ErrorCode::STALE_BROKER_EPOCH)) };
    };
    sessions.registered(beat.broker, beat.broker_epoch);
    let current = sessions.state(broker);
    let next = sessions.next(current, beat, broker, view);
    let mut records = Vec::new();
    if view.directories_supported() {
        let offline: Vec<DirectoryId> = beat.offline_log_dirs.iter().copied().map(DirectoryId).collect();
        leadership::lose_directories(view, broker, &offline, &mut records);
    }
    if next != current
        && let Err(error) = becomes(next, broker.id, view, &mut records)
    {
        return Decision { records: Vec::new(), answer: Err(error) };
    }
    if let Some(session) = sessions.brokers.get_mut(&beat.broker) {
        session.applied = beat.metadata_offset;
        session.contact_ms = Some(now_ms);
        if next != State::Leaving {
            session.leaving = None;
        }
        if next == State::MayStop {
            // What is about to end needs no session, and its successor need not wait until that is over.
            session.contact_ms = None;
        }
    }
    let standing = Standing {
        caught_up: beat.metadata_offset >= broker.epoch,
        fenced: matches!(next, State::Fenced | State::MayStop),
        should_shut_down: next == State::MayStop,
    };
    Decision { records, answer: Ok(Beat { standing, leaving: next == State::Leaving }) }
}

/// What comes of a broker's next state, after what `records` change already: a partition may be in both.
fn becomes(next: State, broker: NodeId, view: &View<'_>, records: &mut Vec<Record>) -> Result<(), ApiError> {
    let unfit = |_| ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR);
    let mut changed = None;
    if !records.is_empty() {
        let mut change = Change::new(view.image);
        records.iter().try_for_each(|record| change.apply(record)).map_err(unfit)?;
        changed = Some(change.finish(view.image.offset, view.image.epoch).map_err(unfit)?.0);
    }
    let view = View::new(changed.as_ref().unwrap_or(view.image), view.defaults);
    if let Some(broker) = view.image.brokers.get(&broker) {
        match next {
            State::Fenced | State::MayStop => leadership::fence(&view, broker, records),
            State::Unfenced => leadership::unfence(&view, broker, records),
            State::Leaving => leadership::begin_shutdown(&view, broker, records),
        }
    }
    Ok(())
}

/// Decides what becomes of the partitions of a broker whose session is over.
pub(crate) fn expire(broker: NodeId, view: &View<'_>) -> Decision<()> {
    let mut records = Vec::new();
    if let Some(broker) = view.image.brokers.get(&broker) {
        leadership::fence(view, broker, &mut records);
    }
    Decision { records, answer: () }
}
