"""The walk: every API, asked with nothing allowed, with all it needs, and with all of that but one.

A case is an API, a request, and the permissions it needs; `also` are other sets of permissions to try. What a client can see
of who may do what is compared: error codes and texts, which things are told of, and the bit fields of authorized operations.
"""

import itertools
import re
import uuid

from compat.common import wire

TOKEN = re.compile(r"^Request .* needs (\w+) permission\.$", re.DOTALL)
KEPT = ("ErrorCode", "ErrorMessage", "AuthorizedOperations")
NAMES = ("Name", "TopicName", "Topic", "GroupId", "TransactionalId", "Key", "ResourceName", "ResourceType", "Index",
         "PartitionIndex", "Partition", "TopicId", "User", "Principal", "Host", "Operation", "PermissionType", "PatternType",
         "TransactionState", "EntityName")


class Case:
    def __init__(self, name, api, body, needs, also=(), before=(), versions=None, full=True):
        self.name, self.api, self.body, self.needs, self.also = name, api, body, list(needs), list(also)
        self.before = before      # topics that must exist
        self.versions = versions  # None: the oldest and the newest that both brokers have
        self.full = full          # whether it is also asked with all permissions

    def sets(self):
        yield "nothing", []
        if len(self.needs) > 1:
            for out in self.needs:
                yield f"all but {out}", [n for n in self.needs if n != out]
        for extra in self.also:
            yield "only " + ", ".join(extra), list(extra)
        if self.full:
            yield "all it needs", self.needs


def partitions(name="PartitionIndex", **more):
    return [{name: 0, **more}]


def batch(attributes=0):
    return wire.batch(wire.record_of(b"walk"), 1, 1_700_000_000_000, attributes)


def named(side, version, ids_from, name, key="Name"):
    """A topic by name, or by its id in the versions that do so."""
    return {"TopicId": side.id(name)} if version >= ids_from else {key: name}


SEEN, GONE = "seen", "gone"
BOTH = (SEEN, GONE)


def on(operation, kind, *names):
    return [f"{operation} {kind} {name}" for name in names]


def cluster(operation):
    return [f"{operation} CLUSTER kafka-cluster"]


def produce(transactional):
    def body(side, version):
        data = [{**named(side, version, 13, t), "PartitionData": [{"Index": 0, "Records": batch(0x10 if transactional else 0)}]}
                for t in BOTH]
        return {"TransactionalId": "txn" if transactional else None, "Acks": -1, "TimeoutMs": 5000, "TopicData": data}
    return body


def fetch(side, version):
    topics = [{**named(side, version, 13, t, "Topic"),
               "Partitions": partitions("Partition", FetchOffset=0, PartitionMaxBytes=1, CurrentLeaderEpoch=-1,
                                        LogStartOffset=-1, LastFetchedEpoch=-1)} for t in BOTH]
    return {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1, "SessionId": 0, "SessionEpoch": -1, "Topics": topics}


def metadata(names, create=False, operations=True):
    def body(side, version):
        if names is None:
            topics = None if version > 0 else []
        elif isinstance(names, tuple):
            topics = [{"TopicId": uuid.UUID(int=0), "Name": n} for n in names]
        else:
            topics = [{"TopicId": side.id(n), "Name": None} for n in names]
        out = {"Topics": topics, "AllowAutoTopicCreation": create}
        if version >= 8 and operations:
            out["IncludeTopicAuthorizedOperations"] = True
            if version <= 10:
                out["IncludeClusterAuthorizedOperations"] = True
        return out
    return body


def commit(side, version):
    return {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {**named(side, version, 10, t), "Partitions": partitions(CommittedOffset=1, CommittedMetadata="")} for t in BOTH]}


def offset_fetch(everything):
    def body(side, version):
        topics = None if everything else [{**named(side, version, 10, t), "PartitionIndexes": [0]} for t in BOTH]
        if version >= 8:
            return {"Groups": [{"GroupId": g, "Topics": topics} for g in ("g", "h")]}
        return {"GroupId": "g", "Topics": topics}
    return body


def txn_commit(side, version):
    return {"TransactionalId": "txn", "GroupId": "g", "ProducerId": 1, "ProducerEpoch": 0, "Topics": [
        {"Name": t, "Partitions": partitions(CommittedOffset=1, CommittedMetadata="")} for t in BOTH]}


def add_partitions(side, version):
    topics = [{"Name": t, "Partitions": [0]} for t in (SEEN, GONE, "__consumer_offsets")]
    if version >= 4:
        return {"Transactions": [{"TransactionalId": "txn", "ProducerId": 1, "ProducerEpoch": 0, "VerifyOnly": True,
                                  "Topics": topics[:1]}]}
    return {"V3AndBelowTransactionalId": "txn", "V3AndBelowProducerId": 1, "V3AndBelowProducerEpoch": 0,
            "V3AndBelowTopics": topics}


def find(key_type):
    def body(side, version):
        return {"KeyType": key_type, "CoordinatorKeys": ["k", "l"]} if version >= 4 else {"Key": "k", "KeyType": key_type}
    return body


def config_resources(with_configs):
    def body(side, version):
        def resource(kind, name):
            if with_configs == "describe":
                return {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": ["min.insync.replicas"]}
            if with_configs == "legacy":
                return {"ResourceType": kind, "ResourceName": name, "Configs": []}
            return {"ResourceType": kind, "ResourceName": name, "Configs": []}
        kinds = [(2, SEEN), (2, GONE), (4, "1"), (4, ""), (32, "g"), (16, "m")]
        if with_configs == "incremental":
            kinds.append((8, "1"))
        out = {"Resources": [resource(*k) for k in kinds]}
        if with_configs != "describe":
            out["ValidateOnly"] = True
        return out
    return body


def delete_topics(by_id):
    def body(side, version):
        if version >= 6:
            topics = [{"Name": None, "TopicId": side.id(t)} if by_id else {"Name": t} for t in ("doomed", GONE)]
            return {"Topics": topics, "TimeoutMs": 10_000}
        return {"TopicNames": ["doomed", GONE], "TimeoutMs": 10_000}
    return body


def acl_filter(suffix=True):
    return {"ResourceTypeFilter": 2, "ResourceNameFilter": "nothing-has-this", "PatternTypeFilter": 3, "PrincipalFilter": None,
            "HostFilter": None, "Operation": 1, "PermissionType": 1}


def shared(side, *names):
    return [{"TopicId": side.id(t), "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": []}]} for t in names or BOTH]


def groups_of(**more):
    return {"GroupId": "g", "MemberId": "nobody", **more}


def cases():
    def topics(operation, *names):
        return on(operation, "TOPIC", *names)

    read_group = on("READ", "GROUP", "g")
    yield Case("produce", "Produce", produce(False), topics("WRITE", *BOTH), also=[topics("WRITE", "se+"), topics("READ", SEEN)])
    yield Case("produce of a transaction", "Produce", produce(True), on("WRITE", "TRANSACTIONAL_ID", "txn"), also=[topics("WRITE", *BOTH)],
               full=False)
    yield Case("fetch", "Fetch", fetch, topics("READ", *BOTH), also=[topics("DESCRIBE", SEEN), topics("ALL", "s+")])
    yield Case("list offsets", "ListOffsets", lambda s, v: {"ReplicaId": -1, "Topics": [
        {"Name": t, "Partitions": partitions(CurrentLeaderEpoch=-1, Timestamp=-1)} for t in BOTH]},
        topics("DESCRIBE", *BOTH), also=[topics("READ", SEEN), topics("ALTER_CONFIGS", SEEN), topics("CREATE", SEEN)])
    yield Case("metadata of named topics", "Metadata", metadata(BOTH), topics("DESCRIBE", *BOTH),
               also=[topics("DELETE", SEEN), topics("ALL", "*"), topics("READ", SEEN) + cluster("DESCRIBE")], versions=(0, 1, 4, 8, 10, None))
    yield Case("metadata of all topics", "Metadata", metadata(None), topics("DESCRIBE", SEEN), also=[topics("WRITE", "se+")], versions=(0, 1, 8, None))
    yield Case("metadata by id", "Metadata", metadata([SEEN, GONE]), topics("DESCRIBE", SEEN), versions=(12, None))
    yield Case("metadata that creates", "Metadata", metadata(("new-a", "new/b"), create=True),
               topics("DESCRIBE", "new-a", "new/b"), also=[topics("DESCRIBE", "new-a", "new/b") + topics("CREATE", "new-a")], full=False)
    yield Case("offset commit", "OffsetCommit", commit, read_group + topics("READ", *BOTH), also=[topics("ALL", "*"), read_group])
    yield Case("offset fetch", "OffsetFetch", offset_fetch(False), on("DESCRIBE", "GROUP", "g", "h") + topics("DESCRIBE", *BOTH))
    yield Case("offset fetch of everything", "OffsetFetch", offset_fetch(True), on("DESCRIBE", "GROUP", "g", "h") + topics("DESCRIBE", *BOTH),
               versions=(2, 8, 9))
    for number, kind in ((0, "GROUP"), (1, "TRANSACTIONAL_ID")):
        yield Case(f"find coordinator of {kind}", "FindCoordinator", find(number), on("DESCRIBE", kind, "k", "l"),
                   versions=(1, None))
    yield Case("find coordinator of a share partition", "FindCoordinator", find(2), cluster("CLUSTER_ACTION"), full=False, versions=(None,))
    for api in ("InitializeShareGroupState", "ReadShareGroupState", "WriteShareGroupState", "DeleteShareGroupState", "ReadShareGroupStateSummary"):
        # To whom it may ask nothing is said of a group without a name, whether there is a coordinator already or not.
        yield Case("share coordinator: " + api, api, lambda s, v: {"GroupId": "", "Topics": [{"TopicId": s.id(SEEN), "Partitions": [{"Partition": 0}, {"Partition": 9}]}]},
                   cluster("CLUSTER_ACTION"), also=[cluster("ALTER"), on("READ", "GROUP", "*")])
    yield Case("join group", "JoinGroup", lambda s, v: groups_of(SessionTimeoutMs=10_000, RebalanceTimeoutMs=10_000, ProtocolType="consumer",
               Protocols=[{"Name": "range", "Metadata": b""}]), read_group)
    yield Case("heartbeat", "Heartbeat", lambda s, v: groups_of(GenerationId=1), read_group, also=[on("DESCRIBE", "GROUP", "g")])
    yield Case("leave group", "LeaveGroup", lambda s, v: {"GroupId": "g", "Members": [{"MemberId": "nobody"}]} if v >= 3 else groups_of(), read_group)
    yield Case("sync group", "SyncGroup", lambda s, v: groups_of(GenerationId=1, ProtocolType="consumer", ProtocolName="range", Assignments=[]), read_group)
    yield Case("sync group without a protocol", "SyncGroup", lambda s, v: groups_of(GenerationId=1, Assignments=[]), read_group, versions=(5,))
    yield Case("describe groups", "DescribeGroups", lambda s, v: {"Groups": ["g", "h"], **({"IncludeAuthorizedOperations": True} if v >= 3 else {})},
               on("DESCRIBE", "GROUP", "g", "h"), also=[on("ALL", "GROUP", "g"), on("DELETE", "GROUP", "g")])
    yield Case("list groups", "ListGroups", lambda s, v: {}, on("DESCRIBE", "GROUP", "listed"), also=[cluster("DESCRIBE"), on("READ", "GROUP", "*")])
    yield Case("delete groups", "DeleteGroups", lambda s, v: {"GroupsNames": ["nobody", "none"]}, on("DELETE", "GROUP", "nobody", "none"))
    yield Case("consumer group heartbeat", "ConsumerGroupHeartbeat", lambda s, v: {"GroupId": "kip", "MemberId": "m", "MemberEpoch": 7,
               "SubscribedTopicNames": list(BOTH), "RebalanceTimeoutMs": -1, "TopicPartitions": None}, on("READ", "GROUP", "kip") + topics("DESCRIBE", *BOTH))
    yield Case("consumer group describe", "ConsumerGroupDescribe", lambda s, v: {"GroupIds": ["kip", "none"], "IncludeAuthorizedOperations": True},
               on("DESCRIBE", "GROUP", "kip", "none") + topics("DESCRIBE", SEEN))
    yield Case("share group heartbeat", "ShareGroupHeartbeat", lambda s, v: {"GroupId": "kip", "MemberId": "m", "MemberEpoch": 7,
               "RackId": None, "SubscribedTopicNames": list(BOTH)}, on("READ", "GROUP", "kip") + topics("DESCRIBE", *BOTH))
    yield Case("share group describe", "ShareGroupDescribe", lambda s, v: {"GroupIds": ["kip", "none"], "IncludeAuthorizedOperations": True},
               on("DESCRIBE", "GROUP", "kip", "none"))
    yield Case("describe share group offsets", "DescribeShareGroupOffsets", lambda s, v: {"Groups": [
               {"GroupId": "none", "Topics": [{"TopicName": t, "Partitions": [0]} for t in BOTH]}, {"GroupId": "nobody", "Topics": None}]},
               on("DESCRIBE", "GROUP", "none", "nobody") + topics("DESCRIBE", *BOTH))
    yield Case("alter share group offsets", "AlterShareGroupOffsets", lambda s, v: {"GroupId": "kip", "Topics": [
               {"TopicName": t, "Partitions": [{"PartitionIndex": 0, "StartOffset": 0}]} for t in BOTH]}, on("READ", "GROUP", "kip") + topics("READ", *BOTH))
    yield Case("delete share group offsets", "DeleteShareGroupOffsets", lambda s, v: {"GroupId": "kip", "Topics": [{"TopicName": t} for t in BOTH]},
               on("DELETE", "GROUP", "kip") + topics("READ", *BOTH))
    # Apache Kafka falls over the id of a topic that is not there, and answers -1 for everything.
    yield Case("share fetch", "ShareFetch", lambda s, v: {"GroupId": "shared", "MemberId": "m", "ShareSessionEpoch": 0, "MaxWaitMs": 0, "MinBytes": 1,
               "MaxBytes": 1000, "MaxRecords": 0, "BatchSize": 1, "Topics": shared(s, SEEN), "ForgottenTopicsData": []},
               on("READ", "GROUP", "shared") + topics("READ", SEEN))
    yield Case("share acknowledge", "ShareAcknowledge", lambda s, v: {"GroupId": "shared", "MemberId": "m", "ShareSessionEpoch": 9, "Topics": shared(s)},
               on("READ", "GROUP", "shared") + topics("READ", *BOTH))
    yield Case("offset delete", "OffsetDelete", lambda s, v: {"GroupId": "listed", "Topics": [{"Name": t, "Partitions": partitions()} for t in BOTH]},
               on("DELETE", "GROUP", "listed") + topics("READ", *BOTH))
    yield Case("create topics", "CreateTopics", lambda s, v: {"Topics": [{"Name": n, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []}
               for n in (SEEN, "fresh", "__cluster_metadata")], "timeoutMs": 10_000, "validateOnly": True}, topics("CREATE", SEEN, "fresh"),
               also=[cluster("CREATE"), topics("CREATE", "fresh") + topics("DESCRIBE_CONFIGS", "fresh"), cluster("CREATE") + topics("ALTER_CONFIGS", "fresh")])
    for by_id in (False, True):
        yield Case("delete topics by " + ("id" if by_id else "name"), "DeleteTopics", delete_topics(by_id), topics("DELETE", "doomed", GONE),
                   also=[topics("DESCRIBE", "doomed", GONE), topics("DESCRIBE", "doomed"), cluster("DELETE")], before=("doomed",),
                   versions=(6,) if by_id else None)
    yield Case("create partitions", "CreatePartitions", lambda s, v: {"Topics": [{"Name": t, "Count": 2, "Assignments": None} for t in BOTH],
               "TimeoutMs": 10_000, "ValidateOnly": True}, topics("ALTER", *BOTH), also=[topics("DESCRIBE", *BOTH)])
    yield Case("delete records", "DeleteRecords", lambda s, v: {"Topics": [{"Name": t, "Partitions": partitions(Offset=0)} for t in BOTH], "TimeoutMs": 5000},
               topics("DELETE", *BOTH))
    yield Case("producer id", "InitProducerId", lambda s, v: {"TransactionalId": None, "TransactionTimeoutMs": 10_000}, cluster("IDEMPOTENT_WRITE"),
               also=[topics("WRITE", "x"), topics("READ", "x"), topics("ALL", "x+")])
    yield Case("producer id of a transaction", "InitProducerId", lambda s, v: {"TransactionalId": "txn", "TransactionTimeoutMs": 10_000},
               on("WRITE", "TRANSACTIONAL_ID", "txn"), also=[cluster("ALL"), on("DESCRIBE", "TRANSACTIONAL_ID", "txn")])
    yield Case("offset for leader epoch", "OffsetForLeaderEpoch", lambda s, v: {"ReplicaId": -2, "Topics": [
        {"Topic": t, "Partitions": partitions("Partition", CurrentLeaderEpoch=-1, LeaderEpoch=0)} for t in BOTH]}, topics("DESCRIBE", *BOTH), also=[cluster("CLUSTER_ACTION")])
    yield Case("add partitions to a transaction", "AddPartitionsToTxn", add_partitions, on("WRITE", "TRANSACTIONAL_ID", "txn") + topics("WRITE", *BOTH), versions=(0, 3))
    yield Case("verify partitions of a transaction", "AddPartitionsToTxn", add_partitions, cluster("CLUSTER_ACTION"), versions=(4, None), also=[cluster("ALTER")])
    yield Case("add offsets to a transaction", "AddOffsetsToTxn", lambda s, v: {"TransactionalId": "txn", "ProducerId": 1, "ProducerEpoch": 0, "GroupId": "g"},
               on("WRITE", "TRANSACTIONAL_ID", "txn") + read_group)
    yield Case("end a transaction", "EndTxn", lambda s, v: {"TransactionalId": "txn", "ProducerId": 1, "ProducerEpoch": 0, "Committed": True},
               on("WRITE", "TRANSACTIONAL_ID", "txn"))
    yield Case("write markers", "WriteTxnMarkers", lambda s, v: {"Markers": [{"ProducerId": 1, "ProducerEpoch": 0, "TransactionResult": True, "CoordinatorEpoch": 0,
               "Topics": [{"Name": GONE, "PartitionIndexes": [0]}]}]}, cluster("CLUSTER_ACTION"), also=[cluster("ALTER"), cluster("DESCRIBE")])
    yield Case("commit offsets in a transaction", "TxnOffsetCommit", txn_commit, on("WRITE", "TRANSACTIONAL_ID", "txn") + read_group + topics("READ", *BOTH), full=False,
               also=[on("WRITE", "TRANSACTIONAL_ID", "txn") + read_group])
    acl_needs = {"DescribeAcls": cluster("DESCRIBE"), "DeleteAcls": cluster("ALTER"), "CreateAcls": cluster("ALTER")}
    yield Case("describe acls", "DescribeAcls", lambda s, v: acl_filter(), acl_needs["DescribeAcls"], also=[cluster("ALTER"), cluster("CREATE")])
    yield Case("delete acls", "DeleteAcls", lambda s, v: {"Filters": [acl_filter(), {**acl_filter(), "Operation": 99}]}, acl_needs["DeleteAcls"], also=[cluster("DESCRIBE")])
    yield Case("create acls", "CreateAcls", lambda s, v: {"Creations": [
        {"ResourceType": kind, "ResourceName": name, "ResourcePatternType": pattern, "Principal": who, "Host": "h", "Operation": op, "PermissionType": 3}
        for kind, name, pattern, who, op in ((4, "x", 3, "User:a", 3), (2, "", 3, "User:a", 3), (2, "t", 3, "a", 3),
                                             (99, "t", 3, "User:a", 3), (2, "t", 3, "User:a", 88), (2, "t", 77, "User:a", 3))]}, acl_needs["CreateAcls"],
        also=[cluster("DESCRIBE")])
    for what, entry in (("kind", (1, 3, 3)), ("pattern", (2, 1, 3)), ("match", (2, 2, 3)), ("operation", (2, 3, 1))):
        yield Case(f"create acls of any {what}", "CreateAcls", lambda s, v, e=entry: {"Creations": [
            {"ResourceType": e[0], "ResourceName": "t", "ResourcePatternType": e[1], "Principal": "User:a", "Host": "h", "Operation": e[2],
             "PermissionType": 3}]}, acl_needs["CreateAcls"], versions=(None,))
    conf = topics("DESCRIBE_CONFIGS", *BOTH) + on("DESCRIBE_CONFIGS", "GROUP", "g") + cluster("DESCRIBE_CONFIGS")
    yield Case("describe configs", "DescribeConfigs", config_resources("describe"), conf, also=[topics("ALTER_CONFIGS", SEEN), topics("DESCRIBE", SEEN)])
    alter = topics("ALTER_CONFIGS", *BOTH) + on("ALTER_CONFIGS", "GROUP", "g") + cluster("ALTER_CONFIGS")
    yield Case("alter configs", "AlterConfigs", config_resources("legacy"), alter)
    yield Case("alter configs by key", "IncrementalAlterConfigs", config_resources("incremental"), alter, also=[topics("DESCRIBE_CONFIGS", SEEN)])
    yield Case("alter replica log dirs", "AlterReplicaLogDirs", lambda s, v: {"Dirs": [{"Path": "/nowhere", "Topics": [{"Name": SEEN, "Partitions": [0]}]}]}, cluster("ALTER"))
    yield Case("describe log dirs", "DescribeLogDirs", lambda s, v: {"Topics": [{"Topic": "none", "Partitions": [0]}]}, cluster("DESCRIBE"))
    yield Case("list reassignments", "ListPartitionReassignments", lambda s, v: {"Topics": [{"Name": SEEN, "PartitionIndexes": [0]}], "TimeoutMs": 5000}, cluster("DESCRIBE"))
    yield Case("elect leaders", "ElectLeaders", lambda s, v: {"TopicPartitions": [{"Topic": GONE, "Partitions": [0]}], "TimeoutMs": 5000}, cluster("ALTER"),
               also=[cluster("DESCRIBE")])
    yield Case("reassign partitions", "AlterPartitionReassignments", lambda s, v: {"TimeoutMs": 5000, "Topics": [
               {"Name": GONE, "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]}, cluster("ALTER"), also=[cluster("DESCRIBE")])
    yield Case("unregister a broker", "UnregisterBroker", lambda s, v: {"BrokerId": 99}, cluster("ALTER"))
    yield Case("describe the quorum", "DescribeQuorum", lambda s, v: {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": partitions()}]},
               cluster("DESCRIBE"), also=[cluster("ALTER")])
    yield Case("add a voter", "AddRaftVoter", lambda s, v: {"ClusterId": None, "TimeoutMs": 1000, "VoterId": 99, "VoterDirectoryId": uuid.UUID(int=5),
               "Listeners": [{"Name": "CONTROLLER", "Host": "localhost", "Port": 1}]}, cluster("ALTER"))
    yield Case("remove a voter", "RemoveRaftVoter", lambda s, v: {"ClusterId": None, "VoterId": 99, "VoterDirectoryId": uuid.UUID(int=5)}, cluster("ALTER"))
    yield Case("update features", "UpdateFeatures", lambda s, v: {"FeatureUpdates": [{"Feature": "no.such", "MaxVersionLevel": 1}], "ValidateOnly": True}
               if v >= 1 else {"FeatureUpdates": [{"Feature": "no.such", "MaxVersionLevel": 1}]}, cluster("ALTER"), full=False)
    yield Case("describe cluster", "DescribeCluster", lambda s, v: {"IncludeClusterAuthorizedOperations": True}, cluster("DESCRIBE"),
               also=[cluster("ALTER"), cluster("CREATE"), cluster("ALL")])
    yield Case("describe producers", "DescribeProducers", lambda s, v: {"Topics": [{"Name": t, "PartitionIndexes": [0]} for t in (*BOTH, "no/good")]}, topics("READ", *BOTH), full=False)
    yield Case("describe transactions", "DescribeTransactions", lambda s, v: {"TransactionalIds": ["txn", "none"]}, on("DESCRIBE", "TRANSACTIONAL_ID", "txn", "none"))
    yield Case("list transactions", "ListTransactions", lambda s, v: {}, on("DESCRIBE", "TRANSACTIONAL_ID", "txn"))
    yield Case("list config resources", "ListConfigResources", lambda s, v: {"ResourceTypes": [16]} if v >= 1 else {}, cluster("DESCRIBE_CONFIGS"))
    yield Case("describe topic partitions", "DescribeTopicPartitions", lambda s, v: {"Topics": [{"Name": t} for t in BOTH], "ResponsePartitionLimit": 2000, "Cursor": None},
               topics("DESCRIBE", *BOTH), also=[topics("ALL", SEEN)])
    yield Case("describe all topics' partitions", "DescribeTopicPartitions", lambda s, v: {"Topics": [], "ResponsePartitionLimit": 2000, "Cursor": None}, topics("DESCRIBE", SEEN))
    yield Case("describe SCRAM credentials", "DescribeUserScramCredentials", lambda s, v: {"Users": [{"Name": "u"}]}, cluster("DESCRIBE"))
    yield Case("alter SCRAM credentials", "AlterUserScramCredentials", lambda s, v: {"Deletions": [{"Name": "u", "Mechanism": 1}], "Upsertions": []}, cluster("ALTER"))
    yield Case("describe quotas", "DescribeClientQuotas", lambda s, v: {"Components": [{"EntityType": "user", "MatchType": 2, "Match": None}], "Strict": False},
               cluster("DESCRIBE_CONFIGS"))
    yield Case("alter quotas", "AlterClientQuotas", lambda s, v: {"Entries": [{"Entity": [{"EntityType": "user", "EntityName": "u"}],
               "Ops": [{"Key": "consumer_byte_rate", "Value": 1.0, "Remove": False}]}], "ValidateOnly": True}, cluster("ALTER_CONFIGS"))


# Served to everybody, or not before a login.
OPEN = {"ApiVersions", "SaslHandshake", "SaslAuthenticate",
        # Over PLAINTEXT nobody may ask, whatever is allowed.
        "CreateDelegationToken", "RenewDelegationToken", "ExpireDelegationToken", "DescribeDelegationToken"}


def visible(side, value, key=""):
    """What of an answer is about who may do what; lists in an order of their own."""
    if isinstance(value, dict):
        out = {k: visible(side, v, k) for k, v in value.items() if k not in ("AbortedTransactions", "RecordErrors")
               if isinstance(v, (dict, list)) or k.endswith(KEPT) or k in NAMES}
        return {k: v for k, v in out.items() if v is not None or k.endswith("ErrorMessage")}
    if isinstance(value, list):
        return sorted((visible(side, v, key) for v in value), key=repr)
    if isinstance(value, uuid.UUID):
        return side.name_of(value)
    if isinstance(value, str):
        return TOKEN.sub(r"needs \1", value)
    return value


def versions(case, sides):
    key = sides[0].schemas.request(case.api).key
    spans = [s.versions.get(key) for s in sides]
    if None in spans:
        return []
    low, high = max(s[0] for s in spans), min(s[1] for s in spans)
    low = max(low, 3) if case.api == "Produce" else low
    wanted = case.versions or (low, None)
    return sorted({high if v is None else v for v in wanted if v is None or low <= v <= high})


def all_runs(sides):
    for case in cases():
        for version, (what, permissions) in itertools.product(versions(case, sides), list(case.sets())):
            yield case, version, what, permissions
