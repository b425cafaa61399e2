"""kafka-python."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import for_code
from kafka.structs import OffsetAndMetadata

from adapter import NotApplicable, decoded, encoded, serve

ASSIGNORS = {"eager": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}


class Adapter:
    def __init__(self, bootstrap):
        self.base = {"bootstrap_servers": bootstrap}
        self.lazy = None
        self.producers, self.consumers = {}, {}

    @property
    def admin(self):
        if self.lazy is None:
            self.lazy = KafkaAdminClient(**self.base)
        return self.lazy

    # -- admin

    def metadata(self):
        brokers = self.admin.describe_cluster()["brokers"]
        return {"brokers": [[b.get("node_id", b.get("broker_id")), b["host"], b["port"]] for b in brokers],
                "topics": self.admin.list_topics()}

    def create_topic(self, topic, partitions, configs):
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})

    def describe_topic(self, topic):
        got = self.admin.describe_topics([topic])[0]
        if got["error_code"]:
            raise for_code(got["error_code"])()
        return {"partitions": [[p["partition_index"], p["leader_id"], p["replica_nodes"], p["isr_nodes"]] for p in got["partitions"]]}

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def describe_config(self, topic):
        got = self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        (of_type,) = got.values()
        return {"configs": {k: v["value"] for k, v in of_type[topic].items()}}

    def alter_config(self, topic, configs):
        got = self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
        (of_type,) = got.values()
        if of_type[topic] != "OK":
            # It tells an error as text: "[Error 40] InvalidConfigurationError: ..."
            raise for_code(int(of_type[topic].split("]")[0].removeprefix("[Error ")))(of_type[topic])

    def create_partitions(self, topic, count):
        self.admin.create_partitions({topic: count})

    def list_groups(self):
        return {"groups": [g["group_id"] for g in self.admin.list_groups()]}

    def describe_group(self, group):
        got = self.admin.describe_groups([group])[group]
        return {"state": got["group_state"], "members": len(got["members"])}

    def delete_group(self, group):
        outcome = self.admin.delete_groups([group])[group]
        if outcome != "OK":
            raise RuntimeError(outcome)

    def group_offsets(self, group, topic):
        got = self.admin.list_group_offsets({group: None})[group]
        return {"offsets": [[t.partition, o.offset] for t, o in got.items() if t.topic == topic]}

    def alter_group_offsets(self, group, topic, offsets):
        wanted = {TopicPartition(topic, p): OffsetAndMetadata(o, "", -1) for p, o in offsets}
        for outcome in self.admin.alter_group_offsets(group, wanted).values():
            if getattr(outcome, "errno", 0):
                raise outcome()

    def offset(self, topic, partition, at):
        which = TopicPartition(topic, partition)
        consumer = KafkaConsumer(**self.base)
        try:
            if at == "earliest":
                return {"offset": consumer.beginning_offsets([which])[which]}
            if at == "latest":
                return {"offset": consumer.end_offsets([which])[which]}
            return {"offset": consumer.offsets_for_times({which: at})[which].offset}
        finally:
            consumer.close()

    # -- producers

    def open_producer(self, producer, codec="none", idempotent=False, transactional=None, max_bytes=None, timeout_ms=30_000):
        conf = {**self.base, "compression_type": None if codec == "none" else codec, "enable_idempotence": idempotent or bool(transactional),
                "transactional_id": transactional, "delivery_timeout_ms": timeout_ms, "max_block_ms": timeout_ms,
                "request_timeout_ms": min(10_000, timeout_ms - 100), "linger_ms": 5}
        if max_bytes:
            conf.update({"max_request_size": max_bytes + 100_000, "batch_size": max_bytes})
        made = KafkaProducer(**conf)
        if transactional:
            made.init_transactions()
        self.producers[producer] = made

    def send(self, producer, topic, records):
        client = self.producers[producer]
        futures = [client.send(topic, key=encoded(r["key"]), value=encoded(r["value"]), partition=r["partition"],
                               timestamp_ms=r["timestamp"], headers=[(k, encoded(v)) for k, v in r["headers"]]) for r in records]
        client.flush(40)
        done = [f.get(40) for f in futures]
        return {"offsets": [[d.partition, d.offset] for d in done]}

    def close_producer(self, producer):
        self.producers.pop(producer).close(5)

    def begin(self, producer):
        self.producers[producer].begin_transaction()

    def end(self, producer, commit):
        (self.producers[producer].commit_transaction if commit else self.producers[producer].abort_transaction)()

    def send_offsets(self, producer, consumer, group, offsets):
        wanted = {TopicPartition(t, p): OffsetAndMetadata(o, "", -1) for t, p, o in offsets}
        self.producers[producer].send_offsets_to_transaction(wanted, self.consumers[consumer].group_metadata())

    # -- consumers

    def open_consumer(self, consumer, group=None, topics=(), protocol=None, instance=None, assign=None, isolation="read_uncommitted"):
        if protocol == "consumer":
            raise NotApplicable("the client has no KIP-848 consumer protocol")
        conf = {**self.base, "group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False, "isolation_level": isolation,
                "fetch_max_wait_ms": 50}
        if protocol:
            conf.update({"partition_assignment_strategy": [ASSIGNORS[protocol]], "session_timeout_ms": 10_000,
                         "heartbeat_interval_ms": 300})
        if instance:
            conf["group_instance_id"] = instance
        made = KafkaConsumer(**conf)
        if assign:
            made.assign([TopicPartition(t, p) for t, p in assign])
        else:
            made.subscribe(topics)
        self.consumers[consumer] = made

    def poll(self, consumer, ms):
        client = self.consumers[consumer]
        got = client.poll(timeout_ms=ms)
        return {"records": [{"topic": m.topic, "partition": m.partition, "offset": m.offset, "key": decoded(m.key), "value": decoded(m.value),
                             "headers": [[k, decoded(v)] for k, v in m.headers], "timestamp": m.timestamp}
                            for batch in got.values() for m in batch],
                "assignment": [[t.topic, t.partition] for t in client.assignment()]}

    def commit(self, consumer, offsets):
        self.consumers[consumer].commit({TopicPartition(t, p): OffsetAndMetadata(o, "", -1) for t, p, o in offsets})

    def close_consumer(self, consumer):
        self.consumers.pop(consumer).close()


serve(Adapter(sys.argv[1]))
