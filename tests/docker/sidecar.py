"""The program in a container of the daemon that it backs up: made from the build under test, with the
daemon's socket mounted, and a folder of the test's for its pipelines and its store."""
import os
import struct
import time

import bake
import bed
import held
import images
import packages

SOCKET = "/var/run/docker.sock"


class SidecarBench(held.HeldBench):
    name = "hard-side"
    loaded = False  # the image, for all classes

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if SidecarBench.loaded:
            return
        SidecarBench.loaded = True
        tree = packages.unpack(os.path.join(cls.bed.cache, "packages"))
        image = images.sidecar(tree, cls.bed.folder, bake.BUILD)
        cls.bed.api("POST", "/images/load?quiet=1", image, raw=True)
        cls.bed.api("POST", "/images/prune")  # the one of another build

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("store"))
        self.before = time.time()

    # ---- pipelines, by the path that they have here and there ----

    def drive(self, **options):
        options.setdefault("host", "unix://" + SOCKET)
        return super().drive(**options)

    # ---- the container ----

    def side(self, *args, binds=(), name=None, socket=None, labels=None, state=None, host=None):
        """Runs the program with these arguments; its container's name. state: a volume; host: how it
        calls itself, as this machine if nothing is said."""
        name = name or self.name
        binds = [f"{socket or self.bed.socket}:{SOCKET}", f"{self.work}:{self.work}", *binds]
        if state:
            binds.append(f"{state}:/var/lib/bakengine")
        body = {"Image": images.SIDECAR, "Cmd": ["bakengine", *map(str, args)], "Labels": labels or {},
                "Hostname": os.uname().nodename if host is None else host,
                "HostConfig": {"Binds": binds, "NetworkMode": "none"}}
        self.bed.api("POST", f"/containers/create?name={name}", body)
        self.bed.api("POST", f"/containers/{name}/start")
        return name

    def over(self, name=None):
        """Waits until it has ended, and removes it; what it said, and its exit code."""
        name = name or self.name
        code = self.bed.api("POST", f"/containers/{name}/wait")["StatusCode"]
        result = self.said(name, code)
        self.bed.api("DELETE", f"/containers/{name}?force=1&v=1")
        return result

    def said(self, name, code=None):
        data = self.bed.api("GET", f"/containers/{name}/logs?stdout=1&stderr=1", raw=True)
        out = {1: b"", 2: b""}
        while data:
            stream, size = struct.unpack(">B3xI", data[:8])
            out[stream] += data[8:8 + size]
            data = data[8 + size:]
        result = bake.Result([name], code, out[1], out[2], 0)
        self.assertNotIn(b"Sanitizer", result.err, str(result))
        return result

    def run_side(self, *args, code=0, **more):
        result = self.over(self.side(*args, **more))
        self.assertEqual(result.code, code, str(result))
        return result

    def gone(self, name=None):
        name = name or self.name
        bed.wait(f"the end of '{name}'", lambda: name not in self.bed.containers() or
                 not self.bed.inspect(name)["State"]["Running"], 30)

    # ---- what it left in the daemon ----

    def promises(self):
        return sorted(n for n in self.volumes() if n.startswith("bakengine-promise-"))
