#!/usr/bin/python3
"""What can go wrong while databases are read: it is said, and never passes for a backup."""
import contextlib
import os
import signal
import socket
import time

import server  # first: it knows where the others are

SHOP = ("create table a (i int primary key, v varchar(200)); insert into a select seq, repeat('x', 150) from seq_1_to_2000;"
        "create table b (i int primary key); insert into b values (1), (2); create table c (i int primary key);"
        "create procedure p() select 1; create event e on schedule every 1 day starts '2030-01-01' do select 1;"
        "create trigger t before insert on b for each row set new.i = new.i + 1")


class Bad(server.MariaBench):

    def setUp(self):
        super().setUp()
        self.database("shop", SHOP)
        self.stores = 0

    def fails(self, *texts, code=1, args=(), **options):
        options.setdefault("databases", ["shop"])
        options.setdefault("users", False)
        options.setdefault("binlogs", "false")
        self.stores += 1  # each has one of its own, in which there is nothing
        options.setdefault("sinks", [self.path(f"store.{self.stores}")])
        pipeline = self.maria(**options)
        result = self.run_json(pipeline, *args, code=code)
        self.assert_says(result, *texts)
        self.nothing_is_left(pipeline, code == 1)
        return result

    def nothing_is_left(self, pipeline, failed=True):
        if failed:
            self.assertEqual(self.backups(pipeline), [])
        self.assertEqual(os.listdir(self.path("tmp")), [])
        self.assertEqual(os.listdir(self.path("state", "duties")) if os.path.isdir(self.path("state", "duties"))
                         else [], [])

    def tools(self, name, script):
        """A directory of tools in which one is a script; $real is what it stands for."""
        folder = self.path("bin")
        os.makedirs(folder, exist_ok=True)
        for tool in ["mariadb-dump", "mariadb-binlog", "mariadb"]:
            if not os.path.exists(os.path.join(folder, tool)):
                os.symlink(server.tool(tool), os.path.join(folder, tool))
        path = os.path.join(folder, name)
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nreal={server.tool(name)}\n"
                    f'case "$*" in *--version*) exec $real "$@";; esac\n{script}\n')
        os.chmod(path, 0o755)
        return folder

    # ---- the server ---------------------------------------------------------------------------

    def test_wrong_password(self):
        for options in [{"password": "no"}, {"user": "nobody", "password": "x"}, {"password": "x" * 300}]:
            self.fails("refuses user", "password", **options)
        result = self.bake("validate", self.maria(password="no"), "--probe", code=None)
        self.assertNotEqual(result.code, 0)
        self.assert_says(result, "refuses user 'root'")

    def test_no_such_database(self):
        result = self.fails("has no database 'shopp'", code=3, databases=["shopp", "shop"])
        self.assertEqual(self.component(result, "db/shop.sql")["status"], "ok")
        self.fails("has no database 'shopp'", databases=["shopp"])
        self.fails("the server's own", databases=["mysql"])

    def nothing_listens(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def test_server_down(self):
        self.fails("cannot connect to '127.0.0.1:", host="127.0.0.1", port=self.nothing_listens())
        self.fails(f"cannot connect to '{self.path('none.sock')}'", socket=self.path("none.sock"))

    def test_server_that_says_nothing(self):
        """One that takes connections and is silent: given up, and at once when it is cancelled."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(8)
            port = s.getsockname()[1]
            start = time.monotonic()
            self.fails("it does not answer", host="127.0.0.1", port=port, timeout="1s")
            self.assertLess(time.monotonic() - start, 10)
            s.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.accept()[0].close()  # of the run before
            s.settimeout(30)
            p = self.start("run", self.maria(host="127.0.0.1", port=port), "--json")
            waiting, _ = s.accept()
            p.send_signal(signal.SIGINT)
            start = time.monotonic()
            self.assertEqual(self.finish(p).code, 130)
            self.assertLess(time.monotonic() - start, 4)
            waiting.close()

    def test_no_tls(self):
        if self.server.value("select @@have_ssl") == "YES":
            self.skipTest("the server has TLS by itself")
        self.fails("TLS", tls="required", host="127.0.0.1", port=self.server.port)

    def locked(self, how):
        """A session that holds table b."""
        s = self.server.session("shop")
        s.stdin.write(f"{how}; select 'held';\n".encode())
        s.stdin.flush()
        while b"held" not in s.stdout.readline():
            pass

        def end():
            s.kill()
            s.stdin.close()
            s.stdout.close()
            s.wait()
        self.addCleanup(end)
        return end

    def test_killed_in_the_middle(self):
        mine = server.Server(binlog=False)
        self.addCleanup(mine.remove)
        mine.start()
        self.database("shop", SHOP, server=mine)
        with mine.session("shop") as s:
            s.stdin.write(b"lock tables b write; select 'held';\n")
            s.stdin.flush()
            while b"held" not in s.stdout.readline():
                pass
            pipeline = self.maria(server=mine, databases=["shop"], users=False)
            p = self.start("run", pipeline, "--json")
            self.wait_for(mine, "Waiting for table metadata lock")
            mine.kill()
            result = self.finish(p, timeout=60)
            s.kill()
        self.assertEqual(result.code, 1, str(result))
        self.assert_says(result, "mariadb-dump")
        self.assertEqual(self.backups(pipeline), [])

    def wait_for(self, on, state):
        end = time.monotonic() + 30
        while state not in on.sql("select state from information_schema.processlist where db = 'shop'"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_locked_table(self):
        end = self.locked("lock tables b write")
        start = time.monotonic()
        self.fails("waits for a lock for more than 1 seconds", "Waiting for table metadata lock", lock_timeout="1s")
        self.assertLess(time.monotonic() - start, 20)
        # one that is let go in time is no failure
        pipeline = self.maria(databases=["shop"], users=False, binlogs="false", lock_timeout="30s")
        p = self.start("run", pipeline, "--json")
        self.wait_for(self.server, "Waiting for table metadata lock")
        end()
        self.assertEqual(self.finish(p, timeout=60).code, 0)

    def test_cancelled(self):
        self.locked("lock tables b write")
        pipeline = self.maria(databases=["shop"], users=False, binlogs="false", lock_timeout="1h")
        p = self.start("run", pipeline, "--json")
        self.wait_for(self.server, "Waiting for table metadata lock")
        p.send_signal(signal.SIGTERM)
        start = time.monotonic()
        result = self.finish(p, timeout=60)
        self.assertLess(time.monotonic() - start, 8)
        self.assertIn(result.code, (130, 143), str(result))
        end = time.monotonic() + 10  # nothing of ours asks any longer
        while "Waiting" in self.server.sql("select state from information_schema.processlist where db = 'shop'"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.nothing_is_left(pipeline)

    # ---- rights -------------------------------------------------------------------------------

    def test_rights_that_are_missing(self):
        """Without them the server shows less: that is a failure, not a smaller dump."""
        rights = ["SELECT", "SHOW VIEW", "EVENT", "TRIGGER"]

        def user(without=None, proc=True):
            self.server.sql("create or replace user poor@'%' identified by 'p'")
            self.server.sql("".join(f"grant {r} on shop.* to poor@'%';" for r in rights if r != without)
                            + ("grant select on mysql.proc to poor@'%';" if proc else ""))
        self.addCleanup(self.server.sql, "drop user if exists poor@'%'")
        poor = {"user": "poor", "password": "p"}
        user()
        pipeline = self.maria(databases=["shop"], users=False, binlogs="false", **poor)
        self.run_json(pipeline)
        facts = self.facts(pipeline, "db/shop.sql")
        self.assertEqual((facts["routines"], facts["events"], facts["triggers"]), (1, 1, 1))
        user(proc=False)
        self.fails("may not see all routines of database 'shop'", "GRANT SELECT ON mysql.proc", **poor)
        user("EVENT")
        self.fails("may not see all events of database 'shop'", **poor)
        user("TRIGGER")
        self.fails("may not see all triggers of database 'shop'", **poor)
        user("SELECT")
        self.fails("lacks the rows of table", "right to SELECT", **poor)
        self.server.sql("grant select on shop.a to poor@'%'")  # and when it may read some
        self.fails("lacks the rows of table", **poor)
        user("SHOW VIEW")
        self.server.sql("create view shop.v as select 1")
        self.fails("SHOW VIEW command denied", **poor)
        user()
        self.fails("cannot list the accounts", "GRANT SELECT ON mysql.*", code=3, **poor, users=True)
        self.fails("cannot ask where the binary log stands", binlogs="true", **poor)
        result = self.run_json(self.maria(databases=["shop"], users=False, name="auto", **poor))
        self.assert_says(result, "may not see the binary logs")
        # a role's rights count
        self.server.sql("create or replace role reader; grant select, event, trigger, show view on *.* to reader;"
                        "create or replace user poor@'%' identified by 'p'; grant reader to poor@'%';"
                        "set default role reader for poor@'%'")
        self.addCleanup(self.server.sql, "drop role reader")
        self.run_json(self.maria(databases=["shop"], users=False, binlogs="false", name="role", **poor))

    # ---- tools --------------------------------------------------------------------------------

    def test_tool_that_is_missing_or_older(self):
        self.fails("there is no 'mariadb-dump'", "install mariadb-client", bin=self.path("empty"))
        folder = self.tools("mariadb-dump", "exit 1")
        with open(os.path.join(folder, "mariadb-dump"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\necho 'mariadb-dump  Ver 10.19 Distrib 10.3.39-MariaDB, for x (y)'\n")
        self.fails("is of MariaDB 10.3.39, the server is of 10.11", bin=folder)
        result = self.bake("validate", self.maria(bin=folder), "--probe", code=None)
        self.assertNotEqual(result.code, 0)
        self.assert_says(result, "is of MariaDB 10.3.39")
        with open(os.path.join(folder, "mariadb-dump"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\necho 'mysqldump  Ver 8.0.36 for Linux'\n")
        self.fails("does not say of which MariaDB it is", bin=folder)

    def test_dump_that_ends_early(self):
        """With exit status 0, at any place; or whole, without what was there."""
        for how, texts in [
                ("$real \"$@\" | head -c 3000", ["not whole", "end"]),
                ("$real \"$@\" | head -c 200000", ["not whole", "middle of a statement"]),
                ("$real \"$@\" | sed '/^-- Dump completed/d'", ["end marker"]),
                ("exit 0", ["end marker"]),
                ("$real \"$@\"; echo 'DROP TABLE a;'", ["behind its end"]),
                ("$real \"$@\" | sed '/trigger t before/d'", ["holds 0 triggers of 1"]),
                ("$real \"$@\" | sed '/PROCEDURE/d'", ["holds 0 routines of 1"]),
                ("$real \"$@\" | sed '/EVENT `/d'", ["holds 0 events of 1"]),
                ("$real \"$@\" --ignore-table=shop.c; ", ["mariadb-dump"]),
                ("$real \"$@\" | sed 's/`c`/`cc`/'", ["lacks its table 'c'"]),
                ("$real \"$@\"; exit 3", ["exit status 3"]),
                ("$real \"$@\" | head -c 90000; kill -9 $$", ["signal 9"]),
                ("$real \"$@\" >/dev/null; echo 'Error 2013: gone' >&2; exit 2", ["Error 2013: gone"])]:
            with self.subTest(how):
                self.fails(*texts, bin=self.tools("mariadb-dump", how))

    def test_tool_that_hangs(self):
        start = time.monotonic()
        self.fails("nothing was heard of", bin=self.tools("mariadb-dump", "sleep 100"), timeout="2s")
        self.assertLess(time.monotonic() - start, 20)

    def test_what_the_tool_says_is_told(self):
        pipeline = self.maria(databases=["shop"], users=False, binlogs="false",
                              bin=self.tools("mariadb-dump", "echo 'be warned' >&2; exec $real \"$@\""))
        self.assert_says(self.run_json(pipeline), "mariadb-dump says: be warned")

    # ---- room ---------------------------------------------------------------------------------

    def test_disk_full(self):
        self.server.sql("create table shop.big (v longblob); insert into shop.big "
                        "select random_bytes(1000) from seq_1_to_5000", "shop")
        self.mount(self.path("small"), "-t", "tmpfs", "-o", "size=1m", "tmpfs")
        result = self.fails("space", sinks=[self.path("small", "store")])
        self.assertIn(self.component(result, "db/shop.sql")["status"], ("failed",))

    def test_broken_view(self):
        self.server.sql("create view w as select * from c; drop table c", "shop")
        result = self.bake("run", self.maria(databases=["shop"], users=False, binlogs="false"), "--json", code=None)
        self.assertEqual(result.code, 1, str(result))
        self.assert_says(result, "shop.w")


if __name__ == "__main__":
    server.main()
