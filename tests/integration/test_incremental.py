#!/usr/bin/python3
"""Incremental, differential and full: what is read again, what is not, and that all come back."""
import ctypes
import os
import struct
import time

import bake
import snapshot

IN_OPEN = 0x20


class Opened:
    """Which files of a directory are opened meanwhile."""

    def __init__(self, folder):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.libc.inotify_add_watch(self.fd, folder.encode(), IN_OPEN) > 0

    def names(self):
        found = set()
        try:
            data = os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return found
        while data:
            _, _, _, n = struct.unpack("iIII", data[:16])
            found.add(data[16:16 + n].rstrip(b"\0").decode())
            data = data[16 + n:]
        return found - {""}

    def close(self):
        os.close(self.fd)


class Incremental(bake.Bench):
    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 60)
        self.write("src/d0/big", os.urandom(3 << 20))
        with open(self.path("src/d1/sparse"), "wb") as f:
            f.truncate(5 << 20)
            f.seek(1 << 20)
            f.write(b"island" * 1000)
        os.setxattr(self.path("src/d0/f000"), "user.note", b"kept")
        self.file = self.pipeline({"all": self.src}, store={"format": "repository"})
        time.sleep(2.2)  # what changed just before a run is read again by the next

    def run_it(self, *args, code=0):
        result = self.run_json(self.file, *args, code=code)
        return result, result.of("component")[0]

    def restored(self, backup):
        target = self.path(f"out-{backup}")
        self.bake("restore", self.file, backup, "--target", target)
        return os.path.join(target, "all") + self.src

    def check_restored(self, backup, want):
        got = snapshot.take(self.restored(backup))
        self.assertEqual([], list(snapshot.differences(want, got)))

    def test_unchanged_files_are_not_opened(self):
        want = snapshot.take(self.src)
        first, c = self.run_it()
        self.assertEqual("full", first.summary["type"])
        self.assertEqual(0, c["unchanged"])
        watch = Opened(self.path("src/d0"))
        second, c = self.run_it()
        self.assertEqual(set(), watch.names())
        self.assertEqual("incremental", second.summary["type"])
        self.assertEqual(first.summary["id"], second.summary["parent"])
        self.assertEqual(62, c["unchanged"])
        self.assertEqual(first.summary["bytes_in"], second.summary["bytes_in"])
        self.assertEqual(first.summary["entries"], second.summary["entries"])
        third, c = self.run_it("--type", "full")
        self.assertEqual(("full", None), (third.summary["type"], third.summary.get("parent")))
        self.assertEqual(0, c["unchanged"])
        self.assertIn("big", watch.names())
        watch.close()
        for r in (first, second, third):
            self.check_restored(r.summary["id"], want)
        self.bake("verify", self.file, "--all", "--level", "read")

    def test_an_unchanged_run_stores_nearly_nothing(self):
        self.run_it()
        before = self.stored()
        self.run_it()
        self.assertLess(self.stored() - before, 8000)
        self.run_it("--type", "full")
        self.assertLess(self.stored() - before, 16000)

    def stored(self):
        return sum(os.path.getsize(os.path.join(f, n))
                   for f, _, names in os.walk(self.path("store")) for n in names)

    def test_what_changed_is_read(self):
        self.run_it()
        keep = os.stat(self.path("src/d0/f004"))
        with open(self.path("src/d0/f004"), "r+b") as f:  # same size, mtime set back
            f.write(b"!")
        os.utime(self.path("src/d0/f004"), ns=(keep.st_atime_ns, keep.st_mtime_ns))
        with open(self.path("src/d0/big"), "r+b") as f:
            f.seek(1 << 20)
            f.write(b"changed in the middle")
        os.chmod(self.path("src/d0/f008"), 0o600)
        os.rename(self.path("src/d1/f005"), self.path("src/d1/moved"))
        self.write("src/d2/new", b"new" * 5000)
        os.unlink(self.path("src/d3/f003"))
        want = snapshot.take(self.src)
        watch = Opened(self.path("src/d0"))
        result, c = self.run_it()
        # A rename changes ctime: its data are read, but not stored again.
        self.assertEqual({"f004", "big", "f008"}, watch.names())
        watch.close()
        self.assertEqual(61 - 4, c["unchanged"])
        self.check_restored(result.summary["id"], want)

    def test_a_file_as_young_as_the_run_is_read_again(self):
        self.write("src/d0/young", b"just now")
        first, _ = self.run_it()
        watch = Opened(self.path("src/d0"))
        self.run_it()
        self.assertEqual({"young"}, watch.names())
        watch.close()
        self.assertEqual("full", first.summary["type"])

    def test_differential_builds_upon_the_last_full(self):
        full, _ = self.run_it("--type", "full")
        self.write("src/d0/a", b"a")
        inc, _ = self.run_it("--type", "incremental")
        diff, _ = self.run_it("--type", "differential")
        self.assertEqual(full.summary["id"], inc.summary["parent"])
        self.assertEqual(full.summary["id"], diff.summary["parent"])
        self.assertEqual("differential", diff.summary["type"])
        last, _ = self.run_it()
        self.assertEqual(diff.summary["id"], last.summary["parent"])
        asked, _ = self.run_it("--parent", inc.summary["id"])
        self.assertEqual(inc.summary["id"], asked.summary["parent"])
        bad = self.run_json(self.file, "--type", "differential", "--parent", inc.summary["id"],
                            code=2)
        self.assertIn("builds upon a full one", bad.text)
        self.run_json(self.file, "--type", "full", "--parent", inc.summary["id"], code=2)
        none = self.run_json(self.file, "--parent", "nothing-of-the-kind", code=10)
        self.assertIn("--parent", none.text)
        shown = {b["id"]: b for b in self.backups(self.file)}
        self.assertEqual("differential", shown[diff.summary["id"]]["type"])

    def test_differential_without_a_full_one_is_full(self):
        result, _ = self.run_it("--type", "differential")
        self.assertEqual("full", result.summary["type"])
        self.assertIn("makes a full one", result.text)

    def test_without_its_packs_a_parent_is_not_relied_upon(self):
        want = snapshot.take(self.src)
        self.run_it()
        for folder, _, names in os.walk(self.path("store/packs")):
            for n in names:
                os.unlink(os.path.join(folder, n))
        result, c = self.run_it()
        self.assertEqual(0, c["unchanged"])
        self.check_restored(result.summary["id"], want)

    def test_the_cache_may_be_lost(self):
        self.run_it()
        bake.forget(self.path("cache"))
        before = self.stored()
        _, c = self.run_it()
        self.assertEqual(62, c["unchanged"])
        self.assertLess(self.stored() - before, 8000)

    def test_the_cache_may_be_read_only_or_full(self):
        want = snapshot.take(self.src)
        self.write("file", b"")
        for where in (self.path("file/below"), "/proc/none"):
            self.env["BAKENGINE_CACHE_DIR"] = where
            result, _ = self.run_it()
            self.check_restored(result.summary["id"], want)
        small = self.path("small")
        self.mount(small, "-t", "tmpfs", "-o", "size=8k", "none")
        self.env["BAKENGINE_CACHE_DIR"] = small
        result, c = self.run_it()
        self.assertEqual(62, c["unchanged"])
        self.check_restored(result.summary["id"], want)

    def test_content_known_to_the_store_is_stored_once(self):
        data = os.urandom(4 << 20)
        self.write("src/d0/one", data)
        self.write("src/d3/two", b"#" * 100 + data)
        self.run_it()
        before = self.stored()
        self.write("src/d2/three", data[:1 << 20] + b"inserted" + data[1 << 20:])
        self.run_it()
        self.assertLess(self.stored() - before, 700000)
        self.assertLess(before, 9 << 20)


if __name__ == "__main__":
    bake.main()
