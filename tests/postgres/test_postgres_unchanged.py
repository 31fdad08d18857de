#!/usr/bin/env python3
"""A database without writes is not dumped again; one with any write is."""
import json

import server


class Unchanged(server.PostgresBench):
    """Whether a database was dumped shows in what is new: every dump has a line of its own (the key of
    \\restrict), so that one that was made holds something new."""

    def setUp(self):
        super().setUp()
        self.database("app", """
            create table t (id serial primary key, x text);
            insert into t (x) select 'row ' || i from generate_series(1, 100) i;
            create table other as select 1 as y;
            create sequence loose;
            create materialized view mv as select count(*) as n from t;
            create unlogged table u (x int);
            select lo_from_bytea(7, 'seven')""")
        self.p = self.pg_pipeline(databases=["app"], globals=False)

    def dumped(self, pipeline=None):
        """Runs; was the database dumped?"""
        done = self.run_json(pipeline or self.p)
        components = done.of("component")
        self.assertEqual([c["status"] for c in components], ["ok"] * len(components), str(done))
        return [c["bytes_new"] > 0 for c in components if "app" in c["name"]] == [True]

    def facts(self):
        return json.loads(self.bake("show", self.p, "latest", "--json").out)["components"][0]["facts"]

    def settle(self):
        self.assertTrue(self.dumped())
        self.assertFalse(self.dumped())

    def test_what_is_known_of_it_stays_known(self):
        self.assertTrue(self.dumped())
        before = self.facts()
        self.assertEqual(before["tables"]["public.t"], 100)
        self.assertFalse(self.dumped())
        self.assertEqual(self.facts(), before)
        self.server.sql("select * from t; select count(*) from other; analyze", "app")  # is reading
        self.dumped()
        self.server.restart()
        self.addCleanup(self.server.sql, "select 1")
        self.dumped()
        self.assertFalse(self.dumped())
        self.assertEqual(self.bake("cat", self.p, "latest", "db/app.sql").out.count(b"row "), 100)

    def test_reading_is_no_write(self):
        self.settle()
        self.server.sql("select * from t; select currval(s) from (select 't_id_seq' as s) x where false;"
                        "begin; select * from other for share; rollback; explain analyze select * from t", "app")
        self.assertFalse(self.dumped())

    def test_every_kind_of_write(self):
        writes = [
            "insert into t (x) values ('new')",
            "update t set x = 'changed' where id = 3",
            "delete from t where id = 4",
            "truncate other",
            "copy other from program 'echo 5'",
            "create table made_new (z int)",
            "alter table other add column extra int default 5",
            "alter table other alter column extra set default 6",
            "comment on table t is 'words'",
            "drop table made_new",
            "create index on t (x)",
            "create view v as select 1 as one",
            "create function f() returns int language sql as 'select 1'",
            "create or replace function f() returns int language sql as 'select 2'",
            "grant select on t to public",
            "create schema s",
            "alter schema s rename to s2",
            "create extension pg_trgm",
            "select nextval('loose')",
            "select setval('loose', 1000, false)",
            "select setval('loose', 2000, false)",
            "select setval('loose', 2000, true)",
            "alter sequence loose increment 2",
            "refresh materialized view mv",
            "insert into u values (1)",
            "select lo_put(7, 2, 'x')",
            "select lo_create(8)",
            "select lo_unlink(8)",
            "vacuum full t",
            "merge into t using (select 1 as a) s on t.id = s.a when matched then update set x = 'merged'",
            "begin; insert into t (x) values ('two'); prepare transaction 'p'; commit prepared 'p'",
            "alter database app set work_mem = '4MB'",
            "create role helper; alter role helper in database app set work_mem = '5MB'",
            "alter role helper rename to helper2",
            "alter database app owner to helper2",
            "alter database app owner to postgres",
            "alter database app connection limit 50",
            "grant connect on database app to helper2",
            "comment on database app is 'an application'",
            "drop owned by helper2; alter role helper2 in database app reset all; drop role helper2",
            "alter table t enable row level security",
            "alter system set work_mem = '6MB'; alter table t replica identity full",
        ]
        self.settle()
        missed, again = [], []
        for sql in writes:
            self.server.sql(sql.replace("; alter", ";\nalter"), "app")
            if not self.dumped():
                missed.append(sql)
            if self.dumped():
                again.append(sql)
        self.assertEqual(missed, [])
        self.assertEqual(again, [])

    def test_a_write_while_it_is_dumped(self):
        """What is written between the plan and the dump, or after it, is in one of the two dumps."""
        self.settle()
        for i in range(3):
            run = self.start("run", self.p, "--json")
            with self.server.session("app") as s:
                for k in range(10):
                    s.do(f"insert into t (x) values ('while {i} {k}')")
            self.finish(run)
            self.dumped()
            text = self.bake("cat", self.p, "latest", "db/app.sql").out
            self.assertEqual(text.count(f"while {i} ".encode()), 10)

    def test_a_session_that_may_keep_counts_back(self):
        self.settle()
        with self.server.session("app") as s:
            s.do("select 1")
            self.assertTrue(self.dumped())  # it was not idle for long enough
            s.do("begin; insert into t (x) values ('open')")
            self.assertTrue(self.dumped())
            s.do("commit")
            self.assertTrue(self.dumped())
            self.assertIn(b"\topen\n", self.bake("cat", self.p, "latest", "db/app.sql").out)
        self.dumped()
        self.assertFalse(self.dumped())
        with self.server.session("postgres") as s:  # of another database
            s.do("select 1")
            self.assertFalse(self.dumped())

    def test_sessions_that_are_not_counted(self):
        self.settle()
        self.server.sql("alter role postgres in database app set track_counts = off")
        self.assertTrue(self.dumped())
        self.assertTrue(self.dumped())
        self.server.sql("insert into t (x) values ('uncounted')", "app")
        self.assertTrue(self.dumped())
        self.server.sql("alter role postgres in database app reset track_counts")
        self.dumped()
        self.assertFalse(self.dumped())
        self.server.sql("alter system set track_counts = off; select pg_reload_conf()")
        try:
            self.server.wait_for("select current_setting('track_counts') = 'off'")
            self.assertTrue(self.dumped())
            self.assertTrue(self.dumped())
        finally:
            self.server.sql("alter system reset track_counts; select pg_reload_conf()")

    def test_statistics_that_begin_anew(self):
        self.settle()
        self.server.sql("select pg_stat_reset()", "app")
        self.assertTrue(self.dumped())
        self.assertFalse(self.dumped())
        self.server.kill()  # a crash: counts are lost, and unlogged tables are emptied
        self.server.start()
        self.assertTrue(self.dumped())
        self.assertFalse(self.dumped())

    def test_the_same_counts_after_a_crash(self):
        """Counts that come to the same by chance are told apart."""
        self.server.kill()
        self.server.start()
        self.server.sql("insert into u values (1)", "app")
        self.settle()
        self.server.kill()
        self.server.start()
        self.server.sql("insert into u values (2)", "app")
        self.assertTrue(self.dumped())

    def test_another_database_of_the_same_name(self):
        self.settle()
        self.server.sql("drop database app")
        self.server.sql("create database app")
        self.assertTrue(self.dumped())

    def test_other_options_are_another_dump(self):
        self.settle()
        for options in [{"exclude_table_data": ["u"]}, {"exclude_tables": ["u"]}, {"schemas": ["public"]},
                        {"tables": ["t"]}]:
            p = self.pg_pipeline(databases=["app"], globals=False, **options)
            self.assertTrue(self.dumped(p), options)
            self.assertFalse(self.dumped(p), options)

    def test_custom_format(self):
        p = self.pg_pipeline(name="custom", databases=["app"], globals=False, format="custom")
        self.assertTrue(self.dumped(p))
        self.assertFalse(self.dumped(p))
        self.server.sql("delete from t", "app")
        self.assertTrue(self.dumped(p))

    def test_a_standby_counts_nothing(self):
        standby = self.another(conf=self.conf)
        copy = standby.data + ".copy"
        self.server.backup(copy, "-R")
        with open(copy + "/postgresql.auto.conf", encoding="utf-8") as f:
            self.assertIn("primary_conninfo", f.read())
        standby.data = copy
        standby.password = self.server.password
        standby.start()
        p = self.pg_pipeline(name="standby", server=standby, databases=["app"], globals=False)
        self.assertTrue(self.dumped(p))
        self.assertTrue(json.loads(self.bake("show", p, "latest", "--json").out)["components"][0]["facts"]["replica"])
        self.assertTrue(self.dumped(p))


Unchanged.conf = ["max_prepared_transactions = 5", "wal_level = replica"]

if __name__ == "__main__":
    server.main()
