#!/usr/bin/env python3
"""What can go wrong with a server, its tools and the disk: said, and never taken for a backup."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import server
from server import tool


class Bad(server.PostgresBench):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.sql("create database shop")
        cls.server.sql("create table t as select i, md5(i::text) as x from generate_series(1, 2000) i", "shop")

    def shop(self, **options):
        return self.pg_pipeline(databases=["shop"], globals=False, **options)

    @staticmethod
    def said(done):
        """All that was said, without what JSON puts before a quote."""
        return done.text.replace('\\"', '"')

    def failed(self, pipeline, *texts, code=1, **more):
        """Runs; the component fails with these words, and nothing is kept."""
        done = self.run_json(pipeline, code=code, **more)
        for text in texts:
            self.assertIn(text, self.said(done))
        self.assertNotIn(self.server.password, done.text)
        self.assertEqual([c for c in done.of("component") if c["status"] == "ok" and "shop" in c["name"]], [])
        return done

    def wrapper(self, text, *names):
        """A directory of tools where pg_dump (or names) is a script; `$real` in it is the real one."""
        folder = self.path("bin")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        for name in ["pg_dump", "pg_dumpall", "psql", "pg_restore"]:
            if name not in (names or ["pg_dump"]):
                os.symlink(tool(name), os.path.join(folder, name))
                continue
            path = self.write(os.path.join(folder, name), (
                f"#!/bin/bash\nreal={tool(name)}\n"
                f'if [ "$1" = --version ]; then exec $real --version; fi\n{text}\n').encode())
            os.chmod(path, 0o755)
        return folder

    def sessions(self):
        """What is left of ours at the server."""
        return self.server.sql("select count(*) from pg_stat_activity where application_name = 'bakengine'")

    # ---- getting in ---------------------------------------------------------------------------

    def test_wrong_password(self):
        wrong = self.write("wrong", b"not this one\n", 0o600)
        for tcp in [False, True]:
            p = self.shop(tcp=tcp, password_file=wrong)
            done = self.run_json(p, code=1)
            self.assertIn('password authentication failed for user "postgres"', self.said(done))
            self.assertIn("check 'user' and 'password'", done.text)
            self.assertNotIn("not this one", done.text)
            self.assertIn("password authentication failed", self.bake("validate", p, "--probe", code=None).text)
            self.assertNotEqual(self.bake("validate", p, "--probe", code=None).code, 0)

    def test_no_such_database_to_ask_in(self):
        p = self.shop(database="nowhere")
        self.assertIn('database "nowhere" does not exist', self.said(self.run_json(p, code=1)))

    def test_no_such_user(self):
        p = self.shop(user="nobody at all")
        self.assertIn("nobody at all", self.run_json(p, code=1).text)

    def test_no_server(self):
        p = self.shop(port=server.free_port())
        text = self.run_json(p, code=1).text
        self.assertIn("cannot connect to the server", text)
        self.assertIn("is the server running", text)
        p = self.shop(host="name.invalid", port=1)
        self.assertIn("cannot connect to the server", self.run_json(p, code=1).text)

    def test_a_server_that_says_nothing(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(8)
            p = self.shop(host="127.0.0.1", port=s.getsockname()[1], timeout="2s")
            begun = time.monotonic()
            self.assertIn("no answer within 2 seconds", self.run_json(p, code=1).text)
            self.assertLess(time.monotonic() - begun, 20)

    def test_a_server_that_is_none(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(8)

            def answer():
                while True:
                    try:
                        c, _ = s.accept()
                    except OSError:
                        return
                    with c:
                        c.recv(100)
                        c.sendall(b"HTTP/1.0 400 no\r\n\r\n")

            t = threading.Thread(target=answer, daemon=True)
            t.start()
            p = self.shop(host="127.0.0.1", port=s.getsockname()[1])
            self.assertIn("cannot connect to the server", self.run_json(p, code=1).text)
            s.shutdown(socket.SHUT_RDWR)

    def certificate(self, name, subject, ca=None):
        """Makes name.key and name.pem in the test's folder, signed by ca or by itself."""
        key, pem = self.path(name + ".key"), self.path(name + ".pem")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}",
               "-keyout", key]
        if ca is None:
            commands = [["req", "-x509", *new, "-days", "3", "-out", pem]]
        else:
            commands = [["req", *new, "-out", self.path("csr")],
                        ["x509", "-req", "-in", self.path("csr"), "-CA", self.path(ca + ".pem"), "-CAkey",
                         self.path(ca + ".key"), "-CAcreateserial", "-days", "3", "-out", pem]]
        for command in commands:
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        os.chmod(key, 0o600)
        return key, pem

    def test_tls(self):
        self.certificate("other", "other")
        _, ca = self.certificate("ca", "ca")
        settings = {}
        for option, file in zip(["ssl_key_file", "ssl_cert_file"], self.certificate("server", "localhost", "ca")):
            settings[option] = shutil.copy(file, self.server.folder)
            self.server.give(settings[option])
        settings["ssl_ca_file"] = shutil.copy(ca, self.server.folder)
        self.server.give(settings["ssl_ca_file"])
        required = self.shop(name="required", tcp=True, sslmode="require")
        self.assertIn("SSL", self.run_json(required, code=1).text)
        self.server.restart(ssl="on", **settings)
        self.addCleanup(self.server.restart)
        self.run_json(required)
        self.run_json(self.shop(host="localhost", sslmode="verify-full", sslrootcert=ca))
        self.run_json(self.shop(host="127.0.0.1", sslmode="verify-ca", sslrootcert=ca))
        for text, options in [
                ("does not match host name", {"host": "127.0.0.1", "sslrootcert": ca}),
                ("certificate verify failed", {"host": "localhost", "sslrootcert": self.path("other.pem")})]:
            self.assertIn(text, self.run_json(self.shop(sslmode="verify-full", **options), code=1).text)

        # who we are by a certificate, and no password at all
        hba = os.path.join(self.server.data, "pg_hba.conf")
        with open(hba, encoding="utf-8") as f:
            before = f.read()
        self.addCleanup(self.write, hba, before.encode())
        self.write(hba, ("hostssl all all all cert\n" + before).encode())
        self.server.sql("select pg_reload_conf()")
        key, pem = self.certificate("client", server.OWNER, "ca")
        nothing = self.write("nothing", b"wrong\n", 0o600)
        p = self.shop(name="client", host="localhost", sslmode="verify-full", sslrootcert=ca, sslcert=pem,
                      sslkey=key, password_file=nothing)
        end = time.monotonic() + 10
        while self.run_json(p, code=None).code != 0:
            self.assertLess(time.monotonic(), end)
        p = self.shop(name="none", host="localhost", sslmode="verify-full", sslrootcert=ca, password_file=nothing)
        self.assertIn("valid client certificate", self.run_json(p, code=1).text)

    def test_a_user_who_may_not_replicate(self):
        self.server.sql("create role plain login password 'x'; create role repl login replication password 'x'")
        self.addCleanup(self.server.sql, "drop role plain; drop role repl")
        secret = self.write("x", b"x\n", 0o600)
        p = self.pg_pipeline(mode="physical", user="plain", password_file=secret)
        said = self.said(self.bake("validate", p, "--probe", code=None))
        self.assertIn("user 'plain' may not make base backups", said)
        p = self.pg_pipeline(mode="physical", user="repl", password_file=secret)
        self.bake("validate", p, "--probe")

    # ---- tools --------------------------------------------------------------------------------

    def test_a_tool_is_missing(self):
        p = self.shop(bin=self.path("nothing"))
        os.mkdir(self.path("nothing"))
        self.failed(p, "there is no 'pg_dump' in", "install PostgreSQL's client programs")
        self.assertIn("there is no 'pg_dump'", self.bake("validate", p, "--probe", code=None).text)

    def test_a_tool_is_too_old(self):
        folder = self.wrapper("exit 1")
        path = self.write(os.path.join(folder, "pg_dump"),
                          b"#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
        self.assertTrue(os.stat(path).st_mode & stat.S_IXUSR)
        p = self.shop(bin=folder)
        self.failed(p, "is of version 9.6.24 and cannot work with a server of version 15",
                    "postgresql-client-15")
        self.assertIn("cannot work with a server of version", self.bake("validate", p, "--probe", code=None).text)

    def test_a_dump_that_ends_early_and_well(self):
        size = len(subprocess.run([tool("pg_dump"), "-d", "shop"], env=self.server.env(), capture_output=True,
                                  check=True).stdout)
        for n in [0, 1, 700, size // 2, size - 120]:
            folder = self.wrapper(f'$real "$@" | head -c {n}; exit 0')
            self.failed(self.shop(bin=folder), "ended as if all were well, but its dump is not whole")
        for n in [0, 200, 20000]:
            folder = self.wrapper(f'$real "$@" | head -c {n}; exit 0')
            self.failed(self.shop(bin=folder, format="custom"), "is not whole")
        folder = self.wrapper('$real "$@" | head -c 100; exit 0', "pg_dumpall")
        p = self.pg_pipeline(databases=["shop"], bin=folder)
        done = self.run_json(p, code=3)
        self.assertIn("'pg_dumpall' of 'globals' ended as if all were well", done.text)
        self.assertEqual({c["name"]: c["status"] for c in done.of("component")},
                         {"db/globals.sql": "failed", "db/shop.sql": "ok"})

    def test_a_dump_with_something_behind_it(self):
        folder = self.wrapper('$real "$@"; echo "\\! touch /tmp/x"; exit 0')
        self.failed(self.shop(bin=folder), "is not whole")

    def test_a_dump_that_fails_after_a_whole_one(self):
        folder = self.wrapper('$real "$@"; echo "pg_dump: error: late" >&2; exit 1')
        self.failed(self.shop(bin=folder), "'pg_dump' of 'shop' ended with exit status 1: error: late")
        folder = self.wrapper('$real "$@"; kill -9 $$')
        self.failed(self.shop(bin=folder), "'pg_dump' of 'shop' was ended by signal 9")

    def test_warnings_of_a_good_dump(self):
        folder = self.wrapper('echo "pg_dump: warning: something odd" >&2; for i in $(seq 100); do '
                              'printf "more \\e[31mred\\n" >&2; done; exec $real "$@"')
        done = self.run_json(self.shop(bin=folder))
        self.assertIn("'pg_dump' says: warning: something odd", done.text)
        self.assertNotIn("\x1b", done.text)
        self.assertIn("61 more lines", done.text)
        self.assertGreater(done.of("component")[0]["warnings"], 2)

    # ---- while it goes on ---------------------------------------------------------------------

    def test_a_locked_table(self):
        p = self.shop(lock_timeout="1s")
        with self.server.session("shop") as s:
            s.do("begin; lock table t")
            self.failed(p, "statement timeout", "raise 'lock_timeout'", "LOCK TABLE public.t")
        self.run_json(p)

    def test_a_dump_that_stands_still(self):
        p = self.shop(lock_timeout="0s", timeout="2s")
        with self.server.session("shop") as s:
            s.do("begin; lock table t")
            begun = time.monotonic()
            self.failed(p)
            self.assertLess(time.monotonic() - begun, 40)
            s.do("rollback")
        self.server.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'bakengine'")

    def test_cancelled(self):
        p = self.shop()
        with self.server.session("shop") as s:
            s.do("begin; lock table t")
            run = self.start("run", p, "--json")
            self.server.wait_for("select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock'")
            run.send_signal(signal.SIGINT)
            begun = time.monotonic()
            self.assertEqual(self.finish(run).code, 130)
            self.assertLess(time.monotonic() - begun, 15)
            self.server.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'bakengine'")
        self.assertEqual(self.backups(p), [])

    def test_the_engine_is_killed(self):
        p = self.shop()
        with self.server.session("shop") as s:
            s.do("begin; lock table t")
            run = self.start("run", p, "--json")
            self.server.wait_for("select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock'")
            run.kill()
            self.finish(run)
            s.do("commit")
        self.server.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'bakengine'")
        self.assertEqual(self.backups(p), [])
        self.run_json(p)

    def big(self):
        """A database whose dump does not fit into the pipes, and a pg_dump that waits in the middle."""
        self.database("big", "create table t as select i, repeat(md5(i::text), 20) as x "
                             "from generate_series(1, 30000) i")
        mark = self.path("mark")
        folder = self.wrapper('set -o pipefail\n$real "$@" | { head -c 300000; touch ' + mark +
                              '; while [ -e ' + mark + ' ]; do sleep 0.1; done; cat; }')
        return self.pg_pipeline(databases=["big"], globals=False, bin=folder), mark

    def wait_file(self, path):
        end = time.monotonic() + 30
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_the_server_is_killed_in_the_middle(self):
        p, mark = self.big()
        run = self.start("run", p, "--json")
        self.wait_file(mark)
        self.server.kill()
        try:
            os.remove(mark)
            done = self.finish(run)
        finally:
            self.server.start()
        self.assertEqual(done.code, 1, str(done))
        self.assertEqual([c["status"] for c in done.of("component")], ["failed"])
        self.assertIn("'pg_dump' of 'big' ended with exit status 1", done.text)
        self.assertIn("see the server's log", done.text)

    def test_the_session_is_ended_by_somebody(self):
        p, mark = self.big()
        run = self.start("run", p, "--json")
        self.wait_file(mark)
        self.server.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'big'")
        os.remove(mark)
        done = self.finish(run)
        self.assertEqual(done.code, 1, str(done))
        self.assertIn("server closed the connection", done.text)

    def test_the_database_is_gone_when_it_is_dumped(self):
        self.database("brief", "create table t as select 1")
        self.database("other", "create table t as select 1")
        folder = self.wrapper(f'case "$*" in *brief*) {tool("psql")} -d "dbname=postgres" -Xqc '
                              '"drop database brief with (force)" >/dev/null;; esac; exec $real "$@"')
        p = self.pg_pipeline(databases=["brief", "other"], globals=False, bin=folder)
        done = self.run_json(p, code=3)
        self.assertEqual({c["name"]: c["status"] for c in done.of("component")},
                         {"db/brief.sql": "failed", "db/other.sql": "ok"})
        self.assertIn('database "brief" does not exist', self.said(done))

    def test_our_disk_is_full(self):
        self.database("big", "create table t as select i, md5(i::text) || md5((-i)::text) as x "
                             "from generate_series(1, 60000) i")
        self.mount(self.path("small"), "-t", "tmpfs", "-o", "size=2m", "tmpfs")
        p = self.pipeline({"db": self.server.options(databases=["big"], globals=False)},
                          store={"format": "archive"}, sinks=[self.path("small", "store")])
        done = self.run_json(p, code=(1, 3))
        self.assertIn("no space left", done.text)
        self.assertEqual(self.backups(p), [])
        self.server.wait_for("select count(*) = 0 from pg_stat_activity where application_name = 'bakengine'")

    # ---- options ------------------------------------------------------------------------------

    def test_contradictions_are_said_before_anything_is_done(self):
        for options, text in [
                ({"databases": ["a["]}, "'databases': 'a[' can never match"),
                ({"tables": ["t"], "schemas": ["s"]}, "'tables' goes without 'schemas'"),
                ({"slot": "s"}, "'slot' is for 'mode: physical'"),
                ({"check": ["select 1"]}, "is not of the form"),
                ({"service": "x"}, "'service' goes without 'host'"),
                ({"port": 70000}, "'port' must be between 1 and 65535"),
                ({"sslmode": "on"}, "'sslmode': 'on' is not one of")]:
            source = {**self.server.options(), **options}
            p = self.pipeline({"db": source})
            self.assertIn(text, self.bake("validate", p, code=2).text)


if __name__ == "__main__":
    server.main()
