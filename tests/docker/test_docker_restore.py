#!/usr/bin/python3
"""Restores of a stack with databases: as a whole, parts of it, under another name, beside the first; and
undone."""
import dock
import bed
from spoilt import ALL, CONFIG, MARIA, PG, SOME, UPLOADS, SpoiltBench


class Restores(SpoiltBench):
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
        grants = self.login("shop_mariadb_1",
                            "mariadb -h 127.0.0.1 -uclerk -p\"cl'erk\" wiki -Ne 'show grants'")
        self.assertEqual(grants.count("GRANT"), 2)
        self.assertEqual(self.login("shop_db_1", "PGPASSWORD=rpt psql -h 127.0.0.1 -U reporter shopdb -Atc"
                                    " 'select count(*) from orders'"), "1000")

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
        """What did not run does not run at the end, databases neither."""
        self.spoilt()
        for name in ["app", "db"]:
            self.bed.api("POST", f"/containers/shop_{name}_1/stop?t=5")
        self.restore(self.drive(self.store), "--skip-start", *SOME)
        self.assertEqual(self.bed.running("shop"), ["shop_cache_1", "shop_mariadb_1"])
        self.compose("up", "-d")
        self.bed.wait_healthy("shop")
        after = self.look()
        for key in ["orders", "databases", "reporter", "uploads"]:
            self.assert_same({key: self.before[key]}, after)

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
            found = self.tree(f"{out}/shop/app/volumes/{volume}")
            self.assert_same({volume: self.before[volume]}, {volume: found})
        with open(f"{out}/{PG}", "rb") as f:
            self.assertIn(b"PostgreSQL database cluster dump complete", f.read()[-200:])
        said = self.restore(pipeline, code=1).text
        self.assertIn("/nowhere", said)


if __name__ == "__main__":
    dock.main()
