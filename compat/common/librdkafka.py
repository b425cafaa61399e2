"""librdkafka from the source that the crate rdkafka-sys carries, and C programs against it. Built on first use."""

import json
import os
import shutil
import subprocess

from . import paths

WORK = os.path.join(paths.COMPAT, "groups", "work", "librdkafka")


def _source():
    meta = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=paths.REPO, check=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    for package in meta["packages"]:
        if package["name"] == "rdkafka-sys":
            return os.path.join(os.path.dirname(package["manifest_path"]), "librdkafka")
    raise SystemExit("the crate rdkafka-sys is no dependency any more: where should librdkafka's source come from?")


def _must(argv, cwd):
    r = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode:
        raise SystemExit(f"{' '.join(argv)} in {cwd} failed:\n{r.stdout.decode(errors='replace')[-2000:]}")


def library():
    """The folder with librdkafka.a and rdkafka.h."""
    source = os.path.join(WORK, "src")
    if not os.path.exists(os.path.join(source, "librdkafka.a")):
        shutil.rmtree(WORK, ignore_errors=True)
        shutil.copytree(_source(), WORK)
        _must(["chmod", "-R", "u+w", WORK], paths.REPO)
        _must(["./configure", "--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-zlib", "--disable-zstd", "--disable-lz4-ext"], WORK)
        _must(["make", "-j2", "librdkafka.a"], source)
    return source


def program(source):
    """A C program of ours, linked statically against the library."""
    lib = library()
    out = os.path.join(WORK, os.path.splitext(os.path.basename(source))[0])
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        _must(["cc", "-O1", "-Wall", "-o", out, source, "-I", lib, os.path.join(lib, "librdkafka.a"), "-lpthread", "-ldl", "-lm", "-lrt"], WORK)
    return out
