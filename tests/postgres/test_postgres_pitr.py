"""Points in time: the log is stored by archive_command or by the receiver, and brings a restored server
to the very moment that was asked for."""
import glob
import json
import os
import shlex
import signal
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import server as kit  # noqa: E402
from server import bake  # noqa: E402

NOW = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


class Pitr(bake.Bench):
    """Everything runs as the server's user, as archive_command and restore_command do."""

    conf = ["wal_level = replica", "max_wal_senders = 6", "full_page_writes = on"]
    init = ["--wal-segsize=1"]

    def setUp(self):
        super().setUp()
        self.secret = self.write("secret", kit.PASSWORD.encode(), 0o600)
        for path in (self.work, self.secret):
            if kit.user_ids():
                os.chown(path, *kit.user_ids())
        self.env["HOME"] = self.work
        for name in [k for k in self.env if k.startswith("PG")]:
            del self.env[name]
        for name in ("BAKENGINE_STATE_DIR", "BAKENGINE_CACHE_DIR"):
            os.environ[name] = self.env[name]  # the servers' commands inherit it
            self.addCleanup(os.environ.pop, name, None)

    def start(self, *args, **more):
        return super().start(*args, **kit.as_owner(), **more)

    def physical(self, server, **options):
        """The pipeline; it is written anew with other options under the same name."""
        options = {"mode": "physical", "scratch": self.work, "password_file": self.secret, **options}
        return self.pipeline({"db": server.options(**options)}, store={"format": "repository"})

    def archiving(self, pipeline):
        command = " ".join(map(shlex.quote, [bake.binary(), "wal-push", pipeline])) + ' "%p"'
        return ["archive_mode = on", f"archive_command = '{command}'"]

    def server(self, conf=(), **options):
        server = kit.Server(conf=[*self.conf, *conf], init=self.init, **options)
        self.addCleanup(server.remove)
        return server

    def archived_server(self):
        server = self.server(self.archiving(self.path("t.yaml")))
        server.start()
        p = self.physical(server)
        server.sql("create table t (id serial, what text)")
        return server, p

    def row(self, server, what):
        """Inserts; the moment after it."""
        server.sql(f"insert into t (what) values ('{what}')")
        time.sleep(0.03)
        now = server.sql(NOW)
        time.sleep(0.03)
        return now

    def flush(self, server, seconds=40):
        """All of the log is in the store."""
        last = server.sql("select pg_walfile_name(pg_switch_wal())")
        self.wait_until(lambda: (server.sql("select last_archived_wal from pg_stat_archiver") or "") >= last,
                        seconds, server.log)

    def wait_until(self, condition, seconds, why=lambda: ""):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"it takes too long\n{why()}")
            time.sleep(0.1)

    def restore(self, server, name, at=None, code=0, **options):
        p = self.physical(server, data_directory=self.path(name), **options)
        args = ["--at", at] if at else []
        return self.bake("restore", p, *args, code=code)

    def restored(self, name, *conf):
        """A server on what was restored, once it has recovered."""
        again = self.server([*conf] or ["archive_mode = off"], data=self.path(name))
        again.start()
        self.wait_until(lambda: again.sql("select pg_is_in_recovery()") == "f", 60, again.log)
        return again

    def does_not_start(self, name, words):
        """Its recovery ends it, though it may have answered before."""
        again = self.server(["archive_mode = off"], data=self.path(name))
        try:
            again.start()
            again.process.wait(60)
        except AssertionError:
            pass
        self.assertIsNotNone(again.process.poll(), again.log())
        self.assertIn(words, again.log())

    def rows(self, server):
        return server.sql("select string_agg(what, ' ' order by id) from t")

    def segments(self):
        return sorted(os.path.basename(f) for f in glob.glob(self.path("store", "wal", "*", "*", "*")))

    # ---- archive_command ------------------------------------------------------------------------

    def test_moments(self):
        """Back to any moment since the backup, then on, and back again across the fork."""
        server, p = self.archived_server()
        self.row(server, "before")
        self.run_json(p)
        first = self.row(server, "one")
        second = self.row(server, "two")
        self.row(server, "three")
        self.flush(server)

        self.restore(server, "a", first)
        a = self.restored("a", *self.archiving(p))
        self.assertEqual(self.rows(a), "before one")
        self.assertEqual(a.sql("select timeline_id from pg_control_checkpoint()"), "2")
        on = self.row(a, "four")
        self.row(a, "five")
        self.flush(a)
        self.assertIn("00000002.history", self.segments())
        q = self.physical(a, check=["postgres: select count(*) = 4 from t"])
        self.run_json(q)  # a backup of the newer timeline, and its proof
        self.bake("verify", q, "--level", "restore")
        a.stop()

        # the newer timeline is followed: what the older one held after the fork is not there
        self.restore(server, "b", on)
        b = self.restored("b")
        self.assertEqual(self.rows(b), "before one four")
        self.assertEqual(b.sql("select timeline_id from pg_control_checkpoint()"), "3")
        # the server itself has gone on meanwhile, on its own timeline
        self.assertEqual(self.rows(server), "before one two three")
        self.bake("verify", p)
        self.assertLess(first, second)

    def test_to_the_end(self):
        """A moment that is still to come: all the log there is."""
        server, p = self.archived_server()
        self.run_json(p)
        self.row(server, "one")
        self.row(server, "two")
        self.flush(server)
        self.row(server, "lost")
        server.kill()
        self.restore(server, "a", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)))
        self.assertEqual(self.rows(self.restored("a")), "one two")

    def test_without_a_moment(self):
        """What the backup holds by itself, without any log, ready to start."""
        server, p = self.archived_server()
        self.row(server, "one")
        self.run_json(p)
        self.row(server, "two")
        self.flush(server)
        done = self.restore(server, "a")
        self.assertIn("archive_command", done.text)
        self.assertFalse(os.path.exists(self.path("a", "recovery.signal")))
        self.assertEqual(self.rows(self.restored("a")), "one")

    def test_which_backup(self):
        """The newest backup that had ended by then; none before the first; a named one is not too new."""
        server, p = self.archived_server()
        early = self.row(server, "one")
        self.run_json(p)
        moment = self.row(server, "two")
        newer = self.run_json(p).summary
        self.row(server, "three")
        self.flush(server)
        self.restore(server, "a", moment)
        self.assertEqual(self.rows(self.restored("a")), "one two")
        self.restore(server, "b", early, code=(1, 10))
        p = self.physical(server, data_directory=self.path("c"))
        newest = self.backups(p)[-1]["id"]
        self.assertIn(newest.split("-")[0], "t")
        done = self.bake("restore", p, newest, "--at", moment, code=None)
        self.assertNotEqual(done.code, 0, str(done))
        self.assertFalse(os.path.exists(self.path("c")))
        self.assertTrue(newer)

    def test_old_settings(self):
        """Targets of an earlier recovery do not get in the way of this one's."""
        server, p = self.archived_server()
        server.sql("alter system set restore_command = 'false'")
        server.sql("alter system set recovery_target_name = 'nowhere'")
        server.sql("alter system set recovery_target_inclusive = off")
        server.sql("alter system set work_mem = '5MB'")
        self.run_json(p)
        moment = self.row(server, "one")
        self.row(server, "two")
        self.flush(server)
        self.restore(server, "a", moment)
        a = self.restored("a")
        self.assertEqual(self.rows(a), "one")
        self.assertEqual(a.sql("show work_mem"), "5MB")

    def test_gap(self):
        """A segment is missing: verify names it, and a server that was to go beyond does not start."""
        server, p = self.archived_server()
        self.run_json(p)
        before = self.row(server, "one")
        self.row(server, "two")
        self.flush(server)
        self.row(server, "three")
        self.flush(server)
        after = self.row(server, "four")
        self.row(server, "five")
        self.flush(server)
        self.bake("verify", p)
        names = self.segments()
        last_of_two = names[-2]
        for f in glob.glob(self.path("store", "wal", "*", "*", last_of_two)):
            os.remove(f)
        done = self.bake("verify", p, code=4)
        self.assertIn(last_of_two, done.text)
        self.restore(server, "a", before)
        self.assertEqual(self.rows(self.restored("a")), "one")
        self.restore(server, "b", after)
        self.does_not_start("b", "recovery ended before configured recovery target was reached")

    def test_damaged_segment(self):
        """Damage is not taken for the end of the log."""
        server, p = self.archived_server()
        self.run_json(p)
        self.row(server, "one")
        self.flush(server)
        self.row(server, "two")
        self.flush(server)
        last = glob.glob(self.path("store", "wal", "*", "*", self.segments()[-1]))[0]
        with open(last, "r+b") as f:
            f.seek(os.path.getsize(last) // 2)
            f.write(b"\x5a" * 64)
        future = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.restore(server, "a", future)
        self.does_not_start("a", "FATAL")
        self.bake("verify", p, "--level", "read", code=4)

    def test_drill_replays(self):
        """A drill goes on to the end of the log, and says how far that is."""
        server, p = self.archived_server()
        self.run_json(p)
        self.row(server, "one")
        two = self.row(server, "two")
        self.flush(server)
        p = self.physical(server, check=["postgres: select count(*) = 2 from t"])
        done = self.bake("verify", p, "--level", "restore", "--json")
        facts = done.of("drill")[0]["facts"]
        self.assertGreater(facts["logs"], 0)
        self.assertLess(facts["recovered_to"], two)
        self.assertGreater(facts["recovered_to"][:10], "2020")

    def test_drill_stops_at_tablespaces(self):
        """What the log would write outside of the throw-away server is not replayed."""
        server, p = self.archived_server()
        self.run_json(p)
        self.row(server, "one")
        self.flush(server)
        where = server.tablespace("space")
        server.sql("create table s tablespace space as select 1 as x")
        self.flush(server)
        seen = sorted(os.listdir(where))
        done = self.bake("verify", p, "--level", "restore", "--json")
        facts = done.of("drill")[0]["facts"]
        self.assertIn("logs_stopped", facts)
        self.assertIn("recovered_to", facts)
        self.assertEqual(sorted(os.listdir(where)), seen)
        self.assertEqual(server.sql("select * from s"), "1")

    # ---- the receiver ---------------------------------------------------------------------------

    def receiver(self, p):
        running = self.start("wal-receive", p)

        def end():
            if running.poll() is None:
                running.kill()
                running.wait()
        self.addCleanup(end)
        return running

    def received(self, server):
        """All of the log up to now is in the store."""
        last = server.sql("select pg_walfile_name(pg_switch_wal())")
        server.sql("insert into t (what) values (null)")  # so that the next segment begins
        self.wait_until(lambda: last in self.segments(), 60, server.log)

    def stop(self, running):
        running.send_signal(signal.SIGTERM)
        return self.finish(running, timeout=30)

    def test_receiver(self):
        """Killed, stopped, without a server for a while: nothing is missing."""
        server = self.server(["wal_keep_size = 0"])
        server.start()
        server.sql("create table t (id serial, what text)")
        p = self.physical(server, slot="bake_log")
        running = self.receiver(p)
        self.wait_until(lambda: server.sql("select count(*) from pg_replication_slots where active") == "1",
                        30, server.log)
        self.run_json(p)
        self.row(server, "one")
        self.received(server)

        running.kill()
        self.finish(running)
        self.row(server, "two")
        server.sql("select pg_switch_wal()")
        server.sql("checkpoint")
        self.row(server, "three")
        running = self.receiver(p)
        self.received(server)

        server.stop()
        server.start()
        moment = self.row(server, "four")
        self.row(server, "five")
        self.received(server)
        self.assertEqual(self.stop(running).code, 0)
        self.bake("verify", p)

        self.restore(server, "a", moment, slot="bake_log")
        self.assertEqual(self.rows(self.restored("a")), "one two three four")

    def keep(self, server, size):
        """How much of the log the server keeps for whoever asks."""
        server.sql(f"alter system set wal_keep_size = '{size}'")
        server.sql("select pg_reload_conf()")

    def test_receiver_without_slot(self):
        """It goes on behind what the store has; where the server has removed that, it says so."""
        server = self.server(["max_wal_size = 2MB", "min_wal_size = 2MB"])
        server.start()
        server.sql("create table t (id serial, what text)")
        self.keep(server, "64MB")
        p = self.physical(server)
        running = self.receiver(p)
        self.wait_until(lambda: server.sql("select count(*) from pg_stat_replication") == "1", 30,
                        server.log)
        self.run_json(p)
        self.row(server, "one")
        self.received(server)
        self.assertEqual(self.stop(running).code, 0)
        # without its spool: the store says where to go on
        for folder, _, files in os.walk(self.path("state")):
            for name in files:
                if len(name.split(".")[0]) == 24:
                    os.remove(os.path.join(folder, name))
        self.row(server, "two")
        running = self.receiver(p)
        self.received(server)
        self.assertEqual(self.stop(running).code, 0)
        self.bake("verify", p)

        self.keep(server, "0")
        for _ in range(12):
            self.row(server, "away")
            server.sql("select pg_switch_wal()")
            server.sql("checkpoint")
        self.keep(server, "64MB")
        running = self.receiver(p)
        self.wait_until(lambda: server.sql("select count(*) from pg_stat_replication where state = 'streaming'"
                                           " and backend_start < now() - interval '2 s'") == "1", 30, server.log)
        self.received(server)
        done = self.stop(running)
        self.assertIn("has removed the log", done.text)
        self.bake("verify", p, code=4)
        self.run_json(p)
        shown = json.loads(self.bake("list", p, "--json").out)
        self.assertEqual(len(shown["backups"]), 2)


if __name__ == "__main__":
    kit.main()
