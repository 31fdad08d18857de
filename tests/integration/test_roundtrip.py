#!/usr/bin/python3
"""Round trips: every kind of file there is, to a directory and back in place, as root and not."""
import os
import shutil
import subprocess

import bake
import snapshot
import trees

GIB = 1 << 30


class RoundTrip(bake.Bench):
    def rsync_same(self, a, b):
        """rsync's opinion, with every one of its eyes open."""
        if not shutil.which("rsync"):
            return
        done = subprocess.run(["rsync", "-naHAXi", "--checksum", "--delete", "--numeric-ids",
                               f"{a}/", f"{b}/"], capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def same(self, a, b, ignore=()):
        lines = snapshot.differences(snapshot.take(a), snapshot.take(b), ignore)
        self.assertEqual(lines, [], "\n".join(lines[:40]))

    def same_blocks(self, a, b):
        """Sparse files stay sparse: no more room than they had, but for what a block rounds up."""
        for name in os.listdir(a):
            before, after = os.stat(f"{a}/{name}"), os.stat(f"{b}/{name}")
            self.assertLessEqual(after.st_blocks, before.st_blocks + 16, name)

    @bake.unittest.skipUnless(bake.ROOT, "only root can make devices and owners")
    def test_everything(self):
        self.everything("archive")

    @bake.unittest.skipUnless(bake.ROOT, "only root can make devices and owners")
    def test_everything_in_a_repository(self):
        self.everything("repository")

    def everything(self, store):
        src = self.path("src")
        trees.everything(src, 50 << 20, 20 * GIB if bake.LONG else GIB // 4, 8000)
        pipeline = self.pipeline({"all": src}, store={"format": store})
        run = self.run_json(pipeline)
        self.assertEqual((run.summary["status"], run.summary["warnings"]), ("ok", 0), str(run))
        self.bake("verify", pipeline, "--level", "read")
        before = snapshot.take(src)
        self.assertEqual(run.summary["entries"], len(before))

        self.bake("restore", pipeline, "--target", self.path("out"))
        out = self.path("out") + "/all" + src
        self.same(src, out)
        self.rsync_same(src, out)
        self.same_blocks(f"{src}/sparse", f"{out}/sparse")

        bake.forget(src)
        self.bake("restore", pipeline)
        lines = snapshot.differences(before, snapshot.take(src))
        self.assertEqual(lines, [], "\n".join(lines[:40]))

        # Again, now that all is there: nothing differs, so nothing is touched.
        again = self.bake("restore", pipeline, "--json")
        self.assertEqual((again.summary["kept"], again.summary["failed"]), (0, 0), str(again))
        self.assertEqual(snapshot.differences(before, snapshot.take(src)), [])

    def test_sockets_are_left_out(self):
        src = self.small_tree("src")
        trees.add_socket(f"{src}/d0/socket")
        pipeline = self.pipeline({"all": src})
        run = self.run_json(pipeline)
        self.assertIn("socket", run.text)
        self.bake("restore", pipeline, "--target", self.path("out"))
        self.same(src, self.path("out") + "/all" + src)

    def test_deep(self):
        src = self.path("src")
        os.mkdir(src)
        trees.deep(f"{src}/levels", 1000)
        trees.deep(f"{src}/long", 60, b"n" * 255)
        pipeline = self.pipeline({"all": src})
        self.assertEqual(self.run_json(pipeline).summary["status"], "ok")
        self.bake("verify", pipeline, "--level", "read")
        before = snapshot.take(src)
        self.bake("restore", pipeline, "--target", self.path("out"))
        self.same(src, self.path("out") + "/all" + src)
        bake.forget(src)
        self.bake("restore", pipeline)
        self.assertEqual(snapshot.differences(before, snapshot.take(src)), [])

    @bake.unittest.skipUnless(bake.ROOT, "only root can become somebody else")
    def test_as_somebody_else(self):
        """Not root: what cannot be read is named, and all the rest is right."""
        who = ["setpriv", f"--reuid={bake.NOBODY}", f"--regid={bake.NOBODY}", "--clear-groups"]
        home = self.path("home")
        src = f"{home}/src"
        trees.everything(src, 1 << 20, 1 << 26, 200)
        shutil.rmtree(f"{src}/special")
        self.write(f"{src}/closed/inside", b"not for all")
        os.chmod(f"{src}/closed", 0o700)
        self.write(f"{src}/secret", b"not for all", 0o600)
        os.chown(home, bake.NOBODY, bake.NOBODY)
        for state in ("state", "cache", "store"):
            os.mkdir(self.path(state))
            os.chown(self.path(state), bake.NOBODY, bake.NOBODY)
        pipeline = self.pipeline({"all": src})
        run = self.run_json(pipeline, code=3, prefix=who)
        self.assertEqual(run.summary["status"], "partial")
        for name in (f"{src}/closed", f"{src}/secret"):
            self.assertIn(name, run.text)
        self.bake("verify", pipeline, "--level", "read", prefix=who)

        # Who was refused cannot give away either: owners, trusted attributes and capabilities
        # are the restorer's, and that is all that is lost.
        out = f"{home}/out"
        self.bake("restore", pipeline, "--target", out, code=(0, 3), prefix=who)
        want, got = snapshot.take(src), snapshot.take(f"{out}/all{src}")
        readable = self.readable(who, src, want)
        for path in set(want) - readable:
            self.assertNotIn(path, got)
        lines = snapshot.differences({p: want[p] for p in readable}, got,
                                     ("uid", "gid", "xattrs", "mode", "twin"))
        self.assertEqual(lines, [], "\n".join(lines[:40]))
        for path, entry in got.items():
            self.assertEqual((entry.uid, entry.gid), (bake.NOBODY, bake.NOBODY), path)
            if entry.kind in ("file", "dir") and b"acl" not in path:
                self.assertEqual(entry.mode & 0o777, want[path].mode & 0o777, path)

    def readable(self, who, src, entries):
        """Which of the entries somebody else can see, as find(1) has it."""
        found = subprocess.run([*who, "find", src, "-type", "d", "!", "-readable", "-printf", "%P\\0",
                                "-prune", "-o", "-type", "f", "!", "-readable", "-o",
                                "-printf", "%P\\0"], capture_output=True)
        return {p or b"." for p in found.stdout.split(b"\0")[:-1]} | {b"."}


if __name__ == "__main__":
    bake.main()
