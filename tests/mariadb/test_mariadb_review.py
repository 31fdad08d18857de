#!/usr/bin/python3
"""What only a server shows of rare things: tables whose files stand elsewhere, rights on single routines, a name
that two restores want at once."""
import os
import shutil
import signal
import time

import server  # first: it knows where the others are


class Rare(server.MariaBench):

    def outside(self):
        folder = os.path.join(self.server.folder, "elsewhere")
        os.mkdir(folder)
        server.give(folder)
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def test_files_elsewhere(self):
        """A copy has the tables that the server had outside of its data directory, and leaves those alone."""
        folder = self.outside()
        self.database("far", f"create table t (i int primary key) engine=innodb data directory='{folder}';"
                             "insert into t values (1), (2), (3)")
        above = os.path.join(self.server.folder, "again")
        os.mkdir(above)
        server.give(above)
        target = os.path.join(above, "mysql")
        pipeline = self.maria(mode="physical", data_directory=target, binlogs="false")
        self.run_json(pipeline)
        self.server.sql("insert into t values (4)", "far")
        self.server.stop()  # it keeps others from its files no longer
        self.addCleanup(lambda: self.server.process or self.server.start())
        result = self.bake("restore", pipeline, "latest", "--json")
        self.assertIn("'DATA DIRECTORY'", result.text)
        other = server.Server(data=target, binlog=False)
        self.addCleanup(other.remove)
        other.start()
        self.assertEqual(other.sql("select i from far.t").split(), ["1", "2", "3"])
        other.sql("insert into far.t values (77)")
        other.stop()
        self.server.start()
        self.assertEqual(self.server.sql("select i from far.t").split(), ["1", "2", "3", "4"])

    def test_rights_on_routines(self):
        """The server drops them with a routine; neither a restore nor one that fails takes them away."""
        self.database("shop", "create table t (i int); create procedure `p``1`() select 1;"
                              "create function f() returns int deterministic return 1; create view v as select * from t")
        self.server.sql("create role clerk; create user ann@'%';"
                        "grant execute, alter routine on procedure shop.`p``1` to ann@'%' with grant option;"
                        "grant execute on function shop.f to clerk")
        self.addCleanup(self.server.sql, "drop user if exists ann@'%'; drop role if exists clerk")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        rights = "select host, user, routine_name, routine_type, proc_priv from mysql.procs_priv order by 1, 2, 3"
        before = self.server.sql(rights)
        self.assertEqual(before.count("\n"), 1)
        self.bake("restore", pipeline, "latest", "--force", "--json")
        self.assertEqual(self.server.sql(rights), before)
        tool = self.path("bin")  # whose dumps do not load
        os.mkdir(tool)
        dump = server.tool("mariadb-dump")
        self.write(f"{tool}/mariadb-dump", f"#!/bin/sh\n[ \"$2\" = --version ] && exec {dump} \"$@\"\n{dump} \"$@\" | "
                   "sed 's/VIEW `v` AS select/VIEW `v` AS select no_such(),/'\n".encode(), 0o755)
        os.symlink(server.tool("mariadb-binlog"), f"{tool}/mariadb-binlog")
        usual = "db.bin=" + os.path.dirname(server.tool("mariadb"))
        spoiled = self.maria(databases=["shop"], users=False, bin=tool, name="spoiled", sinks=[self.path("spoiled")])
        self.run_json(spoiled)
        result = self.bake("restore", spoiled, "latest", "--force", "--json", "--set", usual, code=1)
        self.assert_says(result, "views, routines or triggers")
        self.assertEqual(self.server.sql(rights), before)

    def test_two_want_one_name(self):
        """A database that another restore is making is not taken away by the one that came second."""
        self.database("one", "create table t (i int); insert into t values (1)")
        pipeline = self.maria(databases=["one"], users=False)
        self.run_json(pipeline)
        self.addCleanup(self.server.sql, "drop database if exists two")
        bin = self.path("bin")
        os.mkdir(bin)
        for t in ["mariadb-dump", "mariadb-binlog"]:
            os.symlink(server.tool(t), f"{bin}/{t}")
        # the client of the load makes it as the other one has it in the middle: after this one has looked
        make = " ".join(f"'{a}'" for a in self.server.client("mariadb", "-e",
                        "create database if not exists two comment \"bakengine: made by a restore (abc123)\";"
                        "create table if not exists two.kept (i int)"))
        self.write(f"{bin}/mariadb", f"#!/bin/sh\ncase \"$*\" in *--version*|*--help*) ;; *) {make} </dev/null;; esac\n"
                   f"exec {server.tool('mariadb')} \"$@\"\n".encode(), 0o755)
        result = self.bake("restore", pipeline, "latest", "--json", "--as-database", "two", "--set", f"db.bin={bin}",
                           code=1)
        self.assert_says(result, "two")
        self.assertEqual(self.server.sql("show tables", "two"), "kept")
        self.assertEqual([d for d in self.server.databases() if "_bakengine_" in d], [])

    def test_received_again(self):
        """Logs that an earlier wal-receive left behind say nothing of those that come again."""
        self.database("shop", "create table t (i int)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        self.server.sql("insert into t values (1); flush binary logs; flush binary logs", "shop")
        logs = [line.split("\t")[0] for line in self.server.sql("show binary logs").split("\n")]
        tool = self.path("bin")
        os.mkdir(tool)
        real = server.tool("mariadb-binlog")
        self.write(f"{tool}/mariadb-binlog", f"#!/bin/sh\ncase \"$*\" in *--stop-never*) sleep 2;; esac\n"
                   f"exec {real} \"$@\"\n".encode(), 0o755)
        slow = self.maria(databases=["shop"], users=False, bin=tool)
        spool = self.path("state", "wal", "t", "db")
        os.makedirs(spool, 0o700)
        for name in logs[-2:]:
            self.write(os.path.join(spool, name), b"\xfebin" + b"left behind")
        p = self.start("wal-receive", slow, "--json")
        end = time.monotonic() + 20
        while p.poll() is None and time.monotonic() < end and not self.has(logs[-2]):
            time.sleep(0.1)
        ended = p.poll()
        p.send_signal(signal.SIGTERM)
        result = self.finish(p, timeout=30)
        self.assertIsNone(ended, str(result))
        self.assertTrue(self.has(logs[-2]), str(result))

    def has(self, name):
        return any(f.startswith(name) for _, _, files in os.walk(self.path("store", "wal")) for f in files)


if __name__ == "__main__":
    server.main()
