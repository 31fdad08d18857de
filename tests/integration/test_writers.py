#!/usr/bin/python3
"""Many writers of one repository, prunes beside them, mirrors; one id twice; clocks that went back."""
import glob
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

import bake
import repolook
import snapshot

STORE = {"format": "repository"}
HOUR = 3600 * 10**9


def make_older(path, hours):
    st = os.stat(path)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns - int(hours * HOUR)))


class Bench(bake.Bench):
    def setUp(self):
        super().setUp()
        self.env["BAKENGINE_PLUGIN_PATH"] = os.path.join(bake.BUILD, "tests/cli-plugins")

    def manifests(self, store=None):
        return sorted(p.split("/")[-2]
                      for p in glob.glob(f"{store or self.path('store')}/backups/*/manifest.json"))

    def comes_back(self, pipeline, backup, wanted, *more):
        """wanted: snapshots by (component, root)."""
        out = self.path("out")
        bake.forget(out)
        self.bake("restore", pipeline, backup, "--target", out, *more)
        for (name, root), want in wanted.items():
            lines = snapshot.differences(want, snapshot.take(f"{out}/{name}{root}"))
            self.assertEqual(lines, [], f"{backup}, {name}")
        bake.forget(out)

    def wait_for(self, path, *running):
        while not os.path.exists(path):
            for p in running:
                self.assertIsNone(p.poll(), f"it ended before {path} was there")
            time.sleep(0.005)

    def waiting_run(self, pipeline, *args):
        """A run whose staged source waits for the file 'go', when the rest is read."""
        for name in ("go", "go.reached"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        p = self.start("run", pipeline, *args, "--json")
        self.wait_for(self.path("go.reached"), p)
        return p

    def staged(self, **sources):
        """Sources, of which the last waits for 'go'; one after the other."""
        if not os.path.exists(self.env["BAKENGINE_PLUGIN_PATH"] + "/source-staged.so"):
            self.skipTest("source-staged was not built")
        return {**sources, "z": {"plugin": "staged", "blobs": ["z"], "wait_for": self.path("go")}}


class AtOnce(Bench):
    WRITERS = 4

    def setUp(self):
        super().setUp()
        self.shared = self.small_tree("shared", 40)
        self.random_file("shared/big", 3 << 20)
        self.files, self.roots = [], []
        for i in range(self.WRITERS):
            own = self.small_tree(f"own{i}", 30, b"%d" % i)
            self.random_file(f"own{i}/big", 1 << 20)
            self.roots.append({"shared": self.shared, "own": own})
            self.files.append(self.pipeline(self.roots[i], name=f"w{i}", store=STORE,
                                            retention={"keep_last": 2}))
        self.wanted = {}

    def round(self, number):
        """All of them at the same time. What is shared is new to each of them."""
        self.random_file("shared/big", 3 << 20)
        self.write("shared/text", b"round %d\n" % number * 9000)
        running = []
        for i, f in enumerate(self.files):
            backup = f"w{i}-{number}"
            with open(f"{self.roots[i]['own']}/big", "r+b") as own:
                own.seek(4096 * number)
                own.write(os.urandom(100))
            self.wanted[backup] = {item: snapshot.take(item[1]) for item in self.roots[i].items()}
            running.append(self.start("run", f, "--id", backup, "--json"))
        for p in running:
            done = self.finish(p)
            self.assertEqual(done.code, 0, str(done))

    def all_are_whole(self):
        self.bake("verify", self.path("store"), "--all", "--level", "read")
        for backup in self.manifests():
            self.comes_back(self.path("store"), backup, self.wanted[backup])

    def test_runs_at_once(self):
        for number in range(3):
            self.round(number)
        for f in self.files:  # one that pruned meanwhile left retention to nobody
            self.bake("prune", f)
        self.assertEqual(len(self.manifests()), 2 * self.WRITERS)
        self.all_are_whole()
        left = glob.glob(self.path("store/writers/*")) + glob.glob(self.path("store/gc/lease"))
        self.assertEqual(left, [])

    def test_runs_beside_prunes(self):
        """Prunes without a pause, and a clock by which all that is not wanted is garbage at once."""
        ending, failed, counts = threading.Event(), [], {"pruned": 0, "locked": 0}

        def prune():
            while not ending.is_set():
                for path in glob.glob(self.path("store/packs/??/*")):
                    try:
                        if time.time_ns() - os.stat(path).st_mtime_ns < HOUR:
                            make_older(path, 30)
                    except FileNotFoundError:
                        pass
                done = self.finish(self.start("prune", self.files[0]))
                if done.code not in (0, 11):
                    failed.append(str(done))
                counts["locked" if done.code == 11 else "pruned"] += 1

        self.round(0)
        beside = threading.Thread(target=prune)
        beside.start()
        try:
            for number in range(1, 13 if bake.LONG else 5):
                self.round(number)
        finally:
            ending.set()
            beside.join()
        print(counts)
        self.assertEqual(failed, [])
        self.assertGreater(counts["pruned"], 2)
        for f in self.files:
            self.bake("prune", f)
        self.assertEqual(len(self.manifests()), 2 * self.WRITERS)
        self.all_are_whole()
        self.assertEqual(glob.glob(self.path("store/gc/lease")), [])

    def test_half_of_them_are_killed(self):
        for number in range(3):
            doomed = self.pipeline(self.roots[0], name="doomed", store=STORE)
            p = self.start("run", doomed)
            q = self.start("run", self.files[1], "--id", f"w1-{number}x")
            self.wanted[f"w1-{number}x"] = {i: snapshot.take(i[1]) for i in self.roots[1].items()}
            time.sleep(0.05 * (number + 1))
            os.kill(p.pid, signal.SIGKILL)
            self.finish(p)
            done = self.finish(q)
            self.assertEqual(done.code, 0, str(done))
            self.random_file("shared/big", 3 << 20)
        for backup in self.manifests():
            if backup in self.wanted:
                self.comes_back(self.path("store"), backup, self.wanted[backup])
        self.bake("verify", self.path("store"), "--all", "--level", "read")


class Intent(Bench):
    """A writer that was taken for dead has no backup."""

    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 30)
        self.random_file("src/big", 1 << 20)
        self.file = self.pipeline(self.staged(all=self.src), name="slow", store=STORE, parallel=1)
        self.other = self.pipeline({"all": self.src}, name="other", store=STORE,
                                   retention={"keep_last": 1})
        self.bake("run", self.other, "--id", "before")
        self.wanted = {("all", self.src): snapshot.take(self.src)}

    def fails_cleanly(self, p, others=True):
        done = self.finish(p)
        self.assertEqual(done.code, 1, str(done))
        self.assertIn("writers/", done.text)
        self.assertNotIn("slow-1", self.manifests())
        self.assertFalse(os.path.exists(self.path("store/backups/slow-1/manifest.json")))
        self.bake("verify", self.path("store"), "--all", "--level", "read", code=0 if others else 10)
        self.bake("run", self.file, "--id", "slow-2")  # 'go' is there
        self.comes_back(self.file, "slow-2", self.wanted)

    def test_its_intent_is_removed(self):
        p = self.waiting_run(self.file, "--id", "slow-1")
        os.unlink(self.path("store/writers/slow-1"))
        self.write("go")
        self.fails_cleanly(p)

    def test_it_slept_for_too_long(self):
        """Stopped, so that it cannot renew; a prune takes it for dead and what it relies on goes."""
        p = self.waiting_run(self.file, "--id", "slow-1")
        os.kill(p.pid, signal.SIGSTOP)
        make_older(self.path("store/writers/slow-1"), 0.6)
        # What it counted as stored is needed by nobody else any more, and old.
        os.unlink(self.path("store/backups/before/manifest.json"))
        for path in glob.glob(self.path("store/packs/??/*")):
            make_older(path, 30)
        for _ in range(2):
            self.bake("prune", self.other)
        self.assertEqual(glob.glob(self.path("store/packs/??/*")), [])
        self.assertFalse(os.path.exists(self.path("store/writers/slow-1")))
        self.write("go")
        os.kill(p.pid, signal.SIGCONT)
        self.fails_cleanly(p, others=False)

    def test_one_that_lives_is_waited_for(self):
        """What a live writer may have counted stays, however old it is."""
        p = self.waiting_run(self.file, "--id", "slow-1")
        os.unlink(self.path("store/backups/before/manifest.json"))
        before = repolook.pack_names(self.path("store"))
        for path in glob.glob(self.path("store/packs/??/*")):
            make_older(path, 30)
        for _ in range(2):
            self.bake("prune", self.other)
        self.assertLessEqual(set(before), set(repolook.pack_names(self.path("store"))))
        self.write("go")
        done = self.finish(p)
        self.assertEqual(done.code, 0, str(done))
        self.bake("prune", self.other)
        self.bake("verify", self.path("store"), "--all", "--level", "read")
        self.comes_back(self.file, "slow-1", self.wanted)

    def test_one_that_came_after_counts_nothing_condemned(self):
        """Condemned while one writer lived: the next one stores it again."""
        p = self.waiting_run(self.file, "--id", "slow-1")
        os.unlink(self.path("store/backups/before/manifest.json"))
        for path in glob.glob(self.path("store/packs/??/*")):
            make_older(path, 30)
        self.bake("prune", self.other)
        condemned = glob.glob(self.path("store/gc/condemned-*"))
        self.bake("run", self.other, "--id", "after")
        self.assertEqual(len(condemned), 1)
        os.unlink(self.path("store/writers/slow-1"))
        self.write("go")
        self.assertEqual(self.finish(p).code, 1)
        for _ in range(2):
            self.bake("prune", self.other)
        self.assertEqual(glob.glob(self.path("store/gc/*")), [])
        self.bake("verify", self.path("store"), "--all", "--level", "read")
        self.comes_back(self.other, "after", self.wanted)


class Mirrors(Bench):
    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 40)
        self.random_file("src/big", 5 << 20)
        self.sinks = [{"path": self.path("first"), "name": "first"},
                      {"path": self.path("second"), "name": "second"}]
        self.file = self.pipeline({"all": self.src}, self.sinks, store=STORE)

    def change(self):
        self.write("src/text", os.urandom(50000))
        return {("all", self.src): snapshot.take(self.src)}

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.path("second")], check=True)

    def both_have(self, backup, wanted):
        for name in ("first", "second"):
            self.assertIn(backup, self.manifests(self.path(name)))
            self.comes_back(self.file, backup, wanted, "--from", name)
            # Nothing of the other one is needed.
            self.comes_back(self.path(name), backup, wanted)

    def test_both_hold_it(self):
        for backup in ("a", "b"):
            wanted = self.change()
            self.bake("run", self.file, "--id", backup)
            self.both_have(backup, wanted)
        self.bake("verify", self.file, "--all", "--level", "read")

    def test_one_that_lacks_packs_is_filled(self):
        """A manifest goes to a sink when all that it needs is there."""
        self.change()
        self.bake("run", self.file, "--id", "a")
        for name, take in (("second", 1), ("second", 2), ("first", 1), ("first", 2)):
            paths = sorted(glob.glob(self.path(name, "packs/??/*")))
            for path in paths[::take]:
                os.unlink(path)
            wanted, backup = self.change(), f"{name}-{take}"
            self.bake("run", self.file, "--id", backup)
            self.both_have(backup, wanted)
        self.bake("verify", self.file, "--all", "--level", "read", code=(0, 4))

    def test_one_that_was_emptied_is_filled(self):
        self.change()
        self.bake("run", self.file, "--id", "a")
        for name in ("second", "first"):
            for part in ("packs", "backups", "indexes"):
                bake.forget(self.path(name, part))
            wanted = self.change()
            self.bake("run", self.file, "--id", f"after-{name}")
            self.both_have(f"after-{name}", wanted)
            self.bake("verify", self.path(name), "--all", "--level", "read")

    def test_one_that_is_new_is_filled(self):
        """A mirror that joins later, or comes as an empty disk."""
        self.pipeline({"all": self.src}, self.sinks[:1], store=STORE)
        self.change()
        self.bake("run", self.file, "--id", "a")
        self.pipeline({"all": self.src}, self.sinks, store=STORE)
        wanted = self.change()
        self.bake("run", self.file, "--id", "b")
        self.both_have("b", wanted)
        bake.forget(self.path("second"))
        wanted = self.change()
        self.bake("run", self.file, "--id", "c")
        self.both_have("c", wanted)
        self.bake("verify", self.file, "--all", "--level", "read")

    def test_what_is_damaged_does_not_spread(self):
        """The first one's pack is damaged, the second lacks it: it is said, nothing bad is copied."""
        self.bake("run", self.file, "--id", "a")
        path = max(glob.glob(self.path("first/packs/??/*")), key=os.path.getsize)
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            f.write(bytes(100))
        other = path.replace(self.path("first"), self.path("second"))
        os.unlink(other)
        said = self.bake("run", self.file, "--id", "b", code=3)
        self.assertIn(os.path.basename(path), said.text)
        self.assertFalse(os.path.exists(other))
        self.assertNotIn("b", self.manifests(self.path("second")))

    @unittest.skipUnless(bake.ROOT, "only root can mount")
    def test_one_that_cannot_be_written_to(self):
        self.mount(self.path("second"), "-t", "tmpfs", "-o", "size=64m", "tmpfs")
        self.bake("run", self.file, "--id", "a")
        self.remount("ro")
        wanted = self.change()
        said = self.bake("run", self.file, "--id", "b", code=3)
        self.assertIn("second", said.text)
        self.assertEqual(self.manifests(self.path("second")), ["a"])
        self.comes_back(self.file, "b", wanted)
        self.remount("rw")
        wanted = self.change()
        self.bake("run", self.file, "--id", "c")
        self.both_have("c", wanted)
        for name in ("first", "second"):
            self.bake("verify", self.path(name), "--all", "--level", "read")

    @unittest.skipUnless(bake.ROOT, "only root can mount")
    def test_one_that_is_full(self):
        self.mount(self.path("second"), "-t", "tmpfs", "-o", "size=3m", "tmpfs")
        wanted = self.change()
        said = self.bake("run", self.file, "--id", "a", code=3)
        self.assertIn("free", said.text)
        self.assertEqual(self.manifests(self.path("second")), [])
        self.comes_back(self.file, "a", wanted)
        self.bake("verify", self.path("first"), "--all", "--level", "read")

    def test_prune_in_both(self):
        file = self.pipeline({"all": self.src}, self.sinks, store=STORE, retention={"keep_last": 1})
        for backup in ("a", "b", "c"):
            wanted = self.change()
            self.bake("run", file, "--id", backup)
        for name in ("first", "second"):
            for path in glob.glob(self.path(name, "packs/??/*")):
                make_older(path, 30)
        for _ in range(2):
            self.bake("prune", file)
        self.assertEqual(self.manifests(self.path("first")), ["c"])
        self.both_have("c", wanted)
        self.bake("verify", file, "--all", "--level", "read")
        shutil.copytree(self.path("second"), self.path("third"))
        self.comes_back(self.path("third"), "c", wanted)


class OneId(Bench):
    def pipelines(self, **staged):
        """Two of different names and contents that write one store; staged: of the first's blob."""
        files = []
        for name in ("a", "b"):
            sources = {"all": self.small_tree(f"src-{name}", 30, name.encode())}
            self.random_file(f"src-{name}/big", 1 << 20)
            if staged and name == "a":
                sources["stage"] = {"plugin": "staged", "blobs": ["blob"], **staged}
            files.append(self.pipeline(sources, name=name, store=STORE))
        return files

    def is_whole(self, pipeline, name):
        self.bake("verify", self.path("store"), "--all", "--level", "read")
        out = self.path("out")
        bake.forget(out)
        self.bake("restore", pipeline, "same", "--target", out)
        src = self.path(f"src-{name}")
        lines = snapshot.differences(snapshot.take(src), snapshot.take(f"{out}/all{src}"))
        self.assertEqual(lines, [])

    def test_one_after_the_other(self):
        a, b = self.pipelines()
        self.bake("run", a, "--id", "same")
        before = sorted(glob.glob(self.path("store/*s/**"), recursive=True))
        for second in (a, b):
            said = self.bake("run", second, "--id", "same", code=1)
            self.assertIn("same", said.text)
            self.assertEqual(sorted(glob.glob(self.path("store/*s/**"), recursive=True)), before)
        self.is_whole(a, "a")

    def test_one_while_the_other_runs(self):
        """Whoever commits first has it; the other fails and harms nothing."""
        if not os.path.exists(self.env["BAKENGINE_PLUGIN_PATH"] + "/source-staged.so"):
            self.skipTest("source-staged was not built")
        a, b = self.pipelines(wait_for=self.path("go"))
        first = self.start("run", a, "--id", "same")
        while not os.path.exists(self.path("go.reached")):
            self.assertIsNone(first.poll())
            time.sleep(0.01)
        second = self.bake("run", b, "--id", "same", code=(0, 1))
        self.write("go")
        done = self.finish(first)
        self.assertEqual(sorted((done.code, second.code)), [0, 1], f"{done}\n{second}")
        self.is_whole(*((a, "a") if done.code == 0 else (b, "b")))
        self.assertEqual(len(glob.glob(self.path("store/backups/*/manifest.json"))), 1)

    def test_at_the_same_time(self):
        for _ in range(40 if bake.LONG else 8):
            bake.forget(self.path("store"))
            a, b = self.pipelines() if not os.path.exists(self.path("a.yaml")) else (
                self.path("a.yaml"), self.path("b.yaml"))
            running = [self.start("run", f, "--id", "same") for f in (a, b)]
            done = [self.finish(p) for p in running]
            codes, said = [d.code for d in done], "\n".join(map(str, done))
            there = glob.glob(self.path("store/backups/*/manifest.json"))
            self.assertEqual(len(there), codes.count(0), said)
            self.assertEqual(sorted(codes), [0, 1], said)
            self.is_whole(*((a, "a") if codes[0] == 0 else (b, "b")))


class Clock(Bench):
    """Clocks that went back: whatever times say, what was changed is read."""

    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 30)
        self.file = self.pipeline({"all": self.src}, store=STORE)

    def change(self, ahead=0):
        """As many bytes as before, and the mtime as it was (or ahead of now)."""
        for i in range(1, 30, 3):
            path = f"{self.src}/d{i % 4}/f{i:03}"
            st = os.stat(path)
            if st.st_size:
                with open(path, "r+b") as f:
                    f.write(os.urandom(8))
                os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns + ahead))

    def check(self, backup):
        want = snapshot.take(self.src)
        self.bake("run", self.file, "--id", backup)
        out = self.path("out")
        bake.forget(out)
        self.bake("restore", self.file, backup, "--target", out)
        lines = snapshot.differences(want, snapshot.take(f"{out}/all{self.src}"))
        self.assertEqual(lines, [])

    def move_start(self, backup, year):
        """The parent says it began then: as it would if the clock had been that wrong."""
        def change(j):
            for key in ("start", "end"):
                j[key] = str(year) + j[key][4:]
        bake.edit_sealed(self.path("store/backups", backup, "manifest.json"), change)

    def test_the_parent_began_in_the_future(self):
        self.check("a")
        for backup, after in (("a", "b"), ("b", "c")):
            self.move_start(backup, 2099)
            self.change()
            self.check(after)
        self.bake("verify", self.file, "--all", "--level", "read")

    def test_the_parent_began_long_ago(self):
        self.check("a")
        self.move_start("a", 1971)
        self.change()
        self.check("b")

    def test_files_from_the_future(self):
        for year in (3000, 40 * 365):
            self.change(ahead=year * 86400 * 10**9)
        self.check("a")
        self.change()
        self.check("b")
        for i in range(5):  # changed right after it was read, over and over
            self.change()
            self.check(f"c{i}")


if __name__ == "__main__":
    bake.main()
