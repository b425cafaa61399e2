//! Finalized feature levels (KIP-584): what is supported, what a new cluster has, UpdateFeatures.

use super::{Decision, configs};
use crate::controller::request::{ApiError, FeatureUpdate, UpgradeType};
use crate::metadata::{Image, Record};
use crate::model::{ErrorCode, NodeId};

pub(crate) const METADATA_VERSION: &str = "metadata.version";
const KRAFT_VERSION: &str = "kraft.version";
const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";

/// A feature, the levels this program supports, and the level of a new cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
    pub default: i16,
}

/// The features of Kafka 4.3. `kraft.version` has no record: it belongs to the quorum.
pub const FEATURES: [Feature; 7] = [
    Feature { name: ELIGIBLE_LEADER_REPLICAS_VERSION, min: 0, max: 1, default: 1 },
    Feature { name: "group.version", min: 0, max: 1, default: 1 },
    Feature { name: KRAFT_VERSION, min: 0, max: 1, default: 0 },
    Feature { name: METADATA_VERSION, min: 7, max: 30, default: 30 },
    Feature { name: "share.version", min: 0, max: 1, default: 1 },
    Feature { name: "streams.version", min: 0, max: 1, default: 1 },
    Feature { name: "transaction.version", min: 0, max: 2, default: 2 },
];

/// Levels of `metadata.version` that brought new kinds or versions of records: a downgrade across
/// one of them would lose something.
const METADATA_CHANGED: [i16; 9] = [7, 8, 11, 13, 14, 15, 17, 23, 30];
/// Eligible leader replicas need this level of `metadata.version` (4.0-IV1).
const ELR_METADATA_VERSION: i16 = 23;

pub(crate) fn elr_enabled(image: &Image) -> bool {
    image.feature(ELIGIBLE_LEADER_REPLICAS_VERSION) >= 1
}

/// Decides UpdateFeatures: all of the updates, or the error of the first that fails.
pub(crate) fn update(
    updates: &[FeatureUpdate],
    validate_only: bool,
    image: &Image,
    node: NodeId,
    static_min_insync_replicas: i32,
) -> Decision<Result<(), ApiError>> {
    let mut records = Vec::new();
    for update in updates {
        match update_one(update, updates, image, node) {
            Ok(record) => records.extend(record),
            Err(ApiError { code, message }) => {
                let text = format!(
                    "The update failed for all features since the following feature had an error: {}",
                    message.unwrap_or_default()
                );
                return Decision { records: Vec::new(), answer: Err(ApiError::new(code, text)) };
            }
        }
    }
    if validate_only {
        records.clear();
    } else if updates.iter().any(|u| u.name == ELIGIBLE_LEADER_REPLICAS_VERSION && u.level > 0) {
        let mut all = configs::elr_safety_records(image, static_min_insync_replicas);
        all.append(&mut records);
        records = all;
    }
    Decision { records, answer: Ok(()) }
}

fn update_one(
    update: &FeatureUpdate,
    all: &[FeatureUpdate],
    image: &Image,
    node: NodeId,
) -> Result<Option<Record>, ApiError> {
    let FeatureUpdate { name, level, upgrade } = update;
    let fault = |text: String| {
        let text = format!("Invalid update version {level} for feature {name}. {text}");
        Err(ApiError::new(ErrorCode::INVALID_UPDATE_VERSION, text))
    };
    if *upgrade == UpgradeType::Unknown {
        return fault("The controller does not support the given upgrade type.".into());
    }
    if *level < 0 {
        return fault("A feature version cannot be less than 0.".into());
    }
    if let Some(reason) = not_supported(name, *level, image, node) {
        return fault(reason);
    }
    let current = image.feature(name);
    if *level < current && *upgrade == UpgradeType::Upgrade {
        return fault(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .into(),
        );
    }
    if *level > current && *upgrade != UpgradeType::Upgrade {
        return fault("Can't downgrade to a newer version.".into());
    }
    match name.as_str() {
        METADATA_VERSION => check_metadata_version(current, *level, *upgrade)?,
        KRAFT_VERSION if *level == current => return Ok(None),
        KRAFT_VERSION => {
            return fault(
                "The voters of this cluster's quorum are static and cannot be changed to dynamic ones.".into(),
            );
        }
        ELIGIBLE_LEADER_REPLICAS_VERSION if *level >= 1 => {
            let proposed = all.iter().rev().find(|u| u.name == METADATA_VERSION).map(|u| u.level);
            if proposed.unwrap_or_else(|| image.feature(METADATA_VERSION)) < ELR_METADATA_VERSION {
                return fault(format!(
                    "{name} could not be set to {level} because it depends on metadata.version level \
                     {ELR_METADATA_VERSION}"
                ));
            }
        }
        _ => {}
    }
    Ok(Some(Record::Feature { name: name.clone(), level: *level }))
}

fn not_supported(name: &str, level: i16, image: &Image, node: NodeId) -> Option<String> {
    let (min, max) = FEATURES.iter().find(|f| f.name == name).map_or((0, 0), |f| (f.min, f.max));
    let ours = outside(level, &format!("Local controller {}", node.0), min, max);
    ours.or_else(|| {
        image.brokers.values().find_map(|broker| {
            let (min, max) = broker.features.get(name).copied().unwrap_or((0, 0));
            outside(level, &format!("Broker {}", broker.id.0), min, max)
        })
    })
}

fn outside(level: i16, who: &str, min: i16, max: i16) -> Option<String> {
    if (min..=max).contains(&level) {
        None
    } else if max == 0 {
        Some(format!("{who} does not support this feature."))
    } else if min == max {
        Some(format!("{who} only supports versions {min}"))
    } else {
        Some(format!("{who} only supports versions {min}-{max}"))
    }
}

fn check_metadata_version(current: i16, new: i16, upgrade: UpgradeType) -> Result<(), ApiError> {
    if new >= current || !METADATA_CHANGED.iter().any(|level| (new + 1..=current).contains(level)) {
        return Ok(());
    }
    let why = if upgrade == UpgradeType::UnsafeDowngrade {
        "Unsafe metadata downgrade is not supported in this version."
    } else {
        "Refusing to perform the requested downgrade because it might delete metadata information."
    };
    let text = format!("Unsupported metadata.version downgrade from {current} to {new}. {why}");
    Err(ApiError::new(ErrorCode::INVALID_UPDATE_VERSION, text))
}

/// The records with which a new cluster begins: what the directory was formatted with, or the levels
/// of Kafka 4.3.
pub(crate) fn bootstrap(formatted: Option<Vec<Record>>, min_insync_replicas: i32) -> Vec<Record> {
    let level = |f: &Feature| Record::Feature { name: f.name.into(), level: f.default };
    let mut records = formatted.unwrap_or_else(|| {
        let first = FEATURES.iter().filter(|f| f.name == METADATA_VERSION);
        let others = FEATURES.iter().filter(|f| f.name != METADATA_VERSION && f.name != KRAFT_VERSION);
        first.chain(others.filter(|f| f.default > 0)).map(level).collect()
    });
    let elr = |record: &Record| matches!(record, Record::Feature { name, level: 1.. } if name == ELIGIBLE_LEADER_REPLICAS_VERSION);
    if records.iter().any(elr) {
        records.extend(configs::elr_safety_records(&Image::default(), min_insync_replicas));
    }
    records
}
