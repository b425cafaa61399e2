"""Short ways to write the steps of the lock-step test; see producers.py and common/sides.py for what the texts in a body stand for.

A step is asked again while a transaction that is being ended stands in its way, as clients do, but with `once`.
"""


def init(who="p", v=5, id="~i", timeout=60_000, producer=-1, epoch=-1, **more):
    body = {"TransactionalId": id, "TransactionTimeoutMs": timeout}
    if v >= 3:
        body.update(ProducerId=producer, ProducerEpoch=epoch)
    return {"api": "InitProducerId", "v": v, "body": body, "bind": who, **more}


def recover(who="p", v=5, epoch="+0", **more):
    """The producer says what it has (KIP-360)."""
    return init(who, v, producer=f"${who}.id", epoch=f"${who}.epoch{epoch}", **more)


def _topics(partitions):
    return [{"Name": name, "Partitions": list(numbers)} for name, numbers in partitions.items()]


def add(who="p", partitions=None, v=3, id="~i", epoch="+0", producer=None, verify=False, **more):
    partitions = _topics({"~t": [0]} if partitions is None else partitions)
    producer, epoch = f"${who}.id" if producer is None else producer, f"${who}.epoch{epoch}"
    if v >= 4:
        body = {"Transactions": [{"TransactionalId": id, "ProducerId": producer, "ProducerEpoch": epoch, "VerifyOnly": verify, "Topics": partitions}]}
    else:
        body = {"V3AndBelowTransactionalId": id, "V3AndBelowProducerId": producer, "V3AndBelowProducerEpoch": epoch, "V3AndBelowTopics": partitions}
    return {"api": "AddPartitionsToTxn", "v": v, "body": body, **more}


def add_offsets(who="p", group="~g", v=4, id="~i", epoch="+0", producer=None, **more):
    return {"api": "AddOffsetsToTxn", "v": v, "body": {"TransactionalId": id, "ProducerId": f"${who}.id" if producer is None else producer,
                                                      "ProducerEpoch": f"${who}.epoch{epoch}", "GroupId": group}, **more}


def end(who="p", commit=True, v=4, id="~i", epoch="+0", producer=None, **more):
    return {"api": "EndTxn", "v": v, "body": {"TransactionalId": id, "ProducerId": f"${who}.id" if producer is None else producer,
                                             "ProducerEpoch": f"${who}.epoch{epoch}", "Committed": commit}, "bind": who, **more}


def txn_commit(who="p", offsets=None, group="~g", v=4, id="~i", epoch="+0", producer=None, generation=-1, member="", instance=None, **more):
    """Offsets of a group: {"~t": [(partition, offset)]}"""
    offsets = {"~t": [(0, 5)]} if offsets is None else offsets
    body = {"TransactionalId": id, "GroupId": group, "ProducerId": f"${who}.id" if producer is None else producer, "ProducerEpoch": f"${who}.epoch{epoch}",
            "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": p, "CommittedOffset": o, "CommittedMetadata": "m"} for p, o in pairs]}
                       for name, pairs in offsets.items()]}
    if v >= 3:
        body.update(GenerationId=generation, MemberId=member, GroupInstanceId=instance)
    return {"api": "TxnOffsetCommit", "v": v, "body": body, **more}


def produce(who="p", partition=0, v=11, id="~i", epoch="+0", sequence="+0", topic="~t", value="v", acks=-1, **more):
    records = f"rec:{who}:{epoch}:{sequence}:{topic}:{partition}:{value}"
    return {"api": "Produce", "v": v, "body": {"TransactionalId": id, "Acks": acks, "TimeoutMs": 5000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}]}, **more}


def markers(*given, v=1):
    """Each: (who, epoch, commit, {topic: partitions}, the coordinator's epoch, the transaction's version)"""
    listed = []
    for who, epoch, commit, partitions, coordinator, version in given:
        topics = [{"Name": name, "PartitionIndexes": list(numbers)} for name, numbers in partitions.items()]
        marker = {"ProducerId": f"${who}.id", "ProducerEpoch": f"${who}.epoch{epoch}", "TransactionResult": commit, "Topics": topics, "CoordinatorEpoch": coordinator}
        listed.append({**marker, "TransactionVersion": version} if v >= 2 else marker)
    return {"api": "WriteTxnMarkers", "v": v, "body": {"Markers": listed}}


def listing(states=(), producers=(), duration=-1, pattern=None, v=2):
    body = {"StateFilters": list(states), "ProducerIdFilters": list(producers)}
    if v >= 1:
        body["DurationFilter"] = duration
    if v >= 2:
        body["TransactionalIdPattern"] = pattern
    return {"api": "ListTransactions", "v": v, "body": body}


def describe(*ids):
    return {"api": "DescribeTransactions", "v": 0, "body": {"TransactionalIds": list(ids or ["~i"])}}


def describe_producers(partitions=None):
    partitions = {"~t": [0, 1]} if partitions is None else partitions
    return {"api": "DescribeProducers", "v": 0, "body": {"Topics": [{"Name": n, "PartitionIndexes": list(p)} for n, p in partitions.items()]}}


def fetch(partition, committed, topic="~t"):
    return {"api": "Fetch", "v": 11, "body": {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "IsolationLevel": int(committed), "SessionId": 0, "SessionEpoch": -1,
            "ReplicaId": -1, "Topics": [{"Topic": topic, "Partitions": [{"Partition": partition, "CurrentLeaderEpoch": -1, "FetchOffset": 0, "LogStartOffset": -1,
                                                                        "PartitionMaxBytes": 1 << 20}]}], "RackId": ""}}


def end_offsets(committed, topic="~t", partitions=(0, 1)):
    return {"api": "ListOffsets", "v": 5, "body": {"ReplicaId": -1, "IsolationLevel": int(committed), "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": p, "CurrentLeaderEpoch": -1, "Timestamp": -1} for p in partitions]}]}}


def offsets_of(group="~g", stable=False):
    return {"api": "OffsetFetch", "v": 7, "body": {"GroupId": group, "Topics": None, "RequireStable": stable}}


def look():
    """How the log reads, in both isolation levels, and what is known of producers and transactions."""
    return [end_offsets(False), end_offsets(True), *(fetch(p, committed) for p in (0, 1) for committed in (False, True)), describe_producers(), describe(), offsets_of()]
