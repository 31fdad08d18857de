"""For tests of restores of a stack with databases: it is backed up once, and spoilt before each restore;
and what is looked at whenever something was restored."""
import os
import shutil
import subprocess
import tempfile
import unittest

import dock
import bake

PG, MARIA = "shop/db/database/pg_dumpall.sql", "shop/mariadb/mariadb_dump/all_databases.sql"
UPLOADS, CONFIG = "shop/app/volumes/uploads", "shop/app/volumes/config"
SOME = ["--component", "**/database/*", "--component", UPLOADS]  # what is quick
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


class SpoiltBench(RestoreBench):
    """One stack for all: it is backed up once, good, and spoilt before each restore."""

    base = made = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not SpoiltBench.base:
            SpoiltBench.lay_out()

    @classmethod
    def lay_out(cls):
        cls.base = tempfile.mkdtemp(prefix="bake-restore.", dir=os.environ.get("BAKE_TEST_WORK"))
        unittest.addModuleCleanup(bake.forget, cls.base)
        shutil.copytree(os.path.join(dock.HERE, "stack"), cls.base + "/stack")
        cls.file = cls.base + "/stack/docker-compose.yml"
        with open(cls.file, encoding="utf-8") as f:
            text = f.read()
        # The application says that it is ill as long as there is a file of that name, or does not
        # say; its port is one that only one stack can have.
        text = text.replace("    depends_on: [db, mariadb]\n", """    depends_on: [db, mariadb]
    ports: ["127.0.0.1:18099:80"]
    healthcheck:
      test: ["CMD-SHELL", "test -e /data/uploads/slow && sleep 30; test ! -e /data/uploads/sick"]
      interval: 1s
      timeout: 2s
      retries: 2
""")
        image = "    image: bake/postgres:15\n"
        text = text.replace(image, image + "    restart: always\n")
        with open(cls.file, "w", encoding="utf-8") as f:
            f.write(text)
        cls.store = cls.base + "/store"
        cls.kept = cls.base + "/all"  # the backup, as files

    @classmethod
    def compose(cls, *args):
        cls.bed.compose("shop", *args, file=cls.file)

    def setUp(self):
        super().setUp()
        if not SpoiltBench.made:
            self.make()
        self.before = SpoiltBench.made
        self.bed.wait_healthy("shop")
        self.forget_kept()

    def make(self):
        self.bed.drop("shop")
        unittest.addModuleCleanup(self.bed.drop, "shop")
        self.compose("up", "-d")
        self.bed.wait_healthy("shop")
        self.fill()
        self.maria("create user clerk@'%' identified by 'cl''erk';"
                   " grant select, insert on wiki.pages to clerk@'%'")
        SpoiltBench.made = self.look()
        pipeline = self.drive(self.store, config=True)
        result = self.run_json(pipeline)
        SpoiltBench.backup_id = result.summary["id"]
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

    def manifest(self, name, **facts):
        """A copy of the store in whose manifest these facts of the dump of PostgreSQL are others."""
        def change(body):
            for c in body["components"]:
                if c["name"] == PG:
                    c["facts"].update(facts)
        store = self.path("store-" + name)
        shutil.copytree(self.store, store)
        bake.edit_sealed(f"{store}/backups/{self.backup_id}/manifest.json", change)
        sums = f"{store}/backups/{self.backup_id}/SHA256SUMS"
        self.assertTrue(os.path.exists(sums))
        return self.drive(store)
