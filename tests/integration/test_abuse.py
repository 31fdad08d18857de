#!/usr/bin/python3
"""Pipeline files that are none, or mean harm: a quick and clear refusal."""
import os
import threading
import time

import bake

QUICK = 20  # seconds, also on a busy machine
BUDGET = 300 << 10  # KiB


class Abuse(bake.Bench):
    def refused(self, path, *words, verb="validate", code=2):
        began = time.monotonic()
        said = self.bake(verb, path, code=code)
        self.assertLess(time.monotonic() - began, QUICK)
        self.assertLess(said.rss, BUDGET, f"{said.rss} KiB for a file that is refused")
        self.assertLess(len(said.err) + len(said.out), 100000)
        self.assertTrue(said.err, "nothing was said")
        for word in words:
            self.assertIn(word, said.text)
        return said

    def text(self, data):
        return self.write("p.yaml", data)

    def test_too_big(self):
        line = b"key: [a, b, c]  # a comment\n"
        with open(self.path("big.yaml"), "wb") as f:
            for _ in range(100):
                f.write(line * ((1 << 20) // len(line)))
        for verb in ("validate", "run", "list"):
            self.refused(self.path("big.yaml"), verb=verb)

    def test_sparse_and_huge(self):
        with open(self.path("huge.yaml"), "wb") as f:
            f.truncate(1 << 40)
        self.refused(self.path("huge.yaml"))

    def test_aliases(self):
        """Nine levels of nine aliases each."""
        text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for i in range(1, 12):
            text += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n"
        self.refused(self.text(text.encode() + b"pipeline: t\nsources: *a11\n"))

    def test_merges(self):
        text = "a0: &a0 {k0: v}\n"
        for i in range(1, 25):
            text += f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}], k{i}: v}}\n"
        self.refused(self.text(text.encode() + b"pipeline: t\n"))

    def test_itself(self):
        self.refused(self.text(b"&a pipeline: *a\nsources: &s [*s]\n<<: &m {<<: *m}\n"))

    def test_deep(self):
        for text in (b"[" * 200000, b"{a: " * 200000, b"- " * 200000,
                     b"".join(b" " * i + b"a:\n" for i in range(3000))):
            self.refused(self.text(text))

    def test_wide(self):
        """A million mistakes are not a million lines."""
        self.refused(self.text(b"".join(b"k%d: v\n" % i for i in range(20000))))

    def test_odd_bytes(self):
        for text in (b"", b"\0", b"\xff\xfe", b"\xff" * 1000, b"\xef\xbb\xbf", b"---\n...\n", b"---\n---\n",
                     b"a: b\n---\na: b\n", b"pipeline: \x1b[31mred\n", os.urandom(5000), b"%YAML 9.9\n---\n",
                     b"!!python/object/apply:os.system ['true']\n", b"pipeline: !!binary AAAA\n",
                     b'"' + b"x" * 3000000, b"? " * 5000, b"just text", b"- a\n- b\n", b"42\n"):
            said = self.refused(self.text(text))
            self.assertNotIn(b"\x1b", said.err)

    def test_no_file(self):
        self.refused(self.work)
        self.refused("/dev/null")
        self.refused("/dev/zero")
        self.refused(self.path("not-there.yaml"), code=(1, 2))
        self.refused("/proc/self/mem", code=(1, 2))
        os.symlink("loop.yaml", self.path("loop.yaml"))
        self.refused(self.path("loop.yaml"), code=(1, 2))
        self.refused("")

    def test_a_folder_to_run(self):
        for verb in ("run", "validate", "prune"):
            self.refused("/dev/zero", verb=verb)
            self.refused(self.work, verb=verb)

    def test_fifo(self):
        """Readable as any file, as `run <(make-one)` would have it; or refused, but not waited for."""
        pipeline = self.pipeline({"all": self.small_tree("src")})
        with open(pipeline, "rb") as f:
            text = f.read()
        fifo = self.path("fifo.yaml")
        os.mkfifo(fifo)

        def feed():
            with open(fifo, "wb") as f:
                try:
                    f.write(text)
                except BrokenPipeError:
                    pass

        t = threading.Thread(target=feed, daemon=True)
        t.start()
        self.bake("validate", fifo, code=(0, 2))
        if t.is_alive():  # it was not opened
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        t.join(10)

    def test_long_names_and_values(self):
        name = "n" * 70000
        for more in ({"name": name}, {"tags": name}):
            self.refused(self.pipeline({"all": self.work}, name="t", file="x.yaml",
                                       **({"pipeline": name} if "name" in more else {name: "v"})))

    def test_environment(self):
        """Values that grow while they are replaced."""
        env = dict(self.env, A="x" * 100000)
        text = b"pipeline: t\nsources: [{name: a, plugin: files, paths: ['" + b"${A}" * 20000 + b"']}]\n"
        began = time.monotonic()
        said = self.bake("validate", self.text(text), code=2, env=env)
        self.assertLess(time.monotonic() - began, QUICK)
        self.assertLess(said.rss, BUDGET)


if __name__ == "__main__":
    bake.main()
