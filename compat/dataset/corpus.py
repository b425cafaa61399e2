"""Real text as records: the lines of text files found on the machine, keyed by path.

A slice of the corpus is a file of "key, byte 1, value, newline" in which the lines of several files alternate in blocks, as
they would from several writers. What is expected of a partition is the digest of the blocks whose keys belong there.
"""

import hashlib
import os
import zlib

BLOCK = 64          # lines of one file before another file's turn
OPEN = 16           # files that alternate
LINE_MAX = 100_000  # longer lines are cut: no record comes near the broker's limit
TEXT = (".c", ".h", ".hpp", ".rs", ".py", ".java", ".js", ".md", ".txt", ".html", ".toml", ".json", ".xml", ".sh", ".pl", ".pm", ".rst", ".pyi", ".tcl")


def default_roots():
    home = os.path.expanduser("~")
    return ["/usr/include", "/usr/lib/python3", "/usr/share", os.path.join(home, ".cargo", "registry", "src"),
            os.path.join(home, ".rustup"), os.path.join(home, ".pyenv")]


def text_files(roots):
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if name.endswith(TEXT) and os.path.isfile(path) and not os.path.islink(path):
                    yield path


def _lines(path, key):
    with open(path, "rb") as f:
        content = f.read()
    if not content or b"\0" in content:
        return []
    prefix = key + b"\x01"
    return [prefix + line[:LINE_MAX] + b"\n" for line in content.split(b"\n")]


class Corpus:
    """Hands out blocks (key, bytes, number of lines) for as long as anyone asks; repeats the files under new keys when
    they run out."""

    def __init__(self, roots):
        self.roots = roots
        self.rounds = 0
        self.total = 0
        self._paths = self._endless()
        self._turns = []

    def _endless(self):
        while True:
            found = 0
            for path in text_files(self.roots):
                found += 1
                yield path, path.encode() + (b"#%d" % self.rounds if self.rounds else b"")
            if not found:
                raise SystemExit(f"no text files below {self.roots}: set DATASET_ROOTS")
            self.rounds += 1

    def blocks(self, size):
        """Blocks of about `size` bytes of values and keys in all."""
        given = 0
        while given < size:
            while len(self._turns) < OPEN:
                path, key = next(self._paths)
                try:
                    lines = _lines(path, key)
                except OSError:
                    continue
                if lines:
                    self._turns.append((key, lines))
            key, lines = self._turns.pop(0)
            block, rest = lines[:BLOCK], lines[BLOCK:]
            if rest:
                self._turns.append((key, rest))
            content = b"".join(block)
            given += len(content)
            yield key, content, len(block)
        self._turns.clear()  # the next slice starts with other files
        self.total += given


def murmur2_partition(key, partitions):
    """Where Kafka's Java producer puts a key."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    n = len(key)
    h = (0x9747B28C ^ n) & mask
    for i in range(0, n - n % 4, 4):
        k = int.from_bytes(key[i:i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    tail = key[n - n % 4:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return ((h ^ (h >> 15)) & 0x7FFFFFFF) % partitions


def crc32_partition(key, partitions):
    """Where librdkafka's default partitioner puts a key."""
    return zlib.crc32(key) % partitions


def write_slice(corpus, path, size, partitions, partition_of):
    """Writes a slice; returns {partition: (records, digest)} of what must come back."""
    digests = [hashlib.sha256() for _ in range(partitions)]
    counts = [0] * partitions
    home = {}
    with open(path, "wb") as f:
        for key, content, n in corpus.blocks(size):
            if key not in home:
                home[key] = partition_of(key, partitions)
            digests[home[key]].update(content)
            counts[home[key]] += n
            f.write(content)
    return {p: (counts[p], digests[p].hexdigest()) for p in range(partitions)}
