#!/usr/bin/python3
"""A real PostgreSQL server archives with wal-push, which is killed at random moments while the store's
disk fills up: whatever the server counts as archived is in the store, the same. And recovers with
wal-fetch: to the end, or not at all if a segment is damaged."""
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "postgres"))
import bake  # noqa: E402
import server  # noqa: E402

ROUNDS = 200 if bake.LONG else 40

FULL = "no space left on the file system"

# One call in three is killed, after up to 60 ms. What a killed one ends with would end the server's
# archiver too, which it starts again only seconds later: 1 instead.
PUSH = """#!/bin/bash
if [ -e {chaos} ] && (( RANDOM % 3 == 0 )); then
    {program} wal-push {file} "$1" &
    sleep "0.$(printf %03d $((RANDOM % 60)))"
    kill -KILL $! && echo killed >>{killed}
    wait $! || exit 1
    exit 0
fi
exec {program} wal-push {file} "$1"
"""


@unittest.skipUnless(bake.ROOT, "a disk is mounted, and the server has a user of its own")
class WalKill(bake.Bench):
    def setUp(self):
        super().setUp()
        # The server's user runs the program, wherever it was built.
        for part in ("bin", "lib"):
            shutil.copytree(os.path.join(bake.BUILD, part), self.path("prefix", part))
        subprocess.run(["chmod", "-R", "go+rX", self.path("prefix")], check=True)
        self.program = self.path("prefix", "bin", "bakengine")
        self.mount(self.path("store"), "-t", "tmpfs", "-o", "size=96m,mode=0700", "none")
        self.pg = server.Server(init=["--wal-segsize=1"], conf=[
            "archive_mode = on", f"archive_command = '{self.path('push')} %p'", "wal_keep_size = 1GB",
            "max_wal_size = 1GB", "wal_level = replica"])
        self.addCleanup(self.pg.remove)
        self.pg.give(self.path("store"))
        self.file = self.pipeline({"unused": {"paths": [self.path("nothing")]}}, name="wal")
        names = {k: self.path(k) for k in ("chaos", "killed")}
        push = self.write("push", PUSH.format(program=self.program, file=self.file, **names).encode(),
                          0o755)
        self.assertTrue(os.access(push, os.X_OK))
        self.write("killed")
        os.chmod(self.path("killed"), 0o666)
        self.pg.start()
        self.pg.sql("create table t (n int, v text)")

    def status(self):
        return os.listdir(os.path.join(self.pg.data, "pg_wal", "archive_status"))

    def done(self):
        return {n[:-5] for n in self.status() if n.endswith(".done")}

    def object(self, name):
        system = self.pg.sql("select system_identifier from pg_control_system()")
        return self.path("store", "wal", system, name[:8], name)

    def fetch(self, name, code=0):
        target = os.path.join(self.pg.data, "fetched")
        got = subprocess.run([self.program, "wal-fetch", self.file, name, "fetched"], cwd=self.pg.data,
                             env=self.env, capture_output=True)
        self.assertEqual(got.returncode, code, got.stderr.decode())
        if code:
            self.assertFalse(os.path.exists(target))
            return b""
        with open(target, "rb") as f:
            data = f.read()
        os.remove(target)
        return data

    def write_rows(self):
        """From threads of its own: many segments."""
        script = self.write("rows.sql", b"insert into t select g, md5(random()::text || g) "
                                        b"from generate_series(1, 4000) g;\n")
        return subprocess.Popen([server.tool("pgbench"), "-n", "-f", script, "-c", "2", "-t",
                                 str(ROUNDS), "postgres"], env=self.pg.env(), cwd="/",
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def fill_disk(self):
        with open(self.path("store", "ballast"), "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass

    def make_room(self):
        """Once the server has felt it; and again, a little later."""
        end = time.monotonic() + 60
        while FULL not in self.pg.log(10**7) and time.monotonic() < end:
            time.sleep(0.1)
        for _ in range(2):
            os.remove(self.path("store", "ballast"))
            time.sleep(2)
            self.fill_disk()
            time.sleep(1)
        os.remove(self.path("store", "ballast"))

    def killed(self):
        with open(self.path("killed"), encoding="utf-8") as f:
            return len(f.readlines())

    def wait_archived(self, seconds):
        """All that was written so far."""
        last = self.pg.sql("select pg_walfile_name(pg_switch_wal())")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if last in self.done() and not any(n.endswith(".ready") for n in self.status()):
                return last
            # What wakes an archiver that has given up for a minute is a new segment.
            self.pg.sql("select pg_switch_wal() from (select txid_current()) t")
            time.sleep(0.5)
        self.fail(f"not archived: {sorted(self.status())}\n{self.pg.log()}")

    def test_push(self):
        rng = random.Random(os.getpid())
        self.pg.sql("insert into t values (1, 'x')")
        self.wait_archived(60)  # the store is there
        self.fill_disk()
        self.write("chaos")
        load = self.write_rows()
        room = threading.Thread(target=self.make_room)
        room.start()
        end = time.monotonic() + 90
        while load.poll() is None or room.is_alive() or \
                (self.killed() < 3 and time.monotonic() < end):
            for name in self.done():  # counted as archived: there, at this very moment
                self.assertTrue(os.path.exists(self.object(name)), name)
            time.sleep(rng.random() * 0.3)
            if load.poll() is not None and not room.is_alive():
                self.pg.sql("insert into t values (2, 'more'); select pg_switch_wal()")
        room.join()
        self.assertEqual(load.wait(), 0, load.stderr.read().decode())
        load.stderr.close()
        os.remove(self.path("chaos"))
        last = self.wait_archived(120)

        done = self.done()
        segments = sorted(n for n in done if len(n) == 24)
        first = min(segments)
        wanted = [f"{first[:16]}{n:08X}"
                  for n in range(int(first[16:], 16), int(last[16:], 16) + 1)]
        self.assertEqual(segments[:len(wanted)], wanted)
        for name in sorted(done):
            with open(os.path.join(self.pg.data, "pg_wal", name), "rb") as f:
                self.assertEqual(self.fetch(name), f.read(), name)
        killed = self.killed()
        archived, failed = self.pg.sql(
            "select archived_count || ' ' || failed_count from pg_stat_archiver").split()
        self.assertGreaterEqual(int(archived), len(wanted))
        print(f"{killed} killed, {failed} failed, {archived} archived, {len(wanted)} in a row")
        self.assertGreater(killed, 2)
        self.assertIn(FULL, self.pg.log(10**7))
        # Nothing half is left that would be taken for a log.
        stored = os.listdir(os.path.dirname(self.object(first)))
        self.assertLessEqual({n for n in stored if not n.startswith(".")}, done)

    def recover(self, base, name):
        """A copy of the base that rolls forward with wal-fetch; not started."""
        data = os.path.join(self.pg.folder, name)
        subprocess.run(["cp", "-a", base, data], check=True)
        with open(os.path.join(data, "recovery.signal"), "w", encoding="utf-8"):
            pass
        self.pg.give(os.path.join(data, "recovery.signal"))
        clone = server.Server(folder=self.pg.folder, data=data, conf=[
            f"restore_command = '{self.program} wal-fetch {self.file} %f \"%p\"'",
            "recovery_target_timeline = latest", "archive_mode = off", "hot_standby = off"])
        self.addCleanup(clone.stop)
        return clone

    def test_fetch(self):
        base = os.path.join(self.pg.folder, "base")
        self.pg.backup(base, "-X", "none")
        for _ in range(4):
            self.pg.sql("insert into t select g, md5(g::text) from generate_series(1, 10000) g")
        last = self.wait_archived(60)
        rows = self.pg.sql("select count(*) from t")

        clone = self.recover(base, "whole")
        clone.start()
        self.assertEqual(clone.sql("select count(*) from t"), rows)
        clone.stop()

        # Damage in the middle: it must not look like the end.
        path = self.object(f"{last[:16]}{int(last[16:], 16) - 1:08X}")
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))
        clone = self.recover(base, "damaged")
        with self.assertRaisesRegex(AssertionError, "the server has ended"):
            clone.start()
        self.assertIn("FATAL:  could not restore file", clone.log())
        # Nor a store that is not there.
        os.rename(self.path("store", "bakengine.json"), self.path("store", "away"))
        with self.assertRaisesRegex(AssertionError, "the server has ended"):
            self.recover(base, "gone").start()


if __name__ == "__main__":
    bake.main()
