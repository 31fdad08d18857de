"""Writes stores of `format: repository` by hand, after docs/format.md and without the program: right
ones, and whatever else a reader may meet."""
import hashlib
import os
import struct
import subprocess

import bake

DATA, META = 1, 2
FILE, DIR, SYMLINK, HARDLINK, CHARDEV, BLOCKDEV, FIFO = range(1, 8)
ALL_VALID = 0x3f


def digest(data):
    return hashlib.sha256(data).digest()


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n])


def zigzag(n):
    return varint(2 * n if n >= 0 else -2 * n - 1)


def lengthy(data):
    return varint(len(data)) + data


def string(text):
    return lengthy(text + b"\0") if text is not None else varint(0)


def refs(levels, found):
    return varint(levels) + varint(len(found)) + b"".join(varint(n) + i for i, n in found)


def record(kind, path, link=None, mode=0o644, mtime=10**18, valid=ALL_VALID, owner=None, xattrs=(),
           device=(0, 0), content=b""):
    """An entry, its length first; content: what file() made."""
    uid, gid = owner or (os.geteuid(), os.getegid())
    packed = b"".join(n + b"\0" + struct.pack("<I", len(v)) + v for n, v in xattrs)
    body = (varint(kind) + varint(0) + varint(valid) + string(path) + string(link) + varint(mode) +
            varint(uid) + varint(gid) + string(b"user") + string(None) + zigzag(mtime) + zigzag(-5) +
            varint(7) + varint(8) + varint(1) + varint(device[0]) + varint(device[1]) +
            lengthy(packed) + string(None))
    return lengthy(body + content)


def file(found, levels=0, extents=None, size=None):
    """A file's part of its record: references, and where its data are."""
    at, places = 0, varint(0 if extents is None else len(extents) + 1)
    for offset, length in extents or ():
        places += varint(offset - at) + varint(length)
        at = offset + length
    total = sum(n for _, n in found)
    return varint(total if size is None else size) + places + refs(levels, found)


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Store:
    def __init__(self, path, **info):
        self.path, self.packs = path, []
        self.put("bakengine.json", bake.seal_object({
            "format_version": 1, "store_id": "0" * 32, "format": "repository", "digest": "sha256",
            "chunker": {"algorithm": "gear", "seed": "0" * 16, "min": 16384, "avg": 65536,
                        "max": 262144}, "created": "2026-01-01T00:00:00Z", **info}))

    def put(self, name, data):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def pack(self, segments, kind=DATA, transforms=(b"zstd",), version=1, flags=None, encode=zstd):
        """segments: lists of chunks; those whose number is in `flags` are raw. Returns the path."""
        names = b"".join(string(t) for t in transforms)
        data = (b"BAKEPACK" + struct.pack("<III", version, 40 + len(names), kind) + os.urandom(16) +
                struct.pack("<I", len(transforms)) + names)
        table, lengths, ids = varint(len(segments)), b"", b""
        for number, chunks in enumerate(segments):
            plain, raw = b"".join(chunks), number in (flags or ())
            stored = plain if raw or not transforms else encode(plain)
            table += varint(len(stored)) + varint(len(plain)) + varint(len(chunks)) + varint(raw)
            lengths += b"".join(varint(len(c)) for c in chunks)
            ids += b"".join(map(digest, chunks))
            data += stored
        table += lengths + ids
        packed = zstd(table) if transforms else table
        data += packed + struct.pack("<QIIQ", len(data), len(packed), len(table), 0) + b"BAKEPEND"
        name = hashlib.sha256(data).hexdigest()
        self.packs.append(name)
        return self.put(f"packs/{name[:2]}/{name}", data)

    def tree(self, name, records, transforms=(b"zstd",)):
        """A component; its stream is one chunk in a pack of its own."""
        stream = b"".join(records)
        self.pack([[stream]], META, transforms)
        return self.component(name, "tree", 0, [(digest(stream), len(stream))])

    def component(self, name, kind, levels, found, status="ok"):
        return {"name": name, "kind": kind, "status": status, "source": "s", "plugin": "files",
                "bytes_in": 0, "bytes_stored": 0, "transforms": ["zstd"],
                "stream": {"levels": levels, "length": sum(n for _, n in found),
                           "chunks": [{"id": i.hex(), "length": n} for i, n in found]},
                "sha256": hashlib.sha256(refs(levels, found)).hexdigest()}

    def backup(self, name, components, packs=None, **more):
        text = "".join(p + "\n" for p in sorted(self.packs if packs is None else packs)).encode()
        self.put(f"backups/{name}/packs", text)
        self.put(f"backups/{name}/manifest.json", bake.seal_object({
            "manifest_version": 1, "id": name, "pipeline": "t", "type": "full",
            "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:01Z", "components": components,
            "packs": {"count": text.count(b"\n"), "size": len(text),
                      "sha256": hashlib.sha256(text).hexdigest()}, **more}))
