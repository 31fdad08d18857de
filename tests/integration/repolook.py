"""What a store of `format: repository` still holds, found out without the program: which chunks stand
where, and which files of which backup a damage has hit. Builds on the reader below tools/."""
import contextlib
import glob
import hashlib
import io
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import packs  # noqa: E402
import repository  # noqa: E402


@contextlib.contextmanager
def quiet():
    """The reader says what it finds: here that is known."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
    packs.PROBLEMS.clear()


def pack_names(store):
    return sorted(os.path.basename(p) for p in glob.glob(f"{store}/packs/??/*"))


def pack_path(store, name):
    return f"{store}/packs/{name[:2]}/{name}"


class Pack:
    """Where things are in a pack, and what is in them."""

    def __init__(self, store, name):
        p = packs.Pack(f"{store}/packs", name)
        self.name, self.size, self.kind = name, os.path.getsize(p.path), p.kind
        self.transforms, self.segments = p.transforms, p.segments
        self.reader = p
        self.head = min(s.at for s in self.segments)
        self.table = max(s.end for s in self.segments)

    def ranges(self):
        """Its parts by name: (from, to)."""
        return {"header": (0, self.head), "segment": (self.head, self.table),
                "table": (self.table, self.size - 32), "footer": (self.size - 32, self.size)}

    def whole(self, data):
        """The ids of the chunks that can be had from these bytes by who knows where they are."""
        found = set()
        for s, plain in zip(self.segments, self.reader.decode(data, self.segments)):
            at = 0
            for chunk, length in s.chunks if plain else ():
                if hashlib.sha256(plain[at:at + length]).digest() == chunk:
                    found.add(chunk)
                at += length
        return found


class Backup:
    """The chunks of each component (of its entries), and of each file; names of other things."""

    def __init__(self, store, name):
        b = repository.Backup(store, name)
        self.id, self.packs, self.streams, self.files, self.others = b.id, set(b.packs), {}, {}, {}
        self.links = set()  # files under a second name
        for c in b.manifest["components"]:
            refs = [(bytes.fromhex(x["id"]), x["length"]) for x in c["stream"]["chunks"]]
            whole = repository.Entry(b"", c["stream"]["length"], c["stream"]["levels"], refs)
            self.streams[c["name"]] = set(i for i, _ in refs) if c["kind"] == "tree" else set()
            b.expand([whole])
            entries = b.entries(c)
            if c["kind"] == "tree":
                self.streams[c["name"]] |= {i for i, _ in whole.refs}
            for e in entries:
                if e.type == repository.FILE:
                    self.files[c["name"], e.path] = {i for i, _ in e.refs}
                elif e.type == repository.HARDLINK:
                    self.files[c["name"], e.path] = self.files[c["name"], e.link]
                    self.links.add((c["name"], e.path))
                else:
                    self.others[c["name"], e.path] = e.type

    def lost(self, chunks):
        """Components and files that cannot be whole, as only these chunks can be had."""
        components = {name for name, ids in self.streams.items() if not ids <= chunks}
        return components, {f for f, ids in self.files.items() if not ids <= chunks}


class Look:
    """A store that is whole: afterwards it tells what a damage to it means."""

    def __init__(self, store):
        self.store = store
        self.packs = {name: Pack(store, name) for name in pack_names(store)}
        self.backups = {}
        for path in glob.glob(f"{store}/backups/*/manifest.json"):
            name = path.split("/")[-2]
            self.backups[name] = Backup(store, name)

    def chunks(self, damaged):
        """Ids that can be had: of the packs as they were, but of those in `damaged` (bytes by
        name; None: it is gone) what is left of them."""
        found = set()
        with quiet():
            for name, pack in self.packs.items():
                if name not in damaged:
                    found |= pack.reader.ids
                elif damaged[name] is not None:
                    found |= pack.whole(damaged[name])
        return found

    def needing(self, pack):
        return {b.id for b in self.backups.values() if pack in b.packs}
