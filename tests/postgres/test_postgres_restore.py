#!/usr/bin/env python3
"""The way back of dumps into real servers: the same comes back, or what was there stays."""
import json
import os
import random
import re
import signal
import subprocess
import time

import server
from server import OWNER, tool

ODD = ['"; drop table x; --', "a=b", "postgres://nobody@nowhere/x", "it's", "new\nline", "with space",
       "ключ", "back\\slash", "%L and %I", "x" * 63, "x" * 62 + "y", "ж" * 31]


class Back(server.PostgresBench):
    """What the tests of both files share."""

    def plain(self, db, at=None):
        """A dump by the tool itself, without what differs from one to the next."""
        at = at or self.server
        done = subprocess.run([tool("pg_dump"), "--create", "-d", at.dbname(db)], env=at.env(),
                              capture_output=True, check=True)
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", done.stdout)

    def edit(self, pipeline, **options):
        with open(pipeline, encoding="utf-8") as f:
            body = json.load(f)
        body["sources"][0].update(options)
        with open(pipeline, "w", encoding="utf-8") as f:
            json.dump(body, f)

    def names(self, at=None):
        return set(json.loads((at or self.server).sql("select json_agg(datname) from pg_database")))

    def ours(self, at=None):
        """What a restore leaves if it leaves anything."""
        return [n for n in self.names(at) if "_bakengine_" in n]

    def run_all(self, *names, **options):
        p = self.pg_pipeline(databases=list(names), **options)
        self.run_json(p)
        return p

    def drop(self, *names, at=None):
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            (at or self.server).sql(f"drop database if exists {quoted} with (force)")


class Restores(Back):

    conf = ("max_prepared_transactions = 3",)

    # ---- the same comes back --------------------------------------------------------------------

    def test_hard_things_come_back(self):
        self.database("hard")
        self.server.script("hard.sql", "hard")
        wanted = self.plain("hard")
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.pg_pipeline(name=format, databases=["hard"], globals=False)
                self.edit(p, format=format)
                self.run_json(p)
                self.server.sql("drop table kinds cascade; drop table hen cascade;"
                                "select lo_unlink(4711)", "hard")
                self.bake("restore", p, "--force")
                self.assertEqual(self.plain("hard"), wanted)
                self.drop("hard")
                self.bake("restore", p)
                self.assertEqual(self.plain("hard"), wanted)
                self.assertEqual(self.ours(), [])

    def test_into_another_server(self):
        """Roles first, with their passwords; owners, rights, settings and all else of databases."""
        self.server.sql("create role shopkeeper login password 'geheim'; create role guest;"
                        "create role \"odd \"\" role\"; grant guest to shopkeeper;"
                        "alter role guest set work_mem = '3MB'; comment on role guest is 'a guest'")
        self.addCleanup(self.server.sql,
                        'drop role shopkeeper; drop role guest; drop role "odd "" role"')
        self.database("shop", owner="shopkeeper", TEMPLATE="template0", ENCODING="'LATIN1'",
                      LC_COLLATE="'C'", LC_CTYPE="'C'", CONNECTION="limit 17")
        self.server.sql("alter database shop set search_path = \"$user\", public, \"a, b\";"
                        "alter database shop set work_mem = '5MB';"
                        "alter database shop set default_transaction_read_only = on;"
                        "alter database shop set my.own = 'it''s';"
                        "alter role guest in database shop set search_path = a, b;"
                        "comment on database shop is 'it''s a shop';"
                        "revoke all on database shop from public;"
                        "grant create on database shop to guest;"
                        "grant connect on database shop to \"odd \"\" role\" with grant option;"
                        "set role \"odd \"\" role\"; grant connect on database shop to guest")
        self.server.sql("set default_transaction_read_only = off; create table t as select 1 as x;"
                        "create table \"té\" as select 'é' as y; grant select on t to guest;"
                        "alter table t owner to shopkeeper", "shop")
        self.database("pattern", "create table p as select 7 as seven")
        self.server.sql("alter database pattern is_template true")
        self.addCleanup(self.server.sql, "alter database pattern is_template false")
        p = self.run_all("shop", "pattern")
        there = self.another()
        there.start()
        self.bake("restore", p, "--set", f"db.port={there.port}", "--set", f"db.host={there.folder}",
                  "--set", f"db.password_file={there.password_file()}")
        for name in ("shop", "pattern"):
            self.assertEqual(self.plain(name, there), self.plain(name))
        roles = ("select json_agg(row(a.rolname, a.rolpassword, r.rolconfig, a.rolcanlogin,"
                 " shobj_description(a.oid, 'pg_authid')) order by a.rolname)"
                 " from pg_authid a join pg_roles r using (oid) where a.oid > 16383")
        self.assertEqual(there.sql(roles), self.server.sql(roles))
        self.assertEqual(there.sql("select current_user", "shop", user="shopkeeper",
                                   password="geheim"), "shopkeeper")
        self.assertEqual(self.ours(there), [])
        self.assertIn("is there and not empty", self.bake(
            "restore", p, "--set", f"db.port={there.port}", "--set", f"db.host={there.folder}",
            "--set", f"db.password_file={there.password_file()}", code=1).text)

    def test_names(self):
        for i, name in enumerate(ODD):
            self.database(name, f"create table t as select {i} as which")
        p = self.run_all(*ODD, more={"parallel": 3})
        self.drop(*ODD[::2])
        self.bake("restore", p, "--force")
        for i, name in enumerate(ODD):
            self.assertEqual(self.server.sql("select which from t", name), str(i), name)
        self.assertEqual(self.ours(), [])

    def test_the_databases_that_are_always_there(self):
        other = self.another()
        other.start()
        for name in ("postgres", "template1"):
            other.sql("create table t as select current_database() as name", name)
        wanted = [self.plain(n, other) for n in ("postgres", "template1")]
        p = self.pg_pipeline(server=other, databases=["postgres", "template1"])
        self.run_json(p)
        for name in ("postgres", "template1"):
            other.sql("drop table t", name)
        self.bake("restore", p)  # they are empty
        self.assertEqual([self.plain(n, other) for n in ("postgres", "template1")], wanted)
        self.bake("restore", p, code=1)
        self.bake("restore", p, "--force")
        self.assertEqual([self.plain(n, other) for n in ("postgres", "template1")], wanted)
        self.assertEqual(self.names(other), {"postgres", "template0", "template1"})

    def test_under_another_name(self):
        self.database("first", "create table t as select 1 as x")
        self.database("second", "create table t as select 2 as x")
        p = self.run_all("first", "second")
        self.addCleanup(self.drop, "the copy")
        said = self.bake("restore", p, "--as-database", "the copy", code=1).text
        self.assertIn("one database goes to another name", said)
        self.bake("restore", p, "--component", "db/second.sql", "--as-database", "the copy")
        self.assertEqual(self.server.sql("select x from t", "the copy"), "2")
        said = self.bake("restore", p, "--component", "db/second.sql", "--as-database", "first",
                         code=1).text
        self.assertIn("database 'first' is there and not empty", said)
        self.assertEqual(self.server.sql("select x from t", "first"), "1")
        for bad, words in [("x" * 64, "is no name for a database"), ("template0", "template0")]:
            self.assertIn(words, self.bake("restore", p, "--component", "db/second.sql",
                                           "--as-database", bad, code=1).text)

    def test_a_user_who_may_create_databases(self):
        self.server.sql("create role maker login createdb password 'm'")
        self.addCleanup(self.server.sql, "drop role maker")
        self.database("his", "create table t as select 1 as x; alter table t owner to maker",
                      owner="maker")
        self.server.sql("revoke create on schema public from maker", "his")
        secret = self.write("m", b"m\n", 0o600)
        p = self.pg_pipeline(databases=["his"], globals=False, user="maker", password_file=secret)
        self.run_json(p)
        self.server.sql("delete from t", "his")
        self.bake("restore", p, "--force")
        self.assertEqual(self.server.sql("select count(*) from t", "his"), "1")
        self.server.sql("alter role maker nocreatedb")
        self.assertIn("may not create databases", self.bake("restore", p, "--force", code=1).text)

    # ---- what is there is not lost ----------------------------------------------------------------

    def test_not_empty(self):
        self.database("full", "create table t as select 1 as x")
        p = self.run_all("full", globals=False)
        self.server.sql("update t set x = 2", "full")
        said = self.bake("restore", p, code=1).text
        self.assertIn("database 'full' is there and not empty", said)
        self.assertIn("--force", said)
        said = self.bake("restore", p, "--dry-run", code=3).text
        self.assertIn("database 'full' is there and not empty", said)
        self.bake("restore", p, "--dry-run", "--force")
        self.assertEqual(self.server.sql("select x from t", "full"), "2")
        self.server.sql("drop table t", "full")
        with self.server.session("full") as busy:  # a session does not hold up a restore
            busy.do("select 1")
            self.bake("restore", p)
        self.assertEqual(self.server.sql("select x from t", "full"), "1")
        for thing in ("create schema s", "create type e as enum ('a')", "select lo_create(7)",
                      "create function f() returns int language sql as 'select 1'",
                      "create extension hstore", "create sequence s"):
            self.server.sql('drop database "full" with (force);\ncreate database "full"')
            self.server.sql(thing, "full")
            self.assertIn("not empty", self.bake("restore", p, code=1).text, thing)

    def test_a_statement_that_fails(self):
        self.server.sql("create role gone")
        self.database("app", "create table good as select 1 as x; create table zzz (y int);"
                             "alter table zzz owner to gone")
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.pg_pipeline(name="bad" + format, databases=["app"], globals=False)
                self.edit(p, format=format)
                self.run_json(p)
        self.server.sql("alter table zzz owner to postgres; update good set x = 2", "app")
        self.server.sql("drop role gone")
        for format in ("plain", "custom"):
            said = self.bake("restore", self.path(f"bad{format}.yaml"), "--force", code=1).text
            self.assertIn('role "gone" does not exist', said)
            self.assertIn("ALTER TABLE public.zzz OWNER TO gone", said)
            self.assertEqual(self.server.sql("select x from good", "app"), "2")
            self.assertEqual(self.ours(), [])

    def test_an_owner_who_is_not_there(self):
        self.server.sql("create role gone")
        self.database("app", "create table t ()", owner="gone")
        p = self.run_all("app")
        self.drop("app")
        self.server.sql("drop role gone")
        said = self.bake("restore", p, "--component", "db/app.sql", code=1).text
        self.assertIn("there is no role 'gone'", said)
        self.assertIn("globals.sql", said)
        self.bake("restore", p)
        self.addCleanup(self.server.sql, "drop role gone")
        self.assertIn("gone", self.server.sql(
            "select pg_get_userbyid(datdba) from pg_database where datname = 'app'"))
        self.addCleanup(self.drop, "app")

    def fake_bin(self, name, script):
        """A directory of tools, one of which is ours. %s in it: the real one."""
        where = self.path("bin-" + name)
        os.makedirs(where, exist_ok=True)
        for file in os.listdir(server.BIN):
            if file != name:
                os.symlink(tool(file), os.path.join(where, file))
        self.write(os.path.join(where, name), ("#!/bin/sh\n" + script.replace("%s", tool(name))).encode(),
                   0o755)
        return where

    def test_rows_that_are_lost_on_the_way(self):
        self.database("app", "create table t as select g as x from generate_series(1, 1000) g")
        p = self.run_all("app", globals=False)
        for script in ('case "$*" in *--version*) exec %s "$@";; esac; sed /^500$/d | %s "$@"',
                       'case "$*" in *--version*) exec %s "$@";; esac; head -c 2500 | %s "$@"; cat > /dev/null'):
            self.edit(p, bin=self.fake_bin("psql", script))
            said = self.bake("restore", p, "--force", code=1).text
            self.assertTrue("rows, and 1000 were recorded" in said or "of 'app'" in said, said)
            self.assertEqual(self.server.sql("select count(*) from t", "app"), "1000")
            self.assertEqual(self.ours(), [])
            subprocess.run(["rm", "-rf", self.path("bin-psql")], check=True)

    def test_roles_go_again_when_a_restore_fails(self):
        self.server.sql("create role fresh_one; create role stays")
        self.database("app", "create table t as select 1 as x")
        p = self.run_all("app")
        self.server.sql("drop role fresh_one; alter role stays set work_mem = '9MB'")
        self.addCleanup(self.server.sql, "drop role if exists fresh_one; drop role stays")
        self.edit(p, bin=self.fake_bin("psql", 'case "$*" in *--version*) exec %s "$@";; esac; '
                                               'cat > /dev/null; echo "psql: error: no" >&2; exit 3'))
        self.bake("restore", p, "--force", code=1)
        count = "select count(*) from pg_roles where rolname = 'fresh_one'"
        self.assertEqual(self.server.sql(count), "0")
        self.edit(p, bin=server.BIN)
        self.bake("restore", p, "--force")
        self.assertEqual(self.server.sql(count), "1")
        config = "select rolconfig from pg_roles where rolname = 'stays'"
        self.assertEqual(self.server.sql(config), "{work_mem=9MB}")  # as it is no part of the dump
        self.server.sql("alter role stays password 'other'")
        before = self.server.sql("select rolpassword from pg_authid where rolname = 'stays'")
        self.bake("restore", p, "--component", "db/globals.sql")
        self.assertEqual(self.server.sql(
            "select rolpassword from pg_authid where rolname = 'stays'"), before)

    def test_disk_full(self):
        where = os.path.join(self.server.folder, "small")
        self.mount(where, "-t", "tmpfs", "-o", "size=22m,mode=0700", "tmpfs")
        self.server.give(where)
        self.server.sql(f"create tablespace small location '{where}'")
        self.database("tight", "create table t as select g as x, repeat('x', 400) as y"
                               " from generate_series(1, 14000) g", TABLESPACE="small")
        self.addCleanup(self.server.sql, "drop database if exists tight; drop tablespace small")
        self.server.sql("checkpoint")  # files are made with holes: now they are on the disk
        p = self.run_all("tight", globals=False)
        said = self.bake("restore", p, "--force", code=1).text
        self.assertTrue("No space left on device" in said or "server's disk" in said, said)
        self.assertEqual(self.server.sql("select count(*) from t", "tight"), "14000")
        self.assertEqual(self.ours(), [])
        self.drop("tight")
        self.bake("restore", p)
        self.assertEqual(self.server.sql("select count(*) from t", "tight"), "14000")

    def test_what_cannot_be_replaced(self):
        self.database("held", "create table t (x int); begin; insert into t values (1);"
                              "prepare transaction 'mine'")
        p = self.run_all("held", globals=False)
        said = self.bake("restore", p, "--force", code=1).text
        self.assertIn("prepared transactions", said)
        self.server.sql("rollback prepared 'mine'", "held")
        self.bake("restore", p, "--force")
        self.server.sql("create subscription sub connection 'host=/nowhere' publication p"
                        " with (connect = false)", "held")
        self.assertIn("subscriptions", self.bake("restore", p, "--force", code=1).text)
        self.server.sql("alter subscription sub set (slot_name = none); drop subscription sub", "held")

    def test_a_standby_is_refused(self):
        self.database("app", "create table t ()")
        p = self.run_all("app", globals=False)
        twin = self.another(conf=self.conf)
        subprocess.run(["rm", "-rf", twin.data], check=True)
        self.server.backup(twin.data, "-R", "-X", "stream")
        twin.start()
        said = self.bake("restore", p, "--force", "--set", f"db.port={twin.port}", "--set",
                         f"db.host={twin.folder}", code=1).text
        self.assertIn("the server is a standby", said)

    def test_clients_that_will_not_go(self):
        """Sessions of the old database end, and come back to the new one."""
        self.database("busy", "create table t as select 1 as x")
        p = self.run_all("busy", globals=False)
        self.server.sql("update t set x = 2", "busy")
        again = subprocess.Popen(
            ["sh", "-c", f"while :; do {tool('psql')} -XAtq -d busy -c 'select x from t;"
                         " select pg_sleep(0.1)' >/dev/null 2>&1; done"],
            env=self.server.env(), start_new_session=True)
        try:
            with self.server.session("busy") as idle:
                idle.do("begin; select * from t")
                self.bake("restore", p, "--force")
        finally:
            os.killpg(again.pid, signal.SIGTERM)
            again.wait()
        self.assertEqual(self.server.sql("select x from t", "busy"), "1")
        self.assertEqual(self.server.sql(
            "select datallowconn from pg_database where datname = 'busy'"), "t")
        self.assertEqual(self.ours(), [])

    # ---- single tables ----------------------------------------------------------------------------

    def test_a_table(self):
        self.database("app", """
            create schema other; create table other.one as select 1 as x;
            create table one (id serial primary key, x int); insert into one (x) values (5), (6);
            create table two as select 2 as x; create table "a.b" as select 3 as x;
            create table big as select g as x from generate_series(1, 3000) g;
            create index on big (x)""")
        wanted = self.plain("app")
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.pg_pipeline(name="part" + format, databases=["app"])
                self.edit(p, format=format)
                self.run_json(p)
                c = f"db/app.{'sql' if format == 'plain' else 'dump'}"

                def table(*globs, code=0, more=(), p=p, c=c):
                    paths = [a for g in globs for a in ("--path", g)]
                    return self.bake("restore", p, "--component", c, *paths, *more, code=code).text

                self.assertIn("is there already", table("public.big", code=1))
                self.server.sql("drop table big", "app")
                table("big")
                self.assertEqual(self.plain("app"), wanted)
                self.server.sql("delete from one; drop table other.one", "app")
                self.assertIn("is there already", table("one", code=1))
                table("one", more=["--force"])
                self.assertEqual(self.plain("app"), wanted)
                self.server.sql('drop table "a.b"; drop table two', "app")
                table('*"a.b"', "public.t*")
                self.assertEqual(self.plain("app"), wanted)
                self.server.sql("update two set x = 9; create view v as select * from two", "app")
                said = table("two", code=1, more=["--force"])
                self.assertIn("cannot drop table", said)
                self.assertEqual(self.server.sql("select x from v", "app"), "9")
                self.server.sql("drop view v; update two set x = 2", "app")
                self.assertIn("holds no table 'none'", table("none", code=1))
                self.database("elsewhere")
                table("two", more=["--as-database", "elsewhere"])
                self.assertEqual(self.server.sql("select x from two", "elsewhere"), "2")
                self.assertIn("there is no database 'nowhere'",
                              table("two", code=1, more=["--as-database", "nowhere"]))
                self.assertEqual(self.ours(), [])
                self.assertEqual(self.plain("app"), wanted)

    # ---- ends in the middle -----------------------------------------------------------------------

    def state(self):
        """Which of both is there; None: neither."""
        seen = [self.server.sql("select distinct x from t; select count(*) from t", n, check=False)
                for n in ("kill_a", "kill_b")]
        self.assertNotIn(None, seen, self.server.log())
        self.assertEqual([s.split("\n")[1:] for s in seen], [["4000"], ["4000"]])
        return [s.split("\n")[0] for s in seen]

    def test_killed_at_any_moment(self):
        times = 30 if server.bake.LONG else 4
        self.server.sql("create role killed")
        for n in ("kill_a", "kill_b"):
            self.database(n, "create table t as select 1 as x, repeat('y', 100) as y"
                             " from generate_series(1, 4000)", owner="killed")
        self.addCleanup(self.server.sql, "drop role if exists killed")
        self.addCleanup(self.drop, "kill_a", "kill_b")
        p = self.run_all("kill_a", "kill_b")
        began = time.monotonic()
        self.bake("restore", p, "--force")
        whole = time.monotonic() - began
        rng = random.Random(5)
        outcomes = set()
        i = 0
        while i < times or (("2", "2") not in outcomes and i < times + 10):
            for n in ("kill_a", "kill_b"):
                self.server.sql("update t set x = 2", n)
            running = self.start("restore", p, "--force")
            # half of them near the end, when names change
            try:
                running.wait(whole * (rng.random() if i % 2 else 0.7 + 0.35 * rng.random()))
                whole *= 0.8  # the machine has got faster
            except subprocess.TimeoutExpired:
                os.kill(running.pid, signal.SIGKILL)
            i += 1
            self.finish(running, 60)
            self.bake("doctor", "--redeem", code=None)
            end = time.monotonic() + 30
            while self.ours() and time.monotonic() < end:
                time.sleep(0.1)
            self.assertEqual(self.ours(), [])
            seen = self.state()
            self.assertIn(seen, (["1", "1"], ["2", "2"]))  # both or none
            outcomes.add(tuple(seen))
            self.assertEqual(self.server.sql("select bool_and(datallowconn) from pg_database"
                                             " where datname like 'kill_%'; select count(*) from pg_stat_activity"
                                             " where application_name like 'bakengine %'"), "t\n0")
        self.assertIn(("2", "2"), outcomes)
        self.bake("restore", p, "--force")
        self.assertEqual(self.state(), ["1", "1"])

    def test_cancelled(self):
        self.database("long", "create table t as select g as x from generate_series(1, 200) g")
        p = self.run_all("long", globals=False)
        self.edit(p, bin=self.fake_bin("psql", 'case "$*" in *--version*) exec %s "$@";; esac; '
                                               'sleep 60'))
        running = self.start("restore", p, "--force")
        end = time.monotonic() + 20
        while not self.ours() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertNotEqual(self.ours(), [])
        os.kill(running.pid, signal.SIGTERM)
        self.finish(running)
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.server.sql("select count(*) from t", "long"), "200")

    def test_what_no_obligation_names(self):
        """State that is lost: what carries our comment, made here by a process that is no more, goes."""
        self.database("app", "create table t as select 1 as x")
        p = self.run_all("app", globals=False)
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            boot = f.read().strip()
        host, gone = os.uname().nodename, subprocess.Popen(["true"])
        gone.wait()
        marks = {"a_bakengine_000001": (f"bakengine restore {host} {boot} {gone.pid}", False),
                 "b_bakengine_old_000002": (f"bakengine replaced {host} another-boot 1", False),
                 "c_bakengine_000003": (f"bakengine restore {host} {boot} {os.getpid()}", True),
                 "d_bakengine_000004": (f"bakengine restore elsewhere {boot} {gone.pid}", True),
                 "e_bakengine_000005": ("mine", True),
                 "f": (f"bakengine restore {host} {boot} {gone.pid}", True)}
        for name, (comment, _) in marks.items():
            self.database(name)
            self.server.sql(f"comment on database {name} is '{comment}'")
        self.bake("restore", p, "--force")
        left = self.names()
        for name, (_, stays) in marks.items():
            self.assertEqual(name in left, stays, name)

    def test_the_password_is_for_nobody_to_see(self):
        self.database("held", "create table t as select 1 as x")
        p = self.run_all("held")
        self.edit(p, bin=self.fake_bin("psql", 'case "$*" in *--version*) exec %s "$@";; esac; '
                                               'tr "\\0" "\\n" < /proc/$$/environ > ' + self.path("seen")
                                               + '; echo "$*" >> ' + self.path("seen") + '; exec %s "$@"'))
        self.bake("restore", p, "--force")
        with open(self.path("seen"), "rb") as f:
            seen = f.read()
        self.assertIn(b"PGPASSFILE=/proc/self/fd/", seen)
        self.assertNotIn(self.server.password.encode(), seen)


if __name__ == "__main__":
    server.main()
