#!/usr/bin/python3
"""Bundles and archives of other programs with real files: GNU tar and zstd write them and read them,
and what is restored is held against what was there."""
import glob
import os
import subprocess

import bake
import snapshot
import trees


class Archives(bake.Bench):
    def setUp(self):
        super().setUp()
        self.src = self.path("src")
        self.volume = f"{self.src}/web/volumes/uploads"
        os.makedirs(f"{self.src}/web/volumes")
        if bake.ROOT:
            trees.everything(self.volume, 1 << 20, 4 << 20, 60)
        else:
            self.small_tree("src/web/volumes/uploads")
        self.small_tree("src/web/volumes/config")
        self.write("src/db/database/pg_dumpall.sql", b"insert into t values (1);\n" * 200000)
        self.write("src/db/mariadb_dump/all_databases.sql", os.urandom(3 << 20))
        self.bare = self.path("bare")
        os.mkdir(self.bare)

    def archive(self, name, *options):
        plain = self.path("plain.tar")
        subprocess.run(["tar", "-C", self.src, *options, "-cf", plain, "."], check=True,
                       capture_output=True)
        subprocess.run(["zstd", "-qf", "-T2", plain, "-o", f"{self.bare}/{name}"], check=True)
        os.unlink(plain)

    def same(self, a, b):
        # GNU tar keeps no hard links of devices; what it writes for a moment before 1970 begins with
        # "-0.", of which libarchive loses the sign.
        lines = [x for x in snapshot.differences(snapshot.take(a), snapshot.take(b))
                 if "-too': twin is" not in x and "times/minus-" not in x]
        self.assertEqual(lines, [], "\n".join(lines[:40]))

    def same_dumps(self, out):
        for name in ("db/database/pg_dumpall.sql", "db/mariadb_dump/all_databases.sql"):
            with open(f"{self.src}/{name}", "rb") as a, open(f"{out}/{name}", "rb") as b:
                self.assertTrue(a.read() == b.read(), f"{name} differs")

    def restored(self, *args, stack="shop"):
        out = self.path("out")
        bake.forget(out)
        self.bake("restore", *args, "--target", out)
        return f"{out}/{stack}"

    def test_archives_of_gnu_tar(self):
        for form, name in (("--format=gnu", "backup-shop-20231105-120000-a1b2c3d4.tar.zst"),
                           ("--format=pax", "backup_shop_20231105-120000_a1b2c3.tar.zst")):
            more = ["--xattrs", "--acls"] if "pax" in form else []
            self.archive(name, form, "--sparse", *more)
            self.bake("verify", self.bare, "latest", "--level", "read")
            out = self.restored(self.bare)
            self.same_dumps(out)
            if "pax" in form:  # the other has no fractions of seconds
                self.same(f"{self.src}/web/volumes/config", f"{out}/web/volumes/config")
                self.same(self.volume, f"{out}/web/volumes/uploads")
            subprocess.run(["diff", "-r", "--no-dereference", f"{self.src}/web/volumes/config",
                            f"{out}/web/volumes/config"], check=True)
            one = self.bake("cat", self.bare, "latest", "shop/db/database/pg_dumpall.sql").out
            with open(f"{self.src}/db/database/pg_dumpall.sql", "rb") as f:
                self.assertTrue(one == f.read())
            os.unlink(f"{self.bare}/{name}")

    def test_sparse_dump(self):
        """A dump with holes in the tar: its zeros come back."""
        path = f"{self.src}/db/database/pg_dumpall.sql"
        with open(path, "r+b") as f:
            f.truncate(64 << 20)
            f.seek(32 << 20)
            f.write(b"in the middle")
        self.archive("backup-shop-20231105-120000-a1.tar.zst", "--sparse")
        self.same_dumps(self.restored(self.bare))

    def test_every_cut(self):
        """Wherever the archive is cut: never a crash, and nothing wrong is taken for right."""
        self.archive("backup-shop-20231105-120000-a1.tar.zst")
        whole = f"{self.bare}/backup-shop-20231105-120000-a1.tar.zst"
        with open(whole, "rb") as f:
            data = f.read()
        step = len(data) // (60 if bake.LONG else 5)
        for at in range(1, len(data), step):
            with open(whole, "wb") as f:
                f.write(data[:at])
            self.bake("verify", self.bare, "latest", "--level", "read", code=4)
            out = self.path("cut")
            bake.forget(out)
            self.bake("restore", self.bare, "--target", out, code=(1, 3))
            for path in glob.glob(f"{out}/shop/db/*/*.sql"):
                with open(path, "rb") as a, \
                        open(path.replace(f"{out}/shop", self.src), "rb") as b:
                    self.assertTrue(a.read() == b.read(), f"cut at {at}: {path} differs")

    def test_changed_bytes(self):
        """Single bytes changed in the archive's plain tar: said, or harmless, and never outside."""
        self.archive("backup-shop-20231105-120000-a1.tar.zst")
        name = f"{self.bare}/backup-shop-20231105-120000-a1.tar.zst"
        plain = bytearray(subprocess.run(["zstd", "-dcq", name], check=True,
                                         capture_output=True).stdout)
        around = self.path("around")
        for i in range(60 if bake.LONG else 6):
            at = (i * 7919 * 512 + i * 131) % min(len(plain), 1 << 20)
            plain[at] ^= 0x20
            subprocess.run(["zstd", "-qf", "-", "-o", name], check=True, input=bytes(plain))
            plain[at] ^= 0x20
            out = f"{around}/out"
            bake.forget(around)
            os.mkdir(around)
            self.bake("restore", self.bare, "--target", out, code=(0, 1, 3))
            self.assertIn(os.listdir(around), ([], ["out"]))

    def test_memory_does_not_grow(self):
        if bake.sanitized():
            self.skipTest("no sanitizer works with less addresses")
        with open(self.write("src/big/data/zeros"), "wb") as f:
            f.truncate((1 << 30) if bake.LONG else (256 << 20))
        self.archive("backup-shop-20231105-120000-a1.tar.zst")
        # A fresh shell starts it: a child's peak counts what its parent had when it was made.
        done = self.bake("verify", self.bare, "latest", "--level", "read",
                         prefix=["sh", "-c", 'ulimit -v 600000; exec "$@"', "sh"])
        self.assertIn("read ok", done.text)


if __name__ == "__main__":
    bake.main()
