#!/usr/bin/python3
"""Prune in a repository: what no backup needs goes, what is needed stays, whoever writes, prunes or is
killed meanwhile."""
import glob
import json
import os
import random
import signal
import subprocess
import time

import bake
import snapshot

KILLS = 120 if bake.LONG else 20


class Prune(bake.Bench):
    def setUp(self):
        super().setUp()
        self.seed = random.randrange(10**6)
        self.random = random.Random(self.seed)
        self.src = self.small_tree("src", 60)
        for i in range(8):
            self.random_file(f"src/big{i}", 1 << 20)
        self.file = self.of("t")

    def of(self, name, keep=1, **more):
        return self.pipeline({"all": self.src}, name=name, store={"format": "repository"},
                             retention={"keep_last": keep}, **more)

    def backup(self, file=None, *args, code=0):
        """A backup that nothing is pruned after."""
        with open(file or self.file, encoding="utf-8") as f:
            body = json.load(f)
        body.pop("retention")
        with open(self.path("keep.yaml"), "w", encoding="utf-8") as f:
            json.dump(body, f)
        return self.run_json(self.path("keep.yaml"), *args, code=code)

    def prune(self, file=None, *args, code=0):
        return self.bake("prune", file or self.file, "--json", *args, code=code)

    def objects(self, what, store="store"):
        return sorted(glob.glob(self.path(store, what)))

    def packs(self, store="store"):
        return self.objects("packs/*/*", store)

    def size(self, store="store"):
        return sum(os.path.getsize(p) for p in self.packs(store))

    def age(self, hours, store="store"):
        """Makes everything in the store that much older."""
        for path in glob.glob(self.path(store, "**"), recursive=True):
            then = os.stat(path).st_mtime - hours * 3600
            os.utime(path, (then, then))

    def change(self, *names):
        for name in names:
            self.random_file(f"src/{name}", 1 << 20)

    def check(self, file=None, backup="latest"):
        """All that is there verifies; the newest is the tree as it is."""
        file = file or self.file
        self.bake("verify", file, "--all", "--level", "quick")
        self.bake("verify", file, "--all", "--level", "read")
        target = self.path("restored")
        bake.forget(target)
        self.bake("restore", file, backup, "--target", target)
        self.same_tree(target)

    def same_tree(self, target):
        got = snapshot.take(os.path.join(target, "all") + self.src)
        self.assertEqual([], list(snapshot.differences(snapshot.take(self.src), got)))

    # ---- what goes ----------------------------------------------------------------------------

    def test_retention_frees(self):
        self.backup()
        first = set(self.packs())
        self.change(*[f"big{i}" for i in range(8)])
        self.backup()
        said = self.prune(None, "--dry-run").summary
        young = self.prune().summary
        self.assertEqual(said["removed"], 1)
        self.assertEqual(young["removed"], 1)
        self.age(25)
        done = self.prune().summary
        self.assertGreater(young["packs_removed"] + done["packs_removed"], 0)
        self.assertGreater(young["bytes_freed"] + done["bytes_freed"], 7 << 20)
        self.assertFalse(first & set(self.packs()), "packs of the first backup are still there")
        self.assertEqual(self.objects("gc/*"), [])
        self.check()

    def test_dry_run_tells_the_truth(self):
        self.backup()
        self.change("big0")
        self.backup()
        self.age(25)
        before = {p: os.stat(p).st_mtime_ns for p in glob.glob(self.path("store/**"), recursive=True)}
        said = self.prune(None, "--dry-run").summary
        self.assertEqual({p: os.stat(p).st_mtime_ns
                          for p in glob.glob(self.path("store/**"), recursive=True)}, before)
        done = self.prune().summary
        for key in ("removed", "kept", "packs_removed", "packs_rewritten", "packs_condemned"):
            self.assertEqual(said[key], done[key], key)
        self.check()
        text = self.bake("prune", self.file).text
        self.assertIn("removed 0 packs", text)

    def test_rewriting(self):
        """A backup that needs a little of large packs: the rest is freed, and it stays readable."""
        self.backup()
        for i in range(1, 8):
            os.remove(self.path(f"src/big{i}"))
        self.backup()
        before = self.size()
        done = self.prune().summary
        self.assertGreater(done["packs_rewritten"], 0)
        self.assertLess(self.size(), before / 3)
        self.assertGreaterEqual(done["bytes_freed"], before / 2)
        self.check()
        # a run after that finds what was moved
        result = self.backup()
        self.assertEqual(result.summary["bytes_stored"], 0)
        self.assertEqual(self.prune().summary["packs_rewritten"], 0)
        self.check()
        # and without its cache too
        bake.forget(self.path("cache"))
        self.check()
        self.age(25)
        self.prune()
        self.check()

    def test_many_small(self):
        for i in range(18):
            self.write(f"src/new{i}", os.urandom(1000))
            self.backup()
        self.assertGreater(len(self.packs()), 32)
        file = self.of("t", keep=18)
        done = self.prune(file).summary
        self.assertEqual(done["removed"], 0)
        self.assertGreater(done["packs_rewritten"], 30)
        self.assertLess(len(self.packs()), 6)
        self.assertEqual(len(self.backups(file)), 18)
        self.check(file)

    def test_after_a_run(self):
        """Retention after a run sweeps too, but rewrites nothing."""
        for i in range(3):
            self.change("big0")
            self.run_json(self.file)
            self.age(25)
        self.assertEqual(len(self.backups(self.file)), 1)
        self.run_json(self.file)
        self.assertEqual(self.objects("moved/*"), [])
        self.assertLess(self.size(), 12 << 20)
        self.check()

    # ---- who shares the store -----------------------------------------------------------------

    def test_two_pipelines(self):
        other = self.of("other", keep=5)
        self.backup(other)
        self.change("big0", "big1")
        self.backup()
        self.change("big2")
        self.backup()
        self.age(25)
        self.assertEqual(self.prune().summary["removed"], 1)
        self.assertEqual(len(self.backups(other)), 1)
        self.bake("verify", other, "--all", "--level", "read")
        self.check()

    def test_mirrors(self):
        sinks = [{"name": "one", "path": self.path("store")},
                 {"name": "two", "path": self.path("mirror")}]
        file = self.of("t", sinks=sinks)
        self.backup(file)
        for i in range(1, 8):
            os.remove(self.path(f"src/big{i}"))
        self.backup(file)
        done = self.prune(file).summary
        self.assertGreater(done["packs_rewritten"], 0)
        names = [[os.path.relpath(p, self.path(s)) for p in self.packs(s)]
                 for s in ("store", "mirror")]
        self.assertEqual(*names)
        self.check(file)
        os.rename(self.path("store"), self.path("lost"))
        self.bake("restore", file, "--from", "two", "--target", self.path("from-two"))
        self.same_tree(self.path("from-two"))

    def test_prune_beside_runs(self):
        """Runs and prunes at the same time, for a while: nothing is lost, nothing fails."""
        files = [self.of(f"p{i}") for i in range(2)]
        for file in files:
            self.backup(file)
        until = time.monotonic() + (40 if bake.LONG else 5)
        rounds = 0
        while time.monotonic() < until:
            self.change(f"big{rounds % 8}")
            runs = [self.start("run", f, "--no-verify") for f in files]
            self.bake("prune", files[rounds % 2], code=(0, 11))
            for p in runs:
                self.assertEqual(self.finish(p).code, 0)
            rounds += 1
        self.age(25)
        for file in files:
            self.bake("prune", file)
            self.check(file)
        self.assertGreater(rounds, 2)

    # ---- damage -------------------------------------------------------------------------------

    def test_unknown_needs(self):
        first = self.backup().summary["id"]
        self.change(*[f"big{i}" for i in range(8)])
        second = self.backup().summary["id"]
        self.change("big0")
        self.backup()
        bake.edit_sealed(self.path("store/backups", second, "manifest.json"),
                         lambda body: body["packs"].update(sha256="0" * 64))
        self.age(25)
        packs = self.packs()
        file = self.of("t", keep=2)
        failed = self.prune(file, code=4)
        self.assertIn(f"backup '{second}'", failed.text)
        self.assertIn("no packs are removed", failed.text)
        self.assertEqual(self.packs(), packs)
        self.assertFalse(os.path.exists(self.path("store/backups", first)), "retention still works")
        bake.forget(self.path("store/backups", second))
        self.assertGreater(self.prune(file).summary["packs_removed"], 0)
        self.check()

    def test_damaged_pack(self):
        """It is left as it is, said, and noted, so that the next run stores it anew."""
        self.backup()
        for i in range(1, 8):
            os.remove(self.path(f"src/big{i}"))
        self.backup()
        largest = max(self.packs(), key=os.path.getsize)
        os.chmod(largest, 0o600)
        with open(largest, "r+b") as f:
            f.seek(os.path.getsize(largest) * 3 // 4)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1]))
        result = self.prune()
        self.assertIn("is left as it is", result.text)
        self.assertTrue(os.path.exists(largest))
        self.assertTrue(os.path.exists(self.path("store/bad", os.path.basename(largest))))
        self.assertGreater(self.backup().summary["bytes_stored"], 0)
        self.age(25)
        self.prune()
        self.assertEqual(self.objects("bad/*"), [])
        self.check()

    # ---- killed -------------------------------------------------------------------------------

    def test_killed_anywhere(self):
        template = self.path("template")
        self.backup()
        for i in range(20):
            self.write(f"src/new{i}", os.urandom(1000))
            self.backup()
        for i in range(1, 8):
            os.remove(self.path(f"src/big{i}"))
        self.backup()
        file = self.of("t", keep=10)
        self.age(25)
        os.rename(self.path("store"), template)

        def again():
            bake.forget(self.path("store"))
            subprocess.run(["cp", "-a", template, self.path("store")], check=True)

        again()
        began = time.monotonic()
        self.bake("prune", file)
        longest = (time.monotonic() - began) * 1.1
        self.check(file)
        whole = len(self.packs())
        killed = 0
        for i in range(KILLS):
            again()
            p = self.start("prune", file)
            time.sleep(self.random.random() * longest)
            os.kill(p.pid, signal.SIGKILL)
            died = self.finish(p).code == -9
            longest *= 1.03 if died else 0.94  # how quick it is changes with what else is going on
            killed += died
            self.bake("verify", file, "--all", "--level", "read")
            for lease in self.objects("gc/lease"):
                os.remove(lease)
            self.prune(file)
            self.check(file)
            if i % 8 == 0:
                self.age(25)
                self.prune(file)
                self.assertLessEqual(len(self.packs()), whole + 2)
                self.assertEqual(self.objects("gc/*"), [])
                self.check(file)
        print(f"seed {self.seed}: {killed} of {KILLS} killed")
        self.assertGreater(killed, KILLS // 4)


if __name__ == "__main__":
    bake.main()
