//! What a producer may ask of the transactions of this broker: which shard a transactional id belongs to, how an error of
//! the log reads to a client, and who does what the machines cannot: fetch producer ids, and tell partitions how a
//! transaction ended.
//!
//! A transaction that is decided has one task that settles it (`settle`), however often the machine asks for it:
//! two of them could write a marker into the transaction after. It asks the machine what is due, writes until every
//! partition has it, and says so.
//!
//! EndTxn is answered when the decision is committed and, if that does not take long, settled: Kafka answers in between,
//! and the producer's next request finds the transaction busy and has to be made again.

use super::machine::{EPOCH_PER_TRANSACTION, Env, Task, Transactions};
use super::markers::{Markers, Target};
use super::producer_ids::ProducerIds;
use super::record::State;
use super::request::{Add, Described, Due, End, Init, List, Listed, Producer, Reply, Request, Verify};
use crate::config::topic::TopicConfig;
use crate::config::{self, Settings};
use crate::controller::Client;
use crate::coordinator::{Host, Limits, Runtime, partition_for};
use crate::group::GroupCoordinator;
use crate::metadata::Store;
use crate::metrics::{Count, Metrics};
use crate::model::{
    ErrorCode, NodeId, PartitionId, ProducerId, TimestampMs, TopicName, TopicPartition, TransactionalId,
};
use crate::partition::{self, TransactionEnd};
use crate::peer::Pool;
use crate::peer::transactions::{MembershipQuestion, verify};
use crate::rt::clock;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// For so long EndTxn waits until the transaction is settled.
const SETTLED_WITHIN: Duration = Duration::from_millis(100);

/// A marker that cannot be written is tried again after this time, after twice the time if that fails, and so on.
const AGAIN_FIRST: Duration = Duration::from_millis(20);
const AGAIN_AT_MOST: Duration = Duration::from_secs(1);

/// How a client's partitions come to belong to its transaction (`TransactionSupportedOperation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// The client has had them added, and does not know TRANSACTION_ABORTABLE.
    AsksInOldWords,
    /// The client has had them added.
    Asks,
    /// By what it writes (KIP-890).
    Joins,
}

/// The coordinator of all transactions whose partition of `__transaction_state` this broker leads.
pub struct TransactionCoordinator {
    runtime: Arc<Runtime<Shards>>,
}

impl TransactionCoordinator {
    /// Coordinates nothing before [`TransactionCoordinator::start`]. To be called within tokio.
    #[must_use]
    pub fn new(
        config: Arc<config::Live>,
        metadata: Arc<Store>,
        client: Arc<Client>,
        producer_ids: Arc<ProducerIds>,
        partitions: Arc<partition::Manager>,
        groups: Arc<GroupCoordinator>,
        peers: Arc<Pool>,
    ) -> Arc<TransactionCoordinator> {
        let node = config.load().settings().node_id;
        let markers =
            Markers { node, peers, metadata: Arc::clone(&metadata), partitions: Arc::clone(&partitions), groups };
        let shards = Shards {
            config,
            metadata,
            client,
            producer_ids,
            markers,
            settling: Mutex::default(),
            ends: Ends::default(),
        };
        Arc::new(TransactionCoordinator { runtime: Runtime::new(shards, node, partitions) })
    }

    /// Loads what the metadata says is coordinated here, and follows it. The partitions and the groups must follow it
    /// already: what was decided when the broker stopped is told to them.
    pub fn start(&self) {
        self.runtime.follow(&self.runtime.host().metadata);
    }

    /// Lets everything go. What is decided and not settled is settled after the next start.
    pub async fn stop(&self) {
        self.runtime.stop().await;
    }

    pub fn markers(&self) -> &Markers {
        &self.runtime.host().markers
    }

    /// InitProducerId, with a transactional id.
    ///
    /// # Errors
    /// As `TransactionCoordinator.handleInitProducerId`.
    pub async fn init(&self, init: Init) -> Result<Producer, ErrorCode> {
        let id = init.id.clone();
        match self.ask_with_producer(&id, |fresh| Request::Init(Init { fresh, ..init.clone() })).await? {
            Reply::Init(answer) => answer,
            reply => Err(fault("InitProducerId", &reply)),
        }
    }

    /// AddPartitionsToTxn, AddOffsetsToTxn.
    pub async fn add(&self, add: Add) -> ErrorCode {
        match self.ask(&add.id.clone(), Request::Add(add)).await {
            Ok(Reply::Add(code)) => code,
            Ok(reply) => fault("AddPartitionsToTxn", &reply),
            Err(error) => error,
        }
    }

    /// AddPartitionsToTxn that only asks: one answer for each partition.
    pub async fn verify(&self, verify: Verify) -> Vec<ErrorCode> {
        let partitions = verify.partitions.len();
        let error = match self.ask(&verify.id.clone(), Request::Verify(verify)).await {
            Ok(Reply::Verify(Ok(answers))) => return answers,
            Ok(Reply::Verify(Err(error))) | Err(error) => error,
            Ok(reply) => fault("AddPartitionsToTxn", &reply),
        };
        vec![error; partitions]
    }

    /// What a first write has to ask: do the partitions belong to the transaction? One answer for each, in the words of
    /// who writes.
    pub async fn join(
        &self,
        id: TransactionalId,
        producer: Producer,
        partitions: Vec<Target>,
        joining: Joining,
    ) -> Vec<ErrorCode> {
        let coordinator = self.coordinator_of(&id);
        let mut answers = if let Some(elsewhere) = coordinator.filter(|node| *node != self.markers().node) {
            self.join_elsewhere(elsewhere, &id, producer, partitions, joining).await
        } else if joining == Joining::Joins {
            let count = partitions.len();
            let add = Add { id: id.clone(), producer, partitions, version: EPOCH_PER_TRANSACTION };
            let mut answer = self.add(add.clone()).await;
            if answer == ErrorCode::CONCURRENT_TRANSACTIONS {
                // The end of the transaction before is on its way. Kafka asks again every 20 ms.
                self.settled(&id, self.runtime.host().settings().transactions.settle_wait).await;
                answer = self.add(add).await;
            }
            vec![answer; count]
        } else {
            self.verify(Verify { id, producer, partitions }).await
        };
        for answer in &mut answers {
            *answer = match *answer {
                ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
                ErrorCode::TRANSACTION_ABORTABLE if joining == Joining::AsksInOldWords => ErrorCode::INVALID_TXN_STATE,
                other => other,
            };
        }
        answers
    }

    /// The broker that coordinates a transaction, as the metadata says.
    fn coordinator_of(&self, id: &TransactionalId) -> Option<NodeId> {
        let host = self.runtime.host();
        let image = host.metadata.load();
        image.topic(Shards::TOPIC)?.partition(host.partition_for(id))?.leader
    }

    /// As [`TransactionCoordinator::join`], asking another broker (`AddPartitionsToTxnManager`).
    async fn join_elsewhere(
        &self,
        coordinator: NodeId,
        id: &TransactionalId,
        producer: Producer,
        partitions: Vec<Target>,
        joining: Joining,
    ) -> Vec<ErrorCode> {
        let settings = self.runtime.host().settings();
        let question = MembershipQuestion {
            transactional_id: id.as_str().to_owned(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            verify_only: joining != Joining::Joins,
            partitions: partitions.iter().map(|(topic, at)| TopicPartition::new(topic.clone(), *at)).collect(),
        };
        let until = clock::now() + settings.transactions.settle_wait;
        loop {
            let link = self.markers().peers.link(coordinator);
            let answers = match verify(&link, &question, settings.network.request_timeout).await {
                Ok(Ok(answers)) => answers,
                Ok(Err(error)) => return vec![error; partitions.len()],
                Err(error) => {
                    tracing::info!(%id, %error, "the coordinator of a transaction was not asked");
                    return vec![ErrorCode::NETWORK_EXCEPTION; partitions.len()];
                }
            };
            let of = |at: &TopicPartition| {
                let found = answers.iter().find(|(partition, _)| partition == at);
                found.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |(_, error)| *error)
            };
            let answers: Vec<ErrorCode> = question.partitions.iter().map(of).collect();
            let unsettled = joining == Joining::Joins && answers.contains(&ErrorCode::CONCURRENT_TRANSACTIONS);
            if !unsettled || clock::now() >= until {
                return answers;
            }
            tokio::time::sleep(AGAIN_FIRST).await;
        }
    }

    /// EndTxn.
    ///
    /// # Errors
    /// As `TransactionCoordinator.endTransaction`.
    pub async fn end(&self, end: End) -> Result<Option<Producer>, ErrorCode> {
        let id = end.id.clone();
        match self.ask_with_producer(&id, |fresh| Request::End(End { fresh, ..end.clone() })).await? {
            Reply::End(Ok(goes_on)) => {
                self.settled(&id, SETTLED_WITHIN).await;
                Ok(goes_on)
            }
            Reply::End(Err(error)) => Err(error),
            reply => Err(fault("EndTxn", &reply)),
        }
    }

    /// Waits until nothing is due for a transaction, or the time is over.
    pub async fn settled(&self, id: &TransactionalId, at_most: Duration) {
        // Whatever comes of it: whoever waits asks for what it wants afterwards.
        let _ = tokio::time::timeout(at_most, self.ask(id, Request::Settled(id.clone()))).await;
    }

    /// DescribeTransactions, one transaction.
    ///
    /// # Errors
    /// `TRANSACTIONAL_ID_NOT_FOUND`, or why nobody knows.
    pub async fn describe(&self, id: &TransactionalId) -> Result<Described, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        match self.ask(id, Request::Describe(id.clone())).await? {
            Reply::Describe(described) => described,
            reply => Err(fault("DescribeTransactions", &reply)),
        }
    }

    /// Has metrics show what is coordinated here.
    pub fn measured(self: &Arc<Self>, metrics: &Metrics) {
        metrics.coordinator("transaction", self.runtime.metrics());
        let coordinator = Arc::clone(self);
        metrics.register(Box::new(move |sample| {
            let mut states = State::ALL.map(|state| (state.name(), 0));
            let mut oldest = None;
            let phases = coordinator.runtime.look(|transactions| {
                for (state, began) in transactions.states() {
                    if let Some((_, n)) = states.iter_mut().find(|(name, _)| *name == state.name()) {
                        *n += 1;
                    }
                    oldest = oldest.into_iter().chain(began).min();
                }
            });
            sample.coordinator_partitions("transaction", phases);
            let lines = states.map(|(state, n)| (vec![("state", state)], n));
            sample.gauge("transactions", "Transactional ids that this broker coordinates, by state.", lines);
            let open_ms = oldest.map_or(0, |began: TimestampMs| clock::now_ms().0.saturating_sub(began.0));
            let help = "For how long the transaction has been open that was begun first.";
            sample.gauge("transactions_oldest_open_seconds", help, [(Vec::new(), open_ms.max(0) / 1000)]);
            let Ends { committed, aborted } = &coordinator.runtime.host().ends;
            let lines = [("commit", committed), ("abort", aborted)]
                .map(|(how, n)| (vec![("result", how)], i64::try_from(n.get()).unwrap_or(i64::MAX)));
            sample.counter("transactions_ended", "Transactions that ended, in all their partitions.", lines);
        }));
    }

    /// ListTransactions: those of all shards that are here.
    ///
    /// # Errors
    /// `COORDINATOR_LOAD_IN_PROGRESS` if one of them is being loaded.
    pub async fn list(&self, list: List) -> Result<Vec<Listed>, ErrorCode> {
        let mut all = Vec::new();
        for answer in self.runtime.ask_all(|| Request::List(list.clone())).await {
            match answer {
                Ok(Reply::List(some)) => all.extend(some),
                // It went elsewhere meanwhile.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                Ok(reply) => return Err(fault("ListTransactions", &reply)),
                Err(error) => return Err(for_clients(error)),
            }
        }
        Ok(all)
    }

    async fn ask(&self, id: &TransactionalId, request: Request) -> Result<Reply, ErrorCode> {
        self.runtime.ask(self.runtime.host().partition_for(id), request).await.map_err(for_clients)
    }

    /// Asks, and asks again with a producer id if one is needed.
    async fn ask_with_producer(
        &self,
        id: &TransactionalId,
        request: impl Fn(Option<ProducerId>) -> Request,
    ) -> Result<Reply, ErrorCode> {
        match self.ask(id, request(None)).await? {
            Reply::NeedsProducer => {
                let fresh = self.runtime.host().fresh().await?;
                self.ask(id, request(Some(fresh))).await
            }
            reply => Ok(reply),
        }
    }
}

/// What the machines of transactions are made of and see.
struct Shards {
    config: Arc<config::Live>,
    metadata: Arc<Store>,
    client: Arc<Client>,
    producer_ids: Arc<ProducerIds>,
    markers: Markers,
    /// Transactions that a task settles, and whether it was asked for again since it began.
    settling: Mutex<HashMap<TransactionalId, bool>>,
    ends: Ends,
}

/// Transactions that have ended everywhere.
#[derive(Debug, Default)]
struct Ends {
    committed: Count,
    aborted: Count,
}

impl Host for Shards {
    type Machine = Transactions;
    const TOPIC: &'static str = TopicName::TRANSACTION_STATE;

    fn machine(&self) -> Transactions {
        Transactions::default()
    }

    fn env(&self, now: TimestampMs, _: &TopicConfig) -> Env {
        let settings = self.settings();
        let transactions = &settings.transactions;
        Env {
            now,
            version: self.metadata.load().feature("transaction.version"),
            timeout_max_ms: millis(transactions.timeout_max),
            id_expiration_ms: millis(transactions.id_expiration),
            abort_every_ms: millis(transactions.timeout_check_interval),
            expire_every_ms: millis(transactions.id_expiration_check_interval),
        }
    }

    fn limits(&self) -> Limits {
        let settings = self.settings();
        Limits {
            commit_timeout: settings.network.request_timeout,
            load_bytes: settings.transactions.log_load_bytes,
            opened_bytes_max: settings.network.request_bytes_max,
            // Enforced by Kafka too: the records are tiny.
            compression: None,
        }
    }

    fn run(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, task: Task) {
        let at = Arc::clone(runtime);
        match task {
            Task::Settle(id) => {
                // Of two that were asked for the first goes on, and looks again when it is done.
                let mut settling = runtime.host().settling.lock();
                let runs = settling.contains_key(&id);
                settling.insert(id.clone(), runs);
                if !runs {
                    runtime.spawn(async move { settle_all(&at, shard, id).await });
                }
            }
            Task::TimedOut(id, producer) => runtime.spawn(async move {
                // Without an id, and without an answer: the machine asks again after its next look.
                let Ok(fresh) = at.host().fresh().await else { return };
                let request = Request::TimedOut { id: id.clone(), producer, fresh };
                if let Err(error) = at.ask(shard, request).await {
                    tracing::warn!(%id, %error, "a transaction whose time is up is not aborted yet");
                }
            }),
        }
    }
}

impl Shards {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.config.load().settings())
    }

    /// The partition of `__transaction_state` that holds a transaction.
    fn partition_for(&self, id: &TransactionalId) -> PartitionId {
        partition_for(&self.metadata.load(), Self::TOPIC, id.as_str(), || self.settings().transactions.log_partitions)
    }

    async fn fresh(&self) -> Result<ProducerId, ErrorCode> {
        self.producer_ids.next(&self.client).await.map_err(|error| error.code)
    }
}

/// Settles a transaction, again for as long as it is asked for while it is done.
async fn settle_all(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, id: TransactionalId) {
    loop {
        settle(runtime, shard, &id).await;
        let mut settling = runtime.host().settling.lock();
        match settling.get_mut(&id) {
            Some(again) if *again => *again = false,
            _ => {
                settling.remove(&id);
                return;
            }
        }
    }
}

async fn settle(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, id: &TransactionalId) {
    let markers = &runtime.host().markers;
    let Some(due) = ask_until_known(runtime, shard, || Request::Due(id.clone())).await else { return };
    let Reply::Due(Some(due)) = due else { return };
    let Due { producer, commit, partitions, version } = due;
    let mut left: Vec<Target> =
        partitions.into_iter().flat_map(|(topic, ids)| ids.into_iter().map(move |id| (topic.clone(), id))).collect();
    let mut pause = AGAIN_FIRST;
    loop {
        // As it is now: the shard may have gone and come back.
        let Some(log) = runtime.partition(shard) else { return };
        let end = TransactionEnd { producer, commit, coordinator_epoch: log.leader_epoch().0, version };
        let answers = markers.write(&end, &left).await;
        left = left
            .into_iter()
            .zip(answers)
            .filter(|(target, answer)| !is_done(markers, id, target, *answer))
            .map(|(target, _)| target)
            .collect();
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AT_MOST);
    }
    match ask_until_known(runtime, shard, || Request::Written { id: id.clone(), producer }).await {
        None => {}
        Some(Reply::Written(ErrorCode::NONE)) => {
            let ends = &runtime.host().ends;
            if commit { &ends.committed } else { &ends.aborted }.inc();
        }
        other => tracing::error!(%id, ?other, "a transaction that was settled is not"),
    }
}

/// Needs the partition no more of us?
fn is_done(markers: &Markers, id: &TransactionalId, target: &Target, answer: ErrorCode) -> bool {
    let (topic, number) = (&target.0, target.1.0);
    match answer {
        ErrorCode::NONE => true,
        _ if !markers.exists(target) => {
            tracing::info!(%id, %topic, partition = number, "deleted before the end of a transaction came to it");
            true
        }
        // A newer instance of the producer has written there, which was possible only after this transaction had ended
        // there. Kafka gives the whole transaction up; it then stays undecided until its coordinator moves.
        ErrorCode::INVALID_PRODUCER_EPOCH => {
            tracing::warn!(%id, %topic, partition = number, "the end of a transaction is older than what is there");
            true
        }
        error => {
            tracing::info!(%id, %topic, partition = number, %error, "the end of a transaction will be written again");
            false
        }
    }
}

/// Asks until there is an answer. `None`: the shard has gone, or cannot be loaded, and whoever loads it begins anew.
async fn ask_until_known(
    runtime: &Arc<Runtime<Shards>>,
    shard: PartitionId,
    request: impl Fn() -> Request,
) -> Option<Reply> {
    loop {
        match runtime.ask(shard, request()).await {
            Ok(reply) => return Some(reply),
            Err(ErrorCode::NOT_COORDINATOR) => return None,
            Err(_) => tokio::time::sleep(AGAIN_FIRST).await,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn fault(api: &'static str, reply: &Reply) -> ErrorCode {
    tracing::error!(api, ?reply, "an answer to another request");
    ErrorCode::UNKNOWN_SERVER_ERROR
}

/// What the log says, in the words of coordinators (`TransactionStateManager.appendTransactionToLog`).
fn for_clients(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::NOT_COORDINATOR,
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => ErrorCode::UNKNOWN_SERVER_ERROR,
        other => other,
    }
}
