#!/usr/bin/python3
"""Moments between backups: binary logs applied to dumps and to copies; copies into data directories."""
import os
import shutil
import signal
import subprocess
import time

import server  # first: it knows where the others are
from server import quoted


class Moments(server.MariaBench):

    def now(self):
        return self.server.value("select date_format(utc_timestamp(), '%Y-%m-%dT%H:%i:%sZ')")

    def tick(self):
        """Into the next second: binary logs know no less."""
        self.server.sql("do sleep(1.01 - microsecond(now(6)) / 1000000)")

    def restore(self, pipeline, *args, code=0):
        return self.bake("restore", pipeline, "--json", *args, code=code)

    def nothing_left(self):
        self.assertEqual([d for d in self.server.databases() if "bakengine" in d], [])
        self.assertEqual(os.listdir(self.path("tmp")), [])

    def write_history(self, pipeline):
        """A backup, then rows 1, 2, ... with a moment behind each; what another run puts into the store."""
        self.database("shop", "create table t (i int primary key); insert into t values (0);"
                              "create table sums (n int); create procedure add_sum() insert into sums select sum(i) from t;"
                              "create trigger g after insert on t for each row insert into sums values (new.i);"
                              "create event e on schedule every 1 day do select 1")
        self.run_json(pipeline)
        moments = []
        for i in range(1, 4):
            self.server.sql(f"insert into t values ({i}); create table made_{i} (i int); call add_sum()", "shop")
            # as statements, from elsewhere, naming the database: nothing of this may reach the live one
            self.server.sql(f"set session binlog_format = statement; use shop; insert into shop.t values ({i * 10});"
                            f"alter table shop.made_{i} add column k int; flush binary logs")
            self.tick()
            moments.append(self.now())  # the next row is written in this second, and is not of it
        self.server.sql("drop table made_1; alter event e disable; delete from t where i < 2", "shop")
        self.tick()
        self.run_json(pipeline)
        return moments

    def expected(self, n):
        return {0} | {i for i in range(1, n + 1)} | {i * 10 for i in range(1, n + 1)}

    def rows(self, db, on=None, **login):
        return {int(line) for line in (on or self.server).sql("select i from t", db, **login).split("\n")}

    def test_dumps(self):
        pipeline = self.maria(databases=["shop"], users=False)
        moments = self.write_history(pipeline)
        self.addCleanup(self.server.sql, "drop database if exists shop_then")
        live = self.server.look("shop")
        for n, moment in enumerate(moments, 1):
            self.restore(pipeline, "--at", moment, "--as-database", "shop_then", "--force")
            self.assertEqual(self.rows("shop_then"), self.expected(n))
            tables = self.server.counts("shop_then")
            self.assertEqual({t for t in tables if t.startswith("made")}, {f"made_{i}" for i in range(1, n + 1)})
            self.assertIn("`k`", self.server.sql(f"show create table made_{n}", "shop_then"))
            self.assertEqual(self.server.value("select status from information_schema.events where event_schema = "
                                               "'shop_then'"), "ENABLED")
            self.assertEqual(self.server.look("shop"), live)  # replaying went nowhere else
        self.restore(pipeline, "--at", moments[0], "--force")
        self.assertEqual(self.rows("shop"), self.expected(1))
        self.nothing_left()

    def test_statements_from_elsewhere(self):
        """What names the database from another one is not applied, which is said; it reaches nothing in use."""
        pipeline = self.maria(databases=["shop"], users=False)
        self.database("other")
        self.database("shop", "create table t (i int primary key); insert into t values (0)")
        self.run_json(pipeline)
        self.server.sql("create table shop.u (i int)", "other")
        self.server.sql("insert into t values (1)", "shop")
        self.tick()
        moment = self.now()
        self.tick()
        self.run_json(pipeline)
        result = self.restore(pipeline, "--at", moment, "--force")
        self.assert_says(result, "1 statements that name it were run from another database")
        self.assertEqual(self.server.counts("shop"), {"t": 2})
        self.nothing_left()

    def test_single_table_of_a_moment(self):
        pipeline = self.maria(databases=["shop"], users=False)
        moments = self.write_history(pipeline)
        sums = self.server.counts("shop")["sums"]
        self.restore(pipeline, "--at", moments[1], "--path", "t", "--force")
        self.assertEqual(self.rows("shop"), self.expected(2))
        self.assertEqual(self.server.counts("shop")["sums"], sums)
        self.server.sql("insert into t values (77)", "shop")
        self.assertEqual(self.server.counts("shop")["sums"], sums + 1)
        self.nothing_left()

    def test_too_late_and_gaps(self):
        pipeline = self.maria(databases=["shop"], users=False)
        moments = self.write_history(pipeline)
        before = self.server.look("shop")
        for _ in range(3):
            self.tick()
        late = self.now()
        self.assert_says(self.restore(pipeline, "--at", late, "--force", code=(1, 2)), "in the store end at")
        self.assertEqual(self.server.look("shop"), before)
        logs = sorted(os.path.join(d, f) for d, _, files in os.walk(self.path("store")) for f in files if "binlog." in f)
        self.assertGreater(len(logs), 3)
        os.remove(logs[1])
        result = self.restore(pipeline, "--at", moments[2], "--force", code=(1, 2))
        self.assert_says(result, os.path.basename(logs[1])[:13], "is not in the store")
        self.assertEqual(self.server.look("shop"), before)
        self.nothing_left()

    # ---- copies -------------------------------------------------------------------------------

    def physical(self, **options):
        above = self.path("data")
        os.makedirs(above, exist_ok=True)
        server.give(above)
        target = os.path.join(above, "mysql")
        return self.maria(mode="physical", data_directory=target, **options), target

    def look_into(self, target, check):
        other = server.Server(data=target, binlog=False)
        try:
            other.start()
            check(other)
        finally:
            other.stop()
            other.remove()

    def test_copies(self):
        pipeline, target = self.physical()
        moments = self.write_history(pipeline)
        for n in [3, 1]:
            args = ["--force"] if os.path.exists(target) else []
            self.restore(pipeline, "--at", moments[n - 1], *args)

            def check(other):
                self.assertEqual(self.rows("shop", other), self.expected(n))
                self.assertEqual({t for t in other.counts("shop") if t.startswith("made")},
                                 {f"made_{i}" for i in range(1, n + 1)})
                self.assertEqual(other.value("select count(*) from mysql.user where user like 'bakengine%'"), "0")
            self.look_into(target, check)
        self.assertEqual(os.listdir(os.path.dirname(target)), ["mysql"])
        self.nothing_left()

    def test_copy_as_it_was(self):
        pipeline, target = self.physical()
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2)")
        self.run_json(pipeline)
        self.server.sql("insert into t values (3)", "shop")
        look = {**self.server.look("shop")}
        self.restore(pipeline, "latest")
        if os.geteuid() == 0:
            self.assertEqual({os.stat(os.path.join(d, f)).st_uid for d, _, files in os.walk(target) for f in files},
                             {os.stat(self.server.data).st_uid})
        self.assertEqual(os.stat(target).st_mode & 0o777, 0o700)
        self.assert_says(self.restore(pipeline, "latest", code=1), "is not empty", "--force")

        def check(other):
            self.assertEqual(self.rows("shop", other), {1, 2})
            self.assertEqual(set(other.look("shop")), set(look))
            # over a server that runs, never
            self.assert_says(self.restore(pipeline, "latest", "--force", code=1), "a server is running")
        self.look_into(target, check)
        self.restore(pipeline, "latest", "--force")
        for args, says in [(["--as-database", "x"], "neither a database nor a table"),
                           (["--path", "t"], "neither a database nor a table")]:
            self.assert_says(self.restore(pipeline, "latest", "--force", *args, code=(1, 2)), says)
        self.assertEqual(os.listdir(os.path.dirname(target)), ["mysql"])
        self.nothing_left()

    def test_copy_killed(self):
        """The old directory or the new one, whole, and nothing beside it."""
        pipeline, target = self.physical()
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2)")
        self.run_json(pipeline)
        os.mkdir(target)
        with open(os.path.join(target, "old"), "w", encoding="utf-8") as f:
            f.write("old")
        begun = time.monotonic()
        for i in range(4):
            p = self.start("restore", pipeline, "latest", "--force", "--json")
            if i == 0:
                self.finish(p, timeout=120)
                spent = time.monotonic() - begun
                shutil.rmtree(target)
                os.mkdir(target)
                self.write(os.path.join(target, "old"), b"old")
                continue
            time.sleep(spent * i / 4)
            p.send_signal(signal.SIGKILL)
            self.finish(p, timeout=60)
            self.bake("doctor", pipeline, "--redeem", code=None)
            self.assertEqual(os.listdir(os.path.dirname(target)), ["mysql"])
            inside = os.listdir(target)
            self.assertTrue(inside == ["old"] or ("ibdata1" in inside and "old" not in inside), inside)
        self.nothing_left()


def main():
    for name in ["mariadb-backup", "mbstream", "mariadb-binlog"]:
        server.tool(name)
    server.main()


if __name__ == "__main__":
    main()
