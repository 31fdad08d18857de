#!/usr/bin/python3
"""Programs in containers that end badly, cannot be run, are slow or go in the middle; and uploads into a
container that fail. A dump counts only when it is whole; what a failed restore has touched is put
back."""
import threading

import dock  # first: it knows where the others are
import bake
from boxes import BoxBench, lines, rule

DUMP = 60000  # bytes: more than asking a server ever answers


class Putting(BoxBench):
    """A path within the image is put back through the daemon; what goes wrong there must be seen, and
    what was there before stays."""

    def test_uploads_that_fail(self):
        self.box("one", labels={"backup.volume-path.conf": "/etc/app"}, files={"/etc/app/conf": "right"})
        pipeline = self.pipe()
        self.go(pipeline)
        self.put("odd-one", "/etc/app/conf", "wrong")
        for do in ["status:500", "shut:300", "hang", "status:503", "reset"][:9 if bake.LONG else 3]:
            with self.subTest(do=do):
                put = rule(r"^PUT \S*/archive", do)
                result = self.restore([put], code=1, timeout="1s")
                self.assertGreater(put.hits, 0)
                self.assertEqual(self.conf(), "wrong")
                self.assert_says(result, "the proxy says no" if "status" in do else "docker")
        container = self.bed.inspect("odd-one")["Id"]
        # and when what the container itself has is replaced
        for do in ["status:500", "shut:300", "reset"][:9 if bake.LONG else 2]:
            with self.subTest("switch: " + do):
                put = rule(rf"^PUT \S*/{container}/archive", do, times=1)
                result = self.restore([put], code=1)
                self.assertEqual(put.hits, 1)
                self.assertEqual(self.conf(), "wrong")
                self.assert_says(result, "odd-one")
        self.restore([], code=0)
        self.assertEqual(self.conf(), "right")

    def restore(self, rules, code, **options):
        """As go()."""
        result = self.bake("restore", self.pipe(rules, **options), "latest", "--json", code=code)
        self.assertEqual(self.bed.running("odd"), ["odd-one"])
        self.assertEqual(self.duties(), [])
        if code:
            self.assertEqual(self.ours(), ([], []), str(result))
        return result

    def conf(self):
        return self.bed.exec("odd-one", "cat", "/etc/app/conf").decode()


class Dumps(BoxBench):
    """Pretended servers: what their dump does is theirs to decide."""

    def all_fail(self, servers, **options):
        """servers: (script, texts[, more of the server]). Each dump fails with its words; one that has
        nothing wrong does not."""
        for i, (code, _, *more) in enumerate(servers):
            self.server(f"bad{i}", code, **(more[0] if more else {}))
        self.server("good", self.good_dump())
        pipeline = self.pipe(**options)
        result = self.go(pipeline, code=3)
        self.assert_status(result, good="ok", **{f"bad{i}": "failed" for i in range(len(servers))})
        for i, (code, texts, *_) in enumerate(servers):
            error, = [c for c in result.of("component") if f"/bad{i}/" in c["name"]]
            for text in [f"'odd-bad{i}'", *texts]:
                self.assertIn(text, error["error"] + error.get("hint", ""), code)
            self.assertNotEqual(self.bake("cat", pipeline, "latest", error["name"], code=None).code, 0)
        return result

    def test_bad_ends(self):
        whole = self.good_dump()
        self.all_fail([
            ("echo 'error: out of luck' >&2", ["wrote nothing", "out of luck"]),
            ("exit 0", ["wrote nothing", "it said nothing"]),
            (f"{whole}\necho 'fatal: no' >&2; exit 3", ["exit status 3", "fatal: no"]),
            (whole.split("printf -- '\\n")[0], ["the dump's end is missing"]),
            (f"{whole}\necho 'drop table x;'", ["the dump's end is missing"]),
            (f"{whole}\nkill -9 $$", ["exit status 137"])])

    def test_what_cannot_be_run(self):
        sleep = {"Cmd": ["sleep", "1000"]}
        self.all_fail([
            ("", ["/usr/local/sbin/sh", "a shell must be in it"],
             {"files": {"/usr/local/sbin/sh": "no program"}, **sleep}),
            ("", ["pg_dumpall: not found"],
             {"files": {"/usr/local/bin/pg_dumpall": "#!/no/such/program\n"}}),
            ("", ["has no program 'psql'"], {"without": "/usr/local/bin/psql"})])

    def test_user_that_is_not_there(self):
        self.server("bad", self.good_dump(), User="app")
        self.put("odd-bad", "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
        result = self.go(self.pipe(), code=3)
        self.assert_status(result, bad="failed")
        self.assert_says(result, "user app")

    def test_goes_in_the_middle(self):
        for how, text in [("POST /containers/odd-bad/kill", "killed, or its container ended"),
                          ("DELETE /containers/odd-bad?force=1", "removed or has ended")]:
            with self.subTest(how):
                self.sweep()
                self.server("bad", f"printf -- '{'x' * 30}'; seq 30000; sleep 1000")
                self.server("good", self.good_dump())
                gate = rule(r"^POST \S*/exec/\w*/start", f"gate:{DUMP}", times=1 << 30)
                def end():
                    gate.reached.wait()
                    self.bed.api(*how.split())
                    gate.open()
                threading.Thread(target=end, daemon=True).start()
                result = self.run_json(self.pipe([gate]), code=3)
                self.assertTrue(gate.reached.is_set())
                self.assert_status(result, bad="failed", good="ok")
                self.assert_says(result, "odd-bad" if "kill" in how else "", text)

    def test_slow_reader_loses_nothing(self):
        """More than the daemon keeps, read by somebody who pauses for longer than it waits."""
        n, count = 200000, 3
        for i in range(count):
            self.server(f"s{i}", self.good_dump(n))
        stall = rule(r"^POST \S*/exec/\w*/start", f"stall:{DUMP}:5")
        pipeline = self.pipe([stall], parallel=count)
        self.go(pipeline)
        self.assertTrue(stall.reached.is_set())
        want = ("-- PostgreSQL database cluster dump\n".encode() + lines(n) +
                b"\n-- PostgreSQL database cluster dump complete\n--\n")
        for i in range(count):
            self.assertEqual(self.content(pipeline, f"odd/s{i}/database/pg_dumpall.sql"), want)

    def test_connection_breaks(self):
        self.server("bad", self.good_dump(30000))
        result = self.go(self.pipe([rule(r"^POST \S*/exec/\w*/start", f"cut:{DUMP}")]), code=3)
        self.assert_status(result, bad="failed")
        self.assert_says(result, "pg_dumpall")


if __name__ == "__main__":
    dock.main()
