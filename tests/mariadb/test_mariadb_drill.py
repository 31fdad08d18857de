#!/usr/bin/python3
"""Drills: everything into a server that is thrown away, counted, asked, gone."""
import json
import os
import signal
import subprocess
import time

import server  # first: it knows where the others are
from server import quoted

HARD = os.path.join(server.HERE, "hard.sql")


class Drill(server.MariaBench):

    def drill(self, pipeline, *args, code=0):
        return self.bake("verify", pipeline, "latest", "--level", "restore", "--json", *args, code=code)

    def nothing_left(self):
        self.assertEqual(os.listdir(self.path("tmp")), [])
        done = subprocess.run(["pgrep", "-f", f"datadir={self.work}"], capture_output=True)
        self.assertEqual(done.stdout, b"")

    def facts_of(self, result):
        """What the drill found."""
        found = [e["facts"] for e in result.events if "server" in e.get("facts", {})]
        self.assertEqual(len(found), 1, str(result))
        return found[0]

    def test_dumps(self):
        self.database("hard")
        self.server.load(HARD, "hard")
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2);"
                              "create view v as select t.i, p.id from t, hard.plain p")
        self.server.sql("create user if not exists ann@'%' identified by 'one'; grant select on shop.t to ann@'%'")
        self.addCleanup(self.server.sql, "drop user ann@'%'")
        checks = ["shop: SELECT COUNT(*) = 2 FROM t", "hard: SELECT MAX(n) FROM v_high", "shop: SELECT COUNT(*) FROM v"]
        pipeline = self.maria(databases=["hard", "shop"], check=checks)
        self.run_json(pipeline)
        facts = self.facts_of(self.drill(pipeline))
        counts = {**self.server.counts("hard"), **self.server.counts("shop")}
        self.assertEqual((facts["tables"], facts["rows"]), (len(counts), sum(counts.values())))
        self.assertEqual([(c["statement"], c["ok"]) for c in facts["checks"]], [(c, True) for c in checks])
        self.assertIn(facts["server"], self.server.value("select version()"))
        self.assertGreater(facts["seconds"], 0)
        self.nothing_left()
        # a check that does not hold, and one that cannot be asked
        bad = {"shop: SELECT COUNT(*) > 2 FROM t": "it yields 0", "shop: SELECT NULL": "it yields NULL",
               "shop: SELECT 1 FROM t WHERE i > 7": "it yields no rows", "shop: SELECT oops": "oops",
               "gone: SELECT 1": "there is no such database"}
        pipeline = self.maria(databases=["hard", "shop"], check=[*bad, *checks])
        result = self.drill(pipeline, code=4)
        self.assert_says(result, "a check does not hold", "it yields 0; and others")
        asked = self.facts_of(result)["checks"]
        self.assertEqual([(c["statement"], c["ok"]) for c in asked],
                         [(c, False) for c in bad] + [(c, True) for c in checks])
        for found, says in zip(asked, bad.values()):
            self.assertIn(says, found["error"])
        self.nothing_left()

    def test_tools_and_room(self):
        self.database("shop", "create table t (i int primary key); insert into t values (1)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        tools = self.path("bin")
        os.mkdir(tools)
        for missing in ["mariadbd", "mariadb-install-db"]:
            for name in ["mariadb", "mariadbd", "mariadb-install-db"]:
                if os.path.lexists(f"{tools}/{name}"):
                    os.remove(f"{tools}/{name}")
                if name != missing:
                    os.symlink(server.tool(name), f"{tools}/{name}")
            pipeline = self.maria(databases=["shop"], users=False, bin=tools)
            self.assert_says(self.drill(pipeline, code=1), f"there is no '{missing}'", "mariadb-server")
        small = self.path("small")
        self.mount(small, "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs")
        pipeline = self.maria(databases=["shop"], users=False, scratch=small)
        self.assert_says(self.drill(pipeline, code=1), "MiB")
        self.assertEqual(os.listdir(small), [])
        self.nothing_left()

    def test_killed(self):
        """The server goes with us, and the next verb removes what is left."""
        self.database("shop", "create table t (i int primary key); insert into t values (1)")
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        p = self.start("verify", pipeline, "latest", "--level", "restore", "--json")
        end = time.monotonic() + 60
        socket = None
        while not socket and time.monotonic() < end:
            for name in os.listdir(self.path("tmp")):
                if os.path.exists(self.path("tmp", name, "s")):
                    socket = name
            time.sleep(0.02)
        self.assertTrue(socket)
        p.send_signal(signal.SIGKILL)
        self.finish(p, timeout=60)
        self.bake("run", pipeline, "--json")
        self.nothing_left()

    def test_copies(self):
        self.database("shop", "create table t (i int primary key); insert into t values (1), (2)")
        check = "shop: SELECT COUNT(*) = 2 FROM t"
        pipeline = self.maria(mode="physical", check=[check])
        self.run_json(pipeline)
        self.server.sql("insert into t values (3)", "shop")
        facts = self.facts_of(self.drill(pipeline))
        self.assertEqual(facts["checks"], [{"statement": check, "ok": True}])
        self.assertGreaterEqual(facts["tables"], 1)
        self.nothing_left()
        pipeline = self.maria(mode="physical", check=["shop: SELECT COUNT(*) = 3 FROM t"])
        self.assert_says(self.drill(pipeline, code=4), "a check does not hold")
        self.nothing_left()


if __name__ == "__main__":
    server.main()
