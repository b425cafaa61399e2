use super::*;
use crate::controller::machine::features::{bootstrap, update};
use crate::controller::machine::producer_ids::allocate;
use crate::model::ProducerId;

fn set(name: &str, level: i16, upgrade: UpgradeType) -> FeatureUpdate {
    FeatureUpdate { name: name.into(), level, upgrade }
}

fn decide(image: &Image, updates: &[FeatureUpdate]) -> Decision<Result<(), ApiError>> {
    update(updates, false, image, NodeId(0), 1)
}

fn refused(updates: &[FeatureUpdate]) -> String {
    let decided = decide(&cluster(vec![broker(0)]), updates);
    assert_eq!(decided.records, vec![]);
    let error = decided.answer.unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_UPDATE_VERSION);
    let all = error.message.unwrap();
    all.strip_prefix("The update failed for all features since the following feature had an error: ").unwrap().into()
}

fn feature(name: &str, level: i16) -> Record {
    Record::Feature { name: name.into(), level }
}

#[test]
fn a_new_cluster_has_the_levels_of_kafka_4_3_and_a_min_insync_replicas_of_its_own() {
    let records = bootstrap(None, 1);
    assert_eq!(
        records,
        vec![
            feature("metadata.version", 30),
            feature("eligible.leader.replicas.version", 1),
            feature("group.version", 1),
            feature("share.version", 1),
            feature("streams.version", 1),
            feature("transaction.version", 2),
            Record::Config {
                resource: ConfigResource::cluster_default(),
                key: "min.insync.replicas".into(),
                value: Some("1".into()),
            },
        ]
    );
}

#[test]
fn a_formatted_directory_begins_with_what_it_was_formatted_with() {
    let given = vec![feature("metadata.version", 25), feature("group.version", 1)];
    assert_eq!(bootstrap(Some(given.clone()), 1), given);
    let elr = feature("eligible.leader.replicas.version", 1);
    assert_eq!(bootstrap(Some(vec![elr]), 2).len(), 2);
}

#[test]
fn a_level_goes_down_only_when_a_downgrade_is_asked_for() {
    let image = cluster(vec![broker(0)]);
    let down = [set("transaction.version", 1, UpgradeType::SafeDowngrade)];
    assert_eq!(decide(&image, &down), Decision { records: vec![feature("transaction.version", 1)], answer: Ok(()) });
    assert_eq!(
        refused(&[set("transaction.version", 1, UpgradeType::Upgrade)]),
        "Invalid update version 1 for feature transaction.version. Can't downgrade the version of this feature without \
         setting the upgrade type to either safe or unsafe downgrade."
    );
}

#[test]
fn a_downgrade_does_not_go_up() {
    let image = after(&cluster(vec![broker(0)]), vec![feature("group.version", 0)]);
    let decided = decide(&image, &[set("group.version", 1, UpgradeType::SafeDowngrade)]);
    assert!(decided.answer.unwrap_err().message.unwrap().ends_with("Can't downgrade to a newer version."));
    let decided = decide(&image, &[set("group.version", 1, UpgradeType::Upgrade)]);
    assert_eq!(decided.records, vec![feature("group.version", 1)]);
}

#[test]
fn levels_beyond_the_supported_and_unknown_features_are_refused() {
    assert_eq!(
        refused(&[set("group.version", 2, UpgradeType::Upgrade)]),
        "Invalid update version 2 for feature group.version. Local controller 0 only supports versions 0-1"
    );
    assert_eq!(
        refused(&[set("metadata.version", 3, UpgradeType::SafeDowngrade)]),
        "Invalid update version 3 for feature metadata.version. Local controller 0 only supports versions 7-30"
    );
    assert_eq!(
        refused(&[set("nix", 1, UpgradeType::Upgrade)]),
        "Invalid update version 1 for feature nix. Local controller 0 does not support this feature."
    );
    assert_eq!(
        refused(&[set("group.version", -1, UpgradeType::Upgrade)]),
        "Invalid update version -1 for feature group.version. A feature version cannot be less than 0."
    );
    assert_eq!(
        refused(&[set("group.version", 0, UpgradeType::Unknown)]),
        "Invalid update version 0 for feature group.version. The controller does not support the given upgrade type."
    );
}

#[test]
fn a_broker_that_does_not_support_the_level_stands_in_the_way() {
    let old = BrokerImage { features: BTreeMap::from([("group.version".into(), (0, 0))]), ..broker(4) };
    let image = cluster(vec![broker(0), old]);
    let decided = decide(&image, &[set("group.version", 1, UpgradeType::Upgrade)]);
    assert!(decided.answer.unwrap_err().message.unwrap().ends_with("Broker 4 does not support this feature."));
}

#[test]
fn the_metadata_version_goes_down_only_where_no_record_changed() {
    assert_eq!(
        refused(&[set("metadata.version", 29, UpgradeType::SafeDowngrade)]),
        "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested downgrade because it \
         might delete metadata information."
    );
    assert_eq!(
        refused(&[set("metadata.version", 29, UpgradeType::UnsafeDowngrade)]),
        "Unsupported metadata.version downgrade from 30 to 29. Unsafe metadata downgrade is not supported in this version."
    );
    let image = after(&cluster(vec![broker(0)]), vec![feature("metadata.version", 29)]);
    let decided = decide(&image, &[set("metadata.version", 24, UpgradeType::SafeDowngrade)]);
    assert_eq!(decided.records, vec![feature("metadata.version", 24)]);
}

#[test]
fn one_failure_fails_all_updates_and_a_dry_run_records_nothing() {
    let image = cluster(vec![broker(0)]);
    let updates = [set("share.version", 0, UpgradeType::SafeDowngrade), set("group.version", 9, UpgradeType::Upgrade)];
    assert_eq!(decide(&image, &updates).records, vec![]);
    assert_eq!(update(&updates[..1], true, &image, NodeId(0), 1), Decision { records: vec![], answer: Ok(()) });
}

#[test]
fn turning_on_eligible_leaders_removes_min_insync_replicas_of_single_brokers() {
    let config = |resource, value: Option<&str>| Record::Config {
        resource,
        key: "min.insync.replicas".into(),
        value: value.map(Into::into),
    };
    let elr = "eligible.leader.replicas.version";
    let (all, one) = (ConfigResource::cluster_default(), ConfigResource::broker(NodeId(0)));
    let off = after(
        &cluster(vec![broker(0)]),
        vec![feature(elr, 0), config(all.clone(), None), config(one.clone(), Some("2"))],
    );
    let decided = update(&[set(elr, 1, UpgradeType::Upgrade)], false, &off, NodeId(0), 3);
    assert_eq!(decided.records, vec![config(all, Some("3")), config(one, None), feature(elr, 1)]);
}

#[test]
fn the_quorums_own_feature_stays_where_it_is() {
    let image = cluster(vec![broker(0)]);
    assert_eq!(
        decide(&image, &[set("kraft.version", 0, UpgradeType::Upgrade)]),
        Decision { records: vec![], answer: Ok(()) }
    );
    assert!(refused(&[set("kraft.version", 1, UpgradeType::Upgrade)]).contains("kraft.version"));
}

#[test]
fn producer_ids_come_in_blocks_of_a_thousand_to_the_registered_broker() {
    let image = cluster(vec![broker(0)]);
    let decided = allocate(NodeId(0), 100, &image);
    assert_eq!(decided.answer, Ok(ProducerIdBlock { first: ProducerId(0), count: 1000 }));
    let next = Record::ProducerIds { broker: NodeId(0), broker_epoch: 100, next: ProducerId(1000) };
    assert_eq!(decided.records, vec![next]);
    let second = allocate(NodeId(0), 100, &after(&image, decided.records));
    assert_eq!(second.answer, Ok(ProducerIdBlock { first: ProducerId(1000), count: 1000 }));

    assert_eq!(
        allocate(NodeId(0), 99, &image).answer,
        error(ErrorCode::STALE_BROKER_EPOCH, "Expected broker epoch 100, but got broker epoch 99")
    );
    assert_eq!(
        allocate(NodeId(3), 1, &image).answer,
        error(ErrorCode::STALE_BROKER_EPOCH, "No broker registration found for broker id 3")
    );
}

#[test]
fn the_last_producer_id_is_never_passed() {
    let last = Record::ProducerIds { broker: NodeId(0), broker_epoch: 100, next: ProducerId(i64::MAX - 999) };
    let image = after(&cluster(vec![broker(0)]), vec![last]);
    assert_eq!(allocate(NodeId(0), 100, &image).answer.unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
}
