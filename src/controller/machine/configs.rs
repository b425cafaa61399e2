//! Changing dynamic configs of topics, brokers, groups and client metrics.

use super::Decision;
use super::features;
use crate::controller::request::{AlterOp, ApiError, ConfigChange, ConfigRules, ConfigSet};
use crate::metadata::{ConfigResource, Image, Record, ResourceType};
use crate::model::{ErrorCode, NodeId};
use std::collections::{BTreeMap, BTreeSet};

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";
/// `metadata.version` 4.3-IV0.
const CORDONED_LOG_DIRS_LEVEL: i16 = 30;
/// The longest value a config may have, in characters.
const VALUE_MAX: usize = i16::MAX as usize;

/// Decides IncrementalAlterConfigs; one answer per resource, in order. A resource changes whole or
/// not at all.
pub(crate) fn alter(
    changes: &[(ConfigResource, Vec<ConfigChange>)],
    validate_only: bool,
    image: &Image,
    rules: &dyn ConfigRules,
) -> Decision<Vec<Result<(), ApiError>>> {
    let mut records = Vec::new();
    let answer = changes
        .iter()
        .map(|(resource, changes)| {
            records.extend(alter_one(resource, changes, image, rules, false)?);
            Ok(())
        })
        .collect();
    Decision { records: with_cleared_elr(records, image), answer }.bounded(validate_only)
}

/// Decides AlterConfigs: each resource has the given configs afterwards and no others.
pub(crate) fn replace(
    sets: &[(ConfigResource, ConfigSet)],
    validate_only: bool,
    image: &Image,
    rules: &dyn ConfigRules,
) -> Decision<Vec<Result<(), ApiError>>> {
    let mut records = Vec::new();
    let answer = sets
        .iter()
        .map(|(resource, set)| {
            records.extend(replace_one(resource, set, image, rules)?);
            Ok(())
        })
        .collect();
    Decision { records: with_cleared_elr(records, image), answer }.bounded(validate_only)
}

/// The records of one resource's changes.
pub(super) fn alter_one(
    resource: &ConfigResource,
    changes: &[ConfigChange],
    image: &Image,
    rules: &dyn ConfigRules,
    is_new: bool,
) -> Result<Vec<Record>, ApiError> {
    let current = image.config(resource);
    refuse_nulls(changes.iter().filter(|c| c.op != AlterOp::Delete).map(|c| (c.key.as_str(), c.value.as_deref())))?;
    let mut altered = Vec::new();
    for change in changes {
        let old = current.get(&change.key);
        let value = change.value.as_deref().unwrap_or_default();
        let new = match change.op {
            AlterOp::Set => Some(value.to_owned()),
            AlterOp::Delete => None,
            AlterOp::Append | AlterOp::Subtract => {
                if !rules.is_list(resource.kind, &change.key) {
                    let op = if change.op == AlterOp::Append { "APPEND" } else { "SUBTRACT" };
                    let text = format!("Can't {op} to key {} because its type is not LIST.", change.key);
                    return Err(ApiError::new(ErrorCode::INVALID_CONFIG, text));
                }
                let start = old.cloned().or_else(|| rules.default_value(resource.kind, &change.key));
                Some(edit_list(&start.unwrap_or_default(), value, change.op))
            }
        };
        // Brokers reload (keystores, say) on every record, so theirs are written even if nothing changes.
        if old != new.as_ref() || resource.kind == ResourceType::Broker {
            altered.push((change.key.clone(), new));
        }
    }
    check(resource, &altered, &[], image, rules, is_new)?;
    Ok(altered.into_iter().map(|(key, value)| record(resource, key, value)).collect())
}

fn replace_one(
    resource: &ConfigResource,
    set: &[(String, Option<String>)],
    image: &Image,
    rules: &dyn ConfigRules,
) -> Result<Vec<Record>, ApiError> {
    let current = image.config(resource);
    refuse_nulls(set.iter().map(|(key, value)| (key.as_str(), value.as_deref())))?;
    let altered: Vec<(String, Option<String>)> = set
        .iter()
        .filter(|(key, value)| current.get(key) != value.as_ref() || resource.kind == ResourceType::Broker)
        .cloned()
        .collect();
    let dropped: Vec<String> =
        current.keys().filter(|key| !set.iter().any(|(kept, _)| kept == *key)).cloned().collect();
    check(resource, &altered, &dropped, image, rules, false)?;
    let altered = altered.into_iter().map(|(key, value)| record(resource, key, value));
    Ok(altered.chain(dropped.into_iter().map(|key| record(resource, key, None))).collect())
}

fn record(resource: &ConfigResource, key: String, value: Option<String>) -> Record {
    Record::Config { resource: resource.clone(), key, value }
}

fn refuse_nulls<'a>(values: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Result<(), ApiError> {
    let nulls: Vec<&str> = values.filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
    if nulls.is_empty() {
        return Ok(());
    }
    let text = format!("Null value not supported for : {}", nulls.join(", "));
    Err(ApiError::new(ErrorCode::INVALID_REQUEST, text))
}

/// Adds to or takes from a comma-separated list, with the quirks of Java's `split`. Linear: both are as long as a client
/// likes.
fn edit_list(start: &str, value: &str, op: AlterOp) -> String {
    let mut list: Vec<&str> = start.split(',').filter(|item| !item.is_empty()).collect();
    let mut items: Vec<&str> = value.split(',').collect();
    if !value.is_empty() {
        while items.last().is_some_and(|item| item.is_empty()) {
            items.pop();
        }
    }
    if op == AlterOp::Subtract {
        // Each item takes one of its kind away, the first that is left.
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for item in items {
            *taken.entry(item).or_default() += 1;
        }
        list.retain(|item| match taken.get_mut(item) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
    } else {
        let mut there: BTreeSet<&str> = list.iter().copied().collect();
        list.extend(items.into_iter().filter(|item| there.insert(item)));
    }
    list.join(",")
}

fn check(
    resource: &ConfigResource,
    altered: &[(String, Option<String>)],
    dropped: &[String],
    image: &Image,
    rules: &dyn ConfigRules,
    is_new: bool,
) -> Result<(), ApiError> {
    let fault = |text: &str| Err(ApiError::new(ErrorCode::INVALID_CONFIG, text));
    let existing = image.config(resource);
    let mut all = existing.clone();
    let dropped = dropped.iter().map(|key| (key, None));
    for (key, value) in altered.iter().map(|(key, value)| (key, value.as_ref())).chain(dropped) {
        if resource.kind == ResourceType::Broker && key == MIN_INSYNC_REPLICAS && features::elr_enabled(image) {
            if !resource.name.is_empty() {
                return fault("Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
            }
            if value.is_none() {
                return fault("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
            }
        }
        if resource.kind == ResourceType::Broker
            && key == CORDONED_LOG_DIRS
            && image.feature(features::METADATA_VERSION) < CORDONED_LOG_DIRS_LEVEL
        {
            return fault(
                "The cordoned.log.dirs configuration value cannot be set because it requires metadata.version >= \
                 4.3-IV0",
            );
        }
        match value {
            None => {
                all.remove(key);
            }
            Some(value) if value.encode_utf16().count() > VALUE_MAX => {
                return fault(
                    "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
                );
            }
            Some(value) => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    rules.validate(resource, &all, existing)?;
    if is_new { Ok(()) } else { check_exists(resource, image) }
}

fn check_exists(resource: &ConfigResource, image: &Image) -> Result<(), ApiError> {
    let name = &resource.name;
    match resource.kind {
        ResourceType::Topic if image.topic(name).is_none() => {
            Err(ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist.")))
        }
        ResourceType::Broker if !name.is_empty() => {
            let id = name
                .parse()
                .map_err(|_| ApiError::new(ErrorCode::INVALID_REQUEST, format!("Invalid broker name {name}")))?;
            if image.brokers.contains_key(&NodeId(id)) {
                Ok(())
            } else {
                let text = format!("No node with id {id} found.");
                Err(ApiError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, text))
            }
        }
        _ => Ok(()),
    }
}

/// Records, and behind them those that forget eligible leader replicas: who is eligible depends on
/// `min.insync.replicas`.
pub(super) fn with_cleared_elr(mut records: Vec<Record>, image: &Image) -> Vec<Record> {
    if features::elr_enabled(image) {
        let cleared: Vec<Record> = records
            .iter()
            .filter_map(|record| match record {
                Record::Config { resource, key, .. } if key == MIN_INSYNC_REPLICAS => {
                    let is_topic = resource.kind == ResourceType::Topic;
                    Some(Record::ClearElr { topic: if is_topic { resource.name.clone() } else { String::new() } })
                }
                _ => None,
            })
            .collect();
        records.extend(cleared);
    }
    records
}

/// What makes it safe to turn on eligible leader replicas: one `min.insync.replicas` for the cluster
/// and none of single brokers.
pub(super) fn elr_safety_records(image: &Image, static_min_insync_replicas: i32) -> Vec<Record> {
    let cluster = ConfigResource::cluster_default();
    let mut records = Vec::new();
    if !image.config(&cluster).contains_key(MIN_INSYNC_REPLICAS) {
        records.push(record(&cluster, MIN_INSYNC_REPLICAS.into(), Some(static_min_insync_replicas.to_string())));
    }
    let of_brokers = image.configs.iter().filter(|(resource, set)| {
        resource.kind == ResourceType::Broker && !resource.name.is_empty() && set.contains_key(MIN_INSYNC_REPLICAS)
    });
    records.extend(of_brokers.map(|(resource, _)| record(resource, MIN_INSYNC_REPLICAS.into(), None)));
    records
}
