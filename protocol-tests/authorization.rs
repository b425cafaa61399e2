//! The table walk: every API that is served, asked with nothing allowed, with all it needs but one permission, and with all of
//! it. A missing permission gives the code of its kind, and with all of them no such code is left.
//!
//! Nobody logs in here, so every client is User:ANONYMOUS: entries tell clients apart by the loopback address they come from.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "support/broker.rs"]
mod support;

use bytes::Bytes;
use common::client::{Client, text, topic_name};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;
use klamm::model::{CLUSTER_NAME, Coded as _, Operation, ResourceKind};
use klamm::wire::share_state::Unchanged;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};
use support::Broker;

const ADMIN: [u8; 4] = [127, 0, 0, 2];
const WALKER: [u8; 4] = [127, 0, 0, 3];
/// TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, DELEGATION_TOKEN: what only an authorizer answers.
const REFUSALS: [i16; 5] = [29, 30, 31, 53, 65];

type Ask = Box<dyn Fn(&mut Client) -> String>;

/// A request, and each permission that it needs with the code that its absence gives.
struct Row {
    key: i16,
    ask: Ask,
    needs: Vec<(&'static str, i16)>,
}

fn row<R: Request + 'static>(version: i16, request: R, needs: &[(&'static str, i16)]) -> Row
where
    R::Response: Debug,
{
    let ask = move |client: &mut Client| format!("{:?}", client.call(version, &request));
    Row { key: R::KEY, ask: Box::new(ask), needs: needs.to_vec() }
}

/// Every error code that an answer carries.
fn codes(answer: &str) -> BTreeSet<i16> {
    let after = answer.split("error_code: ").skip(1);
    after.filter_map(|rest| rest.split([',', ' ', '}']).next()?.parse().ok()).collect()
}

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn txn(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// `OPERATION KIND name`, from the host.
fn creation(host: &str, permission: &str) -> create_acls_request::AclCreation {
    let parts: Vec<&str> = permission.splitn(3, ' ').collect();
    let operation = Operation::ALL.iter().find(|known| known.name() == parts[0]).unwrap();
    let kind = ResourceKind::ALL.iter().find(|known| known.name() == parts[1]).unwrap();
    create_acls_request::AclCreation::default()
        .with_resource_type(kind.code())
        .with_resource_name(text(parts[2]))
        .with_resource_pattern_type(3)
        .with_principal(text("User:ANONYMOUS"))
        .with_host(text(host))
        .with_operation(operation.code())
        .with_permission_type(3)
}

fn create(admin: &mut Client, entries: Vec<create_acls_request::AclCreation>) {
    let answer = admin.call(3, &CreateAclsRequest::default().with_creations(entries));
    assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
}

/// Gives the walker these permissions and no others.
fn allow(admin: &mut Client, permissions: &[&str]) {
    let all = delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(Some(text("127.0.0.3")))
        .with_operation(1)
        .with_permission_type(1);
    admin.call(3, &DeleteAclsRequest::default().with_filters(vec![all]));
    create(admin, permissions.iter().map(|permission| creation("127.0.0.3", permission)).collect());
}

fn of_topics() -> Vec<Row> {
    let name = || topic_name("seen");
    vec![
        row(
            9,
            ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![
                produce_request::TopicProduceData::default()
                    .with_name(name())
                    .with_partition_data(vec![produce_request::PartitionProduceData::default()]),
            ]),
            &[("WRITE TOPIC seen", 29)],
        ),
        row(
            12,
            FetchRequest::default().with_session_epoch(-1).with_topics(vec![
                fetch_request::FetchTopic::default()
                    .with_topic(name())
                    .with_partitions(vec![fetch_request::FetchPartition::default()]),
            ]),
            &[("READ TOPIC seen", 29)],
        ),
        row(
            7,
            ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
                list_offsets_request::ListOffsetsTopic::default()
                    .with_name(name())
                    .with_partitions(vec![list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1)]),
            ]),
            &[("DESCRIBE TOPIC seen", 29)],
        ),
        row(
            9,
            MetadataRequest::default()
                .with_topics(Some(vec![metadata_request::MetadataRequestTopic::default().with_name(Some(name()))])),
            &[("DESCRIBE TOPIC seen", 29)],
        ),
        row(
            7,
            CreateTopicsRequest::default().with_validate_only(true).with_timeout_ms(1000).with_topics(vec![
                create_topics_request::CreatableTopic::default()
                    .with_name(topic_name("fresh"))
                    .with_num_partitions(1)
                    .with_replication_factor(1),
            ]),
            &[("CREATE TOPIC fresh", 29), ("DESCRIBE_CONFIGS TOPIC fresh", 29)],
        ),
        row(
            5,
            DeleteTopicsRequest::default().with_timeout_ms(1000).with_topic_names(vec![topic_name("gone")]),
            &[("DELETE TOPIC gone", 29)],
        ),
        row(
            2,
            CreatePartitionsRequest::default().with_validate_only(true).with_timeout_ms(1000).with_topics(vec![
                create_partitions_request::CreatePartitionsTopic::default()
                    .with_name(name())
                    .with_count(2)
                    .with_assignments(None),
            ]),
            &[("ALTER TOPIC seen", 29)],
        ),
        row(
            2,
            DeleteRecordsRequest::default().with_timeout_ms(1000).with_topics(vec![
                delete_records_request::DeleteRecordsTopic::default()
                    .with_name(name())
                    .with_partitions(vec![delete_records_request::DeleteRecordsPartition::default()]),
            ]),
            &[("DELETE TOPIC seen", 29)],
        ),
        row(
            4,
            OffsetForLeaderEpochRequest::default().with_topics(vec![
                offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                    .with_topic(name())
                    .with_partitions(vec![offset_for_leader_epoch_request::OffsetForLeaderPartition::default()]),
            ]),
            &[("DESCRIBE TOPIC seen", 29)],
        ),
        row(
            0,
            DescribeProducersRequest::default().with_topics(vec![
                describe_producers_request::TopicRequest::default().with_name(name()).with_partition_indexes(vec![0]),
            ]),
            &[("READ TOPIC seen", 29)],
        ),
        row(
            0,
            DescribeTopicPartitionsRequest::default()
                .with_response_partition_limit(100)
                .with_topics(vec![describe_topic_partitions_request::TopicRequest::default().with_name(name())]),
            &[("DESCRIBE TOPIC seen", 29)],
        ),
        describe_configs(),
        row(
            2,
            AlterConfigsRequest::default().with_validate_only(true).with_resources(vec![
                alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text("seen")),
            ]),
            &[("ALTER_CONFIGS TOPIC seen", 29)],
        ),
        row(
            1,
            IncrementalAlterConfigsRequest::default().with_validate_only(true).with_resources(vec![
                incremental_alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text("seen")),
            ]),
            &[("ALTER_CONFIGS TOPIC seen", 29)],
        ),
    ]
}

fn describe_configs() -> Row {
    let resource = |kind, name| {
        describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
    };
    row(
        4,
        DescribeConfigsRequest::default().with_resources(vec![resource(2, "seen"), resource(4, ""), resource(32, "g")]),
        &[
            ("DESCRIBE_CONFIGS TOPIC seen", 29),
            ("DESCRIBE_CONFIGS GROUP g", 30),
            ("DESCRIBE_CONFIGS CLUSTER kafka-cluster", 31),
        ],
    )
}

fn of_groups() -> Vec<Row> {
    let read = [("READ GROUP g", 30)];
    let commit = || {
        offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic_name("seen"))
            .with_partitions(vec![offset_commit_request::OffsetCommitRequestPartition::default()])
    };
    vec![
        row(
            8,
            OffsetCommitRequest::default()
                .with_group_id(group("g"))
                .with_generation_id_or_member_epoch(-1)
                .with_topics(vec![commit()]),
            &[("READ GROUP g", 30), ("READ TOPIC seen", 29)],
        ),
        row(
            7,
            OffsetFetchRequest::default().with_group_id(group("g")).with_topics(Some(vec![
                offset_fetch_request::OffsetFetchRequestTopic::default()
                    .with_name(topic_name("seen"))
                    .with_partition_indexes(vec![0]),
            ])),
            &[("DESCRIBE GROUP g", 30), ("DESCRIBE TOPIC seen", 29)],
        ),
        row(3, FindCoordinatorRequest::default().with_key(text("g")), &[("DESCRIBE GROUP g", 30)]),
        row(5, JoinGroupRequest::default().with_group_id(group("g")).with_session_timeout_ms(10_000), &read),
        row(3, HeartbeatRequest::default().with_group_id(group("g")), &read),
        row(2, LeaveGroupRequest::default().with_group_id(group("g")), &read),
        row(3, SyncGroupRequest::default().with_group_id(group("g")), &read),
        row(5, DescribeGroupsRequest::default().with_groups(vec![group("g")]), &[("DESCRIBE GROUP g", 30)]),
        row(2, DeleteGroupsRequest::default().with_groups_names(vec![group("other")]), &[("DELETE GROUP other", 30)]),
        row(
            0,
            OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![
                offset_delete_request::OffsetDeleteRequestTopic::default()
                    .with_name(topic_name("seen"))
                    .with_partitions(vec![offset_delete_request::OffsetDeleteRequestPartition::default()]),
            ]),
            &[("DELETE GROUP g", 30), ("READ TOPIC seen", 29)],
        ),
        row(
            0,
            ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group("g"))
                .with_member_epoch(7)
                .with_subscribed_topic_names(Some(vec![topic_name("seen")])),
            &[("READ GROUP g", 30), ("DESCRIBE TOPIC seen", 29)],
        ),
        row(0, ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g")]), &[("DESCRIBE GROUP g", 30)]),
        row(
            1,
            ShareGroupHeartbeatRequest::default()
                .with_group_id(group("g"))
                .with_member_id(text("m"))
                .with_member_epoch(7)
                .with_subscribed_topic_names(Some(vec![topic_name("seen")])),
            &[("READ GROUP g", 30), ("DESCRIBE TOPIC seen", 29)],
        ),
        row(1, ShareGroupDescribeRequest::default().with_group_ids(vec![group("g")]), &[("DESCRIBE GROUP g", 30)]),
        row(
            0,
            Unchanged(DescribeShareGroupOffsetsRequest::default().with_groups(vec![
                describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default()
                    .with_group_id(group("g"))
                    .with_topics(Some(vec![
                        describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic::default()
                            .with_topic_name(topic_name("seen"))
                            .with_partitions(vec![0]),
                    ])),
            ])),
            &[("DESCRIBE GROUP g", 30), ("DESCRIBE TOPIC seen", 29)],
        ),
        row(
            0,
            AlterShareGroupOffsetsRequest::default().with_group_id(group("s")).with_topics(vec![
                alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(topic_name("seen"))
                    .with_partitions(vec![Default::default()]),
            ]),
            &[("READ GROUP s", 30), ("READ TOPIC seen", 29)],
        ),
        row(
            0,
            DeleteShareGroupOffsetsRequest::default().with_group_id(group("s")).with_topics(vec![
                delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(topic_name("seen")),
            ]),
            &[("DELETE GROUP s", 30), ("READ TOPIC seen", 29)],
        ),
        row(
            1,
            ShareFetchRequest::default().with_group_id(Some(group("g"))).with_member_id(Some(text("m"))),
            &[("READ GROUP g", 30)],
        ),
        row(
            1,
            ShareAcknowledgeRequest::default()
                .with_group_id(Some(group("g")))
                .with_member_id(Some(text("m")))
                .with_share_session_epoch(1),
            &[("READ GROUP g", 30)],
        ),
    ]
}

fn of_transactions() -> Vec<Row> {
    let write = ("WRITE TRANSACTIONAL_ID x", 53);
    vec![
        row(
            4,
            InitProducerIdRequest::default().with_transactional_id(Some(txn("x"))).with_transaction_timeout_ms(1000),
            &[write],
        ),
        row(
            3,
            AddPartitionsToTxnRequest::default().with_v3_and_below_transactional_id(txn("x")).with_v3_and_below_topics(
                vec![
                    add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                        .with_name(topic_name("seen"))
                        .with_partitions(vec![0]),
                ],
            ),
            &[write, ("WRITE TOPIC seen", 29)],
        ),
        row(
            3,
            AddOffsetsToTxnRequest::default().with_transactional_id(txn("x")).with_group_id(group("g")),
            &[write, ("READ GROUP g", 30)],
        ),
        row(3, EndTxnRequest::default().with_transactional_id(txn("x")), &[write]),
        row(
            3,
            TxnOffsetCommitRequest::default().with_transactional_id(txn("x")).with_group_id(group("g")).with_topics(
                vec![
                    txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                        .with_name(topic_name("seen"))
                        .with_partitions(vec![txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()]),
                ],
            ),
            &[write, ("READ GROUP g", 30), ("READ TOPIC seen", 29)],
        ),
        row(
            0,
            DescribeTransactionsRequest::default().with_transactional_ids(vec![txn("x")]),
            &[("DESCRIBE TRANSACTIONAL_ID x", 53)],
        ),
        row(
            1,
            WriteTxnMarkersRequest::default().with_markers(vec![
                write_txn_markers_request::WritableTxnMarker::default().with_topics(vec![
                    write_txn_markers_request::WritableTxnMarkerTopic::default()
                        .with_name(topic_name("gone"))
                        .with_partition_indexes(vec![0]),
                ]),
            ]),
            &[("CLUSTER_ACTION CLUSTER kafka-cluster", 31)],
        ),
    ]
}

fn of_the_cluster() -> Vec<Row> {
    let needs = |operation: &str| -> [(&'static str, i16); 1] {
        [match operation {
            "ALTER" => ("ALTER CLUSTER kafka-cluster", 31),
            "DESCRIBE" => ("DESCRIBE CLUSTER kafka-cluster", 31),
            "DESCRIBE_CONFIGS" => ("DESCRIBE_CONFIGS CLUSTER kafka-cluster", 31),
            _ => ("ALTER_CONFIGS CLUSTER kafka-cluster", 31),
        }]
    };
    let filter = || {
        delete_acls_request::DeleteAclsFilter::default()
            .with_resource_type_filter(2)
            .with_resource_name_filter(Some(text("nothing")))
            .with_pattern_type_filter(3)
            .with_operation(1)
            .with_permission_type(1)
    };
    let entity = || {
        alter_client_quotas_request::EntityData::default()
            .with_entity_type(text("user"))
            .with_entity_name(Some(text("u")))
    };
    vec![
        row(
            3,
            DescribeAclsRequest::default()
                .with_resource_type_filter(1)
                .with_pattern_type_filter(1)
                .with_operation(1)
                .with_permission_type(1),
            &needs("DESCRIBE"),
        ),
        row(3, CreateAclsRequest::default().with_creations(vec![creation("h", "READ TOPIC t")]), &needs("ALTER")),
        row(3, DeleteAclsRequest::default().with_filters(vec![filter()]), &needs("ALTER")),
        row(
            2,
            AlterReplicaLogDirsRequest::default().with_dirs(vec![
                alter_replica_log_dirs_request::AlterReplicaLogDir::default().with_path(text("/nowhere")).with_topics(
                    vec![
                        alter_replica_log_dirs_request::AlterReplicaLogDirTopic::default()
                            .with_name(topic_name("gone"))
                            .with_partitions(vec![0]),
                    ],
                ),
            ]),
            &needs("ALTER"),
        ),
        row(4, DescribeLogDirsRequest::default(), &needs("DESCRIBE")),
        row(0, ListPartitionReassignmentsRequest::default(), &needs("DESCRIBE")),
        row(
            1,
            AlterPartitionReassignmentsRequest::default().with_timeout_ms(1000).with_topics(vec![
                alter_partition_reassignments_request::ReassignableTopic::default()
                    .with_name(topic_name("gone"))
                    .with_partitions(vec![alter_partition_reassignments_request::ReassignablePartition::default()]),
            ]),
            &needs("ALTER"),
        ),
        row(
            2,
            ElectLeadersRequest::default().with_timeout_ms(1000).with_topic_partitions(Some(vec![
                elect_leaders_request::TopicPartitions::default()
                    .with_topic(topic_name("gone"))
                    .with_partitions(vec![0]),
            ])),
            &needs("ALTER"),
        ),
        row(0, UnregisterBrokerRequest::default().with_broker_id(BrokerId(99)), &needs("ALTER")),
        row(
            2,
            DescribeQuorumRequest::default().with_topics(vec![
                describe_quorum_request::TopicData::default()
                    .with_topic_name(topic_name("__cluster_metadata"))
                    .with_partitions(vec![describe_quorum_request::PartitionData::default()]),
            ]),
            &needs("DESCRIBE"),
        ),
        row(0, AddRaftVoterRequest::default().with_timeout_ms(1000).with_voter_id(99), &needs("ALTER")),
        row(0, RemoveRaftVoterRequest::default().with_voter_id(99), &needs("ALTER")),
        row(1, UpdateFeaturesRequest::default().with_validate_only(true), &needs("ALTER")),
        row(1, ListConfigResourcesRequest::default(), &needs("DESCRIBE_CONFIGS")),
        row(0, DescribeUserScramCredentialsRequest::default().with_users(None), &needs("DESCRIBE")),
        row(
            0,
            AlterUserScramCredentialsRequest::default().with_deletions(vec![
                alter_user_scram_credentials_request::ScramCredentialDeletion::default()
                    .with_name(text("u"))
                    .with_mechanism(1),
            ]),
            &needs("ALTER"),
        ),
        row(1, DescribeClientQuotasRequest::default(), &needs("DESCRIBE_CONFIGS")),
        row(
            1,
            AlterClientQuotasRequest::default()
                .with_validate_only(true)
                .with_entries(vec![alter_client_quotas_request::EntryData::default().with_entity(vec![entity()])]),
            &needs("ALTER_CONFIGS"),
        ),
    ]
}

/// What brokers ask of the coordinator of share groups' deliveries.
fn of_share_coordinators() -> Vec<Row> {
    use klamm::wire::share_state::{Unchanged, WritePartition, WriteRequest, WriteTopic};
    let needs = [("CLUSTER_ACTION CLUSTER kafka-cluster", 31)];
    let topics = vec![WriteTopic { partitions: vec![WritePartition::default()], ..WriteTopic::default() }];
    vec![
        row(
            0,
            InitializeShareGroupStateRequest::default().with_topics(vec![
                initialize_share_group_state_request::InitializeStateData::default()
                    .with_partitions(vec![initialize_share_group_state_request::PartitionData::default()]),
            ]),
            &needs,
        ),
        row(
            0,
            ReadShareGroupStateRequest::default().with_topics(vec![
                read_share_group_state_request::ReadStateData::default()
                    .with_partitions(vec![read_share_group_state_request::PartitionData::default()]),
            ]),
            &needs,
        ),
        row(1, WriteRequest { topics, ..WriteRequest::default() }, &needs),
        row(
            0,
            DeleteShareGroupStateRequest::default().with_topics(vec![
                delete_share_group_state_request::DeleteStateData::default()
                    .with_partitions(vec![delete_share_group_state_request::PartitionData::default()]),
            ]),
            &needs,
        ),
        row(
            1,
            Unchanged(ReadShareGroupStateSummaryRequest::default().with_topics(vec![
                read_share_group_state_summary_request::ReadStateSummaryData::default()
                    .with_partitions(vec![read_share_group_state_summary_request::PartitionData::default()]),
            ])),
            &needs,
        ),
    ]
}

/// What only a controller's listener answers: what brokers say to the controller.
fn of_brokers() -> Vec<Row> {
    let needs = [("CLUSTER_ACTION CLUSTER kafka-cluster", 31)];
    let stranger = BrokerId(99);
    vec![
        row(3, AlterPartitionRequest::default().with_broker_id(stranger), &needs),
        row(
            0,
            EnvelopeRequest::default()
                .with_request_principal(Some(Bytes::new()))
                .with_client_host_address(Bytes::new()),
            &needs,
        ),
        row(4, BrokerRegistrationRequest::default().with_broker_id(stranger), &needs),
        row(1, BrokerHeartbeatRequest::default().with_broker_id(stranger), &needs),
        row(0, AllocateProducerIdsRequest::default().with_broker_id(stranger), &needs),
        row(0, AssignReplicasToDirsRequest::default().with_broker_id(stranger), &needs),
    ]
}

/// What tells by leaving things out, or is open to everybody: ListGroups, ListTransactions, DescribeCluster, ApiVersions, the
/// exchange of a login, and delegation tokens, for which nobody may ask over PLAINTEXT.
const WITHOUT_A_CODE: [i16; 10] = [16, 66, 60, 18, 17, 36, 38, 39, 40, 41];

#[test]
fn a_missing_permission_gives_its_code_in_every_api_that_is_served() {
    let (port, controller) = (support::free_port(), support::free_port());
    let broker = Broker::on(
        port,
        &[
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found=true",
            "controller.listener.names=CONTROLLER",
            &format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
        ],
    );
    let mut admin = Client::connect_from(ADMIN, &broker.bootstrap());
    let everything = ResourceKind::ALL.iter().map(|kind| {
        let name = if *kind == ResourceKind::Cluster { CLUSTER_NAME } else { "*" };
        creation("127.0.0.2", &format!("ALL {} {name}", kind.name()))
    });
    create(&mut admin, everything.collect());
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(topic_name("seen"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    admin.call(7, &CreateTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![topic]));

    for kind in [0, 1] {
        // The first question has the coordinators' topics created.
        let find = FindCoordinatorRequest::default().with_key(text("g")).with_key_type(kind);
        let began = Instant::now();
        while admin.call(3, &find).error_code != 0 {
            assert!(began.elapsed() < support::PATIENCE, "no coordinator");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    let mut of_broker = Client::connect_from(WALKER, &broker.bootstrap());
    let mut of_controller = Client::connect_from(WALKER, &format!("127.0.0.1:{controller}"));
    let mut walked: BTreeSet<i16> = WITHOUT_A_CODE.into_iter().collect();
    let to_broker = of_topics().into_iter().chain(of_groups()).chain(of_transactions()).chain(of_the_cluster());
    let to_broker = to_broker.chain(of_share_coordinators());
    let rows = to_broker.map(|row| (false, row)).chain(of_brokers().into_iter().map(|row| (true, row)));
    for (to_controller, row) in rows {
        let Row { key, ask, needs } = row;
        let walker = if to_controller { &mut of_controller } else { &mut of_broker };
        walked.insert(key);
        allow(&mut admin, &[]);
        let refused = codes(&ask(walker));
        assert!(REFUSALS.iter().any(|code| refused.contains(code)), "API {key} with nothing allowed: {refused:?}");
        for (missing, code) in &needs {
            let others: Vec<&str> = needs.iter().map(|(need, _)| *need).filter(|need| need != missing).collect();
            allow(&mut admin, &others);
            let answer = ask(walker);
            assert!(codes(&answer).contains(code), "API {key} without {missing}: {answer}");
        }
        allow(&mut admin, &needs.iter().map(|(need, _)| *need).collect::<Vec<_>>());
        let answer = ask(walker);
        let left: Vec<i16> = codes(&answer).into_iter().filter(|code| REFUSALS.contains(code)).collect();
        assert!(left.is_empty(), "API {key} with all it needs: {answer}");
    }
    let served: BTreeSet<i16> = klamm::api::served().iter().map(|api| api.key).collect();
    assert_eq!(served.difference(&walked).collect::<Vec<_>>(), [&0i16; 0], "an API that is served has no row");
}

#[test]
fn a_super_user_may_do_everything() {
    let broker = Broker::with(&[
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",
    ]);
    let mut root = Client::connect_from(WALKER, &broker.bootstrap());
    // As everybody is answered without an authorizer.
    let answer = root.call(2, &DescribeClusterRequest::default().with_include_cluster_authorized_operations(true));
    assert_eq!(answer.cluster_authorized_operations, 8096);
}

#[test]
fn a_class_that_is_not_ours_is_refused_at_start() {
    let binary = env!("CARGO_BIN_EXE_klamm");
    let output = std::process::Command::new(binary)
        .args(["--ephemeral", "--listen", "127.0.0.1:0", "--set", "authorizer.class.name=com.example.Mine"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot load Java classes") && said.contains("StandardAuthorizer"), "{said}");
}
