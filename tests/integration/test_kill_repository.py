#!/usr/bin/python3
"""A repository whose runs, prunes and restores are killed at any moment: what was committed stays."""
import glob
import json
import os
import random
import signal
import time

import bake
import snapshot

KILLS = 1000 if bake.LONG else 50
HOUR = 3600
# What a file that a restore was killed over may lack: its name may stand before they are set.
FILES = ("digest", "size", "mode", "mtime")


def age(root, hours):
    """Makes everything below it that much older, whatever its name."""
    for folder, folders, names in os.walk(root):
        for path in [os.path.join(folder, n) for n in folders + names]:
            st = os.lstat(path)
            then = st.st_mtime_ns - hours * HOUR * 10**9
            os.utime(path, ns=(then, then), follow_symlinks=False)


class Churn:
    """Trees that change: of each kind of change a little, all of it chosen by the seed."""

    def __init__(self, bench, rand):
        self.bench, self.random, self.count = bench, rand, 0
        self.roots = {"docs": bench.small_tree("docs", 120, b"docs"),
                      "code": bench.small_tree("code", 60, b"code"), "big": bench.path("big")}
        for name, size in (("disk", 3 << 20), ("other", 300000), ("third", 70000)):
            bench.write(f"big/{name}", rand.randbytes(size))
        for i in range(20):
            bench.write(f"big/s{i:02}", rand.randbytes(2000))

    def files(self):
        """All that may be changed: not the links, which are told from each other by their names."""
        found = []
        for root in self.roots.values():
            for folder, folders, names in os.walk(root):
                folders.sort()
                found += [f"{folder}/{n}" for n in sorted(names) if n not in ("link", "hard", "disk")]
        return found

    def new_name(self):
        self.count += 1
        root = self.random.choice(sorted(self.roots.values()))
        return f"{root}/n{self.count % 7}/new{self.count:05}"

    def content(self):
        size = self.random.choice((0, 1, 100, 3000, 20000, 90000))
        if self.random.random() < 0.5:
            return self.random.randbytes(size)
        return (b"line %d of a text\n" % self.random.randrange(50)) * (size // 18)

    def rewrite(self, path):
        """Changes bytes; now and then so that neither size nor mtime tell."""
        st = os.stat(path)
        with open(path, "r+b") as f:
            f.seek(self.random.randrange(st.st_size + 1))
            f.write(self.random.randbytes(min(40, st.st_size) or 40))
        if self.random.random() < 0.5:
            os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))

    def step(self):
        files = self.files()
        pick = self.random.sample(files, min(8, len(files)))
        for path in pick[:3]:
            self.rewrite(path)
        os.unlink(pick[3])
        for path in pick[4:6]:
            new = self.new_name()
            os.makedirs(os.path.dirname(new), exist_ok=True)
            os.rename(path, new)
        for _ in range(3):
            self.bench.write(self.new_name(), self.content())
        os.chmod(pick[6], self.random.choice((0o600, 0o644, 0o755)))
        with open(f"{self.roots['big']}/disk", "r+b") as f:
            f.seek(self.random.randrange(3 << 20) & ~4095)
            f.write(self.random.randbytes(4096))


class Kill(bake.Bench):
    def setUp(self):
        super().setUp()
        self.seed = random.randrange(10**6)
        self.random = random.Random(self.seed)
        print(f"seed {self.seed}", flush=True)
        self.churn = Churn(self, self.random)
        self.wanted, self.last = {}, []  # snapshots by backup; which were there the last time
        self.killed = dict.fromkeys(("run", "prune", "restore"), 0)
        store = {"format": "repository"}
        self.plain = self.pipeline(self.churn.roots, store=store, file="plain.yaml")
        self.file = self.pipeline(self.churn.roots, store=store, retention={"keep_last": 5})

    def fail(self, msg=None):
        super().fail(f"seed {self.seed}: {msg}")

    # ---- what there is -----------------------------------------------------------------------

    def manifests(self):
        return sorted(p.split("/")[-2] for p in glob.glob(self.path("store/backups/*/manifest.json")))

    def newest(self, n):
        starts = []
        for backup in self.manifests():
            with open(self.path("store/backups", backup, "manifest.json"), encoding="utf-8") as f:
                starts.append((json.load(f)["start"], backup))
        return {backup for _, backup in sorted(starts)[-n:]}

    def snapshots(self):
        return {name: snapshot.take(root) for name, root in self.churn.roots.items()}

    def restored_is_right(self, backup):
        out = self.path("out")
        bake.forget(out)
        self.bake("restore", self.file, backup, "--target", out)
        for name, root in self.churn.roots.items():
            lines = snapshot.differences(self.wanted[backup][name],
                                         snapshot.take(f"{out}/{name}{root}"))
            if lines:
                self.fail(f"backup {backup}, component {name}:\n" + "\n".join(lines[:20]))
        bake.forget(out)

    def committed_are_whole(self, some=None):
        there = self.manifests()
        listed = sorted(b["id"] for b in self.backups(self.file))
        if listed != there:
            self.fail(f"listed are {listed}, committed {there}")
        if there:
            done = self.bake("verify", self.file, "--all", "--level", "read", code=None)
            if done.code != 0:
                self.fail(str(done))
        for backup in there if some is None else self.random.sample(there, min(some, len(there))):
            self.restored_is_right(backup)

    # ---- a round -----------------------------------------------------------------------------

    def kill_one(self, verb, usual, *args):
        """Starts it and kills it within its usual time, or it ends by itself."""
        began = time.monotonic()
        p = self.start(verb, *args)
        time.sleep(self.random.random() * usual[verb])
        os.kill(p.pid, signal.SIGKILL)
        done = self.finish(p)
        if done.code == -9:
            self.killed[verb] += 1
        else:
            if done.code not in (0, 11):
                self.fail(str(done))
            usual[verb] = (2 * usual[verb] + (time.monotonic() - began) * 1.1) / 3
        return done

    def one_run(self, usual, number):
        self.churn.step()
        backup = f"k{number:05}"
        self.wanted[backup] = self.snapshots()
        kind = self.random.choice((["--type", "full"], ["--type", "differential"], [], [], []))
        before, kept = set(self.manifests()), self.newest(4)
        self.kill_one("run", usual, self.random.choice((self.file, self.plain)), "--id", backup,
                      *kind)
        there = set(self.manifests())
        if not kept <= there <= before | {backup}:
            self.fail(f"after a run for {backup} there are {there}, before there were {before}")

    def one_prune(self, usual, _):
        kept = self.newest(5)
        self.kill_one("prune", usual, self.file)
        if not kept <= set(self.manifests()):
            self.fail(f"prune left {self.manifests()} and should have kept {kept}")

    def one_restore(self, usual, _):
        there = self.manifests()
        if not there:
            return
        out, backup = self.path("out"), self.random.choice(there)
        bake.forget(out)
        self.kill_one("restore", usual, self.file, backup, "--target", out)
        for name, root in self.churn.roots.items():
            self.nothing_is_half(self.wanted[backup][name], f"{out}/{name}{root}", backup)
        if self.random.random() < 0.2:  # what is there does not stand in the way of a second try
            self.bake("restore", self.file, backup, "--target", out)
        bake.forget(out)

    def nothing_is_half(self, want, at, backup):
        for path, e in (snapshot.take(at) if os.path.isdir(at) else {}).items():
            old = want.get(path)
            if old and e.kind == old.kind == "file":
                if any(getattr(e, k) != getattr(old, k) for k in FILES):
                    self.fail(f"backup {backup}: half of {path} stands under its name")
            elif not old and not (os.path.basename(path).startswith(b".") and e.kind == "file"):
                self.fail(f"backup {backup}: {path} was never there")

    def between(self):
        chance = self.random.random()
        if chance < 0.25:
            age(self.path("store"), 25)
        elif chance < 0.4:
            age(self.path("store"), 1)  # leases and intents end, garbage stays
        if self.random.random() < 0.15:
            bake.forget(self.path("cache"))

    def usual_times(self):
        usual = {}
        for verb, *args in (("run", self.plain, "--id", "k-first"), ("prune", self.file),
                            ("restore", self.file, "k-first", "--target", self.path("out"))):
            began = time.monotonic()
            self.bake(verb, *args)
            usual[verb] = (time.monotonic() - began) * 1.1
        bake.forget(self.path("out"))
        return usual

    # ---- tests -------------------------------------------------------------------------------

    def test_killed_at_any_moment(self):
        self.wanted["k-first"] = self.snapshots()
        usual, rounds = self.usual_times(), 0
        todo = (self.one_run, self.one_run, self.one_run, self.one_prune, self.one_restore)
        while sum(self.killed.values()) < KILLS:
            self.random.choice(todo)(usual, rounds)
            self.between()
            rounds += 1
            if rounds % 10 == 0:
                self.committed_are_whole(some=2)
            if rounds > 10 * KILLS:
                self.fail(f"after {rounds} rounds only {self.killed} were killed")
        self.committed_are_whole()
        print(f"seed {self.seed}: killed {self.killed} in {rounds} rounds, "
              f"{len(self.manifests())} of {len(self.wanted)} are there")
        for verb, n in self.killed.items():
            self.assertGreater(n, KILLS // 20 if bake.LONG else 0, verb)
        self.nothing_is_left_behind()

    def nothing_is_left_behind(self):
        """A day later two prunes bring the store down to what its backups need."""
        self.wanted["k-last"] = self.snapshots()
        self.bake("run", self.plain, "--id", "k-last")
        for _ in range(3):
            age(self.path("store"), 25)
            self.bake("prune", self.file)
        there = set(self.manifests())
        self.assertEqual(len(there), 5)
        self.assertIn("k-last", there)
        self.committed_are_whole()
        needed = self.needed_packs(there)
        for folder, _, names in os.walk(self.path("store")):
            for name in names:
                parts = os.path.relpath(f"{folder}/{name}", self.path("store")).split("/")
                self.assertTrue(parts == ["bakengine.json"] or parts[0] in ("indexes", "moved") or
                                (parts[0] == "backups" and parts[1] in there) or
                                (parts[0] == "packs" and parts[2] in needed),
                                f"seed {self.seed}: left behind: {'/'.join(parts)}")

    def needed_packs(self, backups):
        """Packs that these backups list, and those that prune has moved them to."""
        needed, more = set(), set()
        for backup in backups:
            with open(self.path("store/backups", backup, "packs"), encoding="ascii") as f:
                needed |= set(f.read().split())
        for path in glob.glob(self.path("store/moved/*")):
            with open(path, encoding="utf-8") as f:
                for to in json.load(f)["moves"].values():
                    more |= set(to)
        return needed | more


class NotFromZero(bake.Bench):
    def packs(self):
        """Bytes of the packs that stand under their names."""
        return sum(os.path.getsize(p) for p in glob.glob(self.path("store/packs/??/*")))

    def killed_late(self, pipeline, total):
        """A run that is killed when most of it is stored. Returns how much was."""
        p = self.start("run", pipeline, "--id", "killed")
        while p.poll() is None and self.packs() < total * 8 // 10:
            time.sleep(0.002)
        if p.returncode is None:
            os.kill(p.pid, signal.SIGKILL)
            return self.packs() if self.finish(p).code == -9 else 0
        self.finish(p, timeout=1)
        return 0

    def test_a_killed_run_has_not_worked_in_vain(self):
        """What it stored is found again by the next run, with and without its cache."""
        total = 0
        for i in range(12):
            self.random_file(f"src/f{i:02}", 20 << 20)
            total += 20 << 20
        want = snapshot.take(self.path("src"))
        pipeline = self.pipeline({"all": self.path("src")}, store={"format": "repository"})
        for cache in (True, False):
            for _ in range(5):
                bake.forget(self.path("store"))
                stored = self.killed_late(pipeline, total)
                if stored:
                    break
            self.assertGreater(stored, total * 7 // 10, "it could not be killed in time")
            self.assertEqual(glob.glob(self.path("store/backups/*/manifest.json")), [])
            if not cache:
                bake.forget(self.path("cache"))
            self.bake("run", pipeline, "--id", f"again-{cache}")
            more = self.packs() - stored
            print(f"{stored >> 20} of {total >> 20} MiB stood, {more >> 20} MiB came")
            # A pack may have been complete but for its name, or have come after the look.
            self.assertLess(more, total - stored + (1 << 20), "all of it was stored anew")
            self.bake("verify", pipeline, "--level", "read")
            self.bake("restore", pipeline, "--target", self.path("out"))
            got = snapshot.take(self.path("out") + "/all" + self.path("src"))
            self.assertEqual(snapshot.differences(want, got), [])
            bake.forget(self.path("out"))


if __name__ == "__main__":
    bake.main()
