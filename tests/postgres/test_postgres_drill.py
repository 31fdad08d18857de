#!/usr/bin/env python3
"""Proofs of dumps: looking into them, and restoring them into servers that are thrown away."""
import json
import os
import signal
import subprocess
import time

import server
from server import tool
from test_postgres_restore import Back


class Proofs(Back):

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("drills"))
        os.chmod(self.path("drills"), 0o777)

    def dumps(self, *names, name="t", **options):
        p = self.pg_pipeline(name=name, databases=list(names), scratch=self.path("drills"), **options)
        self.run_json(p)
        return p

    def processes(self):
        """Of throw-away servers: they work in their data directory."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.path("drills")):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def assert_nothing_left(self, seconds=0):
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.processes() or os.listdir(self.path("drills"))):
            time.sleep(0.1)
        self.assertEqual(self.processes(), [])
        self.assertEqual(os.listdir(self.path("drills")), [])

    def drill(self, p, code=0):
        done = self.bake("verify", p, "--level", "restore", "--json", code=code)
        self.assert_nothing_left()
        return done

    # ---- looking ----------------------------------------------------------------------------------

    def test_read(self):
        self.database("hard")
        self.server.script("hard.sql", "hard")
        for format in ("plain", "custom"):
            p = self.dumps("hard", name=format, format=format)
            done = self.bake("verify", p, "--level", "read", "--json")
            self.assertNotIn("could not be inspected", done.text)
            with self.subTest(format + " without the server"):
                port = self.server.port
                self.edit(p, port=1)
                self.bake("verify", p, "--level", "read")
                self.edit(p, port=port)

    # ---- drills -----------------------------------------------------------------------------------

    def test_everything(self):
        self.server.sql("create role shopkeeper login password 'geheim'; create role guest;"
                        "grant guest to shopkeeper")
        self.addCleanup(self.server.sql, "drop role shopkeeper; drop role guest")
        self.server.tablespace("space")
        self.addCleanup(self.server.sql, "drop tablespace space")
        self.database("hard", owner="shopkeeper")
        self.server.script("hard.sql", "hard")
        self.database("shop", "create table t as select g as x from generate_series(1, 100) g;"
                              "alter table t owner to guest", TABLESPACE="space",
                      TEMPLATE="template0", ENCODING="'LATIN1'", LC_COLLATE="'C'", LC_CTYPE="'C'")
        self.server.sql("alter database shop set search_path = public; grant all on database shop to guest;"
                        "create table in_space (x int) tablespace space", "shop")
        inside = sorted(os.listdir(os.path.join(self.server.folder, "space")))
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.dumps("hard", "shop", "postgres", name=format, format=format, check=[
                    "shop: select count(*) = 100 from t", "postgres: select true",
                    "shop: select pg_get_userbyid(relowner) = 'guest' from pg_class where relname = 't'"])
                done = self.drill(p)
                drill = done.of("drill")[0]
                self.assertEqual(drill["result"], "ok", str(done))
                facts = drill["facts"]
                self.assertEqual([c["ok"] for c in facts["checks"]], [True] * 3)
                self.assertEqual(facts["databases"], 3)
                shown = json.loads(self.bake("show", p, "latest", "--json").out)["components"]
                self.assertEqual(facts["rows"], sum(c["facts"].get("rows", 0) for c in shown))
                self.assertEqual(facts["tables"], sum(len(c["facts"].get("tables", {})) for c in shown))
                self.assertTrue(facts["server"].startswith(server.BIN.split("/")[-2] + "."))
                self.assertIn('"ok"', json.dumps(json.loads(self.bake("list", p, "--json").out)))
                self.assertNotIn("warning", done.text)
        # what is in use has not been touched
        self.assertEqual(sorted(os.listdir(os.path.join(self.server.folder, "space"))), inside)

    def test_checks_that_fail(self):
        self.database("app", "create table t as select 1 as x")
        p = self.dumps("app", check=["app: select count(*) = 2 from t", "app: select 1/0",
                                     "nowhere: select true"])
        done = self.drill(p, code=4)
        self.assertIn("a check does not hold: 'app: select count(*) = 2 from t'", done.text)
        self.assertEqual(done.of("drill")[0]["result"], "failed")
        self.assertEqual([c["ok"] for c in done.of("drill")[0]["facts"]["checks"]], [False] * 3)
        self.assertIn("failed", json.dumps(json.loads(self.bake("list", p, "--json").out)))

    def test_without_roles(self):
        """A backup without the globals is proved as well: only roles are missing."""
        self.server.sql("create role shopkeeper; create role guest")
        self.addCleanup(self.server.sql, "drop role shopkeeper; drop role guest")
        self.database("app", "create table t as select 1 as x; alter table t owner to shopkeeper;"
                             "grant select on t to guest; create policy p on t to guest;"
                             "alter default privileges for role guest grant select on tables to public;"
                             "create table u as select 2 as x", owner="shopkeeper")
        self.addCleanup(self.server.sql, "drop owned by guest", "app")
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.dumps("app", name=format, format=format, globals=False)
                done = self.drill(p)
                self.assertEqual(done.of("drill")[0]["facts"]["rows"], 2)
                self.assertIn("name roles that are not there", done.text)

    def test_a_dump_that_does_not_restore(self):
        """What the server refuses: a type's name that its dump has only as a text."""
        self.database("app", "create table t as select 1 as x; create role lost;"
                             "create function f() returns int language sql as 'select 1'")
        self.addCleanup(self.server.sql, "drop role lost")
        real = self.path("bin")
        os.makedirs(real)
        for file in os.listdir(server.BIN):
            if file != "pg_dump":
                os.symlink(tool(file), os.path.join(real, file))
        self.write(os.path.join(real, "pg_dump"), (
            f'#!/bin/sh\ncase "$*" in *--version*) exec {tool("pg_dump")} "$@";; esac\n'
            f'{tool("pg_dump")} "$@" | sed "s/RETURNS integer/RETURNS nonsense/"\n').encode(), 0o755)
        for name, options in (("with", {}), ("less", {"globals": False})):
            p = self.dumps("app", name=name, bin=real, **options)
            done = self.drill(p, code=4)
            self.assertIn("nonsense", done.text)
            self.assertIn("CREATE FUNCTION public.f()", done.text)

    def test_no_server_to_be_had(self):
        self.database("app", "create table t ()")
        p = self.dumps("app")
        clients = self.path("clients")
        os.makedirs(clients)
        for name in ("psql", "pg_dump", "pg_restore", "pg_dumpall"):
            os.symlink(tool(name), os.path.join(clients, name))
        self.edit(p, bin=clients)
        said = self.drill(p, code=1).text
        self.assertIn("there is no 'postgres'", said)
        self.assertIn("install", said)

    def test_no_room(self):
        self.database("app", "create table t as select g as x, repeat('x', 300) from generate_series(1, 9000) g")
        self.mount(self.path("tight"), "-t", "tmpfs", "-o", "size=30m,mode=0777", "tmpfs")
        p = self.dumps("app")
        self.edit(p, scratch=self.path("tight"))
        said = self.bake("verify", p, "--level", "restore", code=1).text
        self.assertIn("tight", said)
        self.assertEqual(os.listdir(self.path("tight")), [])

    def test_preloaded_libraries(self):
        other = self.another(conf=("shared_preload_libraries = 'pg_stat_statements'",))
        other.start()
        other.sql("create database app")
        other.sql("create extension pg_stat_statements; create table t as select 1 as x", "app")
        p = self.dumps("app", server=other, check=["app: select count(*) >= 0 from pg_stat_statements"])
        self.assertEqual(self.drill(p).of("drill")[0]["result"], "ok")

    def test_killed(self):
        self.database("app", "create table t as select 1 as x")
        p = self.dumps("app", check=["app: select pg_sleep(60) is not null"])
        for wait in (0.3, 1.0, 2.0, None) if server.bake.LONG else (0.7, None):
            running = self.start("verify", p, "--level", "restore")
            end = time.monotonic() + 30
            while wait is None and time.monotonic() < end and not any(
                    "pg_sleep" in self.title(pid) or "SELECT" in self.title(pid) for pid in self.processes()):
                time.sleep(0.05)
            time.sleep(wait or 0)
            os.kill(running.pid, signal.SIGKILL)
            self.finish(running)
            self.assert_nothing_left(30)

    @staticmethod
    def title(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f.read().decode(errors="replace")
        except OSError:
            return ""

    def test_cancelled(self):
        self.database("app", "create table t as select 1 as x")
        p = self.dumps("app", check=["app: select pg_sleep(60) is not null"])
        running = self.start("verify", p, "--level", "restore")
        end = time.monotonic() + 30
        while time.monotonic() < end and not any("SELECT" in self.title(pid) for pid in self.processes()):
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGTERM)
        self.finish(running, timeout=30)
        self.assert_nothing_left()

    def test_not_as_root(self):
        """As a user of its own: the throw-away server is that user's."""
        if os.geteuid() != 0:
            self.skipTest("needs another user")
        self.database("app", "create table t as select 1 as x")
        p = self.dumps("app", check=["app: select count(*) = 1 from t"])
        subprocess.run(["chown", "-R", "nobody:nogroup", self.work, self.server.password_file()], check=True)
        try:
            self.bake("verify", p, "--level", "restore", user=65534, group=65534, extra_groups=[])
        finally:
            self.server.give(self.server.password_file())
        self.assert_nothing_left()


if __name__ == "__main__":
    server.main()
