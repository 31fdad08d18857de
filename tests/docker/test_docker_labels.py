#!/usr/bin/python3
"""What labels may ask for, and what is done about what makes no sense: paths that are not there or lead
out, names that collide, old labels, dumps beside paths, the files of running databases, replicas."""
import os
import socket

import dock  # first: it knows where the others are
from boxes import BoxBench


class Labels(BoxBench):
    def messages(self, result, subject=None):
        """(severity, text) of what was said about this one."""
        return [(e["severity"], e["text"] + e.get("hint", "")) for e in result.of("warning")
                if subject in (None, e.get("subject"))]

    def assert_message(self, result, severity, subject, *texts):
        """One message about it has all of these."""
        said = self.messages(result, subject)
        self.assertTrue(any(s == severity and all(t in text for t in texts) for s, text in said),
                        f"{subject}: {texts} not among {said}: {result}")

    def errors(self, result):
        return {c["name"]: c["error"] + c.get("hint", "") for c in result.of("component")
                if c["status"] == "failed"}

    # ---- paths ----

    def test_paths_that_make_no_sense(self):
        bad = {"root": "/", "dots": "/data/../..", "relative": "data", "empty": "", "same": "/./"}
        self.box("bad", start=False, labels={"backup.volume-path." + n: p for n, p in bad.items()})
        self.box("nameless", start=False,
                 labels={"backup.volume-path.": "/data", "backup.enable": "maybe"})
        self.keeper("good", start=False, HostConfig={"Binds": [self.data()]})
        result = self.go(self.pipe(), code=3)
        self.assert_status(result, bad=None, nameless=None, good="ok")
        for name, why in [("root", "whole container"), ("dots", "'..'"), ("relative", "not absolute"),
                          ("empty", "empty"), ("same", "whole container")]:
            self.assert_message(result, "partial", "odd-bad", f"'backup.volume-path.{name}'", why,
                                "not backed up")
        self.assert_message(result, "partial", "odd-nameless", "'backup.enable'", "'maybe'")
        dry = self.bake("run", self.pipe(), "--dry-run", code=3)
        self.assertIn("whole container", dry.text)

    def test_paths_that_lead_nowhere_or_out(self):
        """Followed as the container would: what lies outside of it is never seen."""
        canary = self.write("canary/secret", b"of the host")
        links = {"loop": "loop", "gone": "/no/such/thing", "out": "../../../../.." + canary,
                 "top": "/", "dev": "/dev/null", "proc": "/proc/1/environ"}
        volume = self.volume("links", 5)
        for name, target in links.items():
            os.symlink(target, os.path.join(self.bed.volume(volume), name))
        for name in [*links, "missing"]:
            self.box(name, f"{volume}:/data:ro", labels={
                "backup.volume-path.it": "/data/" + name, "backup.consistency": "none"})
        self.keeper("good", HostConfig={"Binds": [self.data()]})
        for read in ["api", "direct"]:
            with self.subTest(read):
                pipeline = self.pipe(read=read, name=read)
                result = self.go(pipeline, code=3)
                self.assert_status(result, good="ok", **dict.fromkeys([*links, "missing"], "failed"))
                errors = self.errors(result)
                for name, text in [("missing", "has nothing at '/data/missing'"), ("gone", "nothing"),
                                   ("loop", "/data/loop"), ("out", "nothing"), ("top", "whole container")]:
                    self.assertIn(text, errors[f"odd/{name}/volumes/it"])
                    self.assertIn(f"odd-{name}", errors[f"odd/{name}/volumes/it"])
                self.assertNotIn(b"of the host", self.everything(pipeline))

    def everything(self, pipeline):
        """All bytes of all components that can be read back."""
        target = self.path("back-" + os.path.basename(pipeline))
        self.bake("restore", pipeline, "--target", target, code=None)
        out = b""
        for folder, _, files in os.walk(target):
            for name in files:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as f:
                        out += f.read()
        self.assertTrue(out)
        return out

    def test_allowed_and_denied_paths(self):
        data = self.volume("data", 5)
        self.box("one", f"{data}:/srv/data", f"{data}:/etc/secret", start=False, labels={
            "backup.volume-path.data": "/srv/data", "backup.volume-path.secret": "/etc/secret"})
        result = self.go(self.pipe(exclude_paths=["/etc"]))
        self.assertEqual([n for n in self.status(result) if "/volumes/" in n],
                         ["odd/one/volumes/data"])
        self.assert_message(result, "notice", "odd-one", "/etc/secret", "exclude_paths")
        result = self.go(self.pipe(paths=["/srv"], exclude_projects=["odd2"]))
        self.assertEqual([n for n in self.status(result) if "/volumes/" in n],
                         ["odd/one/volumes/data"])

    # ---- names ----

    def test_two_that_claim_one_name(self):
        data = self.volume("data", 5)
        self.box("a", f"{data}:/x", f"{data}:/y", start=False, labels={
            "backup.volume-path.p_q": "/x", "backup.volume-path.p/q": "/y"})
        # the same service twice with one number: what Compose never makes
        self.keeper("b", start=False, HostConfig={"Binds": [self.data("b")]})
        labels = self.bed.inspect("odd-b")["Config"]["Labels"]
        self.bed.api("POST", "/containers/create?name=odd-b-again", {
            "Image": "bake/app:1", "Labels": labels, "HostConfig": {"Binds": [self.data("b2")]}})
        result = self.go(self.pipe(), code=3)
        self.assert_status(result, a="ok", b="ok")
        self.assert_says(result, "is not backed up for 'odd-b-again'", "give the label")
        self.assertEqual(len([t for s, t in self.messages(result) if s == "partial"]), 2, str(result))

    def test_two_projects_with_the_same_services(self):
        for project in ["odd", "odd2"]:
            self.keeper("app", project=project, HostConfig={"Binds": [self.data(project)]})
        pipeline = self.pipe(parallel_groups=2)
        result = self.go(pipeline)
        self.assertEqual(sorted(self.status(result)), [
            "odd/app/volumes/data", "odd/definition.json", "odd2/app/volumes/data",
            "odd2/definition.json"])
        only = self.bake("run", pipeline, "--json", "--only", "odd2/app")
        self.assertEqual(list(self.status(only)), ["odd2/app/volumes/data"])

    # ---- what else labels say ----

    def test_old_labels(self):
        data = self.volume("data", 5)
        self.server("db", self.good_dump(), labels={"backup.database.pg_dumpall": "false"})
        self.box("app", f"{data}:/srv/data", f"{data}:/var/data", labels={
            "backup.volumes": "/srv/data|/var/data", "backup.db.service": "db"})
        self.box("lost", start=False, labels={"backup.db.service": "nobody"})
        self.box("other", start=False, labels={"backup.volume-paths.x": "/x", "backup.shiny": "yes"})
        result = self.go(self.pipe(), code=3)
        self.assertEqual(sorted(n for n in self.status(result)), [
            "odd/app/volumes/data", "odd/app/volumes/data-2", "odd/db/database/pg_dumpall.sql",
            "odd/definition.json"])
        self.assertEqual(set(self.status(result).values()), {"ok"})
        self.assert_message(result, "notice", "odd-app", "'backup.volumes' is old",
                            "backup.volume-path.<name>=<path>")
        self.assert_message(result, "notice", "odd-app", "'backup.db.service' is old", "pg_dumpall")
        self.assert_message(result, "partial", "odd-lost", "no service 'nobody'")
        self.assert_message(result, "warning", "odd-other", "'backup.volume-paths.x' is not known")
        self.assert_message(result, "notice", "odd-other", "'backup.shiny' is not known")

    def test_dump_beside_a_path(self):
        self.server("db", self.good_dump(), labels={"backup.volume-path.data": "/data"},
                    HostConfig={"Binds": [self.data()]})
        result = self.go(self.pipe())
        self.assertEqual(sorted(self.status(result)), ["odd/db/volumes/data", "odd/definition.json"])
        self.assert_message(result, "warning", "odd-db", "the dump is skipped", "stopped for its paths",
                            "choose one of both")

    def test_files_of_a_running_database(self):
        """No copy of them is any good; once nobody runs on them it is."""
        for service, files in [("pg", ["PG_VERSION", "postmaster.pid"]), ("maria", ["ibdata1"])]:
            volume = self.volume(service, 0)
            for name in files:
                with open(os.path.join(self.bed.volume(volume), name), "w", encoding="ascii") as f:
                    f.write("15\n")
            self.keeper(service, labels={"backup.consistency": "none"},
                        HostConfig={"Binds": [volume + ":/data"]})
        self.keeper("good", HostConfig={"Binds": [self.data()]})
        for read in ["direct", "api"]:
            with self.subTest(read):
                result = self.go(self.pipe(read=read), code=3)
                self.assert_status(result, pg="failed", maria="failed", good="ok")
                for name, error in self.errors(result).items():
                    self.assertIn(f"'odd-{name.split('/')[1]}' runs", error)
                    self.assertIn("backup.database.pg_dumpall", error)
        for service in ["pg", "maria"]:
            self.bed.api("POST", f"/containers/odd-{service}/stop?t=1")
        self.assert_status(self.go(self.pipe(read="direct")), pg="ok", maria="ok", good="ok")

    # ---- what stands still ----

    def test_pause_and_none(self):
        self.keeper("paused", HostConfig={"Binds": [self.data("paused")]},
                    labels={"backup.consistency": "pause"})
        self.keeper("left", HostConfig={"Binds": [self.data("left")]},
                    labels={"backup.consistency": "none"})
        self.keeper("odder", HostConfig={"Binds": [self.data("odder")]},
                    labels={"backup.consistency": "nonsense"})
        result = self.go(self.pipe(read="api"))
        self.assert_status(result, paused="ok", left="ok", odder="ok")
        self.assertEqual(self.happened("pause"), ["odd-paused"])
        self.assertEqual(self.happened("unpause"), ["odd-paused"])
        self.assertEqual(set(self.happened("die")) & {"odd-paused", "odd-left"}, set())
        self.assertIn("odd-odder", self.happened("die"))
        self.assert_message(result, "warning", "odd-odder", "'nonsense'", "stop, pause and none")

    def test_replicas(self):
        file = self.compose_file("""
version: "3.8"
services:
  app:
    image: bake/app:1
    network_mode: none
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
    volumes: ["shared:/shared", "/own"]
    labels:
      backup.enable: "true"
      backup.volume-path.shared: /shared
      backup.volume-path.own: /own
volumes:
  shared:
""")
        self.addCleanup(self.bed.drop, "odd")
        self.bed.compose("odd", "up", "-d", "--scale", "app=3", file=file)
        result = self.go(self.pipe())
        self.assertEqual(sorted(n for n in self.status(result) if "/volumes/" in n), [
            "odd/app-2/volumes/own", "odd/app-3/volumes/own", "odd/app/volumes/own",
            "odd/app/volumes/shared"])
        self.assertEqual(len([n for n in self.happened("die") if n.startswith("odd")]), 3)

    def test_own_container(self):
        """One that has our host's name, as Docker gives it: that is where we are."""
        name = self.keeper("me", HostConfig={"Binds": [self.data()]})
        self.keeper("other", HostConfig={"Binds": [self.data("other")]})
        host = self.bed.inspect(name)["Id"][:12]
        result = self.go(self.pipe(), prefix=["unshare", "-u", "sh", "-c", f'hostname {host}; exec "$@"',
                                              "sh"])
        self.assert_status(result, me="ok", other="ok")
        self.assertNotIn(name, self.happened("die", "pause"))
        self.assert_message(result, "warning", None, f"'{name}' can write there", "bakengine is in it")


class Files(BoxBench):
    """What a hostile or a strange container may have in its directories."""

    def strange(self, volume):
        root = self.bed.volume(volume)
        names = [b"new\nline", b"\xff\xfe not utf-8", b"-rf", b"back\\slash", b"tab\there", b"...",
                 b" ", b"\x1b[31mred", b"%s%n", b"long" + b"g" * 240]
        for name in names:
            with open(os.path.join(root.encode(), name), "wb") as f:
                f.write(name)
        deep = os.path.join(root.encode(), *[b"d" * 200] * 3)
        os.makedirs(deep)
        for target in ["/etc/passwd", "../../../../etc/shadow", "."]:
            os.symlink(target, os.path.join(root, "to " + target.replace("/", "_")))
        os.mknod(os.path.join(root, "null"), 0o666 | 0o020000, os.makedev(1, 3))
        os.mknod(os.path.join(root, "disk"), 0o600 | 0o060000, os.makedev(7, 200))
        os.mkfifo(os.path.join(root, "fifo"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            here = os.getcwd()
            os.chdir(root)
            s.bind("sock")
            os.chdir(here)
        with open(os.path.join(root, "suid"), "wb") as f:
            os.fchmod(f.fileno(), 0o4755)
        return root

    def test_strange_entries(self):
        root = self.strange(self.volume("data", 3))
        self.keeper("one", HostConfig={"Binds": ["odd_data:/data"]})
        for read in ["api", "direct"]:
            with self.subTest(read):
                pipeline, target = self.pipe(read=read, name=read), self.path("back-" + read)
                result = self.go(pipeline)
                self.assertEqual(set(self.status(result).values()), {"ok"})
                self.bake("restore", pipeline, "--target", target)
                back = self.tree(os.path.join(target, "odd/one/volumes/data"))
                want = self.tree(root)
                want.pop("sock", None)  # the daemon does not send them
                back.pop("sock", None)
                self.assertEqual(sorted(want), sorted(back))
                for path, what in want.items():
                    self.assertEqual(what, back[path], path)
                for name, device in [("null", os.makedev(1, 3)), ("disk", os.makedev(7, 200))]:
                    st = os.lstat(os.path.join(target, "odd/one/volumes/data", name))
                    self.assertEqual(st.st_rdev, device)
                # control characters must not reach the terminal
                self.assertNotIn(b"\x1b", self.bake("ls", pipeline, "latest", "odd/one/volumes/data").out)

    def test_sparse_file_of_100_gb(self):
        """Read directly its holes cost nothing; through the daemon they are sent, for as long as the
        stack may be down for it and not longer. In neither case are they ever in memory."""
        volume = self.volume("data", 3)
        with open(os.path.join(self.bed.volume(volume), "sparse"), "wb") as f:
            f.truncate(100 << 30)
            f.seek(50 << 30)
            f.write(b"the middle")
        self.keeper("one", HostConfig={"Binds": [volume + ":/data"]})
        self.keeper("good", HostConfig={"Binds": [self.data("good")]})
        result = self.go(self.pipe(read="direct", name="direct"))
        self.assert_status(result, one="ok", good="ok")
        self.assertLess(result.summary["duration"], 30)
        self.assertLess(result.rss, 300 << 10)
        result = self.go(self.pipe(read="api", name="api", hold={"max": "3s"}, parallel=2), code=3)
        self.assert_status(result, one="failed", good="ok")
        self.assertLess(result.summary["duration"], 30)
        self.assertLess(result.rss, 300 << 10)
        self.assert_says(result, "held for 3.0s")


if __name__ == "__main__":
    dock.main()
