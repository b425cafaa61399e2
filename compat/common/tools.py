"""Kafka's command line tools in one JVM: `Tools.run(tool, arguments)` returns what the tool printed and its exit code.

A JVM start costs about a second, a tool that is already loaded a tenth of that; see compat/java/src/ToolDriver.java.
"""

import atexit
import json
import os
import select
import subprocess

from . import jars, paths

MAIN = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-replica-verification": "org.apache.kafka.tools.ReplicaVerificationTool",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "fixed-producer": "FixedProducer",
}


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def text(self):
        """What a user sees, in a form that can be compared line by line."""
        parts = [self.out]
        if self.err:
            parts.append("--- standard error\n" + self.err)
        parts.append(f"--- exit code {self.code}\n")
        return "".join(p if p.endswith("\n") or not p else p + "\n" for p in parts)


class Tools:
    def __init__(self, work):
        self.work = work
        self.process = None
        os.makedirs(work, exist_ok=True)
        atexit.register(self.close, kill=True)

    def _start(self):
        classes = jars.compiled("driver", jars.sources(os.path.join(paths.JAVA, "src")))
        argv = jars.java("ToolDriver", [], heap="512m", classes=[classes])
        argv.insert(1, f"-Dtools.log={os.path.join(self.work, 'tools.log')}")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(os.path.join(self.work, "driver.err"), "ab"), start_new_session=True)

    def run(self, tool, args, stdin="", timeout=60):
        if self.process is None:
            self._start()
        ask = {"main": MAIN[tool], "args": [str(a) for a in args], "stdin": stdin, "timeoutMs": int(timeout * 1000)}
        self.process.stdin.write(json.dumps(ask).encode() + b"\n")
        self.process.stdin.flush()
        # The driver answers a tool that hangs by itself; the longer wait here is for a driver that does.
        ready, _, _ = select.select([self.process.stdout], [], [], timeout + 60)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.close(kill=True)
            return Result(-1, "", f"{tool}: the driver gave no answer\n")
        answer = json.loads(line)
        if answer["hung"]:
            self.close(kill=True)
            return Result(-1, answer["out"], answer["err"] + f"\n{tool}: no end within {timeout} s\n")
        return Result(answer["code"], answer["out"], answer["err"])

    def run_alone(self, tool, args, stdin="", timeout=60):
        """The same in a JVM of its own, for a tool whose last words come from a shutdown hook of the JVM."""
        argv = jars.java(MAIN[tool], [str(a) for a in args])
        try:
            r = subprocess.run(argv, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        except subprocess.TimeoutExpired as e:
            return Result(-1, (e.stdout or b"").decode(errors="replace"), f"{tool}: no end within {timeout} s\n")
        return Result(r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace"))

    def close(self, kill=False):
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
