#!/usr/bin/python3
"""Where files are read from and written to: the daemon over TCP, a directory of the same name that is
another one, links that a container swaps meanwhile; and that both ways of reading see the same."""
import json
import os
import subprocess
import time

import dock  # first: it knows where the others are
import bake
import bed
import boxes
import proxy


class WhereBench(boxes.BoxBench):
    def facts(self, pipeline, component):
        shown = json.loads(self.bake("show", pipeline, "--json").out)
        return next(c["facts"] for c in shown["components"] if c["name"] == component)

    def app(self, path, *binds, **more):
        """The only container, anew."""
        if "odd-app" in self.bed.containers():
            self.bed.api("DELETE", "/containers/odd-app?force=1&v=1")
        return self.box("app", *binds, labels={"backup.volume-path.x": path}, **more)

    def forget_kept(self):
        """What good restores keep for a while."""
        for name in self.volumes():
            if name.startswith(("bakengine-keep-", "bakengine-kept-", "bakengine-stage-")):
                self.bed.api("DELETE", f"/volumes/{name}")

    def restored(self, pipeline, component, name="out"):
        self.bake("restore", pipeline, "--target", self.path(name), "--component", component)
        return self.tree(self.path(name, component))


class Tcp(WhereBench):
    def test_there_and_back(self):
        """This machine's own daemon proves itself over TCP as well; one whose folder here is only
        an exact copy does not."""
        self.app("/data", self.data())
        p = proxy.Proxy(self.bed.socket)
        self.addCleanup(p.close)
        before = self.tree(self.bed.volume("odd_data"))
        real = os.path.join(self.bed.api("GET", "/info")["DockerRootDir"], "volumes")
        subprocess.run(["cp", "-a", real, self.path("copy")], check=True)
        with open(self.path("copy", "odd_data", "_data", "d0", "f00000"), "r+b") as f:
            f.write(b"DECOY")
        elsewhere = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"',
                     self.path("copy"), real]
        for name, prefix, way in [("own", [], "direct"), ("other", elsewhere, "api")]:
            with self.subTest(name):
                pipeline = self.pipe(name=name, host=p.host)
                self.go(pipeline, prefix=prefix)
                self.assertEqual(self.facts(pipeline, "odd/app/volumes/x")["read"], way)
                self.assertEqual(self.restored(pipeline, "odd/app/volumes/x", name), before)
                self.refill("odd_data", 5, b"spoilt")
                self.bake("restore", pipeline, "--json", prefix=prefix)
                self.assertEqual(self.tree(self.bed.volume("odd_data")), before)
                self.forget_kept()
                self.assertEqual(self.ours(), ([], []))
        with open(self.path("copy", "odd_data", "_data", "d0", "f00000"), "rb") as f:
            self.assertEqual(f.read(5), b"DECOY")  # nor was it written to


class Swapped(WhereBench):
    """The container swaps a directory of its volume for a link that leads out, all the time."""

    rounds = 40 if bake.LONG else 3

    def setUp(self):
        super().setUp()
        # what must neither be read nor written, at the end of every link
        self.canary = self.path("outside")
        self.write("outside/in/deep/f", b"secret of the host")
        self.write("outside/f", b"secret of the host")
        self.mark = self.outside()

    def outside(self):
        return {p: (w, os.lstat(self.path("outside", p)).st_mtime_ns)
                for p, w in self.tree(self.canary).items()}

    @staticmethod
    def ours_in(root):
        """What there is to read, as if nothing had been swapped before."""
        subprocess.run(["rm", "-rf", f"{root}/a", f"{root}/b"], check=True)
        os.makedirs(f"{root}/a/in/deep")
        with open(f"{root}/a/in/deep/f", "wb") as f:
            f.write(b"ours")

    def swapping(self, root, target):
        """As a process of the container would, in the same directory."""
        self.ours_in(root)
        os.symlink(target, f"{root}/b")
        code = ("import ctypes, sys\nc = ctypes.CDLL(None)\n"
                "while True:\n c.renameat2(-100, b'a', -100, b'b', 2)\n")
        p = subprocess.Popen(["python3", "-c", code], cwd=root)
        self.addCleanup(self.end, p)
        return p

    def rest(self, swapper, root):
        """Ends it, with everything under its own name."""
        self.end(swapper)
        if os.path.islink(f"{root}/a"):
            os.rename(f"{root}/a", f"{root}/link")
            os.rename(f"{root}/b", f"{root}/a")
            os.rename(f"{root}/link", f"{root}/b")

    def assert_inside(self, pipeline):
        out = self.path(f"out{time.monotonic_ns()}")
        self.bake("restore", pipeline, "--target", out, code=(0, 1, 3, 10))
        found = subprocess.run(["grep", "-r", "-l", "secret of the host", out], check=False,
                               capture_output=True).stdout
        self.assertEqual(found, b"")
        return subprocess.run(["grep", "-r", "-l", "ours", out], check=False,
                              capture_output=True).stdout

    def once(self, pipeline):
        """A run; whether it was whole: what was read was ours then."""
        result = self.bake("run", pipeline, "--json", code=(0, 1, 3))
        self.assertNotIn("secret", result.text)
        if result.code != 0:
            return False
        self.ways.add(self.facts(pipeline, "odd/app/volumes/x")["read"])
        return bool(self.assert_inside(pipeline))

    def go_around(self, path, target):
        root = self.bed.volume("odd_data")
        swapper = self.swapping(root, target)
        pipeline = self.pipe(read="auto", consistency="none", name="p" + str(time.monotonic_ns()))
        self.ways = set()
        bed.wait("the swapping", lambda: os.path.islink(f"{root}/a"), 30)
        for _ in range(self.rounds):
            self.once(pipeline)
        self.assertIsNone(swapper.poll())
        # Whether one of these was lucky enough is nobody's to say; at rest, it must be seen whole.
        self.rest(swapper, root)
        self.assertTrue(self.once(pipeline))
        self.assertEqual(self.outside(), self.mark)

    def test_read(self):
        """The label's path itself leads through what is swapped, or what is below it is."""
        volume = self.data(files=2)
        for path, target in [("/data", self.canary), ("/data/a", self.canary), ("/data/a/in", "/"),
                             ("/data/a/in/deep", "../" * 20 + self.canary.lstrip("/"))]:
            with self.subTest(path=path, target=target):
                self.app(path, volume)
                self.go_around(path, target)
                if path == "/data":
                    self.assertEqual(self.ways, {"direct"})

    def test_written(self):
        """A restore into such a place: into the volume, or nowhere."""
        volume = self.data(files=2)
        root = self.bed.volume("odd_data")
        for path in ["/data/a/in", "/data"]:
            with self.subTest(path):
                self.ours_in(root)
                self.app(path, volume)
                pipeline = self.pipe(consistency="none", name="w" + path.replace("/", ""))
                self.go(pipeline)
                swapper, good = self.swapping(root, self.canary), 0
                for _ in range(self.rounds):
                    result = self.bake("restore", pipeline, "--json", code=(0, 1, 3))
                    good += result.code == 0
                    self.assertEqual(self.outside(), self.mark)
                    if not os.path.lexists(f"{root}/b"):  # it swaps in what the restore replaced
                        self.end(swapper)
                        swapper = self.swapping(root, self.canary)
                # What could not be put back, as its place led away each time, is so at rest.
                self.rest(swapper, root)
                self.bake("doctor", "--redeem")
                self.assertEqual(self.duties(), [])
                self.assertEqual(self.outside(), self.mark)
                self.forget_kept()
                self.assertEqual(self.ours(), ([], []))
                if path == "/data":  # nothing leads to it but what the daemon mounts
                    self.assertEqual(good, self.rounds)


class Ways(WhereBench):
    """read: api equals read: direct, entry by entry."""

    def rich(self, root):
        for i in range(12):
            path = self.write(f"{root}/d{i % 3}/file {i}", os.urandom(i * 5000))
            os.chown(path, 1000 + i, 33)
            os.chmod(path, [0o640, 0o4755, 0o2711, 0o1700][i % 4])
            os.utime(path, (1600000000 + i, 1600000000 + i))
        os.link(f"{root}/d1/file 1", f"{root}/d2/hard")
        os.symlink("../d1/file 1", f"{root}/d0/link")
        os.symlink("/etc/passwd", f"{root}/d0/away")
        os.mkfifo(f"{root}/d0/fifo", 0o600)
        os.mknod(f"{root}/d0/null", 0o666 | 0o020000, os.makedev(1, 3))
        os.makedirs(f"{root}/empty")
        self.write(f"{root.encode().decode()}/d0/" + "n" * 200, b"long name")
        with open(os.fsencode(root) + b"/d0/raw\xff", "wb") as f:
            f.write(b"a name that is no text")
        self.write(f"{root}/d1/able", b"x")
        capability = b"\x01\x00\x00\x02\x00\x20\x00\x00" + b"\x00" * 12  # cap_net_raw+ep
        os.setxattr(f"{root}/d1/able", "security.capability", capability)
        with open(f"{root}/d1/sparse", "wb") as f:
            f.truncate(3 << 20)
        os.chmod(root, 0o2750)
        os.chown(root, 999, 999)

    def whole(self, root):
        """As tree(), with the capability, times of all kinds and device numbers."""
        out = self.tree(root)
        for path, what in out.items():
            at = os.path.join(root, path)
            st = os.lstat(at)
            what += [int(st.st_mtime), st.st_rdev]
            if os.path.isfile(at) and not os.path.islink(at):
                what.append("security.capability" in os.listxattr(at) and
                            os.getxattr(at, "security.capability"))
        return out

    def pause(self, name):
        try:
            self.bed.api("POST", f"/containers/{name}/pause")
        except bed.ApiError as e:
            if "freeze" not in str(e):
                raise
            self.skipTest("containers cannot be paused here")

    def test_equal(self):
        volume = self.data(files=0)
        root = self.bed.volume("odd_data")
        self.rich(root)
        wanted = self.whole(root)
        self.assertTrue(wanted["d1/able"][-1])
        component = "odd/app/volumes/x"
        name = self.app("/data", volume, start=False)
        for state in ["created", "running", "exited", "paused"]:
            with self.subTest(state):
                if state == "exited":
                    self.bed.api("POST", f"/containers/{name}/stop?t=5")
                elif state != "created":
                    self.bed.api("POST", f"/containers/{name}/start")
                if state == "paused":
                    self.pause(name)
                for way in ["direct", "api"]:
                    pipeline = self.pipe(read=way, name=f"{way}-{state}")
                    self.go(pipeline)
                    self.assertEqual(self.facts(pipeline, component)["read"], way)
                    out = self.path(way + state)
                    self.restored(pipeline, component, way + state)
                    self.assert_same({way: wanted}, {way: self.whole(f"{out}/{component}")})
                    self.assertEqual(self.bed.inspect(name)["State"]["Status"], state)

    def test_tmpfs(self):
        """What is in memory is said to be so, whatever the option."""
        self.app("/scratch", HostConfig={"Tmpfs": {"/scratch": ""}})
        for way in ["api", "direct", "auto"]:
            with self.subTest(way):
                result = self.go(self.pipe(read=way, name="t" + way), code=3)
                self.assert_says(result, "'/scratch' of container 'odd-app' is in the tmpfs "
                                 "'/scratch': the daemon does not show what is in memory",
                                 '"hint":"give it a volume instead"')


if __name__ == "__main__":
    dock.main()
