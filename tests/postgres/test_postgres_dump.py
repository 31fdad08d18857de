#!/usr/bin/env python3
"""Dumps of a real server: what is in them, whose they are, and that they restore to the same."""
import glob
import json
import os
import re
import subprocess
import threading
import time

import server
from server import OWNER, tool

ODD = ['"; drop table x; --', "a=b", "postgres://nobody@nowhere/x", "it's", "new\nline", "with space",
       "ключ", "back\\slash", "dbname='postgres'", "globals", ".dot", "a/b", "100%", "$(id)", "-x"]
ROWS, ROUNDS = (20000, 5) if server.bake.LONG else (8000, 2)  # of a busy database; dumps of it


class Dumps(server.PostgresBench):

    # ---- tools of these tests -----------------------------------------------------------------

    def facts(self, pipeline, name):
        shown = json.loads(self.bake("show", pipeline, "latest", "--json").out)
        found = [c for c in shown["components"] if c["name"] == "db/" + name]
        self.assertEqual(len(found), 1, f"{name}: {[c['name'] for c in shown['components']]}")
        return found[0]["facts"]

    def names(self, result):
        return {e["name"].split("/", 1)[1]: e["status"] for e in result.of("component")}

    def content(self, pipeline, name):
        return self.bake("cat", pipeline, "latest", "db/" + name).out

    def plain(self, db):
        """A dump by the tool itself, without what differs from one to the next."""
        done = subprocess.run([tool("pg_dump"), "-d", self.server.dbname(db)], env=self.server.env(),
                              capture_output=True, check=True)
        return self.still(done.stdout)

    @staticmethod
    def still(dump):
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", dump)

    def counts(self, db):
        """Exact rows of every table that has some of its own."""
        rows = self.server.sql(
            "select format('%s.%s', case when nspname ~ '[.\"]' then quote_ident(nspname) else nspname end,"
            " case when relname ~ '[.\"]' then quote_ident(relname) else relname end) || chr(1) ||"
            " (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from only %I.%I',"
            " nspname, relname), false, true, '')))[1]::text || chr(2) from pg_class c"
            " join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname !~ '^pg_'"
            " and nspname <> 'information_schema'", db)
        pairs = [r.strip("\n").split("\x01") for r in rows.split("\x02") if r.strip("\n")]
        return {name: int(n) for name, n in pairs}

    # ---- which ones ---------------------------------------------------------------------------

    def test_all_databases_whatever_their_names(self):
        for i, name in enumerate(ODD):
            self.database(name, f"create table t as select {i} as which from generate_series(1, {i})")
        p = self.pg_pipeline()
        done = self.run_json(p)
        found = self.names(done)
        self.assertEqual(len(found), len(ODD) + 2, found)  # and globals, postgres
        self.assertEqual(set(found.values()), {"ok"})
        self.assertNotIn("template1.sql", found)
        shown = json.loads(self.bake("show", p, "latest", "--json").out)["components"]
        by_name = {c["facts"]["database"]: c for c in shown if "database" in c["facts"]}
        for i, name in enumerate(ODD):
            self.assertEqual(by_name[name]["facts"]["tables"], {"public.t": i}, name)
            safe = by_name[name]["name"].split("/", 1)[1]
            self.assertRegex(safe, r"^[A-Za-z0-9_%-][A-Za-z0-9_.%-]*\.sql$")
            self.assertEqual(self.still(self.content(p, safe)), self.plain(name), name)
        self.assertIn("%67lobals.sql", found)
        self.assertIn(b"CREATE ROLE", self.content(p, "globals.sql"))

    def test_globs(self):
        for name in ["app_one", "app_two", "app_old", "other"]:
            self.database(name)
        p = self.pg_pipeline(databases=["app_*", "postgres"], exclude_databases=["*_old"], globals=False)
        self.assertEqual(self.names(self.run_json(p)),
                         {"app_one.sql": "ok", "app_two.sql": "ok", "postgres.sql": "ok"})
        p = self.pg_pipeline(databases=["none_*", "other", "template1"])
        done = self.run_json(p)
        self.assertEqual(set(self.names(done)), {"globals.sql", "other.sql", "template1.sql"})
        self.assertIn("no database matches this glob", done.text)
        self.assertIn("none_*", done.text)

    def test_a_database_that_is_named_but_not_there(self):
        self.database("there")
        self.database("shut")
        self.server.sql("alter database shut allow_connections false")
        self.addCleanup(self.server.sql, "alter database shut allow_connections true")
        p = self.pg_pipeline(databases=["there", "nowhere", "shut"])
        done = self.run_json(p, code=3)
        self.assertEqual(self.names(done), {"globals.sql": "ok", "there.sql": "ok",
                                            "nowhere.sql": "failed", "shut.sql": "failed"})
        self.assertIn("there is no database 'nowhere', which 'databases' names", done.text)
        self.assertIn("database 'shut', which 'databases' names, allows no connections", done.text)

    # ---- what is in them ----------------------------------------------------------------------

    def test_hard_things_restore_to_the_same(self):
        self.database("hard")
        self.server.script("hard.sql", "hard")
        wanted = self.counts("hard")
        plain = self.plain("hard")
        large = self.server.sql("select count(*) from pg_largeobject_metadata", "hard")
        for format, ending in [("plain", "sql"), ("custom", "dump")]:
            with self.subTest(format):
                p = self.pg_pipeline(name=format, store="archive", databases=["hard"], globals=False,
                                     format=format)
                self.run_json(p)
                facts = self.facts(p, f"hard.{ending}")
                self.assertEqual(facts["tables"], wanted)
                self.assertEqual(facts["rows"], sum(wanted.values()))
                self.assertEqual(facts["large_objects"], int(large))
                self.assertEqual(facts["format"], format)
                data = self.content(p, f"hard.{ending}")
                self.database("again", TEMPLATE="template0")
                if format == "plain":
                    self.server.load(data, "again")
                else:
                    subprocess.run([tool("pg_restore"), "-d", "again", "--exit-on-error"], input=data,
                                   env=self.server.env(), check=True)
                self.assertEqual(self.plain("again"), plain)
                self.server.sql("drop database again")

    def test_facts_of_a_database(self):
        self.server.sql("create role shopkeeper; create role guest")
        self.addCleanup(self.server.sql, "drop role shopkeeper; drop role guest")
        self.database("shop", owner="shopkeeper", TEMPLATE="template0", ENCODING="'LATIN1'",
                      LC_COLLATE="'C'", LC_CTYPE="'C'", CONNECTION="limit 17")
        self.server.sql("alter database shop set work_mem = '5MB'; comment on database shop is 'a shop';"
                        "alter role guest in database shop set search_path = a, b;"
                        "grant create on database shop to guest")
        p = self.pg_pipeline(databases=["shop"])
        self.run_json(p)
        facts = self.facts(p, "shop.sql")
        for key, value in {"database": "shop", "owner": "shopkeeper", "encoding": "LATIN1", "collate": "C",
                           "ctype": "C", "connection_limit": 17, "comment": "a shop", "locale_provider": "c",
                           "is_template": False, "replica": False, "tablespace": "pg_default",
                           "rows": 0, "tables": {}, "large_objects": 0, "format": "plain"}.items():
            self.assertEqual(facts[key], value, key)
        self.assertEqual(facts["settings"], [
            {"role": None, "settings": ["work_mem=5MB"]},
            {"role": "guest", "settings": ["search_path=a, b"]}])
        self.assertIn("guest=C/shopkeeper", facts["acl"])
        self.assertEqual(facts["server_version_num"], int(self.server.sql("show server_version_num")))
        self.assertEqual(facts["system_identifier"], self.server.sql(
            "select system_identifier from pg_control_system()"))
        self.assertRegex(facts["client_version"], r"^\d+\.\d+$")

    def test_encodings(self):
        for name, encoding, text in [("latin", "LATIN1", "é"), ("raw", "SQL_ASCII", "é")]:
            self.database(name, TEMPLATE="template0", ENCODING=f"'{encoding}'", LC_COLLATE="'C'",
                          LC_CTYPE="'C'")
            self.server.sql(f'set client_encoding = utf8; create table "t{text}" (x text);'
                            f"insert into \"t{text}\" values ('{text}')", name)
        p = self.pg_pipeline(databases=["latin", "raw"])
        self.env["PGCLIENTENCODING"] = "WIN1252"  # is of no interest to a dump
        self.run_json(p)
        self.assertIn("SET client_encoding = 'LATIN1'".encode(), self.content(p, "latin.sql"))
        self.assertIn(b"t\xe9", self.content(p, "latin.sql"))
        self.assertEqual(self.facts(p, "latin.sql")["tables"], {"public.t\\xe9": 1})
        self.assertEqual(self.facts(p, "raw.sql")["tables"], {"public.té": 1})

    def test_filters(self):
        self.database("many", """
            create schema a; create schema b;
            create table a.one as select 1 as x; create table a.two as select 1 as x;
            create table b.one as select 1 as x; create table b."Odd Name" as select 1 as x""")
        for options, wanted in [
                ({"schemas": ["a"]}, {"a.one": 1, "a.two": 1}),
                ({"exclude_schemas": ["a"]}, {"b.one": 1, "b.Odd Name": 1}),
                ({"tables": ["*.one", 'b."Odd Name"']}, {"a.one": 1, "b.one": 1, "b.Odd Name": 1}),
                ({"exclude_tables": ["*.one"]}, {"a.two": 1, "b.Odd Name": 1}),
                ({"exclude_table_data": ["a.*"]}, {"b.one": 1, "b.Odd Name": 1})]:
            for format in ["plain", "custom"]:
                with self.subTest(options=options, format=format):
                    p = self.pg_pipeline(databases=["many"], globals=False, format=format, **options)
                    self.run_json(p)
                    self.assertEqual(self.facts(p, "many." + ("sql" if format == "plain" else "dump"))["tables"],
                                     wanted)
        p = self.pg_pipeline(databases=["many"], tables=["nothing.like"])
        self.assertIn("no matching tables", self.run_json(p, code=3).text)

    def test_no_tables_and_a_thousand(self):
        self.database("nothing")
        self.database("thousand", "do $$ begin for i in 1..1000 loop execute format("
                                  "'create table t%s as select %s as x', i, i); end loop; end $$")
        p = self.pg_pipeline(databases=["nothing", "thousand"])
        self.run_json(p)
        self.assertEqual(self.facts(p, "nothing.sql")["tables"], {})
        facts = self.facts(p, "thousand.sql")
        self.assertEqual(facts["tables"], {f"public.t{i}": 1 for i in range(1, 1001)})

    # ---- roles --------------------------------------------------------------------------------

    def test_globals(self):
        self.server.sql("create role \"odd \"\" role\" login password 'geheim' valid until '2031-01-01';"
                        "create role member; grant member to \"odd \"\" role\";"
                        "alter role member set work_mem = '7MB'")
        self.addCleanup(self.server.sql, 'drop role "odd "" role"; drop role member')
        self.server.tablespace("space")
        self.addCleanup(self.server.sql, "drop tablespace space")
        p = self.pg_pipeline(databases=["postgres"])
        self.run_json(p)
        text = self.content(p, "globals.sql").decode()
        for part in ['CREATE ROLE "odd "" role"', "SCRAM-SHA-256$", "GRANT member TO", "work_mem",
                     "CREATE TABLESPACE space"]:
            self.assertIn(part, text)
        self.assertIs(self.facts(p, "globals.sql")["role_passwords"], True)

    def test_a_user_of_its_own(self):
        """The role that the README proposes."""
        self.server.sql("create role keeper; create role bakengine login password 'b' bypassrls;"
                        "grant pg_read_all_data, pg_read_all_stats to bakengine")
        self.addCleanup(self.server.sql, "drop role keeper; drop role bakengine")
        self.database("app", "create table t as select 1 as x; create table secret (x int);"
                             "alter table secret enable row level security, force row level security;"
                             "alter table secret owner to keeper;"
                             "insert into secret values (1); create sequence s; create schema inner_;"
                             "create table inner_.u (); revoke all on schema inner_ from public")
        secret = self.write("b", b"b\n", 0o600)
        p = self.pg_pipeline(databases=["app"], user="bakengine", password_file=secret)
        self.bake("validate", p, "--probe")
        self.run_json(p)
        self.assertEqual(self.facts(p, "app.sql")["tables"],
                         {"public.t": 1, "public.secret": 1, "inner_.u": 0})
        self.assertIs(self.facts(p, "globals.sql")["role_passwords"], True)
        self.assertEqual(self.run_json(p).of("component")[0]["bytes_new"], 0)  # its fingerprint is known
        # some of the rows are no dump
        self.server.sql("alter role bakengine nobypassrls; insert into secret values (2)", "app")
        done = self.run_json(p, code=3)
        self.assertIn("row-level security", done.text)
        self.assertIn("give the user BYPASSRLS", done.text)
        # large objects are the one thing that pg_read_all_data does not open
        self.server.sql("alter role bakengine bypassrls; select lo_from_bytea(5, 'x')", "app")
        self.assertIn("permission denied for large object 5", self.run_json(p, code=3).text)
        self.server.sql("grant select on large object 5 to bakengine", "app")
        self.run_json(p)
        self.server.sql("revoke select on large object 5 from bakengine;"
                        "alter role bakengine set lo_compat_privileges = on", "app")
        self.run_json(p)

    def test_a_user_with_few_rights(self):
        self.server.sql("create role lowly login password 'b'")
        self.addCleanup(self.server.sql, "drop role lowly")
        self.database("app", "create table t as select 1 as x", owner="lowly")
        secret = self.write("b", b"b\n", 0o600)
        p = self.pg_pipeline(databases=["app"], user="lowly", password_file=secret)
        said = self.bake("validate", p, "--probe").text
        self.assertIn("does not have pg_read_all_data", said)
        done = self.run_json(p, code=3)
        self.assertIn("permission denied for table t", done.text)
        self.assertIn("grant the user pg_read_all_data", done.text)
        self.server.sql("alter table t owner to lowly", "app")
        self.run_json(p)
        self.assertIs(self.facts(p, "globals.sql")["role_passwords"], False)
        self.assertNotIn(b"SCRAM-SHA-256", self.content(p, "globals.sql"))

    # ---- logging in ---------------------------------------------------------------------------

    def test_pgpass_and_service_files(self):
        self.database("one", "create table t as select 1")
        escaped = self.server.password.replace("\\", "\\\\").replace(":", "\\:")
        self.write(".pgpass", f"127.0.0.1:{self.server.port}:*:postgres:{escaped}\n".encode(), 0o600)
        p = self.pg_pipeline(name="pgpass", tcp=True, databases=["one"])
        with open(p, encoding="utf-8") as f:
            body = json.load(f)
        del body["sources"][0]["password_file"]
        with open(p, "w", encoding="utf-8") as f:
            json.dump(body, f)
        self.assertEqual(set(self.names(self.run_json(p)).values()), {"ok"})
        os.chmod(self.path(".pgpass"), 0o644)  # libpq does not take it then
        self.assertIn("no password supplied", self.run_json(p, code=1).text)

        self.write(".pg_service.conf", f"[here]\nhost={self.server.folder}\nport={self.server.port}\n"
                                       "user=postgres\ndbname=template1\n".encode())
        source = {"plugin": "postgres", "service": "here", "databases": ["one"],
                  "password_file": self.server.password_file()}
        p = self.pipeline({"db": source}, name="service", store={"format": "archive"},
                          sinks=[self.path("service")])
        self.run_json(p)
        self.assertEqual(self.facts(p, "one.sql")["tables"], {"public.t": 1})  # not of template1

    @staticmethod
    def processes_about(*words):
        """Arguments and environment of the programs whose arguments name one of these."""
        for file in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(file, "rb") as f, open(file.replace("cmdline", "environ"), "rb") as g:
                    command, environment = f.read(), g.read()
            except OSError:
                continue
            if any(w in command for w in words) and command.split(b"\0")[0].endswith(
                    (b"pg_dump", b"bakengine")):
                yield command + environment

    def test_the_password_is_for_nobody_to_see(self):
        self.database("held", "create table t (x int)")
        p = self.pg_pipeline(databases=["held"], globals=False)
        with self.server.session("held") as session:
            session.do("begin; lock table t")
            run = self.start("run", p, "--json")
            end, seen = time.monotonic() + 30, b""
            while time.monotonic() < end and b"--dbname=" not in seen:
                seen = b"".join(self.processes_about(p.encode(), self.server.folder.encode()))
                time.sleep(0.02)
            self.assertTrue(b"--dbname=dbname='held'" in seen)
            self.assertTrue(b"PGPASSFILE=/proc/self/fd/" in seen)
            self.assertFalse(self.server.password.encode() in seen)
            session.do("commit")
        self.assertEqual(self.finish(run).code, 0)

    def test_several_at_once(self):
        for name in ["first", "second"]:
            self.database(name, "create table t as select 1")
        p = self.pg_pipeline(databases=["first", "second"], globals=False, more={"parallel": 2})
        with self.server.session("first") as a, self.server.session("second") as b:
            a.do("begin; lock table t")
            b.do("begin; lock table t")
            run = self.start("run", p, "--json")
            end = time.monotonic() + 30
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            while time.monotonic() < end and self.server.sql(waiting) != "2":
                time.sleep(0.05)
            self.assertEqual(self.server.sql(waiting), "2", self.server.sql(
                "select datname, state, wait_event_type, query from pg_stat_activity where datid > 0"))
            a.do("commit")
            b.do("commit")
        self.assertEqual(set(self.names(self.finish(run)).values()), {"ok"})

    # ---- load ---------------------------------------------------------------------------------

    def test_one_moment_of_a_busy_database(self):
        self.database("bank", f"""
            create table account (id int primary key, balance bigint, pad text);
            insert into account select i, 1000, repeat('x', 200) from generate_series(1, {ROWS}) i;
            create table transfer (id serial, "from" int, "to" int, amount int)""")
        p = self.pg_pipeline(databases=["bank"], globals=False)
        stop = threading.Event()
        moved = []

        def move(seed):
            n = 0
            with self.server.session("bank") as session:
                while not stop.is_set():
                    n += 1
                    x, y, amount = (seed * n * 7919) % ROWS + 1, (n * 104729) % ROWS + 1, n % 50
                    session.do(f"begin; update account set balance = balance - {amount} where id = {min(x, y)};"
                               f"update account set balance = balance + {amount} where id = {max(x, y)};"
                               f"insert into transfer (\"from\", \"to\", amount) values ({x}, {y}, {amount});"
                               "commit")
            moved.append(n)

        threads = [threading.Thread(target=move, args=(i,)) for i in (1, 2)]
        for t in threads:
            t.start()
        try:
            self.server.wait_for("select count(*) > 10 from transfer", "bank")
            for _ in range(ROUNDS):
                self.run_json(p)
                self.database("copy")
                self.server.load(self.content(p, "bank.sql"), "copy")
                self.assertEqual(self.server.sql("select sum(balance), count(*) from account", "copy"),
                                 f"{ROWS * 1000}|{ROWS}")
                tables = self.facts(p, "bank.sql")["tables"]
                self.assertEqual(tables["public.transfer"],
                                 int(self.server.sql("select count(*) from transfer", "copy")))
                # what the log of transfers says is what the balances say
                self.assertEqual("", self.server.sql("""
                    select id, balance from account a where balance <> 1000
                        + (select coalesce(sum(amount), 0) from transfer where greatest("from", "to") = a.id)
                        - (select coalesce(sum(amount), 0) from transfer where least("from", "to") = a.id)
                    and id in (select "from" from transfer union select "to" from transfer limit 400)""", "copy"))
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertGreater(sum(moved), 50)


if __name__ == "__main__":
    server.main()
