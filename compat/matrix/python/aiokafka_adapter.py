"""aiokafka: asyncio."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import for_code

from adapter import NotApplicable, ask, decoded, encoded, tell


def refuse(code, text=""):
    if code:
        raise for_code(code)(text)


class Adapter:
    def __init__(self, bootstrap):
        self.base = {"bootstrap_servers": bootstrap}
        self.producers, self.consumers = {}, {}

    async def start(self):
        self.admin = AIOKafkaAdminClient(**self.base)
        await self.admin.start()

    # -- admin

    async def metadata(self):
        brokers = (await self.admin.describe_cluster())["brokers"]
        return {"brokers": [[b["node_id"], b["host"], b["port"]] for b in brokers], "topics": await self.admin.list_topics()}

    async def create_topic(self, topic, partitions, configs):
        got = await self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        refuse(got.topic_errors[0][1], str(got.topic_errors[0]))

    async def describe_topic(self, topic):
        got = (await self.admin.describe_topics([topic]))[0]
        refuse(got["error_code"])
        return {"partitions": [[p["partition"], p["leader"], p["replicas"], p["isr"]] for p in got["partitions"]]}

    async def delete_topic(self, topic):
        got = await self.admin.delete_topics([topic])
        refuse(got.topic_error_codes[0][1])

    async def describe_config(self, topic):
        got = await self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        (resource,) = got[0].resources
        refuse(resource[0])
        return {"configs": {entry[0]: entry[1] for entry in resource[4]}}

    async def alter_config(self, topic, configs):
        got = await self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
        refuse(got[0].resources[0][0])

    async def create_partitions(self, topic, count):
        got = await self.admin.create_partitions({topic: NewPartitions(count)})
        refuse(got.topic_errors[0][1])

    async def list_groups(self):
        return {"groups": [g[0] for g in await self.admin.list_consumer_groups()]}

    async def describe_group(self, group):
        (got,) = (await self.admin.describe_consumer_groups([group]))[0].groups
        refuse(got[0])
        return {"state": got[2], "members": len(got[5])}

    async def delete_group(self, group):
        raise NotApplicable("the client cannot delete a group")

    async def group_offsets(self, group, topic):
        got = await self.admin.list_consumer_group_offsets(group)
        return {"offsets": sorted([t.partition, o.offset] for t, o in got.items() if t.topic == topic)}

    async def alter_group_offsets(self, group, topic, offsets):
        # It has no such call: a consumer of that group without a subscription commits.
        consumer = AIOKafkaConsumer(**self.base, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, p) for p, _ in offsets])
            await consumer.commit({TopicPartition(topic, p): o for p, o in offsets})
        finally:
            await consumer.stop()

    async def offset(self, topic, partition, at):
        which = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(topic, **self.base)
        await consumer.start()
        try:
            if at == "earliest":
                return {"offset": (await consumer.beginning_offsets([which]))[which]}
            if at == "latest":
                return {"offset": (await consumer.end_offsets([which]))[which]}
            return {"offset": (await consumer.offsets_for_times({which: at}))[which].offset}
        finally:
            await consumer.stop()

    # -- producers

    async def open_producer(self, producer, codec="none", idempotent=False, transactional=None, max_bytes=None, timeout_ms=None):
        conf = {**self.base, "compression_type": None if codec == "none" else codec, "transactional_id": transactional,
                "enable_idempotence": idempotent or bool(transactional), "acks": "all", "linger_ms": 5}
        if max_bytes:
            conf.update({"max_request_size": max_bytes, "max_batch_size": max_bytes})
        if timeout_ms:
            conf["request_timeout_ms"] = timeout_ms
        self.producers[producer] = AIOKafkaProducer(**conf)
        await self.producers[producer].start()

    async def send(self, producer, topic, records):
        client = self.producers[producer]
        futures = [await client.send(topic, key=encoded(r["key"]), value=encoded(r["value"]), partition=r["partition"],
                                     timestamp_ms=r["timestamp"], headers=[(k, encoded(v)) for k, v in r["headers"]]) for r in records]
        done = await asyncio.gather(*futures)
        return {"offsets": [[d.partition, d.offset] for d in done]}

    async def close_producer(self, producer):
        await self.producers.pop(producer).stop()

    async def begin(self, producer):
        await self.producers[producer].begin_transaction()

    async def end(self, producer, commit):
        await (self.producers[producer].commit_transaction if commit else self.producers[producer].abort_transaction)()

    async def send_offsets(self, producer, consumer, group, offsets):
        await self.producers[producer].send_offsets_to_transaction({TopicPartition(t, p): o for t, p, o in offsets}, group)

    # -- consumers

    async def open_consumer(self, consumer, group=None, topics=(), protocol=None, instance=None, assign=None,
                            isolation="read_uncommitted"):
        if protocol == "consumer":
            raise NotApplicable("the client has no KIP-848 consumer protocol")
        if protocol == "cooperative":
            raise NotApplicable("the client has no cooperative rebalancing")
        made = AIOKafkaConsumer(**self.base, group_id=group, group_instance_id=instance, auto_offset_reset="earliest",
                                enable_auto_commit=False, isolation_level=isolation, fetch_max_wait_ms=50, heartbeat_interval_ms=300,
                                partition_assignment_strategy=[RangePartitionAssignor])
        if assign:
            await made.start()
            made.assign([TopicPartition(t, p) for t, p in assign])
        else:
            made.subscribe(topics)
            # Starting waits until the group gave it something: the driver has others to poll meanwhile.
            made.starting = asyncio.create_task(made.start())
        self.consumers[consumer] = made

    async def poll(self, consumer, ms):
        client = self.consumers[consumer]
        if hasattr(client, "starting"):
            done, _ = await asyncio.wait([client.starting], timeout=ms / 1000)
            if not done:
                return {"records": [], "assignment": []}
            client.starting.result()
        got = await client.getmany(timeout_ms=ms)
        return {"records": [{"topic": m.topic, "partition": m.partition, "offset": m.offset, "key": decoded(m.key), "value": decoded(m.value),
                             "headers": [[k, decoded(v)] for k, v in m.headers], "timestamp": m.timestamp}
                            for batch in got.values() for m in batch],
                "assignment": [[t.topic, t.partition] for t in client.assignment()]}

    async def commit(self, consumer, offsets):
        await self.consumers[consumer].commit({TopicPartition(t, p): o for t, p, o in offsets})

    async def close_consumer(self, consumer):
        await self.consumers.pop(consumer).stop()


async def main():
    client = Adapter(sys.argv[1])
    await client.start()
    while line := await asyncio.to_thread(sys.stdin.readline):
        do, arguments = ask(line)
        try:
            tell(await getattr(client, do)(**arguments))
        except Exception as e:  # noqa: BLE001 - the driver judges it
            tell(e)


asyncio.run(main())
