#!/usr/bin/env python3
"""What a review found: drills that must not be led away, restores that are broken off at the worst
moment, dumps that would run commands."""
import json
import os
import signal
import shutil
import subprocess
import sys
import time

import server
from server import tool


class Review(server.PostgresBench):

    def run_all(self, *names, **options):
        p = self.pg_pipeline(databases=list(names), **options)
        self.run_json(p)
        return p

    def edit(self, pipeline, **options):
        with open(pipeline, encoding="utf-8") as f:
            body = json.load(f)
        body["sources"][0].update(options)
        with open(pipeline, "w", encoding="utf-8") as f:
            json.dump(body, f)

    def names(self):
        return set(json.loads(self.server.sql("select json_agg(datname) from pg_database", "template1")))

    def test_a_drill_is_not_led_away(self):
        """libpq goes to PGHOSTADDR, whatever host it is given; a service may say the same."""
        self.database("led", "create table t as select 1 as x")
        p = self.run_all("led", scratch=self.work)
        self.server.sql("update t set x = 2", "led")
        oid = self.server.sql("select oid from pg_database where datname = 'led'")
        service = self.path("service.conf")
        with open(service, "w", encoding="utf-8") as f:
            f.write(f"[away]\nhostaddr=127.0.0.1\nport={self.server.port}\nuser=postgres\n")
        for env in ({"PGHOSTADDR": "127.0.0.1", "PGSSLMODE": "require",
                     "PGOPTIONS": "-c default_transaction_read_only=on"},
                    {"PGSERVICEFILE": service, "PGSERVICE": "away"}):
            with self.subTest(**env):
                self.bake("verify", p, "--level", "restore", env={**self.env, **env})
                self.assertEqual(self.server.sql("select x from t", "led"), "2")
                self.assertEqual(self.server.sql("select oid from pg_database where datname = 'led'"), oid)
        self.assertEqual([n for n in self.names() if "bakengine" in n], [])

    def test_killed_while_the_database_of_questions_is_closed(self):
        """The new one takes the place of `postgres`, which questions are asked in."""
        self.server.sql("create table closed as select 1 as x; comment on database postgres is 'mine'")
        self.addCleanup(self.server.sql, "drop table if exists closed")
        p = self.run_all("postgres", globals=False)
        self.server.sql("update closed set x = 2")
        with self.server.session("postgres") as idle:
            pid = int(self.server.sql("select pid from pg_stat_activity where state = 'idle' and"
                                      " datname = 'postgres' order by backend_start limit 1",
                                      "template1"))
            os.kill(pid, signal.SIGSTOP)  # it will not end, so the names cannot change
            try:
                running = self.start("restore", p, "--force")
                end = time.monotonic() + 15
                closed = "select datallowconn from pg_database where datname = 'postgres'"
                while self.server.sql(closed, "template1") == "t" and time.monotonic() < end:
                    time.sleep(0.05)
                self.assertEqual(self.server.sql(closed, "template1"), "f")
                os.kill(running.pid, signal.SIGKILL)
                self.finish(running, 60)
            finally:
                os.kill(pid, signal.SIGCONT)
            del idle
        self.bake("doctor", "--redeem", code=None)
        end = time.monotonic() + 15
        while self.server.sql(closed, "template1") == "f" and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.server.sql("select x from closed"), "2")
        self.assertEqual(self.server.sql("select shobj_description(oid, 'pg_database')"
                                         " from pg_database where datname = 'postgres'"), "mine")
        self.assertEqual([n for n in self.names() if "bakengine" in n], [])

    def test_a_command_in_a_dump(self):
        """What pg_dump never writes is not handed to psql, and does not pass for a dump."""
        self.database("cmd", "create table t as select 1 as x")
        folder, seen = self.path("bin"), self.path("seen")
        os.makedirs(folder)
        for name in ("pg_dumpall", "psql", "pg_restore", "pg_dump"):
            os.symlink(tool(name), os.path.join(folder, name))
        os.unlink(os.path.join(folder, "pg_dump"))
        with open(os.path.join(folder, "pg_dump"), "w", encoding="utf-8") as f:
            f.write(f"""#!/bin/sh
case "$*" in *--version*) exec {tool("pg_dump")} "$@";; esac
printf -- '-- Name: x\\n\\\\! touch {seen}\\n'
exec {tool("pg_dump")} "$@"
""")
        os.chmod(os.path.join(folder, "pg_dump"), 0o755)
        p = self.pg_pipeline(databases=["cmd"], globals=False, bin=folder)
        done = self.bake("run", p, code=None)
        self.assertNotEqual(done.code, 0)
        self.assertIn("command of psql", done.text)
        self.assertFalse(os.path.exists(seen))

    def test_a_comment_comes_back(self):
        self.database("keep", "create table t as select 1 as x")
        self.server.sql("comment on database keep is 'as it was'")
        p = self.run_all("keep", globals=False)
        self.bake("restore", p, "--force")
        self.assertEqual(self.server.sql("select shobj_description(oid, 'pg_database') from"
                                         " pg_database where datname = 'keep'"), "as it was")
        self.assertEqual([n for n in self.names() if "bakengine" in n], [])

    def test_a_subscription_is_a_write(self):
        """Its catalog is the whole server's, so that the database counts nothing."""
        self.database("subs", "create table t as select 1 as x;"
                      "create subscription bk connection 'dbname=a' publication p with (connect = false)")
        self.addCleanup(self.server.sql, "alter subscription bk set (slot_name = none); drop subscription bk",
                        "subs", check=False)
        p = self.pg_pipeline(databases=["subs"], globals=False)

        def dumped():
            return [c["bytes_new"] > 0 for c in self.run_json(p).of("component")] == [True]
        self.assertTrue(dumped())
        self.assertFalse(dumped())
        self.server.sql("alter subscription bk connection 'dbname=b'", "subs")
        self.assertTrue(dumped())
        self.assertFalse(dumped())

    def test_tables_that_belong_to_extensions(self):
        """In a mount namespace of its own: extensions stand in one directory of the system."""
        there = server.BIN.replace("/lib/", "/share/").replace("/bin", "/extension")
        if os.geteuid() != 0 or not os.path.isdir(there) or not shutil.which("unshare"):
            self.skipTest("no place for an extension of ours")
        ours = self.path("extension")
        shutil.copytree(there, ours)
        with open(os.path.join(ours, "bkreview.control"), "w", encoding="utf-8") as f:
            f.write("default_version = '1'\n")
        with open(os.path.join(ours, "bkreview--1.sql"), "w", encoding="utf-8") as f:
            f.write("create table bkconf as select g as x from generate_series(1, 3) g;"
                    "select pg_extension_config_dump('bkconf', 'where x >= 100');")
        subprocess.run(["chmod", "-R", "a+rX", ours], check=True)
        os.chmod(self.work, 0o755)
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', ours, there,
             sys.executable, "-B", os.path.abspath(__file__), server.bake.BUILD, "Extension.inside"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 1 test", done.stderr)

    def test_a_role_that_is_there_is_granted_nothing(self):
        """Rights on parameters are a role's, too: it stays as it is but for --force."""
        self.server.sql("create role granted; grant set on parameter log_min_duration_statement to granted")
        self.addCleanup(self.server.sql, "drop owned by granted; drop role granted")
        self.database("any")
        p = self.run_all("any")
        self.server.sql("revoke set on parameter log_min_duration_statement from granted")
        for force, wanted in ([], "f"), (["--force"], "t"):
            self.bake("restore", p, "--component", "db/globals.sql", *force)
            self.assertEqual(self.server.sql("select has_parameter_privilege('granted',"
                                             " 'log_min_duration_statement', 'SET')"), wanted)

    def test_a_colon_in_the_name_of_a_check(self):
        self.database("a:b", "create table t as select 1 as x")
        p = self.run_all("a:b", scratch=self.work, check=["a:b: select count(*) = 1 from t"])
        self.bake("verify", p, "--level", "restore")


class Extension(server.PostgresBench):

    def inside(self):
        """Its rows that the dump has, beside those that it brings itself."""
        self.database("ext", "create extension bkreview; insert into bkconf values (100)")
        p = self.pg_pipeline(databases=["ext"], globals=False)
        self.run_json(p)
        self.bake("restore", p, "--force")
        self.assertEqual(self.server.sql("select count(*) from bkconf where x >= 100", "ext"), "1")
        self.assertEqual(self.server.sql("select count(*) from bkconf", "ext"), "4")


if __name__ == "__main__":
    server.main()
