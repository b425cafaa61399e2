"""Any request and answer of Kafka's protocol at any of its versions, by the message definitions that Kafka's own client jar
carries. A message is a dict by field name; what a dict leaves out has its default."""

import glob
import json
import os
import re
import struct
import uuid
import zipfile

_LAST = 32767


def _span(text):
    """(first, last) version of "3", "3+", "1-4" or "none"."""
    if not text or text == "none":
        return 1, 0
    if text.endswith("+"):
        return int(text[:-1]), _LAST
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _within(text, version):
    first, last = _span(text)
    return first <= version <= last


class Message:
    def __init__(self, definition):
        self.key = definition.get("apiKey")
        self.fields = definition["fields"]
        self.valid = _span(definition["validVersions"])
        self.flexible_versions = definition.get("flexibleVersions", "none")
        self.structs = {s["name"]: s["fields"] for s in definition.get("commonStructs", [])}

    def flexible(self, version):
        return _within(self.flexible_versions, version)

    def encode(self, version, value):
        return _Writer(self, version).struct(self.fields, value)

    def decode(self, version, data):
        reader = _Reader(self, version, data)
        out = reader.struct(self.fields)
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at} bytes after the end of the answer")
        return out


class Schemas:
    """The definitions by API name: `request("JoinGroup")`, `response("JoinGroup")`."""

    def __init__(self, libs):
        jar = glob.glob(os.path.join(libs, "kafka-clients-*.jar"))[0]
        self.archive, self.known = zipfile.ZipFile(jar), {}

    def _load(self, name):
        if name not in self.known:
            text = self.archive.read(f"common/message/{name}.json").decode()
            lines = (line for line in text.splitlines() if not line.lstrip().startswith("//"))
            self.known[name] = Message(json.loads("\n".join(_uncomment(line) for line in lines)))
        return self.known[name]

    def api(self, key):
        """The name of an API by its number; None if the jar does not know it."""
        for name in self.archive.namelist():
            if name.startswith("common/message/") and name.endswith("Request.json"):
                found = re.search(rb'"apiKey":\s*(\d+)', self.archive.read(name))
                if found and int(found[1]) == key:
                    return name[len("common/message/"):-len("Request.json")]
        return None

    def request(self, api):
        return self._load(api + "Request")

    def response(self, api):
        return self._load(api + "Response")

    def frame(self, api, version, correlation, client, body):
        message = self.request(api)
        raw = client.encode()
        head = struct.pack(">hhih", message.key, version, correlation, len(raw)) + raw
        if message.flexible(version):
            head += b"\0"
        data = head + message.encode(version, body)
        return struct.pack(">i", len(data)) + data

    def answer(self, api, version, data):
        """The decoded answer of a frame (its length already taken off)."""
        message = self.response(api)
        return message.decode(version, data[5 if message.flexible(version) else 4:])


def _uncomment(line):
    at = line.find(" // ")
    return line if at < 0 or '"' in line[at:] else line[:at]


_INTS = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "int64": "q", "float64": "d", "bool": "?"}


def _element(field):
    """What an array's elements are: the field without its null, which is the array's."""
    return {k: v for k, v in field.items() if k != "nullableVersions"}


def _default(field):
    kind, given = field["type"], field.get("default")
    if given in ("null", None) and (given == "null" or field.get("default", 0) is None):
        return None
    if kind.startswith("[]"):
        return []
    if kind == "string":
        return given or ""
    if kind in ("bytes", "records"):
        return b""
    if kind == "uuid":
        return uuid.UUID(int=0)
    if kind == "bool":
        return str(given).lower() == "true"
    if kind in _INTS:
        return int(str(given), 0) if given not in (None, "") else 0
    return {}


class _Writer:
    def __init__(self, message, version):
        self.message, self.version, self.flexible = message, version, message.flexible(version)

    def length(self, n):
        """The length of a string, bytes or an array: n or None."""
        if self.flexible:
            return _varint(0 if n is None else n + 1)
        return struct.pack(">i", -1 if n is None else n)

    def struct(self, fields, value):
        unknown = set(value) - {f["name"] for f in fields}
        if unknown:
            raise ValueError(f"no such field: {unknown}")
        out = b""
        for field in fields:
            if _within(field["versions"], self.version) and "tag" not in field:
                out += self.value(field, field["type"], value.get(field["name"], _default(field)))
        return out + b"\0" if self.flexible else out

    def value(self, field, kind, value):
        if kind.startswith("[]"):
            if value is None:
                return self.length(None)
            return self.length(len(value)) + b"".join(self.value(_element(field), kind[2:], v) for v in value)
        if kind == "string":
            raw = None if value is None else value.encode()
            if self.flexible:
                return self.length(None if raw is None else len(raw)) + (raw or b"")
            return struct.pack(">h", -1 if raw is None else len(raw)) + (raw or b"")
        if kind in ("bytes", "records"):
            return self.length(None if value is None else len(value)) + (value or b"")
        if kind == "uuid":
            return value.bytes
        if kind in _INTS:
            return struct.pack(">" + _INTS[kind], value)
        if _within(field.get("nullableVersions"), self.version):
            if value is None:
                return b"\xff"
            return b"\x01" + self.struct(self.fields_of(field, kind), value)
        return self.struct(self.fields_of(field, kind), value)

    def fields_of(self, field, kind):
        return field.get("fields") or self.message.structs[kind]


class _Reader:
    def __init__(self, message, version, data):
        self.message, self.version, self.flexible = message, version, message.flexible(version)
        self.data, self.at = data, 0

    def take(self, form):
        out = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return out

    def raw(self, n):
        if self.at + n > len(self.data):
            raise ValueError("an answer that ends early")
        out = self.data[self.at:self.at + n]
        self.at += n
        return out

    def varint(self):
        out = shift = 0
        while True:
            byte = self.take("B")
            out |= (byte & 0x7F) << shift
            if byte < 0x80:
                return out
            shift += 7

    def length(self, form="i"):
        n = self.varint() - 1 if self.flexible else self.take(form)
        return None if n < 0 else n

    def struct(self, fields):
        out = {}
        for field in fields:
            if _within(field["versions"], self.version) and "tag" not in field:
                out[field["name"]] = self.value(field, field["type"])
        if self.flexible:
            for _ in range(self.varint()):
                self.varint()
                self.raw(self.varint())
        return out

    def value(self, field, kind):
        if kind.startswith("[]"):
            n = self.length()
            return None if n is None else [self.value(_element(field), kind[2:]) for _ in range(n)]
        if kind == "string":
            n = self.length("h")
            return None if n is None else self.raw(n).decode(errors="replace")
        if kind in ("bytes", "records"):
            n = self.length()
            return None if n is None else self.raw(n)
        if kind == "uuid":
            return uuid.UUID(bytes=self.raw(16))
        if kind in _INTS:
            return self.take(_INTS[kind])
        fields = field.get("fields") or self.message.structs[kind]
        if _within(field.get("nullableVersions"), self.version):
            return self.struct(fields) if self.take("b") >= 0 else None
        return self.struct(fields)


def _varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])
