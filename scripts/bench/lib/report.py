"""Tables, paired ratios, and the bars that the project set itself."""

# kind -> [(key, heading, format)]
COLUMNS = {
    "start": [("start_ms", "start ms", ".1f"), ("start_cpu_ms", "CPU ms", ".0f"), ("rss_mb", "idle MB", ".1f"), ("anon_mb", "anon MB", ".1f"),
              ("threads", "threads", ".0f"), ("idle_cpu_ms_s", "idle CPU ms/s", ".2f")],
    "partitions": [("create_s", "create s", ".1f"), ("rss_created_mb", "MB then", ".0f"), ("stop_s", "stop s", ".1f"), ("restart_ms", "restart ms", ".0f"),
                   ("all_leaders_ms", "all led ms", ".0f"), ("rss_mb", "idle MB", ".1f"), ("anon_mb", "anon MB", ".1f"), ("idle_cpu_ms_s", "idle CPU ms/s", ".2f")],
    "throughput": [("records_s", "records/s", ",.0f"), ("mb_s", "MB/s", ".0f"), ("cpu_gb", "CPU-s/GB", ".3f"), ("cpu_million", "CPU-s/million", ".3f"),
                   ("peak_mb", "peak MB", ".0f"), ("client_cpu_gb", "client CPU-s/GB", ".2f"), ("other", "other", ".2f")],
    "latency": [("rate", "records/s", ",.0f"), ("ack_p50", "ack p50 us", ",.0f"), ("ack_p99", "p99", ",.0f"), ("ack_p999", "p99.9", ",.0f"),
                ("end_p50", "end-to-end p50 us", ",.0f"), ("end_p99", "p99", ",.0f"), ("end_p999", "p99.9", ",.0f"), ("cpu_us_record", "CPU us/record", ".1f"),
                ("other", "other", ".2f")],
    "flush": [("records_s", "records/s", ",.0f"), ("mb_s", "MB/s", ".1f"), ("cpu_gb", "CPU-s/GB", ".2f"), ("p50_us", "p50 us", ",.0f"), ("p99_us", "p99 us", ",.0f"),
              ("errors", "errors", ".0f")],
    "connections": [("records_s", "requests/s", ",.0f"), ("errors", "errors", ".0f"), ("p50_us", "p50 us", ",.0f"), ("p99_us", "p99 us", ",.0f"),
                    ("cpu_us_request", "CPU us/request", ".1f"), ("peak_mb", "peak MB", ".0f")],
    "commits": [("rate", "commits/s", ",.0f"), ("p50_us", "p50 us", ",.0f"), ("p99_us", "p99 us", ",.0f"), ("p999_us", "p99.9 us", ",.0f"),
                ("cpu_us_request", "CPU us/commit", ".1f"), ("peak_mb", "peak MB", ".0f")],
    "rebalance": [("rebalance_ms", "leave to all assigned ms", ",.0f"), ("rebalance_cpu_ms", "CPU ms", ",.1f"), ("first_wait_ms", "first join waits ms", ",.0f")],
    "transactions": [("rate", "transactions/s", ",.0f"), ("p50_us", "commit p50 us", ",.0f"), ("p99_us", "p99 us", ",.0f"),
                     ("cpu_million", "CPU-s/million records", ".2f"), ("peak_mb", "peak MB", ".0f"), ("other", "other", ".2f")],
    "logins": [("logins_s", "logins/s", ",.0f"), ("cpu_ms_login", "CPU ms/login", ".2f"), ("p50_us", "p50 us", ",.0f"), ("p99_us", "p99 us", ",.0f"),
               ("peak_mb", "peak MB", ".0f")],
    "compaction": [("size_mb", "MB", ",.0f"), ("once_s", "read and written once s", ".1f"), ("seconds", "compacted s", ".1f"),
                   ("times_once", "of once", ".2f"), ("mb_s", "MB/s", ".0f"), ("cpu_s", "CPU s", ".1f"), ("rss_growth_mb", "MB more", ".0f"),
                   ("quiet_p99", "producer p99 us, quiet", ",.0f"), ("busy_p99", "meanwhile", ",.0f"), ("times_quiet", "of quiet", ".2f")],
    "cluster start": [("start_s", "start s", ".2f"), ("rss_mb", "MB of a node", ".1f")],
    "cluster topics": [("create_s", "created s", ".2f"), ("delete_s", "deleted s", ".2f"), ("empty_mb", "MB of a node before", ".0f"), ("many_mb", "MB with them", ".0f"),
                       ("idle_cpu_ms_s", "idle CPU ms/s, all nodes", ".1f")],
    "failover": [("failover_ms", "to a write on every partition ms", ",.0f"), ("gap_ms", "longest without a write ms", ",.0f"), ("stop_ms", "the node took ms", ",.0f")],
    "group memory": [("classic_kb_member", "classic KB/member", ".2f"), ("consumer_kb_member", "consumer KB/member", ".2f"), ("bytes_offset", "B/committed offset", ",.0f")],
}
TITLES = {
    "start": "Start with an empty directory, and idle",
    "partitions": "Many partitions",
    "throughput": "Throughput",
    "latency": "Latency at a fixed rate of 100 B records",
    "flush": "log.flush.interval.messages=1",
    "connections": "Open connections",
    "commits": "Offset commits at a fixed rate",
    "rebalance": "Rebalances",
    "transactions": "Transactions",
    "logins": "New connections with TLS 1.3 and SCRAM-SHA-256",
    "compaction": "Compaction, beside a producer of 10,000 records/s",
    "cluster start": "Three nodes: start",
    "cluster topics": "Three nodes: topics of many partitions",
    "failover": "Three nodes: one goes",
    "group memory": "What groups take of the broker's memory",
}
# What is worth a ratio, and whether a high or a low one is good.
RATIOS = {
    "start": ["start_ms", "rss_mb"], "partitions": ["restart_ms", "all_leaders_ms", "rss_mb"], "throughput": ["cpu_gb", "mb_s", "peak_mb"],
    "latency": ["ack_p50", "ack_p99", "ack_p999", "end_p50", "end_p99", "end_p999", "cpu_us_record"], "flush": ["records_s", "p99_us"],
    "connections": ["records_s", "p99_us", "cpu_us_request", "peak_mb"], "commits": ["p50_us", "p99_us", "cpu_us_request"],
    "transactions": ["p50_us", "p99_us", "cpu_million"], "compaction": ["seconds", "cpu_s"],
    "logins": ["logins_s", "cpu_ms_login"],
    "rebalance": ["rebalance_ms", "rebalance_cpu_ms"], "group memory": [],
    "cluster start": ["start_s", "rss_mb"], "cluster topics": ["create_s", "delete_s", "many_mb"], "failover": ["failover_ms", "gap_ms", "stop_ms"],
}


def median(values):
    v = sorted(values)
    return v[len(v) // 2] if len(v) % 2 else (v[len(v) // 2 - 1] + v[len(v) // 2]) / 2


def _good(values):
    return [v for v in values if v is not None and v == v]


def _spread(values, form):
    v = _good(values)
    if not v:
        return "-"
    middle = format(median(v), form)
    if len(v) == 1:
        return middle
    return f"{middle} ({format(min(v), form)} - {format(max(v), form)})"


class Report:
    """Rows are (kind, workload, broker, repetition, figures)."""

    def __init__(self, names):
        self.names, self.rows = names, []

    def add(self, kind, workload, broker, repetition, figures):
        self.rows.append((kind, workload, broker, repetition, figures))
        shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
        print(f"[{repetition}] {broker:8} {workload:44} {shown}", flush=True)

    def workloads(self, kind):
        out = []
        for k, w, *_ in self.rows:
            if k == kind and w not in out:
                out.append(w)
        return out

    def values(self, kind, workload, broker, key):
        """{repetition: value}, rows with an error left out."""
        return {r: f[key] for k, w, b, r, f in self.rows
                if (k, w, b) == (kind, workload, broker) and key in f and not f.get("error") and f[key] == f[key]}

    def ratio(self, kind, workload, other, key):
        """Paired ratios of the first broker to another."""
        mine, theirs = (self.values(kind, workload, b, key) for b in (self.names[0], other))
        return sorted(mine[r] / theirs[r] for r in mine if theirs.get(r))

    def errors(self):
        return [f"{b}, {w}: {f['error']}" for k, w, b, r, f in self.rows if f.get("error")]

    def markdown(self):
        out = []
        for kind, title in TITLES.items():
            if not self.workloads(kind):
                continue
            columns = COLUMNS[kind]
            out += [f"## {title}", "", "| workload | broker | " + " | ".join(c[1] for c in columns) + " |",
                    "|---|---|" + "---:|" * len(columns)]
            for workload in self.workloads(kind):
                for name in self.names:
                    cells = [_spread(self.values(kind, workload, name, key).values(), form) for key, _, form in columns]
                    if any(c != "-" for c in cells):
                        out.append(f"| {workload} | {name} | " + " | ".join(cells) + " |")
            out.append("")
        out += self._ratio_table()
        return out

    def _ratio_table(self):
        if len(self.names) < 2:
            return []
        mine = self.names[0]
        out = [f"## Ratios, {mine} to the other, pair by pair", "", "min - median - max over the repetitions; below 1 is better for "
               f"{mine} in time, CPU and memory, above 1 in records/s and MB/s.", "", "| workload | to | what | ratio |", "|---|---|---|---|"]
        for kind in TITLES:
            for workload in self.workloads(kind):
                for other in self.names[1:]:
                    for key in RATIOS[kind]:
                        v = self.ratio(kind, workload, other, key)
                        if v:
                            heading = next((h for k, h, _ in COLUMNS[kind] if k == key), key)
                            label = f"{key.split('_')[0]} {heading}" if kind == "latency" and heading.startswith("p") else heading
                            out.append(f"| {workload} | {other} | {label} | {v[0]:.3g} - {median(v):.3g} - {v[-1]:.3g} |")
        return out + [""]


class Bars:
    """What the project promised of itself, and what was measured."""

    def __init__(self, report):
        self.report, self.lines = report, []

    def ratio(self, what, kind, workload, other, key, limit, at_least=False):
        if other not in self.report.names:
            return
        v = self.report.ratio(kind, workload, other, key)
        if not v:
            self.lines.append((what, f"{'>=' if at_least else '<='} {limit:g} x {other}", "not measured", "?"))
            return
        m = median(v)
        holds = m >= limit if at_least else m <= limit
        self.lines.append((what, f"{'>=' if at_least else '<='} {limit:g} x {other}", f"{m:.3g} x ({v[0]:.3g} - {v[-1]:.3g})", "holds" if holds else "SHORT"))

    def absolute(self, what, value, limit, unit):
        if value is None:
            self.lines.append((what, f"<= {limit:g} {unit}", "not measured", "?"))
        else:
            self.lines.append((what, f"<= {limit:g} {unit}", f"{value:.3g} {unit}", "holds" if value <= limit else "SHORT"))

    def markdown(self):
        return ["## The bars", "", "| what | bar | measured (median) | |", "|---|---|---|---|"] + [f"| {' | '.join(line)} |" for line in self.lines] + [""]
