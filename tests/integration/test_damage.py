#!/usr/bin/python3
"""Damage: whatever is changed in a store is found, and what is not lost is restored."""
import glob
import json
import os
import random
import shutil
import subprocess
import time

import bake
import snapshot

FLIPS = 1500 if bake.LONG else 60
CUTS = 200 if bake.LONG else 10


class Damage(bake.Bench):
    def setUp(self):
        super().setUp()
        self.src = self.small_tree("src", 30)
        self.write(f"{self.src}/text", b"a text that compresses well\n" * 4000)
        self.pipeline_file = self.pipeline({"all": self.src})
        self.one = self.run_json(self.pipeline_file).summary["id"]
        time.sleep(1)  # a damaged one's start is known by its id alone, to the second
        self.write(f"{self.src}/text", b"something else\n" * 5000)
        self.two = self.run_json(self.pipeline_file).summary["id"]
        self.want = snapshot.take(self.src)
        self.good = self.path("good")
        os.rename(self.path("store"), self.good)
        self.seed = int(os.environ.get("BAKE_TEST_SEED") or random.randrange(10**6))
        self.random = random.Random(self.seed)

    def fresh(self):
        """The store as it was before."""
        bake.forget(self.path("store"))
        shutil.copytree(self.good, self.path("store"))

    def stored(self, name):
        return self.path("store", "backups", self.two, name)

    def restore(self, code):
        bake.forget(self.path("out"))
        return self.bake("restore", self.pipeline_file, self.two, "--target", self.path("out"),
                         "--json", code=code)

    def check_restored(self, said, what):
        """Nothing wrong may be there, and each thing that is not must be named."""
        out = self.path("out") + "/all" + self.src
        got = snapshot.take(out) if os.path.isdir(out) else {}
        everything = got and not said.of("error")
        wrong = []
        for path, e in got.items():
            old = self.want.get(path)
            # Directories and times on them are right only if all came.
            if not old or old.kind != e.kind or (e.kind != "dir" and old.same(e, ("twin",))):
                wrong.append(path)
        self.assertEqual(wrong, [], f"{what}: wrong files were left\n{said}")
        if not everything and got:
            for path in self.want.keys() - got.keys():
                self.assertIn(os.fsdecode(path), said.text, f"{what}: not named")
        return got

    def round(self, name, change, verify=4, restore=(1, 3)):
        """One damage to a stored object: found, and restored around."""
        self.fresh()
        path = name if os.path.isabs(name) else self.stored(name)
        what = change(path)
        what = f"seed {self.seed}, {os.path.basename(path)}: {what}"
        found = self.bake("verify", self.pipeline_file, "--all", "--level", "read", code=None)
        self.assertEqual(found.code, verify, f"{what}\n{found}")
        if verify == 4:
            self.assertTrue("backup" in found.text and found.err, what)
        said = self.restore(None)
        self.assertIn(said.code, restore, f"{what}\n{said}")
        self.check_restored(said, what)
        return said

    def flip(self, path, at=None):
        with open(path, "r+b") as f:
            data = f.read()
            at, bit = self.random.randrange(len(data)) if at is None else at, self.random.randrange(8)
            f.seek(at)
            f.write(bytes([data[at] ^ 1 << bit]))
        return f"bit {bit} of byte {at} of {len(data)} flipped"

    def cut(self, path):
        size = os.path.getsize(path)
        n = self.random.randrange(size)
        os.truncate(path, n)
        return f"cut to {n} of {size} bytes"

    def append(self, path):
        with open(path, "ab") as f:
            f.write(self.random.choice((b"\0", b"x", b"\n\n", os.urandom(1000),
                                        bytes.fromhex("28b52ffd0400010000"), bytes(512))))
        return "something appended"

    def remove(self, path):
        os.unlink(path)
        return "removed"

    def swap(self, path):
        other = path.replace(self.two, self.one)
        with open(path, "rb") as a, open(other, "rb") as b:
            x, y = a.read(), b.read()
        if x == y:
            self.skipTest("the two objects are the same")
        with open(path, "wb") as a, open(other, "wb") as b:
            a.write(y), b.write(x)
        return "swapped with the other backup's"

    def test_bits(self):
        for name in ("all.tar.zst", "all.mtree.zst"):
            for _ in range(FLIPS // 3):
                self.round(name, self.flip)

    def test_cuts(self):
        for name in ("all.tar.zst", "all.mtree.zst"):
            for _ in range(CUTS):
                self.round(name, self.cut)

    def test_gone_swapped_grown(self):
        for name in ("all.tar.zst", "all.mtree.zst"):
            for change in (self.remove, self.swap, self.append, self.append):
                self.round(name, change)

    def test_only_the_tail_is_lost(self):
        """A data object cut in its middle: what comes before is whole on the disk."""
        big = self.path("big")
        for i in range(40):
            self.random_file(f"{big}/f{i:02}", 400000)
        self.src = big
        bake.forget(self.path("store"))
        self.pipeline_file = self.pipeline({"all": big})
        self.two = self.run_json(self.pipeline_file).summary["id"]
        self.want = snapshot.take(big)
        path = self.stored("all.tar.zst")
        os.truncate(path, os.path.getsize(path) // 2)
        found = self.bake("verify", self.pipeline_file, "--level", "read", code=4)
        said = self.restore(3)
        got = self.check_restored(said, "cut in its middle")
        self.assertGreater(len(got), 12, "what comes before the cut is restored")
        self.assertIn("f39", said.text)
        self.assertTrue("all" in found.text)

    def test_one_bad_file(self):
        """A file that is not what the listing says is left out by itself."""
        self.fresh()
        folder = self.path("store", "backups", self.two)
        plain = subprocess.run(["zstd", "-dcq", f"{folder}/all.tar.zst"], capture_output=True,
                               check=True).stdout
        self.assertEqual(plain.count(b"something else\n"), 5000)
        at = plain.index(b"something else\n" * 2)
        plain = plain[:at] + b"S" + plain[at + 1:]
        subprocess.run(["zstd", "-fq", "-", "-o", f"{folder}/all.tar.zst"], input=plain, check=True)
        said = self.restore((1, 3))
        got = self.check_restored(said, "one file changed")
        self.assertNotIn(b"text", got)
        self.assertIn(b"d0/f000", got)

    def test_sums(self):
        """SHA256SUMS is for people with sha256sum: what it says does not change what we do."""
        for change in (self.flip, self.cut, self.remove):
            self.round("SHA256SUMS", change, verify=0, restore=(0,))

    def test_manifest(self):
        for change in [self.flip] * (FLIPS // 4) + [self.cut] * 5 + [self.append]:
            said = self.round("manifest.json", change, restore=(1,))
            self.assertIn("manifest", said.text)
            self.assertEqual(len(self.backups(self.pipeline_file)), 2, "both are still listed")
            self.bake("verify", self.pipeline_file, self.one, "--level", "read")

    def test_latest_with_a_damaged_manifest(self):
        """The newest backup is damaged: neither taken for good nor passed over in silence."""
        self.fresh()
        self.flip(self.stored("manifest.json"), 40)
        self.bake("verify", self.pipeline_file, "--level", "read", code=4)
        said = self.bake("restore", self.pipeline_file, "--target", self.path("out"), code=None)
        if said.code == 0:
            self.assertIn(self.two, said.text, "an older one was taken, which must be said")

    def test_manifest_gone(self):
        """Without a manifest there is no backup; the other one stands."""
        self.fresh()
        os.unlink(self.stored("manifest.json"))
        self.assertEqual([b["id"] for b in self.backups(self.pipeline_file)], [self.one])
        self.bake("restore", self.pipeline_file, self.two, "--target", self.path("out"), code=10)
        self.bake("verify", self.pipeline_file, "--all", "--level", "read")

    def test_manifest_of_another(self):
        self.fresh()
        shutil.copy(self.stored("manifest.json").replace(self.two, self.one),
                    self.stored("manifest.json"))
        self.bake("verify", self.pipeline_file, "--all", "--level", "read", code=4)
        self.assertNotEqual(self.restore(None).code, 0)

    def test_store_info(self):
        """bakengine.json says what the store is: damaged, nothing is read or written by guess."""
        changes = [self.flip] * (FLIPS // 8) + [self.cut] * 3 + [self.append]
        for change in changes:
            self.fresh()
            info = self.path("store/bakengine.json")
            what = change(info)
            before = sorted(glob.glob(self.path("store/**"), recursive=True))
            for verb in (("verify", "--all"), ("list",), ("run",), ("prune",)):
                said = self.bake(verb[0], self.pipeline_file, *verb[1:], code=None)
                self.assertIn(said.code, (1, 2, 4, 10), f"{what}\n{said}")
                self.assertIn("bakengine.json", said.text, what)
            self.assertEqual(sorted(glob.glob(self.path("store/**"), recursive=True)), before)

    def test_newer_format(self):
        self.fresh()
        bake.edit_sealed(self.path("store/bakengine.json"),
                         lambda j: {**j, "format_version": 99})
        for verb in (["run"], ["list"], ["verify", "--all"], ["prune"]):
            said = self.bake(*verb[:1], self.pipeline_file, *verb[1:], code=(1, 2))
            self.assertIn("version", said.text)
            self.assertIn("99", said.text)
        self.assertIn("99", self.restore((1, 2)).text)

    def test_newer_manifest(self):
        self.fresh()
        bake.edit_sealed(self.stored("manifest.json"), lambda j: {**j, "manifest_version": 2})
        said = self.restore((1, 2))
        self.assertIn("version", said.text)
        self.bake("verify", self.pipeline_file, self.one)

    def test_manifest_that_lies(self):
        """Sealed rightly, by somebody who means harm: no name leads out of the backup."""
        def component(key, value):
            def change(j):
                j["components"][0][key] = value
            return change

        def thing(key, value):
            def change(j):
                j["components"][0]["objects"][0][key] = value
            return change

        outside = self.write("outside", b"secret")
        for change in (component("name", "../../escape"), component("name", "/etc/escape"),
                       component("name", "a/../../b"), component("name", ""),
                       component("name", "."), component("kind", "other"),
                       component("status", "fine"), component("objects", []),
                       component("transforms", ["no-such-thing"]), component("transforms", "zstd"),
                       component("transforms", []), component("sha256", "0" * 64),
                       component("sha256", "no"), component("bytes_in", -1),
                       thing("name", "../../../outside"), thing("name", outside),
                       thing("name", f"../{self.one}/all.tar.zst"), thing("name", ""),
                       thing("role", "other"), thing("size", 1 << 70), thing("size", 1),
                       thing("sha256", "0" * 64), lambda j: {**j, "components": None},
                       lambda j: {**j, "id": self.one}, lambda j: {**j, "id": "../x"}):
            self.fresh()
            bake.edit_sealed(self.stored("manifest.json"), change)
            with open(self.stored("manifest.json"), encoding="utf-8") as f:
                what = json.dumps(json.load(f)["components"])[:600]
            found = self.bake("verify", self.pipeline_file, self.two, "--level", "read", code=None)
            self.assertIn(found.code, (1, 4), f"{what}\n{found}")
            said = self.restore((1, 3))
            self.assertNotIn("secret", said.text)
            for escaped in (self.path("escape"), self.path("b"), "/etc/escape"):
                self.assertFalse(os.path.lexists(escaped), what)

    def test_manifest_that_is_no_json(self):
        for text in (b"", b"\0" * 100, b"not json", b"[]", b"{}", b'"x"', b"{" * 100000,
                     b"[" * 1000000, bake.seal(b'{"sha256": "' + b"0" * 64 + b'"}'),
                     bake.seal(b'{"a": 1, "a": 2, "sha256": "' + b"0" * 64 + b'"}')):
            self.fresh()
            with open(self.stored("manifest.json"), "wb") as f:
                f.write(text)
            self.bake("verify", self.pipeline_file, "--all", code=4)
            self.restore(1)
            self.assertEqual(len(self.backups(self.pipeline_file)), 2)


if __name__ == "__main__":
    bake.main()
