"""PostgreSQL servers of the tests' own: made in a temporary directory, run as the user postgres, asked
with psql, stopped by pid, and gone without a trace."""
import glob
import os
import pwd
import re
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

OWNER = "postgres"
PASSWORD = "pä ss'w:o\\rd"  # what needs care in a pgpass file and in a connection string


def bin_directory():
    """The highest version's tools; "" when there are none."""
    found = glob.glob("/usr/lib/postgresql/*/bin")
    return max(found, key=lambda p: int(p.split("/")[-2]), default="")


BIN = bin_directory()


def tool(name):
    return os.path.join(BIN, name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def user_ids():
    """(uid, gid) to run a server as; None: as we are."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(OWNER)
    return entry.pw_uid, entry.pw_gid


def as_owner():
    """What subprocess needs to run a program as the server's user."""
    ids = user_ids()
    return {} if ids is None else {"user": ids[0], "group": ids[1], "extra_groups": [ids[1]]}


def clean_env():
    """The environment without anything that libpq listens to."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")}


class Server:
    """One cluster. `folder/data`, sockets in `folder`, a log in `folder/log`.

    conf: lines for postgresql.conf. init: more arguments of initdb. tablespaces: names of directories
    to be made beside the data. clone: a data directory to be taken as it is (a restored one).
    """

    def __init__(self, conf=(), init=(), data=None, auth="scram-sha-256", folder=None):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="bake-pg.", dir=template.place())
        self.data = data or os.path.join(self.folder, "data")
        self.port = free_port()
        self.password = PASSWORD
        self.process = None
        self.auth = auth
        os.chmod(self.folder, 0o755)
        self.give(self.folder)
        if data is None:
            self.initdb(init)
        self.conf = ["fsync = off", "full_page_writes = off", "max_connections = 60",
                     "shared_buffers = 32MB", "log_line_prefix = '%m [%p] %d '", "jit = off",
                     "autovacuum = off", "dynamic_shared_memory_type = mmap", *conf]  # gone with the folder

    # ---- its life -----------------------------------------------------------------------------

    def give(self, path):
        """To the server's user, if that is another than ours."""
        ids = user_ids()
        if ids:
            os.chown(path, *ids)

    def initdb(self, init):
        template.data("postgres", self.data, lambda: self.new_data(init), [tool("initdb"), __file__],
                      self.auth, *init)

    def new_data(self, init):
        file = os.path.join(self.folder, "password")
        with open(file, "w", encoding="utf-8") as f:
            f.write(self.password)
        os.chmod(file, 0o600)
        self.give(file)
        done = subprocess.run(
            [tool("initdb"), "-D", self.data, "-U", OWNER, "--encoding=UTF8", "--locale=C.UTF-8",
             f"--pwfile={file}", f"--auth-host={self.auth}", f"--auth-local={self.auth}", "--no-sync",
             "--no-instructions", *init], capture_output=True, cwd="/", **as_owner())
        os.remove(file)
        assert done.returncode == 0, done.stderr.decode()

    def start(self, wait=60, **settings):
        """Starts it and waits until it answers. settings: for this start alone."""
        argv = [tool("postgres"), "-D", self.data, "-p", str(self.port), "-k", self.folder,
                "-c", "listen_addresses=127.0.0.1"]
        for line in self.conf:
            name, _, value = line.partition("=")
            value = re.sub(r"^'(.*)'$", lambda m: m[1].replace("''", "'"), value.strip())
            argv += ["-c", f"{name.strip()}={value}"]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd="/", env=clean_env(), start_new_session=True,
                                            **as_owner())
        self.wait(wait)
        return self

    def wait(self, seconds=60):
        """Until it accepts connections (a standby: reads)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server has ended:\n{self.log()}")
            ready = subprocess.run([tool("pg_isready"), "-q", "-h", self.folder, "-p", str(self.port)],
                                   env=clean_env(), check=False)
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"the server does not answer:\n{self.log()}")

    def log(self, size=4000):
        with open(os.path.join(self.folder, "log"), "rb") as f:
            return f.read()[-size:].decode("utf-8", "replace")

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast and clean; SIGQUIT: at once, as in a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        self.process = None

    def restart(self, **settings):
        self.stop()
        return self.start(**settings)

    def kill(self):
        """The whole server at once, as a power cut ends it."""
        self.process.kill()
        self.process.wait()
        self.process = None
        end = time.monotonic() + 10  # its backends notice that it is gone
        while time.monotonic() < end and self.backends():
            time.sleep(0.05)

    def backends(self):
        """Pids of what was started for this data directory and is left."""
        found = []
        for status in glob.glob("/proc/[0-9]*/cwd"):
            try:
                if os.path.realpath(status) == os.path.realpath(self.data):
                    found.append(int(status.split("/")[2]))
            except OSError:
                pass
        return found

    def remove(self):
        """Stops it, for good, and removes everything."""
        self.stop(signal.SIGQUIT)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- talking to it ------------------------------------------------------------------------

    def env(self, user=OWNER, password=None, **more):
        """For the server's tools. The password is a test's own, so the environment is good enough."""
        env = clean_env()
        env.update(PGHOST=self.folder, PGPORT=str(self.port), PGUSER=user,
                   PGPASSWORD=self.password if password is None else password, LC_ALL="C.UTF-8", **more)
        return env

    @staticmethod
    def dbname(name):
        """A connection string that names this database, whatever is in the name."""
        return "dbname='" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def sql(self, text, db="postgres", check=True, user=OWNER, password=None):
        """What psql prints: rows in lines, fields between '|'. Several statements are fine. check:
        an error is the test's failure; else None."""
        done = subprocess.run([tool("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                               "-d", self.dbname(db)], input=text.encode(), capture_output=True,
                              env=self.env(user, password))
        if done.returncode != 0:
            assert not check, f"{text[:400]}\n{done.stderr.decode('utf-8', 'replace')}"
            return None
        return done.stdout.decode().strip()

    def wait_for(self, question, db="postgres", seconds=30):
        """Until the question's answer is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.sql(question, db) == "t":
                return
            time.sleep(0.05)
        raise AssertionError(f"never true: {question}")

    def script(self, name, db="postgres", **values):
        """Runs a file of this folder; `:name` in it is replaced by psql."""
        with open(os.path.join(HERE, name), encoding="utf-8") as f:
            text = "".join(f"\\set {k} '{v}'\n" for k, v in values.items()) + f.read()
        return self.sql(text, db)

    def load(self, data, db, **env):
        """Feeds a plain dump to psql; its first error is the test's failure."""
        done = subprocess.run([tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.dbname(db)],
                              input=data, capture_output=True, env=self.env(**env))
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")

    def session(self, db="postgres", **env):
        """A psql that stays: write statements to it, and read what it prints."""
        return Session(self, db, env)

    def tablespace(self, name):
        """Makes a tablespace beside the data; its directory."""
        where = os.path.join(self.folder, name)
        os.mkdir(where, 0o700)
        self.give(where)
        self.sql(f"create tablespace {name} location '{where}'")
        return where

    def backup(self, where, *args):
        """A copy of the running server by its own tool, e.g. for a standby (args: "-R")."""
        os.makedirs(where, mode=0o700, exist_ok=True)
        self.give(where)
        done = subprocess.run([tool("pg_basebackup"), "-D", where, "-c", "fast", "--no-sync", *args],
                              capture_output=True, env=self.env(), cwd="/", **as_owner())
        assert done.returncode == 0, done.stderr.decode()

    # ---- for pipelines ------------------------------------------------------------------------

    def password_file(self):
        path = os.path.join(self.folder, "secret")
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(self.password + "\n")
        return path

    def options(self, tcp=False, **more):
        """Of a source in a pipeline, as the superuser."""
        return {"plugin": "postgres", "host": "127.0.0.1" if tcp else self.folder, "port": self.port,
                "user": OWNER, "password_file": self.password_file(), **more}


class Session:
    """psql with a connection that stays open between statements."""

    def __init__(self, server, db, env):
        self.process = subprocess.Popen(
            [tool("psql"), "-X", "-q", "-A", "-t", "-d", server.dbname(db)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=server.env(**env))

    def do(self, text):
        """Runs statements, and waits until they are done; what was printed."""
        self.process.stdin.write(text.encode() + b";\n\\echo -- done --\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == b"-- done --\n":
                break
            lines.append(line)
        return b"".join(lines).decode().strip()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class PostgresBench(bake.Bench):
    """Tests with one server for the whole class; `conf`: its settings."""

    conf = ()
    init = ("--wal-segsize=1",)

    @classmethod
    def setUpClass(cls):
        cls.server = Server(conf=cls.conf, init=cls.init)
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()

    def setUp(self):
        super().setUp()
        for name in [k for k in self.env if k.startswith("PG")]:
            del self.env[name]
        self.env["HOME"] = self.work  # no .pgpass, no service file of whoever runs the tests

    def another(self, **options):
        """One more server, for this test alone; not started."""
        server = Server(**{"init": PostgresBench.init, **options})
        self.addCleanup(server.remove)
        return server

    def database(self, name, sql="", owner=OWNER, **more):
        """A new database for this test; goes at its end."""
        quoted = '"' + name.replace('"', '""') + '"'
        self.server.sql(f"drop database if exists {quoted} with (force);\n"
                        f"create database {quoted} owner {owner} " +
                        " ".join(f"{k} {v}" for k, v in more.items()))
        self.addCleanup(self.server.sql, f"drop database if exists {quoted} with (force)")
        if sql:
            self.server.sql(sql, name)
        return name

    def pg_pipeline(self, name="t", store="repository", server=None, more=None, tcp=False, **options):
        """A pipeline with one source `db` and a store of its own. more: what stands beside them."""
        source = (server or self.server).options(tcp=tcp, **options)
        return self.pipeline({"db": source}, sinks=[self.path("store-" + name)], name=name,
                             **{"store": {"format": store}, **(more or {})})


def main():
    if not BIN:
        print("FAILED: these tests start PostgreSQL servers, and there is none (apt install postgresql)")
        sys.exit(1)
    template.work()
    bake.main()
