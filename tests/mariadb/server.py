"""Real MariaDB servers of the tests' own: in temporary directories, on a socket and a loopback port, ended by
pid; and what the MariaDB tests share."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "integration")]
import bake  # noqa: E402
import template  # noqa: E402

PASSWORD = "r00t 'quoted\" #;\\ pass"    # of root: what option files and SQL texts must survive
BACKUP_PASSWORD = "b'ack\\up\"#1 ä"      # of `backup`, which has the rights that the README names
BACKUP_RIGHTS = ("SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, RELOAD, PROCESS, "
                 "BINLOG MONITOR, REPLICATION SLAVE, REPLICATION MASTER ADMIN")
START = 60


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        print(f"SKIPPED: no {name}")
        sys.exit(77)
    return path


def literal(text):
    """A string of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def give(path):
    """To the server's user, when we are root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("mysql")
        os.chown(path, user.pw_uid, user.pw_gid)


class Server:
    """One server. start() makes its data directory unless it has one; stop() leaves nothing but that;
    remove() takes everything away."""

    def __init__(self, *options, binlog=True, data=None, password=PASSWORD):
        self.folder = tempfile.mkdtemp(prefix="bake-mariadb.", dir=template.place())
        os.chmod(self.folder, 0o755)
        give(self.folder)
        self.own_data = data is None
        self.data = data or os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "s.sock")
        self.log = os.path.join(self.folder, "log")
        self.options, self.binlog, self.password = list(options), binlog, password
        self.port, self.process = 0, None

    # ---- life ---------------------------------------------------------------------------------

    def install(self):
        argv = [tool("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--skip-name-resolve",
                f"--tmpdir={self.folder}",
                "--innodb-log-file-size=8M", "--innodb-flush-method=nosync"]
        if os.geteuid() == 0:
            argv.append("--user=mysql")
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        user = "root@localhost"
        self.launch(["--skip-networking"], password="")
        self.sql(f"alter user {user} identified by {literal(self.password)};"
                 f"create or replace user root@'127.0.0.1' identified by {literal(self.password)};"
                 "grant all on *.* to root@'127.0.0.1' with grant option;"
                 f"create user backup@'%' identified by {literal(BACKUP_PASSWORD)};"
                 f"grant {BACKUP_RIGHTS} on *.* to backup@'%';"
                 "drop user if exists ''@localhost, ''@'%'", password="")
        self.stop()

    def start(self, *options, password=None):
        if not os.path.isdir(os.path.join(self.data, "mysql")):
            template.data("mariadb", self.data, self.install, [tool("mariadb-install-db"), __file__],
                          self.password, self.binlog)
        self.launch([*self.options, *options], password)
        return self

    def launch(self, options, password):
        """Starts it and waits until it answers."""
        self.port = self.port or free_port()  # the same one after a restart
        argv = [tool("mariadbd"), "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid",
                "--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=48M",
                "--key-buffer-size=1M", "--aria-pagecache-buffer-size=4M", "--innodb-flush-method=nosync",
                "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--performance-schema=off",
                "--event-scheduler=on", "--max-connections=60", "--server-id=7", f"--tmpdir={self.folder}",
                "--character-set-server=utf8mb4", "--max-allowed-packet=64M"]
        if self.binlog:
            argv += ["--log-bin=binlog", "--binlog-format=row"]
        if os.geteuid() == 0:
            argv.append("--user=mysql")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*argv, *options], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + START
        while self.run("select 1", password=password).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)

    def said(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")[-4000:]

    def stop(self, how=signal.SIGTERM):
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(how)
                try:
                    self.process.wait(60)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- asking -------------------------------------------------------------------------------

    def client(self, name, *args, user="root", password=None, host=None):
        """Arguments of one of the server's tools; the option file goes away with the folder."""
        password = self.password if password is None else password
        path = os.path.join(self.folder, f"client.{os.getpid()}.{abs(hash((user, password, host)))}.cnf")
        if not os.path.exists(path):
            text = password.replace("\\", "\\\\").replace('"', '\\"')
            where = f"host={host}\nport={self.port}" if host else f"socket={self.socket}"
            with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(f'[client]\nuser={user}\npassword="{text}"\n{where}\n'
                        "default-character-set=utf8mb4\n")
        return [tool(name), f"--defaults-file={path}", *args]

    def run(self, sql, db=None, **login):
        argv = self.client("mariadb", "-N", "-B", "--raw", **login)
        return subprocess.run([*argv, *(["--", db] if db else [])], input=sql.encode(), capture_output=True)

    def sql(self, sql, db=None, **login):
        """Its rows as text: columns apart by tabs, one row per line."""
        done = self.run(sql, db, **login)
        assert done.returncode == 0, f"{sql[:300]}: {done.stderr.decode()}"
        return done.stdout.decode().rstrip("\n")

    def value(self, sql, db=None):
        return self.sql(sql, db).split("\n")[0]

    def load(self, path, db=None):
        """Runs a file of statements."""
        with open(path, "rb") as f:
            done = subprocess.run([*self.client("mariadb"), *(["--", db] if db else [])], stdin=f,
                                  capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    def session(self, db=None):
        """A client that stays: statements are written to its standard input."""
        argv = self.client("mariadb", "-N", "-B", "--raw", "--unbuffered")
        return subprocess.Popen([*argv, *(["--", db] if db else [])], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    # ---- what is in it ------------------------------------------------------------------------

    def databases(self):
        own = "'information_schema', 'performance_schema', 'mysql', 'sys'"
        return self.sql(f"select schema_name from information_schema.schemata where schema_name not in ({own})"
                        " order by 1").split("\n")

    def counts(self, db):
        """Rows of every table, counted exactly."""
        names = self.sql("select table_name from information_schema.tables where table_schema = "
                         f"{literal(db)} and table_type in ('BASE TABLE', 'SYSTEM VERSIONED')").split("\n")
        return {n: int(self.value(f"select count(*) from {quoted(n)}", db)) for n in names if n}

    def look(self, db):
        """All of a database that a dump has to bring back: definitions and rows."""
        seen = {}
        of = f"= {literal(db)}"
        for name, kind in [line.split("\t") for line in self.sql(
                "select table_name, table_type from information_schema.tables where table_schema " + of +
                " order by 1").split("\n") if line]:
            make = self.sql(f"show create {'view' if 'VIEW' in kind else 'sequence' if kind == 'SEQUENCE' else 'table'}"
                            f" {quoted(name)}", db)
            seen[f"{kind} {name}"] = " ".join(w for w in make.split(" ") if not w.startswith("AUTO_INCREMENT="))
            if kind == "SYSTEM VERSIONED":  # its hidden columns are of when it was loaded
                seen[f"rows {name}"] = self.sql(f"select * from {quoted(name)} order by 1", db)
            if kind == "BASE TABLE":
                seen[f"rows {name}"] = self.value(f"checksum table {quoted(name)} extended", db).split("\t")[1]
        for kind in ["procedure", "function", "package", "package body"]:
            for name in self.sql("select routine_name from information_schema.routines where routine_schema "
                                 f"{of} and routine_type = '{kind}' order by 1").split("\n"):
                if name:
                    seen[f"{kind} {name}"] = self.sql(f"show create {kind} {quoted(name)}", db)
        for kind, table in [("event", "events"), ("trigger", "triggers")]:
            for name in self.sql(f"select {kind}_name from information_schema.{table} where {kind}_schema {of}"
                                 " order by 1").split("\n"):
                if name:
                    text = self.sql(f"show create {kind} {quoted(name)}", db)
                    seen[f"{kind} {name}"] = text.rpartition("\t")[0] if kind == "trigger" else text
        return seen


class MariaBench(bake.Bench):
    """Tests with one server for all of a file."""

    options, binlog = (), True

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options, binlog=cls.binlog)
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.env["HOME"] = self.work  # not the user's own option files
        self.env["TMPDIR"] = self.path("tmp")
        os.mkdir(self.path("tmp"), 0o777)
        os.chmod(self.path("tmp"), 0o777)

    def database(self, name, sql="", server=None):
        """A database that goes at the end."""
        server = server or self.server
        server.sql(f"drop database if exists {quoted(name)}; create database {quoted(name)}")
        self.addCleanup(lambda: server.process and server.sql(f"drop database if exists {quoted(name)}"))
        if sql:
            server.sql(sql, name)

    def login(self, server=None, **options):
        """A source's options. The password stands in a file of mode 0600."""
        server = server or self.server
        user, password = options.pop("user", "root"), options.pop("password", None)
        if password is None:
            password = BACKUP_PASSWORD if user == "backup" else server.password
        path = self.path(f"password.{user}.{abs(hash(password))}")
        if not os.path.exists(path):
            self.write(path, password.encode(), 0o600)
        out = {"plugin": "mariadb", "user": user, "password_file": path}
        if not {"host", "socket"} & set(options):
            out["socket"] = server.socket
        return {**out, **options}

    def maria(self, server=None, source="db", name="t", **options):
        """A pipeline with one source."""
        more = {k: options.pop(k) for k in ("parallel", "verify", "retention", "expect", "sinks") if k in options}
        store = {"format": "archive", **options.pop("store", {})}
        return self.pipeline({source: self.login(server, **options)}, name=name, store=store, **more)

    def component(self, result, name):
        found = [c for c in result.of("component") if c["name"] == name]
        self.assertEqual(len(found), 1, f"{name} in {result}")
        return found[0]

    def facts(self, pipeline, name):
        """What the manifest of the newest backup says of a component."""
        shown = self.bake("show", pipeline, "latest", "--json").out
        import json
        components = json.loads(shown)["components"]
        return next(c["facts"] for c in components if c["name"] == name)

    def assert_says(self, result, *texts):
        for text in texts:
            self.assertIn(text, result.text)
        self.assertNotIn(PASSWORD, result.text)
        self.assertNotIn(BACKUP_PASSWORD, result.text)


def main():
    for name in ["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"]:
        tool(name)
    template.work()
    bake.main()
