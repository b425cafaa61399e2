"""The differences that are meant, from differences.allow: what is not listed there fails the run."""

import re


class Rule:
    def __init__(self, lines, number):
        self.name = lines["what"] + " " + str(number)
        self.what, self.kafka, self.klamm = (re.compile(lines[k], re.DOTALL) for k in ("what", "kafka", "klamm"))
        self.where = re.compile(lines.get("where", ".*"))
        self.stop = lines.get("then") == "stop"
        self.why = lines["why"]

    def fits(self, d, script):
        return bool(self.where.fullmatch(script) and self.what.fullmatch(d.path) and self.kafka.fullmatch(repr(d.kafka)) 
                    and self.klamm.fullmatch(repr(d.klamm)))


def load(path):
    rules = []
    with open(path) as f:
        text = "\n".join(line for line in f.read().splitlines() if not line.startswith("#"))
    for paragraph in filter(None, re.split(r"\n\s*\n", text.strip())):
        lines = dict(line.split(": ", 1) for line in paragraph.splitlines() if line)
        rules.append(Rule({k.strip(): v.strip() for k, v in lines.items()}, len(rules) + 1))
    return rules
