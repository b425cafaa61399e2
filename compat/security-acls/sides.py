"""One broker with its authorizer on, as the walk sees it.

Nobody logs in: every client is User:ANONYMOUS, and ACLs tell clients apart by their hosts, the loopback addresses that they
connect from. ADMIN may do everything, HERE is where the broker itself and Java's tools come from, WALKER is whose permissions
are tried. The first entry about a kind of resource ends `allow.everyone.if.no.acl.found` for it.
"""

import socket
import struct
import time
import uuid

from compat.common import wire

HERE, ADMIN, WALKER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
ANYBODY = "User:ANONYMOUS"
KINDS = {"TOPIC": 2, "GROUP": 3, "CLUSTER": 4, "TRANSACTIONAL_ID": 5, "DELEGATION_TOKEN": 6, "USER": 7}
OPERATIONS = {name: code for code, name in enumerate(
    ["ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS",
     "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT"], 2)}
CLUSTER = "kafka-cluster"
ZERO = uuid.UUID(int=0)

SETTINGS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    # The records of the walk are of 2023: when retention comes by is no matter of access.
    "log.retention.ms": "-1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "true",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Client:
    def __init__(self, side, host):
        self.side, self.host, self.socket, self.correlation = side, host, None, 0

    def call(self, api, version, body, key=None):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.side.broker.port), timeout=30, source_address=(self.host, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation += 1
        self.socket.sendall(self.side.schemas.frame(api, version, self.correlation, "walk", body))
        try:
            data = self._exactly(struct.unpack(">i", self._exactly(4))[0])
        except (Closed, ConnectionError):
            self.close()
            raise Closed from None
        if api == "ApiVersions":
            return self.side.schemas.response(api).decode(version, data[4:])
        return self.side.schemas.answer(api, version, data)

    def _exactly(self, n):
        out = bytearray()
        while len(out) < n:
            piece = self.socket.recv(n - len(out))
            if not piece:
                raise Closed
            out += piece
        return bytes(out)

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None


def acl(host, permission, principal=ANYBODY):
    """An entry that allows `OPERATION KIND name`; a name that ends in + is a prefix."""
    operation, kind, name = permission.split(" ", 2)
    prefixed = name.endswith("+")
    return {"ResourceType": KINDS[kind], "ResourceName": name.rstrip("+") if prefixed else name,
            "ResourcePatternType": 4 if prefixed else 3, "Principal": principal, "Host": host,
            "Operation": OPERATIONS[operation], "PermissionType": 3}


EVERYTHING = [f"ALL {kind} {CLUSTER if kind == 'CLUSTER' else '*'}" for kind in KINDS]


class Side:
    def __init__(self, name, broker, schemas):
        self.name, self.broker, self.schemas = name, broker, schemas
        self.admin, self.walker = Client(self, ADMIN), Client(self, WALKER)
        self.ids = {}

    def prepare(self):
        """From here on only ADMIN may do everything, and the broker itself what a broker does."""
        self.versions = {v["ApiKey"]: (v["MinVersion"], v["MaxVersion"])
                         for v in self.admin.call("ApiVersions", 0, {})["ApiKeys"]}
        first = [acl(ADMIN, p) for p in EVERYTHING] + [acl(HERE, f"ALL CLUSTER {CLUSTER}")]
        self._create(first)

    def _create(self, entries):
        for result in self.admin.call("CreateAcls", 3, {"Creations": entries})["Results"]:
            assert result["ErrorCode"] == 0, result

    def _entries(self, host, principal):
        """The entries of the principal from the host that the broker's own authorizer has."""
        ask = {"ResourceTypeFilter": 1, "ResourceNameFilter": None, "PatternTypeFilter": 1, "PrincipalFilter": principal,
               "HostFilter": host, "Operation": 1, "PermissionType": 1}
        found = self.admin.call("DescribeAcls", 3, ask)["Resources"]
        return [{"ResourceType": r["ResourceType"], "ResourceName": r["ResourceName"], "ResourcePatternType": r["PatternType"],
                 "Principal": e["Principal"], "Host": e["Host"], "Operation": e["Operation"],
                 "PermissionType": e["PermissionType"]} for r in found for e in r["Acls"]]

    def allow(self, permissions, host=WALKER, principal=ANYBODY):
        """Exactly these permissions for the principal from the host. Returns once the broker's own authorizer has them."""
        # First what is new: without CLUSTER_ACTION a broker could not even pass the rest on to its controller.
        wanted = [acl(host, p, principal) for p in permissions]
        have = self._entries(host, principal)
        self._create([entry for entry in wanted if entry not in have])
        gone = [{"ResourceTypeFilter": e["ResourceType"], "ResourceNameFilter": e["ResourceName"], "HostFilter": host,
                 "PatternTypeFilter": e["ResourcePatternType"], "PrincipalFilter": e["Principal"],
                 "Operation": e["Operation"], "PermissionType": e["PermissionType"]} for e in have if e not in wanted]
        if gone:
            for result in self.admin.call("DeleteAcls", 3, {"Filters": gone})["FilterResults"]:
                assert result["ErrorCode"] == 0, result
        deadline = time.monotonic() + 10
        while True:
            if sorted(self._entries(host, principal), key=repr) == sorted(wanted, key=repr):
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: {permissions} are not in effect after 10 s")
            time.sleep(0.005)

    def topic(self, name, partitions=1):
        """Has the topic exist."""
        body = {"Topics": [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Assignments": [],
                            "Configs": []}], "timeoutMs": 10_000, "validateOnly": False}
        answer = self.admin.call("CreateTopics", 7, body)["Topics"][0]
        assert answer["ErrorCode"] in (0, 36), answer
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.admin.call("Metadata", 12, {"Topics": [{"TopicId": ZERO, "Name": name}],
                                                     "AllowAutoTopicCreation": False})["Topics"][0]
            leaders = [p["LeaderId"] for p in found["Partitions"]]
            if not found["ErrorCode"] and leaders and min(leaders) >= 0:
                self.ids[name] = found["TopicId"]
                return
            time.sleep(0.02)
        raise SystemExit(f"{self.name}: no leader for {name}")

    def record(self, topic):
        """Has the topic hold a record."""
        data = [{"Name": topic, "PartitionData": [{"Index": 0, "Records": wire.batch(wire.record_of(b"walk"), 1, 1_700_000_000_000, 0)}]}]
        answer = self.admin.call("Produce", 9, {"TransactionalId": None, "Acks": -1, "TimeoutMs": 5000, "TopicData": data})
        assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0, answer

    def id(self, name):
        return self.ids.get(name) or uuid.uuid5(uuid.NAMESPACE_DNS, name)

    def name_of(self, topic_id):
        if topic_id == ZERO:
            return "no id"
        return next((f"#{n}" for n, i in self.ids.items() if i == topic_id), f"#{topic_id}"
                    if topic_id == uuid.uuid5(uuid.NAMESPACE_DNS, "gone") else "#other")

    def settle(self):
        """Has the internal topics exist, a group with an offset, and a transactional id."""
        for api, body, done in (
            ("FindCoordinator", {"KeyType": 0, "CoordinatorKeys": ["listed"]}, lambda a: a["Coordinators"][0]["ErrorCode"]),
            ("FindCoordinator", {"KeyType": 1, "CoordinatorKeys": ["txn"]}, lambda a: a["Coordinators"][0]["ErrorCode"]),
            ("OffsetCommit", {"GroupId": "listed", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
                {"Name": "seen", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 0, "CommittedMetadata": ""}]}]},
             lambda a: a["Topics"][0]["Partitions"][0]["ErrorCode"]),
            ("ConsumerGroupHeartbeat", {"GroupId": "kip", "MemberId": str(uuid.uuid4()), "MemberEpoch": 0, "RebalanceTimeoutMs": 60_000,
                                        "SubscribedTopicNames": ["seen"], "TopicPartitions": []}, lambda a: a["ErrorCode"]),
            ("InitProducerId", {"TransactionalId": "txn", "TransactionTimeoutMs": 10_000}, lambda a: a["ErrorCode"]),
        ):
            version = {"FindCoordinator": 4, "OffsetCommit": 8, "ConsumerGroupHeartbeat": 1, "InitProducerId": 5}[api]
            deadline = time.monotonic() + 30
            while error := done(self.admin.call(api, version, body)):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self.name}: {api} answers {error}")
                time.sleep(0.1)
