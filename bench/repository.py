#!/usr/bin/python3
"""Measures `bakengine` with format repository beside restic and borg, in one run on the same warm
data: first backup, again unchanged, again with 1 % changed, restore into memory, and verification.
Prints Markdown and writes it, and every figure as JSON, to --out; --update puts both into bench/.

    bench/repository.py [--sets abcde] [--rounds N] [--scale F | --small] [--work DIR [--keep]] ...

Sets: (a) a share tree, (b) a Debian root tree, (c) a dump of PostgreSQL and the same after a day of
pgbench, (d) 1,000,000 files of 1 KB, (e) one file of 20 GB, which takes 60 GB of disk in all.
Ends with 1 where a target is missed; --small judges no figures, only that everything is done. All
that is restored is compared with what was backed up, in the first round.
Needs the Debian packages restic, borgbackup, postgresql, tar, time, and a release build.
"""
import argparse
import collections
import contextlib
import datetime
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import datasets  # noqa: E402
import tools  # noqa: E402
from report import markdown, judge  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
README = os.path.join(TOP, "bench/README.md")
BEGIN, END = "<!-- repository.py: figures -->", "<!-- repository.py: end -->"
BACKUPS = ("first", "again", "changed")
MEASURES = (*BACKUPS, "restore", "verify")
SETTLE = 3  # seconds: a file changed just before a backup is rightly not taken for unchanged later
GIB = 1 << 30


def die(text):
    sys.exit(f"bench: {text}")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- the machine -------------------------------------------------------------------------------


def lines_of(path, key):
    with open(path, encoding="utf-8") as f:
        return [line.split(":", 1)[1].strip() for line in f if line.startswith(key)]


def available_memory():
    return int(lines_of("/proc/meminfo", "MemAvailable")[0].split()[0]) * 1024


def file_system(path):
    return subprocess.run(["df", "--output=fstype", path], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()[-1]


def machine(options, legs):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processor": (lines_of("/proc/cpuinfo", "model name") or ["unknown"])[0],
        "cores": len(os.sched_getaffinity(0)),
        "memory": int(lines_of("/proc/meminfo", "MemTotal")[0].split()[0]) * 1024,
        "kernel": os.uname().release.split("-")[0],
        "file_system": file_system(options.work),
        "load_at_start": os.getloadavg()[0],
        "versions": {leg.name: leg.version() for leg in legs},
    }


@contextlib.contextmanager
def room_in_memory(data_set, work):
    """A folder on a tmpfs that holds one restored set, or None where there is no room for it."""
    need = data_set.bytes + data_set.files * 5120 + (64 << 20)
    shm = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    where, mounted = None, False
    if need + GIB < available_memory():
        if shm and file_system("/dev/shm") == "tmpfs" and shm.f_bavail * shm.f_frsize > need and \
                shm.f_favail > data_set.files * 1.2 + 1000:
            where = tempfile.mkdtemp(prefix="bake-bench.", dir="/dev/shm")
        elif os.geteuid() == 0:
            where = tempfile.mkdtemp(prefix="memory.", dir=work)
            mount = ["mount", "-t", "tmpfs", "-o", f"size={need},nr_inodes=0", "bench", where]
            mounted = subprocess.run(mount, check=False).returncode == 0
            if not mounted:
                os.rmdir(where)
                where = None
    try:
        yield where
    finally:
        if mounted:
            subprocess.run(["umount", "-l", where], check=False)
        if where:
            shutil.rmtree(where, ignore_errors=True)


# ---- measuring ---------------------------------------------------------------------------------


def restored_top(target):
    """Each program restores below folders of its own."""
    for where, _, names in os.walk(target):
        if datasets.STAMP in names:
            return where
    raise tools.Failed(f"nothing was restored to '{target}'")


def compare(leg, data_set, target):
    done = subprocess.run(["diff", "-rq", "--no-dereference", data_set.data, restored_top(target)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    if done.returncode != 0:
        raise tools.Failed(f"what {leg.name} restored differs:\n{done.stdout[:2000]}")


def restore(leg, data_set, name, room, check):
    target = os.path.join(room, leg.name)
    os.mkdir(target)
    run = leg.restore(name, target)
    if check:
        compare(leg, data_set, target)
    shutil.rmtree(target)
    return run


def measured(leg, data_set, measure, act, runs):
    """On warm data: a system may page out what it holds for cold while the others are measured."""
    if data_set.bytes < available_memory() / 2:
        datasets.warm(data_set.data if measure in BACKUPS else leg.store)
    subprocess.run(["sync"], check=True)
    run = act(leg)
    runs[measure][leg.name].append(run)
    say(f"  {measure:8} {leg.name:10} {run.wall:8.2f} s wall {run.cpu:8.2f} s CPU "
        f"(others {run.others:6.2f} s) {run.memory / (1 << 20):8.1f} MiB"
        + (f" {run.stored / 1e6:10.2f} MB stored" if measure in BACKUPS else ""))


def backup(data_set, name):
    def act(leg):
        data_set.touch()
        return leg.backup(name)
    return act


def settle(data_set):
    """Tiny sets are not waited for: whether they are read again is no matter."""
    if data_set.scale > max(datasets.SMALL.values()):
        time.sleep(SETTLE)


def one_round(data_set, order, runs, room, check):
    for leg in order:
        leg.begin(data_set.data)
    settle(data_set)
    for measure in BACKUPS[:2]:
        for leg in order:
            measured(leg, data_set, measure, backup(data_set, measure), runs)
    data_set.swap()
    try:
        settle(data_set)
        for leg in order:
            measured(leg, data_set, "changed", backup(data_set, "changed"), runs)
        if room:
            for leg in order:
                measured(leg, data_set, "restore",
                         lambda leg: restore(leg, data_set, "changed", room, check), runs)
        for leg in order:
            measured(leg, data_set, "verify", lambda leg: leg.verify(), runs)
    finally:
        data_set.swap()


def memory_budget(legs, data_set):
    """Of the program, as it says itself for this set."""
    leg = legs[0]
    leg.begin(data_set.data)
    try:
        return leg.budget()
    finally:
        leg.end()


def room_on_disk(data_set, options, legs):
    need = data_set.expected() * (0.7 * len(legs) + (0 if data_set.facts() else 1)) + GIB / 4
    free = shutil.disk_usage(options.work).free
    if free < need:
        raise datasets.Unavailable(f"it needs {need / 1e9:.1f} GB of disk and '{options.work}' has "
                                   f"{free / 1e9:.1f} GB; see --scale")


def run_set(letter, options, legs):
    scale = datasets.SMALL[letter] if options.small else options.scale
    data_set = datasets.DataSet(options.work, letter, scale)
    room_on_disk(data_set, options, legs)
    data_set.prepare(say)
    rounds = options.long_rounds if letter in "de" else options.rounds
    say(f"({letter}) {data_set.title}: {data_set.files:,} files, {data_set.bytes / 1e6:,.1f} MB, "
        f"{rounds} round(s)")
    runs = {m: collections.defaultdict(list) for m in MEASURES}
    notes = [] if scale == 1 else [f"made at {scale:g} of its full size"]
    budget = memory_budget(legs, data_set)
    try:
        with room_in_memory(data_set, options.work) as room:
            if not room:
                notes.append("no restore: there is not enough memory for a tmpfs that holds it")
            for number in range(rounds):
                shift = number % len(legs)
                one_round(data_set, legs[shift:] + legs[:shift], runs, room, number == 0)
    finally:
        for leg in legs:
            leg.end()
    if data_set.bytes > available_memory() / 2:
        notes.append("larger than half of the memory: not everything stayed warm")
    result = {"set": letter, "title": data_set.title, "files": data_set.files,
              "bytes": data_set.bytes, "scale": scale, "rounds": rounds, "notes": notes,
              "memory_budget": budget, "measures": {}}
    for measure in MEASURES:
        result["measures"][measure] = {
            name: {"runs": [r._asdict() for r in found],
                   "median": {f: statistics.median(getattr(r, f) for r in found)
                              for f in tools.Run._fields}}
            for name, found in sorted(runs[measure].items())}
    return result


# ---- what is asked for, and what comes out -------------------------------------------------------


def update(text, figures):
    """Replaces what stands between the two comments of the README, and the figures beside it."""
    with open(README, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    _, _, after = rest.partition(END)
    with open(README, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n\n{text}{END}{after}")
    shutil.copyfile(figures, os.path.join(TOP, "bench/repository.json"))


def legs_of(options):
    known = {"bakengine": lambda: tools.Bakengine(options.work, options.bakengine, options.format,
                                                  options.verify_all),
             "restic": lambda: tools.Restic(options.work), "borg": lambda: tools.Borg(options.work)}
    wanted = options.tools.split(",")
    if wanted[0] != "bakengine" or not set(wanted) <= set(known):
        die("--tools is 'bakengine', and with commas 'restic', 'borg'")
    if not os.access(options.bakengine, os.X_OK):
        die(f"'{options.bakengine}' is missing: build it with script/build")
    missing = [w for w in wanted[1:] if not shutil.which(w)]
    if missing and not options.small:
        die(f"{' and '.join(missing)} missing: apt install restic borgbackup")
    return [known[w]() for w in wanted if w not in missing], missing


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--sets", default="abcde", help="which of them (abcde)")
    parser.add_argument("--rounds", type=int, default=3, help="of sets a, b, c (3)")
    parser.add_argument("--long-rounds", type=int, default=1, help="of sets d, e (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="all sets at this size (1)")
    parser.add_argument("--small", action="store_true", help="all tiny, one round, no targets")
    parser.add_argument("--work", help="where sets and stores are made (a new folder in /var/tmp)")
    parser.add_argument("--keep", action="store_true", help="leave the sets in --work")
    parser.add_argument("--tools", default="bakengine,restic,borg")
    parser.add_argument("--verify-all", action="store_true",
                        help="bakengine verifies every backup, not only the latest")
    parser.add_argument("--cpus", type=int, default=2, help="how many cores they may use (2)")
    parser.add_argument("--bakengine", default=os.path.join(TOP, "build/release/bin/bakengine"))
    parser.add_argument("--format", default="repository", help=argparse.SUPPRESS)
    parser.add_argument("--out", default=os.path.join(TOP, "build/bench"))
    parser.add_argument("--update", action="store_true", help="put the figures into bench/")
    return parser.parse_args()


def options_of():
    options = parse()
    if not options.sets or not set(options.sets) <= set(datasets.KINDS):
        die("--sets is made of the letters a to e")
    if min(options.rounds, options.long_rounds, options.cpus) < 1 or not 0 < options.scale <= 1:
        die("rounds and cores are at least 1, --scale is above 0 and at most 1")
    if options.keep and not options.work:
        die("--keep goes with --work")
    for program in (tools.TIME, "/bin/tar", "/usr/bin/diff"):
        if not os.access(program, os.X_OK):
            die(f"'{program}' is missing: apt install tar time diffutils")
    with open(README, encoding="utf-8") as f:
        text = f.read()
    if options.update and (options.small or BEGIN not in text or END not in text):
        die(f"--update needs all of the data, and '{BEGIN}' and '{END}' in '{README}'")
    if options.small:
        options.rounds = options.long_rounds = 1
    options.bakengine = os.path.abspath(options.bakengine)
    if options.work:
        options.work = os.path.abspath(options.work)
        os.makedirs(options.work, exist_ok=True)
    return options


def measure_all(options):
    legs, missing = legs_of(options)
    document = {"machine": machine(options, legs), "format": options.format,
                "verify": "all" if options.verify_all else "latest", "small": options.small,
                "sets": [], "left_out": [f"{name}: not installed" for name in missing]}
    for letter in options.sets:
        try:
            document["sets"].append(run_set(letter, options, legs))
        except datasets.Unavailable as why:
            if not options.small:
                raise
            document["left_out"].append(f"({letter}): {why}")
    if not document["sets"]:
        raise datasets.Unavailable("nothing could be measured: " + "; ".join(document["left_out"]))
    document["targets"] = [] if options.small else judge(document)
    return document


def finish(document, options):
    text = markdown(document)
    os.makedirs(options.out, exist_ok=True)
    figures = os.path.join(options.out, "repository.json")
    with open(figures, "w", encoding="utf-8") as f:
        json.dump(document, f, indent=1)
        f.write("\n")
    with open(os.path.join(options.out, "repository.md"), "w", encoding="utf-8") as f:
        f.write(text)
    print(text, end="")
    if options.update:
        update(text, figures)
    return 0 if all(t["met"] for t in document["targets"]) else 1


def main():
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.cpus])
    fresh = not options.work
    if fresh:
        options.work = tempfile.mkdtemp(prefix="bake-bench.", dir="/var/tmp")
    try:
        return finish(measure_all(options), options)
    except (datasets.Unavailable, tools.Failed, OSError, subprocess.CalledProcessError) as why:
        die(why)
    except KeyboardInterrupt:
        return 130
    finally:
        if not options.keep:
            for name in ("sets", "stores"):
                shutil.rmtree(os.path.join(options.work, name), ignore_errors=True)
        if fresh:
            shutil.rmtree(options.work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
