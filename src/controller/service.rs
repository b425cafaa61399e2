//! The controller's shell: takes requests, decides them one at a time, has the records committed,
//! answers.
//!
//! A decision is made on the *head*: the image with everything that has been proposed, committed or
//! not. So decisions need not wait for the disk, and those that arrive together share one sync. The
//! answer does wait, even when it has no records: it may rest on records that are not committed yet.
//!
//! Every node has this, and one at a time decides: the one that the quorum gives a term
//! ([`Quorum::leadership`]). The others answer `NOT_CONTROLLER`. With a new term the head falls back to
//! the committed image, and every broker gets a whole session timeout anew, but for the node that decided before.

use super::machine::heartbeats::{self, Sessions};
use super::machine::view::View;
use super::machine::{self, Decision, Draw, RECORDS_MAX};
use super::refusal;
use super::request::*;
use super::security::{AlterScram, CreateToken, CreatedToken, QuotaAlteration, QuotaOutcomes, UserOutcomes};
use crate::config::settings::Tokens;
use crate::metadata::{Change, ConfigResource, Image, Record, Store};
use crate::model::{Acl, AclFilter, AclRequest, ErrorCode, NodeId, Offset, Principal, TimestampMs, TopicId};
use crate::quorum::{ProposeError, Quorum, QuorumError, Term, Ticket};
use crate::rt::{clock, rand};
use machine::features::METADATA_VERSION;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The controller of this cluster. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    quorum: Quorum,
    store: Arc<Store>,
    cluster_id: String,
    defaults: Defaults,
    rules: Arc<dyn ConfigRules>,
    /// `broker.session.timeout.ms`
    session_timeout_ms: u64,
    /// Where the steady clock of the decisions begins.
    began: Instant,
    head: Mutex<Head>,
    elections: AtomicU64,
    unclean_elections: AtomicU64,
}

/// What the next decision is made on.
struct Head {
    /// The term it belongs to; `None`: this node does not decide.
    term: Option<Term>,
    image: Arc<Image>,
    sessions: Sessions,
}

/// What a decision may look at and what it may note.
pub(super) struct Now<'a> {
    pub(super) view: View<'a>,
    pub(super) sessions: &'a mut Sessions,
    /// The offset of the first record that is decided.
    pub(super) next: Offset,
    pub(super) now_ms: u64,
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

/// What a [`Service`] is made of.
pub struct Parts {
    pub quorum: Quorum,
    /// What the quorum publishes to.
    pub store: Arc<Store>,
    pub cluster_id: String,
    pub defaults: Defaults,
    pub rules: Arc<dyn ConfigRules>,
    /// `broker.session.timeout.ms`
    pub session_timeout: Duration,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("cluster_id", &self.cluster_id).finish_non_exhaustive()
    }
}

impl Service {
    /// The controller of a node of a cluster, which decides when the quorum gives it a term. A node that is a cluster alone is
    /// [`super::start`]ed instead.
    #[must_use]
    pub fn new(parts: Parts) -> Service {
        let Parts { quorum, store, cluster_id, defaults, rules, session_timeout } = parts;
        let session_timeout_ms = u64::try_from(session_timeout.as_millis()).unwrap_or(u64::MAX);
        let image = store.image();
        let sessions = Sessions::of(&image, defaults.node, session_timeout_ms, 0);
        let head = Mutex::new(Head { term: quorum.term(), image, sessions });
        let began = clock::now();
        let (elections, unclean_elections) = (AtomicU64::new(0), AtomicU64::new(0));
        let inner = Inner {
            quorum,
            store,
            cluster_id,
            defaults,
            rules,
            session_timeout_ms,
            began,
            head,
            elections,
            unclean_elections,
        };
        Service { inner: Arc::new(inner) }
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

    /// Leaders elected since this process began, and those of them that may lack records.
    pub(super) fn elections(&self) -> (u64, u64) {
        let Inner { elections, unclean_elections, .. } = &*self.inner;
        (elections.load(Ordering::Relaxed), unclean_elections.load(Ordering::Relaxed))
    }

    /// The node that this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.defaults.node
    }

    /// The id of the cluster that it decides for.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// Whether this node decides now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.inner.quorum.term().is_some()
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
        let decided = self
            .decide(|now| machine::topics::create(&request, now.view.image, *defaults, rules.as_ref(), &mut Random));
        each(decided, request.topics.len()).await
    }

    /// Deletes topics; one answer per selector, in order.
    pub async fn delete_topics(&self, topics: Vec<TopicSelector>) -> Vec<Result<DeletedTopic, ApiError>> {
        each(self.decide(|now| machine::topics::delete(&topics, now.view.image)), topics.len()).await
    }

    /// Adds partitions; one answer per topic, in order.
    pub async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let decided =
            self.decide(|now| machine::partitions::create(&topics, validate_only, now.view.image, &mut Random));
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
        let decided = self.decide(|now| machine::configs::alter(&changes, validate_only, now.view.image, rules));
        each(decided, changes.len()).await
    }

    /// Replaces the whole set of configs of resources; one answer per resource, in order.
    pub async fn alter_configs(
        &self,
        sets: Vec<(ConfigResource, ConfigSet)>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let rules = self.inner.rules.as_ref();
        let decided = self.decide(|now| machine::configs::replace(&sets, validate_only, now.view.image, rules));
        each(decided, sets.len()).await
    }

    /// Sets finalized feature levels: all of them or none. The error's message is the one of the
    /// whole response.
    pub async fn update_features(&self, updates: Vec<FeatureUpdate>, validate_only: bool) -> Result<(), ApiError> {
        let Defaults { node, min_insync_replicas, .. } = self.inner.defaults;
        one(self.decide(|now| {
            machine::features::update(&updates, validate_only, now.view.image, node, min_insync_replicas)
        }))
        .await
    }

    /// Hands out the next block of producer ids. Never the same twice, whatever crashes.
    pub async fn allocate_producer_ids(&self, broker: NodeId, broker_epoch: i64) -> Result<ProducerIdBlock, ApiError> {
        one(self.decide(|now| machine::producer_ids::allocate(broker, broker_epoch, now.view.image))).await
    }

    /// Sets and removes SCRAM credentials; one outcome per user, or one error for all.
    pub async fn alter_scram_credentials(&self, request: AlterScram) -> Result<UserOutcomes, ApiError> {
        one(self.decide(|now| machine::scram::alter(&request, now.view.image))).await
    }

    /// Elects leaders; one answer per topic and partition, in order.
    pub async fn elect_leaders(&self, request: ElectLeaders) -> Result<Vec<(String, Vec<Elected>)>, ApiError> {
        let (answer, ticket) = self.decide(|now| machine::leadership::elect(&request, &now.view))?;
        committed(ticket).await?;
        Ok(answer)
    }

    /// Moves replicas; one answer per partition, in order.
    pub async fn alter_reassignments(&self, request: Reassign) -> Vec<Result<(), ApiError>> {
        each(self.decide(|now| machine::reassignment::alter(&request, &now.view)), request.partitions.len()).await
    }

    /// Registers a broker, which is fenced until it has caught up. Answers its epoch.
    pub async fn register_broker(&self, registration: &Registration) -> Result<i64, ApiError> {
        one(self.decide(|now| {
            let Now { view, sessions, next, now_ms } = now;
            machine::brokers::register(registration, &self.inner.cluster_id, *next, sessions, *now_ms, view)
        }))
        .await
    }

    /// Removes a broker from the cluster.
    pub async fn unregister_broker(&self, broker: NodeId) -> Result<(), ApiError> {
        one(self.decide(|now| machine::brokers::unregister(broker, now.sessions, &now.view))).await
    }

    /// Notes that a broker lives, and what it wants.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<Standing, ApiError> {
        let decide = |now: &mut Now<'_>| heartbeats::heartbeat(beat, now.sessions, now.now_ms, &now.view);
        let proposed = |answer: &Result<heartbeats::Beat, ApiError>, sessions: &mut Sessions, last: Offset| {
            if answer.as_ref().is_ok_and(|answer| answer.leaving) {
                sessions.leaves_at(beat.broker, last);
            }
        };
        one(self.decide_then(decide, proposed)).await.map(|answer| answer.standing)
    }

    /// Changes ISRs as their leaders ask; one verdict per proposal, in order.
    pub async fn alter_partition(
        &self,
        broker: NodeId,
        broker_epoch: i64,
        proposals: &[IsrProposal],
    ) -> Result<Vec<IsrVerdict>, ApiError> {
        one(self.decide(|now| machine::isr::alter(broker, broker_epoch, proposals, &now.view))).await
    }

    /// Sets and removes client quotas; one outcome per entity, or one error for all.
    pub async fn alter_client_quotas(
        &self,
        alterations: Vec<QuotaAlteration>,
        validate_only: bool,
    ) -> Result<QuotaOutcomes, ApiError> {
        one(self.decide(|now| machine::quotas::alter(&alterations, validate_only, now.view.image))).await
    }

    /// Makes a delegation token, for a client that may have it.
    pub async fn create_token(&self, request: CreateToken, settings: &Tokens) -> Result<CreatedToken, ApiError> {
        let (id, now) = (TopicId(rand::uuid()).to_string(), clock::now_ms());
        one(self.decide(|at| machine::tokens::create(&request, id, now, settings, at.view.image))).await
    }

    /// Prolongs a delegation token; answers until when.
    pub async fn renew_token(
        &self,
        hmac: &[u8],
        period_ms: i64,
        by: &Principal,
        settings: &Tokens,
    ) -> Result<TimestampMs, ApiError> {
        let now = clock::now_ms();
        one(self.decide(|at| machine::tokens::renew(hmac, period_ms, by, now, settings, at.view.image))).await
    }

    /// Ends a delegation token, at once or later; answers when.
    pub async fn expire_token(
        &self,
        hmac: &[u8],
        period_ms: i64,
        by: &Principal,
        settings: &Tokens,
    ) -> Result<TimestampMs, ApiError> {
        let now = clock::now_ms();
        one(self.decide(|at| machine::tokens::expire(hmac, period_ms, by, now, settings, at.view.image))).await
    }

    /// Removes delegation tokens that are over.
    ///
    /// # Errors
    /// Some are still there, and go with the next sweep.
    pub async fn sweep_tokens(&self) -> Result<(), ApiError> {
        while one(self.decide(|now| machine::tokens::sweep(clock::now_ms(), now.view.image))).await? > 0 {}
        Ok(())
    }

    /// Notes in which of its directories a broker put replicas; one answer each, in order.
    pub async fn assign_directories(
        &self,
        broker: NodeId,
        broker_epoch: i64,
        assignments: &[Assignment],
    ) -> Result<Vec<Result<(), ErrorCode>>, ApiError> {
        one(self.decide(|now| machine::directories::assign(broker, broker_epoch, assignments, &now.view))).await
    }

    /// Fences every broker whose session is over, one after the other. Answers when the next may be, from now; `None`: nobody's
    /// is running.
    ///
    /// # Errors
    /// This node does not decide, or could not commit.
    pub(super) async fn fence_expired(&self) -> Result<Option<Duration>, ApiError> {
        loop {
            let ((expired, next), ticket) = self.decide(|now| {
                let image = now.view.image;
                let Some(broker) = now.sessions.expired(image, now.now_ms) else {
                    let next = now.sessions.next_expiry_ms(image).map(|at| at.saturating_sub(now.now_ms));
                    return Decision { records: Vec::new(), answer: (None, next) };
                };
                let Decision { records, .. } = heartbeats::expire(broker, &now.view);
                Decision { records, answer: (Some(broker), None) }
            })?;
            let Some(broker) = expired else { return Ok(next.map(Duration::from_millis)) };
            tracing::warn!(broker = broker.0, "fencing a broker that was not heard of for its session timeout");
            committed(ticket).await?;
        }
    }

    /// Gives partitions back to their first replicas, as far as these may lead.
    ///
    /// # Errors
    /// This node does not decide, or could not commit.
    pub(super) async fn balance_leaders(&self) -> Result<(), ApiError> {
        self.in_rounds(machine::leadership::balance).await
    }

    /// Elects leaders for partitions without one whose topics put that above what may be lost.
    ///
    /// # Errors
    /// This node does not decide, or could not commit.
    pub(super) async fn elect_unclean(&self) -> Result<(), ApiError> {
        self.in_rounds(machine::leadership::elect_unclean).await
    }

    /// Waits until what was proposed is committed.
    pub(super) async fn committed(&self, ticket: Ticket) -> Result<(), ApiError> {
        committed(ticket).await
    }

    async fn in_rounds(&self, round: fn(&View<'_>) -> Vec<Record>) -> Result<(), ApiError> {
        loop {
            let (count, ticket) = self.decide(|now| {
                let records = round(&now.view);
                Decision { answer: records.len(), records }
            })?;
            committed(ticket).await?;
            if count < machine::leadership::ELECTIONS_MAX {
                return Ok(());
            }
        }
    }

    /// Creates access control entries; one answer per entry, in order.
    pub async fn create_acls(&self, entries: Vec<AclRequest>) -> Vec<Result<(), ApiError>> {
        each(self.decide(|now| machine::acls::create(&entries, now.view.image, rand::uuid)), entries.len()).await
    }

    /// Deletes the access control entries that the filters match; for each filter, in order, those it matched.
    pub async fn delete_acls(&self, filters: Vec<AclFilter>) -> Vec<Result<Vec<Arc<Acl>>, ApiError>> {
        each(self.decide(|now| machine::acls::delete(&filters, now.view.image)), filters.len()).await
    }

    /// Decides on the head and proposes the records. The ticket says when the answer may leave.
    pub(super) fn decide<T>(&self, decide: impl FnOnce(&mut Now<'_>) -> Decision<T>) -> Result<(T, Ticket), ApiError> {
        self.decide_then(decide, |_, _, _| {})
    }

    /// Has records written as they are: a test decides.
    #[cfg(test)]
    pub(crate) async fn write(&self, records: Vec<Record>) -> Result<(), ProposeError> {
        let written = self.decide(|_| Decision { records, answer: () });
        let ((), ticket) = written.map_err(|_| ProposeError::TermOver)?;
        ticket.committed().await
    }

    /// As [`Service::decide`]; `proposed` is told the offset of the last record proposed so far.
    fn decide_then<T>(
        &self,
        decide: impl FnOnce(&mut Now<'_>) -> Decision<T>,
        proposed: impl FnOnce(&T, &mut Sessions, Offset),
    ) -> Result<(T, Ticket), ApiError> {
        let Inner { quorum, store, head, defaults, session_timeout_ms, began, .. } = &*self.inner;
        let since = |at: Instant| u64::try_from(at.duration_since(*began).as_millis()).unwrap_or(u64::MAX);
        let now_ms = since(clock::now());
        let mut head = head.lock();
        let term = quorum.term();
        if head.term != term {
            let image = store.image();
            let mut sessions = Sessions::of(&image, defaults.node, *session_timeout_ms, now_ms);
            if let Some((before, at)) = quorum.heard() {
                sessions.silent_since(before, since(at), now_ms);
            }
            *head = Head { term, image, sessions };
            if let Some(term) = term.filter(|_| quorum.in_transaction()) {
                tracing::warn!("the controller before this one left a metadata transaction open; it is aborted");
                propose(quorum, term, &mut head, vec![abandoned()])?;
            }
        }
        let term = head.term.ok_or_else(|| api_error(&ProposeError::TermOver))?;
        let image = Arc::clone(&head.image);
        let mut now = Now {
            view: View::new(&image, *defaults),
            sessions: &mut head.sessions,
            next: quorum.next_offset(),
            now_ms,
        };
        let Decision { records, answer } = decide(&mut now);
        let (elections, unclean) = self::elections(&records, &image);
        let ticket = propose(quorum, term, &mut head, records)?;
        self.inner.elections.fetch_add(elections, Ordering::Relaxed);
        self.inner.unclean_elections.fetch_add(unclean, Ordering::Relaxed);
        proposed(&answer, &mut head.sessions, Offset(quorum.next_offset().0 - 1));
        Ok((answer, ticket))
    }
}

/// What a controller writes that finds the transaction of another, in Kafka's words.
pub(super) fn abandoned() -> Record {
    Record::AbortTransaction { reason: Some("Controller failover".into()) }
}

/// Leaders that records elect, and how many of them may lack records.
fn elections(records: &[Record], image: &Image) -> (u64, u64) {
    let (mut all, mut unclean) = (0, 0);
    for record in records {
        let Record::PartitionChange(change) = record else { continue };
        let known = image.topic_by_id(change.topic).and_then(|topic| topic.partition(change.partition));
        let before = known.and_then(|partition| partition.leader);
        if change.leader.is_some_and(|leader| leader.is_some() && leader != before) {
            all += 1;
            unclean += u64::from(change.recovering == Some(true));
        }
    }
    (all, unclean)
}

/// What must be there whole or not at all is bounded where it is decided; the rest goes in pieces that a batch can hold.
fn propose(quorum: &Quorum, term: Term, head: &mut Head, mut records: Vec<Record>) -> Result<Ticket, ApiError> {
    while records.len() > RECORDS_MAX {
        let rest = records.split_off(RECORDS_MAX);
        propose_batch(quorum, term, head, std::mem::replace(&mut records, rest))?;
    }
    propose_batch(quorum, term, head, records)
}

fn propose_batch(quorum: &Quorum, term: Term, head: &mut Head, records: Vec<Record>) -> Result<Ticket, ApiError> {
    let refused = |error: ProposeError| api_error(&error);
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

async fn committed(ticket: Ticket) -> Result<(), ApiError> {
    ticket.committed().await.map_err(|error| api_error(&error))
}

async fn one<T>(decided: Result<(Result<T, ApiError>, Ticket), ApiError>) -> Result<T, ApiError> {
    let (answer, ticket) = decided?;
    committed(ticket).await?;
    answer
}

async fn each<T>(
    decided: Result<(Vec<Result<T, ApiError>>, Ticket), ApiError>,
    count: usize,
) -> Vec<Result<T, ApiError>> {
    let outcome = match decided {
        Ok((answer, ticket)) => committed(ticket).await.map(|()| answer),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone())).collect())
}

fn api_error(error: &ProposeError) -> ApiError {
    let code = match error {
        // Nothing happened; the client finds the controller again and retries.
        // Or nobody knows, as with Kafka's controller: it retries too, and sees what became of it.
        ProposeError::TermOver | ProposeError::Unknown => refusal::not_controller(),
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

/// The features that this program supports, as it registers them: name, lowest and highest level.
#[must_use]
pub fn supported_features() -> Vec<(String, i16, i16)> {
    machine::brokers::supported()
}
