#!/usr/bin/python3
"""A daemon that is not there, is not what it should be, hangs, resets, lies or answers later; containers
that go while they are read. What fails is named, the rest goes on."""
import os
import threading
import time

import dock  # first: it knows where the others are
import bake
from boxes import BoxBench, rule

MANY = 9 if bake.LONG else 1  # faults of a kind in the short form
ARCHIVE = r"^GET \S*/archive\?"


class NoDaemon(BoxBench):
    """Each with a source of files beside it, which is backed up all the same."""

    def fails(self, *texts, host=None, rules=(), env=None, prefix=(), **options):
        pipeline = self.pipe(rules, plain=True, **({"host": host} if host else {}), **options)
        result = self.run_json(pipeline, code=3, prefix=prefix, **({"env": env} if env else {}))
        self.assertEqual(self.status(result).get("plain"), "ok", str(result))
        self.assert_says(result, *texts)
        return result

    def test_no_socket(self):
        path = self.path("nothing.sock")
        self.fails(path, "is docker running there?", host="unix://" + path)
        # alone: nothing could be backed up at all
        result = self.run_json(self.pipe(host="unix://" + path), code=1)
        self.assert_says(result, path)
        self.assertEqual(result.summary["status"], "failed")
        # a missing Docker may be all right
        self.assert_says(self.run_json(self.pipe(plain=True, optional=True, host="unix://" + path)),
                         path)

    def test_nobody_listens(self):
        through = self.proxy()  # its socket stays when it is closed
        through.close()
        self.fails("refused", host=through.host)
        self.write("file", b"")
        self.fails(self.path("file"), host="unix://" + self.path("file"))

    def test_no_permission(self):
        if not os.access(bake.binary(), os.X_OK):
            self.skipTest("nobody may not run the program from where it was built")
        for name in ["state", "cache", "store", "plain"]:
            os.makedirs(self.path(name), exist_ok=True)
            os.chown(self.path(name), bake.NOBODY, bake.NOBODY)
        nobody = ["setpriv", f"--reuid={bake.NOBODY}", f"--regid={bake.NOBODY}", "--clear-groups"]
        self.fails(self.bed.socket, "ermission denied",
                   "run as root, or as a member of the group that owns the socket", prefix=nobody)

    def test_too_old_and_too_new(self):
        for newest, oldest in [("1.20", "1.12"), ("9.80", "9.60"), ("1.20", "")]:
            body = b'{"ApiVersion":"%s","MinAPIVersion":"%s"}' % (newest.encode(), oldest.encode())
            self.fails(f"speaks API {newest}", "this source",
                       rules=[rule(r"/version", "status:200", body=body)])
        # one that refuses the version it was asked for, as Docker does: in plain text
        text = b"client version 1.41 is too old. Minimum supported API version is 1.44"
        self.fails("client version 1.41 is too old",
                   rules=[rule(r"/v1\.\d+/", "status:400", body=text)])

    def test_no_docker_at_all(self):
        for do, body in [("status:404", b"<html>not found</html>"), ("status:200", b"<html>hello"),
                         ("status:200", b'{"hello":"world"}'), ("status:200", b"")]:
            with self.subTest(body=body):
                self.fails("no Docker Engine", rules=[rule(r"/version", do, body=body)])

    def test_hangs_resets_and_errors_at_the_door(self):
        for do, text in [("hang", "nothing was heard for 1 s"), ("reset", "closed without an answer"),
                         ("status:500", "the proxy says no"), ("status:503", "the proxy says no"),
                         ("cut:40", "")]:
            for where in [r"/version", r"/containers/json"]:
                with self.subTest(do=do, where=where):
                    self.fails(text, "docker", rules=[rule(where, do)], timeout="1s")

    def test_from_the_environment(self):
        self.env["DOCKER_HOST"] = "unix://" + self.path("nothing.sock")
        sources = {"stacks": {"plugin": "docker", "projects": ["odd"]}}
        result = self.run_json(self.pipeline(sources), code=1)
        self.assert_says(result, self.path("nothing.sock"), "DOCKER_HOST")


class Reading(BoxBench):
    """What happens to one service is not the others' fault."""

    def two(self, **more):
        """"bad", and "good" that must be backed up whatever happens."""
        self.filled("good", start=more.get("start", True))
        self.filled("bad", **more)

    def filled(self, service, **more):
        return self.keeper(service, HostConfig={"Binds": [self.data(service)]}, **more)

    def of(self, service):
        """Requests for the service's files."""
        return rf"^GET \S*/{self.container_id('odd-' + service)}/archive"

    def container_id(self, name):
        return self.bed.inspect(name)["Id"]

    def errors(self, result):
        """Service -> why its component failed."""
        return {c["name"].split("/")[1]: c.get("error", "") + c.get("hint", "")
                for c in result.of("component")}

    def all_bad(self, faults, **options):
        """A service for each of the faults, and one without: only that one is good. They need not
        run."""
        names = {f"bad{i}": do for i, do in enumerate(faults)}
        for name in [*names, "good"]:
            self.filled(name, start=False)
        rules = [rule(self.of(name), do) for name, do in names.items()]
        pipeline = self.pipe(rules, read="api", consistency="none", **options)
        result = self.go(pipeline, code=3)
        self.assert_status(result, good="ok", **dict.fromkeys(names, "failed"))
        self.assertEqual([r.hits > 0 for r in rules], [True] * len(rules))
        self.bake("verify", pipeline)
        errors = self.errors(result)
        return [(do, f"odd-{name}", errors[name]) for name, do in names.items()]

    def test_errors_of_one(self):
        faults = {"status:500": "the proxy says no", "status:503": "the proxy says no",
                  "reset": "closed without an answer", "hang": "nothing was heard for 2 s",
                  "cut:5000": "cut off", "stall:5000:30": "nothing was heard for 2 s"}
        for do, name, error in self.all_bad(faults, timeout="2s"):
            for text in [faults[do], name, "/data"]:
                self.assertIn(text, error, do)

    def test_truncated_tar_with_200(self):
        for do, _, error in self.all_bad([f"end:{n}" for n in (0, 512, 1024, 3000, 9 * 512)]):
            self.assertIn("the daemon's archive of '/data' breaks off at", error, do)

    def test_a_file_shrinks_while_it_is_read(self):
        """The real thing: from there on the daemon's archive lacks everything, and it says 200."""
        self.two(labels={"backup.consistency": "none"})
        big = os.path.join(self.bed.volume("odd_bad"), "d0", "f00000")
        self.random_file(big, 8 << 20)
        gate = rule(self.of("bad"), "gate:20000")
        threading.Thread(target=lambda: gate.reached.wait() and (os.truncate(big, 100), gate.open()),
                         daemon=True).start()
        result = self.go(self.pipe([gate], read="api"), code=3)
        self.assertTrue(gate.reached.is_set())
        self.assert_status(result, bad="failed", good="ok")
        for text in ["breaks off at 'd0/f00000'", "shrank", "consistency"]:
            self.assertIn(text, self.errors(result)["bad"])

    def test_the_lock_while_a_body_is_read(self):
        """Three paths of one container, each as slow as the daemon's silence may almost be: whoever
        asked the daemon anything about that container meanwhile would wait in vain."""
        data = self.volume("data", 30)
        self.box("many", f"{data}:/a", f"{data}:/b", f"{data}:/c", labels={
            "backup.volume-path." + n: "/" + n for n in "abc"})
        result = self.go(self.pipe([rule(ARCHIVE, "stall:9000:1.4")], read="api", timeout="2s",
                                   parallel=4))
        self.assertEqual(sorted(set(self.status(result).values())), ["ok"], str(result))
        self.assertEqual(len([n for n in self.status(result) if "/volumes/" in n]), 3)

    def test_removed_in_the_middle(self):
        """While its files are sent the daemon keeps it; so the removal comes right after."""
        self.two()
        gate = rule(self.of("bad"), "gate:9000")
        def remove():
            gate.reached.wait()
            threading.Timer(0.5, gate.open).start()
            self.bed.api("DELETE", "/containers/odd-bad?force=1")
        threading.Thread(target=remove, daemon=True).start()
        result = self.run_json(self.pipe([gate], read="api"), code=(0, 3))
        self.assertTrue(gate.reached.is_set())
        self.assert_status(result, good="ok")
        self.assert_says(result, "odd-bad")
        self.assertEqual(self.bed.running("odd"), ["odd-good"])
        self.assertEqual(self.duties(), [])

    def test_dies_in_the_middle(self):
        """Its files are still there, so they are read; it is not ours to start it again."""
        self.two(labels={"backup.consistency": "none"})
        gate = rule(self.of("bad"), "gate:9000")
        pid = self.bed.inspect("odd-bad")["State"]["Pid"]
        def kill():
            gate.reached.wait()
            os.kill(pid, 9)
            gate.open()
        threading.Thread(target=kill, daemon=True).start()
        result = self.run_json(self.pipe([gate], read="api"))
        self.assertTrue(gate.reached.is_set())
        self.assert_status(result, bad="ok", good="ok")
        self.assertEqual(self.bed.running("odd"), ["odd-good"])
        self.assertEqual(self.duties(), [])

    def test_removed_before_it_is_read(self):
        """After the plan, before its files are asked for: at the first question about them."""
        self.two(labels={"backup.consistency": "none"})
        ask = rule(rf"^HEAD \S*/{self.container_id('odd-bad')}/archive", "gate:0", times=1)
        def remove():
            ask.reached.wait()
            self.bed.api("DELETE", "/containers/odd-bad?force=1")
            ask.open()
        threading.Thread(target=remove, daemon=True).start()
        result = self.run_json(self.pipe([ask], read="api"), code=3)
        self.assert_status(result, bad="failed", good="ok")
        self.assert_says(result, "odd-bad")

    def test_volumes_that_cannot_be_listed(self):
        self.two(start=False)
        result = self.go(self.pipe([rule(r"^GET \S*/volumes HTTP", "status:500")], plain=True))
        self.assert_says(result, "cannot list its volumes")
        self.assert_status(result, bad="ok", good="ok")
        result = self.run_json(self.pipe([rule(r"^GET \S*/volumes HTTP", "status:500")], plain=True,
                                         volumes=["all"]), code=3)
        self.assertEqual(self.status(result), {"plain": "ok"})

    def test_one_that_cannot_be_inspected(self):
        self.two(start=False)
        bad = self.container_id("odd-bad")
        result = self.go(self.pipe([rule(rf"^GET \S*/{bad}/json", "hang")], timeout="2s"), code=3)
        self.assert_status(result, bad=None, good="ok")
        self.assert_says(result, "odd-bad", "does not answer for this container")


class Holding(BoxBench):
    def up(self):
        self.keeper("one", HostConfig={"Binds": [self.data("one")]})
        self.keeper("two", HostConfig={"Binds": [self.data("two")]})

    def test_a_stop_that_comes_late(self):
        """The call is carried out although nobody waits for it any more: what is started again too
        early would be stopped for good."""
        for late in [3, 5] if bake.LONG else [5]:
            with self.subTest(late=late):
                self.sweep()
                self.up()
                stop = rule(r"^POST \S*/stop", f"late:{late}", times=1)
                begin = self.before = time.time()
                result = self.go(self.pipe([stop], timeout="1s", stop_timeout="1s", plain=True),
                                 code=(0, 3))
                self.assertEqual(stop.hits, 1, str(result))
                time.sleep(max(0, begin + late + 2 - time.time()))  # nothing is on its way now
                self.assertEqual(self.bed.running("odd"), ["odd-one", "odd-two"], str(result))
                self.assertIn(self.first_stopped, self.happened("die"))

    first_stopped = "odd-one"

    def test_stops_that_fail(self):
        self.up()
        for do, text in [("status:500", "the proxy says no"),
                         ("reset", "closed without an answer")][:MANY]:
            with self.subTest(do=do):
                result = self.go(self.pipe([rule(r"^POST \S*/stop", do)], plain=True,
                                           stop_timeout="1s", timeout="1s"), code=3)
                self.assertEqual(self.status(result)["plain"], "ok")
                self.assert_status(result, one="failed", two="failed")
                self.assert_says(result, "cannot stop container", text)

    def test_starts_that_fail_at_first(self):
        self.up()
        for do in ["hang", "status:500", "reset"][:MANY]:
            with self.subTest(do=do):
                start = rule(r"^POST \S*/start", do, times=2)
                self.go(self.pipe([start], timeout="2s"))
                self.assertEqual(start.hits, 2)

    def test_already_stopped(self):
        """Is backed up, and stays as it is."""
        self.up()
        for name in ["odd-one", "odd-two"]:
            self.bed.api("POST", f"/containers/{name}/stop?t=1")
        self.before = time.time()
        for read in ["api", "direct"]:
            pipeline = self.pipe(read=read, name=read)
            result = self.go(pipeline)
            self.assert_status(result, one="ok", two="ok")
            self.assertEqual(self.bed.running("odd"), [])
        self.assertEqual(self.happened("start", "die"), [])

    def test_hold_takes_too_long(self):
        self.up()
        slow = rule(ARCHIVE, "gate:9000", times=1)
        result = self.go(self.pipe([slow], read="api", hold={"max": "2s"}, parallel=1), code=3)
        self.assert_says(result, "held for 2.0s")
        self.assertIn("failed", self.status(result).values())


if __name__ == "__main__":
    dock.main()
