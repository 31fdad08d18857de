#!/usr/bin/env python3
"""pipelines/mariadb.yaml as it stands: run by root over the socket, and what its comments say."""
import os
import shutil

import server

PIPELINE = os.path.join(server.HERE, "..", "..", "pipelines", "mariadb.yaml")


class Shipped(server.MariaBench):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # As Debian's server has it: the system's root is the server's.
        cls.server.sql("alter user root@localhost identified via unix_socket; create database shop; "
                       "create database shop_test; create user clerk@localhost identified by 'x'")
        cls.server.sql("create table orders (i int primary key, what varchar(40)) engine=innodb "
                       "select seq as i, md5(seq) as what from seq_1_to_3000; "
                       "create table other (i int primary key) engine=innodb "
                       "select seq as i from seq_1_to_20", "shop")

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root is let in by the socket")
        self.file = shutil.copy(PIPELINE, self.path("mariadb.yaml"))
        self.write(".my.cnf", f"[client]\nsocket={self.server.socket}\n".encode(), 0o600)
        self.env["BACKUP_DIR"] = self.path("backups")

    def test_run(self):
        done = self.run_json(self.file)
        names = sorted(c["name"] for c in done.of("component") if c["status"] == "ok")
        self.assertEqual(names, ["databases/shop.sql", "databases/users.sql"], str(done))
        self.assertEqual(len(self.backups(self.file)), 1)
        self.bake("validate", self.file, "--probe")
        self.bake("verify", self.file, "--level", "read")

    def test_drill(self):
        self.run_json(self.file)
        self.bake("verify", self.file, "--level", "restore")
        self.assertEqual(os.listdir(self.env["TMPDIR"]), [])

    def test_ways_back(self):
        self.run_json(self.file)
        count = "select count(*) from orders"
        self.addCleanup(self.server.sql, "drop database if exists shop2")
        self.bake("restore", self.file, "--component", "databases/shop.sql", "--as-database", "shop2")
        self.assertEqual(self.server.value(count, "shop2"), "3000")
        self.server.sql("drop table orders; delete from other", "shop")
        self.bake("restore", self.file, "--component", "databases/shop.sql", "--path", "orders")
        self.assertEqual(self.server.value(count, "shop"), "3000")
        self.assertEqual(self.server.value("select count(*) from other", "shop"), "0")


if __name__ == "__main__":
    server.main()
