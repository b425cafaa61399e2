//! Reads and writes the state of deliveries, wherever in the cluster its share coordinator is
//! (`org.apache.kafka.server.share.persister.DefaultStatePersister`, `PersisterStateManager`).
//!
//! Every call takes many partitions of one group and answers each of them, in the order asked. A partition whose
//! coordinator is not known, is loading or has moved is asked again, for as long as Kafka's five tries take; then its error
//! is the answer. Most of the reasons are over within milliseconds, so the first pauses are shorter than Kafka's second.
//!
//! The coordinator of this broker is called directly, others over a link, once for all of their partitions.

use super::state::ShareCoordinator;
use super::state::request::{Key, Reply, Request};
use crate::coordinator::for_clients;
use crate::model::{ErrorCode, GroupId, NodeId, Offset};
use crate::peer::{self, Link, PeerError, Pool};
use crate::rt::clock;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub use crate::model::{
    Delivery, Refused, ShareState, ShareSummary, ShareWrite, SharedPartition, StateBatch, StateEpoch,
};

/// So long five tries of Kafka's take, with pauses of 1, 2, 4 and 8 seconds.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_AT_MOST: Duration = Duration::from_secs(1);

/// The way to the share coordinators.
pub struct Persister {
    coordinator: Arc<ShareCoordinator>,
    peers: Arc<Pool>,
    /// Has `__share_group_state` created.
    create: Box<dyn Fn() + Send + Sync>,
    stopping: CancellationToken,
}

impl Persister {
    /// `create` has `__share_group_state` created, and does not wait for it.
    #[must_use]
    pub fn new(
        coordinator: Arc<ShareCoordinator>,
        peers: Arc<Pool>,
        create: impl Fn() + Send + Sync + 'static,
    ) -> Persister {
        Persister { coordinator, peers, create: Box::new(create), stopping: CancellationToken::new() }
    }

    /// From now on nothing is asked twice: a broker that stops waits for nobody.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// InitializeShareGroupState: makes room for a partition, to begin at `start_offset`.
    pub async fn initialize(
        &self,
        group: &GroupId,
        asked: Vec<(SharedPartition, StateEpoch, Option<Offset>)>,
    ) -> Vec<Result<(), Refused>> {
        self.run(group, asked.into_iter().map(Initialize).collect()).await
    }

    /// ReadShareGroupState by the leader of each partition, in its leader epoch.
    pub async fn read(&self, group: &GroupId, asked: Vec<(SharedPartition, i32)>) -> Vec<Result<ShareState, Refused>> {
        self.run(group, asked.into_iter().map(Read).collect()).await
    }

    /// WriteShareGroupState.
    pub async fn write(&self, group: &GroupId, asked: Vec<ShareWrite>) -> Vec<Result<(), Refused>> {
        self.run(group, asked.into_iter().map(Write).collect()).await
    }

    /// DeleteShareGroupState. What is not there is deleted.
    pub async fn delete(&self, group: &GroupId, asked: Vec<SharedPartition>) -> Vec<Result<(), Refused>> {
        self.run(group, asked.into_iter().map(Delete).collect()).await
    }

    /// ReadShareGroupStateSummary.
    pub async fn summary(&self, group: &GroupId, asked: Vec<SharedPartition>) -> Vec<Result<ShareSummary, Refused>> {
        self.run(group, asked.into_iter().map(Summary).collect()).await
    }

    async fn run<E: Errand>(&self, group: &GroupId, asked: Vec<E>) -> Vec<Result<E::Answer, Refused>> {
        let until = clock::now() + PATIENCE;
        let mut pause = PAUSE_FIRST;
        let mut answers: Vec<Result<E::Answer, Refused>> = asked.iter().map(|_| Err(not_found())).collect();
        let mut left: Vec<usize> = (0..asked.len()).collect();
        loop {
            let of_nodes = self.placed(group, &asked, &left);
            let told = of_nodes.into_iter().map(|(node, places)| {
                let some: Vec<E> = places.iter().filter_map(|at| asked.get(*at)).cloned().collect();
                async move { (places, self.tell(node, group, some).await) }
            });
            for (places, told) in join_all(told).await {
                for (at, told) in places.into_iter().zip(told) {
                    if let Some(answer) = answers.get_mut(at) {
                        *answer = told;
                    }
                }
            }
            left.retain(|at| answers.get(*at).is_some_and(|answer| answer.as_ref().is_err_and(may_pass)));
            if left.is_empty() || clock::now() + pause >= until {
                break;
            }
            tokio::select! {
                () = self.stopping.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_AT_MOST);
        }
        answers.into_iter().map(|answer| answer.map_err(|refused| explained::<E>(refused))).collect()
    }

    /// Those of `left` whose coordinator is known, by coordinator.
    fn placed<E: Errand>(&self, group: &GroupId, asked: &[E], left: &[usize]) -> BTreeMap<NodeId, Vec<usize>> {
        let mut of_nodes: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        let mut missing = false;
        for at in left {
            let Some(errand) = asked.get(*at) else { continue };
            match self.coordinator.place(&Key { group: group.clone(), at: errand.at() }) {
                Ok(node) => of_nodes.entry(node).or_default().push(*at),
                Err(error) => missing |= error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            }
        }
        if missing {
            (self.create)();
        }
        of_nodes
    }

    /// One answer for each.
    async fn tell<E: Errand>(&self, node: NodeId, group: &GroupId, some: Vec<E>) -> Vec<Result<E::Answer, Refused>> {
        if node == self.coordinator.node() {
            let here = some.into_iter().map(|errand| self.coordinator.ask(errand.request(group)));
            let answer = |reply: Result<Reply, ErrorCode>| match reply {
                Ok(reply) => E::answer(reply),
                Err(error) => Err(Refused { code: for_clients(error), message: None }),
            };
            return join_all(here).await.into_iter().map(answer).collect();
        }
        let deadline = self.coordinator.settings().network.request_timeout;
        match E::elsewhere(&self.peers.link(node), group, &some, deadline).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::info!(%group, %error, "a share coordinator was not asked");
                some.iter().map(|_| Err(Refused { code: ErrorCode::NETWORK_EXCEPTION, message: None })).collect()
            }
        }
    }
}

/// What is asked for one partition.
trait Errand: Clone + Send + Sync {
    type Answer: Send;
    /// As Kafka calls it in its messages.
    const NAME: &'static str;

    fn at(&self) -> SharedPartition;

    fn request(self, group: &GroupId) -> Request;

    fn answer(reply: Reply) -> Result<Self::Answer, Refused>;

    /// Asks another broker. One answer for each.
    fn elsewhere(
        link: &Link,
        group: &GroupId,
        some: &[Self],
        deadline: Duration,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, Refused>>, PeerError>> + Send;
}

type Elsewhere<T> = Result<Vec<Result<T, Refused>>, PeerError>;

#[derive(Clone)]
struct Initialize((SharedPartition, StateEpoch, Option<Offset>));

#[derive(Clone)]
struct Read((SharedPartition, i32));

#[derive(Clone)]
struct Write(ShareWrite);

#[derive(Clone)]
struct Delete(SharedPartition);

#[derive(Clone)]
struct Summary(SharedPartition);

impl Errand for Initialize {
    type Answer = ();
    const NAME: &'static str = "initialize state";

    fn at(&self) -> SharedPartition {
        self.0.0
    }

    fn request(self, group: &GroupId) -> Request {
        let (at, state_epoch, start_offset) = self.0;
        Request::Initialize { key: Key { group: group.clone(), at }, state_epoch, start_offset }
    }

    fn answer(reply: Reply) -> Result<(), Refused> {
        done(reply)
    }

    async fn elsewhere(link: &Link, group: &GroupId, some: &[Self], deadline: Duration) -> Elsewhere<()> {
        let asked: Vec<_> = some.iter().map(|errand| errand.0).collect();
        peer::share_state::initialize(link, group, &asked, deadline).await
    }
}

impl Errand for Read {
    type Answer = ShareState;
    const NAME: &'static str = "read state";

    fn at(&self) -> SharedPartition {
        self.0.0
    }

    fn request(self, group: &GroupId) -> Request {
        let (at, leader_epoch) = self.0;
        Request::Read { key: Key { group: group.clone(), at }, leader_epoch }
    }

    fn answer(reply: Reply) -> Result<ShareState, Refused> {
        match reply {
            Reply::Read(answer) => answer,
            other => Err(fault(&other)),
        }
    }

    async fn elsewhere(link: &Link, group: &GroupId, some: &[Self], deadline: Duration) -> Elsewhere<ShareState> {
        let asked: Vec<_> = some.iter().map(|errand| errand.0).collect();
        peer::share_state::read(link, group, &asked, deadline).await
    }
}

impl Errand for Write {
    type Answer = ();
    const NAME: &'static str = "write state";

    fn at(&self) -> SharedPartition {
        self.0.at
    }

    fn request(self, group: &GroupId) -> Request {
        Request::Write { group: group.clone(), write: self.0 }
    }

    fn answer(reply: Reply) -> Result<(), Refused> {
        done(reply)
    }

    async fn elsewhere(link: &Link, group: &GroupId, some: &[Self], deadline: Duration) -> Elsewhere<()> {
        let asked: Vec<_> = some.iter().map(|errand| errand.0.clone()).collect();
        peer::share_state::write(link, group, &asked, deadline).await
    }
}

impl Errand for Delete {
    type Answer = ();
    const NAME: &'static str = "delete state";

    fn at(&self) -> SharedPartition {
        self.0
    }

    fn request(self, group: &GroupId) -> Request {
        Request::Delete(Key { group: group.clone(), at: self.0 })
    }

    fn answer(reply: Reply) -> Result<(), Refused> {
        done(reply)
    }

    async fn elsewhere(link: &Link, group: &GroupId, some: &[Self], deadline: Duration) -> Elsewhere<()> {
        let asked: Vec<_> = some.iter().map(|errand| errand.0).collect();
        peer::share_state::delete(link, group, &asked, deadline).await
    }
}

impl Errand for Summary {
    type Answer = ShareSummary;
    const NAME: &'static str = "read state summary";

    fn at(&self) -> SharedPartition {
        self.0
    }

    fn request(self, group: &GroupId) -> Request {
        Request::Summary(Key { group: group.clone(), at: self.0 })
    }

    fn answer(reply: Reply) -> Result<ShareSummary, Refused> {
        match reply {
            Reply::Summary(answer) => answer,
            other => Err(fault(&other)),
        }
    }

    async fn elsewhere(link: &Link, group: &GroupId, some: &[Self], deadline: Duration) -> Elsewhere<ShareSummary> {
        let asked: Vec<_> = some.iter().map(|errand| errand.0).collect();
        peer::share_state::summary(link, group, &asked, deadline).await
    }
}

fn done(reply: Reply) -> Result<(), Refused> {
    match reply {
        Reply::Done(answer) => answer,
        other => Err(fault(&other)),
    }
}

fn fault(reply: &Reply) -> Refused {
    tracing::error!(?reply, "an answer to another request");
    Refused { code: ErrorCode::UNKNOWN_SERVER_ERROR, message: None }
}

fn not_found() -> Refused {
    let message = "Error in find coordinator. Exhausted max retries to find coordinator without success.";
    Refused { code: ErrorCode::COORDINATOR_NOT_AVAILABLE, message: Some(message.to_owned()) }
}

/// Is it worth another try?
fn may_pass(refused: &Refused) -> bool {
    matches!(
        refused.code,
        ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::NETWORK_EXCEPTION
            | ErrorCode::REQUEST_TIMED_OUT
    )
}

/// What Kafka says of an errand that failed.
fn explained<E: Errand>(mut refused: Refused) -> Refused {
    if refused == not_found() {
        return refused;
    }
    let name = E::NAME;
    refused.message = if may_pass(&refused) {
        Some(format!("Error in {name} RPC. Exhausted max retries to complete {name} RPC without success."))
    } else {
        refused.message.map(|message| format!("Error in {name} RPC. {message}"))
    };
    refused
}
