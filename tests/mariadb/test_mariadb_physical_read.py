#!/usr/bin/python3
"""The whole server as a stream of mariadb-backup: it is whole, says where it stands, and fails when the
tool does."""
import os
import shutil
import subprocess

import server  # first: it knows where the others are


class Physical(server.MariaBench):

    def setUp(self):
        super().setUp()
        self.database("shop", "create table t (i int primary key, v varchar(99)) engine=innodb;"
                              "insert into t select seq, md5(seq) from seq_1_to_2000;"
                              "create table m (i int) engine=myisam; insert into m values (1)")

    def physical(self, **options):
        return self.maria(mode="physical", scratch=self.path("tmp"), **options)

    def nothing_is_left(self):
        self.assertEqual(os.listdir(self.path("tmp")), [])

    def test_read(self):
        for user in ["root", "backup"]:
            pipeline = self.physical(user=user, name=user, sinks=[self.path(user)])
            result = self.run_json(pipeline)
            self.assert_says(result)
            self.assertEqual([c["name"] for c in result.of("component")], ["db/base.xb"])
            facts = self.facts(pipeline, "db/base.xb")
            self.assertEqual(facts["format"], "xbstream")
            self.assertEqual(facts["server_version"], self.server.value("select version()"))
            self.assertGreater(facts["files"], 50)
            self.assertGreater(int(facts["lsn"]), 0)
            self.assertEqual(facts["wal"]["from"], facts["binlog"]["file"])
            self.assertTrue(os.path.exists(os.path.join(self.server.data, facts["binlog"]["file"])))
            self.nothing_is_left()
            out = self.path("out." + user)
            os.mkdir(out)
            data = self.bake("cat", pipeline, "latest", "db/base.xb").out
            done = subprocess.run([server.tool("mbstream"), "-x", "-C", out], input=data, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            names = os.listdir(os.path.join(out, "shop"))
            self.assertIn("t.frm", names)
            self.assertTrue({"t.ibd", "t.new"} & set(names), names)  # new: younger than the last checkpoint
            n = sum(len(files) for _, _, files in os.walk(out))
            self.assertEqual(n, facts["files"])
            shutil.rmtree(out)

    def test_inspected(self):
        """verify --level read looks at the stream's structure and its checksums."""
        pipeline = self.physical(binlogs="false")
        self.run_json(pipeline)
        self.bake("verify", pipeline, "--level", "read")

    def wrapper(self, script):
        folder = self.path("bin")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "mariadb-backup")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nreal={server.tool('mariadb-backup')}\n"
                    f'case "$*" in *--version*) exec $real "$@";; esac\n{script}\n')
        os.chmod(path, 0o755)
        return folder

    def test_that_goes_wrong(self):
        for script, texts in [
                ('"$real" "$@" | head -c 300000', ["ended without 'completed OK!'"]),
                ('"$real" "$@" | head -c 300000; echo "completed OK!" >&2', ["middle of a piece"]),
                ("exit 0", ["ended without 'completed OK!'"]),
                ('"$real" "$@" 2>/dev/null', ["ended without 'completed OK!'"]),
                ("echo 'completed OK!' >&2", ["no list of checkpoints"]),
                ("echo garbage; sleep 1; echo 'completed OK!' >&2", ["xbstream"]),
                ('"$real" "$@"; echo "[00] FATAL ERROR: no" >&2; exit 1', ["FATAL ERROR: no"])]:
            with self.subTest(script):
                pipeline = self.physical(bin=self.wrapper(script), binlogs="false")
                result = self.run_json(pipeline, code=1)
                self.assert_says(result, *texts)
                self.assertEqual(self.backups(pipeline), [])
                self.nothing_is_left()

    def test_what_it_needs(self):
        self.server.sql("create or replace user poor@'%' identified by 'p'")
        self.addCleanup(self.server.sql, "drop user poor@'%'")
        result = self.run_json(self.physical(user="poor", password="p", binlogs="false"), code=1)
        self.assert_says(result, "mariadb-backup")
        self.nothing_is_left()
        result = self.run_json(self.physical(bin=self.path("none")), code=1)
        self.assert_says(result, "there is no 'mariadb-backup'", "install mariadb-backup")
        # a server that is elsewhere
        moved = self.server.data + ".moved"
        os.rename(self.server.data, moved)
        try:
            result = self.run_json(self.physical(binlogs="false"), code=1)
        finally:
            os.rename(moved, self.server.data)
        self.assert_says(result, "cannot be read here", "must run on the server's host")
        result = self.bake("validate", self.physical(databases=["shop"]), code=2)
        self.assert_says(result, "copies the whole server")


if __name__ == "__main__":
    server.tool("mariadb-backup")
    server.tool("mbstream")
    server.main()
