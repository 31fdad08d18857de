#!/usr/bin/python3
"""Binary logs: closed ones are in the store after each run, byte for byte, once; and as they are
written by wal-receive."""
import os
import signal
import time

import server  # first: it knows where the others are


class Logs(server.MariaBench):

    options = ("--max-binlog-size=4096",)

    def setUp(self):
        super().setUp()
        self.server.sql("reset master")
        self.database("shop", "create table t (i int auto_increment primary key, v varchar(500))")

    def write_some(self, rows=40):
        """More than one log's worth."""
        self.server.sql("".join(f"insert into t (v) values (repeat('{i % 10}', 300));" for i in range(rows)), "shop")

    def logs(self):
        return [line.split("\t")[0] for line in self.server.sql("show binary logs").split("\n")]

    def stored(self, stream=None):
        """name -> file in the store."""
        root = self.path("store", "wal")
        out = {}
        for folder, _, files in os.walk(root):
            for name in files:
                if "binlog." in name:
                    self.assertTrue(stream is None or f"/{stream}" in folder, folder)
                    out[name[name.index("binlog."):].split(".zst")[0][:13]] = os.path.join(folder, name)
        return out

    def fetch(self, pipeline, name, stream):
        path = self.path("fetched")
        self.bake("wal-fetch", pipeline, name, path, "--stream", stream)
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        return data

    def on_server(self, name):
        with open(os.path.join(self.server.data, name), "rb") as f:
            return f.read()

    def test_pulled_at_the_end_of_a_run(self):
        self.pulled()

    def pulled(self):
        self.write_some()
        first = self.logs()[-1]
        self.assertGreater(len(self.logs()), 2)
        pipeline = self.maria(databases=["shop"], users=False)
        self.write_some()
        self.run_json(pipeline)
        facts = self.facts(pipeline, "db/shop.sql")
        wal = facts["wal"]
        self.assertEqual(wal["from"], facts["binlog"]["file"])
        self.assertGreaterEqual(wal["from"], first)
        self.assertRegex(wal["stream"], "^mariadb-[0-9a-f]{16}$")
        self.assertRegex(wal["end"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        # from the dump's own on, up to one that was closed for this
        stored = self.stored(wal["stream"])
        self.assertEqual(sorted(stored), [n for n in self.logs()[:-1] if n >= wal["from"]])
        self.assertIn(wal["from"], stored)
        for name in stored:
            self.assertEqual(self.fetch(pipeline, name, wal["stream"]), self.on_server(name), name)
        # what is there is not taken again, what is new is
        before = {name: os.stat(path).st_mtime_ns for name, path in stored.items()}
        self.write_some()
        self.run_json(pipeline)
        again = self.stored()
        self.assertEqual(sorted(again), [n for n in self.logs()[:-1] if n >= wal["from"]])
        for name, time_ns in before.items():
            self.assertEqual(os.stat(again[name]).st_mtime_ns, time_ns)
        self.assertEqual(os.listdir(self.path("tmp")), [])
        return pipeline, wal

    def test_gaps_are_named(self):
        pipeline, _ = self.pulled()
        self.write_some(80)
        last = self.logs()[-1]

        def purged():  # not what somebody still reads
            self.server.sql(f"purge binary logs to '{last}'")
            return self.logs()[0] == last
        self.wait(purged)
        result = self.run_json(pipeline)
        self.assert_says(result, "the server has removed binary logs that are not in the store")

    def test_numbers_that_begin_anew(self):
        pipeline, _ = self.pulled()
        self.server.sql("reset master")
        self.write_some(300)
        result = self.run_json(pipeline, code=(1, 3))
        self.assert_says(result, "is in the store already, with other bytes", "RESET MASTER")

    def test_not_wanted(self):
        pipeline = self.maria(databases=["shop"], users=False, binlogs="false")
        self.run_json(pipeline)
        self.assertEqual(self.stored(), {})
        self.assertNotIn("wal", self.facts(pipeline, "db/shop.sql"))

    def test_server_without(self):
        mine = server.Server(binlog=False)
        self.addCleanup(mine.remove)
        mine.start()
        self.database("shop", "create table t (i int)", server=mine)
        pipeline = self.maria(server=mine, databases=["shop"], users=False)
        self.run_json(pipeline)
        self.assertEqual(self.stored(), {})
        self.assertNotIn("wal", self.facts(pipeline, "db/shop.sql"))
        result = self.run_json(self.maria(server=mine, databases=["shop"], binlogs="true"), code=1)
        self.assert_says(result, "writes no binary logs")

    # ---- as they are written ------------------------------------------------------------------

    def wait(self, what, seconds=40):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def test_received(self):
        mine = server.Server("--max-binlog-size=4096")
        self.addCleanup(mine.remove)
        mine.start()
        self.server = mine
        self.database("shop", "create table t (i int auto_increment primary key, v varchar(500))", server=mine)
        pipeline = self.maria(databases=["shop"], users=False)
        self.run_json(pipeline)
        stream = self.facts(pipeline, "db/shop.sql")["wal"]["stream"]
        p = self.start("wal-receive", pipeline, "--json")
        try:
            self.write_some()
            self.wait(lambda: sorted(self.stored())[-1:] == self.logs()[-2:-1])
            # the server goes and comes back
            mine.stop()
            time.sleep(1)
            mine.start()
            self.write_some()
            self.wait(lambda: sorted(self.stored())[-1:] == self.logs()[-2:-1])
            self.assertIsNone(p.poll())
        finally:
            p.send_signal(signal.SIGTERM)
            result = self.finish(p, timeout=30)
        self.assertIn(result.code, (0, 130, 143), str(result))
        self.assert_says(result)
        stored = self.stored()
        self.assertEqual(sorted(stored), [n for n in self.logs()[:-1] if n >= min(stored)])
        for name in stored:
            self.assertEqual(self.fetch(pipeline, name, stream), self.on_server(name), name)
        # and a run finds them there
        self.run_json(pipeline)

    def test_received_without_binlogs(self):
        mine = server.Server(binlog=False)
        self.addCleanup(mine.remove)
        mine.start()
        result = self.bake("wal-receive", self.maria(server=mine), code=None)
        self.assertNotEqual(result.code, 0)
        self.assert_says(result, "binary logs")


if __name__ == "__main__":
    server.main()
