//! Incremental fetch sessions (KIP-227): what each client fetches, so that it need not say it anew.
//!
//! `session` is the pure part: one session and its rules. This file is the cache: a bounded
//! number of slots (`max.incremental.fetch.session.cache.slots`); when all are taken, a session
//! unused for [`EVICTION_AGE`] gives way, else the new client is served without a session, which
//! the protocol allows. The same happens when all sessions together hold [`PARTITIONS_PER_SLOT`] partitions for each
//! slot, which Kafka does not bound; a session that grows past that is forgotten. Source: `FetchManager`, `FetchSession`.

mod session;

pub use session::{Answered, Cached, TopicKey, Wanted};

use crate::model::{ErrorCode, PartitionId};
use parking_lot::Mutex;
use session::Session;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `min.incremental.fetch.session.eviction.ms`, which Kafka fixes at two minutes.
pub const EVICTION_AGE: Duration = Duration::from_millis(120_000);

/// Partitions that sessions may hold together, for each slot there is.
pub const PARTITIONS_PER_SLOT: usize = 1000;

/// Epoch of a request that starts a session.
const INITIAL_EPOCH: i32 = 0;
/// Epoch of a request that wants no session, or ends the one it names.
const FINAL_EPOCH: i32 = -1;

/// What a Fetch request says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    pub id: i32,
    pub epoch: i32,
    /// The request names topics by id (v13 and later).
    pub by_topic_id: bool,
}

/// How a fetch is to be answered.
#[derive(Debug)]
pub struct FetchContext {
    kind: Kind,
    /// What to fetch, in the order in which limits apply.
    pub wanted: Vec<Wanted>,
}

#[derive(Debug)]
enum Kind {
    Sessionless,
    /// Every partition is answered, and a session is made if there is a slot.
    Full {
        by_topic_id: bool,
    },
    /// Only partitions with news are answered.
    Incremental(i32, Arc<Mutex<Session>>),
}

/// The sessions of all clients.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<i32, Entry>,
    /// Of all sessions together.
    partitions: usize,
}

impl Sessions {
    fn remove(&mut self, id: i32) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.partitions -= gone.partitions;
        }
    }
}

#[derive(Debug)]
struct Entry {
    session: Arc<Mutex<Session>>,
    partitions: usize,
    used: Instant,
}

impl FetchContext {
    /// The session that is there already; 0: none.
    #[must_use]
    pub fn session_id(&self) -> i32 {
        match &self.kind {
            Kind::Incremental(id, _) => *id,
            Kind::Sessionless | Kind::Full { .. } => 0,
        }
    }
}

impl FetchSessions {
    #[must_use]
    pub fn new(slots: usize) -> FetchSessions {
        FetchSessions { slots, sessions: Mutex::default() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.lock().by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds out what is to be fetched (`FetchManager.newContext`).
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH` or `FETCH_SESSION_TOPIC_ID_ERROR`:
    /// top-level errors of the answer.
    pub fn begin(
        &self,
        request: SessionRequest,
        wanted: Vec<Wanted>,
        forgotten: &[(TopicKey, PartitionId)],
        now: Instant,
    ) -> Result<FetchContext, ErrorCode> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            if request.id != 0 {
                self.sessions.lock().remove(request.id);
            }
            let kind = match request.epoch {
                FINAL_EPOCH => Kind::Sessionless,
                _ => Kind::Full { by_topic_id: request.by_topic_id },
            };
            return Ok(FetchContext { kind, wanted });
        }
        let mut sessions = self.sessions.lock();
        let Sessions { by_id, partitions } = &mut *sessions;
        let entry = by_id.get_mut(&request.id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        let shared = Arc::clone(&entry.session);
        let mut session = shared.lock();
        session.admit(request.epoch, request.by_topic_id)?;
        session.update(wanted, forgotten);
        *partitions = *partitions - entry.partitions + session.len();
        entry.partitions = session.len();
        if *partitions > self.partitions_max() {
            sessions.remove(request.id);
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        if session.is_empty() {
            sessions.remove(request.id);
            return Ok(FetchContext { kind: Kind::Sessionless, wanted: Vec::new() });
        }
        entry.used = now;
        let wanted = session.wanted();
        drop(session);
        Ok(FetchContext { kind: Kind::Incremental(request.id, shared), wanted })
    }

    /// Decides which partitions are in the answer and with which session id. `answered` is parallel
    /// to the context's `wanted`; the result is parallel to both. `draw` gives random session ids.
    pub fn finish(
        &self,
        context: &FetchContext,
        answered: &[Answered],
        now: Instant,
        draw: impl FnMut() -> i32,
    ) -> (i32, Vec<bool>) {
        match &context.kind {
            Kind::Sessionless => (0, vec![true; answered.len()]),
            Kind::Full { by_topic_id } => {
                let id = self.create(&context.wanted, answered, *by_topic_id, now, draw);
                (id, vec![true; answered.len()])
            }
            Kind::Incremental(id, session) => (*id, session.lock().respond(&context.wanted, answered)),
        }
    }

    fn create(
        &self,
        wanted: &[Wanted],
        answered: &[Answered],
        by_topic_id: bool,
        now: Instant,
        mut draw: impl FnMut() -> i32,
    ) -> i32 {
        if wanted.is_empty() {
            return 0;
        }
        let mut sessions = self.sessions.lock();
        if sessions.partitions + wanted.len() > self.partitions_max() {
            return 0;
        }
        if sessions.by_id.len() >= self.slots {
            let oldest = sessions.by_id.iter().min_by_key(|(_, entry)| entry.used).map(|(id, entry)| (*id, entry.used));
            match oldest {
                Some((id, used)) if now.saturating_duration_since(used) >= EVICTION_AGE => sessions.remove(id),
                _ => return 0,
            };
        }
        let id = loop {
            let id = draw();
            if id > 0 && !sessions.by_id.contains_key(&id) {
                break id;
            }
        };
        let session = Session::new(wanted, answered, by_topic_id);
        let partitions = session.len();
        sessions.partitions += partitions;
        sessions.by_id.insert(id, Entry { session: Arc::new(Mutex::new(session)), partitions, used: now });
        id
    }

    fn partitions_max(&self) -> usize {
        self.slots.saturating_mul(PARTITIONS_PER_SLOT)
    }
}

#[cfg(test)]
mod tests;
