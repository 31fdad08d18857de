#!/usr/bin/python3
"""The way back of dumps: all of it, into the same and other places; what fails leaves the old as it was."""
import os
import random
import signal
import subprocess
import time

import server  # first: it knows where the others are
from server import bake, literal, quoted

HARD = os.path.join(server.HERE, "hard.sql")
ROUNDS = 30 if bake.LONG else 4


class Restore(server.MariaBench):

    def hard(self, name="hard"):
        self.database(name)
        self.server.load(HARD, name)

    def text(self, name, on=None):
        """All of a database as mariadb-dump writes it."""
        on = on or self.server
        done = subprocess.run(on.client("mariadb-dump", "--routines", "--events", "--triggers", "--hex-blob",
                                        "--skip-dump-date", "--order-by-primary", "--single-transaction", "--", name),
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def restore(self, pipeline, *args, code=0, force=True, **more):
        return self.bake("restore", pipeline, "latest", *(["--force"] if force else []), "--json", *args, code=code,
                         **more)

    def nothing_left(self, on=None):
        on = on or self.server
        self.assertEqual([d for d in on.databases() if "bakengine" in d], [])
        self.assertEqual(os.listdir(self.path("tmp")), [])
        found = [f for _, _, files in os.walk(self.path("state")) for f in files if "dut" in f]
        self.assertEqual(found, [])

    def test_all_of_it(self):
        """Changed, half lost, gone: restored it is the same text as before."""
        self.hard()
        pipeline = self.maria(databases=["hard"])
        before, look = self.text("hard"), self.server.look("hard")
        self.run_json(pipeline)
        spoil = [
            "delete from plain where id % 2; drop view a_first; drop trigger plain_in; drop event nightly;"
            "create table extra (i int); create view v_extra as select 1; drop procedure shout;"
            "create procedure p_extra() select 1; alter database hard character set latin1;"
            "create event e_extra on schedule every 1 day do select 1;"
            "create trigger t_extra before insert on docs for each row set new.id = 7",
            "drop table plain; drop function twice",   # now views are broken
            None]
        for sql in spoil:
            if sql:
                self.server.sql(sql, "hard")
            else:
                self.server.sql("drop database hard")
            self.assertIn("hard", self.restore(pipeline).text)
            self.assertEqual(self.text("hard"), before)
            self.assertEqual(self.server.look("hard"), look)
            self.nothing_left()
        self.assertEqual(self.server.value("select schema_comment from information_schema.schemata "
                                           "where schema_name = 'hard'"), "")

    def test_not_over_what_is_there(self):
        self.database("shop", "create table t (i int primary key); insert into t values (1)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        self.server.sql("insert into t values (2)", "shop")
        result = self.restore(pipeline, force=False, code=1)
        self.assert_says(result, "database 'shop' is there already", "--force", "--as-database")
        self.assertEqual(self.server.counts("shop"), {"t": 2})
        self.bake("restore", pipeline, "latest", "--force", "--dry-run")
        self.assertEqual(self.server.counts("shop"), {"t": 2})
        self.server.sql("drop table t", "shop")  # empty it may be
        self.restore(pipeline, force=False)
        self.assertEqual(self.server.counts("shop"), {"t": 1})
        self.nothing_left()

    def test_another_name(self):
        self.database("shop", "create table t (i int primary key); insert into t values (1);"
                              "create view v as select t.i, u.user from t, mysql.global_priv u")
        self.addCleanup(self.server.sql, "drop database if exists `sh``op 2`")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        result = self.restore(pipeline, "--as-database", "sh`op 2", force=False)
        self.assertEqual(self.server.counts("sh`op 2"), {"t": 1})
        self.assert_says(result, "name database 'shop'")
        for bad in ["mysql", "x" * 65, "end "]:
            self.restore(pipeline, "--as-database", bad, code=(1, 2))
        self.nothing_left()

    def test_single_tables(self):
        self.database("shop", "create table a (i int primary key); create table b (i int primary key, a int,"
                              "constraint b_a foreign key (a) references a (i)); create table log (n int);"
                              "create trigger b_in after insert on b for each row insert into log values (1);"
                              "create trigger a_in after insert on a for each row insert into log values (2);"
                              "insert into a values (1), (2); insert into b values (1, 1), (2, 2); create view v as select * from b")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        self.server.sql("delete from b; drop trigger b_in; insert into a values (3)", "shop")
        self.assert_says(self.restore(pipeline, "--path", "b", force=False, code=1), "table 'b' is there already")
        self.restore(pipeline, "--path", "b")
        self.assertEqual(self.server.counts("shop"), {"a": 3, "b": 2, "log": 5})
        make = self.server.sql("show create table b", "shop")
        self.assertIn("CONSTRAINT `b_a` FOREIGN KEY (`a`) REFERENCES `a` (`i`)", make)
        self.assertNotEqual(self.server.run("insert into b values (9, 99)", "shop").returncode, 0)
        self.server.sql("insert into b values (9, 3)", "shop")
        self.assertEqual(self.server.counts("shop")["log"], 6)
        self.assertEqual(self.server.value("select count(*) from v", "shop"), "3")
        # the others' keys would go on naming what is replaced
        self.assert_says(self.restore(pipeline, "--path", "shop.a", code=1), "a foreign key of table 'shop.b'")
        self.server.sql("drop table b", "shop")
        self.restore(pipeline, "--path", "b", force=False)
        self.assertEqual(self.server.counts("shop")["b"], 2)
        self.assert_says(self.restore(pipeline, "--path", "nothing*", code=1), "no table of 'shop' matches")
        self.nothing_left()

    def test_keys_across_databases(self):
        self.database("one", "create table p (i int primary key); insert into p values (1)")
        self.database("two", "create table c (i int primary key, p int, constraint c_p foreign key (p) references one.p (i));"
                             "insert into c values (1, 1); create view v as select * from one.p")
        self.addCleanup(self.server.sql, "drop database if exists two")
        pipeline = self.maria(databases=["one", "two"], users=False)
        self.run_json(pipeline)
        self.assert_says(self.restore(pipeline, "--component", "db/one.sql", code=1), "two.c", "one.p")
        for gone in [False, True]:
            if gone:
                self.server.sql("drop database two; drop database one")
            self.restore(pipeline)
            self.assertIn("REFERENCES `one`.`p` (`i`)", self.server.sql("show create table c", "two"))
            self.assertNotEqual(self.server.run("insert into c values (2, 2)", "two").returncode, 0)
            self.server.sql("insert into one.p values (2); insert into c values (2, 2)", "two")
        self.nothing_left()

    def test_accounts(self):
        self.database("shop", "create table t (i int); create procedure pr() select 1")
        self.server.sql("create role boss; create user ann@'%' identified by 'one'; create user bob@'%' identified by 'b''ob';"
                        "grant select on shop.t to ann@'%'; grant boss to bob@'%'; set default role boss for bob@'%';"
                        "grant execute on procedure shop.pr to boss; grant insert on shop.* to boss")
        self.addCleanup(self.server.sql, "drop user if exists ann@'%', bob@'%'; drop role if exists boss")
        pipeline = self.maria(databases=["shop"])
        grants = [self.server.sql(f"show grants for {who}") for who in ["ann@'%'", "bob@'%'", "boss"]]
        self.run_json(pipeline)
        self.server.sql("drop user bob@'%'; drop role boss; alter user ann@'%' identified by 'two'; drop database shop")
        self.assert_says(self.restore(pipeline, force=False))
        self.assertEqual(self.server.value("select current_user()"), "root@localhost")
        self.assertEqual(self.server.sql("show grants for bob@'%'"), grants[1])
        self.assertEqual(self.server.sql("show grants for boss"), grants[2])
        login = {"user": "bob", "password": "b'ob"}
        self.assertEqual(self.server.sql("select current_role()", **login), "boss")
        self.server.sql("select 1", user="ann", password="two")  # it was there: it stays as it is
        self.restore(pipeline)
        self.server.sql("select 1", user="ann", password="one")
        self.assertEqual(self.server.sql("show grants for ann@'%'"), grants[0])
        self.nothing_left()

    def test_accounts_go_again(self):
        """What fails later takes them along; those that were there stay."""
        self.database("shop", "create table t (i int); create view v as select * from t")
        self.server.sql("create role boss; create user ann@'%' identified by 'one'; create user bob@'%'")
        self.addCleanup(self.server.sql, "drop user if exists ann@'%', bob@'%'; drop role if exists boss")
        tool = self.spoil(None, "sed 's/VIEW `v` AS select/VIEW `v` AS select no_such(),/'")
        pipeline = self.maria(databases=["shop"], bin=tool)
        self.run_json(pipeline)
        self.server.sql("drop user bob@'%'; drop role boss")
        before = self.server.sql("select user, host, is_role from mysql.user order by 1, 2")
        self.restore(pipeline, "--set", "db.bin=" + os.path.dirname(server.tool("mariadb")), code=1)
        self.assertEqual(self.server.sql("select user, host, is_role from mysql.user order by 1, 2"), before)
        self.nothing_left()

    def spoil(self, pipeline, change, name="db/shop.sql"):
        """The same database from a dump that we changed: as a server of the tests' own would have made it."""
        tool = self.path("bin")
        os.makedirs(tool, exist_ok=True)
        for t in ["mariadb", "mariadb-binlog", "mariadb-backup", "mbstream", "mariadbd", "mariadb-install-db"]:
            if not os.path.lexists(f"{tool}/{t}"):
                os.symlink(server.tool(t), f"{tool}/{t}")
        self.write(f"{tool}/mariadb-dump", f"#!/bin/sh\n[ \"$2\" = --version ] && exec {server.tool('mariadb-dump')} \"$@\"\n"
                   f"{server.tool('mariadb-dump')} \"$@\" | {change}\n".encode(), 0o755)
        return tool

    def test_statements_that_fail(self):
        """The old database is as it was; the message names the statement and its line."""
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2);"
                              "create view v as select * from t; create trigger g before insert on t for each row set new.i = new.i;"
                              "create event e on schedule every 1 day do select 1; create procedure p() select 1")
        before = self.text("shop")
        for change, says in [("sed 's/^CREATE TABLE `t`/CREATE TABLE `t` oops/'", ["'CREATE TABLE `t` oops", "at line"]),
                             ("sed 's/VIEW `v` AS select/VIEW `v` AS select no_such(),/'", ["views, routines or triggers", "at line"]),
                             ("sed 's/PROCEDURE `p`/PROCEDURE `p` oops/'", ["at line"]),
                             ("sed 's/EVENT `e` ON/EVENT `e` oops ON/'", ["events of database", "at line"]),
                             ("sed 's/^(1),/(2),/'", ["'INSERT INTO `t` ...'", "at line"])]:
            tool = self.spoil(None, change)
            pipeline = self.maria(databases=["shop"], users=False, bin=tool, name="t" + str(abs(hash(change))),
                                  sinks=[{"plugin": "local", "path": self.path(f"store{abs(hash(change))}")}])
            self.run_json(pipeline)
            result = self.restore(pipeline, "--set", "db.bin=" + os.path.dirname(server.tool("mariadb")), code=1)
            self.assert_says(result, *says)
            self.assertEqual(self.text("shop"), before, change)
            self.nothing_left()

    def test_counts_that_differ(self):
        """Rows that go away again while they are loaded."""
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2), (3)")
        tool = self.spoil(None, "sed 's/^UNLOCK TABLES;/DELETE FROM t WHERE i > 1; UNLOCK TABLES;/'")
        pipeline = self.maria(databases=["shop"], users=False, bin=tool)
        self.run_json(pipeline)
        result = self.restore(pipeline, "--set", "db.bin=" + os.path.dirname(server.tool("mariadb")), code=1)
        self.assert_says(result, "table 't' has 1 rows when restored, recorded were 3")
        self.assertEqual(self.server.counts("shop"), {"t": 3})
        self.nothing_left()

    def test_hostile_names(self):
        names = ["we ird`é", '"; drop', "-x", "漢" * 45, "a'b\\c", "x" * 64]
        for name in names:
            self.database(name, "create table `t``'\" ;` (i int primary key); insert into `t``'\" ;` values (1), (2);"
                                "create view `v'` as select * from `t``'\" ;`;"
                                "create trigger `g``` before insert on `t``'\" ;` for each row set new.i = new.i")
        pipeline = self.maria(users=False)
        before = {name: self.text(name) for name in names}
        self.run_json(pipeline)
        for name in names:
            self.server.sql("drop view `v'`; delete from `t``'\" ;` ", name)
        self.restore(pipeline)
        for name in names:
            self.assertEqual(self.text(name), before[name])
        self.nothing_left()

    def test_other_servers(self):
        """By --set; refused: one that may only be read."""
        self.database("shop", "create table t (i int primary key); insert into t values (1)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        other = server.Server(binlog=False)
        self.addCleanup(other.remove)
        other.start()
        self.restore(pipeline, "--set", f"db.socket={other.socket}", force=False)
        self.assertEqual(other.counts("shop"), {"t": 1})
        self.server.sql("insert into t values (2)", "shop")
        self.assertEqual(self.server.counts("shop"), {"t": 2})
        other.sql("set global read_only = 1")
        self.assert_says(self.restore(pipeline, "--set", f"db.socket={other.socket}", code=1), "read-only")
        self.nothing_left(other)

    def test_older_client(self):
        """It knows neither --sandbox nor the line that newer dumps begin with."""
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2)")
        tool, real = self.spoil(None, "cat"), server.tool("mariadb")
        os.remove(f"{tool}/mariadb")
        self.write(f"{tool}/mariadb", f"#!/bin/sh\ncase \"$*\" in\n*--sandbox*) exit 7;;\n*--help) {real} \"$@\" | "
                   f"grep -v sandbox;;\n*--version) exec {real} \"$@\";;\n*) sed '1s/^..M!9.*/unknown command/' | "
                   f"exec {real} \"$@\";;\nesac\n".encode(), 0o755)
        pipeline = self.maria(databases=["shop"], users=False, bin=tool)
        self.run_json(pipeline)
        self.server.sql("delete from t", "shop")
        self.restore(pipeline)
        self.assertEqual(self.server.counts("shop"), {"t": 2})
        self.nothing_left()

    def test_missing_rights_and_definers(self):
        self.server.sql("create user gone@'%'; create user poor@localhost identified by 'p'; grant all on other.* to poor@localhost;"
                        "create user cafe@localhost")
        self.addCleanup(self.server.sql, "drop user if exists gone@'%', poor@localhost, cafe@localhost")
        self.database("shop", "create table t (i int primary key); create definer=gone@'%' view v as select * from t")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        self.server.sql("drop user gone@'%'")
        self.assert_says(self.restore(pipeline), "there is no account 'gone@%'")
        result = self.restore(pipeline, "--set", "db.user=poor", "--set",
                              "db.password_file=" + self.write("pp", b"p", 0o600), code=1)
        self.assert_says(result, "the user may not CREATE in database 'shop")
        self.nothing_left()

    def test_locked_target(self):
        """Someone holds a table: after lock_timeout all is as it was."""
        self.database("shop", "create table t (i int primary key); insert into t values (1);"
                              "create trigger g before insert on t for each row set new.i = new.i; create view v as select * from t")
        before = self.text("shop")
        pipeline = self.maria(databases=["shop"], users=False, lock_timeout="1s")
        self.run_json(pipeline)
        with self.server.session("shop") as s:
            s.stdin.write(b"set autocommit = 0; select * from t;\n")
            s.stdin.flush()
            self.assertTrue(s.stdout.readline())
            self.restore(pipeline, code=1)
            s.stdin.close()
        self.assertEqual(self.text("shop"), before)
        self.restore(pipeline)
        self.nothing_left()

    def test_no_more_room(self):
        """The server has less than the data need."""
        other = server.Server("--max-heap-table-size=1M", binlog=False)
        self.addCleanup(other.remove)
        other.start()
        self.database("shop", "create table t (i int primary key, v varchar(1000)) engine=memory;"
                              "insert into t select seq, repeat(md5(seq), 30) from seq_1_to_1000")
        other.sql("create database shop; create table shop.t (i int); insert into shop.t values (7)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        result = self.restore(pipeline, "--set", f"db.socket={other.socket}", code=1)
        self.assert_says(result, "The table 't' is full", "'INSERT INTO `t` ...'")
        self.assertEqual(result.of("group")[0]["status"], "undone", str(result))
        self.assertEqual(other.counts("shop"), {"t": 1})
        self.nothing_left(other)

    def test_server_ends(self):
        """Killed while it is loaded: said; once it is back, what was made goes, and the old is as it was."""
        other = server.Server(binlog=False)
        self.addCleanup(other.remove)
        other.start()
        self.database("shop", "create table t (i int primary key, v longtext);"
                              "insert into t select seq, repeat(md5(seq), 8000) from seq_1_to_100")
        other.sql("create database shop; create table shop.t (i int); insert into shop.t values (7)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        there = ["--set", f"db.socket={other.socket}"]
        p = self.start("restore", pipeline, "latest", "--force", "--json", *there)
        while p.poll() is None and not any("_bakengine_" in d for d in os.listdir(other.data)):
            time.sleep(0.002)
        other.kill()
        self.assertEqual(self.finish(p, timeout=60).code, 1)
        other.start()
        self.bake("doctor", pipeline, "--redeem")
        self.assertEqual(other.counts("shop"), {"t": 1})
        self.nothing_left(other)

    def test_cancelled(self):
        """At any moment: nothing is left when it ends, and it is the old or the new."""
        self.database("shop", "create table a (i int primary key, v text); insert into a select seq, repeat(md5(seq), 20) "
                              "from seq_1_to_8000; create view v as select i from a; create procedure p() select 1")
        wanted = self.text("shop")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        self.server.sql("delete from a where i > 3; drop view v", "shop")
        before = self.text("shop")
        begun = time.monotonic()
        self.restore(pipeline, "--as-database", "shop_2")
        spent = time.monotonic() - begun
        self.server.sql("drop database shop_2")
        for part in [0.1, 0.3, 0.5, 0.7, 0.9, 1.1]:
            p = self.start("restore", pipeline, "latest", "--force", "--json")
            time.sleep(spent * part)
            p.send_signal(signal.SIGINT)
            result = self.finish(p, timeout=60)
            done = result.summary["status"] == "ok"  # it came too late
            self.assertEqual(self.text("shop"), wanted if done else before, str(result))
            self.nothing_left()
            before = wanted if done else before

    def test_killed(self):
        """At any moment: after the next restore's start it is the old or the new, whole, and nothing is left."""
        self.database("shop")
        new = ("create table a (i int primary key); insert into a select seq from seq_1_to_2000; create table b (i int primary key);"
               "insert into b select seq + 5 from seq_1_to_2000; create view v as select a.i from a join b using (i);"
               "create trigger g after insert on a for each row insert into b values (new.i + 100000);"
               "create event e on schedule every 1 day do select 1; create procedure p() select 'new'")
        self.server.sql(new, "shop")
        wanted = self.text("shop")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        old = ("drop database shop; create database shop character set latin1; use shop; create table a (i int primary key, o int);"
               "insert into a values (1, 1), (2, 2); create table c (i int); create view v as select o from a;"
               "create trigger g before insert on c for each row set new.i = 1; create procedure p() select 'old';"
               "create event o on schedule every 2 day do select 2")
        spent = None
        rng = random.Random(7)
        for i in range(ROUNDS + 1):
            self.server.sql(old)
            if i % 3 == 2:  # there was none
                self.server.sql("drop database shop")
            before = self.text("shop") if i % 3 != 2 else None
            begun = time.monotonic()
            p = self.start("restore", pipeline, "latest", "--force", "--json")
            if spent is None:  # one to its end
                self.assertEqual(self.finish(p, timeout=60).code, 0)
                spent = time.monotonic() - begun
                continue
            if i % 2:  # while tables are exchanged
                while p.poll() is None and not any("_bakengine_old_" in d for d in os.listdir(self.server.data)):
                    time.sleep(0.002)
                time.sleep(spent * rng.uniform(0, 0.4))
            else:
                time.sleep(spent * rng.uniform(0.1, 1.1))
            p.send_signal(signal.SIGKILL)
            self.finish(p, timeout=60)
            result = self.bake("restore", pipeline, "latest", "--component", "db/shop.sql", "--as-database", "shop_2",
                               "--force", "--json")
            self.server.sql("drop database shop_2")
            after = self.text("shop") if "shop" in self.server.databases() else None
            self.assertIn(after, (before, wanted), f"round {i}: {result}")
            if after is None:
                self.server.sql("create database shop")  # as the next round expects
            self.nothing_left()


if __name__ == "__main__":
    server.main()
