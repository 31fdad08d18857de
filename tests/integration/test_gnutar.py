#!/usr/bin/python3
"""What we write is other people's format: GNU tar, zstd and sha256sum restore it without us."""
import glob
import os
import shutil
import subprocess

import bake
import snapshot
import trees


class OtherPrograms(bake.Bench):
    def setUp(self):
        super().setUp()
        self.src = self.path("src")
        if bake.ROOT:
            trees.everything(self.src, 5 << 20, 1 << 28, 500)
        else:
            self.small_tree("src")
        self.pipeline_file = self.pipeline({"all": self.src})
        self.bake("run", self.pipeline_file)
        self.folder = glob.glob(self.path("store/backups/*"))[0]

    def tool(self, *argv, **more):
        done = subprocess.run(argv, capture_output=True, env=dict(self.env), **more)
        self.assertEqual(done.returncode, 0, (argv, done.stdout[-3000:], done.stderr[-3000:]))
        return done

    def test_tar_zstd_sha256sum(self):
        self.tool("sha256sum", "-c", "--strict", "SHA256SUMS", cwd=self.folder)
        for name in ("all.tar.zst", "all.mtree.zst"):
            self.tool("zstd", "-t", f"{self.folder}/{name}")
        out = self.path("tar")
        os.mkdir(out)
        done = self.tool("tar", "--zstd", "--numeric-owner", "--xattrs", "--xattrs-include=*",
                         "--acls", "-C", out, "-xpf", f"{self.folder}/all.tar.zst")
        # It finds times before 1970 and to come odd and says so; what it sets is right.
        said = [x for x in done.stderr.splitlines() if b" time stamp " not in x]
        self.assertEqual(said, [])
        lines = snapshot.differences(snapshot.take(self.src), snapshot.take(out + self.src))
        self.assertEqual(lines, [], "\n".join(lines[:40]))

    def test_cat_gives_the_same_tar(self):
        with open(self.path("cat.tar"), "wb") as f:
            subprocess.run([bake.binary(), "cat", self.pipeline_file, "latest", "all"], stdout=f,
                           env=self.env, check=True)
        plain = subprocess.run(["zstd", "-dcq", f"{self.folder}/all.tar.zst"], check=True,
                               capture_output=True).stdout
        with open(self.path("cat.tar"), "rb") as f:
            self.assertTrue(f.read() == plain, "cat and zstd -d differ")

    def test_listing_is_mtree(self):
        reader = shutil.which("bsdtar")
        if not reader:
            self.skipTest("no bsdtar")
        text = self.tool("zstd", "-dcq", f"{self.folder}/all.mtree.zst").stdout
        with open(self.path("all.mtree"), "wb") as f:
            f.write(text)
        said = self.tool(reader, "-tf", self.path("all.mtree")).stdout.count(b"\n")
        self.assertEqual(said, text.count(b"\n") - 1)

    def test_listing_tells_the_digests(self):
        """Every file's digest in the listing, held against the file."""
        text = self.tool("zstd", "-dcq", f"{self.folder}/all.mtree.zst").stdout.splitlines()
        self.assertEqual(text[0], b"#mtree")
        checked, names = 0, 0
        for line in text[1:]:
            name, _, rest = line.partition(b" ")
            names += 1
            keys = dict(pair.split(b"=", 1) for pair in rest.split())
            if b"tags" in keys and b"\\" not in name and int(keys[b"size"]) < 1 << 24:
                with open(b"/" + name[2:], "rb") as f:
                    self.assertEqual(keys[b"tags"].decode(), "xxh128:" + bake.xxh128(f.read()), name)
                checked += 1
        self.assertEqual(names, len(snapshot.take(self.src, read=False)))
        self.assertGreater(checked, 40)


if __name__ == "__main__":
    bake.main()
