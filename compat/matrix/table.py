"""The table of compat/RESULTS.md: written, read back, and compared with a run.

A cell is `pass` (on both), `fail` (Apache Kafka passes, Klamm does not), `fails on both`, `Klamm only`, or `n/a` with the number of
its reason.
"""

import re

HEAD = """# Which clients work

Each client comes unmodified from its registry, and runs every scenario against Apache Kafka 4.3.1 and against Klamm. Written by
`scripts/compat`; `matrix/README.md` tells how to run one client alone. What other runs show is in [README.md](README.md).

`pass`: on both. `fail`: Apache Kafka passes and Klamm does not, see [FINDINGS.md](FINDINGS.md). `fails on both`: see there as well.
`n/a`: not applicable, with the reason below the table.
"""


def cell(kafka, klamm):
    """The cell of the verdicts on both sides, each ("pass" | "fail" | "n/a", reason)."""
    if "n/a" in (kafka[0], klamm[0]):
        return ("n/a", (kafka if kafka[0] == "n/a" else klamm)[1])
    if kafka[0] == klamm[0]:
        return ("pass", "") if kafka[0] == "pass" else ("fails on both", "")
    return ("fail", "") if kafka[0] == "pass" else ("Klamm only", "")


def write(cells, versions, order, scenarios):
    """The page. `cells` is {client: {scenario: (state, reason)}}; `order` is [(ecosystem, client)]."""
    reasons, out = [], [HEAD]
    for ecosystem in dict.fromkeys(e for e, _ in order):
        clients = [c for e, c in order if e == ecosystem and c in cells]
        if not clients:
            continue
        out.append(f"\n## {ecosystem}\n\n| scenario | " + " | ".join(f"{c} {versions[c]}".strip() for c in clients) + " |\n"
                   + "|---" * (len(clients) + 1) + "|\n")
        for scenario in scenarios:
            row = [cells[c].get(scenario) for c in clients]
            if any(row):
                out.append(f"| {scenario} | " + " | ".join(_text(state, reasons) for state in row) + " |\n")
    out.append("\n## Not applicable\n\n" + "".join(f"{i}. {r}\n" for i, r in enumerate(reasons, 1)))
    return "".join(out)


def _text(state, reasons):
    if state is None:
        return ""
    name, reason = state
    if name != "n/a":
        return name
    if reason not in reasons:
        reasons.append(reason)
    return f"n/a {reasons.index(reason) + 1}"


def read(page):
    """(cells, versions) of a page that `write` made."""
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", page, re.M))
    cells, versions, clients = {}, {}, []
    for line in page.splitlines():
        if not line.startswith("| "):
            continue
        first, *row = [c.strip() for c in line.strip("|\n").split("|")]
        if first == "scenario":
            clients = [c.partition(" ")[0] for c in row]
            versions.update((c.partition(" ")[0], c.partition(" ")[2]) for c in row)
            continue
        for client, text in zip(clients, row):
            if text:
                number = text.removeprefix("n/a ") if text.startswith("n/a ") else None
                cells.setdefault(client, {})[first] = ("n/a", reasons.get(number, "")) if number else (text, "")
    return cells, versions


def explained(findings, client, scenario):
    """Whether FINDINGS.md has a line about this cell: a table row that begins with the client (or *) and the scenario."""
    return any(re.match(rf"\| ({re.escape(client)}|\*) \| {re.escape(scenario)} \|", line) for line in findings.splitlines())
