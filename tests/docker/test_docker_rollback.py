#!/usr/bin/python3
"""Restores that fail on the way, each phase of them: everything is as it was, data and state."""
import glob
import os
import shutil
import signal

import dock
import bed
from spoilt import ALL, MARIA, PG, SOME, UPLOADS, SpoiltBench


class Rollbacks(SpoiltBench):
    def test_damaged_objects(self):
        """What is damaged in the store is found before anything is stopped, or is undone."""
        self.spoilt()
        for i, name in enumerate([UPLOADS, PG]):
            with self.subTest(name):
                store = self.path(f"damaged{i}")
                shutil.copytree(self.store, store)
                found = glob.glob(f"{store}/backups/*/{name}*.zst")
                path, = [f for f in found if "mtree" not in f]
                with open(path, "r+b") as f:
                    size = f.seek(0, os.SEEK_END)
                    f.seek(size // 2)
                    f.write(b"damage")
                started = self.bed.inspect("shop_app_1")["State"]["StartedAt"]
                said = self.undone(self.drive(store), *SOME)
                self.assertIn(name, said)
                self.assertIn("1 group could not be restored and is as before", said)
                if name == UPLOADS:
                    self.assertEqual(started, self.bed.inspect("shop_app_1")["State"]["StartedAt"])

    @dock.long_form
    def test_bad_statements(self):
        """A dump that the server refuses in the middle: rows, roles and users of before are there."""
        self.spoilt()

        def break_sql(name):
            def change(top):
                path = os.path.join(top, name[5:])
                with open(path, "rb") as f:
                    text = f.read()
                at = text.index(b"\n", len(text) // 2) + 1
                while not text[:at].rstrip().endswith(b";"):
                    at = text.index(b"\n", at) + 1
                with open(path, "wb") as f:
                    f.write(text[:at] + b"insert into nowhere.at_all values (1);\n" + text[at:])
            return change
        for i, (name, container) in enumerate([(PG, "shop_db_1"), (MARIA, "shop_mariadb_1")]):
            with self.subTest(name):
                said = self.undone(self.seeds(f"sql{i}", break_sql(name), name, UPLOADS))
                self.assertIn(f"the dump cannot be loaded in container '{container}'", said)
                self.assertIn("at_all", said)

    @dock.long_form
    def test_database_that_never_comes_up(self):
        self.spoilt()
        path = self.base + "/stack/initdb/postgres.sql"
        with open(path, "r+", encoding="utf-8") as f:
            good = f.read()
            # started once more by the daemon, it must not come up either
            f.write("alter system set shared_preload_libraries = 'nonsense';\n"
                    "select nonsense from nowhere;\n")
        try:
            said = self.undone(self.drive(self.store), *SOME)
        finally:
            with open(path, "r+", encoding="utf-8") as f:
                f.truncate()
                f.write(good)
        # the daemon may have started it again already
        self.assertRegex(said, "container 'shop_db_1' ended( with exit status [0-9]+)? before its database"
                         " was ready")
        self.assertIn("'docker logs shop_db_1' says why", said)

    @staticmethod
    def touch(name):
        def change(top):
            with open(f"{top}/app/volumes/uploads/{name}", "w", encoding="utf-8") as f:
                f.write("x")
        return change

    def test_application_is_ill_in_the_end(self):
        """All is loaded and in use when the health check fails: all of it goes back."""
        self.spoilt()
        said = self.undone(self.seeds("sick", self.touch("sick"), UPLOADS, PG))
        self.assertIn("shop_app_1", said)
        self.assertIn("health", said)

    def test_interrupted_at_the_end(self):
        """Ctrl-C while the started stack is waited for: all goes back all the same."""
        now, volumes = self.spoilt(), self.volumes()
        p = self.start("restore", self.seeds("slow", self.touch("slow"), UPLOADS, PG))
        said = lambda: os.pread(p.bake[2].fileno(), 1 << 20, 0)
        bed.wait("the end", lambda: b"waiting for container 'shop_app_1'" in said()
                 or p.poll() is not None, 120, said)
        p.send_signal(signal.SIGINT)
        p.wait(120)
        result = self.finish(p, 1)
        self.assertEqual(result.code, 130, str(result))
        self.bed.wait_healthy("shop")
        self.assertEqual(self.bed.running("shop"), ALL)
        self.assert_same(now, self.look())
        self.assertEqual(volumes, self.volumes())

    def test_another_server(self):
        """Versions, images and architectures are compared first."""
        self.spoilt()

        def facts(**new):
            def change(body):
                for c in body["components"]:
                    if c["name"] == PG:
                        c["facts"].update(new)
            return change
        said = self.undone(self.manifest("newer", facts(server_version="16.2")))
        self.assertIn("of a server of version 16.2, and container 'shop_db_1' has an older one, 15.", said)
        self.assertIn("--force", said)
        said = self.undone(self.manifest("arm", facts(arch="arm64")))
        self.assertIn("was backed up on arm64, and this daemon runs on amd64", said)
        result = self.restore(self.manifest("older", facts(server_version="14.9", image="postgres:14")),
                              "--component", PG)
        said = result.text
        self.assertIn("is of a server of version 14.9 and is loaded into one of version 15.", said)
        self.assertIn("is of image 'postgres:14', and container 'shop_db_1' is of 'bake/postgres:15'", said)
        self.assertEqual(self.psql("select md5(string_agg(o::text, ',' order by id)) from orders o"),
                         self.before["orders"])


if __name__ == "__main__":
    dock.main()
