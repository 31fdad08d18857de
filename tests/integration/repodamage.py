"""What the tests of damage to a repository share: a store with two backups that have most in common,
and what a damage to it must come to."""
import os
import random
import shutil

import bake
import repolook
import snapshot

BLOB = "db/dump"


class Damaged(bake.Bench):
    """A store with two backups that have most in common, and what a damage to it means."""

    def setUp(self):
        super().setUp()
        self.seed = random.randrange(10**6)
        self.random = random.Random(self.seed)
        print(f"seed {self.seed}", flush=True)
        self.env["BAKENGINE_PLUGIN_PATH"] = os.path.join(bake.BUILD, "tests/cli-plugins")
        if not os.path.exists(self.env["BAKENGINE_PLUGIN_PATH"] + "/source-staged.so"):
            self.skipTest("source-staged was not built")
        self.src, self.more = self.small_tree("src", 30), self.small_tree("more", 20, b"more")
        for i in range(6):
            self.random_file(f"src/random{i}", 700000)
        self.write("src/text", b"a text that compresses well\n" * 4000)
        self.write("more/numbers", b"".join(b"%d\n" % (i * i) for i in range(90000)))
        self.roots = {"all": self.src, "more": self.more}
        self.file = self.pipeline({**self.roots, "blobs": {"plugin": "staged", "blobs": [BLOB],
                                                           "size": "1 MiB"}},
                                  store={"format": "repository"})
        self.bake("run", self.file, "--id", "one")
        self.wanted = {"one": self.snapshots()}
        self.write("src/text", b"something else\n" * 5000)
        self.random_file("src/random0", 700000)
        self.random_file("src/young", 1000000)
        self.bake("run", self.file, "--id", "two")
        self.wanted["two"] = self.snapshots()
        self.good, self.cache = self.path("good"), self.path("good-cache")
        os.rename(self.path("store"), self.good)
        os.rename(self.path("cache"), self.cache)
        with repolook.quiet():
            self.look = repolook.Look(self.good)

    def snapshots(self):
        return {name: snapshot.take(root) for name, root in self.roots.items()}

    def fail(self, msg=None):
        super().fail(f"seed {self.seed}: {msg}")

    def fresh(self, cache=True):
        """Store and cache as they were before."""
        for now, before in ((self.path("store"), self.good), (self.path("cache"), self.cache)):
            bake.forget(now)
            if now.endswith("store") or cache:
                shutil.copytree(before, now)

    # ---- changes -----------------------------------------------------------------------------

    def flip(self, path, where=None):
        with open(path, "r+b") as f:
            data = f.read()
            at, bit = self.random.randrange(*where or (0, len(data))), self.random.randrange(8)
            f.seek(at)
            f.write(bytes([data[at] ^ 1 << bit]))
        return f"bit {bit} of byte {at} of {len(data)} flipped"

    def cut(self, path):
        size = os.path.getsize(path)
        n = self.random.randrange(size)
        os.truncate(path, n)
        return f"cut to {n} of {size} bytes"

    def append(self, path):
        with open(path, "ab") as f:
            f.write(self.random.choice((b"\0", b"\n\n", os.urandom(1000))))
        return "something appended"

    def remove(self, path):
        os.unlink(path)
        return "removed"

    # ---- what came back ----------------------------------------------------------------------

    def restore(self, backup, code=None):
        bake.forget(self.path("out"))
        return self.bake("restore", self.file, backup, "--target", self.path("out"), "--json",
                         code=code)

    def came_back(self, backup, what, said):
        """Nothing wrong is there. Returns the (component, path) of what is."""
        there = set()
        for name, root in self.roots.items():
            at = f"{self.path('out')}/{name}{root}"
            for path, e in (snapshot.take(at) if os.path.isdir(at) else {}).items():
                old = self.wanted[backup][name].get(path)
                # Times of directories are right only if all came.
                if not old or old.kind != e.kind or (e.kind != "dir" and old.same(e, ("twin",))):
                    self.fail(f"{what}: {backup}, {name}: wrong is {path}\n{said}")
                full = os.fsencode(root)[1:] + (b"" if path == b"." else b"/" + path)
                there.add((name, full))
        blob = f"{self.path('out')}/{BLOB}"
        if os.path.exists(blob):
            with open(blob, "rb") as f:
                data = f.read()
            whole = (b"db/dump\n" * (1 << 17))[:1 << 20]
            if data != whole:
                self.fail(f"{what}: the blob is wrong\n{said}")
            there.add((BLOB, os.fsencode(BLOB)))
        return there

    def all_of(self, backup):
        """(component, path) of all that a backup has below its roots."""
        b = self.look.backups[backup]
        return {f for f in set(b.files) | set(b.others)
                if f[0] == BLOB or f[1].startswith(os.fsencode(self.roots[f[0]])[1:])}

    def check_restore(self, backup, what, lost, components, at_most=False):
        """All but `lost` is there and right (at_most: of that too), and what is not is named; of
        damaged components only what is there is looked at."""
        said = self.restore(backup)
        there, everything = self.came_back(backup, what, said), self.all_of(backup)
        missing = everything - there
        sure = {f for f in missing if f[0] not in components}
        known = {f for f in lost if f[0] not in components}
        if at_most:
            known &= sure
            components = {name for name, _ in missing} & components
        if sure != known:
            self.fail(f"{what}: restore of {backup} lacks {sorted(sure)[:9]} and not "
                      f"{sorted(lost)[:9]}\n{said}")
        if said.code != (0 if not known and not components else 3 if there else said.code):
            self.fail(f"{what}: restore of {backup}\n{said}")
        if missing and said.code == 0:
            self.fail(f"{what}: not all came and nothing was said\n{said}")
        for name, path in sure:
            if os.fsdecode(path) not in said.text:
                self.fail(f"{what}: restore of {backup} does not name {path}\n{said}")
        for name in components:
            if f"'{name}'" not in said.text and f'"{name}"' not in said.text:
                self.fail(f"{what}: restore of {backup} does not name component {name}\n{said}")
        return said

    @staticmethod
    def errors_of(said, backup):
        return [e for e in said.of("error") if e.get("id") == backup or backup in e["text"].split()]

    def check_verify(self, what, lost, components, code=4):
        """lost, components: by backup. Each is named with its backup, and nothing else is."""
        said = self.bake("verify", self.file, "--all", "--level", "read", "--json", code=None)
        if said.code != code:
            self.fail(f"{what}: verify\n{said}")
        results = {e["id"]: e["result"] for e in said.of("verified")}
        for backup in self.look.backups:
            errors = self.errors_of(said, backup)
            if (lost[backup] or components[backup]) and results.get(backup) != "damaged":
                self.fail(f"{what}: {backup} is not said to be damaged\n{said}")
            if not lost[backup] and not components[backup] and code == 0 and errors:
                self.fail(f"{what}: {backup} is whole\n{said}")
            for name in components[backup]:
                if not any(e.get("component") == name for e in errors):
                    self.fail(f"{what}: component {name} of {backup} is not named\n{said}")
            for name, path in set(self.look.backups[backup].files) - self.look.backups[backup].links:
                if name in components[backup]:
                    continue
                named = any(e.get("component") == name and
                            (f"'{os.fsdecode(path)}'" in e["text"] or name == BLOB) for e in errors)
                if named != ((name, path) in lost[backup]):
                    self.fail(f"{what}: {backup}, {name}, {path}: named: {named}\n{said}")
        return said

    def expect(self, damaged):
        """What each backup loses: files, components."""
        chunks, lost, components = self.look.chunks(damaged), {}, {}
        for b in self.look.backups.values():
            components[b.id], lost[b.id] = b.lost(chunks)
        return lost, components

    def check(self, what, damaged):
        """After a damage to packs. damaged: bytes by name; None: gone."""
        what = f"seed {self.seed}: {what}"
        lost, components = self.expect(damaged)
        any_lost = any(lost.values()) or any(components.values())
        self.check_verify(what, lost, components, code=4 if any_lost else 0)
        for backup in self.look.backups:
            self.check_restore(backup, what, lost[backup], components[backup])
