"""The data that bench/repository.py backs up: five sets, each in two versions, made once and kept.

A set is a folder: data/ is what is backed up, later/ holds what it becomes when 1 % of it changes.
swap() exchanges the two; a second swap() brings the first version back.
"""
import contextlib
import itertools
import json
import os
import random
import shutil
import stat
import subprocess
import tempfile

VERSION = 1  # of how the sets are made: another one makes them anew
MIB = 1 << 20
SHARE_FILES, SHARE_BYTES = 57_000, 680_000_000
ROOT_BYTES = 1_000_000_000
DUMP_BYTES, DUMP_BYTES_PER_SCALE = 1_000_000_000, 9_800_000
TINY_FILES = 1_000_000
BIG_BYTES = 20_000_000_000
SHARE = ("/usr/share", "/usr/include", "/usr/lib/python3", "/usr/lib/x86_64-linux-gnu", "/usr/lib")
NO_ROOT = ("/usr/share/", "/usr/include/", "/usr/src/")  # set (a) has such files
PRIORITIES = ("required", "important", "standard", "optional", "extra")
POSTGRES = "/usr/lib/postgresql/15/bin"


class Unavailable(Exception):
    """This set cannot be had here; the text says why."""


class Text:
    """Text as people and programs write it, the same for the same seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        letters = b"etaoinshrdlucmfwypvbgkqjxz"
        weights = [1 / (n + 2) for n in range(len(letters))]
        self.words = [bytes(self.rng.choices(letters, weights, k=self.rng.randint(2, 11)))
                      for _ in range(5000)]
        self.weights = list(itertools.accumulate(1 / (n + 5) for n in range(len(self.words))))
        self.phrases = None

    def prose(self, size):
        """Words, the frequent ones more often."""
        words = self.rng.choices(self.words, cum_weights=self.weights, k=size // 5 + 1)
        return b" ".join(words)[:size].ljust(size, b".")

    def mass(self, size):
        """Quicker for much of it: phrases out of a large stock, in lines, with numbers."""
        if self.phrases is None:
            self.phrases = [self.prose(self.rng.randint(16, 48)) + b"%d\n" % n
                            for n in range(100_000)]
        return b"".join(self.rng.choices(self.phrases, k=size // 20))[:size].ljust(size, b".")


class DataSet:
    """One set at one scale below a work folder."""

    def __init__(self, work, letter, scale):
        self.letter, self.scale = letter, scale
        self.title, self.make = KINDS[letter]
        self.path = os.path.join(work, "sets", letter)
        self.data = os.path.join(self.path, "data")
        self.later = os.path.join(self.path, "later")
        self.files = self.bytes = 0

    def expected(self):
        """How many bytes it will be, with what it becomes later."""
        size = {"a": SHARE_BYTES, "b": ROOT_BYTES, "c": 2 * DUMP_BYTES, "d": TINY_FILES * 4096,
                "e": BIG_BYTES}
        return size[self.letter] * self.scale

    def prepare(self, say):
        """Uses what is there if it is what is wanted and whole, else makes it."""
        made = self.facts()
        if not made or made["changed"] is None:
            say(f"({self.letter}) {self.title}: making it")
            shutil.rmtree(self.path, ignore_errors=True)
            os.makedirs(self.data)
            os.makedirs(self.later)
            try:
                self.make(self)
            except BaseException:
                shutil.rmtree(self.path, ignore_errors=True)
                raise
            made = self.note(False)
            say(f"({self.letter}) {self.title}: made")
        if made["changed"]:
            self.swap()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, STAMP))
        self.files, self.bytes = measure(self.data)

    def facts(self):
        try:
            with open(os.path.join(self.path, "made.json"), encoding="utf-8") as f:
                made = json.load(f)
        except (OSError, ValueError):
            return None
        return made if (made["version"], made["scale"]) == (VERSION, self.scale) else None

    def note(self, changed):
        """changed: None while a swap is going on; a set found like that is made anew."""
        made = {"version": VERSION, "scale": self.scale, "changed": changed}
        path = os.path.join(self.path, "made.json")
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(made, f)
        os.replace(path + ".new", path)
        return made

    def swap(self):
        changed = self.facts()["changed"]
        self.note(None)
        if self.letter == "e":
            swap_pieces(self)
        else:
            swap_files(self)
        self.note(not changed)

    def touch(self):
        """Borg does not remember a backup's newest file, so it would read a set of one file again:
        each set therefore has a newest file, an empty one, as borg's documentation advises."""
        with open(os.path.join(self.data, STAMP), "wb"):
            pass


STAMP = "newest.stamp"


def files_below(top):
    """(path, lstat) of all that is no directory, in an order that is always the same."""
    entries = sorted(os.scandir(top), key=lambda e: e.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path)
        else:
            yield entry.path, entry.stat(follow_symlinks=False)


def measure(top):
    """Files, and the bytes of their contents."""
    files = total = 0
    for _, info in files_below(top):
        files += 1
        if stat.S_ISREG(info.st_mode):
            total += info.st_size
    return files, total


def swap_files(data_set):
    """Renames both ways, so that each version keeps its inodes and its times."""
    aside = os.path.join(data_set.path, "aside")
    for path, _ in list(files_below(data_set.later)):
        here = os.path.join(data_set.data, os.path.relpath(path, data_set.later))
        os.rename(here, aside)
        os.rename(path, here)
        os.rename(aside, path)


def swap_pieces(data_set):
    with open(os.path.join(data_set.later, "offsets.json"), encoding="utf-8") as f:
        offsets = json.load(f)
    data = os.open(os.path.join(data_set.data, "image"), os.O_RDWR | os.O_CLOEXEC)
    other = os.open(os.path.join(data_set.later, "pieces"), os.O_RDWR | os.O_CLOEXEC)
    try:
        for number, offset in enumerate(offsets):
            one, two = os.pread(data, MIB, offset), os.pread(other, MIB, number * MIB)
            if len(one) != MIB or len(two) != MIB:
                raise OSError(f"'{data_set.path}' is shorter than it was made")
            os.pwrite(data, two, offset)
            os.pwrite(other, one, number * MIB)
    finally:
        os.close(data)
        os.close(other)


# ---- (a) and (b): trees of Debian's own files --------------------------------------------------


def copy_files(paths, target):
    """With their folders, owners and times; hard links among them stay hard links."""
    names = b"\0".join(os.fsencode(p.lstrip("/")) for p in paths)
    with tempfile.TemporaryFile() as listed:
        listed.write(names)
        listed.seek(0)
        read = ["tar", "-c", "-C", "/", "--null", "--no-recursion", "-T", "-"]
        reader = subprocess.Popen(read, stdin=listed, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-p", "-C", target], stdin=reader.stdout, check=True)
        reader.stdout.close()
        if reader.wait() != 0:
            raise OSError("tar could not read all of the files that were listed")


def share_files(scale):
    files = total = 0
    seen = set()
    for place in SHARE:
        if not os.path.isdir(place):
            continue
        for path, info in files_below(place):
            if path in seen or not wanted(path, info):
                continue
            if files >= SHARE_FILES * scale and total >= SHARE_BYTES * scale:
                return
            seen.add(path)
            files += 1
            total += info.st_size if stat.S_ISREG(info.st_mode) else 0
            yield path


def make_share(data_set):
    copy_files(share_files(data_set.scale), data_set.data)
    make_later(data_set)


def package_files():
    """What dpkg installed: the packages that a system needs first, then the rest by name."""
    form = "${Priority}\t${binary:Package}\n"
    try:
        listed = subprocess.run(["dpkg-query", "-W", "-f", form], stdout=subprocess.PIPE,
                                check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as why:
        raise Unavailable(f"it is made of Debian's packages: {why}") from why
    rank = {name: n for n, name in enumerate(PRIORITIES)}
    packages = sorted((line.split("\t") for line in listed.splitlines()),
                      key=lambda p: (rank.get(p[0], len(rank)), p[1]))
    for _, name in packages:
        for plain in (name, name.split(":")[0]):
            path = f"/var/lib/dpkg/info/{plain}.list"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="surrogateescape") as f:
                    yield from f.read().splitlines()
                break


def wanted(path, info):
    return stat.S_ISLNK(info.st_mode) or stat.S_ISREG(info.st_mode) and os.access(path, os.R_OK)


def root_files(scale):
    total, seen, folders = 0, set(), {}
    for listed in package_files():
        folder, name = os.path.split(listed)
        # Not through the links of a merged /usr: a folder is then in one place only.
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        path = os.path.join(folders[folder], name)
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if path in seen or folder == "/" or path.startswith(NO_ROOT) or not wanted(path, info):
            continue
        total += info.st_size if stat.S_ISREG(info.st_mode) and info.st_nlink == 1 else 0
        if total > ROOT_BYTES * scale:
            return
        seen.add(path)
        yield path


def make_root(data_set):
    copy_files(root_files(data_set.scale), data_set.data)
    make_later(data_set)


def changed_copy(path, target, kind, text):
    """Edited in the middle, appended to, or written anew; a large one gets 4 KiB written over."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(path, target)
    info = os.lstat(path)
    if os.geteuid() == 0:
        os.chown(target, info.st_uid, info.st_gid)
        os.chmod(target, stat.S_IMODE(info.st_mode))
    with open(target, "r+b") as f:
        if kind == "append":
            f.seek(0, os.SEEK_END)
            f.write(text.prose(500))
        elif kind == "insert":
            f.seek(text.rng.randrange(info.st_size))
            rest = f.read()
            f.seek(-len(rest), os.SEEK_END)
            f.write(text.prose(200) + rest)
        elif info.st_size <= 64 << 10:
            f.write(text.prose(info.st_size))
        else:
            f.seek(text.rng.randrange(info.st_size - 4096))
            f.write(text.prose(4096))
    os.utime(target)


def make_later(data_set):
    """1 % of the files, changed."""
    text = Text(f"{data_set.letter} later")
    paths = [path for path, info in files_below(data_set.data)
             if stat.S_ISREG(info.st_mode) and info.st_nlink == 1 and info.st_size > 0]
    if not paths:
        raise Unavailable("this system has none of the files that it is made of")
    kinds = itertools.cycle(("insert", "append", "write"))
    for path in text.rng.sample(paths, max(1, len(paths) // 100)):
        target = os.path.join(data_set.later, os.path.relpath(path, data_set.data))
        changed_copy(path, target, next(kinds), text)


# ---- (c): PostgreSQL ---------------------------------------------------------------------------


class Cluster:
    """A PostgreSQL server of our own, on a socket in a folder of its own."""

    def __init__(self):
        if not os.access(f"{POSTGRES}/initdb", os.X_OK):
            raise Unavailable("it needs PostgreSQL 15: apt install postgresql-15")
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.path = tempfile.mkdtemp(prefix="bake-pg.", dir="/var/tmp")
        if self.user:
            shutil.chown(self.path, "postgres", "postgres")
        self.env = dict(os.environ, PGHOST=self.path, PGPORT="5432", PGUSER="postgres",
                        PGDATABASE="postgres", LC_ALL="C.UTF-8")
        self.data = os.path.join(self.path, "data")

    def do(self, program, *words, stdout=subprocess.DEVNULL):
        done = subprocess.run([*self.user, f"{POSTGRES}/{program}", *words], env=self.env,
                              cwd=self.path, stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise OSError(f"{program} ended with {done.returncode}: {done.stderr.strip()[-500:]}")

    def __enter__(self):
        try:
            self.do("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N")
            options = (f"-c listen_addresses= -c unix_socket_directories={self.path} -c fsync=off "
                       "-c full_page_writes=off -c synchronous_commit=off -c max_wal_size=4GB "
                       "-c shared_buffers=256MB -c logging_collector=off")
            self.do("pg_ctl", "-D", self.data, "-w", "-l", f"{self.path}/log", "-o", options,
                    "start")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if os.path.exists(f"{self.data}/postmaster.pid"):
            self.do("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.path, ignore_errors=True)

    def dump(self, path):
        with open(path, "wb") as f:
            self.do("pg_dump", "--format=plain", stdout=f)


def make_dump(data_set):
    """pgbench's own tables, and its own transactions, as many as make 1 % of the accounts."""
    scale = max(1, round(DUMP_BYTES * data_set.scale / DUMP_BYTES_PER_SCALE))
    with Cluster() as server:
        server.do("pgbench", "-i", "-q", "-s", str(scale))
        server.dump(os.path.join(data_set.data, "appdb.sql"))
        server.do("pgbench", "-n", "-c", "2", "-t", str(scale * 500), "--random-seed=1")
        server.dump(os.path.join(data_set.later, "appdb.sql"))


# ---- (d): very many tiny files -------------------------------------------------------------------


def make_tiny(data_set):
    text, count = Text("d"), max(100, round(TINY_FILES * data_set.scale))
    per_folder = min(1000, max(10, count // 100))
    for number in range(count):
        folder = os.path.join(data_set.data, f"{number // per_folder:04}")
        if number % per_folder == 0:
            os.mkdir(folder)
        with open(os.path.join(folder, f"{number % per_folder:04}.txt"), "wb", buffering=0) as f:
            f.write(b"%d\n" % number + text.prose(1024 - len(str(number)) - 1))
    make_later(data_set)


# ---- (e): one file, of which some pieces change --------------------------------------------------


def piece(text, number):
    """Every second one random: half of the file can be compressed."""
    return text.rng.randbytes(MIB) if number % 2 else text.mass(MIB)


def make_big(data_set):
    text, pieces = Text("e"), max(8, int(BIG_BYTES * data_set.scale) // MIB)
    with open(os.path.join(data_set.data, "image"), "wb", buffering=0) as f:
        for number in range(pieces):
            f.write(piece(text, number))
    # Never two in the same place: each is somewhere in a slot of its own.
    slots = sorted(text.rng.sample(range(pieces // 2), max(1, pieces // 100)))
    offsets = [2 * MIB * slot + text.rng.randrange(MIB) for slot in slots]
    with open(os.path.join(data_set.later, "offsets.json"), "w", encoding="utf-8") as f:
        json.dump(offsets, f)
    with open(os.path.join(data_set.later, "pieces"), "wb", buffering=0) as f:
        for number in range(len(offsets)):
            f.write(piece(text, number))


KINDS = {
    "a": ("share tree", make_share),
    "b": ("Debian root tree", make_root),
    "c": ("PostgreSQL dump", make_dump),
    "d": ("files of 1 KB", make_tiny),
    "e": ("one large file", make_big),
}
# What makes each of them tiny, for a test that the benchmark itself works.
SMALL = {"a": 0.004, "b": 0.01, "c": 0.01, "d": 0.001, "e": 0.0005}


def warm(top):
    """Reads all of it once."""
    reader = subprocess.Popen(["tar", "-c", "-C", top, "."], stdout=subprocess.PIPE)
    subprocess.run(["cat"], stdin=reader.stdout, stdout=subprocess.DEVNULL, check=True)
    reader.stdout.close()
    if reader.wait() != 0:
        raise OSError(f"cannot read '{top}'")
