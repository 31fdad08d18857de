#!/usr/bin/python3
"""Restores that are killed: afterwards the stack is as it was before, data and state, or as the backup
has it; never something between, and nothing is left lying about."""
import io
import os
import random
import signal
import subprocess
import tarfile
import time

import dock  # first: it knows where the others are
import bake
import bed
import held


class RestoreBench(held.HeldBench):
    """Every way in which a directory is replaced: two volumes, one of them in part, a directory of
    the host, and one within the image."""

    everything = sorted(held.HeldBench.running + ["hard-off"])
    within = "/var/cache/app"

    def up(self, files=150):
        self.bind = self.path("bind")
        os.makedirs(self.bind)
        data, web = self.volume("data", files), self.volume("web", files)
        self.container("store", f"{data}:/data", f"{self.bind}:/bind",
                       paths={"data": "/data", "bind": "/bind"})
        self.container("twin", f"{data}:/mine")
        self.container("web", f"{web}:/web", paths={"part": "/web/d3", "cache": self.within},
                       depends="store:service_started:false")
        self.container("idle")
        self.container("off", f"{data}:/data", start=False)
        self.fill("backup")
        self.files = files

    def fill(self, generation):
        """Content that shows everywhere which state it is of."""
        for volume in ["hard_data", "hard_web"]:
            self.refill(volume, 150, generation.encode())
        root = self.bed.volume("hard_data")
        for other in ["only-backup", "only-later"]:
            for folder in [root, self.bind]:
                path = os.path.join(folder, other)
                if other.endswith(generation):
                    bake.Bench.write(self, path, generation.encode())
                elif os.path.exists(path):
                    os.remove(path)
        bake.Bench.write(self, os.path.join(self.bind, "sub", "file"), generation.encode() * 1000)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as t:
            for i in range(20):
                info = tarfile.TarInfo(f"f{i}")
                info.size = len(generation) * 500
                t.addfile(info, io.BytesIO(generation.encode() * 500))
        self.bed.api("PUT", f"/containers/hard-web/archive?path={self.within}", tar.getvalue())

    def look(self):
        """What is in each place that a restore replaces."""
        tar = self.bed.api("GET", f"/containers/hard-web/archive?path={self.within}", raw=True)
        with tarfile.open(fileobj=io.BytesIO(tar)) as t:
            cache = {m.name: t.extractfile(m).read() for m in t if m.isfile()}
        trees = {"data": self.tree(self.bed.volume("hard_data")), "bind": self.tree(self.bind),
                 "part": self.tree(os.path.join(self.bed.volume("hard_web"), "d3"))}
        for tree in trees.values():  # a directory's place is another one then, its times with it
            for what in tree.values():
                if len(what) > 4:
                    what.pop()
        return {"cache": cache, **trees}

    def which(self):
        """The state that all of it is in."""
        now = self.look()
        for name, state in self.states.items():
            if now == state:
                return name
        odd = {place: [n for n, s in self.states.items() if s[place] == now[place]] for place in now}
        self.fail(f"a mixture: {odd}")

    def prepare(self):
        self.up()
        self.pipe = self.drive()
        self.states = {"backup": self.look()}
        self.run_json(self.pipe)
        self.fill("later")
        self.states["later"] = self.look()
        self.assertNotEqual(*self.states.values())

    def whole(self):
        """An unkilled restore, undone: how long both take."""
        begin = time.monotonic()
        result = self.bake("restore", self.pipe, "--json")
        took = time.monotonic() - begin
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.assertEqual(self.which(), "backup")
        begin = time.monotonic()
        self.back_to_later()
        return took, time.monotonic() - begin

    def back_to_later(self):
        self.bake("restore", self.pipe, "--undo", "--stack", self.project)
        self.bed.api("POST", "/containers/hard-off/stop?t=5")
        self.assertEqual(self.which(), "later")
        self.assertEqual(self.ours(), ([], []))
        self.runs_again(0)

    def afterwards(self, p):
        """The result of what was killed, with all that its guard said."""
        p.wait()
        try:
            self.settled()
        except TimeoutError as e:
            self.fail(f"{e}\n{self.finish(p, 60)}")
        return self.finish(p, 60)

    def check_kept(self):
        """After a good restore there is what the undo needs, and nothing else."""
        containers, volumes = self.ours()
        self.assertEqual(containers, [])
        index = [v for v in volumes if v.startswith("bakengine-kept-")]
        self.assertEqual(len(index), 1, str(volumes))
        about = self.volumes()[index[0]]["Labels"]["bakengine.kept"]
        for volume in set(volumes) - set(index):
            self.assertIn(volume.rsplit("-", 1)[1], about, volume)

    def check(self):
        """After somebody has redeemed: all as before, or all as in the backup."""
        self.assertEqual(self.duties(), [])
        state = self.which()
        if state == "later":
            self.runs_again(0)
            containers, volumes = self.ours()
            # made to see which directories are ours to read; empty, and gone at the next start
            self.assertEqual([v for v in volumes if not v.startswith("bakengine-proof-")], [])
            self.assertEqual(containers, [])
            self.assertEqual([n for n in os.listdir(self.work) if n.startswith(".bakengine")], [])
        else:
            self.runs_again(0, running=self.everything)
            self.check_kept()
            self.back_to_later()
        return state


class Kills(RestoreBench):
    kills = 60 if bake.LONG else 3

    def test_at_random_moments(self):
        self.prepare()
        restore, undo = self.whole()
        self.kill_restores(restore)
        self.kill_undos(undo)
        result = self.run_json(self.pipe)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.assertEqual(self.ours(), ([], []))

    def kill_restores(self, took):
        chance = random.Random(7)
        seen = {"later": 0, "backup": 0}
        killed, rounds, scale = 0, 0, 1.0
        while (killed < self.kills or not seen["later"]) and rounds < 4 * self.kills:
            delay = took * scale * (rounds % self.kills + chance.random()) / self.kills
            rounds += 1
            p = self.start("restore", self.pipe)
            try:
                p.wait(delay)
                scale *= 0.9  # the machine has got faster
            except subprocess.TimeoutExpired:
                if rounds % 5 == 3:
                    self.kill_twice(p)
                p.kill()
            result = self.afterwards(p)
            killed += result.code == -signal.SIGKILL
            try:
                seen[self.check()] += 1
            except AssertionError as e:
                self.fail(f"killed after {delay:.2f} of {took:.2f} s: {e}\n{result}")
        print(f"{killed} kills: {seen}", flush=True)
        self.assertGreaterEqual(killed, self.kills)
        self.assertGreater(seen["later"], 0)

    def kill_twice(self, p):
        """The guard as well, and then whoever redeems, in the middle; the next one ends it."""
        for guard in self.guards(p.pid):
            os.kill(guard, signal.SIGKILL)
        p.kill()
        p.wait()
        for seconds in [0.15, 0.6]:
            second = self.start("doctor", "--redeem")
            try:
                second.wait(seconds)
            except subprocess.TimeoutExpired:
                second.kill()
            self.finish(second, 60)
        self.bake("doctor", "--redeem")

    def kill_undos(self, took):
        """An undo that is killed has been done in the end, or never began."""
        chance = random.Random(11)
        rounds = 15 if bake.LONG else 1
        for i in range(rounds):
            if self.which() == "later":
                self.bake("restore", self.pipe)
            p = self.start("restore", self.pipe, "--undo", "--stack", self.project)
            try:
                p.wait(took * (i + chance.random()) / rounds)
            except subprocess.TimeoutExpired:
                p.kill()
            result = self.afterwards(p)
            self.assertEqual(self.duties(), [])
            self.assertEqual(self.bed.running(self.project), self.everything, str(result))
            if self.which() == "backup":
                self.check_kept()
            else:
                self.assertEqual(self.ours(), ([], []))
        if self.which() == "backup":
            self.back_to_later()


class Database(held.HeldBench):
    """A dump is loaded into a new cluster, which takes the place of the old one: killed on the way,
    the old one is there again."""

    project = "killdb"
    running = ["killdb_db_1"]

    def notes(self):
        return self.psql("select count(*), min(note), max(note) from orders", self.project)

    def healthy(self):
        self.runs_again()
        self.bed.wait_healthy(self.project)
        bed.wait("the server", self.answers, 20)

    def answers(self):
        try:
            return bool(self.notes())
        except RuntimeError:
            return False

    def whole(self, pipeline, old, later):
        """As that of the others."""
        begin = time.monotonic()
        self.bake("restore", pipeline)
        took = time.monotonic() - begin
        self.assertEqual(self.notes(), old)
        self.bake("restore", pipeline, "--undo", "--stack", self.project)
        self.assertEqual(self.notes(), later)
        return took

    def test_load(self):
        self.stack(self.project, "db")
        pipeline = self.drive()
        old = self.notes()
        self.run_json(pipeline)
        self.psql("update orders set note = 'later'", self.project)
        self.psql("delete from orders where id % 2 = 0", self.project)
        later = self.notes()
        self.assertNotEqual(old, later)
        took = self.whole(pipeline, old, later) if bake.LONG else 0
        chance = random.Random(3)
        rounds = 20 if bake.LONG else 1
        seen = set()
        for i in range(rounds):
            p = self.start("restore", pipeline)
            if i == 0:  # surely before all is there, and after the old cluster was taken away
                said = lambda: os.pread(p.bake[2].fileno(), 1 << 20, 0)
                bed.wait("the new cluster", lambda: b"waiting for database" in said() or
                         p.poll() is not None, 120)
            try:
                p.wait(took * (0.1 + 0.9 * (i + chance.random()) / rounds) if i else 0.1)
            except subprocess.TimeoutExpired:
                p.kill()
            self.finish(p, 60)
            self.settled()
            self.healthy()
            now = self.notes()
            seen.add(now)
            self.assertIn(now, (old, later))
            if now == old:
                self.bake("restore", pipeline, "--undo", "--stack", self.project)
                self.assertEqual(self.notes(), later)
            containers, volumes = self.ours()
            self.assertEqual(containers, [])
            self.assertEqual([v for v in volumes if not v.startswith("bakengine-proof-")], [])
        self.assertIn(later, seen)
        self.run_json(pipeline)


if __name__ == "__main__":
    dock.main()
