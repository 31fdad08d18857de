"""The lower half of the repository format (docs/format.md): numbers and strings, sealed JSON, packs
and the chunks in them. repository.py builds on it."""
import hashlib
import json
import os
import re
import subprocess
import sys

DATA, META = 1, 2  # kinds of packs
RAW = 1  # a segment's flag
MIB = 1 << 20
PROBLEMS = []  # what was said to be wrong


class Damage(Exception):
    """What is stored is not what it should be."""


def problem(text):
    PROBLEMS.append(text)
    print(f"read_repository: {text}", file=sys.stderr)


def known(what, value, *values):
    if value not in values:
        raise Damage(f"{what} is {value!r}; this program knows {', '.join(map(repr, values))}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---- bytes ---------------------------------------------------------------------------------------


class Reader:
    """Numbers and strings out of bytes, never beyond their end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def more(self):
        return self.at < len(self.data)

    def raw(self, n):
        piece = self.data[self.at:self.at + n]
        if len(piece) < n:
            raise Damage("it ends too early")
        self.at += n
        return piece

    def number(self, n):
        return int.from_bytes(self.raw(n), "little")

    def varint(self):
        value = shift = 0
        while True:
            if self.at == len(self.data):
                raise Damage("it ends too early")
            byte, self.at = self.data[self.at], self.at + 1
            if (shift and byte == 0) or (shift == 63 and byte > 1):
                raise Damage("a number is not in its shortest form")
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 if not value & 1 else -(value >> 1) - 1

    def bytes(self):
        return self.raw(self.varint())

    def string(self):
        text = self.bytes()
        if text and text.find(0) != len(text) - 1:
            raise Damage("a string does not end where it should")
        return text[:-1] if text else None

    def refs(self, n=None):
        """References [(id, length), ...]: so many, or all there are."""
        found = []
        while self.more() if n is None else len(found) < n:
            length = self.varint()
            found.append((self.raw(32), length))
        return found


def varint(value):
    text = b""
    while value >= 128:
        text, value = text + bytes([value & 127 | 128]), value >> 7
    return text + bytes([value])


def sealed(path):
    """A JSON object that ends in the digest of itself."""
    with open(path, "rb") as f:
        text = f.read()
    end = re.search(rb'[,{]\n  ("sha256": "([0-9a-f]{64})"\n})\n?\Z', text)
    if not end or sha256(text[:end.start(1)]) != end.group(2).decode():
        raise Damage(f"'{path}' does not match its own digest")
    return json.loads(text)


# ---- packs ---------------------------------------------------------------------------------------


def unzstd(parts, total):
    """All parts as one plain string of that length; None: they are damaged. Frames that follow
    each other are one stream to zstd, so that one process decodes many."""
    with open(os.memfd_create("zstd"), "w+b") as stdin:
        stdin.writelines(parts)
        stdin.seek(0)
        with subprocess.Popen(["zstd", "-dcq", "--long=31"], stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as p:
            plain = p.stdout.read(total + 1)
    return plain if p.returncode == 0 and len(plain) == total else None


class Segment:
    def __init__(self, at, stored, plain, chunks, flags):
        self.at, self.end, self.plain, self.chunks, self.raw = at, at + stored, plain, chunks, flags
        if plain > 2 * MIB or chunks > plain or flags > RAW:
            raise Damage("its chunk table is damaged")


class Pack:
    """A pack's header, chunk table and footer; a segment's chunks are [(id, length), ...]."""

    def __init__(self, folder, name):
        if not re.fullmatch("[0-9a-f]{64}", name):
            raise Damage("this is not a pack's name")
        self.name, self.path, self.checked = name, os.path.join(folder, name[:2], name), False
        with open(self.path, "rb") as f:
            size = f.seek(0, os.SEEK_END)
            f.seek(max(0, size - 32))
            foot = Reader(f.read(32))
            table_at, stored, plain = foot.number(8), foot.number(4), foot.number(4)
            if foot.raw(16) != bytes(8) + b"BAKEPEND" or table_at + stored + 32 != size or \
                    plain > 64 * MIB:
                raise Damage("its footer is damaged")
            f.seek(0)
            end = self.parse_head(Reader(f.read(min(4096, table_at))))
            f.seek(table_at)
            table = f.read(stored)
        if self.transforms:
            table = unzstd([table], plain)
        if table is None or len(table) != plain or self.parse_table(Reader(table), end) != table_at:
            raise Damage("its chunk table is damaged")
        self.ids = {i for s in self.segments for i, _ in s.chunks}

    def parse_head(self, r):
        if r.raw(8) != b"BAKEPACK":
            raise Damage("this is not a pack")
        known("its version", r.number(4), 1)
        size, self.kind = r.number(4), r.number(4)
        r.raw(16)  # makes its name its own
        self.transforms = [r.string() for _ in range(r.number(4))]
        if self.transforms not in ([], [b"zstd"]):
            names = ", ".join(os.fsdecode(name or b"?") for name in self.transforms)
            raise Damage(f"it went through {names}; this program undoes zstd alone")
        if r.at != size or self.kind not in (DATA, META):
            raise Damage("its header is damaged")
        return size

    def parse_table(self, r, at):
        """Returns where the last segment ends."""
        self.segments = []
        for _ in range(r.varint()):
            self.segments.append(Segment(at, *(r.varint() for _ in range(4))))
            at = self.segments[-1].end
        for s in self.segments:
            s.chunks = [r.varint() for _ in range(s.chunks)]
            if sum(s.chunks) != s.plain:
                return None
        for s in self.segments:
            s.chunks = [(r.raw(32), length) for length in s.chunks]
        return None if r.more() else at

    def decode(self, data, segments):
        """Each segment's plain bytes, or None."""
        through = [s for s in segments if self.transforms and not s.raw]
        whole, at = unzstd([data[s.at:s.end] for s in through], sum(s.plain for s in through)), 0
        for s in segments:
            if s not in through:
                yield data[s.at:s.end]
            elif whole is None:  # one of them is damaged: each by itself
                yield unzstd([data[s.at:s.end]], s.plain)
            else:
                yield whole[at:at + s.plain]
                at += s.plain

    def read(self, wanted):
        """(id, bytes) of those chunks that are wanted and whole. The pack is read as a whole."""
        with open(self.path, "rb") as f:
            data = f.read()
        if sha256(data) != self.name and not self.checked:
            problem(f"pack {self.name} does not match its name")
        self.checked = True
        segments = [s for s in self.segments if any(i in wanted for i, _ in s.chunks)]
        for s, plain in zip(segments, self.decode(data, segments) if segments else ()):
            at = 0
            for chunk, length in s.chunks if plain else ():
                piece = plain[at:at + length]
                at += length
                if chunk in wanted and hashlib.sha256(piece).digest() == chunk:
                    yield chunk, piece
