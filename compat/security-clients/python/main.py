"""confluent-kafka: what the standard input asks for, a JSON object a line, answered by one a line. See ../README.md."""

import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

PATIENCE = 20
# A connection that ended is tried again for ever: the run wants to know at once.
FATAL = {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._TRANSPORT}


def config(ask, errors):
    out = {
        "bootstrap.servers": ask["address"],
        "security.protocol": ask["protocol"],
        "error_cb": lambda error: errors.append(error.str()) if error.code() in FATAL else None,
    }
    if "mechanism" in ask:
        out["sasl.mechanism"] = ask["mechanism"]
    if "username" in ask:
        out |= {"sasl.username": ask["username"], "sasl.password": ask["password"]}
    if "token" in ask:
        # Whether a token is still good is for the broker to say.
        out["oauth_cb"] = lambda _: (ask["token"], time.time() + 3600)
    for name, setting in (("ca", "ssl.ca.location"), ("certificate", "ssl.certificate.location"), ("key", "ssl.key.location")):
        if name in ask:
            out[setting] = ask[name]
    return out


def carry(ask):
    errors, topic, count = [], ask["topic"], ask["records"]
    delivered = []

    def on_delivery(error, message):
        if error:
            errors.append(error.str())
        else:
            delivered.append(message.offset())

    deadline = time.monotonic() + PATIENCE
    producer = Producer({**config(ask, errors), "message.timeout.ms": 15000, "linger.ms": 0})
    for number in range(count):
        producer.produce(topic, f"{topic}-{number}".encode(), partition=0, on_delivery=on_delivery)
    while len(delivered) < count and not errors:
        if time.monotonic() > deadline:
            return {"error": "the records were not delivered in time"}
        producer.poll(0.05)
    if errors:
        producer.purge()
        return {"error": errors[0]}

    read = []
    consumer = Consumer({**config(ask, errors), "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    while len(read) < count and not errors and time.monotonic() < deadline:
        message = consumer.poll(0.05)
        if message is not None and message.error():
            errors.append(message.error().str())
        elif message is not None:
            read.append(message.value().decode())
    consumer.close()
    return {"error": errors[0]} if errors else {"records": read}


for line in sys.stdin:
    try:
        answer = carry(json.loads(line))
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
