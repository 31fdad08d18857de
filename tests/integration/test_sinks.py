#!/usr/bin/python3
"""Sinks that fill up, fail, or are not there; and how many must hold a backup."""
import glob
import json
import os
import subprocess
import time
import unittest

import bake
import snapshot

NEEDS_ROOT = unittest.skipUnless(bake.ROOT, "only root can mount")


class Sinks(bake.Bench):
    def visible(self, store):
        return sorted(os.path.basename(os.path.dirname(p))
                      for p in glob.glob(f"{store}/backups/*/manifest.json"))

    @NEEDS_ROOT
    def test_full(self):
        store = self.path("small")
        self.mount(store, "-t", "tmpfs", "-o", "size=12m", "tmpfs")
        src = self.small_tree("src")
        pipeline = self.pipeline({"all": src, "other": self.small_tree("other")}, [store])
        first = self.run_json(pipeline).summary["id"]
        self.random_file("src/big", 30 << 20)
        said = self.run_json(pipeline, code=(1, 3))
        self.assertIn("free", said.text, "how much is free must be said")
        failed = [c for c in said.of("component") if c["status"] == "failed"]
        self.assertTrue(said.code == 1 or failed, str(said))
        if said.code == 1:
            self.assertEqual(self.visible(store), [first])
        self.assertLess(sum(os.path.getsize(f) for f in glob.glob(f"{store}/**", recursive=True)
                            if os.path.isfile(f)), 2 << 20, "what was half there is gone")
        self.bake("verify", pipeline, first, "--level", "read")
        os.unlink(f"{src}/big")
        again = self.run_json(pipeline)
        self.assertEqual(again.summary["status"], "ok")
        self.bake("verify", pipeline, again.summary["id"], "--level", "read")

    @NEEDS_ROOT
    def test_completely_full(self):
        """No room for a single byte, not even for the manifest."""
        store = self.path("small")
        self.mount(store, "-t", "tmpfs", "-o", "size=2m", "tmpfs")
        pipeline = self.pipeline({"all": self.small_tree("src")}, [store])
        first = self.run_json(pipeline).summary["id"]
        with open(f"{store}/filler", "wb", buffering=0) as f, self.assertRaises(OSError):
            while True:
                f.write(bytes(4096))
        self.assertIn("free", self.run_json(pipeline, code=1).text)
        self.assertEqual(self.visible(store), [first])
        self.bake("verify", pipeline, "--level", "read")
        os.unlink(f"{store}/filler")
        self.run_json(pipeline)

    @NEEDS_ROOT
    def test_full_before_the_first(self):
        """A store that cannot even be begun."""
        store = self.path("small")
        self.mount(store, "-t", "tmpfs", "-o", "size=16k", "tmpfs")
        pipeline = self.pipeline({"all": self.small_tree("src", 400)}, [store])
        self.run_json(pipeline, code=1)
        self.assertEqual(self.visible(store), [])

    def test_min_free(self):
        sink = {"path": self.path("store"), "min_free": "900 TiB"}
        pipeline = self.pipeline({"all": self.small_tree("src")}, [sink])
        self.assertIn("free", self.run_json(pipeline, code=1).text)
        self.assertEqual(self.visible(self.path("store")), [])

    @NEEDS_ROOT
    def test_read_only(self):
        store = self.path("ro")
        self.mount(store, "-t", "tmpfs", "-o", "size=8m", "tmpfs")
        pipeline = self.pipeline({"all": self.small_tree("src")}, [store])
        self.run_json(pipeline)
        subprocess.run(["mount", "-o", "remount,ro", store], check=True)
        said = self.run_json(pipeline, code=1)
        self.assertIn("read-only", said.text.lower())
        self.assertEqual(len(self.visible(store)), 1)
        # What can be read can be verified and restored.
        self.bake("verify", pipeline, "--level", "read")
        self.bake("restore", pipeline, "--target", self.path("out"))
        self.bake("prune", pipeline, code=(0, 1))
        self.assertEqual(len(self.visible(store)), 1)

    def test_not_there(self):
        src = self.small_tree("src")
        pipeline = self.pipeline({"all": src}, [{"path": self.path("no"), "create": False}])
        self.assertIn(self.path("no"), self.run_json(pipeline, code=(1, 10)).text)
        self.assertFalse(os.path.exists(self.path("no")))
        for verb in (["list"], ["verify"], ["restore", "--target", self.path("out")], ["prune"]):
            self.bake(verb[0], pipeline, *verb[1:], code=(1, 10))

    def test_a_file(self):
        where = self.write("file", b"in the way")
        for path in (where, where + "/below", "/dev/null", "/proc/nothing"):
            said = self.run_json(self.pipeline({"all": self.small_tree("src")}, [path]), code=(1, 2))
            self.assertIn(path.split("/")[-1], said.text)
            bake.forget(self.path("src"))
        with open(where, "rb") as f:
            self.assertEqual(f.read(), b"in the way")

    def test_something_else_lives_there(self):
        """A folder that is somebody's, with a file where ours would be."""
        self.write("store/backups", b"not a folder")
        self.run_json(self.pipeline({"all": self.small_tree("src")}), code=(1, 3))
        with open(self.path("store/backups"), "rb") as f:
            self.assertEqual(f.read(), b"not a folder")

    @NEEDS_ROOT
    def test_not_writable(self):
        who = ["setpriv", f"--reuid={bake.NOBODY}", f"--regid={bake.NOBODY}", "--clear-groups"]
        self.write("locked/x", b"", 0o600)
        os.chmod(self.path("locked"), 0o755)
        for name in ("state", "cache"):
            os.mkdir(self.path(name))
            os.chown(self.path(name), bake.NOBODY, bake.NOBODY)
        pipeline = self.pipeline({"all": self.small_tree("src")}, [self.path("locked")])
        said = self.run_json(pipeline, code=1, prefix=who)
        self.assertIn(self.path("locked"), said.text)
        self.assertIn("denied", said.text.lower())

    def two(self, **more):
        """Two sinks; the second fails in the middle of a big object."""
        small = self.path("small")
        self.mount(small, "-t", "tmpfs", "-o", "size=8m", "tmpfs")
        src = self.small_tree("src")
        self.random_file("src/big", 30 << 20)
        sinks = [{"name": "good", "path": self.path("store")}, {"name": "bad", "path": small}]
        return small, src, self.pipeline({"all": src}, sinks, **more)

    @NEEDS_ROOT
    def test_one_of_two_fails(self):
        small, src, pipeline = self.two(require="any")
        said = self.run_json(pipeline, code=3)
        self.assertEqual(said.summary["status"], "partial")
        self.assertIn("bad", said.text)
        self.assertIn("free", said.text)
        self.assertEqual(self.visible(small), [])
        backup = said.summary["id"]
        self.assertEqual(self.visible(self.path("store")), [backup])
        self.bake("restore", pipeline, "--target", self.path("out"))
        lines = snapshot.differences(snapshot.take(src), snapshot.take(f"{self.path('out')}/all{src}"))
        self.assertEqual(lines, [])
        # The other way round: what is read is read from the one that has it.
        body = self.pipeline({"all": src}, [{"name": "bad", "path": small},
                                            {"name": "good", "path": self.path("store")}])
        self.bake("verify", body, backup, "--level", "read", code=(0, 4, 10))
        self.bake("restore", body, backup, "--from", "good", "--target", self.path("out2"))

    @NEEDS_ROOT
    def test_require(self):
        small, src, _ = self.two()
        for require, code in (("all", 1), ("any", 3), (1, 3), (2, 1)):
            pipeline = self.pipeline({"all": src}, [
                {"name": "good", "path": self.path("store")}, {"name": "bad", "path": small}],
                require=require)
            said = self.run_json(pipeline, code=code)
            self.assertIn("bad", said.text, f"require {require}: silence about a sink")
            self.assertEqual(self.visible(small), [], f"require {require}")
            # Whatever is asked for: the one that could has it.
            self.assertIn(said.summary["id"], self.visible(self.path("store")))

    def test_one_of_two_is_not_there(self):
        src = self.small_tree("src")
        sinks = [{"name": "gone", "path": self.path("gone"), "create": False},
                 {"name": "good", "path": self.path("store")}]
        pipeline = self.pipeline({"all": src}, sinks, require="any")
        said = self.run_json(pipeline, code=3)
        self.assertIn("gone", said.text)
        self.assertEqual(len(self.visible(self.path("store"))), 1)
        self.bake("restore", pipeline, "--target", self.path("out"), code=0)
        # Back again, it is a mirror from now on, with the same id of the store.
        os.mkdir(self.path("gone"))
        time.sleep(1)
        self.run_json(pipeline, code=0)
        self.assertEqual(len(self.visible(self.path("gone"))), 1)
        ids = []
        for name in ("gone", "store"):
            with open(self.path(name, "bakengine.json"), encoding="utf-8") as f:
                ids.append(json.load(f)["store_id"])
        self.assertEqual(ids[0], ids[1])

    def test_two_stores_are_no_mirrors(self):
        """A sink that holds another store is not mixed with the first."""
        src = self.small_tree("src")
        self.run_json(self.pipeline({"all": src}, [self.path("a")]))
        self.run_json(self.pipeline({"all": src}, [self.path("b")]))
        pipeline = self.pipeline({"all": src}, [{"name": "a", "path": self.path("a")},
                                                {"name": "b", "path": self.path("b")}])
        before = self.visible(self.path("b"))
        said = self.run_json(pipeline, code=(1, 2, 3))
        self.assertIn("b", said.text)
        self.assertEqual(self.visible(self.path("b")), before)


if __name__ == "__main__":
    bake.main()
