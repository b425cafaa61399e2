"""A record through the broker of testcontainers-python's KafkaContainer, whose image is ours."""

import sys
import time

from confluent_kafka import Consumer, Producer
from testcontainers.kafka import KafkaContainer

began = time.monotonic()
with KafkaContainer(sys.argv[1]).with_kraft() as kafka:
    started = time.monotonic()
    bootstrap = {"bootstrap.servers": kafka.get_bootstrap_server()}
    producer = Producer(bootstrap)
    producer.produce("t", b"value", b"key")
    assert producer.flush(20) == 0, "the record was not delivered"
    consumer = Consumer(bootstrap | {"group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["t"])
    record = consumer.poll(30)
    assert record is not None and record.error() is None and record.value() == b"value", record
    consumer.close()
    print(f"ok KafkaContainer in {(time.monotonic() - began) * 1000:.0f} ms, of which the start {(started - began) * 1000:.0f}")
