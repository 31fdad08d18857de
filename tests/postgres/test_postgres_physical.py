"""Base backups: what is read is what the server has, what comes back starts and holds the same."""
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import server as kit  # noqa: E402
from server import bake  # noqa: E402

FILL = """
create table accounts (id int primary key, owner text, balance bigint);
insert into accounts select g, 'owner ' || g, 100 from generate_series(1, 2000) g;
create table notes (id serial, body text, raw bytea) tablespace fast;
insert into notes (body, raw) select repeat(md5(g::text), 20), decode(md5(g::text), 'hex')
  from generate_series(1, 3000) g;
create index on notes (body) tablespace "slow disk";
create table empty (id int) tablespace "slow disk";
select lo_from_bytea(0, decode(repeat('c0ffee', 5000), 'hex'));
"""
SEEN = """
select sum(balance), count(*), md5(string_agg(owner, ',' order by id)) from accounts;
select count(*), md5(string_agg(body || encode(raw, 'hex'), ',' order by id)) from notes;
select md5(string_agg(encode(data, 'hex'), '' order by loid, pageno)) from pg_largeobject;
select count(*) from empty;
"""


class Cut(threading.Thread):
    """Stands between client and server, and breaks off once so many bytes have come from it."""

    def __init__(self, port, most, then=None):
        super().__init__(daemon=True)
        self.to, self.most, self.then = port, most, then
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as upstream:
            threading.Thread(target=self.copy, args=(client, upstream, None), daemon=True).start()
            self.copy(upstream, client, self.most)

    def copy(self, source, to, most):
        done = 0
        try:
            while data := source.recv(65536):
                done += len(data)
                if most is not None and done > most:
                    if self.then:
                        self.then()
                    break
                to.sendall(data)
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class Physical(kit.PostgresBench):
    conf = ["wal_level = replica", "max_wal_senders = 6", "full_page_writes = on"]
    init = ["--data-checksums", "--wal-segsize=1"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.places = {name: cls.place(name) for name in ("fast", "slow disk")}
        cls.server.sql("create database shop")
        cls.server.sql(FILL, "shop")
        cls.seen = cls.server.sql(SEEN, "shop")

    @classmethod
    def place(cls, name):
        where = os.path.join(cls.server.folder, name)
        os.mkdir(where, 0o700)
        cls.server.give(where)
        cls.server.sql(f"create tablespace \"{name}\" location '{where}'")
        return where

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("drills"))
        os.chmod(self.path("drills"), 0o755)

    def physical(self, name="t", format="repository", server=None, tcp=False, more=None, **options):
        options = {"mode": "physical", "scratch": self.path("drills"), **options}
        return self.pg_pipeline(name, format, server, more, tcp, **options)

    def facts(self, pipeline, id="latest"):
        shown = json.loads(self.bake("show", pipeline, id, "--json").out)
        return [c for c in shown["components"] if c["name"] == "db/base"][0]["facts"]

    def restored(self, data, **settings):
        """A server started on a restored data directory."""
        again = self.another(data=data)
        again.start(archive_mode="off", **settings)
        return again

    def leftovers(self):
        return os.listdir(self.path("drills"))

    def mapping(self):
        to = {old: self.path(f"ts {i}") for i, old in enumerate(self.places.values())}
        return to, [f"{old}={new}" for old, new in to.items()]

    # ---- there and back -------------------------------------------------------------------------

    def round_trip(self, format):
        to, mapping = self.mapping()
        data = self.path("again")
        p = self.physical(format=format, data_directory=data, tablespaces=mapping)
        done = self.run_json(p)
        self.assertEqual(done.summary["status"], "ok", str(done))
        facts = self.facts(p)
        self.assertEqual(sorted(facts["tablespaces"].values()), sorted(self.places.values()))
        self.assertEqual(facts["timeline"], 1)
        self.assertTrue(facts["data_checksums"])
        self.assertFalse(facts["replica"])
        self.assertEqual(facts["segment_size"], 1 << 20)
        self.assertEqual(facts["wal"]["stream"], facts["system_identifier"])
        self.assertRegex(facts["wal"]["from"], "^00000001/00000001[0-9A-F]{16}$")
        self.assertRegex(facts["wal"]["end"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

        self.bake("restore", p)
        self.assertEqual(os.stat(data).st_mode & 0o7777, 0o700)
        if bake.ROOT:
            self.assertEqual(os.stat(data).st_uid, pwd.getpwnam(kit.OWNER).pw_uid)
        links = {os.readlink(e.path) for e in os.scandir(os.path.join(data, "pg_tblspc"))}
        self.assertEqual(links, set(to.values()))
        self.check_files(data)
        self.assertEqual(self.names_of_ours(self.work), [])
        again = self.restored(data)
        self.assertEqual(again.sql(SEEN, "shop"), self.seen)
        again.sql("vacuum full notes; insert into notes (body) values ('new')", "shop")
        again.stop()
        self.assertEqual(self.server.sql(SEEN, "shop"), self.seen)

    def test_round_trip(self):
        self.round_trip("repository")

    def test_round_trip_archive(self):
        self.round_trip("archive")

    def check_files(self, data):
        done = subprocess.run([kit.tool("pg_verifybackup"), data], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def names_of_ours(self, root):
        return [n for _, dirs, _ in os.walk(root) for n in dirs if "bakengine-" in n]

    def test_plain_files(self):
        """restore --target needs no plugin, and what it makes is a data directory."""
        p = self.physical()
        self.run_json(p)
        self.bake("restore", p, "--target", self.path("plain"))
        data = self.path("plain", "db", "base")
        if not os.path.isdir(data):
            data = [d for d, _, files in os.walk(self.path("plain")) if "PG_VERSION" in files][0]
        self.check_files(data)
        for folder, dirs, files in os.walk(data):
            for name in ["."] + dirs + files:
                self.server.give(os.path.join(folder, name))
        for folder in (self.path("plain"), os.path.dirname(data)):
            os.chmod(folder, 0o755)
        again = self.restored(data, allow_in_place_tablespaces="on")
        self.assertEqual(again.sql(SEEN, "shop"), self.seen)

    def test_second_run_shares(self):
        p = self.physical()
        first = self.run_json(p)
        second = self.run_json(p)
        self.assertEqual(second.summary["status"], "ok")
        self.assertLess(second.summary["bytes_stored"], first.summary["bytes_stored"] / 4,
                        "an unchanged server costs little more")

    def test_load(self):
        """Transfers go on while the files are read: what is restored is one moment."""
        stop = threading.Event()

        def transfer():
            with self.server.session("shop") as s:
                i = 0
                while not stop.is_set():
                    i += 1
                    s.do(f"begin; update accounts set balance = balance - 7 where id = {i % 2000 + 1};"
                         f" update accounts set balance = balance + 7 where id = {(i * 7) % 2000 + 1};"
                         f" commit;")

        threads = [threading.Thread(target=transfer) for _ in range(2)]
        for t in threads:
            t.start()
        try:
            p = self.physical(data_directory=self.path("again"), tablespaces=self.mapping()[1])
            self.run_json(p)
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.bake("restore", p)
        again = self.restored(self.path("again"))
        self.assertEqual(again.sql("select sum(balance), count(*) from accounts", "shop"), "200000|2000")
        self.bake("verify", p, "--level", "restore")
        self.server.sql("update accounts set balance = 100", "shop")

    def test_standby(self):
        twin = self.another(init=self.init)
        kit.shutil.rmtree(twin.data)
        maps = [a for i, old in enumerate(self.places.values())
                for a in ("-T", f"{old}={os.path.join(twin.folder, f'ts{i}')}")]
        self.server.backup(twin.data, "-R", "-X", "stream", *maps)
        twin.start()
        p = self.physical(server=twin, data_directory=self.path("again"),
                          tablespaces=[f"{os.path.join(twin.folder, f'ts{i}')}={self.path(f'ts{i}')}"
                                       for i in range(2)])
        self.run_json(p)
        self.assertTrue(self.facts(p)["replica"])
        self.bake("verify", p, "--level", "restore")
        self.bake("restore", p)
        self.assertFalse(os.path.exists(self.path("again", "standby.signal")))
        again = self.restored(self.path("again"))
        self.assertEqual(again.sql("select pg_is_in_recovery()"), "f")
        self.assertEqual(again.sql(SEEN, "shop"), self.seen)

    # ---- proofs ---------------------------------------------------------------------------------

    def test_drill(self):
        p = self.physical(check=["shop: select count(*) = 2000 from accounts",
                                 "postgres: select true"])
        self.run_json(p)
        done = self.bake("verify", p, "--level", "restore", "--json")
        drill = done.of("drill")[0]
        self.assertEqual(drill["result"], "ok", str(done))
        self.assertTrue(drill["facts"]["pg_verifybackup"])
        self.assertEqual([c["ok"] for c in drill["facts"]["checks"]], [True, True])
        self.assertEqual(drill["facts"]["databases"], 3)
        self.assertEqual(self.leftovers(), [])
        self.assertEqual(len(self.processes()), 0)

    def processes(self):
        """Of throw-away servers: they work in their data directory."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.work):
                    found.append(pid)
            except OSError:
                pass
        return found

    def test_drill_fails(self):
        p = self.physical(check=["shop: select count(*) = 1999 from accounts",
                                 "shop: select no_such_column from accounts",
                                 "nothere: select 1", "shop: select null"])
        self.run_json(p)
        done = self.bake("verify", p, "--level", "restore", "--json", code=4)
        self.assertIn("select count(*) = 1999", done.text)
        self.assertEqual(self.leftovers(), [])
        self.assertEqual(self.processes(), [])
        shown = json.loads(self.bake("list", p, "--json").out)
        self.assertIn("failed", json.dumps(shown))

    def test_drill_killed(self):
        """What a drill starts goes, though the engine be killed."""
        p = self.physical(check=["shop: select pg_sleep(60) is not null"])
        self.run_json(p)
        running = self.start("verify", p, "--level", "restore")
        self.wait_until(lambda: any("SELECT" in self.command(pid) for pid in self.processes()), 60)
        running.send_signal(signal.SIGKILL)
        self.finish(running)
        self.wait_until(lambda: not self.processes(), 60)
        self.wait_until(lambda: not self.leftovers(), 60)

    def command(self, pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f.read().decode(errors="replace")
        except OSError:
            return ""

    def wait_until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it takes too long")
            time.sleep(0.1)

    def test_tablespace_in_the_log(self):
        """A drill never replays what would write to where the server's own tablespaces are."""
        p = self.physical()
        gate = threading.Event()

        def make():
            n = 0
            while not gate.is_set():
                n += 1
                where = self.place(f"made_{n}")
                self.server.sql(f"drop tablespace made_{n}")
                os.rmdir(where)

        thread = threading.Thread(target=make)
        thread.start()
        try:
            self.run_json(p)
        finally:
            gate.set()
            thread.join()
        done = self.bake("verify", p, "--level", "restore", code=4)
        self.assertIn("tablespace was made while this backup was", done.text)
        self.assertEqual(self.leftovers(), [])

    def test_damage(self):
        p = self.physical(format="archive")
        self.run_json(p)
        self.bake("verify", p, "--level", "read")
        stored = [os.path.join(d, f) for d, _, files in os.walk(self.work) for f in files
                  if ".tar" in f]
        self.assertEqual(len(stored), 1)
        with open(stored[0], "r+b") as f:
            f.seek(os.path.getsize(stored[0]) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 0x40]))
        self.bake("verify", p, "--level", "read", code=4)
        self.bake("verify", p, "--level", "restore", code=4)
        self.assertEqual(self.leftovers(), [])

    # ---- refusals -------------------------------------------------------------------------------

    def test_refusals(self):
        data = self.path("again")
        mapping = self.mapping()[1]
        p = self.physical(data_directory=data, tablespaces=mapping)
        self.run_json(p)
        os.makedirs(data)
        self.write(f"{data}/mine", b"keep me")
        self.assertIn("is not empty", self.bake("restore", p, code=1).text)
        with open(f"{data}/mine", "rb") as f:
            self.assertEqual(f.read(), b"keep me")

        def refused(words, **options):
            q = self.physical(**{"data_directory": data, "tablespaces": mapping, **options})
            said = self.bake("restore", q, "--force", code=1).text
            self.assertIn(words, said)
            self.assertEqual(sorted(os.listdir(data)), ["mine"])
            self.assertEqual(self.names_of_ours(self.work), [])

        # the tablespaces of the server that runs are never touched, whatever is forced
        refused("is not empty", tablespaces=[])
        self.assertEqual(self.server.sql(SEEN, "shop"), self.seen)
        refused("a server is running in", data_directory=self.server.data)
        first = mapping[0].rpartition("=")[0]
        refused("one lies in the other", tablespaces=[f"{first}={data}/in", mapping[1]])
        refused("no user", owner="nobody-of-this-name") if bake.ROOT else None
        q = self.physical(name="t", tablespaces=mapping)
        self.assertIn("data_directory", self.bake("restore", q, code=1).text)
        p = self.physical(data_directory=data, tablespaces=mapping)
        self.bake("restore", p, "--dry-run", "--force")
        self.assertEqual(sorted(os.listdir(data)), ["mine"])

    def test_force(self):
        """With --force the old directory goes once the new one is in its place, its tablespaces too."""
        data = self.path("again")
        p = self.physical(data_directory=data, tablespaces=self.mapping()[1])
        self.run_json(p)
        self.bake("restore", p)
        again = self.restored(data)
        again.sql("delete from notes; drop table accounts", "shop")
        self.assertIn("a server is running", self.bake("restore", p, "--force", code=1).text)
        again.stop()
        self.bake("restore", p, code=1)
        self.bake("restore", p, "--force")
        self.assertEqual(self.names_of_ours(self.work), [])
        self.assertEqual(self.restored(data).sql(SEEN, "shop"), self.seen)

    def test_restore_killed(self):
        """A restore that is killed leaves the old directory as it was."""
        data = self.path("again")
        p = self.physical(data_directory=data, tablespaces=self.mapping()[1])
        self.run_json(p)
        self.bake("restore", p)
        self.write(f"{data}/mine", b"old")
        for wait in (0.05, 0.15, 0.3, 0.5, 0.7) if bake.LONG else (0.1, 0.3, 0.6):
            running = self.start("restore", p, "--force")
            time.sleep(wait)
            running.send_signal(signal.SIGKILL)
            code = self.finish(running).code
            self.wait_until(lambda: not self.names_of_ours(self.work), 30)
            self.check_files_there(data)
            if code == 0:
                break
        self.bake("restore", p, "--force")
        self.assertFalse(os.path.exists(f"{data}/mine"))
        self.assertEqual(self.restored(data).sql(SEEN, "shop"), self.seen)

    def check_files_there(self, data):
        self.assertTrue(os.path.exists(f"{data}/global/pg_control"))
        for link in os.scandir(os.path.join(data, "pg_tblspc")):
            names = os.listdir(link.path)
            self.assertEqual(len([n for n in names if n.startswith("PG_")]), 1, names)

    # ---- what goes wrong while reading ----------------------------------------------------------

    def test_connection_lost(self):
        size = int(self.server.sql("select sum(pg_database_size(oid)) from pg_database"))
        for part in (0.02, 0.5, 0.95):
            cut = Cut(self.server.port, int(size * part))
            self.addCleanup(cut.close)
            p = self.physical(name=f"cut{int(part * 100)}", tcp=True, sslmode="disable")
            with open(p, encoding="utf-8") as f:
                body = json.load(f)
            body["sources"][0]["port"] = cut.port
            body["sinks"][0]["path"] = self.path(f"store{int(part * 100)}")
            with open(p, "w", encoding="utf-8") as f:
                json.dump(body, f)
            done = self.run_json(p, code=(1, 3))
            self.assertNotEqual(done.summary["status"], "ok", str(done))
            self.assertFalse([b for b in self.backups(p) if b.get("status") in ("good", "ok")])
            cut.close()

    def test_server_killed(self):
        other = self.another(conf=self.conf)
        other.start()
        other.sql("create table t as select g, repeat(md5(g::text), 8) from generate_series(1, 60000) g")
        cut = Cut(other.port, 9 << 20, then=other.kill)
        self.addCleanup(cut.close)
        options = other.options(tcp=True, mode="physical", scratch=self.path("drills"), sslmode="disable")
        options["port"] = cut.port
        p = self.pipeline({"db": options}, store={"format": "repository"})
        self.run_json(p, code=(1, 3))
        self.assertFalse([b for b in self.backups(p) if b.get("status") == "good"])

    def test_no_right(self):
        self.server.sql("create role plain login password 'x'")
        self.addCleanup(self.server.sql, "drop role plain")
        p = self.physical(user="plain", password_file=self.write("pw", b"x", 0o600))
        done = self.run_json(p, code=(1, 3))
        self.assertTrue(re.search("replication|permission", done.text), str(done))

    def test_replication_role(self):
        """REPLICATION and LOGIN are enough."""
        self.server.sql("create role copier login replication password 'c'")
        self.addCleanup(self.server.sql, "drop role copier")
        p = self.physical(user="copier", password_file=self.write("pw", b"c", 0o600))
        self.run_json(p)
        self.bake("verify", p, "--level", "restore")


if __name__ == "__main__":
    kit.main()
