"""Named checks with one line each, and the last line every run ends with."""

import sys


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, []

    def check(self, name, good, detail=""):
        if good:
            self.passed += 1
            print("ok   " + name, flush=True)
        else:
            self.failed.append(name)
            print(f"FAIL {name}\n     {detail}", flush=True)
        return good

    def equal(self, name, want, got):
        return self.check(name, want == got, f"want {_short(want)}\n     got  {_short(got)}")

    def finish(self):
        for name in self.failed:
            print("failed: " + name)
        print(f"{self.passed} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed else 0)


def _short(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:1000] + f"... ({len(text)} characters)"
