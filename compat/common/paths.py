"""Where things lie: the checkout, the work folders (git-ignored), the binary under test."""

import os

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMPAT = os.path.join(REPO, "compat")
JAVA = os.path.join(COMPAT, "java")
JAVA_WORK = os.path.join(JAVA, "work")


def klamm_bin():
    """The binary under test: KLAMM_BIN, or the release build of this checkout."""
    path = os.environ.get("KLAMM_BIN") or os.path.join(REPO, "target", "release", "klamm")
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there: build it with `cargo build --release`, or set KLAMM_BIN")
    return os.path.abspath(path)
