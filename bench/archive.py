#!/usr/bin/python3
"""Measures `bakengine run` with format archive beside `tar -cf - | zstd -3 -T2`, on the same warm
tree, both ending in `sync -f`. Prints a Markdown table; --update puts it into bench/README.md.

    bench/archive.py [--rounds N] [--work DIR] [--long] [--update] [TREE]

TREE: what to back up; without it, a copy of Debian's own files of at least 50,000 files and 600 MB
is made in the work folder. Rounds alternate; the figures are medians. Memory is the peak resident
size as `time` reports it, for tar and zstd added up. --long adds 1 GiB, 20 GiB of sparse file and
1,000,000 small files, which take about 10 GB of disk and some minutes.

Needs the Debian packages tar, zstd, time, and a release build (script/build).
"""
import argparse
import datetime
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIN_FILES, MIN_BYTES = 50_000, 600_000_000
FROM = ("/usr/share", "/usr/include", "/usr/lib", "/usr/bin", "/usr/sbin", "/usr/libexec")
TIME = "/usr/bin/time"
BEGIN, END = "<!-- archive.py: figures -->", "<!-- archive.py: end -->"


class Run:
    """What one measured run took."""

    def __init__(self, wall, cpu, memory, stored):
        self.wall, self.cpu, self.memory, self.stored = wall, cpu, memory, stored


def die(text):
    sys.exit(f"bench: {text}")


def size_of(tree):
    """Files and bytes of all that is below; a single file counts as one."""
    if os.path.isfile(tree):
        return 1, os.path.getsize(tree)
    files = total = 0
    for where, _, names in os.walk(tree):
        for name in names:
            info = os.lstat(os.path.join(where, name))
            files += 1
            total += info.st_size if os.path.isfile(os.path.join(where, name)) else 0
    return files, total


# ---- trees -----------------------------------------------------------------------------------


def parts():
    """What the Debian tree is made of, in an order that is always the same: the folders and files
    of each place, one by one; then all of them again, should they have been too few."""
    for again in range(4):
        for place in FROM:
            for name in sorted(os.listdir(place)):
                source = os.path.join(place, name)
                if not os.path.islink(source):
                    yield source, f"{again}{place.replace('/', '-')}-{name}"


def debian_tree(work):
    """Copies of Debian's files until there are enough; kept for the next time."""
    tree, done = os.path.join(work, "debian"), os.path.join(work, "debian.done")
    if os.path.exists(done):
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    files = total = 0
    for source, name in parts():
        if files >= MIN_FILES and total >= MIN_BYTES:
            break
        target = os.path.join(tree, name)
        subprocess.run(["cp", "-a", "--no-preserve=xattr", source, target], check=True)
        more = size_of(target)
        files, total = files + more[0], total + more[1]
    if files < MIN_FILES or total < MIN_BYTES:
        die(f"this system's files are too few for the tree: {files} files, {total} bytes")
    with open(done, "w", encoding="utf-8"):
        return tree


def written_file(path, size, rng):
    """Half random bytes, half text that compresses well."""
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
             for _ in range(2000)]
    with open(path, "wb") as f:
        left = size
        while left > 0:
            piece = rng.randbytes(1 << 20) if left // (1 << 20) % 2 else \
                b" ".join(rng.choices(words, k=200_000))[:1 << 20]
            f.write(piece[:left])
            left -= min(left, len(piece))


def small_case(work, rng):
    path = os.path.join(work, "64k")
    os.makedirs(path, exist_ok=True)
    written_file(os.path.join(path, "file"), 64 << 10, rng)
    return path


def gib_case(work, rng):
    path = os.path.join(work, "1g")
    os.makedirs(path, exist_ok=True)
    written_file(os.path.join(path, "file"), 1 << 30, rng)
    return path


def sparse_case(work, rng):
    path = os.path.join(work, "sparse")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "file"), "wb") as f:
        f.truncate(20 << 30)
        for _ in range(100):
            f.seek(rng.randrange(20 << 30) & ~4095)
            f.write(rng.randbytes(65536))
        f.truncate(20 << 30)
    return path


def million_case(work, rng):
    path = os.path.join(work, "million")
    for folder in range(1000):
        where = os.path.join(path, f"{folder:03}")
        os.makedirs(where, exist_ok=True)
        for number in range(1000):
            with open(os.path.join(where, f"{number:03}.txt"), "wb") as f:
                f.write(b"%d %d\n" % (folder, number) * rng.randint(1, 10))
    return path


# ---- the two sides ---------------------------------------------------------------------------


def timed(report, command):
    return [TIME, "-f", "%U %S %M", "-o", report, *command]


def read_report(report):
    with open(report, encoding="utf-8") as f:
        user, system, memory = f.read().splitlines()[-1].split()
    return float(user) + float(system), int(memory) * 1024


def run_tar(tree, out, sparse):
    os.makedirs(out)
    target = os.path.join(out, "tree.tar.zst")
    with tempfile.TemporaryDirectory() as reports:
        one, two = os.path.join(reports, "tar"), os.path.join(reports, "zstd")
        start = time.monotonic()
        tar = subprocess.Popen(timed(one, ["tar", "-c", *(["-S"] if sparse else []), "-f", "-", "-C",
                                           os.path.dirname(tree), os.path.basename(tree)]),
                               stdout=subprocess.PIPE)
        zstd = subprocess.Popen(timed(two, ["zstd", "-q", "-3", "-T2", "-o", target]),
                                stdin=tar.stdout)
        tar.stdout.close()
        failed = zstd.wait() or tar.wait()
        subprocess.run(["sync", "-f", out], check=True)
        wall = time.monotonic() - start
        if failed:
            die("tar | zstd failed")
        reports = [read_report(one), read_report(two)]
    return Run(wall, sum(r[0] for r in reports), sum(r[1] for r in reports), size_of(out)[1])


def run_bakengine(binary, tree, out, work):
    os.makedirs(out)
    pipeline, report = os.path.join(work, "bench.yaml"), os.path.join(work, "bench.time")
    with open(pipeline, "w", encoding="utf-8") as f:
        f.write("pipeline: bench\n"
                f"sources: [{{name: tree, plugin: files, paths: [{json.dumps(tree)}]}}]\n"
                "store: {format: archive}\n"
                "transforms: [{plugin: zstd, level: 3}]\n"
                f"sinks: [{{plugin: local, path: {json.dumps(out)}}}]\n")
    env = dict(os.environ, BAKENGINE_STATE_DIR=os.path.join(work, "state"))
    start = time.monotonic()
    done = subprocess.run(timed(report, [binary, "run", pipeline, "--no-verify", "--quiet"]),
                          env=env, stdout=subprocess.DEVNULL, check=False)
    subprocess.run(["sync", "-f", out], check=True)
    wall = time.monotonic() - start
    if done.returncode != 0:
        die(f"bakengine run ended with exit status {done.returncode}")
    cpu, memory = read_report(report)
    return Run(wall, cpu, memory, size_of(out)[1])


def warm(tree):
    tar = subprocess.Popen(["tar", "-c", "-S", "-f", "-", "-C", os.path.dirname(tree),
                            os.path.basename(tree)], stdout=subprocess.PIPE)
    subprocess.run(["cat"], stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)
    tar.stdout.close()
    if tar.wait() != 0:
        die(f"cannot read '{tree}'")


def compare(name, tree, rounds, options, sparse=False):
    """Alternating rounds, each in an empty folder, and with nothing left to be written before."""
    print(f"{name}: {rounds} round(s)", file=sys.stderr)
    warm(tree)
    out, results = os.path.join(options.work, "out"), {"tar": [], "bakengine": []}
    for number in range(rounds):
        order = ("tar", "bakengine") if number % 2 == 0 else ("bakengine", "tar")
        for side in order:
            shutil.rmtree(out, ignore_errors=True)
            subprocess.run(["sync"], check=True)
            run = run_tar(tree, out, sparse) if side == "tar" else \
                run_bakengine(options.bakengine, tree, out, options.work)
            results[side].append(run)
            print(f"  {side:10} {run.wall:7.2f} s wall {run.cpu:7.2f} s CPU "
                  f"{run.memory / 1048576:7.1f} MiB {run.stored / 1e6:9.1f} MB", file=sys.stderr)
    shutil.rmtree(out, ignore_errors=True)
    return name, size_of(tree), results


# ---- the table -------------------------------------------------------------------------------


def median(runs, what):
    return statistics.median(getattr(r, what) for r in runs)


def cell(results, what, unit, digits):
    ours, theirs = median(results["bakengine"], what), median(results["tar"], what)
    ratio = f"{ours / theirs:.2f}" if theirs else "-"
    return f"{ours / unit:.{digits}f} / {theirs / unit:.{digits}f} ({ratio})"


def table(rows):
    lines = ["| tree | rounds | wall, s | CPU, s | peak memory, MiB | stored, MB |",
             "| --- | --- | --- | --- | --- | --- |"]
    for name, (files, total), results in rows:
        lines.append(f"| {name}: {files:,} files, {total / 1e6:,.1f} MB | {len(results['tar'])} | "
                     f"{cell(results, 'wall', 1, 2)} | {cell(results, 'cpu', 1, 2)} | "
                     f"{cell(results, 'memory', 1 << 20, 1)} | {cell(results, 'stored', 1e6, 1)} |")
    return "\n".join(lines)


def first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.stdout.strip().splitlines()[0].strip("* ") if done.stdout.strip() else "unknown"


def machine(options):
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    kind = first_line(["stat", "-f", "-c", "%T", options.work])
    return (f"{datetime.date.today()}, {first_line([options.bakengine, '--version'])}; {model}, "
            f"{len(os.sched_getaffinity(0))} cores; Linux {os.uname().release.split('-')[0]}; {kind}; "
            f"{first_line(['tar', '--version'])}; {first_line(['zstd', '--version'])}.")


def limits(rows):
    """What is to hold of the main tree and of the memory everywhere; said below the table."""
    said = []
    for name, _, results in rows:
        over = median(results["bakengine"], "memory") - median(results["tar"], "memory")
        if over > 16 << 20:
            said.append(f"{name}: {over / 1048576:.1f} MiB more memory than tar and zstd together")
    name, _, results = rows[0]
    if median(results["bakengine"], "wall") > median(results["tar"], "wall"):
        said.append(f"{name}: slower than tar | zstd")
    return said


def update(path, text):
    """Replaces what stands between the two comments of the README."""
    with open(path, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        die(f"'{path}' lacks '{BEGIN}' or '{END}'")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("tree", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default="/var/tmp/bakengine-bench")
    parser.add_argument("--bakengine", default=os.path.join(TOP, "build/release/bin/bakengine"))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    options.work = os.path.abspath(options.work)
    for tool in (TIME, "/usr/bin/zstd", "/bin/tar"):
        if not os.access(tool, os.X_OK):
            die(f"'{tool}' is missing: apt install tar zstd time")
    if not os.access(options.bakengine, os.X_OK):
        die(f"'{options.bakengine}' is missing: build it with script/build")
    if options.rounds < 1:
        die("--rounds is at least 1")
    return options


def main():
    options = options_of()
    os.makedirs(options.work, exist_ok=True)
    tree = os.path.abspath(options.tree) if options.tree else debian_tree(options.work)
    rows = [compare("given tree" if options.tree else "Debian files", tree, options.rounds, options)]
    rng = random.Random(1)
    rows.append(compare("64 KiB", small_case(options.work, rng), options.rounds, options))
    if options.long:
        for name, make, sparse in (("1 GiB, half random", gib_case, False),
                                   ("20 GiB, sparse", sparse_case, True),
                                   ("1,000,000 small files", million_case, False)):
            path = make(options.work, rng)
            rows.append(compare(name, path, 1, options, sparse))
            shutil.rmtree(path)
    text = (f"{machine(options)}\nEach cell: bakengine / tar and zstd (ratio); medians.\n\n"
            f"{table(rows)}\n")
    text += "".join(f"\nOver the limit: {line}\n" for line in limits(rows))
    print(text)
    if options.update:
        update(os.path.join(TOP, "bench/README.md"), text)
    return 1 if limits(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
