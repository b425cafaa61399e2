"""The processes that scenarios talk to, a line each way: Java's clients and its administration in one, librdkafka's producers in another."""

import os

from compat.common import jars, librdkafka, paths
from compat.common.talk import Client

HERE = os.path.join(paths.COMPAT, "transactions")


def java(work, broker):
    classes = jars.compiled("transactions", jars.sources(os.path.join(HERE, "src")))
    return Client(jars.java("TransactionClients", [broker.bootstrap], classes=[classes]), os.path.join(work, "java.err"))


def rdkafka(work, _broker):
    return Client([librdkafka.program(os.path.join(HERE, "src", "transaction_client.c"))], os.path.join(work, "rdkafka.err"))
