#!/usr/bin/python3
"""Dumps of databases and accounts: complete, consistent while they change, with counts and positions
that are right."""
import json
import os
import subprocess
import threading
import time

import server  # first: it knows where the others are
from server import literal, quoted

HARD = os.path.join(server.HERE, "hard.sql")


class Dump(server.MariaBench):

    def hard(self, name="hard"):
        self.database(name)
        self.server.load(HARD, name)

    def text(self, pipeline, component, code=0):
        return self.bake("cat", pipeline, "latest", component, code=code).out

    def load_back(self, text, name):
        """The dump into a database of its own, as people would do it by hand."""
        self.database(name)
        done = subprocess.run(self.server.client("mariadb", "--", name), input=text, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def test_hard_things(self):
        self.hard()
        pipeline = self.maria(databases=["hard"])
        result = self.run_json(pipeline)
        self.assert_says(result, "not transactional", "system-versioned")
        facts = self.facts(pipeline, "db/hard.sql")
        self.assertEqual(facts["tables"], self.server.counts("hard"))
        self.assertEqual(facts["rows"], sum(facts["tables"].values()))
        self.assertEqual({k: facts[k] for k in ["database", "charset", "collation", "format", "routines",
                                                "events", "triggers", "views"]},
                         {"database": "hard", "charset": "utf8mb4", "collation": "utf8mb4_general_ci",
                          "format": "sql", "routines": 4, "events": 1, "triggers": 2, "views": 3})
        self.assertEqual(facts["engines"], {"InnoDB": 15, "MyISAM": 1, "Aria": 1})
        self.assertEqual(facts["definers"], ["app `x`@y@%", "root@localhost"])
        version = self.server.value("select version()")
        self.assertEqual(facts["server_version"], version)
        self.assertTrue(version.startswith(facts["client_version"]), facts)
        before = self.server.look("hard")
        self.load_back(self.text(pipeline, "db/hard.sql"), "hard_again")
        after = self.server.look("hard_again")
        for key, value in before.items():
            self.assertEqual(value.replace("hard", "hard_again"), after[key].replace("hard_again", "hard")
                             .replace("hard", "hard_again"), key)
        self.assertEqual(set(before), set(after))

    def test_unchanged_is_the_same_bytes(self):
        self.hard()
        pipeline = self.maria(databases=["hard"], binlogs="false")
        texts = []
        for _ in range(2):
            self.run_json(pipeline)
            texts.append(self.text(pipeline, "db/hard.sql"))
        self.assertEqual(*texts)
        self.assertNotIn("binlog", self.facts(pipeline, "db/hard.sql"))

    def test_which_databases(self):
        names = ["shop", "shop_old", "users", "wiki", "we ird`é", ".dot", '"; drop', "-x", "漢" * 45]
        for name in names:
            self.database(name, "create table t (i int primary key); insert into t values (1), (2)")
        safe = {"we ird`é": "we%20ird%60%C3%A9", ".dot": "%2Edot", '"; drop': "%22%3B%20drop",
                "users": "%75sers"}

        def components(**options):
            pipeline = self.maria(**options)
            result = self.run_json(pipeline)
            got = sorted(c["name"] for c in result.of("component"))
            for c in result.of("component"):
                facts = self.facts(pipeline, c["name"])
                if c["name"] != "db/users.sql":
                    self.assertEqual(facts["tables"], {"t": 2})
                    if facts["database"] in safe:
                        self.assertEqual(c["name"], f"db/{safe[facts['database']]}.sql")
            return got, [self.facts(pipeline, c).get("database") for c in got if c != "db/users.sql"]

        got, databases = components()
        self.assertEqual(sorted(databases), sorted(names))
        self.assertIn("db/users.sql", got)
        self.assertTrue(all(len(c) < 220 for c in got))
        got, databases = components(databases=["shop*", "users"], exclude_databases=["*_old"], users=False)
        self.assertEqual(got, ["db/%75sers.sql", "db/shop.sql"])
        _, databases = components(databases=['"*', "we?ird*"], users=False)
        self.assertEqual(sorted(databases), sorted(['"; drop', "we ird`é"]))

    def test_tables_left_out(self):
        self.database("shop", "create table a (i int); create table log_1 (i int); insert into log_1 values (1);"
                              "create table log_2 (i int); create table `b.c` (i int); create view v as select * from a;"
                              "create trigger t1 before insert on log_1 for each row set new.i = 1")
        pipeline = self.maria(databases=["shop"], exclude_tables=["log_*", "shop.b.c"], users=False)
        self.run_json(pipeline)
        facts = self.facts(pipeline, "db/shop.sql")
        self.assertEqual(facts["tables"], {"a": 0})
        self.assertEqual(sorted(facts["excluded_tables"]), ["shop.b.c", "shop.log_1", "shop.log_2"])
        self.assertNotIn(b"log_", self.text(pipeline, "db/shop.sql"))

    def test_many_tables_and_none(self):
        self.database("many", "".join(f"create table t{i} (i int) engine=memory;" for i in range(1000))
                      + "insert into t7 values (1)")
        self.database("none")
        pipeline = self.maria(databases=["many", "none"], users=False)
        self.run_json(pipeline)
        tables = self.facts(pipeline, "db/many.sql")["tables"]
        self.assertEqual(tables, {f"t{i}": int(i == 7) for i in range(1000)})
        self.assertEqual(self.facts(pipeline, "db/none.sql")["tables"], {})

    def test_accounts(self):
        self.server.sql("create role boss; create role clerk; grant clerk to boss;"
                        "create user `o'dd ``u```@'%' identified by 'p;w' require ssl with max_queries_per_hour 5;"
                        "create user locked@'10.%' identified via unix_socket account lock;"
                        "grant select on *.* to `o'dd ``u```@'%' with grant option; grant boss to `o'dd ``u```@'%';"
                        "set default role boss for `o'dd ``u```@'%'; grant insert on mysql.* to clerk")
        self.addCleanup(self.server.sql, "drop user `o'dd ``u```@'%', locked@'10.%'; drop role boss, clerk")
        pipeline = self.maria(databases=["none*"])
        self.run_json(pipeline)
        lines = self.text(pipeline, "db/users.sql").decode().split("\n")
        self.assertEqual(lines[-2:], ["-- bakengine: end", ""])
        self.assertEqual(len([line for line in lines if line.startswith("CREATE ROLE IF NOT EXISTS")]), 2)
        for line in ["CREATE ROLE IF NOT EXISTS `boss`;", "GRANT `clerk` TO `boss`;",
                     "GRANT INSERT ON `mysql`.* TO `clerk`;", "GRANT `boss` TO `o'dd ``u```@`%`;",
                     "GRANT SELECT ON *.* TO `o'dd ``u```@`%` WITH GRANT OPTION;",
                     "SET DEFAULT ROLE `boss` FOR `o'dd ``u```@`%`;"]:
            self.assertIn(line, lines)
        created = [line for line in lines if line.startswith("CREATE USER IF NOT EXISTS `o'dd")]
        self.assertEqual(len(created), 1)
        self.assertIn("REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5", created[0])
        self.assertNotIn("`root`@`localhost`", "".join(line for line in lines if line.startswith("CREATE")))
        self.assertNotIn("mariadb.sys", "".join(lines))
        # and they do what they say
        self.server.sql("create or replace user u_check")
        self.addCleanup(self.server.sql, "drop user if exists u_check")
        seen = self.server.sql("show grants for `o'dd ``u```@'%'")
        self.server.sql("drop user `o'dd ``u```@'%', locked@'10.%'; drop role boss, clerk")
        self.server.sql("\n".join(lines))
        self.assertEqual(self.server.sql("show grants for `o'dd ``u```@'%'"), seen)

    def test_consistent_under_load(self):
        """Transfers keep the sum: each dump has it, and what the position says matches."""
        self.database("bank", "create table a (id int primary key, v int); create table b (id int primary key, v int);"
                              "insert into a select seq, 1000 from seq_1_to_500; insert into b select * from a;"
                              "create table moves (n int auto_increment primary key, at int)")
        stop = threading.Event()

        def load(seed):
            with self.server.session("bank") as s:
                n = seed
                while not stop.is_set():
                    n = n * 7919 % 499 + 1
                    s.stdin.write(f"begin; update a set v = v - {n} where id = {n};"
                                  f"update b set v = v + {n} where id = {500 - n};"
                                  f"insert into moves (at) values ({n}); commit;\n".encode())
                    s.stdin.flush()
                    time.sleep(0.001)
                s.stdin.close()
        threads = [threading.Thread(target=load, args=(i,)) for i in (3, 11)]
        for t in threads:
            t.start()
        self.addCleanup(stop.set)
        pipeline = self.maria(databases=["bank"], users=False)
        rows = []
        for i in range(4):
            self.run_json(pipeline)
            facts = self.facts(pipeline, "db/bank.sql")
            rows.append(facts["tables"]["moves"])
            self.load_back(self.text(pipeline, "db/bank.sql"), "bank_again")
            self.assertEqual(self.server.value("select (select sum(v) from a) + (select sum(v) from b)",
                                               "bank_again"), "1000000")
            self.assertEqual(self.server.counts("bank_again"), facts["tables"])
        self.assertGreater(rows[-1], rows[0])
        stop.set()
        for t in threads:
            t.join()
        # what is in the binary log from the position on is what came after
        last = int(self.server.value("select count(*) from moves", "bank"))
        position = facts["binlog"]
        events = self.server.sql(f"show binlog events in {literal(position['file'])} from {position['position']}")
        later = events.count("bank.moves")
        names = [line.split("\t")[0] for line in self.server.sql("show binary logs").split("\n")]
        for name in names[names.index(position["file"]) + 1:]:
            later += self.server.sql(f"show binlog events in {literal(name)}").count("bank.moves")
        self.assertEqual(facts["tables"]["moves"] + later, last)
        self.assertRegex(position["gtid"], r"^0-7-\d+$")

    def test_in_parallel(self):
        names = [f"p{i}" for i in range(4)]
        for name in names:
            self.database(name, "create table t (i int primary key, v varchar(99));"
                                "insert into t select seq, repeat(md5(seq), 3) from seq_1_to_4000")
        pipeline = self.maria(databases=["p?"], users=False, parallel=4)
        self.run_json(pipeline)
        for name in names:
            self.assertEqual(self.facts(pipeline, f"db/{name}.sql")["tables"], {"t": 4000})

    def test_least_rights(self):
        """The rights that the README names are enough, by TCP and by socket."""
        self.hard()
        for where in [{"host": "127.0.0.1", "port": self.server.port}, {"socket": self.server.socket}]:
            pipeline = self.maria(user="backup", databases=["hard"], **where)
            result = self.run_json(pipeline)
            self.assert_says(result)
            facts = self.facts(pipeline, "db/hard.sql")
            self.assertEqual(facts["tables"], self.server.counts("hard"))
            self.assertEqual((facts["routines"], facts["triggers"]), (4, 2))

    def test_option_file_of_the_user(self):
        """[client] of ~/.my.cnf counts, the YAML wins; groups of single tools do not."""
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2)")
        password = server.PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        self.write(".my.cnf", f'[client]\nuser = root\npassword = "{password}"\nport=1\n[mysqldump]\nno-data\n'
                              "where=i=1\n[mariadb-dump]\nskip-extended-insert\n".encode(), 0o600)
        source = {"plugin": "mariadb", "databases": ["shop"], "socket": self.server.socket, "users": False}
        pipeline = self.pipeline({"db": source})
        self.run_json(pipeline)
        self.assertEqual(self.facts(pipeline, "db/shop.sql")["tables"], {"t": 2})
        pipeline = self.pipeline({"db": {**source, "user": "nobody"}})
        self.assert_says(self.run_json(pipeline, code=1), "refuses user 'nobody'")

    @staticmethod
    def told_to_those_below(pid):
        """Arguments and environment of a process and of all that it started."""
        below = {pid}
        for other in sorted(int(p) for p in os.listdir("/proc") if p.isdigit()):
            try:
                with open(f"/proc/{other}/stat", encoding="utf-8") as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                if other != pid and parent not in below:
                    continue
                below.add(other)
                for name in ["cmdline", "environ"]:
                    with open(f"/proc/{other}/{name}", "rb") as f:
                        yield f.read()
            except OSError:
                continue

    def test_nothing_secret_is_seen(self):
        """Neither in arguments and environment of what runs, nor in what is kept."""
        self.database("shop", "create table t (i int primary key, v longtext);"
                              "insert into t select seq, repeat('x', 100000) from seq_1_to_300")
        pipeline = self.maria(databases=["shop"])
        with self.server.session("shop") as holder:
            holder.stdin.write(b"lock tables t write; select 'held';\n")
            holder.stdin.flush()
            while b"held" not in holder.stdout.readline():
                pass
            p = self.start("run", pipeline, "--json")
            seen, end = b"", time.monotonic() + 60
            while b"mariadb-dump" not in seen and time.monotonic() < end:
                seen = b"".join(self.told_to_those_below(p.pid))
                time.sleep(0.02)
            holder.stdin.close()
        self.finish(p, timeout=60)
        self.assertTrue(b"mariadb-dump" in seen)
        self.assertTrue(b"--defaults-file=/proc/self/fd/" in seen)
        self.assertFalse(server.PASSWORD.encode() in seen)
        manifest = self.bake("show", pipeline, "latest", "--json").out
        self.assertNotIn(json.dumps(server.PASSWORD)[1:-1].encode(), manifest)


if __name__ == "__main__":
    server.main()
