#!/usr/bin/python3
"""Many components at once, many runs at once."""
import os

import bake
import snapshot


class Parallel(bake.Bench):
    def check_all(self, pipeline, sources, **more):
        self.bake("verify", pipeline, "--all", "--level", "read")
        out = self.path("out")
        self.bake("restore", pipeline, "--target", out, **more)
        for name, src in sources.items():
            lines = snapshot.differences(snapshot.take(src), snapshot.take(f"{out}/{name}{src}"))
            self.assertEqual(lines, [], name)
        bake.forget(out)

    def test_many_components(self):
        sources = {f"c{i:02}": self.small_tree(f"src{i}", 20, b"%d" % i) for i in range(24)}
        self.random_file("src3/big", 6 << 20)
        for parallel in (1, 2, 8):
            pipeline = self.pipeline(sources, name=f"p{parallel}", parallel=parallel)
            said = self.run_json(pipeline)
            self.assertEqual({c["name"] for c in said.of("component")}, set(sources))
            self.assertEqual(said.summary["components"], len(sources))
            self.check_all(pipeline, sources)

    def test_one_fails_the_others_go_on(self):
        sources = {f"c{i}": self.small_tree(f"src{i}", 10) for i in range(8)}
        pipeline = self.pipeline({**sources, "gone": self.path("not-there")}, parallel=8)
        said = self.run_json(pipeline, code=3)
        self.assertIn("not-there", said.text)
        bad = {c["name"] for c in said.of("component") if c["status"] != "ok"}
        self.assertLessEqual(bad, {"gone"})
        self.check_all(pipeline, sources, code=(0, 3))

    def test_two_pipelines_one_store(self):
        sources = {f"s{i}": self.small_tree(f"src{i}", 40, b"%d" % i) for i in range(3)}
        for name in sources:
            self.random_file(f"src{name[1:]}/big", 4 << 20)
        files = {name: self.pipeline({name: src}, name=name) for name, src in sources.items()}
        for _ in range(5):
            running = [self.start("run", f, "--json") for f in files.values()]
            for p in running:
                done = self.finish(p)
                self.assertEqual(done.code, 0, str(done))
        for name, f in files.items():
            self.assertEqual(len(self.backups(f)), 5)
            self.check_all(f, {name: sources[name]})
        self.bake("verify", self.path("store"), "--all", "--level", "read")

    def test_first_runs_at_once(self):
        """Several runs find no store and make it: there is one in the end."""
        src = self.small_tree("src")
        for i in range(8):
            store = self.path(f"store{i}")
            files = [self.pipeline({"all": src}, [store], name=f"n{k}") for k in range(4)]
            for p in [self.start("run", f) for f in files]:
                done = self.finish(p)
                self.assertEqual(done.code, 0, str(done))
            self.bake("verify", store, "--all", "--level", "read")

    def test_the_same_twice(self):
        src = self.path("src")
        self.random_file("src/big", 60 << 20)
        pipeline = self.pipeline({"all": src})
        running = [self.start("run", pipeline, "--json") for _ in range(3)]
        done = [self.finish(p) for p in running]
        codes = sorted(d.code for d in done)
        self.assertIn(0, codes)
        self.assertLessEqual(set(codes), {0, 11}, "\n".join(map(str, done)))
        self.assertIn(11, codes)
        for d in done:
            if d.code == 11:
                self.assertIn("t", d.text)
                self.assertEqual(d.summary["exit_code"], 11)
        self.assertEqual(len(self.backups(pipeline)), codes.count(0))
        self.run_json(pipeline)

    def test_runs_and_prunes(self):
        """A prune beside runs takes nothing of theirs."""
        src = self.small_tree("src")
        self.random_file("src/big", 3 << 20)
        files = [self.pipeline({"all": src}, name=f"n{k}", retention={"keep_last": 2})
                 for k in range(2)]
        self.bake("run", files[0])
        for _ in range(20 if bake.LONG else 6):
            running = [self.start("run", files[0]), self.start("run", files[1]),
                       self.start("prune", files[0]), self.start("prune", files[1])]
            for p, allowed in zip(running, ((0,), (0,), (0, 11), (0, 11))):
                done = self.finish(p)
                self.assertIn(done.code, allowed, str(done))
        for f in files:
            self.bake("prune", f)
            self.assertEqual(len(self.backups(f)), 2)
            self.check_all(f, {"all": src})
        self.assertFalse(os.path.exists(self.path("store/gc/lease")))
        self.assertEqual(os.listdir(self.path("store/writers"))
                         if os.path.isdir(self.path("store/writers")) else [], [])


if __name__ == "__main__":
    bake.main()
