#!/usr/bin/python3
"""Restores of a stack with databases: as a whole, parts of it, under another name, beside the first; and
undone. And those that fail on the way, in each phase of them: everything is as it was, data and state."""
import glob
import os
import shutil
import signal

import dock  # first: it knows where the others are
import bake
import bed
from spoilt import ALL, CONFIG, MARIA, PG, SOME, UPLOADS, SpoiltBench


class Restores(SpoiltBench):
    # ---- choosing ----

    def test_dry_run(self):
        now, running, volumes = self.spoilt(), self.bed.running(), self.volumes()
        pipeline = self.drive(self.store, config=True)
        result = self.restore(pipeline, "--dry-run")
        plan = result.of("plan")[0]
        self.assertEqual(plan["id"], self.backup_id)
        stages = {c["name"]: c["stage"] for c in plan["groups"][0]["components"]}
        self.assertEqual(stages, {"shop/definition.json": 0, "shop/config": 1, UPLOADS: 1, CONFIG: 1, PG: 2,
                                  MARIA: 2})
        text = self.bake("restore", pipeline, "--dry-run", "--component", "volume:uploads").text
        self.assertIn("step 1: " + UPLOADS, text)
        self.assertNotIn("ERROR", text)
        # what could not be done is said before it is tried
        text = self.bake("restore", pipeline, "--dry-run", "--component", "volume:uploads", "--skip-stop",
                         code=3).text
        self.assertIn("while container 'shop_app_1' runs on it", text)
        text = self.bake("restore", pipeline, "--dry-run", "--as-project", "Not/Good", code=2).text
        self.assertIn("--as-project", text)
        self.assertEqual(running, self.bed.running())
        self.assertEqual(volumes, self.volumes())
        self.assert_same(now, self.look())

    def test_parts(self):
        """A volume, a database, a service: the others keep what they have."""
        now = self.spoilt()
        self.assertIn(self.backup_id, self.bake("list", self.drive(self.store)).text)
        parts = [(["latest", "--component", "volume:uploads", "--component", MARIA],
                  {"uploads", "pages", "titles", "routines", "triggers"}),
                 ([self.backup_id[:-2], "--stack", "shop", "--component", "**/app"], {"uploads", "config"}),
                 ([self.backup_id, "--component", "**/database/*"], {"orders", "databases", "reporter"})]
        if not bake.LONG:
            parts.pop()  # test_skip_start() has it too
        self.addCleanup(self.spoilt)
        for args, back in parts:
            with self.subTest(args):
                result = self.restore(self.drive(self.store), *args)
                now.update({k: self.before[k] for k in back})
                self.bed.wait_healthy("shop")
                self.assert_same(now, self.look())
                self.assertEqual(self.bed.running("shop"), ALL, str(result))
        # Users came with their passwords and rights.
        grants = self.login("shop_mariadb_1",
                            "mariadb -h 127.0.0.1 -uclerk -p\"cl'erk\" wiki -Ne 'show grants'")
        self.assertEqual(grants.count("GRANT"), 2)

    def login(self, container, command):
        return self.bed.exec(container, "sh", "-c", command).decode().strip()

    @dock.long_form
    def test_compose_files(self):
        for name, text in [("stack/docker-compose.yml", None), ("stack/.env", "A=1\n")]:
            path = f"{self.base}/{name}"
            with open(path, "a", encoding="utf-8") as f:
                f.write(text or "# changed\n")
        self.restore(self.drive(self.store, config=True), "--component", "config")
        with open(self.file, encoding="utf-8") as f:
            self.assertNotIn("# changed", f.read())
        self.assertEqual(self.bed.running("shop"), ALL)

    # ---- good ones, undone ----

    def test_undo(self):
        """Data and state of before come back, once."""
        self.bed.api("POST", "/containers/shop_cache_1/stop?t=1")
        now, running = self.spoilt(), self.bed.running("shop")
        pipeline = self.drive(self.store, keep_previous="1h")
        result = self.bake("restore", pipeline, "--stack", "shop")
        self.assertEqual(self.bed.running("shop"), ALL)  # the whole stack, at a good end
        self.assert_same(self.before, self.look())
        for words in ["stopping stack 'shop' (3 containers)", "waiting for database 'shop_db_1'",
                      "loading 'shop/mariadb/mariadb_dump/all_databases.sql' into 'shop_mariadb_1'",
                      "starting stack 'shop'", "waiting for container 'shop_app_1'"]:
            self.assertIn(words, result.text)
        self.assertNotEqual(self.ours(), [])
        self.restore(pipeline, "--undo", "--stack", "shop")
        self.bed.wait_healthy("shop")
        self.assertEqual(self.ours(), [])
        self.assertEqual(self.bed.running("shop"), ALL)  # as it was before the undo
        self.assert_same(now, self.look())
        self.assertNotIn("shop_cache_1", running)
        result = self.restore(pipeline, "--undo", "--stack", "shop", code=1)
        self.assertIn("nothing is kept of 'shop' from before a restore", result.text)
        self.assertIn("keep_previous", result.text)

    @dock.long_form
    def test_kept_for_a_time(self):
        self.spoilt()
        self.restore(self.drive(self.store, keep_previous="1s"), "--component", UPLOADS)
        self.assertNotEqual(self.ours(), [])
        other = self.drive(self.path("other"), name="other")
        bed.wait("what is kept", lambda: self.run_json(other, "--only", CONFIG) and not self.ours(), 20)
        self.restore(self.drive(self.store, keep_previous="0"), "--component", UPLOADS)
        self.assertEqual(self.ours(), [])
        text = self.bake("restore", self.drive(self.store), "--undo", "--stack", "shop", code=1).text
        self.assertIn("nothing is kept", text)

    def test_skip_start(self):
        """What did not run does not run at the end, databases neither; they may have been older."""
        self.spoilt()
        for name in ["app", "db"]:
            self.bed.api("POST", f"/containers/shop_{name}_1/stop?t=5")
        older = self.manifest("older", server_version="14.9", image="postgres:14")
        said = self.restore(older, "--skip-start", *SOME).text
        self.assertIn("is of a server of version 14.9 and is loaded into one of version 15.", said)
        self.assertIn("is of image 'postgres:14', and container 'shop_db_1' is of 'bake/postgres:15'", said)
        self.assertEqual(self.bed.running("shop"), ["shop_cache_1", "shop_mariadb_1"])
        self.compose("up", "-d")
        self.bed.wait_healthy("shop")
        after = self.look()
        for key in ["orders", "databases", "reporter", "uploads"]:
            self.assert_same({key: self.before[key]}, after)
        self.assertEqual(self.login("shop_db_1", "PGPASSWORD=rpt psql -h 127.0.0.1 -U reporter shopdb -Atc"
                                    " 'select count(*) from orders'"), "1000")

    def test_skip_stop(self):
        """Nothing is stopped: what is mounted by what runs is refused, dumps go into the server."""
        self.spoilt()
        started = {n: self.bed.inspect(n)["State"]["StartedAt"] for n in ALL}
        said = self.undone(self.drive(self.store), "--skip-stop", "--stack", "shop")
        self.assertRegex(said, "'shop/app/volumes/(config|uploads)' cannot be restored while container"
                         " 'shop_app_1' runs on it")
        self.assertIn("stop it, or leave out --skip-stop", said)
        result = self.restore(self.drive(self.store), "--skip-stop", "--component", PG, "--component", MARIA)
        self.assertIn("cannot be undone", result.text)
        after = self.look()
        for key in ["orders", "databases", "reporter", "pages", "routines", "triggers"]:
            self.assertEqual(self.before[key], after[key], key)
        self.assertEqual(started, {n: self.bed.inspect(n)["State"]["StartedAt"] for n in ALL})

    @dock.long_form
    def test_password_of_another_day(self):
        """The server that keeps running has another password than its container's environment."""
        self.maria("alter user root@localhost identified by 'changed';"
                   " alter user root@'%' identified by 'changed'")
        result = self.restore(self.drive(self.store), "--skip-stop", "--component", MARIA, code=1)
        said = result.text
        self.assertIn("container 'shop_mariadb_1': the server refuses root with the password of"
                      " MARIADB_ROOT_PASSWORD", said)
        self.assertNotIn("changed", said)
        # Where the server is made anew, it has the environment's.
        self.restore(self.drive(self.store), "--component", MARIA)
        self.assertEqual(self.maria("select count(*) from pages"), "500")

    # ---- what is not there any more ----

    def test_service_is_gone(self):
        now = self.spoilt()
        self.compose("rm", "-sf", "app")
        self.addCleanup(self.compose, "up", "-d", "app")
        result = self.restore(self.drive(self.store), "--component", "shop/app", code=3)
        said = result.text
        self.assertIn("service 'app' of 'shop' is not there any more: only its volume 'shop_uploads' is"
                      " restored", said)
        self.assertEqual([g["status"] for g in result.of("group")], ["partial"])
        after = self.look()
        now.update({k: self.before[k] for k in ["uploads", "config"]})
        self.assert_same(now, after)
        # with its volumes
        self.bed.api("DELETE", "/volumes/shop_config")
        self.restore(self.drive(self.store), "--component", CONFIG, code=3)
        self.assert_same({"config": self.before["config"]}, self.look())
        labels = self.bed.api("GET", "/volumes/shop_config")["Labels"]
        self.assertEqual(labels["com.docker.compose.volume"], "config")

    @dock.long_form
    def test_database_is_gone(self):
        self.compose("rm", "-sf", "mariadb")
        self.addCleanup(self.compose, "up", "-d", "mariadb")
        result = self.restore(self.drive(self.store), "--component", MARIA, code=1)
        self.assertIn("service 'mariadb' of 'shop', which it is of, is not there", result.text)

    # ---- beside ----

    def test_as_project(self):
        """Both run, with nothing in common; the first is not touched."""
        now = self.spoilt()
        state = {n: self.bed.inspect(n)["State"]["StartedAt"] for n in ALL}
        self.addCleanup(self.bed.drop, "twin")
        pipeline = self.drive(self.store)
        result = self.restore(pipeline, "--stack", "shop", "--as-project", "twin")
        self.assertIn("published ports are left out", result.text)
        self.assertIn("the files belong to stack 'shop'", result.text)
        self.assertEqual(self.bed.running("twin"), ["twin_app_1", "twin_cache_1", "twin_db_1",
                                                    "twin_mariadb_1"])
        self.bed.wait_healthy("twin")
        self.assert_same(self.before, self.look("twin"))
        self.assert_same(now, self.look())
        self.assertEqual(state, {n: self.bed.inspect(n)["State"]["StartedAt"] for n in ALL})
        self.assertEqual(self.bed.inspect("twin_app_1")["HostConfig"]["PortBindings"] or {}, {})
        self.assertIn("twin_pgdata", self.volumes())
        said = self.restore(pipeline, "--stack", "shop", "--as-project", "twin", code=1).text
        self.assertIn("'shop' cannot be restored as 'twin': there is such a stack", said)
        said = self.restore(pipeline, "--component", UPLOADS, "--as-project", "third", code=1).text
        self.assertIn("only with its definition", said)

    # ---- without Docker ----

    def test_to_a_directory(self):
        self.env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
        pipeline = self.pipeline({"stacks": {"plugin": "docker", "host": "unix:///nowhere"}},
                                 sinks=[self.store], store={"format": "archive"})
        out = self.path("out")
        self.restore(pipeline, "--target", out, "--stack", "shop")
        for volume in ["uploads", "config"]:
            found = self.tree(f"{out}/shop/app/volumes/{volume}")
            self.assert_same({volume: self.before[volume]}, {volume: found})
        with open(f"{out}/{PG}", "rb") as f:
            self.assertIn(b"PostgreSQL database cluster dump complete", f.read()[-200:])
        said = self.restore(pipeline, code=1).text
        self.assertIn("/nowhere", said)


class Rollbacks(SpoiltBench):
    """Restores that fail."""

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
        p = self.start("restore", self.seeds("slow", self.touch("slow"), UPLOADS))
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
        said = self.undone(self.manifest("newer", server_version="16.2"))
        self.assertIn("of a server of version 16.2, and container 'shop_db_1' has an older one, 15.", said)
        self.assertIn("--force", said)
        said = self.undone(self.manifest("arm", arch="arm64"))
        self.assertIn("was backed up on arm64, and this daemon runs on amd64", said)


if __name__ == "__main__":
    dock.main()
