"""The three programs that bench/repository.py measures: how each of them backs up, restores and
verifies, with a store and caches of its own below one folder; and what a run of it took."""
import collections
import json
import os
import shutil
import subprocess
import tempfile
import time

TIME = "/usr/bin/time"
Run = collections.namedtuple("Run", "wall cpu memory others stored")


class Failed(Exception):
    """A program did not do what it was asked to."""


def bytes_in(top):
    total = 0
    for entry in os.scandir(top):
        if entry.is_dir(follow_symlinks=False):
            total += bytes_in(entry.path)
        else:
            total += entry.stat(follow_symlinks=False).st_size
    return total


def busy():
    """Seconds of processor time that all of the machine's processes have taken so far."""
    with open("/proc/stat", encoding="utf-8") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def timed(command, env, cwd, durable=None):
    """Runs it, and with `durable` waits until that file system has it all. `time` stands between,
    since a child of this program would be said to have had at least this program's own memory.
    `others` is the processor time that went elsewhere meanwhile: such a run is worth less."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as report, \
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        before, start = busy(), time.monotonic()
        done = subprocess.run([TIME, "-f", "%U %S %M", "-o", report.name, *command], cwd=cwd,
                              env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                              check=False)
        if durable:
            subprocess.run(["sync", "-f", durable], check=True)
        wall, others = time.monotonic() - start, busy() - before
        if done.returncode != 0:
            said.seek(0)
            raise Failed(f"'{' '.join(command)}' ended with exit status {done.returncode}:\n"
                         f"{said.read()[-2000:].rstrip()}")
        user, system, memory = report.read().splitlines()[-1].split()
    cpu = float(user) + float(system)
    return wall, cpu, int(memory) * 1024, max(0.0, others - cpu)


class Tool:
    """One program with one store. `begin` starts with an empty one."""

    name = program = ""
    version_words = ("--version",)

    def __init__(self, work):
        self.top = os.path.join(work, "stores", self.name)
        self.store = os.path.join(self.top, "store")
        self.caches = os.path.join(self.top, "caches")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("RESTIC_", "BORG_", "BAKENGINE_"))}
        self.data, self.size = "", 0

    def version(self):
        done = subprocess.run([self.program, *self.version_words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return (done.stdout.strip().splitlines() or ["unknown"])[0]

    def begin(self, data):
        self.end()
        os.makedirs(self.caches)
        self.data, self.size = data, 0
        self.create()

    def end(self):
        shutil.rmtree(self.top, ignore_errors=True)

    def do(self, *words, cwd=None, durable=None):
        return timed([self.program, *words], self.env, cwd or self.top, durable)

    def backup(self, name):
        """`stored` is what the store grew by, the first time all of it."""
        took = self.do(*self.backup_words(name), durable=self.top)
        before, self.size = self.size, bytes_in(self.store)
        return Run(*took, self.size - before)

    def restore(self, name, target):
        return Run(*self.do(*self.restore_words(name, target), cwd=target), 0)

    def verify(self):
        return Run(*self.do(*self.verify_words()), 0)


class Bakengine(Tool):
    name = "bakengine"

    def __init__(self, work, program, fmt, verify_all):
        super().__init__(work)
        self.program, self.format, self.verify_all = program, fmt, verify_all
        self.pipeline = os.path.join(self.top, "bench.yaml")
        self.env["BAKENGINE_STATE_DIR"] = os.path.join(self.caches, "state")
        self.env["BAKENGINE_CACHE_DIR"] = os.path.join(self.caches, "cache")

    def create(self):
        with open(self.pipeline, "w", encoding="utf-8") as f:
            f.write("pipeline: bench\n"
                    f"sources: [{{name: data, plugin: files, paths: [{json.dumps(self.data)}]}}]\n"
                    f"store: {{format: {self.format}}}\n"
                    "transforms: [{plugin: zstd, level: 3}]\n"
                    f"sinks: [{{plugin: local, path: {json.dumps(self.store)}}}]\n")

    def budget(self):
        """The memory that it says it may take, in bytes."""
        done = subprocess.run([self.program, "run", self.pipeline, "--dry-run", "--json"],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        for line in done.stdout.splitlines():
            event = json.loads(line)
            if event["message_type"] == "plan":
                return event["memory_budget"]
        raise Failed(f"'bakengine run --dry-run' does not say its memory:\n{done.stderr[-2000:]}")

    def backup_words(self, _):
        return ["run", self.pipeline, "--no-verify", "--quiet"]

    def restore_words(self, _, target):
        return ["restore", self.pipeline, "--target", target, "--quiet"]

    def verify_words(self):
        return ["verify", self.pipeline, "--level", "read", "--quiet",
                *(["--all"] if self.verify_all else [])]


class Restic(Tool):
    name = program = "restic"
    version_words = ("version",)

    def __init__(self, work):
        super().__init__(work)
        self.env.update(RESTIC_PASSWORD="bench", RESTIC_REPOSITORY=self.store,
                        RESTIC_CACHE_DIR=self.caches)

    def create(self):
        self.do("init", "--repository-version", "2", "--quiet")

    def backup_words(self, _):
        return ["backup", "--quiet", "--compression", "auto", self.data]

    def restore_words(self, _, target):
        return ["restore", "latest", "--quiet", "--target", target]

    def verify_words(self):
        return ["check", "--read-data", "--quiet"]


class Borg(Tool):
    name = program = "borg"

    def __init__(self, work):
        super().__init__(work)
        self.env.update(BORG_REPO=self.store, BORG_BASE_DIR=self.caches,
                        BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes", LC_ALL="C.UTF-8")

    def create(self):
        self.do("init", "--encryption", "none")

    def backup_words(self, name):
        return ["create", "--compression", "zstd,3", f"::{name}", self.data]

    def restore_words(self, name, _):
        return ["extract", f"::{name}"]

    def verify_words(self):
        return ["check", "--verify-data"]
