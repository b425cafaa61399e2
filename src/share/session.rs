//! Share sessions: over which partitions a member's fetches from this broker go (`ShareSessionCache`, `ShareSession`).
//!
//! A member has one session with each broker. It begins with epoch 0, goes on with each request's epoch one higher, and
//! ends with epoch -1 or with its connection ([`Tie`]). There are at most `group.share.max.share.sessions`.

use super::partition::Shares;
use crate::model::{ErrorCode, GroupId, MemberId, TopicName};
use crate::share::persister::SharedPartition;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

/// Epoch of a request that begins a session.
pub const FIRST: i32 = 0;
/// Epoch of a request that ends it.
pub const LAST: i32 = -1;

/// A partition of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub at: SharedPartition,
    /// What its topic was called; `None`: nobody knew the id.
    pub topic: Option<TopicName>,
}

/// What a fetch says of its session.
#[derive(Debug)]
pub struct Fetch<'a> {
    pub epoch: i32,
    /// Partitions that are new to the session, or meant anew.
    pub asked: Vec<Wanted>,
    pub forgotten: &'a [SharedPartition],
    /// Whether it acknowledges records as well.
    pub acknowledges: bool,
}

/// A session as a request finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It ends: nothing is read.
    Ends,
    /// It began with this request.
    Opened(Vec<Wanted>),
    /// It goes on.
    Goes(Vec<Wanted>),
}

/// What is told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: SharedPartition,
    pub error: ErrorCode,
    pub has_records: bool,
}

struct Cached {
    wanted: Wanted,
    /// The next answer names it, whatever there is to say.
    owed: bool,
}

struct Session {
    /// That of the next request.
    epoch: i32,
    partitions: Vec<Cached>,
    /// The connection that it began on.
    token: Arc<()>,
}

type Key = (GroupId, MemberId);

/// The sessions of all members with this broker.
#[derive(Default)]
pub struct Sessions(Mutex<BTreeMap<Key, Session>>);

/// The next epoch; after the highest comes 1 (`ShareRequestMetadata.nextEpoch`).
fn next(epoch: i32) -> i32 {
    match epoch {
        ..0 => LAST,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

impl Sessions {
    /// A fetch: begins, continues or ends a session.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`, `SHARE_SESSION_LIMIT_REACHED` if there would be more than
    /// `most`, `INVALID_REQUEST` if the first request of a session acknowledges something.
    pub fn fetch(&self, key: &Key, fetch: Fetch<'_>, most: usize, tie: &Tie) -> Result<Begun, ErrorCode> {
        let Fetch { epoch, asked, forgotten, acknowledges } = fetch;
        let mut sessions = self.0.lock();
        match epoch {
            LAST if sessions.contains_key(key) => Ok(Begun::Ends),
            FIRST if acknowledges => Err(ErrorCode::INVALID_REQUEST),
            FIRST => {
                sessions.remove(key);
                if sessions.len() >= most {
                    return Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED);
                }
                let mut session = Session { epoch: next(FIRST), partitions: Vec::new(), token: tie.token(key) };
                session.add(asked, false);
                let wanted = session.wanted();
                sessions.insert(key.clone(), session);
                Ok(Begun::Opened(wanted))
            }
            epoch => {
                let session = sessions.get_mut(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
                session.advance(epoch)?;
                session.add(asked, true);
                session.partitions.retain(|cached| !forgotten.contains(&cached.wanted.at));
                Ok(Begun::Goes(session.wanted()))
            }
        }
    }

    /// An acknowledgement, which continues a session or is its last request.
    ///
    /// # Errors
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub fn acknowledge(&self, key: &Key, epoch: i32) -> Result<(), ErrorCode> {
        if epoch == FIRST {
            return Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        }
        let mut sessions = self.0.lock();
        let session = sessions.get_mut(key).ok_or(ErrorCode::SHARE_SESSION_NOT_FOUND)?;
        if epoch == LAST { Ok(()) } else { session.advance(epoch) }
    }

    /// The answer to a fetch of `epoch`, in a session that went on with it: which partitions it names. Those with records
    /// stand at the end from now on.
    ///
    /// # Errors
    /// `INVALID_SHARE_SESSION_EPOCH`: there was another request meanwhile.
    pub fn answer(&self, key: &Key, epoch: i32, told: &[Told]) -> Result<Vec<bool>, ErrorCode> {
        let mut sessions = self.0.lock();
        let session = sessions.get_mut(key).filter(|session| session.epoch == next(epoch));
        let session = session.ok_or(ErrorCode::INVALID_SHARE_SESSION_EPOCH)?;
        Ok(told.iter().map(|told| session.tell(told)).collect())
    }

    /// Ends a session; `None`: there is none.
    pub(super) fn remove(&self, group: &GroupId, member: &MemberId) -> Option<Vec<SharedPartition>> {
        let session = self.0.lock().remove(&(group.clone(), member.clone()))?;
        Some(session.partitions.into_iter().map(|cached| cached.wanted.at).collect())
    }

    /// Whether members of the group have sessions here.
    pub(super) fn has_any(&self, group: &GroupId) -> bool {
        let from = (group.clone(), MemberId::new(""));
        self.0.lock().range(from..).next().is_some_and(|((found, _), _)| found == group)
    }

    /// Ends all of them.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    fn is_of(&self, key: &Key, token: &Arc<()>) -> bool {
        self.0.lock().get(key).is_some_and(|session| Arc::ptr_eq(&session.token, token))
    }
}

impl Session {
    fn advance(&mut self, epoch: i32) -> Result<(), ErrorCode> {
        if epoch != self.epoch {
            return Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        }
        self.epoch = next(epoch);
        Ok(())
    }

    fn add(&mut self, asked: Vec<Wanted>, owed: bool) {
        for wanted in asked {
            if !self.partitions.iter().any(|cached| cached.wanted.at == wanted.at) {
                self.partitions.push(Cached { wanted, owed });
            }
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.partitions.iter().map(|cached| cached.wanted.clone()).collect()
    }

    fn tell(&mut self, told: &Told) -> bool {
        let Some(at) = self.partitions.iter().position(|cached| cached.wanted.at == told.at) else {
            return told.has_records || told.error.is_err();
        };
        let mut cached = self.partitions.remove(at);
        let owed = std::mem::replace(&mut cached.owed, told.error.is_err());
        let at = if told.has_records { self.partitions.len() } else { at };
        self.partitions.insert(at, cached);
        owed || told.has_records || told.error.is_err()
    }
}

/// Ends the sessions that began on a connection, when the connection does: it belongs to the connection's
/// [`crate::share`]-side, and does its work when it is dropped.
#[derive(Default)]
pub struct Tie {
    token: Arc<()>,
    held: Mutex<Option<(Weak<Shares>, Vec<Key>)>>,
}

impl fmt::Debug for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tie").finish_non_exhaustive()
    }
}

impl Tie {
    /// Whose sessions they are. To be called before the first one begins.
    pub fn to(&self, shares: &Arc<Shares>) -> &Tie {
        self.held.lock().get_or_insert_with(|| (Arc::downgrade(shares), Vec::new()));
        self
    }

    fn token(&self, key: &Key) -> Arc<()> {
        if let Some((_, keys)) = &mut *self.held.lock()
            && !keys.contains(key)
        {
            keys.push(key.clone());
        }
        Arc::clone(&self.token)
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        let Some((shares, keys)) = self.held.get_mut().take() else { return };
        let Some(shares) = shares.upgrade() else { return };
        for key in keys {
            // A member that came again on another connection has a session that is not this one's.
            if shares.sessions().is_of(&key, &self.token) {
                shares.leave(&key.0, &key.1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
