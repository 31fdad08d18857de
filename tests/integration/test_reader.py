#!/usr/bin/python3
"""tools/read_repository.py, which knows nothing but docs/format.md: it restores what the program
wrote, and is not taken in by stores that are damaged or lie."""
import glob
import hashlib
import json
import os
import subprocess
import sys

import bake
import repostore
import snapshot
import trees
from repostore import (BLOCKDEV, CHARDEV, DIR, FIFO, FILE, HARDLINK, META, SYMLINK, digest, file,
                       record)

READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/read_repository.py")


class ReaderBench(bake.Bench):
    def read(self, *words, code=0, prefix=()):
        done = subprocess.run([*prefix, sys.executable, READER, *words], capture_output=True)
        said = done.stderr.decode("utf-8", "backslashreplace")
        self.assertEqual(done.returncode, code, said)
        self.assertNotIn("Traceback", said)
        done.said = said
        return done

    def same(self, want, got, ignore=()):
        lines = snapshot.differences(want, got, ignore)
        self.assertEqual(lines, [], "\n".join(lines[:40]))


def gear_table(seed):
    """The chunker's table, by splitmix64."""
    table, ones = [], (1 << 64) - 1
    for _ in range(256):
        seed = z = (seed + 0x9e3779b97f4a7c15) & ones
        z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & ones
        z = ((z ^ z >> 27) * 0x94d049bb133111eb) & ones
        table.append(z ^ z >> 31)
    return table


def cut(gear, data):
    """How long the first chunk of some bytes is."""
    h = 0
    for i in range(16384 - 64, min(len(data), 262144)):
        h = (2 * h + gear[data[i]]) & (1 << 64) - 1
        if i >= 16384 and not h >> (64 - 18 if i < 65536 else 64 - 14):
            return i + 1
    return min(len(data), 262144)


class OfTheProgram(ReaderBench):
    def repository(self, src, **more):
        return self.pipeline({"all": src}, store={"format": "repository"}, **more)

    def check(self, pipeline, backup, want, out, inner):
        """The reader's restore, the program's and what was there: all the same."""
        store = self.path("store")
        done = self.read("verify", store, backup)
        self.assertIn(b" 0 problems", done.stdout)
        self.read("restore", store, backup, self.path(out, "reader"))
        self.bake("restore", pipeline, backup, "--target", self.path(out, "program"))
        ours = snapshot.take(self.path(out, "reader"))
        self.same(want, snapshot.take(self.path(out, "reader", inner)))
        self.same(snapshot.take(self.path(out, "program")), ours, ("mtime",))
        self.same(snapshot.take(self.path(out, "program", inner)),
                  snapshot.take(self.path(out, "reader", inner)))

    def change(self, src):
        """A day's work: edits, moves, removals, and metadata alone."""
        with open(f"{src}/sizes/big", "r+b") as f:
            f.seek(1 << 20)
            f.write(b"in the middle of a large file")
        with open(f"{src}/sparse/middle", "r+b") as f:
            f.seek(3 << 20)
            f.write(os.urandom(70000))
        os.rename(f"{src}/names", f"{src}/other names")
        os.unlink(f"{src}/sizes/text")
        trees.put(f"{src}/sizes/new", b"new\n" * 50000)
        os.chmod(f"{src}/sizes/random-4096", 0o601)
        os.utime(f"{src}/sizes/random-512", ns=(5, 5))

    @bake.unittest.skipUnless(bake.ROOT, "only root can make devices and owners")
    def test_two_backups_of_everything(self):
        src = self.path("src")
        trees.everything(src, 40 << 20, 1 << 30, 3000)
        pipeline = self.repository(src)
        wanted, ids = [], []
        for turn in range(2):
            if turn:
                self.change(src)
            run = self.run_json(pipeline)
            ids.append(run.summary["id"])
            wanted.append(snapshot.take(src))
        listed = self.read("list", self.path("store")).stdout.decode().split("\n")
        self.assertEqual([line.split(" ")[:3] for line in listed[:-1]],
                         [[ids[0], "full", "all:ok"], [ids[1], "incremental", "all:ok"]])
        for turn in range(2):
            self.check(pipeline, ids[turn], wanted[turn], f"out{turn}", "all" + src)
        # One file by itself, and the paths.
        got = self.read("cat", self.path("store"), "latest", "all", f"{src[1:]}/sizes/big").stdout
        with open(f"{src}/sizes/big", "rb") as f:
            self.assertTrue(got == f.read())
        paths = self.read("list", self.path("store"), "latest", "all").stdout
        self.assertIn(os.fsencode(src[1:]) + b"/sizes/big\n", paths)

    def test_small_as_anybody(self):
        src = self.small_tree("src", 200)
        trees.deep(f"{src}/levels", 700)
        pipeline = self.repository(src)
        run = self.run_json(pipeline)
        self.check(pipeline, run.summary["id"], snapshot.take(src), "out", "all" + src)

    def test_where_chunks_are_cut(self):
        """As docs/format.md says: what another writer cuts alike is stored once."""
        src = self.path("src")
        data = os.urandom(3 << 20) + bytes(600000) + b"text " * 100000 + os.urandom(16384)
        for name, part in (("f", data), ("min", data[:16384]), ("max", bytes(262144))):
            self.write(f"src/{name}", part)
        self.run_json(self.repository(src))
        with open(self.path("store/bakengine.json"), "rb") as f:
            gear = gear_table(int(json.load(f)["chunker"]["seed"], 16))
        sys.path.insert(0, os.path.dirname(READER))
        import repository
        backup = repository.Backup(self.path("store"), "latest")
        for e in backup.entries(backup.manifest["components"][0]):
            if e.type == FILE:
                with open(b"/" + e.path, "rb") as f:
                    data, at = f.read(), 0
                for _, n in e.refs:
                    self.assertEqual(n, cut(gear, data[at:at + 262144]), (e.path, at))
                    at += n
                self.assertEqual(at, len(data))

    def test_without_transforms(self):
        src = self.small_tree("src")
        pipeline = self.repository(src, transforms=[])
        run = self.run_json(pipeline)
        self.check(pipeline, run.summary["id"], snapshot.take(src), "out", "all" + src)

    def test_a_blob(self):
        """Long enough for lists of references; twice, so that nothing is stored the second time."""
        plugins = os.path.join(bake.BUILD, "tests/cli-plugins")
        if not os.path.exists(f"{plugins}/source-staged.so"):
            self.skipTest("source-staged was not built")
        self.env["BAKENGINE_PLUGIN_PATH"] = plugins
        pipeline = self.pipeline({"s": {"plugin": "staged", "blobs": ["db/dump.sql"],
                                        "trees": ["web"], "size": "80 MiB"}},
                                 store={"format": "repository"})
        for _ in range(2):
            self.run_json(pipeline)
        want = hashlib.sha256((b"db/dump.sql\n" * (80 * (1 << 20) // 12 + 1))[:80 << 20])
        for backup in glob.glob(self.path("store/backups/*")):
            name = os.path.basename(backup)
            got = hashlib.sha256(self.read("cat", self.path("store"), name, "db/dump.sql").stdout)
            self.assertEqual(got.hexdigest(), want.hexdigest())
        self.read("restore", self.path("store"), "latest", self.path("out"))
        with open(self.path("out/db/dump.sql"), "rb") as f:
            self.assertEqual(hashlib.file_digest(f, "sha256").hexdigest(), want.hexdigest())
        self.assertEqual(os.stat(self.path("out/web/data")).st_size, 80 << 20)

    def test_after_prune(self):
        """What prune has moved and removed is found where it is now."""
        src = self.path("src")
        for i in range(60):
            self.random_file(f"src/f{i:02}", 500000)
        pipeline = self.repository(src, retention={"keep_last": 1})
        self.run_json(pipeline)
        for i in range(60):
            if i % 8:
                self.random_file(f"src/f{i:02}", 500000)
        run = self.run_json(pipeline)
        before = set(glob.glob(self.path("store/packs/*/*")))
        self.bake("prune", pipeline)
        self.assertTrue(glob.glob(self.path("store/moved/*")))
        self.assertTrue(before - set(glob.glob(self.path("store/packs/*/*"))))
        self.check(pipeline, run.summary["id"], snapshot.take(src), "out", "all" + src)

    def test_damage_is_named(self):
        src = self.path("src")
        for i in range(40):
            self.random_file(f"src/f{i:02}", 900000)
        pipeline = self.repository(src)
        self.run_json(pipeline)
        biggest = max(glob.glob(self.path("store/packs/*/*")), key=os.path.getsize)
        with open(biggest, "r+b") as f:
            f.seek(5 << 20)
            byte = f.read(1)[0]
            f.seek(5 << 20)
            f.write(bytes([byte ^ 4]))
        done = self.read("restore", self.path("store"), "latest", self.path("out"), code=1)
        self.assertIn(os.path.basename(biggest), done.said)
        hit = [n for n in os.listdir(src) if f"{src[1:]}/{n}'" in done.said]
        self.assertTrue(1 <= len(hit) <= 4, done.said)
        skip = {os.fsencode(n) for n in hit}
        self.same(snapshot.take(src, skip=skip), snapshot.take(self.path("out/all") + src, skip=skip))


class ByHand(ReaderBench):
    def setUp(self):
        super().setUp()
        self.store = repostore.Store(self.path("store"))
        self.out = self.path("out")

    def one(self, data, **more):
        """References to one chunk of that content, in a pack of its own."""
        self.store.pack([[data]], **more)
        return [(digest(data), len(data))]

    def make(self, records, **more):
        root = record(DIR, b".", mode=0o755)
        self.store.backup("b", [self.store.tree("c", [root, *records])], **more)

    def restore(self, code=0):
        return self.read("restore", self.store.path, "b", self.out, code=code)

    def content(self, name):
        with open(f"{self.out}/c/{name}", "rb") as f:
            return f.read()

    def refused(self, *reasons):
        done = self.restore(1)
        for reason in reasons:
            self.assertIn(reason, done.said)
        return done

    def test_everything(self):
        parts = [os.urandom(1000 + i) for i in range(40)]
        ids = [(digest(p), len(p)) for p in parts]
        self.store.pack([parts[:10], parts[10:30]], flags=[0])
        self.store.pack([parts[30:]], transforms=())
        lists = [b"".join(repostore.varint(n) + i for i, n in ids[at:at + 20]) for at in (0, 20)]
        self.store.pack([lists], META)
        below = [(digest(lists[0]), sum(n for _, n in ids[:20])),
                 (digest(lists[1]), sum(n for _, n in ids[20:]))]
        packed = [(b"user.a", b"1"), (b"user.empty", b"")]
        self.make([
            record(FILE, b"empty", content=file([])),
            record(FILE, b"long", content=file(below, 1), mode=0o640, xattrs=packed),
            record(FILE, b"sparse", content=file(ids[:2], extents=[(5000, 700), (9000, 1301)],
                                                 size=20000), mtime=-1),
            record(FILE, b"hole", content=file([], extents=[], size=1 << 40)),
            record(DIR, b"d", mode=0o555, mtime=3),
            record(FILE, b"d/\xff\n", content=file(ids[7:8])),
            record(HARDLINK, b"d/too", b"long"),
            record(SYMLINK, b"link", b"../../etc/passwd", mtime=77),
            record(HARDLINK, b"link too", b"link"),
            record(FIFO, b"fifo", mode=0o600)])
        self.restore()
        self.assertEqual(self.content("long"), b"".join(parts))
        self.assertEqual(self.content("sparse"), bytes(5000) + (parts[0] + parts[1])[:700] + bytes(3300)
                         + (parts[0] + parts[1])[700:] + bytes(20000 - 10301))
        got = snapshot.take(f"{self.out}/c")
        self.assertEqual(got[b"long"].xattrs, (("user.a", b"1"), ("user.empty", b"")))
        self.assertEqual((got[b"long"].mode, got[b"d/too"].twin), (0o640, b"d/too"))
        self.assertEqual((got[b"sparse"].mtime, got[b"link"].mtime, got[b"d"].mtime), (-1, 77, 3))
        self.assertEqual((got[b"hole"].size, got[b"fifo"].kind), (1 << 40, "fifo"))
        self.assertEqual((got[b"d"].mode, got[b"link too"].target), (0o555, b"../../etc/passwd"))
        self.assertEqual(len(got), 11)
        self.assertIn(b" 0 problems", self.read("verify", self.store.path, "b").stdout)

    @bake.unittest.skipUnless(bake.ROOT, "only root can make devices and owners")
    def test_devices_and_owners(self):
        self.make([record(CHARDEV, b"null", mode=0o620, device=(1, 3), owner=(12, 34)),
                   record(BLOCKDEV, b"disk", device=(259, 1000000)),
                   record(FILE, b"setid", mode=0o6755, owner=(56, 78), content=file([]))])
        self.restore()
        got = snapshot.take(f"{self.out}/c")
        null, setid = got[b"null"], got[b"setid"]
        self.assertEqual((null.uid, null.gid, null.mode, null.rdev), (12, 34, 0o620, os.makedev(1, 3)))
        self.assertEqual((setid.uid, setid.gid, setid.mode), (56, 78, 0o6755))
        self.assertEqual((got[b"disk"].kind, got[b"disk"].rdev), ("block", os.makedev(259, 1000000)))

    @bake.unittest.skipUnless(bake.ROOT, "only root can become somebody else")
    def test_as_somebody_else(self):
        """Owners are the restorer's then, so set-id bits are not given away."""
        self.make([record(FILE, b"setid", mode=0o6755, owner=(56, 78), content=file(self.one(b"x"))),
                   record(DIR, b"d", mode=0o3775, owner=(0, 0)),
                   record(CHARDEV, b"null", device=(1, 3)),
                   record(FILE, b"t", xattrs=[(b"trusted.t", b"1")], content=file([]))])
        os.mkdir(self.out)
        os.chown(self.out, bake.NOBODY, bake.NOBODY)
        done = self.read("restore", self.store.path, "b", self.out, code=1, prefix=[
            "setpriv", f"--reuid={bake.NOBODY}", f"--regid={bake.NOBODY}", "--clear-groups"])
        self.assertIn("'null': Operation not permitted", done.said)
        self.assertIn("'t': attribute b'trusted.t' is not restored", done.said)
        got = snapshot.take(f"{self.out}/c")
        self.assertEqual((got[b"setid"].uid, got[b"setid"].mode), (bake.NOBODY, 0o755))
        self.assertEqual((got[b"d"].uid, got[b"d"].mode), (bake.NOBODY, 0o3775))
        self.assertEqual(sorted(got), [b".", b"d", b"setid", b"t"])

    def test_paths_that_lead_out(self):
        """None is followed; what stands beside them is restored."""
        good, data = record(FILE, b"good", content=file([])), self.one(b"data")
        for i, bad in enumerate((b"../x", b"/etc/x", b"a/../../x", b"", b"a//b", b"./a", b"..",
                                 b"a/.")):
            self.out = self.path(f"out{i}")
            self.make([good, record(FILE, bad, content=file(data))])
            self.refused("an entry cannot be what it says")
            self.assertEqual(os.listdir(f"{self.out}/c"), ["good"])
        self.assertFalse(os.path.exists(self.path("x")))

    def test_links_that_lead_out(self):
        data, outside = self.one(b"data"), self.path("outside")
        os.mkdir(outside)
        self.write("outside/kept", b"kept")
        self.make([record(SYMLINK, b"l", os.fsencode(outside)),
                   record(FILE, b"l/new", content=file(data)),
                   record(FILE, b"l/kept", content=file(data)),
                   record(HARDLINK, b"twin", b"l/kept"),
                   record(SYMLINK, b"f", os.fsencode(outside) + b"/kept"),
                   record(FILE, b"f", content=file(data)),
                   record(FILE, b"good", content=file(data))])
        done = self.refused("l/new", "l/kept", "twin")
        self.assertEqual(done.said.count("\n"), 4, done.said)
        self.assertEqual(os.listdir(outside), ["kept"])
        with open(f"{outside}/kept", "rb") as f:
            self.assertEqual(f.read(), b"kept")
        self.assertEqual(self.content("good"), b"data")
        self.make([record(HARDLINK, b"h", b"../../outside/kept")])
        self.out = self.path("again")
        self.refused("an entry cannot be what it says")

    def test_names_of_components(self):
        for name in ("../c", "/c", "a/../../c", ""):
            self.store.backup("b", [self.store.component(name, "blob", 0, self.one(b"x"))])
            self.refused("cannot be a component's name")
        self.assertEqual(sorted(os.listdir(self.work)), ["out", "store"])

    def test_versions_that_are_not_known(self):
        self.make([record(FILE, b"f", content=file(self.one(b"x", version=2)))])
        self.refused("its version is 2")
        self.out = self.path("out2")
        self.make([], manifest_version=2)
        self.refused("the manifest's version is 2")
        for what in ({"format_version": 2}, {"format": "archive"}, {"digest": "blake3"}):
            self.store = repostore.Store(self.path("store"), **what)
            self.refused(f"the store's {list(what)[0]} is {list(what.values())[0]!r}")

    def test_another_transform(self):
        self.make([record(FILE, b"f", content=file(self.one(b"x", transforms=(b"zstd", b"gpg"))))])
        self.refused("it went through zstd, gpg; this program", "1 bytes of its content")

    def test_a_pack_that_is_not_listed(self):
        found = self.one(b"x")
        tree = self.store.tree("c", [record(DIR, b"."), record(FILE, b"f", content=file(found))])
        self.store.backup("b", [tree], packs=self.store.packs[1:])
        self.refused(f"pack {self.store.packs[0]} is not listed")
        self.assertEqual(self.content("f"), b"x")
        done = self.read("verify", self.store.path, "b", code=1)
        self.assertIn(b" 1 problems", done.stdout)

    def test_documents_that_were_changed(self):
        self.make([])
        for name in ("bakengine.json", "backups/b/manifest.json", "backups/b/packs"):
            with open(self.path("store", name), "r+b") as f:
                whole = f.read()
                f.seek(25)
                f.write(bytes([whole[25] ^ 1]))
            self.refused("match")
            self.store.put(name, whole)
            self.store.put(name, whole[:-2])
            self.refused("match")
            self.store.put(name, whole)
        self.restore()

    def test_a_stream_that_was_changed(self):
        def levels(m):
            m["components"][0]["stream"]["levels"] = 1
        self.make([])
        bake.edit_sealed(self.path("store/backups/b/manifest.json"), levels)
        self.refused("the stream of component 'c' is not what it was")

    def flip(self, path, at):
        with open(path, "r+b") as f:
            f.seek(at, 2 if at < 0 else 0)
            byte = f.read(1)[0]
            f.seek(-1, 1)
            f.write(bytes([byte ^ 64]))

    def two_segments(self):
        a, b = os.urandom(5000), os.urandom(6000)
        path = self.store.pack([[a], [b]])
        self.make([record(FILE, b"a", content=file([(digest(a), 5000)])),
                   record(FILE, b"b", content=file([(digest(b), 6000)]))])
        return path, a, b

    def test_a_flipped_bit(self):
        path, _, b = self.two_segments()
        self.flip(path, 100)
        done = self.refused("does not match its name", "'a': 5000 bytes of its content are missing")
        self.assertNotIn("'b'", done.said)
        self.assertEqual((self.content("a"), self.content("b")), (bytes(5000), b))
        self.read("cat", self.store.path, "b", "c", "a", code=1)
        self.assertEqual(self.read("cat", self.store.path, "b", "c", "b", code=1).stdout, b)

    def test_another_place_of_the_same_chunk(self):
        path, a, b = self.two_segments()
        self.store.pack([[b"other", a]])  # the backup does not list it
        self.flip(path, 100)
        self.refused("does not match its name", "is not listed, but has chunks of 'b'")
        self.assertEqual((self.content("a"), self.content("b")), (a, b))

    def test_packs_that_are_cut_missing_or_swapped(self):
        for what in ("cut", "missing", "empty", "footer", "header"):
            path, _, _ = self.two_segments()
            self.out = self.path("out-" + what)
            if what == "missing":
                os.unlink(path)
            elif what in ("footer", "header"):
                self.flip(path, -20 if what == "footer" else 9)
            else:
                os.truncate(path, 9000 if what == "cut" else 0)
            self.refused(os.path.basename(path), "'a': 5000 bytes", "'b': 6000 bytes")

    def test_a_pack_that_lies_about_its_name(self):
        path, a, _ = self.two_segments()
        other = self.store.pack([[os.urandom(5000)]])
        os.replace(other, path)
        self.refused("'a': 5000 bytes", "'b': 6000 bytes")

    def test_a_segment_that_swells(self):
        data = b"small"
        self.store.pack([[data]], encode=lambda _: repostore.zstd(bytes(1 << 30)))
        self.make([record(FILE, b"f", content=file([(digest(data), 5)]))])
        self.refused("'f': 5 bytes of its content are missing")

    def test_numbers_that_lie(self):
        ref = self.one(b"12345")
        sizes, early = "sizes contradict", "ends too early"
        for i, (content, reason) in enumerate((
                (file(ref, size=6), sizes), (file([(ref[0][0], 6)]), "6 bytes of its content"),
                (file(ref, extents=[(0, 4)], size=9), sizes),
                (file(ref, extents=[(7, 5)], size=9), sizes), (file(ref)[:-1], early),
                (file(ref, levels=1), early), (file(ref) + b"\0", "cannot be what it says"),
                (b"\x85\0" + file(ref)[1:], "shortest form"),
                (b"\xff" * 9 + b"\x02" + file(ref)[1:], "shortest form"))):
            self.out = self.path(f"out{i}")
            self.make([record(FILE, b"f", content=content)])
            self.refused(reason)

    def test_packs_that_were_moved(self):
        """One of them twice, and by two objects, for this backup; what was moved for others, or for
        one that had the same id before, does not matter."""
        a, b = os.urandom(5000), os.urandom(6000)
        packs = [self.store.pack(x) for x in ([[a], [b]], [[a]], [[a]], [[b]])]
        first, middle, of_a, of_b = map(os.path.basename, packs)
        tree = self.store.tree("c", [record(DIR, b"."),
                                     record(FILE, b"a", content=file([(digest(a), 5000)])),
                                     record(FILE, b"b", content=file([(digest(b), 6000)]))])
        self.store.backup("b", [tree], packs=[first, self.store.packs[-1]])
        start, other = "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
        for i, (backups, moves, more) in enumerate((
                (["x", "b"], {first: [middle]}, {"starts": [other, start]}),
                (["b"], {first: [of_b]}, {}), (["b"], {middle: [of_a]}, {}),
                (["x"], {of_a: ["f" * 64]}, {}),
                (["b"], {of_b: ["f" * 64]}, {"starts": [other]}))):
            self.store.put(f"moved/{i:016x}",
                           bake.seal_object({"backups": backups, "moves": moves, **more}))
        os.unlink(packs[0])
        os.unlink(packs[1])
        self.restore()
        self.assertEqual((self.content("a"), self.content("b")), (a, b))

    def test_a_target_that_is_in_use(self):
        self.make([])
        self.write("out/mine", b"mine")
        self.refused("is not empty")
        self.assertEqual(os.listdir(self.out), ["mine"])

    def test_words(self):
        self.make([])
        for words in ((), ("list",), ("prune", "x"), ("cat", "x", "y"), ("verify", "x", "y", "z")):
            self.read(*words, code=1)
        self.read("verify", self.store.path, "no such backup", code=1)
        self.read("cat", self.store.path, "b", "c", code=1)
        self.read("cat", self.store.path, "b", "no", "x", code=1)
        self.read("cat", self.store.path, "b", "c", ".", code=1)
        self.assertEqual(self.read("list", self.store.path, "latest").stdout, b"c tree ok 0\n")


if __name__ == "__main__":
    bake.main()
