#!/usr/bin/python3
"""One archive for a stack, in the form that the seeds' own containers write and read: read here by zstd,
tar, psql and mariadb alone, and by bakengine, with and without its manifest."""
import glob
import os
import shutil
import subprocess

import dock  # first: it knows where the others are
import bake
import spoilt


class Bundles(spoilt.RestoreBench):
    def setUp(self):
        super().setUp()
        self.forget_kept()
        self.stack("shop")
        self.fill()
        self.before = self.look()
        self.store = self.path("store")
        self.file = self.drive(self.store, bundle="stack")
        result = self.run_json(self.file)
        self.assertEqual(result.summary["status"], "ok", str(result))
        found = glob.glob(self.store + "/*.tar.zst")
        self.assertEqual(len(found), 1)
        self.bundle = found[0]
        self.assertRegex(os.path.basename(self.bundle), r"^backup-shop-\d{8}-\d{6}-[0-9a-f]{8}\.tar\.zst$")

    def as_the_seeds_do(self, out):
        """What their restore container does: copies into the containers, psql and mariadb."""
        subprocess.run(["zstd", "-qt", self.bundle], check=True)
        os.mkdir(out)
        subprocess.run(["tar", "-I", "zstd", "-xpf", self.bundle, "-C", out, "--numeric-owner"], check=True)
        self.assertEqual(sorted(os.listdir(out)), ["app", "db", "definition.json", "mariadb"])
        for volume in ["uploads", "config"]:
            found = self.tree(f"{out}/app/volumes/{volume}")
            self.assert_same({volume: self.before[volume]}, {volume: found})
            data = subprocess.run(["tar", "-C", f"{out}/app/volumes/{volume}", "--numeric-owner", "-c", "."],
                                  check=True, capture_output=True).stdout
            self.bed.api("PUT", f"/containers/shop_app_1/archive?path=/data/{volume}", data)
        with open(out + "/db/database/pg_dumpall.sql", "rb") as f:
            self.bed.exec("shop_db_1", "sh", "-c", "PGPASSWORD=$(cat /run/secrets/pg_password) psql -q -h"
                          " 127.0.0.1 -U shop -d postgres", stdin=f.read())
        with open(out + "/mariadb/mariadb_dump/all_databases.sql", "rb") as f:
            self.bed.exec("shop_mariadb_1", "sh", "-c", 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" mariadb -uroot',
                          stdin=f.read())

    def test_by_its_own_means_and_by_the_seeds(self):
        shown = self.bake("list", self.file).text
        self.assertIn("good", shown)
        self.bake("verify", self.file, "--level", "read")
        # destroyed, and brought back by the seeds' commands
        if bake.LONG:
            self.bed.drop("shop")
            self.bed.compose("shop", "up", "-d")
            self.bed.wait_healthy("shop")
        else:
            self.spoil()
            os.remove(self.bed.volume("shop_uploads") + "/new")  # they only add files
        self.as_the_seeds_do(self.path("out"))
        after = self.look()
        for volume in ["uploads", "config"]:  # the mount's root is not theirs to change
            after[volume]["."] = self.before[volume]["."]
        self.assert_same(self.before, after)
        # by its own
        self.spoil()
        self.restore(self.file)
        self.assert_same(self.before, self.look())
        # a part of it
        self.spoil()
        now = self.look()
        name, back = (spoilt.PG, ["orders", "databases"]) if bake.LONG else (spoilt.UPLOADS, ["uploads"])
        self.restore(self.file, "--component", name)
        self.assert_same({**now, **{key: self.before[key] for key in back}}, self.look())
        # damaged, it is not used
        with open(self.bundle, "r+b") as f:
            f.seek(f.seek(0, os.SEEK_END) // 2)
            f.write(b"damage")
        self.bake("verify", self.file, "--level", "read", code=4)
        self.undone(self.file)

    @dock.long_form
    def test_without_its_manifest(self):
        bare = self.path("bare")
        os.mkdir(bare)
        shutil.copy(self.bundle, bare)
        pipeline = self.drive(bare, name="other")
        self.assertIn(os.path.basename(self.bundle)[:-8], self.bake("list", pipeline).text)
        self.bake("verify", pipeline, "latest", "--level", "read")
        self.bed.drop("shop")
        result = self.restore(pipeline, "--stack", "shop")
        self.assertIn("made", str(result.of("group")))
        self.assert_same(self.before, self.look())


if __name__ == "__main__":
    dock.main()
