#!/usr/bin/python3
"""Index objects and the index cache that are damaged, stale, another store's, or lie."""
import glob
import os
import shutil
import struct
import subprocess

import bake
import repolook
import repostore
from repodamage import Damaged

FLIPS = 300 if bake.LONG else 16
LIES = 200 if bake.LONG else 12


def unzstd(data):
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Index(Damaged):
    """Index objects and the cache only save time: without them, or with wrong ones, all is there."""

    def objects(self):
        return sorted(glob.glob(self.path("store/indexes/*")))

    def all_is_there(self, what, warned=None):
        what = f"seed {self.seed}: {what}"
        for backup in self.look.backups:
            said = self.check_restore(backup, what, set(), set())
            if warned and warned not in said.text:
                self.fail(f"{what}: not named\n{said}")

    def run_after(self, what):
        """A run relies on the index: what it writes is whole."""
        self.bake("run", self.file, "--id", "after")
        done = self.bake("verify", self.file, "--all", "--level", "read", code=None)
        if done.code != 0:
            self.fail(f"seed {self.seed}: {what}: after a run\n{done}")

    def test_damaged_index_objects(self):
        for change in (self.flip, self.flip, self.cut, self.append, self.remove):
            self.fresh(cache=False)
            for path in self.objects():
                what = f"{path}: {change(path)}"
            self.all_is_there(what, None if change == self.remove else "indexes/")
            self.bake("verify", self.file, "--all", "--level", "read", code=(0, 4))
            self.run_after(what)

    def test_swapped_index_objects(self):
        self.fresh(cache=False)
        paths = self.objects()
        self.assertGreater(len(paths), 1)
        for path, other in zip(paths, paths[1:] + paths[:1]):
            with open(other.replace(self.path("store"), self.good), "rb") as f:
                data = f.read()
            with open(path, "wb") as f:
                f.write(data)
        self.all_is_there("swapped", "indexes/")
        self.run_after("swapped")

    def test_the_index_of_another_store(self):
        """It speaks of packs that are not here; an older one, of half of those that are."""
        other = self.pipeline(self.roots, [self.path("other")], name="o",
                              store={"format": "repository"})
        self.bake("run", other)
        for keep in (True, False):
            self.fresh(cache=False)
            if not keep:
                for path in self.objects()[1:]:
                    os.unlink(path)
            for path in glob.glob(self.path("other/indexes/*")):
                shutil.copy(path, self.path("store/indexes"))
            self.all_is_there("another store's index")
            self.run_after("another store's index")

    def lies(self):
        """An index object that contradicts the packs, sealed rightly; and what is wrong with it."""
        names = sorted(self.look.packs)
        kind, victims, text = self.random.randrange(6), [self.random.choice(names)], b""
        tables = {n: self.table_of(n) for n in names}
        if kind == 0:  # what is in one is said to be in another
            victims = self.random.sample(names, 2)
            a, b = victims
            tables[a], tables[b] = tables[b], tables[a]
        sizes = {n: [self.look.packs[n].size, self.look.packs[n].head] for n in names}
        if kind == 1:
            sizes[victims[0]][1] += self.random.choice((-1, 1, 40))
        for name in victims if kind > 1 else ():
            table = bytearray(tables[name])
            for _ in range(self.random.choice((1, 1, 5))):
                at = self.random.randrange(len(table)) if kind < 5 else self.random.randrange(40)
                table[at] ^= 1 << self.random.randrange(8)
            tables[name] = bytes(table)
        for n in names:
            size, head = sizes[n]
            text += (bytes.fromhex(n) + repostore.varint(size) + repostore.varint(head) +
                     repostore.lengthy(tables[n]))
        strings = [repostore.string(t) for t in self.look.packs[names[0]].transforms]
        header = b"".join(strings)
        data = (b"BAKEINDX" + struct.pack("<III", 1, 20 + len(header), len(strings)) + header +
                repostore.zstd(text))
        return f"kind {kind}, {victims}", data

    def table_of(self, name):
        with open(repolook.pack_path(self.good, name), "rb") as f:
            f.seek(self.look.packs[name].table)
            return unzstd(f.read()[:-32])

    def test_an_index_that_lies(self):
        right = 0
        for _ in range(LIES):
            self.fresh(cache=False)
            what, data = self.lies()
            for path in self.objects():
                os.unlink(path)
            self.write(f"store/indexes/{repostore.digest(data).hex()}", data)
            what = f"seed {self.seed}: {what}"
            for backup in self.look.backups:
                said = self.restore(backup)
                there = self.came_back(backup, what, said)
                missing = self.all_of(backup) - there
                if missing and (said.code not in (1, 3) or not said.of("error")):
                    self.fail(f"{what}: missing and not said: {sorted(missing)[:5]}\n{said}")
                right += not missing and said.code == 0
            self.a_run_that_relies_on_it(what)
        print(f"{right} of {LIES * len(self.look.backups)} restores brought all")

    def a_run_that_relies_on_it(self, what):
        """What it says is verified holds."""
        bake.forget(self.path("cache"))
        self.bake("run", self.file, "--id", "after", code=None)
        done = self.bake("verify", self.file, "after", "--level", "read", code=None)
        if done.code == 0:
            self.wanted["after"] = self.wanted["two"]
            said = self.restore("after", code=0)
            if self.came_back("after", what, said) != self.all_of("two"):
                self.fail(f"{what}: verified, and not all is there\n{said}")
        elif done.code not in (4, 10):
            self.fail(f"{what}\n{done}")

    def cached(self):
        return [f"{folder}/{n}" for folder, _, names in os.walk(self.path("cache")) for n in names]

    def test_damaged_cache(self):
        self.fresh()
        self.assertGreater(len(self.cached()), 0)
        for change in [self.flip] * (FLIPS // 4) + [self.cut] * 4 + [self.append, self.remove]:
            self.fresh()
            path = self.random.choice([p for p in self.cached() if os.path.getsize(p) > 0])
            what = f"{path}: {change(path)}"
            if self.random.random() < 0.5:
                self.all_is_there(what)
            else:
                self.run_after(what)

    def test_the_cache_of_another_store(self):
        """A store that was put back to what it was a while ago: the cache knows too much."""
        self.fresh()
        for i in range(3):
            self.random_file("src/young", 1000000)
            self.bake("run", self.file, "--id", f"later{i}")
        bake.forget(self.path("store"))
        shutil.copytree(self.good, self.path("store"))
        self.all_is_there("an older store")
        self.run_after("an older store")


if __name__ == "__main__":
    bake.main()
