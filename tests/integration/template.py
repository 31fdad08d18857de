"""Servers of the tests' own, quickly: their data directories are made once for a build directory, then
copied; and they lie in memory where there is room."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

import bake

MEMORY, ROOM = "/dev/shm", 3 << 30


def place():
    """Where temporary directories are made. Databases are thousands of small files that come and go:
    on a disk, that is most of what these tests would wait for."""
    if not bake.BUILD:  # a benchmark
        return "/tmp"
    try:
        seen = os.statvfs(MEMORY)
    except OSError:
        return "/tmp"
    good = seen.f_bavail * seen.f_frsize >= ROOM and not seen.f_flag & os.ST_NOEXEC
    return MEMORY if good and os.access(MEMORY, os.W_OK) else "/tmp"


def work():
    """The same for what the tests themselves write; before bake.main()."""
    bake.BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
    os.environ.setdefault("BAKE_TEST_WORK", place())


def data(kind, where, make, files, *key):
    """Fills `where` as make() does. files, key: programs, sources and values that make a difference
    to what comes out."""
    if not bake.BUILD:  # a benchmark
        make()
        return
    for file in map(os.path.realpath, files):
        seen = os.stat(file)
        key += (file, seen.st_size, seen.st_mtime_ns)
    digest = hashlib.sha256(repr((os.geteuid(), *key)).encode()).hexdigest()
    name = f"{kind}-{digest[:16]}"
    folder = os.path.join(bake.BUILD, "tests", "templates")
    os.makedirs(folder, exist_ok=True)
    kept = os.path.join(folder, name)
    with open(kept + ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(kept):
            make()
            shutil.rmtree(kept + ".new", ignore_errors=True)  # of a test that was killed
            copy(where, kept + ".new")
            os.rename(kept + ".new", kept)
            return
    copy(kept, where)


def copy(old, new):
    subprocess.run(["cp", "-a", "--reflink=auto", old, new], check=True)
