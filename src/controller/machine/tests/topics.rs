use super::*;
use crate::controller::machine::topics::{create, delete};

fn decide(image: &Image, topics: Vec<NewTopic>) -> Decision<Vec<Result<CreatedTopic, ApiError>>> {
    create(&CreateTopics { topics, validate_only: false }, image, DEFAULTS, &Rules, &mut Counting::default())
}

/// The answer to creating one topic on one broker.
fn answer(topic: NewTopic) -> Result<CreatedTopic, ApiError> {
    decide(&cluster(vec![broker(0)]), vec![topic]).answer.remove(0)
}

#[test]
fn a_topic_is_its_record_then_its_configs_then_its_partitions() {
    let image = cluster(vec![broker(0)]);
    let configs = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
    let decided = decide(&image, vec![NewTopic { configs: configs.clone(), ..new_topic("a") }]);
    let id = TopicId(Uuid::from_u128(1));
    assert_eq!(
        decided.records,
        vec![
            Record::Topic { name: TopicName::new("a"), id },
            Record::Config {
                resource: ConfigResource::topic(&TopicName::new("a")),
                key: "retention.ms".into(),
                value: Some("5".into()),
            },
            partition_record(1, 0, &[0], &[0]),
            partition_record(1, 1, &[0], &[0]),
        ]
    );
    let expected = CreatedTopic {
        name: TopicName::new("a"),
        id,
        partitions: 2,
        replication_factor: 1,
        configs: BTreeMap::from([("retention.ms".into(), "5".into())]),
    };
    assert_eq!(decided.answer, vec![Ok(expected)]);
}

#[test]
fn minus_one_takes_the_brokers_defaults_and_other_counts_are_taken_as_they_are() {
    let created = answer(NewTopic { partitions: 7, replication_factor: 1, ..new_topic("a") }).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (7, 1));
    let created = answer(new_topic("a")).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 1));
}

#[test]
fn a_dry_run_answers_the_same_and_records_nothing() {
    let image = cluster(vec![broker(0)]);
    let request = CreateTopics { topics: vec![new_topic("a")], validate_only: true };
    let decided = create(&request, &image, DEFAULTS, &Rules, &mut Counting::default());
    assert_eq!(decided.records, vec![]);
    assert_eq!(decided.answer[0].as_ref().unwrap().partitions, 2);
}

#[test]
fn an_existing_topic_is_refused_and_the_others_of_the_request_are_created() {
    let image = with_topic(&cluster(vec![broker(0)]), "a", &[&[0]]);
    let decided = decide(&image, vec![new_topic("a"), new_topic("b")]);
    assert_eq!(decided.answer[0], error(ErrorCode::TOPIC_ALREADY_EXISTS, "Topic 'a' already exists."));
    assert!(decided.answer[1].is_ok());
    assert_eq!(decided.records.len(), 3);
}

#[test]
fn a_bad_name_is_refused_with_what_is_wrong_with_it() {
    let refused = answer(new_topic("../x")).unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert!(refused.message.unwrap().contains("contains one or more characters other than ASCII alphanumerics"));
    assert_eq!(
        answer(new_topic("__cluster_metadata")),
        error(ErrorCode::INVALID_REQUEST, "Creation of internal topic __cluster_metadata is prohibited.")
    );
}

#[test]
fn names_that_differ_only_in_dot_and_underscore_collide() {
    let image = with_topic(&cluster(vec![broker(0)]), "a.b_c", &[&[0]]);
    assert_eq!(
        decide(&image, vec![new_topic("a_b.c")]).answer[0],
        error(ErrorCode::INVALID_TOPIC_EXCEPTION, "Topic 'a_b.c' collides with existing topic: a.b_c")
    );
    assert!(decide(&image, vec![new_topic("a-b-c"), new_topic("a.b_d")]).answer.iter().all(Result::is_ok));
}

#[test]
fn as_many_colliding_names_as_fit_in_a_request_are_looked_up_in_one_pass() {
    // A look at each topic for each name would take minutes.
    let mut image = cluster(vec![broker(0)]);
    for i in 0..5_000 {
        image = with_topic(&image, &format!("t.{i}"), &[&[0]]);
    }
    let names: Vec<String> = (0..4_900).map(|i| format!("t_{i}")).collect();
    let answer = decide(&image, names.iter().map(|name| new_topic(name)).collect()).answer;
    assert_eq!(
        answer[4_899],
        error(ErrorCode::INVALID_TOPIC_EXCEPTION, "Topic 't_4899' collides with existing topic: t.4899")
    );
}

#[test]
fn topics_of_no_partitions_count_towards_the_limit_of_a_request() {
    let absurd = |i| NewTopic { partitions: [0, -2, i32::MIN][(i % 3) as usize], ..new_topic(&format!("t{i}")) };
    let answer = decide(&cluster(vec![broker(0)]), (0..10_001).map(absurd).collect()).answer;
    let refused = error(ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.");
    assert!(answer.iter().all(|answer| *answer == refused));
}

#[test]
fn a_name_given_twice_is_refused_each_time() {
    let decided = decide(&cluster(vec![broker(0)]), vec![new_topic("a"), new_topic("b"), new_topic("a")]);
    let duplicate = error(ErrorCode::INVALID_REQUEST, "Duplicate topic name.");
    assert_eq!((&decided.answer[0], &decided.answer[2]), (&duplicate, &duplicate));
    assert!(decided.answer[1].is_ok());
}

#[test]
fn more_replicas_than_brokers_are_refused_with_their_number() {
    assert_eq!(
        answer(NewTopic { replication_factor: 3, ..new_topic("a") }),
        error(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        )
    );
    assert_eq!(
        answer(NewTopic { replication_factor: 0, ..new_topic("a") }),
        error(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value."
        )
    );
}

#[test]
fn with_all_brokers_fenced_nothing_can_be_placed() {
    let image = cluster(vec![BrokerImage { fenced: true, ..broker(0) }]);
    assert_eq!(
        decide(&image, vec![new_topic("a")]).answer[0],
        error(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log \
             directories cordoned."
        )
    );
}

#[test]
fn zero_or_minus_two_partitions_are_refused() {
    for partitions in [0, -2] {
        assert_eq!(
            answer(NewTopic { partitions, ..new_topic("a") }),
            error(ErrorCode::INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
        );
    }
}

#[test]
fn a_request_for_a_billion_partitions_is_refused_before_they_are_placed() {
    assert_eq!(
        answer(NewTopic { partitions: 1_000_000_000, ..new_topic("a") }),
        error(ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.")
    );
    // As in Kafka, 10 000 pass this check but with the topic's own record are too many for one batch.
    assert_eq!(
        answer(NewTopic { partitions: 10_000, ..new_topic("a") }),
        error(ErrorCode::POLICY_VIOLATION, "Unable to perform excessively large batch operation.")
    );
    assert!(answer(NewTopic { partitions: 9_999, ..new_topic("a") }).is_ok());
}

#[test]
fn a_config_is_checked_and_null_is_not_one() {
    let config = |key: &str, value: Option<&str>| {
        answer(NewTopic { configs: vec![(key.into(), value.map(Into::into))], ..new_topic("a") })
    };
    assert_eq!(config("bad", Some("1")), error(ErrorCode::INVALID_CONFIG, "bad is bad"));
    assert_eq!(
        config("retention.ms", None),
        error(ErrorCode::INVALID_CONFIG, "Null value not supported for topic configs: retention.ms")
    );
}

#[test]
fn a_new_topics_min_insync_replicas_clears_its_eligible_leaders() {
    let configs = vec![("min.insync.replicas".to_owned(), Some("2".to_owned()))];
    let decided = decide(&cluster(vec![broker(0)]), vec![NewTopic { configs, ..new_topic("a") }]);
    assert_eq!(decided.records[2], Record::ClearElr { topic: "a".into() });
    after(&cluster(vec![broker(0)]), decided.records);
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(number, ids)| (PartitionId(*number), nodes(ids))).collect();
    NewTopic { assignments, ..new_topic("a") }
}

#[test]
fn a_manual_assignment_is_followed_and_fenced_brokers_are_left_out_of_the_isr() {
    let image = cluster(vec![broker(0), BrokerImage { fenced: true, ..broker(1) }, broker(2)]);
    let decided = decide(&image, vec![assigned(&[(1, &[2, 0]), (0, &[1, 2])])]);
    assert_eq!(decided.records[1..], [partition_record(1, 0, &[1, 2], &[2]), partition_record(1, 1, &[2, 0], &[2, 0])]);
    assert_eq!(
        decide(&image, vec![assigned(&[(0, &[1])])]).answer[0],
        error(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled \
             shutdown."
        )
    );
}

#[test]
fn a_manual_assignment_excludes_counts() {
    assert_eq!(
        answer(NewTopic { replication_factor: 1, ..assigned(&[(0, &[0])]) }),
        error(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1."
        )
    );
    assert_eq!(
        answer(NewTopic { partitions: 1, ..assigned(&[(0, &[0])]) }),
        error(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1."
        )
    );
}

#[test]
fn a_faulty_manual_assignment_is_refused() {
    let refused = |assignments: &[(i32, &[i32])]| {
        let image = cluster(vec![broker(0), broker(1)]);
        let refused = decide(&image, vec![assigned(assignments)]).answer.remove(0).unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        refused.message.unwrap()
    };
    assert_eq!(refused(&[(0, &[])]), "The manual partition assignment includes an empty replica list.");
    assert_eq!(
        refused(&[(0, &[9])]),
        "The manual partition assignment includes broker 9, but no such broker is registered."
    );
    assert_eq!(refused(&[(0, &[1, 1])]), "The manual partition assignment includes the broker 1 more than once.");
    assert_eq!(refused(&[(0, &[0]), (0, &[1])]), "Found multiple manual partition assignments for partition 0");
    assert_eq!(refused(&[(0, &[0]), (2, &[1])]), "partitions should be a consecutive 0-based integer sequence");
    assert_eq!(
        refused(&[(0, &[0]), (1, &[0, 1])]),
        "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with \
         previous partitions, which have 1 replica(s)."
    );
}

#[test]
fn a_broker_with_several_directories_chooses_for_itself() {
    let image = cluster(vec![BrokerImage { directories: vec![directory(0), directory(5)], ..broker(0) }]);
    let decided = decide(&image, vec![new_topic("a")]);
    let Record::Partition(record) = &decided.records[1] else { panic!("{:?}", decided.records) };
    assert_eq!(record.image.directories[..], [DirectoryId::UNASSIGNED]);
}

#[test]
fn a_topic_is_deleted_by_name_or_by_id_and_a_missing_one_has_the_code_for_how_it_was_asked() {
    let image = with_topic(&with_topic(&cluster(vec![broker(0)]), "a", &[&[0]]), "b", &[&[0]]);
    let (a, b) = (TopicId(Uuid::from_u128(1)), TopicId(Uuid::from_u128(2)));
    let selectors = [
        TopicSelector::Name(TopicName::new("a")),
        TopicSelector::Id(b),
        TopicSelector::Name(TopicName::new("c")),
        TopicSelector::Id(TopicId(Uuid::from_u128(9))),
        TopicSelector::Name(TopicName::new("b")),
    ];
    let decided = delete(&selectors, &image);
    assert_eq!(decided.records, vec![Record::RemoveTopic { id: a }, Record::RemoveTopic { id: b }]);
    assert_eq!(
        decided.answer,
        vec![
            Ok(DeletedTopic { name: TopicName::new("a"), id: a }),
            Ok(DeletedTopic { name: TopicName::new("b"), id: b }),
            Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
            Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_ID)),
            Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        ]
    );
    assert!(after(&image, decided.records).topics_by_name.is_empty());
}
