//! Creating and deleting topics.

use super::placement::place;
use super::{Decision, Draw, check_assignment, configs, new_partition};
use crate::controller::request::{
    AlterOp, ApiError, ConfigChange, ConfigRules, CreateTopics, CreatedTopic, Defaults, DeletedTopic, NewTopic,
    TopicSelector,
};
use crate::metadata::record::PartitionRecord;
use crate::metadata::{ConfigResource, Image, PartitionImage, Record};
use crate::model::{ErrorCode, PartitionId, TopicName};
use std::collections::{BTreeMap, BTreeSet};

/// The most partitions one CreateTopics may ask for.
const PARTITIONS_MAX: i64 = 10_000;

/// Decides CreateTopics; one answer per topic, in order.
pub(crate) fn create(
    request: &CreateTopics,
    image: &Image,
    defaults: Defaults,
    rules: &dyn ConfigRules,
    draw: &mut dyn Draw,
) -> Decision<Vec<Result<CreatedTopic, ApiError>>> {
    // Before anything is allocated for them.
    if request.topics.iter().map(|topic| wanted_partitions(topic, defaults)).sum::<i64>() > PARTITIONS_MAX {
        let error = ApiError::new(ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.");
        return Decision { records: Vec::new(), answer: request.topics.iter().map(|_| Err(error.clone())).collect() };
    }
    let duplicates = duplicates(request.topics.iter().map(|topic| &topic.name));
    let collisions = Collisions::of(&request.topics, image);
    let mut records = Vec::new();
    let answer = request
        .topics
        .iter()
        .map(|topic| {
            if duplicates.contains(&topic.name) {
                return Err(ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."));
            }
            check_name(&topic.name, image, &collisions)?;
            create_one(topic, image, defaults, rules, draw, &mut records)
        })
        .collect();
    Decision { records, answer }.bounded(request.validate_only)
}

/// Names that occur more than once.
pub(crate) fn duplicates<'a>(names: impl Iterator<Item = &'a TopicName>) -> BTreeSet<&'a TopicName> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

fn wanted_partitions(topic: &NewTopic, defaults: Defaults) -> i64 {
    if topic.assignments.is_empty() {
        match topic.partitions {
            -1 => i64::from(defaults.partitions),
            // A topic counts even if its number is absurd: an answer for each is work, too.
            count => i64::from(count.max(1)),
        }
    } else {
        i64::try_from(topic.assignments.len()).unwrap_or(i64::MAX)
    }
}

fn check_name(name: &TopicName, image: &Image, collisions: &Collisions<'_>) -> Result<(), ApiError> {
    if name.as_str() == TopicName::CLUSTER_METADATA {
        let text = format!("Creation of internal topic {name} is prohibited.");
        return Err(ApiError::new(ErrorCode::INVALID_REQUEST, text));
    }
    if image.topic(name.as_str()).is_some() {
        return Err(ApiError::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
    }
    if let Some(fault) = TopicName::fault(name.as_str()) {
        return Err(ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, fault));
    }
    match collisions.with(name.as_str()) {
        Some(other) => Err(ApiError::new(
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
        None => Ok(()),
    }
}

/// Topics whose names differ from a wanted one only in `.` and `_`: metrics names would be the same.
struct Collisions<'a>(BTreeMap<String, &'a TopicName>);

impl<'a> Collisions<'a> {
    /// Looks at each existing topic once, however many are wanted.
    fn of(wanted: &[NewTopic], image: &'a Image) -> Collisions<'a> {
        let unified: BTreeSet<String> = wanted.iter().filter_map(|topic| unified(topic.name.as_str())).collect();
        let mut found = BTreeMap::new();
        if !unified.is_empty() {
            for name in image.topics_by_name.keys() {
                if let Some(key) = self::unified(name.as_str()).filter(|key| unified.contains(key)) {
                    found.entry(key).or_insert(name);
                }
            }
        }
        Collisions(found)
    }

    fn with(&self, name: &str) -> Option<&'a TopicName> {
        self.0.get(&unified(name)?).copied()
    }
}

/// What all names that collide with this one have in common; nothing collides with a name without `.` and `_`.
fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

fn create_one(
    topic: &NewTopic,
    image: &Image,
    defaults: Defaults,
    rules: &dyn ConfigRules,
    draw: &mut dyn Draw,
    records: &mut Vec<Record>,
) -> Result<CreatedTopic, ApiError> {
    let nulls: Vec<&str> = topic.configs.iter().filter(|(_, v)| v.is_none()).map(|(key, _)| key.as_str()).collect();
    if !nulls.is_empty() {
        let text = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::INVALID_CONFIG, text));
    }
    let set: BTreeMap<String, String> =
        topic.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    let changes: Vec<ConfigChange> = set
        .iter()
        .map(|(key, value)| ConfigChange { op: AlterOp::Set, key: key.clone(), value: Some(value.clone()) })
        .collect();
    let resource = ConfigResource::topic(&topic.name);
    let config_records =
        if changes.is_empty() { Vec::new() } else { configs::alter_one(&resource, &changes, image, rules, true)? };

    let partitions = if topic.assignments.is_empty() {
        place_automatically(topic, image, defaults, draw)?
    } else {
        place_as_told(topic, image)?
    };
    let id = draw.topic_id();
    let created = CreatedTopic {
        name: topic.name.clone(),
        id,
        partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: partitions.first().map_or(0, |p| i16::try_from(p.replicas.len()).unwrap_or(i16::MAX)),
        configs: set,
    };
    records.push(Record::Topic { name: topic.name.clone(), id });
    // Configs come after their topic and before its partitions.
    records.extend(configs::with_cleared_elr(config_records, image));
    records.extend((0..).zip(partitions).map(|(number, image)| {
        Record::Partition(PartitionRecord { topic: id, partition: PartitionId(number), image })
    }));
    Ok(created)
}

fn place_as_told(topic: &NewTopic, image: &Image) -> Result<Vec<PartitionImage>, ApiError> {
    if topic.replication_factor != -1 {
        return Err(ApiError::new(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ));
    }
    if topic.partitions != -1 {
        return Err(ApiError::new(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let fault = |text: String| ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text);
    let mut placed = BTreeMap::new();
    let mut factor = None;
    for (number, replicas) in &topic.assignments {
        if placed.contains_key(number) {
            return Err(fault(format!("Found multiple manual partition assignments for partition {}", number.0)));
        }
        check_assignment(image, replicas, factor)?;
        factor = Some(replicas.len());
        let partition = new_partition(image, replicas).ok_or_else(|| {
            fault(format!(
                "All brokers specified in the manual partition assignment for partition {} are fenced or in controlled \
                 shutdown.",
                number.0
            ))
        })?;
        placed.insert(*number, partition);
    }
    if !placed.keys().map(|number| number.0).eq((0..).take(placed.len())) {
        return Err(fault("partitions should be a consecutive 0-based integer sequence".into()));
    }
    Ok(placed.into_values().collect())
}

fn place_automatically(
    topic: &NewTopic,
    image: &Image,
    defaults: Defaults,
    draw: &mut dyn Draw,
) -> Result<Vec<PartitionImage>, ApiError> {
    let factor = match topic.replication_factor {
        -1 => defaults.replication_factor,
        factor if factor < 1 => {
            return Err(ApiError::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        factor => factor,
    };
    let count = match topic.partitions {
        -1 => defaults.partitions,
        count if count < 1 => {
            return Err(ApiError::new(
                ErrorCode::INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        count => count,
    };
    let unable = |why: &str| {
        let text = format!("Unable to replicate the partition {factor} time(s): {why}");
        ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text)
    };
    let placed = place(image, usize::try_from(count).unwrap_or(0), factor, draw)
        .map_err(|error| unable(error.message.as_deref().unwrap_or_default()))?;
    placed
        .iter()
        .map(|replicas| {
            new_partition(image, replicas)
                .ok_or_else(|| unable("All brokers are currently fenced or in controlled shutdown."))
        })
        .collect()
}

/// Decides DeleteTopics; one answer per selector, in order. Selecting a topic twice deletes it once:
/// the second is told that it does not exist.
pub(crate) fn delete(topics: &[TopicSelector], image: &Image) -> Decision<Vec<Result<DeletedTopic, ApiError>>> {
    let mut records = Vec::new();
    let mut gone = BTreeSet::new();
    let answer = topics
        .iter()
        .map(|selector| {
            let (topic, missing) = match selector {
                TopicSelector::Name(name) => (image.topic(name.as_str()), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                TopicSelector::Id(id) => (image.topic_by_id(*id), ErrorCode::UNKNOWN_TOPIC_ID),
            };
            let topic = topic.filter(|topic| gone.insert(topic.id)).ok_or_else(|| ApiError::bare(missing))?;
            records.push(Record::RemoveTopic { id: topic.id });
            Ok(DeletedTopic { name: topic.name.clone(), id: topic.id })
        })
        .collect();
    Decision { records, answer }.bounded(false)
}
