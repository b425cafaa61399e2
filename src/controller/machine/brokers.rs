//! Brokers: registration and its end, and what the only node of a cluster may lead again when it comes back
//! (`ClusterControlManager`).

use super::features::{FEATURES, METADATA_VERSION};
use super::heartbeats::Sessions;
use super::view::View;
use super::{Decision, leadership};
use crate::controller::request::{ApiError, Registration};
use crate::metadata::record::{PartitionChange, RegisterBroker};
use crate::metadata::{BrokerImage, DirectoryId, Endpoint, Image, PartitionImage, Record, Replicas};
use crate::model::{ErrorCode, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// Refuses a broker that is not the one registered.
pub(super) fn check_epoch(broker: NodeId, epoch: i64, image: &Image) -> Result<(), ApiError> {
    let fault = |text: String| Err(ApiError::new(ErrorCode::STALE_BROKER_EPOCH, text));
    match image.brokers.get(&broker) {
        None => fault(format!("No broker registration found for broker id {}", broker.0)),
        Some(registered) if registered.epoch != epoch => {
            fault(format!("Expected broker epoch {}, but got broker epoch {epoch}", registered.epoch))
        }
        Some(_) => Ok(()),
    }
}

/// Decides BrokerRegistration. `next` is the offset of the first record that is decided here; the answer is the broker's
/// epoch: the offset of its registration.
pub(crate) fn register(
    registration: &Registration,
    cluster_id: &str,
    next: Offset,
    sessions: &mut Sessions,
    now_ms: u64,
    view: &View<'_>,
) -> Decision<Result<i64, ApiError>> {
    let mut records = Vec::new();
    let answer = check(registration, cluster_id, sessions, now_ms, view).map(|()| {
        let id = registration.broker;
        let known = view.image.brokers.get(&id);
        if let Some(same) = known.filter(|known| known.incarnation == registration.incarnation) {
            let amended = BrokerImage {
                fenced: same.fenced,
                in_controlled_shutdown: same.in_controlled_shutdown,
                cordoned: same.cordoned.clone(),
                ..image_of(registration, same.epoch, view)
            };
            records.push(Record::RegisterBroker(RegisterBroker { image: amended }));
            return same.epoch;
        }
        // Without a stop that says in which epoch it was, nothing is known about the end of its logs.
        let clean = known.is_some_and(|known| known.epoch == registration.previous_broker_epoch);
        leadership::restarted(view, id, clean, &mut records);
        // Last: a controller that fails in between is asked again, and moves the rest of the partitions then.
        let epoch = next.plus(i64::try_from(records.len()).unwrap_or(i64::MAX)).0;
        records.push(Record::RegisterBroker(RegisterBroker { image: image_of(registration, epoch, view) }));
        sessions.registered(id, epoch);
        epoch
    });
    Decision { records, answer }
}

/// A broker as it registers: fenced.
fn image_of(registration: &Registration, epoch: i64, view: &View<'_>) -> BrokerImage {
    let directories = registration.log_dirs.iter().copied().map(DirectoryId);
    BrokerImage {
        id: registration.broker,
        epoch,
        incarnation: registration.incarnation,
        endpoints: endpoints(registration),
        features: registration.features.iter().map(|(name, min, max)| (name.clone(), (*min, *max))).collect(),
        rack: registration.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        directories: if view.directories_supported() { directories.collect() } else { Vec::new() },
        cordoned: None,
    }
}

fn endpoints(registration: &Registration) -> Vec<Endpoint> {
    let endpoint = |listener: &crate::controller::request::RegisteredListener| Endpoint {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    };
    registration.listeners.iter().map(endpoint).collect()
}

fn check(
    registration: &Registration,
    cluster_id: &str,
    sessions: &Sessions,
    now_ms: u64,
    view: &View<'_>,
) -> Result<(), ApiError> {
    if registration.cluster_id != cluster_id {
        let text = format!("Expected cluster ID {cluster_id}, but got cluster ID {}", registration.cluster_id);
        return Err(ApiError::new(ErrorCode::INCONSISTENT_CLUSTER_ID, text));
    }
    let other = view.image.brokers.get(&registration.broker).filter(|known| {
        known.incarnation != registration.incarnation && sessions.is_valid(known.id, known.epoch, now_ms)
    });
    if other.is_some() {
        return Err(ApiError::new(
            ErrorCode::DUPLICATE_BROKER_REGISTRATION,
            "Another broker is registered with that broker id. If the broker was recently restarted this should \
             self-resolve once the heartbeat manager expires the broker's session.",
        ));
    }
    if view.directories_supported() {
        check_directories(registration, view.image)?;
    }
    check_features(registration, view.image)
}

fn check_directories(registration: &Registration, image: &Image) -> Result<(), ApiError> {
    let fault = |text: String| Err(ApiError::new(ErrorCode::INVALID_REGISTRATION, text));
    let directories = &registration.log_dirs;
    if directories.is_empty() {
        return fault("No directories specified in request".into());
    }
    // The first hundred ids mean something else than a directory.
    if directories.iter().any(|id| id.as_u128() < 100) {
        return fault("Reserved directory ID in request".into());
    }
    if directories.iter().collect::<BTreeSet<_>>().len() != directories.len() {
        return fault("Duplicate directory ID in request".into());
    }
    for broker in image.brokers.values().filter(|broker| broker.id != registration.broker) {
        if let Some(taken) = broker.directories.iter().find(|taken| directories.contains(&taken.0)) {
            return fault(format!("Broker {} is already registered with directory {taken:?}", broker.id.0));
        }
    }
    Ok(())
}

fn check_features(registration: &Registration, image: &Image) -> Result<(), ApiError> {
    let supported: BTreeMap<&str, (i16, i16)> =
        registration.features.iter().map(|(name, min, max)| (name.as_str(), (*min, *max))).collect();
    let check = |name: &str, (min, max): (i16, i16)| {
        let level = image.feature(name);
        if (min..=max).contains(&level) {
            return Ok(());
        }
        let text = format!(
            "Unable to register because the broker does not support finalized version {level} of {name}. The broker \
             wants a version between {min} and {max}, inclusive."
        );
        Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text))
    };
    for (name, range) in &supported {
        check(name, *range)?;
    }
    if !supported.contains_key(METADATA_VERSION) {
        let text = "Request features do not contain 'metadata.version'";
        return Err(ApiError::new(ErrorCode::INVALID_REGISTRATION, text));
    }
    let untold = image.features.keys().filter(|name| !supported.contains_key(name.as_str()));
    untold.into_iter().try_for_each(|name| check(name, (0, 0)))
}

/// Decides UnregisterBroker.
pub(crate) fn unregister(broker: NodeId, sessions: &mut Sessions, view: &View<'_>) -> Decision<Result<(), ApiError>> {
    let mut records = Vec::new();
    let answer = match view.image.brokers.get(&broker) {
        None => {
            let text = format!("Broker ID {} is not currently registered", broker.0);
            Err(ApiError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, text))
        }
        Some(registered) => {
            leadership::unregister(view, registered, &mut records);
            sessions.unregistered(broker);
            Ok(())
        }
    };
    Decision { records, answer }
}

/// The record that registers the only node of a cluster, which decides itself that it is there: unfenced. `at` is the
/// offset it will have: the broker's epoch.
pub(crate) fn register_alone(registration: &Registration, at: Offset, image: &Image) -> Record {
    let known = image.brokers.get(&registration.broker);
    Record::RegisterBroker(RegisterBroker {
        image: BrokerImage {
            id: registration.broker,
            epoch: at.0,
            incarnation: registration.incarnation,
            endpoints: endpoints(registration),
            features: supported().into_iter().map(|(name, min, max)| (name, (min, max))).collect(),
            rack: registration.rack.clone(),
            fenced: false,
            in_controlled_shutdown: false,
            directories: registration.log_dirs.iter().copied().map(DirectoryId).collect(),
            cordoned: known.and_then(|known| known.cordoned.clone()),
        },
    })
}

/// The features that this program supports, with their levels.
pub(crate) fn supported() -> Vec<(String, i16, i16)> {
    FEATURES.iter().map(|feature| (feature.name.to_owned(), feature.min, feature.max)).collect()
}

/// Changes that let a broker which has just come back lead what it may lead.
///
/// A partition without a leader gets it if it is in the ISR or, when that is empty, eligible. After
/// an unclean stop the epochs of the partitions it led rise too: the end of a log may be gone, and a
/// reader that has seen it must be able to tell (KIP-320).
pub(crate) fn resume(node: NodeId, clean: bool, image: &Image) -> Vec<Record> {
    let mut records = Vec::new();
    for topic in image.topics_by_id.values() {
        for (number, partition) in topic.numbered() {
            let leads = partition.leader == Some(node);
            if leads && clean || !leads && !may_lead(node, partition) {
                continue;
            }
            let mut change = PartitionChange::new(topic.id, number);
            change.leader = Some(Some(node));
            if !partition.isr.contains(&node) {
                change.isr = Some(Replicas::from_slice(&[node]));
                change.elr = without(&partition.elr, node);
                change.last_known_elr = without(&partition.last_known_elr, node);
            }
            records.push(Record::PartitionChange(change));
        }
    }
    records
}

fn may_lead(node: NodeId, partition: &PartitionImage) -> bool {
    partition.leader.is_none()
        && (partition.isr.contains(&node)
            || partition.isr.is_empty()
                && (partition.elr.contains(&node)
                    || partition.elr.is_empty() && partition.last_known_elr.contains(&node)))
}

fn without(nodes: &Replicas, node: NodeId) -> Option<Replicas> {
    nodes.contains(&node).then(|| nodes.iter().copied().filter(|id| *id != node).collect())
}
