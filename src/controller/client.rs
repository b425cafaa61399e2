//! What this node's broker asks of the controller: decided here when this node decides, else asked of the node that does.

use super::request::{
    ApiError, Assignment, CreateTopics, CreatedTopic, Heartbeat, IsrProposal, IsrVerdict, NewTopic, ProducerIdBlock,
    Registration, Standing,
};
use super::service::Service;
use crate::model::{ErrorCode, NodeId, Principal};
use crate::peer::topics::{Made, WantedTopic};
use crate::peer::{self, PeerError, Pool};
use crate::quorum::Leadership;
use crate::rt::clock;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two tries to find the controller, at most: who leads is mostly known before.
const RETRY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct Client {
    service: Service,
    leadership: watch::Receiver<Leadership>,
    /// For what is decided at once.
    links: Pool,
    /// For what clients ask: it may wait long, and what stands behind it on a connection waits too.
    forwards: Pool,
    /// `controller.quorum.request.timeout.ms` and its like: how long one try may take.
    timeout: Duration,
    /// This broker's epoch; -1 before it is registered.
    epoch: AtomicI64,
}

/// Where the controller is.
enum Active {
    Here,
    There(NodeId),
}

impl Client {
    /// `pool` makes the links to controllers; it is called twice, for two kinds of links.
    pub fn new(service: Service, pool: impl Fn() -> Pool, timeout: Duration) -> Client {
        let leadership = service.quorum().leadership();
        Client { service, leadership, links: pool(), forwards: pool(), timeout, epoch: AtomicI64::new(-1) }
    }

    /// The controller of this node, which decides or not.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The epoch in which this broker is registered; -1: it is not.
    #[must_use]
    pub fn broker_epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn set_broker_epoch(&self, epoch: Option<i64>) {
        self.epoch.store(epoch.unwrap_or(-1), Ordering::Release);
    }

    /// The node that decides, as far as this one knows.
    #[must_use]
    pub fn active_controller(&self) -> Option<NodeId> {
        match self.active() {
            Ok(Active::Here) => Some(self.service.node()),
            Ok(Active::There(node)) => Some(node),
            Err(_) => None,
        }
    }

    fn active(&self) -> Result<Active, ApiError> {
        let Leadership { leader, term, .. } = *self.leadership.borrow();
        match leader {
            _ if term.is_some() => Ok(Active::Here),
            Some(leader) if leader != self.service.node() => Ok(Active::There(leader)),
            _ => Err(ApiError::new(ErrorCode::NOT_CONTROLLER, "It is not known which node is the controller.")),
        }
    }

    /// Waits for another controller, a little.
    async fn changed(&self) {
        let mut leadership = self.leadership.clone();
        leadership.mark_unchanged();
        let _ = tokio::time::timeout(RETRY, leadership.changed()).await;
    }

    /// Tries again while the controller is not found, until `deadline`.
    async fn persist<T, F: Future<Output = Result<T, ApiError>>>(
        &self,
        deadline: Instant,
        mut one_try: impl FnMut() -> F,
    ) -> Result<T, ApiError> {
        loop {
            match one_try().await {
                Err(error) if error.code == ErrorCode::NOT_CONTROLLER && clock::now() < deadline => {
                    self.changed().await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Registers this broker.
    ///
    /// # Errors
    /// `NOT_CONTROLLER`: it was not found, worth another try. Others are the controller's.
    pub async fn register(&self, registration: &Registration) -> Result<i64, ApiError> {
        match self.active()? {
            Active::Here => self.service.register_broker(registration).await,
            Active::There(node) => {
                answered(peer::controller::register(&self.links.link(node), registration, self.timeout).await)
            }
        }
    }

    /// Says that this broker lives.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<Standing, ApiError> {
        match self.active()? {
            Active::Here => self.service.heartbeat(beat).await,
            Active::There(node) => {
                answered(peer::controller::broker_heartbeat(&self.links.link(node), beat, self.timeout).await)
            }
        }
    }

    /// Proposes ISRs of partitions that this broker leads; one verdict per proposal, in any order.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn alter_partition(&self, proposals: &[IsrProposal]) -> Result<Vec<IsrVerdict>, ApiError> {
        let (broker, epoch) = (self.service.node(), self.broker_epoch());
        match self.active()? {
            Active::Here => self.service.alter_partition(broker, epoch, proposals).await,
            Active::There(node) => {
                let link = self.links.link(node);
                answered(peer::controller::alter_partition(&link, broker, epoch, proposals, self.timeout).await)
            }
        }
    }

    /// A block of producer ids that nobody else has. Looks for the controller until `deadline`.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn allocate_producer_ids(&self, deadline: Instant) -> Result<ProducerIdBlock, ApiError> {
        self.persist(deadline, || async {
            let (broker, epoch) = (self.service.node(), self.broker_epoch());
            match self.active()? {
                Active::Here => self.service.allocate_producer_ids(broker, epoch).await,
                Active::There(node) => {
                    let link = self.links.link(node);
                    let answer = peer::controller::allocate_producer_ids(&link, broker, epoch, self.timeout).await;
                    answered(answer).map(|(first, count)| ProducerIdBlock { first, count })
                }
            }
        })
        .await
    }

    /// Says in which directories this broker put replicas; an answer for each, in any order.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn assign_directories(
        &self,
        assignments: &[Assignment],
    ) -> Result<Vec<(Assignment, ErrorCode)>, ApiError> {
        let (broker, epoch) = (self.service.node(), self.broker_epoch());
        match self.active()? {
            Active::Here => {
                let answers = self.service.assign_directories(broker, epoch, assignments).await?;
                let code = |answer: Result<(), ErrorCode>| answer.err().unwrap_or(ErrorCode::NONE);
                Ok(assignments.iter().copied().zip(answers.into_iter().map(code)).collect())
            }
            Active::There(node) => {
                let link = self.links.link(node);
                answered(peer::controller::assign_directories(&link, broker, epoch, assignments, self.timeout).await)
            }
        }
    }

    /// Creates topics that this broker needs itself, with replicas where the controller likes; one answer each, in order. Looks
    /// for the controller until `deadline`.
    pub async fn create_topics(&self, topics: Vec<NewTopic>, deadline: Instant) -> Vec<Result<CreatedTopic, ApiError>> {
        let request = CreateTopics { topics, validate_only: false };
        let count = request.topics.len();
        let answers = self.persist(deadline, || async {
            let answers: Vec<Result<CreatedTopic, ApiError>> = match self.active()? {
                Active::Here => self.service.create_topics(request.clone()).await,
                Active::There(node) => {
                    let link = self.forwards.link(node);
                    let wanted: Vec<WantedTopic<'_>> = request.topics.iter().map(wanted).collect();
                    let answers = peer::topics::create_topics(&link, &wanted, self.timeout).await;
                    let mut made: BTreeMap<String, Made> = answered(answers.map(Ok))?.into_iter().collect();
                    let topic = |topic: &NewTopic| created(topic, made.remove(topic.name.as_str()));
                    request.topics.iter().map(topic).collect()
                }
            };
            // It ceased to decide meanwhile, and says so of each topic.
            let lost = |answer: &Result<CreatedTopic, ApiError>| {
                answer.as_ref().err().filter(|error| error.code == ErrorCode::NOT_CONTROLLER).cloned()
            };
            answers.iter().find_map(lost).map_or(Ok(answers), Err)
        });
        answers.await.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone())).collect())
    }

    /// Sends a client's request on to the node that decides, with its principal and whether a delegation token has shown it.
    /// `Ok(None)`: that is this node now. What comes back is the whole response, its header included.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn forward(
        &self,
        request: &Bytes,
        principal: (&Principal, bool),
        address: IpAddr,
        deadline: Instant,
    ) -> Result<Option<Bytes>, ApiError> {
        let Active::There(node) = self.active()? else { return Ok(None) };
        let left = deadline.saturating_duration_since(clock::now());
        let link = self.forwards.link(node);
        answered(peer::forward::envelope(&link, request, principal, address, left).await).map(Some)
    }

    /// Waits until another try to forward may find the controller.
    pub async fn before_next_try(&self) {
        self.changed().await;
    }
}

fn wanted(topic: &NewTopic) -> WantedTopic<'_> {
    WantedTopic {
        name: &topic.name,
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: &topic.configs,
    }
}

fn created(topic: &NewTopic, made: Option<Made>) -> Result<CreatedTopic, ApiError> {
    let made = made.unwrap_or(Err((ErrorCode::UNKNOWN_SERVER_ERROR, None)));
    let made = made.map_err(|(code, message)| ApiError { code, message })?;
    Ok(CreatedTopic {
        name: topic.name.clone(),
        id: made.id,
        partitions: made.partitions,
        replication_factor: made.replication_factor,
        configs: topic.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect(),
    })
}

/// A peer that cannot be reached is no controller: the next try may find another.
fn answered<T>(answer: Result<Result<T, ErrorCode>, PeerError>) -> Result<T, ApiError> {
    match answer {
        Ok(answer) => answer.map_err(ApiError::bare),
        Err(error) => Err(ApiError::new(ErrorCode::NOT_CONTROLLER, error.to_string())),
    }
}
