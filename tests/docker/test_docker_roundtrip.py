#!/usr/bin/python3
"""The whole promise: a stack is backed up, destroyed with its volumes, and restored to the same rows and
bytes, in both formats; and from the archives that the seeds' own backup container made."""
import json
import os
import subprocess
import unittest

import dock


class Shop(dock.DockerBench):
    good = None  # what is in the stack, as long as all of it is there

    def prepare(self):
        """The stack, new or as the test before has brought it back; what is in it."""
        good, Shop.good = Shop.good, None
        if not good:
            self.bed.drop("shop")
            unittest.addModuleCleanup(self.bed.drop, "shop")
            self.bed.compose("shop", "up", "-d")
            self.bed.wait_healthy("shop")
            self.fill()
            good = self.look()
        return good


class Roundtrip(Shop):
    def whole_circle(self, **how):
        before = self.prepare()
        pipeline = self.docker_pipeline(**how)
        result = self.run_json(pipeline)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.assertEqual(self.bed.running("shop"), ["shop_app_1", "shop_cache_1", "shop_db_1",
                                                    "shop_mariadb_1"])
        self.bed.drop("shop")
        self.assertEqual(self.bed.containers("shop"), {})
        result = self.bake("restore", pipeline, "--json")
        self.assertEqual(result.summary["status"], "ok", str(result))
        # the whole stack, with what has nothing to back up
        self.assertEqual(self.bed.running("shop"), ["shop_app_1", "shop_cache_1", "shop_db_1",
                                                    "shop_mariadb_1"])
        self.assert_same(before, self.look())
        Shop.good = before
        return pipeline

    def test_repository(self):
        pipeline = self.whole_circle()
        groups = json.loads(self.bake("show", pipeline, "--json").out)["groups"]
        self.assertEqual([g["name"] for g in groups], ["shop"])
        facts = groups[0]["facts"]
        self.assertEqual(list(facts["stopped"]), ["shop_app_1"])
        self.assertGreater(facts["stopped_seconds"], 0)
        self.assertRegex(self.bake("run", pipeline, "--dry-run").text,
                         r"stops shop_app_1 \(stopped for .* the last time\)")
        # Compose takes what was made again for its own: nothing is to be recreated.
        ids = {n: c["Id"] for n, c in self.bed.containers("shop").items()}
        self.bed.compose("shop", "up", "-d")
        after = {n: c["Id"] for n, c in self.bed.containers("shop").items()}
        for name, container in ids.items():
            self.assertEqual(container, after[name], name)

    @dock.long_form
    def test_archive(self):
        self.whole_circle(format="archive")


class Seeds(Shop):
    """The seeds' archive is made as their documentation says: dumps by the tools within the
    containers, volumes as `docker cp` gives them, one tar per stack, compressed by zstd."""

    def archive(self, name, store):
        top = self.path("seeds", name)
        for folder in ["db/database", "mariadb/mariadb_dump", "app/volumes"]:
            os.makedirs(os.path.join(top, folder))
        pg = self.bed.exec("shop_db_1", "sh", "-c",
                           "PGPASSWORD=$(cat /run/secrets/pg_password) pg_dumpall -h 127.0.0.1"
                           " --clean --if-exists -U shop")
        maria = self.bed.exec("shop_mariadb_1", "sh", "-c",
                              'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" mariadb-dump -uroot'
                              " --all-databases --single-transaction --routines --events --triggers")
        self.write(f"seeds/{name}/db/database/pg_dumpall.sql", pg)
        self.write(f"seeds/{name}/mariadb/mariadb_dump/all_databases.sql", maria)
        for volume in ["uploads", "config"]:
            data = self.bed.api("GET", f"/containers/shop_app_1/archive?path=/data/{volume}", raw=True)
            subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-C", top + "/app/volumes"],
                           input=data, check=True)
        os.makedirs(store, exist_ok=True)
        subprocess.run(f"tar -C '{top}' -c --numeric-owner --sort=name db mariadb app |"
                       f" zstd -q -o '{store}/{name}.tar.zst'", shell=True, check=True)

    def test_restored(self):
        before = self.prepare()
        name, other = "backup_shop_20231105-120000_abc123", \
            "backup-shop-20231104-120000-0e7c1d3a-5b7e-4c43-9f59-8f0a6a1c2b3d"
        store = self.path("store")
        self.archive(name, store)
        os.link(f"{store}/{name}.tar.zst", f"{store}/{other}.tar.zst")
        # the archive of a stack whose name begins alike must never be taken
        os.link(f"{store}/{name}.tar.zst",
                f"{store}/{name.replace('shop', 'shop_prod').replace('2023', '2024')}.tar.zst")
        pipeline = self.docker_pipeline(format="archive")
        listed = self.bake("list", pipeline).text
        self.assertIn(name, listed)
        self.assertIn(other, listed)
        self.assertIn("shop/app/volumes/uploads", self.bake("ls", pipeline, other).text)
        self.bed.drop("shop")
        self.bed.compose("shop", "up", "--no-start")  # as the seeds ask: the containers must exist
        result = self.bake("restore", pipeline, "latest", "--stack", "shop", "--json")
        self.assertEqual(result.summary["id"], name, str(result))
        self.assert_same(before, self.look())
        Shop.good = before


if __name__ == "__main__":
    dock.main()
