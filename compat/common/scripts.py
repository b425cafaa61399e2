"""Scripts of lockstep.py: how they are printed, checked, and made short."""


def written(script):
    return "".join(f"\n       {n:2} {_step(s)}" for n, s in enumerate(script))


def _step(step):
    if "api" not in step:
        return str(step)
    body = {k: v for k, v in step["body"].items() if v not in (None, [], -1)}
    more = {k: v for k, v in step.items() if k not in ("api", "v", "body", "client")}
    text = f"{step['api']} {step['v']} {body} {more or ''}"
    return text if len(text) < 500 else text[:480] + "..."


def told(n, step, kafka, klamm):
    print(f"       {n:2} {_step(step)}\n            {kafka}", flush=True)
    if kafka != klamm:
        print(f"     !! {klamm}", flush=True)


def check(runner, name, script, checks, verbose=False):
    """Runs a script; what differs fails."""
    found = runner.run(name, script, told if verbose else None)
    checks.check(name, not found, "\n     ".join(map(str, found)) + (written(script) if found else ""))


def check_random(runner, seeds, script_of, checks, verbose=False, free=lambda script: False):
    """Runs the script of each seed. Of those that differ in the same way the first is made short; `free`: whether a script leaves the
    brokers choices (see Runner.run)."""
    seen = {}
    for seed in seeds:
        script = script_of(seed)
        found = runner.run("sequence", script, told if verbose else None, free(script))
        if found and found[0].key() in seen:
            checks.check(f"sequence {seed} (as {seen[found[0].key()]})", False, found[0])
            continue
        if found:
            seen[found[0].key()] = seed
            script, found = shortest(runner, script, found, free)
        checks.check(f"sequence {seed}", not found, "\n     ".join(map(str, found)) + (written(script) if found else ""))


def summary(runner):
    return f"     {runner.steps} steps, {runner.stops} stopped at a free choice, allowed: {runner.used}"


def shortest(runner, script, found, free):
    """The script with as many steps left out as can be while the same fields still differ."""
    wanted = found[0].path
    script = script[:found[0].step + 1] if len(found) == 1 else script
    at, size = 0, max(1, len(script) // 2)
    budget = 60
    while budget:
        budget -= 1
        less = script[:at] + script[at + size:]
        again = runner.run("sequence", less, free=free(less))
        if again and again[0].path == wanted:
            script, found = less, again
        else:
            at += size
        if at >= len(script):
            if size == 1:
                break
            at, size = 0, max(1, size // 2)
    return script, found
