#!/usr/bin/python3
"""Restores of a stack with databases: as a whole, parts of it, under another name, beside what fails on the
way; what fails leaves everything as it was, and what was good can be undone."""
import glob
import json
import os
import shutil
import subprocess
import tempfile

import dock
import bake
import bed

PG, MARIA = "shop/db/database/pg_dumpall.sql", "shop/mariadb/mariadb_dump/all_databases.sql"
UPLOADS, CONFIG = "shop/app/volumes/uploads", "shop/app/volumes/config"
ALL = ["shop_app_1", "shop_cache_1", "shop_db_1", "shop_mariadb_1"]


class RestoreBench(dock.DockerBench):
    """Restores: their events, and what they leave in the daemon."""

    def drive(self, store, format="archive", name="t", bundle=None, **options):
        options.setdefault("projects", ["shop"])
        how = {"format": format, **({"bundle": bundle} if bundle else {})}
        return self.pipeline({"stacks": {"plugin": "docker", "host": self.bed.host, **options}},
                             sinks=[store], name=name, store=how, parallel=4)

    def volumes(self):
        return sorted(v["Name"] for v in self.bed.api("GET", "/volumes")["Volumes"] or [])

    def ours(self):
        """Volumes and containers of the program's own."""
        return [n for n in self.volumes() + sorted(self.bed.containers()) if n.startswith("bakengine")]

    def forget_kept(self):
        """What earlier restores keep for a time."""
        for name in self.volumes():
            if name.startswith("bakengine-"):
                self.bed.api("DELETE", f"/volumes/{name}")

    def restore(self, pipeline, *args, code=0):
        """With its events, whose form is looked at each time."""
        result = self.bake("restore", pipeline, *args, "--json", code=code)
        self.check_events(result)
        return result

    def check_events(self, result):
        for line in result.out.splitlines():
            self.assertTrue(line.startswith(b'{"message_type":') or line.startswith(b'{"message_type" :'),
                            line)
        self.assertEqual(result.events[-1]["message_type"], "summary", str(result))
        summary = result.summary
        self.assertEqual(summary["exit_code"], result.code)
        self.assertEqual(summary["status"], {0: "ok", 3: "partial"}.get(result.code, "failed"))
        groups = result.of("group")
        names = [g["name"] for g in groups]
        self.assertEqual(len(names), len(set(names)), str(result))
        if groups and not summary.get("undo"):
            self.assertEqual(summary["groups"], len(groups), str(result))
            self.assertEqual(sum(g["components"] for g in groups), len(result.of("component")),
                             str(result))
        for c in result.of("component"):
            self.assertEqual(sorted(k for k in ("name", "status", "entries", "bytes") if k not in c), [], c)

    def undone(self, pipeline, *args, code=1):
        """A restore that fails and leaves all as it was; what it said."""
        before, running, volumes = self.look(), self.bed.running(), self.volumes()
        ids = {n: c["Id"] for n, c in self.bed.containers().items()}
        result = self.restore(pipeline, *args, code=code)
        self.assertEqual([g["status"] for g in result.of("group")], ["undone"], str(result))
        self.bed.wait_healthy("shop")
        self.assertEqual(running, self.bed.running(), str(result))
        self.assertEqual(ids, {n: c["Id"] for n, c in self.bed.containers().items()})
        self.assert_same(before, self.look())
        self.assertEqual(volumes, self.volumes(), str(result))
        return result.text


class Stack(RestoreBench):
    """One stack for all: it is backed up once, good, and spoilt before each restore."""

    made = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = tempfile.mkdtemp(prefix="bake-restore.", dir=os.environ.get("BAKE_TEST_WORK"))
        cls.addClassCleanup(bake.forget, cls.base)
        shutil.copytree(os.path.join(dock.HERE, "stack"), cls.base + "/stack")
        cls.file = cls.base + "/stack/docker-compose.yml"
        with open(cls.file, encoding="utf-8") as f:
            text = f.read()
        # The application says that it is ill as long as there is a file of that name; its port is
        # one that only one stack can have.
        text = text.replace("    depends_on: [db, mariadb]\n", """    depends_on: [db, mariadb]
    ports: ["127.0.0.1:18099:80"]
    healthcheck:
      test: ["CMD-SHELL", "test ! -e /data/uploads/sick"]
      interval: 500ms
      timeout: 2s
      retries: 2
""")
        text = text.replace("    image: bake/postgres:15\n", "    image: bake/postgres:15\n    restart: always\n")
        with open(cls.file, "w", encoding="utf-8") as f:
            f.write(text)
        cls.store = cls.base + "/store"
        cls.kept = cls.base + "/all"  # the backup, as files

    @classmethod
    def compose(cls, *args):
        cls.bed.compose("shop", *args, file=cls.file)

    def setUp(self):
        super().setUp()
        if not Stack.made:
            self.make()
        self.before = Stack.made
        self.bed.wait_healthy("shop")
        self.forget_kept()

    def make(self):
        self.compose("down", "-v", "-t", "1")
        self.addClassCleanup(self.compose, "down", "-v", "-t", "1")
        self.compose("up", "-d")
        self.bed.wait_healthy("shop")
        self.fill()
        self.maria("create user clerk@'%' identified by 'cl''erk'; grant select, insert on wiki.pages to clerk@'%'")
        Stack.made = self.look()
        pipeline = self.drive(self.store, config=True)
        result = self.run_json(pipeline)
        Stack.id = result.summary["id"]
        self.bake("restore", pipeline, "--target", self.kept)
        self.spoil()

    def spoilt(self, mark="x"):
        """Changes everything that a restore is to put back; what is there then."""
        self.psql(f"update orders set note = 'spoilt {mark}'")
        self.psql("drop database if exists stats")
        self.psql("alter role reporter password 'other'")
        self.maria("delete from pages where id > 10; drop user if exists clerk@'%'")
        for volume in ["uploads", "config"]:
            root = self.bed.volume("shop_" + volume)
            for name in ["file 1", "file 5"]:
                if os.path.exists(f"{root}/d1/{name}"):
                    os.remove(f"{root}/d1/{name}")
            with open(root + "/new", "w", encoding="utf-8") as f:
                f.write("not in the backup " + mark)
        return self.look()

    def seeds(self, name, change, *parts):
        """A store with an archive as the seeds' container makes it, of parts of the backup, after
        change(its folder)."""
        top, store = self.path("seeds-" + name), self.path("bucket-" + name)
        for part in parts:
            target = os.path.join(top, part[5:])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run(["cp", "-a", f"{self.kept}/{part}", target], check=True)
        change(top)
        os.makedirs(store)
        subprocess.run(f"tar -C '{top}' -c --numeric-owner --sort=name . |"
                       f" zstd -q -o '{store}/backup_shop_20231105-120000_abc123.tar.zst'",
                       shell=True, check=True)
        return self.drive(store, name="s", health_timeout="8s")

    def manifest(self, name, change):
        """A copy of the store whose manifest change() has edited."""
        store = self.path("store-" + name)
        shutil.copytree(self.store, store)
        bake.edit_sealed(f"{store}/backups/{self.id}/manifest.json", change)
        sums = f"{store}/backups/{self.id}/SHA256SUMS"
        self.assertTrue(os.path.exists(sums))
        return self.drive(store)

    # ---- choosing ----

    def test_dry_run(self):
        now, running, volumes = self.spoilt(), self.bed.running(), self.volumes()
        pipeline = self.drive(self.store, config=True)
        result = self.restore(pipeline, "--dry-run")
        plan = result.of("plan")[0]
        self.assertEqual(plan["id"], self.id)
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
        self.assertIn(self.id, self.bake("list", self.drive(self.store)).text)
        parts = [(["latest", "--component", "volume:uploads"], {"uploads"}),
                 ([self.id, "--component", MARIA], {"pages", "titles", "routines", "triggers"}),
                 ([self.id[:-2], "--stack", "shop", "--component", "**/app"], {"uploads", "config"}),
                 (["--component", "**/database/*"], {"orders", "databases", "reporter"})]
        self.addCleanup(self.spoilt)
        for args, back in parts:
            with self.subTest(args):
                result = self.restore(self.drive(self.store), *args)
                now.update({k: self.before[k] for k in back})
                self.bed.wait_healthy("shop")
                self.assert_same(now, self.look())
                self.assertEqual(self.bed.running("shop"), ALL, str(result))
        # Users and roles came with their passwords and rights.
        self.assertEqual(self.login("shop_mariadb_1", "mariadb -h 127.0.0.1 -uclerk -p\"cl'erk\" wiki -Ne 'show grants'"
                                    ).count("GRANT"), 2)
        self.assertEqual(self.login("shop_db_1", "PGPASSWORD=rpt psql -h 127.0.0.1 -U reporter shopdb -Atc"
                                    " 'select count(*) from orders'"), "1000")

    def login(self, container, command):
        return self.bed.exec(container, "sh", "-c", command).decode().strip()

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
        """What did not run does not run at the end, databases neither."""
        self.spoilt()
        for name in ["app", "db"]:
            self.bed.api("POST", f"/containers/shop_{name}_1/stop?t=5")
        self.restore(self.drive(self.store), "--skip-start")
        self.assertEqual(self.bed.running("shop"), ["shop_cache_1", "shop_mariadb_1"])
        self.compose("up", "-d")
        self.bed.wait_healthy("shop")
        self.assert_same(self.before, self.look())

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

    def test_password_of_another_day(self):
        """The server that keeps running has another password than its container's environment."""
        self.maria("alter user root@localhost identified by 'changed'; alter user root@'%' identified by 'changed'")
        result = self.restore(self.drive(self.store), "--skip-stop", "--component", MARIA, code=1)
        said = result.text
        self.assertIn("container 'shop_mariadb_1': the server refuses root with the password of"
                      " MARIADB_ROOT_PASSWORD", said)
        self.assertNotIn("changed", said)
        # Where the server is made anew, it has the environment's.
        self.restore(self.drive(self.store), "--component", MARIA)
        self.assertEqual(self.maria("select count(*) from pages"), "500")

    # ---- failing ones ----

    def test_damaged_objects(self):
        """What is damaged in the store is found before anything is stopped, or is undone."""
        self.spoilt()
        for i, name in enumerate([UPLOADS, PG]):
            with self.subTest(name):
                store = self.path(f"damaged{i}")
                shutil.copytree(self.store, store)
                found = glob.glob(f"{store}/backups/*/{name}.*.zst") or glob.glob(f"{store}/backups/*/{name}.zst")
                path = [f for f in found if "mtree" not in f][0]
                with open(path, "r+b") as f:
                    size = f.seek(0, os.SEEK_END)
                    f.seek(size // 2)
                    f.write(b"damage")
                started = self.bed.inspect("shop_app_1")["State"]["StartedAt"]
                said = self.undone(self.drive(store))
                self.assertIn(name, said)
                self.assertIn("1 group could not be restored and is as before", said)
                if name == UPLOADS:
                    self.assertEqual(started, self.bed.inspect("shop_app_1")["State"]["StartedAt"])

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

    def test_database_that_never_comes_up(self):
        self.spoilt()
        path = self.base + "/stack/initdb/postgres.sql"
        with open(path, "r+", encoding="utf-8") as f:
            good = f.read()
            f.write("select nonsense from nowhere;\n")
        try:
            said = self.undone(self.drive(self.store))
        finally:
            with open(path, "r+", encoding="utf-8") as f:
                f.truncate()
                f.write(good)
        # the daemon may have started it again already
        self.assertRegex(said, "container 'shop_db_1' ended( with exit status 3)? before its database was ready")
        self.assertIn("'docker logs shop_db_1' says why", said)

    def test_application_is_ill_in_the_end(self):
        """All is loaded and in use when the health check fails: all of it goes back."""
        self.spoilt()

        def sicken(top):
            with open(top + "/app/volumes/uploads/sick", "w", encoding="utf-8") as f:
                f.write("x")
        said = self.undone(self.seeds("sick", sicken, UPLOADS, PG, MARIA))
        self.assertIn("shop_app_1", said)
        self.assertIn("health", said)

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

    # ---- what is not there any more ----

    def test_service_is_gone(self):
        now = self.spoilt()
        self.compose("rm", "-sf", "app")
        self.addCleanup(self.compose, "up", "-d", "app")
        result = self.restore(self.drive(self.store), "--component", "shop/app", code=3)
        said = result.text
        self.assertIn("service 'app' of 'shop' is not there any more: only its volume 'shop_uploads' is restored",
                      said)
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
        self.addCleanup(self.bed.compose, "twin", "down", "-v", "-t", "1", file=self.file)
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
            self.assert_same({volume: self.before[volume]},
                             {volume: self.tree(f"{out}/shop/app/volumes/{volume}")})
        with open(f"{out}/{PG}", "rb") as f:
            self.assertIn(b"PostgreSQL database cluster dump complete", f.read()[-200:])
        said = self.restore(pipeline, code=1).text
        self.assertIn("/nowhere", said)


if __name__ == "__main__":
    dock.main()
