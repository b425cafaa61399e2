"""confluent-kafka for Python (librdkafka)."""

import sys

from confluent_kafka import (TIMESTAMP_NOT_AVAILABLE, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, Producer,
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)

from adapter import decoded, encoded, serve

ASSIGNORS = {"eager": "range", "cooperative": "cooperative-sticky"}


class Adapter:
    def __init__(self, bootstrap):
        self.base = {"bootstrap.servers": bootstrap}
        self.admin = AdminClient(self.base)
        self.producers, self.consumers, self.owned = {}, {}, {}

    # -- admin

    def metadata(self):
        got = self.admin.list_topics(timeout=10)
        return {"brokers": [[b.id, b.host, b.port] for b in got.brokers.values()], "topics": list(got.topics)}

    def create_topic(self, topic, partitions, configs):
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=configs)])[topic].result(20)

    def describe_topic(self, topic):
        got = self.admin.describe_topics(TopicCollection([topic]))[topic].result(20)
        return {"partitions": [[p.id, p.leader.id, [r.id for r in p.replicas], [r.id for r in p.isr]] for p in got.partitions]}

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])[topic].result(20)

    def describe_config(self, topic):
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return {"configs": {e.name: e.value for e in self.admin.describe_configs([resource])[resource].result(20).values()}}

    def alter_config(self, topic, configs):
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in configs.items()]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(20)

    def create_partitions(self, topic, count):
        self.admin.create_partitions([NewPartitions(topic, count)])[topic].result(20)

    def list_groups(self):
        return {"groups": [g.group_id for g in self.admin.list_consumer_groups().result(20).valid]}

    def describe_group(self, group):
        got = self.admin.describe_consumer_groups([group])[group].result(20)
        return {"state": got.state.name.title(), "members": len(got.members)}

    def delete_group(self, group):
        self.admin.delete_consumer_groups([group])[group].result(20)

    def group_offsets(self, group, topic):
        got = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
        return {"offsets": [[t.partition, t.offset] for t in got.topic_partitions if t.topic == topic]}

    def alter_group_offsets(self, group, topic, offsets):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p, o) for p, o in offsets])
        for partition in self.admin.alter_consumer_group_offsets([wanted])[group].result(20).topic_partitions:
            if partition.error:
                raise KafkaException(partition.error)

    def offset(self, topic, partition, at):
        spec = {"earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest}.get(at, lambda: OffsetSpec.for_timestamp(at))()
        which = TopicPartition(topic, partition)
        got = self.admin.list_offsets({which: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {"offset": got[which].result(20).offset}

    # -- producers

    def open_producer(self, producer, codec="none", idempotent=False, transactional=None, max_bytes=None, timeout_ms=30_000):
        conf = {**self.base, "compression.type": codec, "enable.idempotence": idempotent or bool(transactional), "linger.ms": 5,
                "message.timeout.ms": timeout_ms}
        if transactional:
            conf["transactional.id"] = transactional
            conf["transaction.timeout.ms"] = timeout_ms
        if max_bytes:
            conf.update({"message.max.bytes": max_bytes, "batch.size": max_bytes})
        made = Producer(conf)
        if transactional:
            made.init_transactions(20)
        self.producers[producer] = made

    def send(self, producer, topic, records):
        client, done = self.producers[producer], [None] * len(records)

        def report(i):
            def delivered(error, message):
                done[i] = error or [message.partition(), message.offset()]
            return delivered
        for i, r in enumerate(records):
            time = {} if r["timestamp"] is None else {"timestamp": r["timestamp"]}
            client.produce(topic, key=encoded(r["key"]), value=encoded(r["value"]), partition=r["partition"], on_delivery=report(i),
                           headers=[(k, encoded(v)) for k, v in r["headers"]], **time)
        client.flush(40)
        for outcome in done:
            if outcome is not None and not isinstance(outcome, list):
                raise KafkaException(outcome)
        return {"offsets": done}

    def close_producer(self, producer):
        self.producers.pop(producer).flush(5)

    def begin(self, producer):
        self.producers[producer].begin_transaction()

    def end(self, producer, commit):
        (self.producers[producer].commit_transaction if commit else self.producers[producer].abort_transaction)(20)

    def send_offsets(self, producer, consumer, group, offsets):
        metadata = self.consumers[consumer].consumer_group_metadata()
        self.producers[producer].send_offsets_to_transaction([TopicPartition(*o) for o in offsets], metadata, 20)

    # -- consumers

    def open_consumer(self, consumer, group=None, topics=(), protocol=None, instance=None, assign=None, isolation="read_uncommitted"):
        conf = {**self.base, "group.id": group or f"no-group-{consumer}", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                "isolation.level": isolation, "fetch.wait.max.ms": 50}
        if protocol == "consumer":
            conf["group.protocol"] = "consumer"
        elif protocol:
            conf.update({"partition.assignment.strategy": ASSIGNORS[protocol], "session.timeout.ms": 10_000,
                         "heartbeat.interval.ms": 300})
        if instance:
            conf["group.instance.id"] = instance
        made = Consumer(conf)
        if assign:
            made.assign([TopicPartition(t, p, 0) for t, p in assign])
        else:
            made.subscribe(topics)
        self.consumers[consumer] = made

    def poll(self, consumer, ms):
        client, out = self.consumers[consumer], []
        for m in client.consume(1000, ms / 1000):
            if m.error():
                raise KafkaException(m.error())
            kind, time = m.timestamp()
            out.append({"topic": m.topic(), "partition": m.partition(), "offset": m.offset(), "key": decoded(m.key()),
                        "value": decoded(m.value()), "headers": [[k, decoded(v)] for k, v in m.headers() or []],
                        "timestamp": None if kind == TIMESTAMP_NOT_AVAILABLE else time})
        return {"records": out, "assignment": [[t.topic, t.partition] for t in client.assignment()]}

    def commit(self, consumer, offsets):
        for partition in self.consumers[consumer].commit(offsets=[TopicPartition(*o) for o in offsets], asynchronous=False):
            if partition.error:
                raise KafkaException(partition.error)

    def close_consumer(self, consumer):
        self.consumers.pop(consumer).close()


serve(Adapter(sys.argv[1]))
