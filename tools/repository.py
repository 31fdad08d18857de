"""The upper half of the repository format (docs/format.md): entries, streams of chunks, backups.
read_repository.py is the program."""
import bisect
import glob
import itertools
import os

from packs import META, Damage, Pack, Reader, known, problem, sealed, sha256, varint

FILE, DIR, SYMLINK, HARDLINK, CHARDEV, BLOCKDEV, FIFO = range(1, 8)  # types of entries
HAS_MODE, HAS_OWNER, HAS_MTIME = 1, 2, 4  # which fields of an entry are known


def inside(path):
    """Relative, and it stays where it starts."""
    return path == b"." or (path and not {b"", b".", b".."} & set(path.split(b"/")))


class Entry:
    """One object of a tree; a blob is a file that is named after its component."""
    type, extents = FILE, None
    valid = mode = 0
    xattrs = ()

    def __init__(self, path=b"", size=0, levels=0, refs=()):
        self.path, self.size, self.levels, self.refs = path, size, levels, refs

    @classmethod
    def parse(cls, r):
        e = cls()
        e.type, _, e.valid = r.varint(), r.varint(), r.varint()  # flags: a writer's matter
        e.path, e.link = r.string(), r.string()
        e.mode, e.uid, e.gid, _, _ = r.varint(), r.varint(), r.varint(), r.string(), r.string()
        e.mtime, _, _, _, _ = r.zigzag(), r.zigzag(), r.varint(), r.varint(), r.varint()
        e.device = (r.varint(), r.varint())
        e.parse_xattrs(Reader(r.bytes()))
        r.string()  # fingerprint: a writer's matter
        if e.type == FILE:
            e.parse_content(r)
        if r.more() or not FILE <= e.type <= FIFO or not inside(e.path) or \
                (e.type == SYMLINK and not e.link) or (e.type == HARDLINK and not inside(e.link)):
            raise Damage("an entry cannot be what it says")
        return e

    def parse_xattrs(self, r):
        self.xattrs = []
        while r.more():
            name = r.raw(max(0, r.data.find(0, r.at) - r.at) + 1)[:-1]
            self.xattrs.append((name, r.raw(r.number(4))))

    def parse_content(self, r):
        self.size, extents, at, content = r.varint(), r.varint(), 0, 0
        if extents:
            self.extents, self.starts = [], []  # in the file; in the content
            for _ in range(extents - 1):
                offset, length = at + r.varint(), r.varint()
                self.extents.append((offset, length))
                self.starts.append(content)
                at, content = offset + length, content + length
        self.levels = r.varint()
        self.refs = r.refs(r.varint())
        if at > self.size or sum(n for _, n in self.refs) != (content if extents else self.size):
            raise Damage("an entry's sizes contradict each other")

    def places(self, at, n):
        """Where bytes [at, at + n) of the content stand in the file: (offset, length), ..."""
        if self.extents is None:
            yield at, n
            return
        i = bisect.bisect_right(self.starts, at) - 1
        while n > 0:
            offset, length = self.extents[i]
            skip = at - self.starts[i]
            part = min(n, length - skip)
            yield offset + skip, part
            at, n, i = at + part, n - part, i + 1


# ---- a backup and its chunks ---------------------------------------------------------------------


def files_of(folder, pattern="*"):
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def manifests(store):
    """{id: manifest} of all backups."""
    info = sealed(os.path.join(store, "bakengine.json"))
    known("the store's format_version", info["format_version"], 1)
    known("the store's format", info["format"], "repository")
    known("the store's digest", info["digest"], "sha256")
    found = {}
    for path in files_of(store, "backups/*/manifest.json"):
        try:
            found[os.path.basename(os.path.dirname(path))] = sealed(path)
        except Damage as e:
            problem(e)
    return found


class Backup:
    def __init__(self, store, name):
        found = manifests(store)
        names = [i for i in found if i.startswith(name)] if name not in found else [name]
        if name == "latest":
            names = sorted(found, key=lambda i: (found[i]["start"], i))[-1:]
        if len(names) != 1:
            raise Damage(f"there is {'more than one' if names else 'no'} backup '{name}'")
        self.id, self.manifest = names[0], found[names[0]]
        known("the manifest's version", self.manifest["manifest_version"], 1)
        known("the manifest's id", self.manifest["id"], self.id)
        self.folder = os.path.join(store, "packs")
        self.packs, self.kept = {}, {}  # by name; chunks of metadata by id
        for pack in sorted(self.needed(store)):
            self.open_pack(pack)
        self.listed = set(self.packs)

    def needed(self, store):
        """The packs that the backup lists, with what prune has put in their place since."""
        with open(os.path.join(store, "backups", self.id, "packs"), "rb") as f:
            text = f.read()
        todo, facts = text.decode().split("\n")[:-1], self.manifest["packs"]
        if (sha256(text), len(text), len(todo)) != (facts["sha256"], facts["size"], facts["count"]):
            raise Damage(f"the list of packs of '{self.id}' does not match its manifest")
        moves, needed, seen = self.moves(store), set(), set()
        while todo:
            name = todo.pop()
            if name in moves and name not in seen:
                todo.extend(moves[name])
            elif name not in moves:
                needed.add(name)
            seen.add(name)
        return needed

    def moves(self, store):
        """{pack: those that hold now what this backup needs of it}"""
        found = {}
        for path in files_of(store, "moved/*"):
            try:
                moved = sealed(path)
            except Damage as e:
                problem(e)
                continue
            # An id may be given again once its backup is gone; its start tells the two apart.
            starts = moved.get("starts") or [self.manifest["start"]] * len(moved["backups"])
            if (self.id, self.manifest["start"]) in zip(moved["backups"], starts):
                for left, right in moved["moves"].items():
                    found.setdefault(left, []).extend(right)
        return found

    def open_pack(self, name):
        try:
            self.packs[name] = Pack(self.folder, name)
        except (Damage, OSError) as e:
            problem(f"pack {name}: {e}")

    def all_packs(self):
        """Those of the backup; then, for what they lack, every other that there is."""
        yield from list(self.packs.values())
        for name in map(os.path.basename, files_of(self.folder, "??/*")):
            if name not in self.packs:
                self.open_pack(name)
                if name in self.packs:
                    yield self.packs[name]

    def fetch(self, wanted):
        """(id, bytes) of every chunk that is wanted and can be had, pack by pack."""
        wanted = set(wanted) - {None}
        for chunk in wanted & self.kept.keys():
            wanted.remove(chunk)
            yield chunk, self.kept[chunk]
        for pack in self.all_packs():
            if not wanted:
                return
            if wanted.isdisjoint(pack.ids):
                continue
            for chunk, data in pack.read(pack.ids if pack.kind == META else wanted):
                if pack.kind == META:  # kept, so that it is read once
                    self.kept[chunk] = data
                if chunk in wanted:
                    if pack.name not in self.listed:
                        self.listed.add(pack.name)
                        problem(f"pack {pack.name} is not listed, but has chunks of '{self.id}'")
                    wanted.remove(chunk)
                    yield chunk, data

    def expand(self, entries):
        """Lists of references become what they stand for, a level of all entries at a time."""
        todo = [e for e in entries if e.levels]
        while todo:
            lists = dict(self.fetch(chunk for e in todo for chunk, _ in e.refs))
            for e in todo:
                refs = []
                for chunk, length in e.refs:
                    below = Reader(lists[chunk]).refs() if chunk in lists else [(None, length)]
                    if sum(n for _, n in below) != length:
                        raise Damage("a list of references contradicts what refers to it")
                    refs += below
                e.levels, e.refs = e.levels - 1, refs
            todo = [e for e in todo if e.levels]

    def stream(self, component):
        s = component["stream"]
        refs = [(bytes.fromhex(c["id"]), c["length"]) for c in s["chunks"]]
        text = varint(s["levels"]) + varint(len(refs)) + b"".join(varint(n) + i for i, n in refs)
        if sha256(text) != component["sha256"] or sum(n for _, n in refs) != s["length"]:
            raise Damage(f"the stream of component '{component['name']}' is not what it was")
        e = Entry(os.fsencode(component["name"]), s["length"], s["levels"], refs)
        self.expand([e])
        return e

    def entries(self, component):
        """A tree's entries in their order; of a blob, one."""
        stream = self.stream(component)
        if component["kind"] == "blob":
            return [stream]
        chunks, found = dict(self.fetch(i for i, _ in stream.refs)), []
        whole = list(itertools.takewhile(chunks.__contains__, (i for i, _ in stream.refs)))
        r = Reader(b"".join(chunks[i] for i in whole))
        try:
            while r.more():
                found.append(Entry.parse(Reader(r.bytes())))
            if len(whole) < len(stream.refs):
                raise Damage("a chunk of the entries is missing")
        except Damage as e:
            problem(f"component '{component['name']}': after {len(found)} entries: {e}")
        self.expand(found)
        return found

    def fill(self, files, write):
        """write(file, at, data) for all contents, in the order of the packs: each is read once."""
        places = {}
        for e in files:
            e.missing = at = 0
            for chunk, n in e.refs:
                places.setdefault(chunk, []).append((e, at, n))
                at, e.missing = at + n, e.missing + n
        for chunk, data in self.fetch(places):
            for e, at, n in places[chunk]:
                if n == len(data):
                    write(e, at, data)
                    e.missing -= n
        for e in files:
            if e.missing:
                problem(f"'{os.fsdecode(e.path)}': {e.missing} bytes of its content are missing")
