#!/usr/bin/env python3
"""pipelines/postgres.yaml as it stands: run by the server's own user over the socket, and what its
comments say."""
import os
import shutil
import subprocess

import server

PIPELINE = os.path.join(server.HERE, "..", "..", "pipelines", "postgres.yaml")


class PeerServer(server.Server):
    """Whoever is postgres here is so there; the tests themselves come by the network."""

    def env(self, *args, **more):
        return {**super().env(*args, **more), "PGHOST": "127.0.0.1"}


class Shipped(server.PostgresBench):

    @classmethod
    def setUpClass(cls):
        cls.server = PeerServer(init=["--auth-local=peer"])
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()
        cls.server.sql("create role clerk login password 'x'; create database shop owner clerk; "
                       "create database shop_test")
        cls.server.sql("create table orders as select i, md5(i::text) as what "
                       "from generate_series(1, 3000) i; "
                       "create table other as select i from generate_series(1, 20) i", "shop")

    def setUp(self):
        super().setUp()
        if server.user_ids() is None:
            self.skipTest("only root can become the server's user")
        if subprocess.run(["test", "-x", server.bake.binary()], **server.as_owner()).returncode != 0:
            self.skipTest("the server's user cannot reach the program")
        own = self.path("own")
        os.mkdir(own, 0o700)
        os.chown(own, *server.user_ids())
        self.file = shutil.copy(PIPELINE, self.path("postgres.yaml"))
        self.env.update(HOME=own, BACKUP_DIR=os.path.join(own, "backups"), PGHOST=self.server.folder,
                        PGPORT=str(self.server.port), BAKENGINE_STATE_DIR=os.path.join(own, "state"),
                        BAKENGINE_CACHE_DIR=os.path.join(own, "cache"), TMPDIR=own)

    def start(self, *args, **popen):
        return super().start(*args, cwd="/", **server.as_owner(), **popen)

    def test_run(self):
        done = self.run_json(self.file)
        names = sorted(c["name"] for c in done.of("component") if c["status"] == "ok")
        self.assertEqual(names, [f"databases/{n}.sql" for n in ("globals", "postgres", "shop")], str(done))
        self.assertEqual(len(self.backups(self.file)), 1)
        self.bake("validate", self.file, "--probe")
        self.bake("verify", self.file, "--level", "read")

    def test_drill(self):
        self.run_json(self.file)
        self.bake("verify", self.file, "--level", "restore")
        self.assertEqual(os.listdir(self.env["HOME"]).count("backups"), 1)
        self.assertFalse([n for n in os.listdir(self.env["TMPDIR"]) if n.startswith("bakengine-")])

    def test_ways_back(self):
        self.run_json(self.file)
        count = "select count(*) from orders"
        self.addCleanup(self.server.sql, "drop database if exists shop2 with (force)")
        self.bake("restore", self.file, "--component", "databases/shop.sql", "--as-database", "shop2")
        self.assertEqual(self.server.sql(count, "shop2"), "3000")
        self.server.sql("drop table orders; delete from other", "shop")
        self.bake("restore", self.file, "--component", "databases/shop.sql", "--path", "public.orders")
        self.assertEqual(self.server.sql(count, "shop"), "3000")
        self.assertEqual(self.server.sql("select count(*) from other", "shop"), "0")


if __name__ == "__main__":
    server.main()
