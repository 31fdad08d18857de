"""What the Docker tests share: the bed that ctest brought up, stacks of a test's own, what is in them."""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "integration")]
import bake  # noqa: E402
import bed  # noqa: E402

long_form = unittest.skipUnless(bake.LONG, "in the long form")


def cache():
    return os.path.join(bake.BUILD, "tests", "docker")


class DockerBench(bake.Bench):
    """Tests that talk to the bed's daemon. Stacks are brought up under names of their own and go at
    the end."""

    own_daemon = False  # a test that stops the daemon has one for itself
    images = None  # that it needs, if not all

    @classmethod
    def setUpClass(cls):
        cls.bed = bed.Bed(os.path.join(cache(), os.environ.get("BAKE_TEST_BED", "bed")), cache())
        os.makedirs(os.environ.setdefault("BAKE_TEST_WORK", cls.bed.work), exist_ok=True)
        if cls.own_daemon:
            cls.bed = bed.Bed(cls.bed.folder + bed.OWN, cache())
            cls.bed.down()
            cls.addClassCleanup(cls.bed.down)
        cls.bed.up(cls.images)

    def run(self, result=None):
        """With what it took: these are the slowest of all tests."""
        begin = time.monotonic()
        super().run(result)
        print(f"{self.id()}: {time.monotonic() - begin:.1f} s", flush=True)
        return result

    def setUp(self):
        super().setUp()
        self.env["DOCKER_HOST"] = self.bed.host
        self.env["BAKE_TEST_DIR"] = self.work

    def stack(self, project, *services, file=None):
        """Brings a stack up, healthy; takes it down with its volumes at the end."""
        self.bed.drop(project)
        self.addCleanup(self.bed.drop, project)
        self.bed.compose(project, "up", "-d", *services, file=file)
        self.bed.wait_healthy(project)

    def compose_file(self, text):
        """A Compose file of the test's own; its path."""
        return self.write("compose/docker-compose.yml", text.encode())

    def docker_pipeline(self, format="repository", name="t", **options):
        more = {k: options.pop(k) for k in ("hold", "parallel", "verify", "retention") if k in options}
        store = {"format": format, **options.pop("store", {})}
        options.setdefault("host", self.bed.host)
        options.setdefault("projects", ["shop"])
        return self.pipeline({"stacks": {"plugin": "docker", **options}}, name=name, store=store, **more)

    # ---- what is in the stack of stack/docker-compose.yml ----

    def psql(self, sql, project="shop", db="shopdb"):
        command = f'PGPASSWORD=$(cat /run/secrets/pg_password) psql -h 127.0.0.1 -U shop {db} -Atc "$0"'
        return self.bed.exec(f"{project}_db_1", "sh", "-c", command, sql).decode().strip()

    def maria(self, sql, project="shop", db="wiki"):
        command = f'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" mariadb -uroot {db} -Ne "$0"'
        return self.bed.exec(f"{project}_mariadb_1", "sh", "-c", command, sql).decode().strip()

    def fill(self, project="shop"):
        """Gives the application's volumes something to keep, of every kind."""
        for volume in ["uploads", "config"]:
            root = self.bed.volume(f"{project}_{volume}")
            for i in range(40):
                path = os.path.join(root, f"d{i % 4}", f"file {i}")
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as f:
                    f.write(os.urandom(i * 997))
                os.chown(path, 1000 + i % 3, 33)
                os.chmod(path, 0o640 if i % 2 else 0o604)
            os.symlink("../d1/file 1", os.path.join(root, "d0", "link"))
            os.link(os.path.join(root, "d1", "file 1"), os.path.join(root, "d2", "hard"))
            os.mkfifo(os.path.join(root, "d3", "fifo"))
            os.chmod(root, 0o2750)
            os.chown(root, 999, 999)

    def look(self, project="shop"):
        """Rows and bytes: everything that a restore must bring back. The heartbeat that the
        application writes as long as it runs is left out."""
        pg = self.psql("""
            select md5(string_agg(o::text, ',' order by id)) from orders o
            union all select string_agg(datname, ',' order by datname) from pg_database
                where not datistemplate
            union all select (select rolpassword from pg_authid where rolname = 'reporter')""", project)
        maria = self.maria("""
            select md5(group_concat(md5(concat_ws('|', id, hex(title), md5(body))) order by id)) from pages;
            select count(*) from titles;
            select group_concat(name order by name) from mysql.proc where db='wiki';
            select count(*) from information_schema.triggers where trigger_schema='wiki'""", project)
        seen = dict(zip(["orders", "databases", "reporter"], pg.split("\n"), strict=True))
        seen |= zip(["pages", "titles", "routines", "triggers"], maria.split("\n"), strict=True)
        for volume in ["uploads", "config"]:
            seen[volume] = self.tree(self.bed.volume(f"{project}_{volume}"))
        return seen

    @staticmethod
    def tree(root):
        """Path -> what matters of it."""
        out = {}
        for folder, dirs, files in os.walk(root):
            for name in ["."] + dirs + files:
                path = os.path.normpath(os.path.join(folder, name))
                rel = os.path.relpath(path, root)
                if rel == "heartbeat" or (name == "." and rel != "."):
                    continue
                st = os.lstat(path)
                what = [oct(st.st_mode), st.st_uid, st.st_gid]
                if os.path.islink(path):
                    what.append(os.readlink(path))
                elif os.path.isfile(path):
                    with open(path, "rb") as f:
                        what += [f.read(), st.st_nlink, int(st.st_mtime)]
                out[rel] = what
        return out

    def assert_same(self, before, after):
        for key, value in before.items():
            if isinstance(value, dict):
                self.assertEqual(sorted(value), sorted(after[key]), key)
                for path, what in value.items():
                    self.assertEqual(what, after[key][path], f"{key}: {path}")
            else:
                self.assertEqual(value, after[key], key)

    def spoil(self, project="shop"):
        """Changes everything that a restore is to put back."""
        self.psql("update orders set note = 'spoilt'", project)
        self.psql("drop database stats", project)
        self.maria("delete from pages where id > 10", project)
        root = self.bed.volume(f"{project}_uploads")
        os.remove(os.path.join(root, "d1", "file 1"))
        with open(os.path.join(root, "new"), "wb") as f:
            f.write(b"not in the backup")


def main():
    if os.geteuid() != 0:
        print("FAILED: these tests start a Docker daemon; run them as root")
        sys.exit(1)
    bake.main()
