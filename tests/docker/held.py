"""A small stack without databases, made by the API alone, for tests that kill things: some of its
containers stand still while its volumes are read, some do not. And what is looked at afterwards."""
import json
import os
import signal
import time
import urllib.parse

import dock  # first: it knows where the others are
import bake
import bed
import proxy

# Ends at once when it is asked to, and does nothing else.
QUIET = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
READ = r"^GET \S*/archive"  # of the body; HEAD asks for one file's metadata


class HeldBench(dock.DockerBench):
    """`store` and `web` are stopped for their paths, `twin` because it can write to one of them;
    `idle` runs on, and `off` never ran."""

    project = "hard"
    held = ["hard-store", "hard-twin", "hard-web"]
    running = sorted(held + ["hard-idle"])
    shared = True  # the tests of a class share what up() makes; nothing else may be in its way

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.made = None  # what up() made last
        cls.addClassCleanup(cls.sweep)
        cls.sweep()

    def setUp(self):
        super().setUp()
        self.addCleanup(self.tidy)
        self.before = time.time()

    # ---- the stack ----

    @classmethod
    def sweep(cls, keep=()):
        """Nothing of the stack stays, nor of what the program keeps."""
        if not cls.bed.alive():
            return
        cls.bed.remove([c["Id"] for name, c in cls.bed.containers().items()
                        if name.startswith((cls.project, "bakengine")) and c["Id"] not in keep])
        for name in cls.volumes():
            if name.startswith((cls.project, "bakengine")) and name not in keep:
                cls.bed.api("DELETE", f"/volumes/{name}?force=1")

    def tidy(self):
        """Nothing stays but what up() made: the next test may take it."""
        self.sweep(self.made["keep"] if self.made and self.shared else ())

    @classmethod
    def volumes(cls):
        return {v["Name"]: v for v in cls.bed.api("GET", "/volumes")["Volumes"] or []}

    def container(self, service, *binds, paths=None, start=True, depends="", **more):
        labels = {"com.docker.compose.project": self.project, "com.docker.compose.service": service,
                  "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False"}
        if depends:
            labels["com.docker.compose.depends_on"] = depends
        if paths:
            labels["backup.enable"] = "true"
        for name, path in (paths or {}).items():
            labels["backup.volume-path." + name] = path
        body = {"Image": "bake/app:1", "Cmd": QUIET, "Labels": labels,
                "HostConfig": {"Binds": list(binds), "NetworkMode": "none"}, **more}
        name = f"{self.project}-{service}"
        self.bed.api("POST", f"/containers/create?name={name}", body)
        if start:
            self.bed.api("POST", f"/containers/{name}/start")
        return name

    def volume(self, name, files, size=3000):
        """A volume of small files in many directories."""
        labels = {"com.docker.compose.project": self.project, "com.docker.compose.volume": name}
        full = f"{self.project}_{name}"
        self.bed.api("POST", "/volumes/create", {"Name": full, "Labels": labels})
        self.refill(full, files, b"old", size)
        return full

    def refill(self, volume, files, seed, size=3000):
        root = self.bed.volume(volume)
        for i in range(files):
            folder = os.path.join(root, f"d{i % 23}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"f{i:05}"), "wb") as f:
                f.write((seed + b" %d " % i) * (size // 10))

    def up(self, files=300):
        """The stack as new; what the daemon tells from here on is the test's."""
        if not self.stands(files):
            self.sweep()
            self.make(files)
            ids = {n: c["Id"] for n, c in self.bed.containers(self.project).items()}
            type(self).made = {"files": files, "ids": ids,
                               "keep": [*ids.values(), "hard_data", "hard_web"]}
        self.before = time.time()

    def stands(self, files):
        """The last test's stack, if it can be made to be as at first."""
        now = self.bed.containers(self.project)
        if not self.made or self.made["files"] != files or \
                {n: c["Id"] for n, c in now.items()} != self.made["ids"] or \
                now["hard-off"]["State"] != "created":
            return False
        for volume, count in [("hard_data", files), ("hard_web", files // 2)]:
            root = self.bed.volume(volume)
            for name in os.listdir(root):
                bake.forget(os.path.join(root, name))
            self.refill(volume, count, b"old")
        self.bed.at_once(lambda n: self.bed.api("POST", f"/containers/{n}/start"),
                         [n for n in self.running if now[n]["State"] != "running"])
        return True

    def make(self, files):
        data, web = self.volume("data", files), self.volume("web", files // 2)
        self.container("store", f"{data}:/data", paths={"data": "/data"}, start=False)
        self.container("twin", f"{data}:/mine", start=False)
        self.container("web", f"{web}:/web", paths={"web": "/web"},
                       depends="store:service_started:false", start=False)
        self.container("idle", start=False)
        self.container("off", f"{data}:/data", start=False)
        self.bed.at_once(lambda n: self.bed.api("POST", f"/containers/{n}/start"), self.running)

    def drive(self, **options):
        options.setdefault("projects", [self.project])
        return self.docker_pipeline(**options)

    # ---- faults ----

    def proxy(self, *rules):
        """In front of the daemon; its address is for the pipeline's `host`."""
        p = proxy.Proxy(self.bed.socket, rules, path=self.path(f"proxy{time.monotonic_ns()}.sock"))
        self.addCleanup(p.close)
        return p

    def start_held(self, pipeline, rule, *args):
        """A run that stands at `rule` (that a request hangs at) with everything stopped."""
        hits = rule.hits
        p = self.start("run", pipeline, *args)
        self.addCleanup(self.end, p)
        bed.wait("the reading", lambda: rule.hits > hits or p.poll() is not None, 60)
        if p.poll() is not None:
            self.fail(str(self.finish(p)))
        for name in self.held:
            self.assertNotIn(name, self.bed.running(self.project))
        return p

    @staticmethod
    def end(p):
        if p.returncode is None and p.poll() is None:
            p.kill()
            p.wait()

    @staticmethod
    def guards(pid):
        """The guard processes of this one."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                    name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            except (OSError, IndexError):
                continue
            if int(rest.split()[1]) == pid and name == "bakengine-guard":
                found.append(int(entry))
        return found

    def kill_both(self, p):
        """The worker, and before it the guard that would put things right."""
        guards = self.guards(p.pid)
        self.assertEqual(len(guards), 1)
        os.kill(guards[0], signal.SIGKILL)
        p.kill()
        return self.finish(p)

    # ---- afterwards ----

    def duties(self):
        """What is promised still: files with anything in them that was not redeemed."""
        folder, left = self.path("state", "obligations"), []
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.startswith("."):
                continue
            kept = {}
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                for line in f:
                    if not line.endswith("\n"):
                        break
                    entry = json.loads(line)
                    if entry["op"] == "oblige":
                        kept[entry["id"]] = entry
                    else:
                        kept.pop(entry["id"], None)
            left += kept.values()
        return left

    def runs_again(self, seconds=10, running=None):
        """All that ran before runs within that time; how long it took."""
        begin = time.monotonic()
        wanted = self.running if running is None else running
        try:
            bed.wait("", lambda: self.bed.running(self.project) == wanted, seconds)
        except TimeoutError:
            self.fail(f"not as before: {self.bed.running(self.project)}")
        return time.monotonic() - begin

    def settled(self, seconds=60):
        """Whoever redeems has ended: nothing is owed, nobody is at it."""
        folder = self.path("state", "obligations")
        names = lambda: [n for n in os.listdir(folder) if not n.startswith(".")]
        bed.wait("obligations", lambda: not os.path.isdir(folder) or not names(), seconds,
                 lambda: str(self.duties()))

    def happened(self, *what):
        """Names of containers in the daemon's events of these kinds, since the test began."""
        return [e["Actor"]["Attributes"]["name"] for e in self.told(*what)]

    def times(self, *what):
        return [e["timeNano"] / 1e9 for e in self.told(*what)]

    def told(self, *what):
        filters = {"type": ["container"], "event": list(what)}
        data = self.bed.api("GET", f"/events?since={self.before:.9f}&until={time.time():.9f}&filters="
                            + urllib.parse.quote(json.dumps(filters)), raw=True)
        return [json.loads(line) for line in data.splitlines()]

    def ours(self):
        """What the program has left in the daemon: containers and volumes."""
        return (sorted(n for n, c in self.bed.containers().items()
                       if n.startswith("bakengine") or c["Image"].startswith("bakengine")),
                sorted(n for n in self.volumes() if n.startswith("bakengine")))
