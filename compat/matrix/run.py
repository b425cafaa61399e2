"""The compatibility matrix: every client runs every scenario against Apache Kafka and against Klamm. See README.md."""

import argparse
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from compat.common import brokers, checks, jars, paths, schema  # noqa: E402
from compat.matrix import client as clients_process  # noqa: E402
from compat.matrix import applications, clients, own_tests, scenarios, session, table  # noqa: E402

RUN = os.path.join(clients.WORK, "run")
RESULTS, FINDINGS = os.path.join(paths.COMPAT, "RESULTS.md"), os.path.join(paths.COMPAT, "FINDINGS.md")
ALL = {**clients.CLIENTS, **applications.APPLICATIONS, **own_tests.SUITES}
SCENARIOS = {**scenarios.SCENARIOS, **applications.SCENARIOS}
SETTINGS = {"auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
            "offsets.topic.num.partitions": "5", "transaction.state.log.num.partitions": "5",
            "group.consumer.heartbeat.interval.ms": "500", "group.consumer.min.heartbeat.interval.ms": "500"}
# A busy machine takes its time.
brokers.Kafka.start_timeout = 240
SIDES = {"kafka": brokers.Kafka, "klamm": brokers.Klamm}


def one_run(client, side, names, schemas):
    """{scenario: (verdict, reason)} of one client at a broker of its own."""
    if isinstance(client, own_tests.Suite):
        return client.run(SIDES[side], names, lambda line: print(line, flush=True))
    work = os.path.join(RUN, client.name.replace("/", "-"))
    broker = SIDES[side](work, SETTINGS)
    broker.start()
    process = clients_process.Client(client.command(), broker.bootstrap, os.path.join(broker.work, "client.log"))
    out = {}
    try:
        for name in names:
            began = time.monotonic()
            s = session.Session(process, broker, schemas)
            try:
                SCENARIOS[name](s)
                out[name] = ("pass", "")
            except clients_process.NotApplicable as e:
                out[name] = ("n/a", str(e))
            except (Exception, SystemExit) as e:  # noqa: BLE001 - whatever went wrong is this cell's, and the other cells go on
                out[name] = ("fail", f"{type(e).__name__}: {e}")
            s.tidy()
            print(f"{out[name][0]:4} {client.name}, {side}, {name} ({time.monotonic() - began:.1f} s) {out[name][1]}".rstrip(), flush=True)
            if not broker.alive():
                broker.start()
    finally:
        process.close()
        broker.kill9()
    return out


def run_side(side, wanted, names, schemas, jobs):
    """{client: {scenario: (verdict, reason)}}; `names` tells the scenarios of a client."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {c.name: pool.submit(one_run, c, side, names(c), schemas) for c in wanted}
        return {name: future.result() for name, future in futures.items()}


def text_of(path):
    if not os.path.exists(path):
        return ""
    with open(path) as f:
        return f.read()


def check(wanted, names, schemas, jobs):
    """Runs against Klamm alone what the committed table has as passed: it must pass."""
    committed, _ = table.read(text_of(RESULTS))
    good = {c.name: [n for n in names(c) if committed.get(c.name, {}).get(n, ("",))[0] in ("pass", "Klamm only")] for c in wanted}
    run, klamm = checks.Checks(), run_side("klamm", wanted, lambda c: good[c.name], schemas, jobs)
    for client in wanted:
        missing = [n for n in names(client) if n not in committed.get(client.name, {})]
        run.check(f"{client.name}: every scenario is in the table", not missing, f"{missing}: run scripts/compat {client.name}")
        for name in good[client.name]:
            verdict, why = klamm[client.name][name]
            if verdict != "pass":
                # Some clients meet a race of their own on a busy machine.
                print(f"once more: {client.name}, {name}: {verdict}: {why}", flush=True)
                verdict, why = one_run(client, "klamm", [name], schemas)[name]
            run.check(f"{client.name}: {name}", verdict == "pass", f"{verdict}: {why}")
    run.finish()


def update(wanted, names, got):
    """Writes what was run into the table, and checks that whatever does not pass is explained."""
    cells, versions = table.read(text_of(RESULTS))
    for client in wanted:
        versions[client.name] = client.version
        known = cells.get(client.name, {})
        now = {n: table.cell(got["kafka"][client.name][n], got["klamm"][client.name][n]) for n in names(client)}
        cells[client.name] = {n: now.get(n) or known.get(n) for n in client.scenarios if n in now or n in known}
    order = dict.fromkeys(n for c in ALL.values() for n in c.scenarios)
    page = table.write(cells, versions, [(c.ecosystem, c.name) for c in ALL.values()], list(order))
    print(page)
    with open(RESULTS, "w") as f:
        f.write(page)
    run, findings = checks.Checks(), text_of(FINDINGS)
    for client in wanted:
        for name in names(client):
            state, why = cells[client.name][name], got["klamm"][client.name][name][1]
            good = state[0] not in ("fail", "fails on both") or table.explained(findings, client.name, name)
            run.check(f"{client.name}: {name}: {state[0]}", good, f"not in FINDINGS.md: {why}")
    run.finish()


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("clients", nargs="*", metavar="client", help="default: all of " + ", ".join(ALL) + "; with --check all but "
                    + ", ".join(own_tests.SUITES))
    ap.add_argument("--check", action="store_true", help="against Klamm alone: what the committed table has as passed must pass")
    ap.add_argument("--scenario", action="append", help="only this one; the table's other cells stay")
    ap.add_argument("--side", choices=list(SIDES), help="only this broker; the table stays as it is")
    ap.add_argument("--jobs", type=int, default=2, help="clients at once")
    options = ap.parse_args()
    if unknown := [c for c in options.clients if c not in ALL]:
        ap.error(f"no such client: {', '.join(unknown)}")
    if options.scenario and (unknown := set(options.scenario) - {n for c in ALL.values() for n in c.scenarios}):
        ap.error(f"no such scenario: {', '.join(unknown)}")
    wanted = [ALL[c] for c in options.clients or (c for c in ALL if not options.check or c not in own_tests.SUITES)]

    def names(client):
        return [n for n in client.scenarios if not options.scenario or n in options.scenario]
    schemas = schema.Schemas(jars.fetch())
    for client in wanted:
        client.command()
    if options.check:
        check(wanted, names, schemas, options.jobs)
    sides = [options.side] if options.side else list(SIDES)
    got = {side: run_side(side, wanted, names, schemas, options.jobs) for side in sides}
    if not options.side:
        update(wanted, names, got)
    bad = sum(verdict[0] == "fail" for cells in got[options.side].values() for verdict in cells.values())
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
