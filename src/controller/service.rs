//! The controller's shell: takes requests, decides them one at a time, has the records committed,
//! answers.
//!
//! A decision is made on the *head*: the image with everything that has been proposed, committed or
//! not. So decisions need not wait for the disk, and those that arrive together share one sync. The
//! answer does wait, even when it has no records: it may rest on records that are not committed yet.
//! When the quorum's term ends, the head falls back to the committed image.

use super::machine::{self, Decision, Draw};
use super::request::*;
use super::security::{AlterScram, UserOutcomes};
use crate::metadata::{Change, ConfigResource, Image, Record, Store};
use crate::model::{ErrorCode, NodeId, TopicId};
use crate::quorum::{ProposeError, Quorum, QuorumError, Term, Ticket};
use crate::rt::{clock, rand};
use machine::features::METADATA_VERSION;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// The controller of this cluster. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    quorum: Quorum,
    store: Arc<Store>,
    node: NodeId,
    defaults: Defaults,
    rules: Arc<dyn ConfigRules>,
    head: Mutex<Head>,
}

/// What the next decision is made on.
struct Head {
    /// The term it belongs to; `None`: this node does not decide.
    term: Option<Term>,
    image: Arc<Image>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

/// Ids from the operating system.
struct Random;

impl Draw for Random {
    fn topic_id(&mut self) -> TopicId {
        TopicId(rand::uuid())
    }

    fn below(&mut self, bound: usize) -> usize {
        rand::below(u32::try_from(bound).unwrap_or(u32::MAX)) as usize
    }
}

impl Service {
    pub(super) fn new(
        quorum: Quorum,
        store: Arc<Store>,
        node: NodeId,
        defaults: Defaults,
        rules: Arc<dyn ConfigRules>,
    ) -> Service {
        let head = Mutex::new(Head { term: quorum.term(), image: store.image() });
        Service { inner: Arc::new(Inner { quorum, store, node, defaults, rules, head }) }
    }

    /// The committed image and its publishers.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    /// The quorum under this controller.
    #[must_use]
    pub fn quorum(&self) -> &Quorum {
        &self.inner.quorum
    }

    /// Waits until the metadata log has failed: the node must stop.
    pub async fn failed(&self) -> Arc<QuorumError> {
        self.inner.quorum.failed().await
    }

    /// Commits what was decided and stops. Requests after this get an error. Blocks for the disk.
    pub fn close(&self) {
        self.inner.quorum.close();
    }

    /// Creates topics; one answer per topic, in order.
    pub async fn create_topics(&self, request: CreateTopics) -> Vec<Result<CreatedTopic, ApiError>> {
        let Inner { defaults, rules, .. } = &*self.inner;
        let decided =
            self.decide(|image| machine::topics::create(&request, image, *defaults, rules.as_ref(), &mut Random));
        each(decided, request.topics.len()).await
    }

    /// Deletes topics; one answer per selector, in order.
    pub async fn delete_topics(&self, topics: Vec<TopicSelector>) -> Vec<Result<DeletedTopic, ApiError>> {
        each(self.decide(|image| machine::topics::delete(&topics, image)), topics.len()).await
    }

    /// Adds partitions; one answer per topic, in order.
    pub async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let decided = self.decide(|image| machine::partitions::create(&topics, validate_only, image, &mut Random));
        each(decided, topics.len()).await
    }

    /// Changes single keys of resources; one answer per resource, in order. A resource or key given
    /// twice is the caller's to refuse.
    pub async fn incremental_alter_configs(
        &self,
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let rules = self.inner.rules.as_ref();
        each(self.decide(|image| machine::configs::alter(&changes, validate_only, image, rules)), changes.len()).await
    }

    /// Replaces the whole set of configs of resources; one answer per resource, in order.
    pub async fn alter_configs(
        &self,
        sets: Vec<(ConfigResource, ConfigSet)>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let rules = self.inner.rules.as_ref();
        each(self.decide(|image| machine::configs::replace(&sets, validate_only, image, rules)), sets.len()).await
    }

    /// Sets finalized feature levels: all of them or none. The error's message is the one of the
    /// whole response.
    pub async fn update_features(&self, updates: Vec<FeatureUpdate>, validate_only: bool) -> Result<(), ApiError> {
        let Inner { node, defaults, .. } = &*self.inner;
        let minimum = defaults.min_insync_replicas;
        one(self.decide(|image| machine::features::update(&updates, validate_only, image, *node, minimum))).await
    }

    /// Hands out the next block of producer ids. Never the same twice, whatever crashes.
    pub async fn allocate_producer_ids(&self, broker: NodeId, broker_epoch: i64) -> Result<ProducerIdBlock, ApiError> {
        one(self.decide(|image| machine::producer_ids::allocate(broker, broker_epoch, image))).await
    }

    /// Sets and removes SCRAM credentials; one outcome per user, or one error for all.
    pub async fn alter_scram_credentials(&self, request: AlterScram) -> Result<UserOutcomes, ApiError> {
        one(self.decide(|image| machine::scram::alter(&request, image))).await
    }

    /// Notes in which of its directories a broker put replicas; one answer each, in order. At most
    /// 10 000 a call.
    pub async fn assign_directories(
        &self,
        broker: NodeId,
        assignments: Vec<DirectoryAssignment>,
    ) -> Vec<Result<(), ApiError>> {
        let decided = self.decide(|image| machine::partitions::assign_directories(broker, &assignments, image));
        each(decided, assignments.len()).await
    }

    /// Decides on the head and proposes the records. The ticket says when the answer may leave.
    pub(super) fn decide<T>(&self, decide: impl FnOnce(&Image) -> Decision<T>) -> Result<(T, Ticket), ApiError> {
        let Inner { quorum, store, head, .. } = &*self.inner;
        let mut head = head.lock();
        let term = quorum.term();
        if head.term != term {
            *head = Head { term, image: store.image() };
        }
        let Decision { records, answer } = decide(&head.image);
        let ticket = propose(quorum, &mut head, records)?;
        Ok((answer, ticket))
    }
}

fn propose(quorum: &Quorum, head: &mut Head, records: Vec<Record>) -> Result<Ticket, ApiError> {
    let refused = |error: ProposeError| api_error(&error);
    let term = head.term.ok_or_else(|| refused(ProposeError::TermOver))?;
    let mut level = head.image.feature(METADATA_VERSION);
    if records.is_empty() {
        return quorum.propose(term, records, level, clock::now_ms()).map_err(refused);
    }
    let mut change = Change::new(&head.image);
    for record in &records {
        change.apply(record).map_err(|error| unexpected(&error))?;
        // The records of a new cluster say themselves at which level they are.
        if let Record::Feature { name, level: set } = record
            && name == METADATA_VERSION
            && level == 0
        {
            level = *set;
        }
    }
    // Where the records will lie does not matter to decisions.
    let (image, _) = change.finish(head.image.offset, head.image.epoch).map_err(|error| unexpected(&error))?;
    let ticket = quorum.propose(term, records, level, clock::now_ms()).map_err(refused)?;
    head.image = Arc::new(image);
    Ok(ticket)
}

async fn one<T>(decided: Result<(Result<T, ApiError>, Ticket), ApiError>) -> Result<T, ApiError> {
    let (answer, ticket) = decided?;
    ticket.committed().await.map_err(|error| api_error(&error))?;
    answer
}

async fn each<T>(
    decided: Result<(Vec<Result<T, ApiError>>, Ticket), ApiError>,
    count: usize,
) -> Vec<Result<T, ApiError>> {
    let outcome = match decided {
        Ok((answer, ticket)) => ticket.committed().await.map(|()| answer).map_err(|error| api_error(&error)),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone())).collect())
}

fn api_error(error: &ProposeError) -> ApiError {
    let code = match error {
        // Nothing happened; the client finds the controller again and retries.
        // Or nobody knows, as with Kafka's controller: it retries too, and sees what became of it.
        ProposeError::TermOver | ProposeError::Unknown => ErrorCode::NOT_CONTROLLER,
        ProposeError::Write(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        ProposeError::Busy => ErrorCode::REQUEST_TIMED_OUT,
        ProposeError::TooLarge(_) => ErrorCode::RECORD_LIST_TOO_LARGE,
        // Whether it happened is not known.
        ProposeError::Failed(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
    };
    // What exactly happened, paths included, is for the node's log, not for clients.
    let text = match error {
        ProposeError::Write(_) => "the metadata log could not be written; nothing was changed".into(),
        ProposeError::Failed(_) => "the metadata log has failed; the outcome is not known".into(),
        other => other.to_string(),
    };
    ApiError::new(code, text)
}

fn unexpected(error: &dyn fmt::Display) -> ApiError {
    tracing::error!(%error, "a decision does not fit the image it was made on");
    ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)
}
