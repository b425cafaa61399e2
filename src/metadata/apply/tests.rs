#![allow(clippy::unwrap_used)]

use super::*;
use crate::metadata::image::{DirectoryId, Replicas};
use crate::metadata::{DelegationToken, QuotaEntity, QuotaName};
use crate::metadata::{Publisher, Replica, Store};
use crate::model::{Acl, LeaderEpoch, Operation, Pattern, Permission, Principal, ResourceKind, TimestampMs};
use parking_lot::Mutex;
use uuid::Uuid;

fn id(n: u128) -> TopicId {
    TopicId(Uuid::from_u128(n))
}

fn topic(n: u128, name: &str) -> Record {
    Record::Topic { name: TopicName::new(name), id: id(n) }
}

fn partition(topic: u128, number: i32) -> Record {
    let one = Replicas::from_slice(&[NodeId(0)]);
    Record::Partition(PartitionRecord {
        topic: id(topic),
        partition: PartitionId(number),
        image: PartitionImage {
            replicas: one.clone(),
            isr: one,
            leader: Some(NodeId(0)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            directories: [DirectoryId::UNASSIGNED].into_iter().collect(),
            adding: Replicas::new(),
            removing: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        },
    })
}

fn set(topic: &str, key: &str, value: Option<&str>) -> Record {
    let resource = ConfigResource::new(ResourceType::Topic, topic);
    Record::Config { resource, key: key.into(), value: value.map(Into::into) }
}

fn apply(image: &Image, records: &[Record]) -> Result<(Image, Delta), ApplyError> {
    let mut change = Change::new(image);
    for record in records {
        change.apply(record)?;
    }
    change.finish(Offset(1), 1)
}

fn credential(user: &str, mechanism: ScramMechanism) -> Record {
    let credential = crate::model::ScramCredential::of_salted(mechanism, b"salted", b"salt", 4096);
    Record::ScramCredential(UserScramCredential { user: user.into(), mechanism, credential })
}

fn quota(user: &str, key: &str, value: Option<f64>) -> Record {
    let entity = QuotaEntity { user: Some(QuotaName::Named(user.into())), ..QuotaEntity::default() };
    Record::ClientQuota(ClientQuota { entity, key: key.into(), value })
}

fn token(id: &str, expires: i64) -> Record {
    Record::DelegationToken(DelegationToken {
        id: id.into(),
        owner: Principal::user("a"),
        requester: Principal::user("a"),
        renewers: vec![],
        issued: TimestampMs(0),
        max: TimestampMs(100),
        expires: TimestampMs(expires),
    })
}

#[test]
fn a_user_has_a_credential_for_each_mechanism_until_it_is_removed() {
    let [both, other] = ScramMechanism::ALL;
    let (image, delta) =
        apply(&Image::default(), &[credential("a", both), credential("a", other), credential("b", both)]).unwrap();
    assert!(image.scram_credential(both, "a").is_some() && image.scram_credential(other, "a").is_some());
    assert!(image.scram_credential(other, "b").is_none());
    assert_eq!(delta.scram, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    let remove = |user: &str, mechanism| Record::RemoveScramCredential { user: user.into(), mechanism };
    let (image, delta) = apply(&image, &[remove("a", other), remove("b", both)]).unwrap();
    assert_eq!(image.scram.keys().collect::<Vec<_>>(), ["a"]);
    assert!(image.scram_credential(both, "a").is_some() && image.scram_credential(other, "a").is_none());
    assert_eq!(delta.scram.len(), 2);
    let unknown = apply(&image, &[remove("a", other)]).unwrap_err();
    assert_eq!(unknown, ApplyError::UnknownCredential("a".into(), other));
}

#[test]
fn an_entity_without_quotas_is_gone() {
    let (image, delta) = apply(&Image::default(), &[quota("u", "x", Some(1.0)), quota("u", "y", Some(2.0))]).unwrap();
    assert_eq!((image.quotas.len(), delta.quotas.len()), (1, 1));
    let (image, _) = apply(&image, &[quota("u", "x", None)]).unwrap();
    assert_eq!(image.quotas.values().next().unwrap().len(), 1);
    let (image, delta) = apply(&image, &[quota("u", "y", None)]).unwrap();
    assert!(image.quotas.is_empty() && delta.quotas.len() == 1 && !delta.is_empty());
}

#[test]
fn a_tokens_record_replaces_the_one_before() {
    let (image, _) = apply(&Image::default(), &[token("t", 10), token("t", 20), token("v", 1)]).unwrap();
    assert_eq!(image.tokens.get("t").unwrap().expires, TimestampMs(20));
    let (image, delta) = apply(&image, &[Record::RemoveDelegationToken { id: "t".into() }]).unwrap();
    assert_eq!(image.tokens.keys().collect::<Vec<_>>(), ["v"]);
    assert_eq!(delta.tokens, BTreeSet::from(["t".to_owned()]));
}

#[test]
fn users_quotas_and_tokens_survive_a_snapshot() {
    let records = [credential("a", ScramMechanism::Sha256), quota("u", "x", Some(1.5)), token("t", 10)];
    let (image, _) = apply(&Image::default(), &records).unwrap();
    let records: Vec<Record> = image.records().collect();
    assert_eq!(apply(&Image::default(), &records).unwrap().0, image);
}

fn two_topics() -> Image {
    let records =
        [topic(1, "a"), partition(1, 0), partition(1, 1), topic(2, "b"), partition(2, 0), set("a", "k", Some("v"))];
    apply(&Image::default(), &records).unwrap().0
}

#[test]
fn a_created_topic_is_found_by_name_and_by_id_and_listed_as_created() {
    let (image, delta) = apply(&Image::default(), &[topic(1, "a"), partition(1, 0), partition(1, 1)]).unwrap();
    assert_eq!(image.topic("a").unwrap().partitions.len(), 2);
    assert!(Arc::ptr_eq(image.topic("a").unwrap(), image.topic_by_id(id(1)).unwrap()));
    let created = &delta.topics[&id(1)];
    assert!(created.old.is_none());
    assert_eq!(created.changed, vec![PartitionId(0), PartitionId(1)]);
}

#[test]
fn a_changed_partition_is_the_only_one_listed_and_the_others_are_shared() {
    let before = two_topics();
    let mut change = PartitionChange::new(id(1), PartitionId(1));
    change.leader = Some(None);
    let (after, delta) = apply(&before, &[Record::PartitionChange(change)]).unwrap();
    let (old, new) = (before.topic("a").unwrap(), after.topic("a").unwrap());
    assert_eq!(new.partitions[1].leader, None);
    assert_eq!((new.partitions[1].leader_epoch, new.partitions[1].partition_epoch), (LeaderEpoch(1), 1));
    assert!(Arc::ptr_eq(&old.partitions[0], &new.partitions[0]));
    assert!(Arc::ptr_eq(before.topic("b").unwrap(), after.topic("b").unwrap()));
    assert_eq!(delta.topics.len(), 1);
    assert_eq!(delta.topics[&id(1)].changed, vec![PartitionId(1)]);
}

#[test]
fn a_deleted_topic_takes_its_configs_along_and_may_come_back_in_the_same_change() {
    let (image, delta) =
        apply(&two_topics(), &[Record::RemoveTopic { id: id(1) }, topic(3, "a"), partition(3, 0)]).unwrap();
    assert_eq!(image.topic("a").unwrap().id, id(3));
    assert!(image.config_of(ResourceType::Topic, "a").is_empty());
    assert_eq!(delta.deleted[&id(1)].partitions.len(), 2);
    assert!(delta.topics[&id(3)].old.is_none());
    assert_eq!(image.topics_by_id.len(), 2);
}

#[test]
fn a_topic_created_and_deleted_in_one_change_was_never_there() {
    let records = [topic(9, "x"), partition(9, 0), set("x", "k", Some("v")), Record::RemoveTopic { id: id(9) }];
    let (image, delta) = apply(&two_topics(), &records).unwrap();
    assert!(image.topic("x").is_none());
    assert!(delta.topics.is_empty() && delta.deleted.is_empty());
    assert!(apply(&image, &[topic(10, "x")]).is_ok());
}

#[test]
fn records_that_do_not_fit_are_refused() {
    let image = two_topics();
    let refused = |records: &[Record]| apply(&image, records).map(|_| ()).unwrap_err();
    assert_eq!(refused(&[topic(5, "a")]), ApplyError::TopicExists(TopicName::new("a")));
    assert_eq!(refused(&[topic(5, "c"), topic(6, "c")]), ApplyError::TopicExists(TopicName::new("c")));
    assert_eq!(refused(&[partition(5, 0)]), ApplyError::UnknownTopic(id(5)));
    assert_eq!(refused(&[partition(1, 3)]), ApplyError::Gap(TopicName::new("a"), PartitionId(3)));
    assert_eq!(refused(&[partition(1, -1)]), ApplyError::Gap(TopicName::new("a"), PartitionId(-1)));
    assert_eq!(refused(&[Record::RemoveTopic { id: id(5) }]), ApplyError::UnknownTopic(id(5)));
    let change = Record::PartitionChange(PartitionChange::new(id(2), PartitionId(1)));
    assert_eq!(refused(&[change]), ApplyError::UnknownPartition(TopicName::new("b"), PartitionId(1)));
    let unfence = Record::UnfenceBroker { broker: NodeId(0), epoch: 1 };
    assert_eq!(refused(&[unfence]), ApplyError::UnknownBroker(NodeId(0), 1));
    let ids = |next| Record::ProducerIds { broker: NodeId(0), broker_epoch: 0, next: ProducerId(next) };
    assert_eq!(refused(&[ids(1000), ids(0)]), ApplyError::ProducerIds(ProducerId(1000), ProducerId(0)));
}

#[test]
fn clearing_eligible_leaders_touches_only_partitions_that_have_some() {
    let mut change = PartitionChange::new(id(1), PartitionId(1));
    change.elr = Some(Replicas::from_slice(&[NodeId(4)]));
    let (image, _) = apply(&two_topics(), &[Record::PartitionChange(change)]).unwrap();
    for topic in ["a", ""] {
        let (image, delta) = apply(&image, &[Record::ClearElr { topic: topic.into() }]).unwrap();
        assert!(image.topic("a").unwrap().partitions[1].elr.is_empty());
        assert_eq!(delta.topics.len(), 1);
        assert_eq!(delta.topics[&id(1)].changed, vec![PartitionId(1)]);
    }
    let nix = Record::ClearElr { topic: "nix".into() };
    assert_eq!(apply(&image, &[nix]).unwrap_err(), ApplyError::UnknownTopicName("nix".into()));
}

#[test]
fn a_feature_at_level_zero_is_gone_and_kraft_version_never_enters() {
    let feature = |name: &str, level| Record::Feature { name: name.into(), level };
    let (image, _) = apply(&Image::default(), &[feature("f", 2), feature("kraft.version", 1)]).unwrap();
    assert_eq!(image.features, BTreeMap::from([("f".into(), 2)]));
    let (image, delta) = apply(&image, &[feature("f", 0)]).unwrap();
    assert_eq!(image.feature("f"), 0);
    assert!(image.features.is_empty());
    assert_eq!(delta.features, BTreeMap::from([("f".into(), 2)]));
}

fn acl(n: u128, name: &str) -> Record {
    let acl = Acl {
        resource: ResourceKind::Group,
        name: name.into(),
        pattern: Pattern::Literal,
        principal: "User:u".into(),
        host: "*".into(),
        operation: Operation::All,
        permission: Permission::Deny,
    };
    Record::Acl(AclRecord { id: Uuid::from_u128(n), acl })
}

#[test]
fn an_access_control_entry_is_there_until_its_id_is_removed() {
    let (image, delta) = apply(&Image::default(), &[acl(1, "a"), acl(2, "b")]).unwrap();
    assert_eq!(image.acls.of(ResourceKind::Group).map(|acl| &*acl.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(image.acls.of(ResourceKind::Topic).count(), 0);
    assert_eq!(delta.acls, BTreeSet::from([ResourceKind::Group]));
    let (after, delta) = apply(&image, &[Record::RemoveAcl { id: Uuid::from_u128(1) }]).unwrap();
    assert_eq!(after.acls.iter().map(|(id, _)| id).collect::<Vec<_>>(), [Uuid::from_u128(2)]);
    assert_eq!(delta.acls, BTreeSet::from([ResourceKind::Group]));
    assert_eq!(image.acls.len(), 2, "the older image is as it was");
}

#[test]
fn an_entry_that_is_there_twice_or_removed_twice_is_a_damaged_log() {
    let (image, _) = apply(&Image::default(), &[acl(1, "a")]).unwrap();
    let refused = |record| apply(&image, &[record]).unwrap_err();
    assert_eq!(refused(acl(1, "b")), ApplyError::AclExists(Uuid::from_u128(1)));
    assert_eq!(refused(acl(2, "a")), ApplyError::AclExists(Uuid::from_u128(2)));
    let gone = Uuid::from_u128(7);
    assert_eq!(refused(Record::RemoveAcl { id: gone }), ApplyError::UnknownAcl(gone));
}

#[test]
fn an_image_as_records_gives_the_same_image() {
    let opaque = |kind, body: &[u8]| Record::Opaque(Opaque { kind, version: 0, body: body.into() });
    let more = [
        Record::Feature { name: "metadata.version".into(), level: 30 },
        Record::Feature { name: "group.version".into(), level: 1 },
        Record::ProducerIds { broker: NodeId(0), broker_epoch: 0, next: ProducerId(5000) },
        opaque(kind::ZK_MIGRATION_STATE, &[1]),
        acl(1, "a"),
        opaque(kind::REGISTER_CONTROLLER, &[0, 0, 0, 1, 7]),
        opaque(kind::REGISTER_CONTROLLER, &[0, 0, 0, 1, 8]),
    ];
    let (image, _) = apply(&two_topics(), &more).unwrap();
    assert_eq!(image.kept.len(), 2, "only the newest registration of a controller is kept");
    let records: Vec<Record> = image.records().collect();
    assert_eq!(records[0], more[0], "the level comes first");
    assert_eq!(apply(&Image::default(), &records).unwrap().0, image);
}

#[derive(Default)]
struct Seen(Mutex<Vec<(Offset, usize)>>);

impl Publisher for Seen {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        self.0.lock().push((image.offset, delta.topics.len()));
    }
}

#[test]
fn a_publisher_is_told_all_there_is_and_then_every_change_in_order() {
    let store = Arc::new(Store::default());
    let mut replica = Replica::new(Arc::clone(&store));
    replica.commit(vec![topic(1, "a"), partition(1, 0), topic(2, "b")], Offset(2), 1).unwrap();
    let seen = Arc::new(Seen::default());
    store.subscribe(Arc::clone(&seen) as Arc<dyn Publisher>);
    replica.commit(vec![topic(3, "c")], Offset(3), 1).unwrap();
    replica.commit(vec![Record::NoOp], Offset(4), 1).unwrap();
    assert_eq!(*seen.0.lock(), vec![(Offset(2), 2), (Offset(3), 1), (Offset(4), 0)]);
    assert_eq!(store.image().offset, Offset(4));
}

#[test]
fn a_transaction_is_seen_when_it_ends_and_never_if_it_is_aborted() {
    let store = Arc::new(Store::default());
    let mut replica = Replica::new(Arc::clone(&store));
    replica.commit(vec![Record::BeginTransaction { name: None }, topic(1, "a")], Offset(1), 1).unwrap();
    assert!(store.load().topic("a").is_none() && replica.in_transaction());
    replica.commit(vec![partition(1, 0), Record::EndTransaction, topic(2, "b")], Offset(4), 1).unwrap();
    assert!(store.load().topic("a").is_some() && store.load().topic("b").is_some());
    replica.commit(vec![Record::BeginTransaction { name: None }, topic(3, "c")], Offset(6), 1).unwrap();
    replica.commit(vec![Record::AbortTransaction { reason: None }], Offset(7), 1).unwrap();
    assert!(store.load().topic("c").is_none() && !replica.in_transaction());
}
