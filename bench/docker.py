#!/usr/bin/python3
"""Measures `bakengine run` with the docker source beside what one would otherwise type, on a volume of
1 GiB: read directly beside `tar | zstd -3 -T2` of its directory, and through the daemon beside the
container's archive (what `docker cp` fetches) piped to zstd. Prints Markdown; --update puts it into
bench/README.md.

    bench/docker.py [--rounds N] [--work DIR] [--small] [--update]

The daemon is one of its own, brought up as for tests/docker, with everything in the work folder; it
runs as root. Rounds alternate, each starts in an empty folder and ends in `sync -f`; the figures are
medians. The containers run on while that is measured (consistency: none), since the other side stops
none; one more run says for how long they stand when they are stopped. --small: 32 MiB and one round,
to see whether the benchmark itself works; no target is judged then.

Needs the Debian packages docker.io, tar, zstd, curl, time, and a release build (script/build).
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import archive

sys.path.insert(0, os.path.join(archive.TOP, "tests", "docker"))
import bed  # noqa: E402

BEGIN, END = "<!-- docker.py: figures -->", "<!-- docker.py: end -->"
VOLUME, CONTAINER = "bakebench_data", "bakebench-app"
COMPONENT = "bakebench/app/volumes/data"
MIB = 1 << 20
# Of the other side's speed; of its own stated memory.
TARGETS = {"direct": 0.95, "api": 1.0}
LABELS = {"direct": "straight from the host's directory / tar, zstd",
          "api": "through the daemon / curl of its archive, zstd"}


# ---- the stack -------------------------------------------------------------------------------


def fill(root, size):
    """Files from 64 KiB to 16 MiB, every other half of them random, until they are `size` bytes."""
    rng, number = random.Random(2), 0
    while size > 0:
        one = min(size, rng.choice([64 << 10, 256 << 10, MIB, 4 * MIB, 16 * MIB]))
        folder = os.path.join(root, f"d{number % 16:02}")
        os.makedirs(folder, exist_ok=True)
        archive.written_file(os.path.join(folder, f"f{number:04}"), one, rng)
        size, number = size - one, number + 1


def set_up(daemon, size):
    tear_down(daemon)
    daemon.api("POST", "/volumes/create", {"Name": VOLUME})
    labels = {"com.docker.compose.project": "bakebench", "com.docker.compose.service": "app",
              "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False",
              "backup.enable": "true", "backup.volume-path.data": "/data"}
    command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
    daemon.api("POST", f"/containers/create?name={CONTAINER}",
               {"Image": "bake/app:1", "Cmd": command, "Labels": labels,
                "HostConfig": {"Binds": [f"{VOLUME}:/data"], "NetworkMode": "none"}})
    daemon.api("POST", f"/containers/{CONTAINER}/start")
    fill(daemon.volume(VOLUME), size)


def tear_down(daemon):
    for path in [f"/containers/{CONTAINER}?force=1", f"/volumes/{VOLUME}?force=1"]:
        try:
            daemon.api("DELETE", path)
        except bed.ApiError as e:
            if e.status != 404:
                raise


# ---- the two sides ---------------------------------------------------------------------------


def run_pipe(first, out):
    """`first | zstd` into a file."""
    target = os.path.join(out, "volume.tar.zst")
    with tempfile.TemporaryDirectory() as reports:
        one, two = os.path.join(reports, "first"), os.path.join(reports, "zstd")
        start = time.monotonic()
        source = subprocess.Popen(archive.timed(one, first), stdout=subprocess.PIPE)
        zstd = subprocess.Popen(archive.timed(two, ["zstd", "-q", "-3", "-T2", "-o", target]),
                                stdin=source.stdout)
        source.stdout.close()
        failed = zstd.wait() or source.wait()
        subprocess.run(["sync", "-f", out], check=True)
        wall = time.monotonic() - start
        if failed:
            archive.die(f"'{first[0]} | zstd' failed")
        said = [archive.read_report(one), archive.read_report(two)]
    return archive.Run(wall, sum(s[0] for s in said), sum(s[1] for s in said),
                       archive.size_of(out)[1])


def run_other(way, daemon, out):
    if way == "direct":
        return run_pipe(["tar", "-c", "-f", "-", "-C", daemon.volume(VOLUME), "."], out)
    return run_pipe(["curl", "-sS", "-f", "--unix-socket", daemon.socket,
                     f"http://docker/v1.41/containers/{CONTAINER}/archive?path=/data"], out)


class Bakengine:
    def __init__(self, options, daemon):
        self.options, self.daemon = options, daemon
        self.env = dict(os.environ, BAKENGINE_STATE_DIR=os.path.join(options.work, "state"))
        self.report = os.path.join(options.work, "docker.time")

    def pipeline(self, way, out, consistency="none"):
        body = {"pipeline": "bench", "store": {"format": "archive"},
                "sources": [{"name": "stacks", "plugin": "docker", "host": self.daemon.host,
                             "projects": ["bakebench"], "read": way, "consistency": consistency,
                             "definition": False}],
                "transforms": [{"plugin": "zstd", "level": 3}],
                "sinks": [{"plugin": "local", "path": out}]}
        path = os.path.join(self.options.work, "docker.yaml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(body, f)
        return path

    def call(self, *args):
        return subprocess.run([self.options.bakengine, *args], env=self.env, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, way, out):
        command = [self.options.bakengine, "run", self.pipeline(way, out), "--no-verify", "--quiet"]
        start = time.monotonic()
        done = subprocess.run(archive.timed(self.report, command), env=self.env, check=False,
                              stdout=subprocess.DEVNULL)
        subprocess.run(["sync", "-f", out], check=True)
        wall = time.monotonic() - start
        if done.returncode != 0:
            archive.die(f"bakengine run ended with exit status {done.returncode}")
        cpu, memory = archive.read_report(self.report)
        self.check(way, self.manifest(way, out))
        return archive.Run(wall, cpu, memory, archive.size_of(out)[1])

    def manifest(self, way, out):
        return json.loads(self.call("show", self.pipeline(way, out), "--json").stdout)

    @staticmethod
    def check(way, manifest):
        """It has read what it was to read, the way it was to."""
        found = [c for c in manifest["components"] if c["name"] == COMPONENT]
        if [c["status"] for c in found] != ["ok"] or found[0]["facts"]["read"] != way:
            archive.die(f"'{COMPONENT}' was not read as it should have been ({way})")

    def budget(self, way, out):
        done = self.call("run", self.pipeline(way, out), "--dry-run", "--json")
        for line in done.stdout.splitlines():
            event = json.loads(line)
            if "memory_budget" in event:
                return event["memory_budget"]
        archive.die(f"'bakengine run --dry-run' does not say its memory:\n{done.stderr}")

    def stopped(self, way, out):
        """Seconds that the container stood, in a run that stops it."""
        done = self.call("run", self.pipeline(way, out, "stop"), "--no-verify", "--quiet")
        if done.returncode != 0:
            archive.die(f"bakengine run ended with exit status {done.returncode}:\n{done.stderr}")
        return self.manifest(way, out)["groups"][0]["facts"]["stopped_seconds"]


def fresh(options):
    out = os.path.join(options.work, "out")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    subprocess.run(["sync"], check=True)
    return out


def compare(way, options, daemon, ours):
    print(f"{way}: {options.rounds} round(s)", file=sys.stderr)
    archive.warm(daemon.volume(VOLUME))
    results = {"other": [], "bakengine": []}
    for number in range(options.rounds):
        order = ("other", "bakengine") if number % 2 == 0 else ("bakengine", "other")
        for side in order:
            out = fresh(options)
            run = ours.run(way, out) if side == "bakengine" else run_other(way, daemon, out)
            results[side].append(run)
            print(f"  {side:10} {run.wall:7.2f} s wall {run.cpu:7.2f} s CPU "
                  f"{run.memory / MIB:7.1f} MiB {run.stored / 1e6:9.1f} MB", file=sys.stderr)
    out = fresh(options)
    return {"results": results, "budget": ours.budget(way, out), "stopped": ours.stopped(way, out)}


# ---- what is said ----------------------------------------------------------------------------


def figure(row, side, what):
    return statistics.median(getattr(r, what) for r in row["results"][side])


def speed(row):
    return figure(row, "other", "wall") / figure(row, "bakengine", "wall")


def line(way, row):
    pairs = [" / ".join(f"{figure(row, side, what) / unit:.{digits}f}"
                        for side in ("bakengine", "other"))
             for what, unit, digits in [("wall", 1, 2), ("cpu", 1, 2), ("memory", MIB, 1),
                                        ("stored", 1e6, 1)]]
    return (f"| {LABELS[way]} | {pairs[0]} | {speed(row):.2f} ({TARGETS[way]:.2f}) | {pairs[1]} | "
            f"{pairs[2]} | {row['budget'] / MIB:.0f} | {pairs[3]} | {row['stopped']:.1f} |")


def missed(rows):
    for way, row in rows.items():
        if speed(row) < TARGETS[way]:
            yield f"{LABELS[way]}: {speed(row):.2f} of its speed, the target is {TARGETS[way]:.2f}"
        if max(r.memory for r in row["results"]["bakengine"]) > row["budget"]:
            yield f"{LABELS[way]}: more memory than `run --dry-run` states"


def text_of(options, size, daemon, rows):
    engine = daemon.api("GET", "/version")["Version"]
    head = ["| | wall, s | times as fast (target) | CPU, s | peak memory, MiB | stated, MiB | "
            "stored, MB | stopped, s |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    text = (f"{archive.machine(options)[:-1]}; Docker Engine {engine}. A volume of {size / MIB:,.0f} "
            f"MiB, medians of {options.rounds}.\n\n"
            + "\n".join(head + [line(way, row) for way, row in rows.items()]) + "\n")
    if not options.small:
        text += "".join(f"\nMissed: {what}\n" for what in missed(rows))
    return text


def update(path, text):
    with open(path, encoding="utf-8") as f:
        before, begin, rest = f.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        archive.die(f"'{path}' lacks '{BEGIN}' or '{END}'")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", default="/var/tmp/bakengine-bench")
    parser.add_argument("--cache", help="where the tests' images are kept (default: WORK/images)")
    parser.add_argument("--bakengine",
                        default=os.path.join(archive.TOP, "build/release/bin/bakengine"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    options.work = os.path.abspath(options.work)
    options.cache = os.path.abspath(options.cache or os.path.join(options.work, "images"))
    if options.small:
        options.rounds = 1
    if os.geteuid() != 0:
        archive.die("this starts a Docker daemon: run it as root")
    for tool in ("dockerd", "zstd", "tar", "curl", archive.TIME):
        if not shutil.which(tool):
            archive.die(f"'{tool}' is missing: apt install docker.io zstd tar curl time")
    if not os.access(options.bakengine, os.X_OK):
        archive.die(f"'{options.bakengine}' is missing: build it with script/build")
    if options.rounds < 1:
        archive.die("--rounds is at least 1")
    return options


def main():
    options = options_of()
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(options.cache, exist_ok=True)
    daemon = bed.Bed(os.path.join(options.work, "bed"), options.cache)
    size = 32 * MIB if options.small else 1024 * MIB
    try:
        daemon.up()
        set_up(daemon, size)
        ours = Bakengine(options, daemon)
        rows = {way: compare(way, options, daemon, ours) for way in TARGETS}
        text = text_of(options, size, daemon, rows)
    finally:
        daemon.down()
        shutil.rmtree(os.path.join(options.work, "out"), ignore_errors=True)
    print(text)
    if options.update:
        update(os.path.join(archive.TOP, "bench/README.md"), text)
    return 1 if not options.small and list(missed(rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
