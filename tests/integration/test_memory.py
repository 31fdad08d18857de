#!/usr/bin/python3
"""How much memory a run, a verification and a restore take: never more than the dry run states."""
import glob
import json
import os
import resource
import time

import bake
import trees

MIB = 1 << 20


class Memory(bake.Bench):
    def budget(self, pipeline):
        plan = self.run_json(pipeline, "--dry-run").of("plan")
        self.assertEqual(len(plan), 1)
        return plan[0]["memory_budget"]

    def measure(self, what, pipeline, restore=True):
        """Each verb, its peak against the budget."""
        budget = self.budget(pipeline)
        # What the shared libraries and this program's fork take is not the pipeline's.
        floor = self.bake("--help").rss * 1024
        self.assertLess(floor, 64 * MIB, "the test itself is too big to measure anything")
        verbs = [("run",), ("verify", "--level", "read")]
        if restore:
            verbs.append(("restore", "--target", self.path("out")))
        line = [f"budget {budget / MIB:.1f} MiB"]
        for verb in verbs:
            began = time.monotonic()
            said = self.bake(verb[0], pipeline, *verb[1:])
            peak = said.rss * 1024
            line.append(f"{verb[0]} {peak / MIB:.1f} MiB in {time.monotonic() - began:.1f} s")
            self.assertLess(peak, budget, f"{what}: {verb[0]}")
        print(f"\nmemory, {what}: {', '.join(line)}")
        bake.forget(self.path("out"))

    def test_small_file(self):
        self.random_file("src/f", 64 << 10)
        self.measure("64 KiB", self.pipeline({"all": self.path("src")}))

    def test_big_file(self):
        size = 1 << 30 if bake.LONG else 200 * MIB
        self.random_file("src/f", size)
        self.measure(f"{size // MIB} MiB of random bytes", self.pipeline({"all": self.path("src")}))

    def test_compressible_file(self):
        """The transforms are behind here, not the disk."""
        with open(self.write("src/f"), "wb") as f:
            for i in range(100):
                f.write((b"line %d of a log that is much like the others\n" % i) * 45000)
        self.measure("200 MiB of text, level 9",
                     self.pipeline({"all": self.path("src")},
                                   transforms=[{"plugin": "zstd", "level": 9}]))

    def test_sparse_file(self):
        size = 20 << 30 if bake.LONG else 2 << 30
        os.mkdir(self.path("src"))
        trees.sparse_file(self.path("src/f"), size, [(size // 2, b"data")])
        self.measure(f"{size >> 30} GiB sparse", self.pipeline({"all": self.path("src")}))

    def test_many_holes(self):
        """A map of extents is as long as the file has pieces."""
        os.mkdir(self.path("src"))
        pieces = 100000 if bake.LONG else 20000
        trees.sparse_file(self.path("src/f"), pieces * 8192,
                          ((i * 8192, b"x") for i in range(pieces)))
        self.measure(f"a file of {pieces} pieces", self.pipeline({"all": self.path("src")}))

    def test_one_crowded_directory(self):
        many = 200000 if bake.LONG else 20000
        trees.crowd(self.path("src"), many)
        self.measure(f"{many} files in one directory", self.pipeline({"all": self.path("src")}))

    def test_many_directories(self):
        many = 1000000 if bake.LONG else 20000
        for i in range(many // 1000):
            os.makedirs(self.path(f"src/d{i:04}"))
            for k in range(1000):
                with open(self.path(f"src/d{i:04}/f{k:03}"), "wb"):
                    pass
        self.measure(f"{many} files", self.pipeline({"all": self.path("src")}))

    def test_many_hard_links(self):
        """Names of one inode have to be remembered."""
        many = 200000 if bake.LONG else 10000
        os.mkdir(self.path("src"))
        for i in range(many):
            with open(self.path(f"src/a{i}"), "wb"):
                pass
            os.link(self.path(f"src/a{i}"), self.path(f"src/b{i}"))
        self.measure(f"{many} pairs of hard links", self.pipeline({"all": self.path("src")}))

    def test_many_components(self):
        sources = {}
        for i in range(8):
            self.random_file(f"src{i}/f", 20 * MIB)
            sources[f"c{i}"] = self.path(f"src{i}")
        self.measure("8 components at once", self.pipeline(sources, parallel=8))

    def test_a_long_window(self):
        """Options that need memory are in what the dry run states."""
        self.random_file("src/f", 300 * MIB)
        self.measure("zstd long 27", self.pipeline(
            {"all": self.path("src")}, transforms=[{"plugin": "zstd", "level": 1, "long": 27}]))

    def test_within_a_limit(self):
        """With less address space than it needs it says why it cannot, and leaves nothing half."""
        self.random_file("src/f", 50 * MIB)
        pipeline = self.pipeline({"all": self.path("src")})
        for limit in (1 << 30, 120 * MIB, 60 * MIB):
            said = self.bake("run", pipeline, "--json", code=(0, 1, 3), preexec_fn=lambda n=limit:
                             resource.setrlimit(resource.RLIMIT_AS, (n, n)))
            if said.code != 0:
                self.assertRegex(said.text.lower(), "memory|resource temporarily unavailable")
        found = glob.glob(self.path("store/backups/*/manifest.json"))
        listed = json.loads(self.bake("list", pipeline, "--json").out)["backups"]
        self.assertEqual(len(found), len(listed))
        self.bake("verify", pipeline, "--all", "--level", "read")


if __name__ == "__main__":
    bake.main()
