#!/usr/bin/python3
"""Measures `bakengine run` and `restore` with the sources postgres and mariadb beside what one would
otherwise type, `pg_dump | zstd -3 -T2` and `mariadb-dump | zstd -3 -T2`. Prints Markdown; --update puts
it into bench/README.md.

    bench/databases.py [--rounds N] [--servers postgres,mariadb] [--cases a,b] [--megabytes N]
                       [--work DIR] [--small] [--update]

The servers are the tests' own, on sockets in temporary directories, as root or not. Rounds alternate,
each run starts with an empty store (but where it says so) and ends in `sync -f`. The figures are
medians, ratios medians of the rounds' own. All that was dumped and restored is compared with the
original in the first round. --small: little data and one round, to see whether the benchmark itself
works; no target is judged then.

Needs the Debian packages postgresql, mariadb-server, zstd, time, and a release build (script/build).
"""
import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import archive  # noqa: E402
import dbservers  # noqa: E402
import tools  # noqa: E402

BEGIN, END = "<!-- databases.py: figures -->", "<!-- databases.py: end -->"
MIB = 1 << 20
DUMP, PARALLEL = 1 / 1.05, 1.25
# Case: what it is called, how many times as fast it is to be.
CASES = {
    "plain": ("a dump, format archive / {dump} \\| zstd", DUMP),
    "custom": ("the same in pg_dump's custom format", DUMP),
    "repository": ("a dump, format repository / {dump} \\| zstd", DUMP),
    "again": ("repository, again, unchanged / {dump} \\| zstd", None),
    "changed": ("repository, again, 1 % changed / {dump} \\| zstd", None),
    "restore": ("a restore / zstd -dc \\| {client}", None),
    "four": ("four databases, `parallel: 2` / `parallel: 1`", PARALLEL),
    "shells": ("four databases, two pipes at a time / one", None),
}
CLIENTS = {"postgres": {"dump": "pg_dump", "client": "psql"},
           "mariadb": {"dump": "mariadb-dump", "client": "mariadb"}}
ZSTD = "zstd -q -3 -T2"


class Side:
    """One way to do it: what it took, round by round."""

    def __init__(self):
        self.runs = []

    def median(self, what):
        return statistics.median(getattr(r, what) for r in self.runs)


class Case:
    def __init__(self, name):
        self.name, self.ours, self.other = name, Side(), Side()

    def ratio(self):
        """How many times as fast the first is."""
        return statistics.median(b.wall / a.wall for a, b in zip(self.ours.runs, self.other.runs))

    def work(self):
        """How many times the processor time it takes: less noisy, where others are at work."""
        return statistics.median(a.cpu / max(b.cpu, 0.01)
                                 for a, b in zip(self.ours.runs, self.other.runs))


# ---- the two sides ---------------------------------------------------------------------------


class Bench:
    """One server with its data, and what is done with it."""

    def __init__(self, options, kind):
        self.options, self.kind = options, dbservers.KINDS[kind]()
        self.work = tempfile.mkdtemp(prefix=f"{kind}.", dir=options.work)
        self.state, self.pipes = self.path("state"), self.path("pipes")
        self.env = {**self.kind.env, "BAKENGINE_STATE_DIR": self.state,
                    "BAKENGINE_CACHE_DIR": self.path("cache")}
        units = max(1, round(options.megabytes / 40))
        rows = (options.megabytes - units * 10) * 1_000_000 // dbservers.ROW
        self.big = dbservers.Database("big", units, rows)
        self.parts = [dbservers.Database(f"part{n}", max(1, units // 4), rows // 4)
                      for n in range(1, 5)]
        self.cases, self.budgets, self.number = {}, {}, 0

    def path(self, name):
        return os.path.join(self.work, name)

    def fill(self, cases):
        archive_file = self.path("documents")
        os.chmod(self.work, 0o755)
        dbservers.documents(archive_file, self.big.rows)
        self.kind.start()
        self.kind.fill(self.big, archive_file)
        if {"four", "shells"} & set(cases):
            for part in self.parts:
                self.kind.fill(part, archive_file)
        os.remove(archive_file)

    def remove(self):
        self.kind.remove()
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- what one would type ------------------------------------------------------------------

    def shell(self, line, durable=True):
        took = tools.timed(["bash", "-o", "pipefail", "-c", line], self.env, self.work,
                           self.work if durable else None)
        return tools.Run(*took, tools.bytes_in(self.pipes) if durable else 0)

    def pipe(self, name, fmt="plain"):
        target = os.path.join(self.pipes, f"{name}.{fmt}.zst")
        return f"{self.kind.dump_words(name, fmt)} | {ZSTD} -o {shlex.quote(target)}"

    def empty_pipes(self):
        shutil.rmtree(self.pipes, ignore_errors=True)
        os.mkdir(self.pipes)

    def piped(self, fmt="plain"):
        self.empty_pipes()
        return self.shell(self.pipe(self.big.name, fmt))

    def unpiped(self):
        self.kind.create("piped")
        file = os.path.join(self.pipes, "big.plain.zst")
        return self.shell(f"zstd -dc {shlex.quote(file)} | {self.kind.load_words('piped')}", False)

    def shells(self, at_once):
        """Two at a time, so that each begins when another has ended; or one."""
        self.empty_pipes()
        lines = "".join(self.pipe(p.name) + "\0" for p in self.parts)
        file = self.path("lines")
        with open(file, "w", encoding="utf-8") as f:
            f.write(lines)
        return self.shell(f"xargs -0 -n 1 -P {2 if at_once else 1} bash -o pipefail -c < "
                          f"{shlex.quote(file)}")

    # ---- bakengine ----------------------------------------------------------------------------

    def pipeline(self, store, fmt="plain", databases=("big",), form="archive",
                 parallel=None):
        """Of its own for each store. parallel: else its default."""
        path = self.path(f"{store}.yaml")
        body = {"pipeline": store, **({"parallel": parallel} if parallel else {}),
                "store": {"format": form},
                "sources": [self.kind.source(list(databases), fmt)],
                "transforms": [{"plugin": "zstd", "level": 3}],
                "sinks": [{"plugin": "local", "path": self.path(store)}]}
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            json.dump(body, f)
        return path

    def empty_store(self, store):
        for name in (store, "state", "cache"):
            shutil.rmtree(self.path(name), ignore_errors=True)

    def bakengine(self, verb, pipeline, *args):
        return tools.timed([self.options.bakengine, verb, pipeline, *args, "--quiet"], self.env,
                           self.work, self.work)

    def run(self, store, fresh=True, **more):
        if fresh:
            self.empty_store(store)
        before = 0 if fresh else tools.bytes_in(self.path(store))
        pipeline = self.pipeline(store, **more)
        took = self.bakengine("run", pipeline, "--no-verify")
        run = tools.Run(*took, tools.bytes_in(self.path(store)) - before)
        self.judge(pipeline, more)
        return run

    def asked(self, *args):
        done = subprocess.run([self.options.bakengine, *args], env=self.env, cwd=self.work,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise tools.Failed(f"'bakengine {' '.join(args)}' ended with {done.returncode}:\n"
                               f"{done.stderr}")
        return done.stdout

    def judge(self, pipeline, more):
        """Everything that was to be dumped was, with as many rows as there are."""
        shown = json.loads(self.asked("show", pipeline, "latest", "--json"))
        found = {c["name"]: c for c in shown["components"]}
        for database in [self.big, *self.parts]:
            if database.name not in more.get("databases", ("big",)):
                continue
            name = self.kind.component(database.name, more.get("fmt", "plain"))
            one = found.get(name)
            if not one or one["status"] != "ok" or \
                    self.kind.counted(one["facts"]) != database.counts():
                raise tools.Failed(f"'{name}' was not dumped as it should have been: {one}")

    def restored(self, store, name="restored", fmt="plain"):
        self.kind.drop(name)
        pipeline = self.path(f"{store}.yaml")
        took = self.bakengine("restore", pipeline, "--component",
                              self.kind.component("big", fmt), "--as-database", name)
        return tools.Run(*took, 0)

    def budget(self, case, store, **more):
        said = self.asked("run", self.pipeline(store, **more), "--dry-run", "--json")
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        self.budgets[case] = next(e["memory_budget"] for e in events if "memory_budget" in e)

    # ---- what is measured ---------------------------------------------------------------------

    def pair(self, name, ours, other):
        """Which comes first alternates."""
        case = self.cases.setdefault(name, Case(name))
        acts = [(case.ours, ours), (case.other, other)]
        for side, act in acts if self.number % 2 == 0 else reversed(acts):
            subprocess.run(["sync", "-f", self.work], check=True)
            run = act()
            side.runs.append(run)
            print(f"  {name:10} {'bakengine' if side is case.ours else 'other':9} "
                  f"{run.wall:7.2f} s wall {run.cpu:7.2f} s CPU (others {run.others:6.2f} s) "
                  f"{run.memory / MIB:7.1f} MiB {run.stored / 1e6:8.1f} MB", file=sys.stderr)

    def same(self, name, of="big"):
        if self.kind.digest(name) != self.kind.digest(of):
            raise tools.Failed(f"database '{name}' differs from '{of}'")

    def case_plain(self):
        self.pair("plain", lambda: self.run("plain"), self.piped)

    def case_custom(self):
        if "custom" not in self.kind.formats:
            return
        self.pair("custom", lambda: self.run("custom", fmt="custom"), lambda: self.piped("custom"))
        if self.number == 0:
            self.restored("custom", "again", "custom")
            self.same("again")
            self.kind.drop("again")

    def case_repository(self):
        self.pair("repository", lambda: self.run("repository", form="repository"), self.piped)

    def case_again(self):
        self.pair("again", lambda: self.run("repository", False, form="repository"), self.piped)

    def case_changed(self):
        self.kind.change(self.big)
        self.pair("changed", lambda: self.run("repository", False, form="repository"), self.piped)
        if self.number == 0:
            self.restored("repository", "again")
            self.same("again")
            self.kind.drop("again")

    def case_restore(self):
        if not os.path.exists(self.path("plain")):
            self.run("plain")
        if not os.path.exists(os.path.join(self.pipes, "big.plain.zst")):
            self.piped()
        self.pair("restore", lambda: self.restored("plain"), self.unpiped)
        if self.number == 0:
            self.same("restored")
            self.same("piped")
        self.kind.drop("restored")
        self.kind.drop("piped")

    def four(self, parallel):
        return self.run(f"four{parallel}", databases=[p.name for p in self.parts],
                        parallel=parallel)

    def case_four(self):
        self.pair("four", lambda: self.four(2), lambda: self.four(1))

    def case_shells(self):
        self.pair("shells", lambda: self.shells(True), lambda: self.shells(False))

    def round(self, cases, number):
        self.number = number
        for name in ("restored", "piped"):
            self.kind.drop(name)
        # What is changed is changed for all: a restore is of this round's dump.
        for name in ("plain", "restore", "custom", "repository", "again", "changed", "four",
                     "shells"):
            if name in cases:
                getattr(self, "case_" + name)()

    def stated(self):
        """What `run --dry-run` says of the memory, where memory counts."""
        for name in self.cases:
            if name in ("plain", "custom", "repository", "again", "changed", "four"):
                more = {"fmt": "custom"} if name == "custom" else {}
                if name == "four":
                    more = {"databases": [p.name for p in self.parts], "parallel": 2}
                if name in ("repository", "again", "changed"):
                    more["form"] = "repository"
                self.budget(name, "stated", **more)


# ---- what is said ----------------------------------------------------------------------------


def line(bench, case):
    title, target = CASES[case.name]
    cells = [" / ".join(f"{side.median(what) / unit:.{digits}f}" for side in (case.ours, case.other))
             for what, unit, digits in [("wall", 1, 2), ("cpu", 1, 2), ("stored", 1e6, 1)]]
    budget = bench.budgets.get(case.name)
    memory = f"{max(r.memory for r in case.ours.runs) / MIB:.0f}"
    aim = f" ({target:.2f})" if target else ""
    return (f"| {title.format(**CLIENTS[bench.kind.name])} | {cells[0]} | {case.ratio():.2f}{aim} | "
            f"{cells[1]} ({case.work():.2f}) | {memory if case.name != 'shells' else ''} | "
            f"{f'{budget / MIB:.0f}' if budget else ''} | "
            f"{cells[2] if case.name != 'restore' else ''} |")


def missed(bench):
    for case in bench.cases.values():
        title, target = CASES[case.name]
        title = f"{bench.kind.title}, {title.format(**CLIENTS[bench.kind.name])}"
        if target and case.ratio() < target:
            yield f"{title}: {case.ratio():.2f} times as fast, the target is {target:.2f}"
        budget = bench.budgets.get(case.name)
        if budget and max(r.memory for r in case.ours.runs) > budget:
            yield f"{title}: more memory than `run --dry-run` states"


def table(bench):
    head = ["| | wall, s | times as fast (target) | CPU, s (ratio) | peak memory, MiB | stated, MiB | "
            "stored, MB |", "| --- | --- | --- | --- | --- | --- | --- |"]
    counts = ", ".join(f"{v:,} {k}" for k, v in bench.big.counts().items())
    rounds = max(len(c.ours.runs) for c in bench.cases.values())
    return (f"{bench.kind.title} {bench.kind.version()}; {counts}; medians of {rounds}.\n\n"
            + "\n".join(head + [line(bench, c) for c in bench.cases.values()]) + "\n")


def measure(options, kind):
    print(f"{kind}: {options.rounds} round(s)", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        bench = Bench(options, kind)
        stack.callback(bench.remove)
        bench.fill(options.cases)
        for number in range(options.rounds):
            bench.round(options.cases, number)
        bench.stated()
        return table(bench), list(missed(bench))


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--servers", default="postgres,mariadb")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--megabytes", type=int, default=600, help="of one whole dump, about")
    parser.add_argument("--work", default="/var/tmp/bakengine-bench")
    parser.add_argument("--bakengine",
                        default=os.path.join(archive.TOP, "build/release/bin/bakengine"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    options.work, options.bakengine = map(os.path.abspath, (options.work, options.bakengine))
    options.servers, options.cases = options.servers.split(","), options.cases.split(",")
    if options.small:
        options.rounds, options.megabytes = 1, 20
    if not set(options.servers) <= set(dbservers.KINDS) or not set(options.cases) <= set(CASES):
        archive.die(f"servers are {', '.join(dbservers.KINDS)}; cases are {', '.join(CASES)}")
    if options.rounds < 1 or options.megabytes < 20:
        archive.die("--rounds is at least 1, --megabytes at least 20")
    for tool in ("zstd", "bash", "xargs", archive.TIME):
        if not shutil.which(tool):
            archive.die(f"'{tool}' is missing: apt install zstd time")
    if not os.access(options.bakengine, os.X_OK):
        archive.die(f"'{options.bakengine}' is missing: build it with script/build")
    if options.update and (options.small or set(options.cases) != set(CASES)):
        archive.die("--update needs all of the data and all cases")
    return options


def main():
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are ended as well
    os.makedirs(options.work, exist_ok=True)
    parts, bad = [], []
    try:
        for kind in options.servers:
            text, missing = measure(options, kind)
            parts.append(text)
            bad += missing
    except (tools.Failed, OSError, subprocess.CalledProcessError, AssertionError) as why:
        archive.die(why)
    text = f"{archive.machine(options)}\n\n" + "\n".join(parts)
    if not options.small:
        text += "".join(f"\nMissed: {what}\n" for what in bad)
    print(text)
    if options.update:
        update(os.path.join(archive.TOP, "bench/README.md"), text)
    return 1 if bad and not options.small else 0


if __name__ == "__main__":
    sys.exit(main())
