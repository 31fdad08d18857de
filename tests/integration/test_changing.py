#!/usr/bin/python3
"""Files that change while they are backed up: the archive stays whole, and what it cannot hold is
said."""
import os
import random
import shutil
import threading
import time

import bake
import snapshot


class Writer(threading.Thread):
    """Keeps changing a tree in every way until it is told to end."""

    def __init__(self, root, seed):
        super().__init__(daemon=True)
        self.root, self.random, self.stop = root, random.Random(seed), threading.Event()
        self.changes = 0

    def file(self):
        return f"{self.root}/d{self.random.randrange(4)}/f{self.random.randrange(30)}"

    @staticmethod
    def opened(path, mode):
        """Without waiting for the other end, should it be a FIFO by now."""
        return open(path, mode, opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK, 0o644))

    def append(self):
        with self.opened(self.file(), "ab") as f:
            f.write(os.urandom(self.random.randrange(200000)))

    def truncate(self):
        path = self.file()
        os.truncate(path, os.stat(path).st_size // 2)

    def grow_hole(self):
        path = self.file()
        os.truncate(path, os.stat(path).st_size + 3000000)

    def rewrite(self):
        with self.opened(self.file(), "r+b") as f:
            f.write(b"%09d" % self.random.randrange(10**9) * 10000)

    def replace(self):
        path = self.file()
        with open(path + ".new", "wb") as f:
            f.write(os.urandom(self.random.randrange(100000)))
        os.rename(path + ".new", path)

    def remove(self):
        os.unlink(self.file())

    def retype(self):
        path = self.file()
        os.unlink(path)
        self.random.choice((os.mkfifo, os.mkdir, lambda p: os.symlink("x", p)))(path)

    def move_directory(self):
        a, b = self.random.sample(range(4), 2)
        os.rename(f"{self.root}/d{a}", f"{self.root}/gone")
        os.rename(f"{self.root}/gone", f"{self.root}/d{a}")
        os.rename(f"{self.root}/d{a}/f1", f"{self.root}/d{b}/f2")

    def drop_directory(self):
        path = f"{self.root}/d{self.random.randrange(4)}"
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)

    def link(self):
        os.link(self.file(), self.file() + "l")

    def attribute(self):
        os.chmod(self.file(), self.random.choice((0o600, 0o644, 0o755)))

    def run(self):
        ways = [self.append] * 6 + [self.truncate] * 4 + [self.rewrite] * 4 + [self.replace] * 6 + [
            self.grow_hole, self.remove, self.retype, self.move_directory, self.drop_directory,
            self.link, self.attribute]
        while not self.stop.is_set():
            try:
                self.random.choice(ways)()
                self.changes += 1
            except OSError:
                # What should change is not there, or is something else by now: make it.
                try:
                    path = self.file()
                    if os.path.isdir(path):
                        os.rmdir(path)
                    elif not os.path.isfile(path):
                        os.path.lexists(path) and os.unlink(path)
                    with self.opened(path, "ab") as f:
                        f.write(os.urandom(30000))
                except OSError:
                    pass
            self.stop.wait(0.0005)


class Changing(bake.Bench):
    def test_everything_changes(self):
        """Many runs beside a writer. What was left alone is right, and what was not breaks nothing."""
        src = self.path("src")
        self.small_tree("src/still", 200)
        for i in range(4):
            os.mkdir(f"{src}/d{i}")
        still = snapshot.take(f"{src}/still")
        pipeline = self.pipeline({"all": src}, retention={"keep_last": 2})
        seed = random.randrange(10**6)
        print(f"seed {seed}")
        writer = Writer(src, seed)
        writer.start()
        codes, end = [], time.monotonic() + (120 if bake.LONG else 10)
        try:
            while time.monotonic() < end:
                codes.append(self.one_round(pipeline, src, still))
        finally:
            writer.stop.set()
            writer.join()
        self.assertGreater(writer.changes, 100)
        print(f"{len(codes)} runs beside {writer.changes} changes, {codes.count(3)} partial")

    def one_round(self, pipeline, src, still):
        run = self.run_json(pipeline, code=(0, 3))
        component = run.of("component")[0]
        self.assertEqual(run.code == 3, component["missing"] > 0, str(run))
        self.assertEqual(run.code == 3, component["status"] == "partial", str(run))
        said = [w["severity"] for w in run.of("warning") if w["severity"] != "notice"]
        self.assertEqual(component["warnings"] > 0, "warning" in said, str(run))
        self.assertEqual(component["missing"] > 0, "partial" in said, str(run))
        backup = run.summary["id"]
        self.bake("verify", pipeline, backup, "--level", "read")
        out = self.path("out")
        self.bake("restore", pipeline, backup, "--target", out)
        lines = snapshot.differences(still, snapshot.take(f"{out}/all{src}/still"))
        self.assertEqual(lines, [])
        bake.forget(out)
        return run.code

    def test_a_file_that_grows(self):
        """A log that is written to: as long as it was when it was opened, a warning at most."""
        src = self.path("src")
        log = self.write(f"{src}/log", b"line 0\n" * 1000000)
        pipeline = self.pipeline({"all": src})
        stop = threading.Event()

        def grow():
            with open(log, "ab", buffering=0) as f:
                while not stop.wait(0.001):
                    f.write(b"line 0\n" * 100)

        t = threading.Thread(target=grow, daemon=True)
        t.start()
        try:
            self.run_json(pipeline, code=0)
        finally:
            stop.set()
            t.join()
        self.bake("restore", pipeline, "--target", self.path("out"))
        with open(self.path("out") + "/all" + log, "rb") as f:
            data = f.read()
        self.assertGreaterEqual(len(data), 7000000)
        self.assertEqual(data.replace(b"line 0\n", b""), b"")

    def test_a_file_that_shrinks(self):
        """What was promised and is not there any more is not made up in silence."""
        src = self.path("src")
        pipeline = self.pipeline({"all": src})
        for _ in range(20):  # files that shrink before they are opened are nothing to speak of
            noticed = self.shrink_beside_a_run(src, pipeline)
            self.bake("verify", pipeline, "--level", "read")
            if noticed:
                break
        else:
            self.fail("no run noticed that files shrank while they were read")
        self.bake("restore", pipeline, "--target", self.path("out"))

    def shrink_beside_a_run(self, src, pipeline):
        for i in range(6):
            self.random_file(f"src/f{i}", 8 << 20)
        p = self.start("run", pipeline, "--json")
        for _ in range(200):
            for i in range(6):
                size = os.path.getsize(f"{src}/f{i}")
                os.truncate(f"{src}/f{i}", size - min(size, random.randrange(1 << 20)))
            if p.poll() is not None:
                break
        run = self.finish(p, timeout=120)
        self.assertIn(run.code, (0, 3), str(run))
        component = run.of("component")[0]
        return component["warnings"] + component["missing"] > 0

    def test_the_source_goes_away(self):
        src = self.small_tree("src")
        gone = self.path("elsewhere")
        pipeline = self.pipeline({"all": src, "other": self.small_tree("other")})
        os.rename(src, gone)
        run = self.run_json(pipeline, code=3)
        self.assertIn(src, run.text)
        status = {c["name"]: c["status"] for c in run.of("component")}
        self.assertEqual(status.get("other"), "ok", str(run))
        self.assertNotEqual(status.get("all", "failed"), "ok", str(run))
        os.rename(gone, src)
        self.assertEqual(self.run_json(pipeline).summary["status"], "ok")


if __name__ == "__main__":
    bake.main()
