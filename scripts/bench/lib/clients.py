"""The clients that drive the brokers: librdkafka's rdkafka_performance and Kafka's own performance classes.

rdkafka_performance is built once from the source that the package rdkafka-sys carries; Kafka's jars come through
compat/common/jars.py. Both stay in work folders.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time

from compat.common import jars

PRODUCED = re.compile(r"% (\d+) messages produced \((\d+) bytes\), (\d+) delivered \(offset -?\d+, (\d+) failed\) in (\d+)ms")
CONSUMED = re.compile(r"% (\d+) messages \((\d+) bytes\) consumed in (\d+)ms")
JAVA_PRODUCED = re.compile(r"(\d+) records sent, ([\d.]+) records/sec \(([\d.]+) MB/sec\)")


class Run:
    """What a client did: records, payload bytes, milliseconds by its own clock, CPU seconds; `error` is None or why not."""

    def __init__(self, records=0, size=0, ms=0.0, cpu=0.0, error=None, output=""):
        self.records, self.bytes, self.ms, self.cpu, self.error, self.output = records, size, ms, cpu, error, output


def execute(argv, timeout, env=None):
    """(output, CPU seconds, exit code or "timeout") of a child process; both streams in one text."""
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    pieces = []
    reader = threading.Thread(target=lambda: pieces.append(p.stdout.read()))
    reader.start()
    began, code = time.monotonic(), None
    while True:
        pid, status, used = os.wait4(p.pid, os.WNOHANG)
        if pid:
            break
        if code is None and time.monotonic() - began > timeout:
            p.kill()
            code = "timeout"
        time.sleep(0.002)
    p.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    return b"".join(pieces).decode(errors="replace"), used.ru_utime + used.ru_stime, p.returncode if code is None else code


# ---------------------------------------------------------------- librdkafka

def rdkafka_performance(places, tls):
    """The path of rdkafka_performance, built on first use."""
    work = os.path.join(places["work"], "librdkafka-tls" if tls else "librdkafka")
    program = os.path.join(work, "examples", "rdkafka_performance")
    if not os.access(program, os.X_OK):
        print("# building rdkafka_performance", flush=True)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(_librdkafka_source(places["repo"]), work)
        subprocess.run(["chmod", "-R", "u+w", work], check=True)
        without = [] if tls else ["--disable-ssl"]
        for argv in (["./configure", *without, "--disable-gssapi", "--disable-curl"], ["make", "-j2", "libs"],
                     ["make", "-C", "examples", "rdkafka_performance"]):
            r = subprocess.run(argv, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if r.returncode:
                raise SystemExit(f"{' '.join(argv)} in {work} failed:\n{r.stdout.decode(errors='replace')[-2000:]}")
    return program


def _librdkafka_source(repo):
    meta = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=repo, check=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    for package in meta["packages"]:
        if package["name"] == "rdkafka-sys":
            return os.path.join(os.path.dirname(package["manifest_path"]), "librdkafka")
    raise SystemExit("the crate rdkafka-sys is no dependency any more: where should librdkafka's source come from?")


class Librdkafka:
    """With `tls` it needs OpenSSL's headers to be built."""

    def __init__(self, places, tls=False):
        self.program = rdkafka_performance(places, tls)
        self.env = dict(os.environ, LD_LIBRARY_PATH=os.path.join(os.path.dirname(os.path.dirname(self.program)), "src"))

    def command(self, *args):
        return [self.program] + [str(a) for a in args]

    def produce(self, broker, topic, size, count, partition=0, properties=(), timeout=300):
        argv = self.command("-P", "-t", topic, "-b", broker.bootstrap, "-s", size, "-c", count, "-a", -1, "-q", "-X", "queue.buffering.max.kbytes=131072",
                            "-X", "queue.buffering.max.messages=1000000")
        argv += ["-p", str(partition)] if partition is not None else []
        for p in properties:
            argv += ["-X", p]
        out, cpu, code = execute(argv, timeout, self.env)
        found = list(PRODUCED.finditer(out))
        if not found:
            return Run(cpu=cpu, error=f"exit {code}: {out[-500:]}", output=out)
        m = found[-1]
        done, failed = int(m[3]), int(m[4])
        error = None if done >= count and not failed else f"{done} of {count} delivered, {failed} failed: {out[-300:]}"
        return Run(done, done * size, float(m[5]), cpu, error, out)

    def consume(self, broker, topic, count, properties=(), timeout=300):
        argv = self.command("-C", "-t", topic, "-p", 0, "-b", broker.bootstrap, "-o", "beginning", "-c", count, "-q")
        for p in properties:
            argv += ["-X", p]
        out, cpu, code = execute(argv, timeout, self.env)
        found = list(CONSUMED.finditer(out))
        if not found:
            return Run(cpu=cpu, error=f"exit {code}: {out[-500:]}", output=out)
        m = found[-1]
        error = None if int(m[1]) >= count else f"{m[1]} of {count} consumed: {out[-300:]}"
        return Run(int(m[1]), int(m[2]), float(m[3]), cpu, error, out)


# ---------------------------------------------------------------- Java

class Java:
    """Kafka's ProducerPerformance and ConsumerPerformance, and a consumer of ours that assigns instead of subscribing (for
    brokers without consumer groups)."""

    def __init__(self, here):
        self.classes = jars.compiled("bench", jars.sources(os.path.join(here, "java")))

    def _run(self, main, args, timeout):
        return execute(jars.java(main, [str(a) for a in args], heap="512m", classes=[self.classes]), timeout)

    def produce(self, broker, topic, size, count, properties=(), timeout=300, options=()):
        extra = [] if 22 in broker.apis else ["enable.idempotence=false"]
        out, cpu, code = self._run("org.apache.kafka.tools.ProducerPerformance", [
            "--bootstrap-server", broker.bootstrap, "--topic", topic, "--num-records", count, "--record-size", size, "--throughput", -1,
            *options, "--command-property", "acks=all", *extra, *properties], timeout)
        found = list(JAVA_PRODUCED.finditer(out))
        if not found or code:
            return Run(cpu=cpu, error=f"exit {code}: {out[-500:]}", output=out)
        m = found[-1]
        done = int(m[1])
        return Run(done, done * size, done / float(m[2]) * 1e3, cpu, None if done >= count else f"{done} of {count} sent", out)

    def consume(self, broker, topic, count, timeout=300):
        """Our consumer, by assignment."""
        out, cpu, code = self._run("BenchConsumer", [broker.bootstrap, topic, count], timeout)
        words = out.split()
        if code or len(words) < 3:
            return Run(cpu=cpu, error=f"exit {code}: {out[-500:]}", output=out)
        return Run(int(words[-3]), int(words[-2]), float(words[-1]), cpu, None, out)

    def consume_group(self, broker, topic, count, timeout=300):
        """kafka-consumer-perf-test: needs consumer groups at the broker."""
        out, cpu, code = self._run("org.apache.kafka.tools.ConsumerPerformance", [
            "--bootstrap-server", broker.bootstrap, "--topic", topic, "--num-records", count, "--hide-header", "--timeout", 60000], timeout)
        rows = [line.split(", ") for line in out.splitlines() if line.count(", ") >= 9]
        if code or not rows:
            return Run(cpu=cpu, error=f"exit {code}: {out[-500:]}", output=out)
        row = rows[-1]
        # start, end, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, ...
        return Run(int(row[4]), int(float(row[2]) * (1 << 20)), float(row[7]), cpu, None, out)

    def transactions(self, broker, topic, partitions, records, size, rate, producers, seconds):
        """See BenchTransactions: (output, CPU seconds, exit code)."""
        return self._run("BenchTransactions", [broker.bootstrap, topic, partitions, records, size, rate, producers, seconds], seconds * 5 + 60)

    def changelog(self, broker, topic, records, keys, value, timeout=1200):
        """See BenchChangelog. None, or why not."""
        out, _, code = self._run("BenchChangelog", [broker.bootstrap, topic, records, keys, value], timeout)
        return None if code == 0 else f"exit {code}: {out[-500:]}"
