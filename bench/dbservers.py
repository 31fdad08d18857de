"""The two servers that bench/databases.py measures on: how each is filled, dumped and loaded by its
own tools, changed, and compared. Both are the tests' own (tests/postgres, tests/mariadb)."""
import importlib.util
import json
import os
import random
import shlex
import shutil

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = 830  # bytes of a document, about
ACCOUNTS = 100_000  # of each unit, as pgbench counts


def kit(kind):
    """Both kits' files have the same name."""
    path = os.path.join(TOP, "tests", kind, "server.py")
    spec = importlib.util.spec_from_file_location(f"{kind}_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(program, *args):
    return shlex.join([program, *args])


def documents(path, rows):
    """Lines of text and JSON with tabs between, which both servers load as they stand; such text as
    compresses to about a third."""
    rng = random.Random(5)
    word = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9)))
            for _ in range(4000)]
    # So many that no compressor of level 3 finds them again.
    body = [" ".join(rng.choices(word, k=100)) for _ in range(min(rows, 60_000))]
    with open(path, "w", encoding="utf-8") as f:
        for number in range(1, rows + 1):
            meta = json.dumps({"key": f"{rng.getrandbits(64):016x}", "price": number % 99_991,
                               "tags": word[number % 3994:number % 3994 + 6],
                               "seen": number % 3 == 0})
            f.write(f"{number}\t{body[number % len(body)]}\t{meta}\n")
    os.chmod(path, 0o644)


class Database:
    """What one database is filled with: `units` of accounts, and documents."""

    def __init__(self, name, units, rows):
        self.name, self.units, self.rows = name, units, rows

    def counts(self):
        return {"documents": self.rows, "accounts": self.units * ACCOUNTS}


class Postgres:
    name, title = "postgres", "PostgreSQL"
    formats = ("plain", "custom")

    def __init__(self):
        self.kit = kit("postgres")
        if not self.kit.BIN:
            raise OSError("there is no PostgreSQL server: apt install postgresql")
        self.server = self.kit.Server(conf=("shared_buffers = 256MB", "max_wal_size = 4GB"))
        self.env = self.server.env()

    def start(self):
        self.server.start()

    def version(self):
        return self.server.sql("show server_version").split()[0]

    def remove(self):
        self.server.remove()

    def sql(self, text, db="postgres"):
        return self.server.sql(text, db)

    # ---- data ---------------------------------------------------------------------------------

    def fill(self, database, file):
        self.sql(f"create database {database.name}")
        self.sql("create table documents (id bigint primary key, body text not null, meta jsonb);"
                 "create table accounts (aid int primary key, bid int, balance int, filler char(84));"
                 f"\\copy documents from program 'head -n {database.rows} {file}'\n"
                 "insert into accounts select n, n / 100000, 0, '' from "
                 f"generate_series(1, {database.units * ACCOUNTS}) n;"
                 "create index on documents ((meta->>'key'));"
                 "vacuum (freeze, analyze)", database.name)
        self.sql("checkpoint")

    def change(self, database):
        """One row in a hundred, those that are neighbours."""
        self.sql(f"update documents set body = 'new ' || body where id <= {database.rows // 100};"
                 "update accounts set balance = balance + 1 where aid <= "
                 f"{database.units * ACCOUNTS // 100}; checkpoint", database.name)

    def drop(self, name):
        self.sql(f"drop database if exists {name} with (force)")

    def create(self, name):
        self.drop(name)
        self.sql(f"create database {name}")

    def digest(self, name):
        return self.sql("select count(*), sum(hashtext(d::text)::bigint) from documents d;"
                        "select count(*), sum(hashtext(a::text)::bigint) from accounts a", name)

    # ---- tools and pipelines ------------------------------------------------------------------

    def dump_words(self, name, fmt="plain"):
        return words(self.kit.tool("pg_dump"), f"--format={fmt}", "-Z0", name)

    def load_words(self, name):
        return words(self.kit.tool("psql"), "-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1",
                     "-d", name)

    def source(self, names, fmt="plain"):
        return {"name": "db", **self.server.options(databases=names, globals=False, format=fmt)}

    @staticmethod
    def component(name, fmt="plain"):
        return f"db/{name}.{'sql' if fmt == 'plain' else 'dump'}"

    @staticmethod
    def counted(facts):
        return {k.partition(".")[2]: v for k, v in facts["tables"].items()}


class MariaDB:
    name, title = "mariadb", "MariaDB"
    formats = ("plain",)

    def __init__(self):
        self.kit = kit("mariadb")
        if not shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin"):
            raise OSError("there is no MariaDB server: apt install mariadb-server")
        self.server = self.kit.Server(binlog=False)
        self.env = {**os.environ, "HOME": self.server.folder}
        self.secret = os.path.join(self.server.folder, "secret")

    def start(self):
        self.server.start("--innodb-buffer-pool-size=256M", "--local-infile=1")
        with open(self.secret, "w", encoding="utf-8",
                  opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(self.server.password + "\n")

    def version(self):
        return self.server.value("select version()").partition("-")[0]

    def remove(self):
        self.server.remove()

    def sql(self, text, db=None):
        return self.server.sql(text, db)

    # ---- data ---------------------------------------------------------------------------------

    def fill(self, database, file):
        part = f"{file}.{database.name}"
        with open(file, "rb") as whole, open(part, "wb") as f:
            f.writelines(line for _, line in zip(range(database.rows), whole))
        os.chmod(part, 0o644)
        self.sql(f"create database {database.name}")
        self.sql("create table documents (id bigint primary key, body text not null, meta json);"
                 "create table accounts (aid int primary key, bid int, balance int, filler char(84));"
                 f"load data local infile {self.kit.literal(part)} into table documents;"
                 "insert into accounts select seq, seq div 100000, 0, lpad(seq, 84, '-') from "
                 f"seq_1_to_{database.units * ACCOUNTS};"
                 "analyze table documents, accounts", database.name)
        os.remove(part)

    def change(self, database):
        """One row in a hundred, those that are neighbours."""
        self.sql("update documents set body = concat('new ', body) where id <= "
                 f"{database.rows // 100}; update accounts set balance = balance + 1 where aid <= "
                 f"{database.units * ACCOUNTS // 100}", database.name)

    def drop(self, name):
        self.sql(f"drop database if exists {name}")

    def create(self, name):
        self.drop(name)
        self.sql(f"create database {name}")

    def digest(self, name):
        return self.sql("checksum table documents extended; checksum table accounts extended",
                        name).replace(name + ".", "")

    # ---- tools and pipelines ------------------------------------------------------------------

    def dump_words(self, name, fmt="plain"):
        assert fmt == "plain"
        return words(*self.server.client("mariadb-dump"), "--single-transaction", "--quick",
                     "--hex-blob", "--routines", "--events", "--triggers", "--no-tablespaces", name)

    def load_words(self, name):
        return words(*self.server.client("mariadb"), name)

    def source(self, names, fmt="plain"):
        assert fmt == "plain"
        return {"name": "db", "plugin": "mariadb", "user": "root", "password_file": self.secret,
                "socket": self.server.socket, "databases": names, "users": False, "binlogs": False}

    @staticmethod
    def component(name, fmt="plain"):
        assert fmt == "plain"
        return f"db/{name}.sql"

    @staticmethod
    def counted(facts):
        return facts["tables"]


KINDS = {"postgres": Postgres, "mariadb": MariaDB}
