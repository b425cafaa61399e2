//! A node that follows without a vote: it pulls what is committed, from the leader or, until it knows one, from whichever
//! voter answers. Nothing is kept on disk: after a restart the first answer is a snapshot.

use super::checkpoint;
use super::log::decode;
use super::raft::Transport;
use super::raft::wire::{Ask, Fetch, Fetched, Request, read_answer};
use super::tail::Piece;
use super::{Leadership, QuorumError, Shared};
use crate::metadata::{Change, Image, Record, Replica, Store};
use crate::model::{LeaderEpoch, NodeId, Offset};
use crate::record::verify;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long an answer may wait for something to be committed.
const WAIT: Duration = Duration::from_millis(500);

/// What following needs.
pub struct Follow {
    pub node: NodeId,
    pub cluster_id: String,
    /// Where controllers are: those of `controller.quorum.voters`, or of `controller.quorum.bootstrap.servers`, whose ids
    /// are not known and are given as negative numbers.
    pub controllers: Vec<(NodeId, String, u16)>,
    /// The id of this node's metadata directory.
    pub directory: Uuid,
    pub transport: Arc<dyn Transport>,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub backoff: Duration,
    /// `controller.quorum.fetch.max.bytes`
    pub bytes_max: usize,
    pub store: Arc<Store>,
}

struct Observer {
    follow: Follow,
    shared: Arc<Shared>,
    replica: Replica,
    next: Offset,
}

/// Follows until `stopping`.
pub(super) fn start(follow: Follow, shared: Arc<Shared>, stopping: CancellationToken) {
    let replica = Replica::new(Arc::clone(&follow.store));
    let observer = Observer { follow, shared, replica, next: Offset::ZERO };
    tokio::spawn(async move {
        let shared = Arc::clone(&observer.shared);
        tokio::select! {
            error = observer.run() => shared.fail(error, true),
            () = stopping.cancelled() => shared.fail(QuorumError::Stopped, false),
        }
    });
}

impl Observer {
    /// Goes on until the metadata cannot be applied.
    async fn run(mut self) -> QuorumError {
        let mut turn = 0;
        loop {
            let leader = self.shared.leadership.borrow().leader;
            let known = leader.and_then(|id| self.follow.controllers.iter().position(|(other, ..)| *other == id));
            let at = known.unwrap_or(turn % self.follow.controllers.len().max(1));
            match self.ask(at).await {
                Ok(fetched) => {
                    let (begins, by_leader) = (fetched.committed, fetched.leader == Some(fetched.node));
                    let now = Leadership { epoch: fetched.epoch, leader: fetched.leader, term: None };
                    self.shared.learn(now);
                    let applied;
                    (self, applied) = self.take(fetched.piece).await;
                    if let Err(error) = applied {
                        return error;
                    }
                    if self.next >= begins && by_leader {
                        self.shared.ready.send_replace(true);
                    }
                    if now.leader.is_none() {
                        turn += 1;
                        tokio::time::sleep(self.follow.backoff).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a controller does not answer");
                    let known = *self.shared.leadership.borrow();
                    self.shared.learn(Leadership { leader: None, ..known });
                    turn = at + 1;
                    tokio::time::sleep(self.follow.backoff.max(Duration::from_millis(20))).await;
                }
            }
        }
    }

    async fn ask(&self, at: usize) -> io::Result<Fetched> {
        let Follow { node, cluster_id, controllers, directory, transport, request_timeout, bytes_max, .. } =
            &self.follow;
        let Some((to, host, port)) = controllers.get(at) else {
            return Err(io::Error::other("no controller is named"));
        };
        let fetch = Fetch {
            from: self.next,
            bytes_max: u32::try_from(*bytes_max).unwrap_or(u32::MAX),
            wait_ms: u32::try_from(WAIT.as_millis()).unwrap_or_default(),
            directory: *directory,
        };
        let request = Request { cluster: cluster_id.clone(), from: *node, to: *to, ask: Ask::Fetch(fetch) };
        let deadline = *request_timeout + WAIT;
        read_answer(&transport.call(*to, host, *port, request.to_bytes(), deadline).await?)
    }

    /// Applies what came, on a thread that publishers may block.
    async fn take(mut self, piece: Piece) -> (Observer, Result<(), QuorumError>) {
        if piece == Piece::Batches(Bytes::new()) {
            return (self, Ok(()));
        }
        let shared = Arc::clone(&self.shared);
        let applied = tokio::task::spawn_blocking(move || {
            let done = self.apply(piece);
            (self, done)
        });
        match applied.await {
            Ok(applied) => applied,
            Err(error) => {
                shared.fail(QuorumError::Stopped, true);
                match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime ends, and this with it.
                    Err(_) => std::future::pending().await,
                }
            }
        }
    }

    fn apply(&mut self, piece: Piece) -> Result<(), QuorumError> {
        match piece {
            Piece::Batches(mut bytes) => {
                while !bytes.is_empty() {
                    let bad = |error: String| QuorumError::Damaged {
                        path: "the answer of a controller".into(),
                        at: 0,
                        error,
                    };
                    let header = verify(&bytes).map_err(|error| bad(error.to_string()))?;
                    let batch = bytes.split_to(header.size());
                    if header.base_offset != self.next {
                        return Err(bad(format!("offset {} follows {}", header.base_offset, self.next.0 - 1)));
                    }
                    if !header.attributes.is_control() {
                        let records = decode(&header, &batch).map_err(bad)?;
                        let last = header.last_offset();
                        let committed = self.replica.commit(records, last, header.leader_epoch.0);
                        committed.map_err(|error| QuorumError::Apply(last, error))?;
                    }
                    self.next = header.next_offset();
                }
            }
            Piece::Snapshot { end, epoch, bytes } => {
                let image = image(&bytes, end, epoch)?;
                self.replica.replace(&Arc::new(image));
                self.next = end;
            }
        }
        Ok(())
    }
}

fn image(bytes: &[u8], end: Offset, epoch: LeaderEpoch) -> Result<Image, QuorumError> {
    let mut change = Change::new(&Image::default());
    let mut apply = |record: Record, offset| change.apply(&record).map_err(|bad| QuorumError::Apply(offset, bad));
    checkpoint::parse("the snapshot of a controller".as_ref(), bytes, &mut apply)?;
    let last = Offset(end.0 - 1);
    change.finish(last, epoch.0).map(|(image, _)| image).map_err(|bad| QuorumError::Apply(last, bad))
}
