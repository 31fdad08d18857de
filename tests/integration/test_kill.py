#!/usr/bin/python3
"""Killed at any moment: what was committed stays, what was not is invisible, the next one works."""
import glob
import os
import random
import signal
import time

import bake
import snapshot

RUNS, PRUNES, RESTORES = (200, 60, 60) if bake.LONG else (30, 12, 12)


class Kill(bake.Bench):
    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 300)
        for i in range(6):
            self.random_file(f"src/big{i}", 1 << 20)
        self.want = snapshot.take(self.src)
        self.file = self.pipeline({"all": self.src, "more": self.small_tree("more", 50)})
        self.seed = random.randrange(10**6)
        self.random = random.Random(self.seed)

    def kill_one(self, longest, *args):
        """Starts the program and kills it, or lets it end. Returns whether it was killed. longest: in
        a list; less from then on if the program was quicker."""
        p = self.start(*args)
        time.sleep(self.random.random() * longest[0])
        os.kill(p.pid, signal.SIGKILL)
        killed = self.finish(p).code == -9
        longest[0] *= 1.03 if killed else 0.94
        return killed

    def how_long(self, *args):
        began = time.monotonic()
        self.bake(*args)
        return [(time.monotonic() - began) * 1.05]

    def manifests(self):
        return {p.split("/")[-2] for p in glob.glob(self.path("store/backups/*/manifest.json"))}

    def committed_are_whole(self):
        self.assertEqual({b["id"] for b in self.backups(self.file)}, self.manifests())
        if self.manifests():
            self.bake("verify", self.file, "--all", "--level", "read")

    def age(self, hours):
        """Makes everything in the store that much older."""
        for path in glob.glob(self.path("store/**"), recursive=True):
            then = os.stat(path).st_mtime - hours * 3600
            os.utime(path, (then, then))
        for path in glob.glob(self.path("store/**/.*"), recursive=True):
            then = os.stat(path).st_mtime - hours * 3600
            os.utime(path, (then, then))

    def everything_stored(self):
        found = []
        for folder, _, names in os.walk(self.path("store")):
            found += [os.path.relpath(f"{folder}/{n}", self.path("store")) for n in names]
        return sorted(found)

    def test_run(self):
        longest, killed = self.how_long("run", self.file), 0
        for i in range(RUNS):
            before = self.manifests()
            killed += self.kill_one(longest, "run", self.file)
            self.assertLessEqual(before, self.manifests())
            self.assertEqual({b["id"] for b in self.backups(self.file)}, self.manifests())
            if i % 10 == 9:
                self.committed_are_whole()
        print(f"seed {self.seed}: {killed} of {RUNS} killed, {len(self.manifests())} committed")
        self.assertGreater(killed, RUNS // 4)
        self.bake("run", self.file)
        self.committed_are_whole()

        # Too young to be garbage; a day later it goes, and nothing else does.
        whole = self.manifests()
        self.bake("prune", self.file)
        self.assertEqual(self.manifests(), whole)
        self.age(25)
        self.bake("prune", self.file)
        self.assertEqual(self.manifests(), whole)
        for name in self.everything_stored():
            parts = name.split("/")
            self.assertTrue(parts[0] == "bakengine.json" or
                            (parts[0] == "backups" and parts[1] in whole), f"left behind: {name}")
        self.committed_are_whole()

    def test_prune(self):
        file = self.pipeline({"all": self.small_tree("little", 20)}, name="t",
                             retention={"keep_last": 2})
        longest, killed = 0, 0
        for i in range(PRUNES + 1):
            for _ in range(3):
                self.bake("run", self.pipeline({"all": self.path("little")}, file="keep.yaml"))
            if i == 0:
                longest = self.how_long("prune", file)
                continue
            newest = sorted(self.backups(file), key=lambda b: b["start"])[-2:]
            killed += self.kill_one(longest, "prune", file)
            self.committed_are_whole()
            self.assertLessEqual({b["id"] for b in newest}, self.manifests())
            # The lease of the one that was killed keeps others out until it is old.
            after = self.bake("prune", file, code=(0, 11))
            if after.code == 11:
                self.age(1)
                self.bake("prune", file)
            self.assertEqual(self.manifests(), {b["id"] for b in newest})
        print(f"seed {self.seed}: {killed} of {PRUNES} killed")
        self.bake("restore", file, "--target", self.path("out"))

    def test_restore(self):
        self.bake("run", self.file)
        out, killed = self.path("out"), 0
        longest = self.how_long("restore", self.file, "--target", out)
        for i in range(RESTORES):
            bake.forget(out)
            killed += self.kill_one(longest, "restore", self.file, "--target", out)
            at = f"{out}/all{self.src}"
            for path, e in (snapshot.take(at) if os.path.isdir(at) else {}).items():
                name = os.path.basename(path)
                if path in self.want and e.kind == "file":
                    old = self.want[path]
                    self.assertEqual((e.digest, e.size, e.mode, e.mtime),
                                     (old.digest, old.size, old.mode, old.mtime), path)
                elif path not in self.want:
                    self.assertTrue(name.startswith(b".") and e.kind == "file", path)
            if i % 5 == 0:  # what is there does not stand in the way of a second try
                self.bake("restore", self.file, "--target", out)
                got = snapshot.take(at)
                for path in [p for p in got if p not in self.want]:
                    del got[path]  # half files of the one that was killed
                lines = snapshot.differences(self.want, got, ("mtime", "mode"))
                self.assertEqual(lines, [])
        print(f"seed {self.seed}: {killed} of {RESTORES} killed")
        self.assertGreater(killed, RESTORES // 4)

    def test_interrupted(self):
        """A polite signal: nothing visible is left, and nothing that prune would have to find."""
        longest = self.how_long("run", self.file)
        before = self.everything_stored()
        for sig in [signal.SIGINT, signal.SIGTERM] * 10:
            p = self.start("run", self.file, "--json")
            time.sleep(self.random.random() * longest[0])
            os.kill(p.pid, sig)
            done = self.finish(p)
            self.assertIn(done.code, (0, 130, 128 + sig, -sig), str(done))
            if done.code == -sig:  # it came before the program could listen
                self.assertEqual(self.everything_stored(), before, str(done))
            elif done.summary.get("id") in self.manifests():  # after the commit it is too late
                before = self.everything_stored()
            elif done.code > 0:
                self.assertEqual(self.everything_stored(), before, str(done))
        self.committed_are_whole()


if __name__ == "__main__":
    bake.main()
