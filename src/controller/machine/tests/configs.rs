use super::*;
use crate::controller::machine::configs::{alter, replace};

fn topic() -> ConfigResource {
    ConfigResource::new(ResourceType::Topic, "a")
}

/// A cluster with topic `a` and these configs of it.
fn image(configs: &[(&str, &str)]) -> Image {
    let image = with_topic(&cluster(vec![broker(0)]), "a", &[&[0]]);
    after(&image, configs.iter().map(|(key, value)| record(topic(), key, Some(value))).collect())
}

fn record(resource: ConfigResource, key: &str, value: Option<&str>) -> Record {
    Record::Config { resource, key: key.into(), value: value.map(Into::into) }
}

fn change(op: AlterOp, key: &str, value: Option<&str>) -> ConfigChange {
    ConfigChange { op, key: key.into(), value: value.map(Into::into) }
}

fn decide(image: &Image, resource: ConfigResource, changes: Vec<ConfigChange>) -> (Vec<Record>, Result<(), ApiError>) {
    let Decision { records, mut answer } = alter(&[(resource, changes)], false, image, &Rules);
    (records, answer.remove(0))
}

#[test]
fn set_writes_what_differs_and_delete_of_an_absent_key_is_nothing() {
    let image = image(&[("x", "1")]);
    let changes = vec![
        change(AlterOp::Set, "x", Some("1")),
        change(AlterOp::Set, "y", Some("2")),
        change(AlterOp::Delete, "z", None),
    ];
    assert_eq!(decide(&image, topic(), changes), (vec![record(topic(), "y", Some("2"))], Ok(())));
    let gone = vec![change(AlterOp::Delete, "x", None)];
    assert_eq!(decide(&image, topic(), gone), (vec![record(topic(), "x", None)], Ok(())));
}

#[test]
fn append_and_subtract_edit_a_list_starting_from_its_default() {
    let edited = |configs: &[(&str, &str)], op, value: &str| {
        let (records, answer) = decide(&image(configs), topic(), vec![change(op, "cleanup.policy", Some(value))]);
        assert_eq!(answer, Ok(()));
        match records.into_iter().next() {
            Some(Record::Config { value, .. }) => value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(edited(&[], AlterOp::Append, "compact"), Some("delete,compact".into()));
    assert_eq!(
        edited(&[("cleanup.policy", "compact")], AlterOp::Append, "delete,compact"),
        Some("compact,delete".into())
    );
    assert_eq!(edited(&[("cleanup.policy", "compact,delete")], AlterOp::Subtract, "compact"), Some("delete".into()));
    assert_eq!(edited(&[("cleanup.policy", "delete")], AlterOp::Subtract, "delete"), Some(String::new()));
}

#[test]
fn a_list_as_long_as_a_request_is_edited_in_one_pass() {
    // A comparison of each item with each would take minutes.
    let many = |from: usize| (from..from + 300_000).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    for op in [AlterOp::Append, AlterOp::Subtract] {
        let old = many(0);
        let (_, answer) = decide(
            &image(&[("cleanup.policy", &old)]),
            topic(),
            vec![change(op, "cleanup.policy", Some(&many(150_000)))],
        );
        let why = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
        assert_eq!(answer, error(ErrorCode::INVALID_CONFIG, why));
    }
    let one = image(&[("cleanup.policy", "a,b,a,c,a")]);
    let cut = |value| decide(&one, topic(), vec![change(AlterOp::Subtract, "cleanup.policy", Some(value))]).0;
    assert_eq!(cut("a,c"), vec![record(topic(), "cleanup.policy", Some("b,a,a"))]);
    assert_eq!(cut("a,a,x"), vec![record(topic(), "cleanup.policy", Some("b,c,a"))]);
}

#[test]
fn append_to_what_is_not_a_list_is_refused() {
    let (records, answer) = decide(&image(&[]), topic(), vec![change(AlterOp::Append, "x", Some("1"))]);
    assert_eq!(records, vec![]);
    assert_eq!(answer, error(ErrorCode::INVALID_CONFIG, "Can't APPEND to key x because its type is not LIST."));
    let (_, answer) = decide(&image(&[]), topic(), vec![change(AlterOp::Subtract, "x", Some("1"))]);
    assert_eq!(answer, error(ErrorCode::INVALID_CONFIG, "Can't SUBTRACT to key x because its type is not LIST."));
}

#[test]
fn one_bad_key_leaves_the_whole_resource_as_it_was() {
    let changes = vec![change(AlterOp::Set, "x", Some("1")), change(AlterOp::Set, "bad", Some("1"))];
    assert_eq!(decide(&image(&[]), topic(), changes), (vec![], error(ErrorCode::INVALID_CONFIG, "bad is bad")));
}

#[test]
fn a_dry_run_checks_and_records_nothing() {
    let changes = [(topic(), vec![change(AlterOp::Set, "x", Some("1"))])];
    let decided = alter(&changes, true, &image(&[]), &Rules);
    assert_eq!(decided, Decision { records: vec![], answer: vec![Ok(())] });
}

#[test]
fn what_does_not_exist_cannot_be_configured() {
    let set = || vec![change(AlterOp::Set, "x", Some("1"))];
    let image = image(&[]);
    assert_eq!(
        decide(&image, ConfigResource::new(ResourceType::Topic, "nix"), set()).1,
        error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "The topic 'nix' does not exist.")
    );
    assert_eq!(
        decide(&image, ConfigResource::broker(NodeId(9)), set()).1,
        error(ErrorCode::BROKER_ID_NOT_REGISTERED, "No node with id 9 found.")
    );
    for resource in [
        ConfigResource::cluster_default(),
        ConfigResource::broker(NodeId(0)),
        ConfigResource::new(ResourceType::Group, "g"),
        ConfigResource::new(ResourceType::ClientMetrics, "m"),
    ] {
        assert_eq!(decide(&image, resource.clone(), set()), (vec![record(resource, "x", Some("1"))], Ok(())));
    }
}

#[test]
fn a_brokers_config_is_recorded_even_when_it_does_not_change_so_that_it_reloads() {
    let resource = ConfigResource::broker(NodeId(0));
    let image = after(&image(&[]), vec![record(resource.clone(), "x", Some("1"))]);
    let (records, _) = decide(&image, resource.clone(), vec![change(AlterOp::Set, "x", Some("1"))]);
    assert_eq!(records, vec![record(resource, "x", Some("1"))]);
}

#[test]
fn a_value_of_more_than_32767_characters_is_refused() {
    let long = "v".repeat(32_768);
    assert_eq!(
        decide(&image(&[]), topic(), vec![change(AlterOp::Set, "x", Some(&long))]).1,
        error(
            ErrorCode::INVALID_CONFIG,
            "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes."
        )
    );
}

#[test]
fn null_is_no_value() {
    let changes = vec![change(AlterOp::Set, "x", None), change(AlterOp::Append, "y", None)];
    assert_eq!(
        decide(&image(&[]), topic(), changes).1,
        error(ErrorCode::INVALID_REQUEST, "Null value not supported for : x, y")
    );
}

#[test]
fn with_eligible_leaders_min_insync_replicas_belongs_to_the_cluster() {
    let image = image(&[]);
    let key = "min.insync.replicas";
    assert_eq!(
        decide(&image, ConfigResource::broker(NodeId(0)), vec![change(AlterOp::Set, key, Some("2"))]).1,
        error(ErrorCode::INVALID_CONFIG, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
    );
    assert_eq!(
        decide(&image, ConfigResource::cluster_default(), vec![change(AlterOp::Delete, key, None)]).1,
        error(ErrorCode::INVALID_CONFIG, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")
    );
    let (records, _) = decide(&image, topic(), vec![change(AlterOp::Set, key, Some("2"))]);
    assert_eq!(records, vec![record(topic(), key, Some("2")), Record::ClearElr { topic: "a".into() }]);
    let cluster = ConfigResource::cluster_default();
    let (records, _) = decide(&image, cluster.clone(), vec![change(AlterOp::Set, key, Some("2"))]);
    assert_eq!(records, vec![record(cluster, key, Some("2")), Record::ClearElr { topic: String::new() }]);
}

#[test]
fn the_legacy_request_replaces_the_whole_set() {
    let image = image(&[("x", "1"), ("y", "2")]);
    let sets = [(topic(), vec![("y".to_owned(), Some("2".to_owned())), ("z".to_owned(), Some("3".to_owned()))])];
    let decided = replace(&sets, false, &image, &Rules);
    assert_eq!(decided.answer, vec![Ok(())]);
    assert_eq!(decided.records, vec![record(topic(), "z", Some("3")), record(topic(), "x", None)]);
    let image = after(&image, decided.records);
    let left: Vec<_> = image.config(&topic()).iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(left, vec![("y", "2"), ("z", "3")]);
}
