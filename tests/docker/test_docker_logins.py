#!/usr/bin/python3
"""Logging in to real database servers: every way that the images know to give a password, those that
cannot work, and that no password is ever seen where it does not belong."""
import glob
import os
import threading
import time

import dock  # first: it knows where the others are
import bed
from boxes import BoxBench

SECRET = "s3cr3t"  # a part of every password here
ODD = SECRET + "-'q\"u\\o`t$HOME e%s;"
SCRAM = "POSTGRES_INITDB_ARGS=--auth-local=scram-sha-256 --auth-host=scram-sha-256"

PG = {
    "pgodd": ["POSTGRES_USER=shop", "POSTGRES_PASSWORD=" + ODD, "POSTGRES_DB=marker", SCRAM],
    "pgfile": ["POSTGRES_USER_FILE=/s/user", "POSTGRES_PASSWORD_FILE=/s/password", SCRAM],
    "pgtrust": ["POSTGRES_HOST_AUTH_METHOD=trust"],
    "pgwrong": ["POSTGRES_PASSWORD=" + ODD, SCRAM],
}
MARIA = {
    "myodd": ["MARIADB_ROOT_PASSWORD=" + ODD, "MARIADB_USER=u", "MARIADB_PASSWORD=" + SECRET + "u",
              "MARIADB_DATABASE=marker"],
    "myfile": ["MYSQL_ROOT_PASSWORD_FILE=/s/password"],
    "myempty": ["MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1"],
    "myrandom": ["MARIADB_RANDOM_ROOT_PASSWORD=1"],
    "myuser": ["MYSQL_RANDOM_ROOT_PASSWORD=1", "MYSQL_USER=own", "MYSQL_PASSWORD=" + ODD,
               "MYSQL_DATABASE=marker"],
    "mywrong": ["MARIADB_ROOT_PASSWORD=" + SECRET],
}
BAD = {
    "pgwrong": ["'odd-pgwrong'", "refuses", "POSTGRES_PASSWORD", "do not change it"],
    "mywrong": ["'odd-mywrong'", "refuses root", "MARIADB_ROOT_PASSWORD", "do not change it"],
    "myrandom": ["'odd-myrandom'", "at random", "not in the container's environment"],
}


class Watch(threading.Thread):
    """Every program's arguments, on the host and in all containers, for as long as it runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.seen, self.dumps = threading.Event(), set(), set()
        self.start()

    def run(self):
        while not self.over.wait(0.005):
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    with open(path, "rb") as f:
                        text = f.read()
                except OSError:
                    continue
                if SECRET.encode() in text:
                    self.seen.add(text)
                if b"dump" in text.split(b"\0")[0]:
                    self.dumps.add(text)

    def stop(self):
        self.over.set()
        self.join()


class Logins(BoxBench):
    def up(self):
        self.write("s/user", b"chief\n")
        self.write("s/password", ODD.encode() + b"\n")
        binds = [self.path("s") + ":/s:ro"]
        for name, env in PG.items():
            self.box(name, *binds, Image="bake/postgres:15", Env=env,
                     Cmd=["postgres", "-c", "fsync=off"],
                     labels={"backup.database.pg_dumpall": "true"})
        for name, env in MARIA.items():
            self.box(name, *binds, Image="bake/mariadb:10.11", Env=env,
                     Cmd=["mariadbd", "--innodb-flush-log-at-trx-commit=0"],
                     labels={"backup.database.mariadb-dump": "true"})
        self.change("pgwrong", 'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U postgres -c '
                    "\"alter role postgres password 'another'\"")
        self.change("mywrong", 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" mariadb -h 127.0.0.1 -uroot -e '
                    "\"alter user root@'%' identified by 'x'; alter user root@localhost identified by 'x'\"")

    def change(self, name, script):
        """The password that the environment knows is not the database's any more."""
        def done():
            try:
                self.bed.exec("odd-" + name, "sh", "-c", script)
                return True
            except RuntimeError:
                return False
        bed.wait("a server to change its password", done, 60)

    def files(self):
        """What is in the containers' own layers, and in their memory."""
        seen = {}
        for name in [*PG, *MARIA]:
            changes = self.bed.api("GET", f"/containers/odd-{name}/changes") or []
            seen[name] = {c["Path"] for c in changes}
            for folder in ["/dev/shm", "/tmp", "/root", "/run"]:
                found = self.bed.exec("odd-" + name, "find", folder, "-xdev", "-type", "f")
                seen[name] |= set(found.decode().split())
        return seen

    def test_all(self):
        self.up()
        for name in [*PG, *MARIA]:  # all that an image does at first has been done
            bed.wait(name, lambda n=name: self.bed.exec("odd-" + n, "cat", "/proc/1/comm").startswith(
                (b"postgres", b"mariadbd")), 90)
        before, watch = self.files(), Watch()
        self.before = time.time()
        pipeline = self.pipe(parallel=4, definition=False)
        result = self.go(pipeline, code=3)
        shown = self.bake("show", pipeline, "--json").text
        # It looks as often as it may: whether it came in time for a dump of that run is luck.
        bed.wait("the watch to see a dump", lambda: watch.dumps or not self.run_json(pipeline, code=3),
                 120)
        watch.stop()
        with self.subTest("each as it should"):
            self.assert_status(result, **{n: "failed" if n in BAD else "ok" for n in [*PG, *MARIA]})
            self.check_words(result)
        with self.subTest("what is in them"):
            self.check_dumps(pipeline)
        with self.subTest("no password anywhere"):
            self.assertEqual(watch.seen, set())
            self.assertNotIn(SECRET, result.text + shown)
            for event in self.told("exec_create", "exec_start", "exec_die", "create", "start"):
                self.assertNotIn(SECRET, str(event))
            self.assertTrue(self.told("exec_create"))
            self.assertEqual(before, self.files())
            for folder in ["state", "cache", "store"]:
                self.assert_clean(self.path(folder))

    def check_words(self, result):
        for name, texts in BAD.items():
            error, = [c for c in result.of("component") if f"/{name}/" in c["name"]]
            for text in texts:
                self.assertIn(text, error["error"] + error.get("hint", ""))
        notes = [e["text"] for e in result.of("warning") if "/myuser/" in e.get("component", "")]
        self.assertEqual(len(notes), 1, str(result))
        self.assertIn("only the databases of the user of MYSQL_USER", notes[0])

    def check_dumps(self, pipeline):
        def dump(name):
            rest = "database/pg_dumpall.sql" if name in PG else "mariadb_dump/all_databases.sql"
            return self.content(pipeline, f"odd/{name}/{rest}")
        for name in set(PG) - set(BAD):
            text = dump(name)
            self.assertIn({"pgfile": b"CREATE ROLE chief", "pgodd": b"CREATE ROLE shop"}.get(
                name, b"CREATE ROLE postgres"), text)
            self.assertIn(b"cluster dump complete", text)
        self.assertIn(b"connect marker", dump("pgodd"))
        for name in ["myodd", "myfile", "myempty"]:
            self.assertIn(b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql`", dump(name), name)
        self.assertIn(b"`marker`", dump("myodd"))
        self.assertIn(b"`marker`", dump("myuser"))
        self.assertNotIn(b"`mysql`", dump("myuser"))

    def assert_clean(self, folder):
        for where, _, files in os.walk(folder):
            for name in files:
                with open(os.path.join(where, name), "rb") as f:
                    self.assertNotIn(SECRET.encode(), f.read(), name)


if __name__ == "__main__":
    dock.main()
