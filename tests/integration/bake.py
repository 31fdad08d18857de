"""What the integration tests share: a place to work in, pipelines, running the real program."""
import ctypes
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

LONG = os.environ.get("BAKE_TEST_LONG", "") not in ("", "0")
BUILD = ""
ROOT = os.geteuid() == 0
NOBODY = 65534


class Result:
    """One run of the program: exit code, output, and the most memory it had (KiB)."""

    def __init__(self, argv, code, out, err, rss):
        self.argv, self.code, self.out, self.err, self.rss = argv, code, out, err, rss

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith(b"{")]

    def of(self, kind):
        return [e for e in self.events if e["message_type"] == kind]

    @property
    def summary(self):
        found = self.of("summary")
        assert len(found) == 1, f"not one summary but {len(found)}: {self}"
        return found[0]

    @property
    def text(self):
        """Everything that was said."""
        return (self.out + b"\n" + self.err).decode("utf-8", "backslashreplace")

    def __str__(self):
        return f"{' '.join(map(str, self.argv))}\nexit {self.code}\n{self.text[-6000:]}"


def binary():
    return os.path.join(BUILD, "bin", "bakengine")


def sanitized():
    """Whether the program was built with a sanitizer: its shadow takes terabytes of addresses."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as f:
        return re.search(r"^BAKE_SANITIZE:\w+=.", f.read(), re.M) is not None


class Bench(unittest.TestCase):
    """A test with a folder of its own; what is mounted below it is unmounted at the end."""

    # One file at a time is named as it runs; the details are in the messages.
    longMessage = True

    def setUp(self):
        base = os.environ.get("BAKE_TEST_WORK")
        if base:
            os.makedirs(base, exist_ok=True)
        self.work = tempfile.mkdtemp(prefix="bake-integration.", dir=base)
        os.chmod(self.work, 0o755)
        self.mounts = []
        self.env = dict(os.environ, BAKENGINE_STATE_DIR=self.path("state"),
                        BAKENGINE_CACHE_DIR=self.path("cache"), TZ="UTC", LC_ALL="C")
        self.env.pop("BAKENGINE_PLUGIN_PATH", None)
        self.addCleanup(self.clean)

    def clean(self):
        for where in reversed(self.mounts):
            subprocess.run(["umount", "-l", where], check=False)
        if not os.environ.get("BAKE_TEST_KEEP"):
            subprocess.run(["rm", "-rf", "--one-file-system", self.work], check=False)

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def mount(self, where, *options):
        os.makedirs(where, exist_ok=True)
        done = subprocess.run(["mount", *options, where], capture_output=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount here: {done.stderr.decode()}")
        self.mounts.append(where)

    # ---- pipelines ----------------------------------------------------------------------------

    def pipeline(self, sources, sinks=None, name="t", file=None, **more):
        """Writes a pipeline (JSON is YAML) and returns its path. sources: name -> paths or options."""
        body = {"pipeline": name, "store": {"format": "archive"},
                "transforms": [{"plugin": "zstd", "level": 1}],
                "sources": [], "sinks": []}
        for source, options in sources.items():
            if not isinstance(options, dict):
                options = {"paths": options if isinstance(options, list) else [options]}
            body["sources"].append({"name": source, "plugin": "files", **options})
        for sink in sinks or [self.path("store")]:
            body["sinks"].append({"plugin": "local", **(sink if isinstance(sink, dict)
                                                       else {"path": sink})})
        body.update(more)
        file = self.path(file or f"{name}.yaml")
        with open(file, "w", encoding="utf-8") as f:
            json.dump(body, f, indent=1)
        return file

    # ---- running ------------------------------------------------------------------------------

    def start(self, *args, prefix=(), **popen):
        """Starts the program; finish() waits for it."""
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        argv = [*prefix, binary(), *map(str, args)]
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                             env=popen.pop("env", self.env), **popen)
        p.bake = (argv, out, err)
        return p

    def finish(self, p, timeout=None):
        argv, out, err = p.bake
        if timeout is not None or p.returncode is not None:  # a signal was sent to what had ended
            p.wait(timeout)
            code, rss = p.returncode, 0
        else:
            _, status, usage = os.wait4(p.pid, 0)
            code, rss = os.waitstatus_to_exitcode(status), usage.ru_maxrss
            p.returncode = code
        texts = []
        for f in (out, err):
            f.seek(0)
            texts.append(f.read())
            f.close()
        result = Result(argv, code, *texts, rss)
        self.assertNotIn(b"Sanitizer", result.err, str(result))
        if code < 0 and code not in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
            self.fail(f"ended by signal {-code}: {result}")
        return result

    def bake(self, *args, code=0, **more):
        """Runs the program to its end. code: what it must exit with (or several; None: any)."""
        result = self.finish(self.start(*args, **more))
        if code is not None:
            wanted = code if isinstance(code, (tuple, list, set)) else (code,)
            self.assertIn(result.code, wanted, str(result))
        return result

    def run_json(self, pipeline, *args, code=0, **more):
        return self.bake("run", pipeline, "--json", *args, code=code, **more)

    def backups(self, pipeline):
        return json.loads(self.bake("list", pipeline, "--json").out)["backups"]

    # ---- files --------------------------------------------------------------------------------

    def write(self, name, data=b"", mode=None):
        path = self.path(name) if isinstance(name, str) and not os.path.isabs(name) else name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def random_file(self, name, size):
        """Bytes that do not compress, written without holding them."""
        path = self.write(name)
        with open("/dev/urandom", "rb") as r, open(path, "wb") as w:
            while size > 0:
                size -= w.write(r.read(min(size, 1 << 20)))
        return path

    def small_tree(self, name, files=40, seed=b"x"):
        """A tree of small files, some compressible, some not, with a few links."""
        root = self.path(name)
        for i in range(files):
            data = hashlib.sha256(seed + b"%d" % i).digest() * (i * 7 % 90)
            self.write(f"{root}/d{i % 4}/f{i:03}", data)
        os.symlink("f000", f"{root}/d0/link")
        os.link(f"{root}/d1/f001", f"{root}/d2/hard")
        return root


def forget(path):
    """Removes a tree, whatever is in it."""
    subprocess.run(["rm", "-rf", path], check=True)


class Xxh128(ctypes.Structure):
    """What the library returns."""
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def xxh128(chunks):
    """XXH128 of bytes, or of an iterable of them, by the library that the program uses too."""
    lib = ctypes.CDLL("libxxhash.so.0")
    lib.XXH3_createState.restype = ctypes.c_void_p
    lib.XXH3_128bits_digest.restype = Xxh128
    state = ctypes.c_void_p(lib.XXH3_createState())
    lib.XXH3_128bits_reset(state)
    for chunk in [chunks] if isinstance(chunks, bytes) else chunks:
        lib.XXH3_128bits_update(state, chunk, ctypes.c_size_t(len(chunk)))
    got = lib.XXH3_128bits_digest(state)
    lib.XXH3_freeState(state)
    return f"{got.high:016x}{got.low:016x}"


def seal(text):
    """The text of a JSON object (bytes) with the seal of docs/format.md put on anew."""
    at = text.rindex(b'"sha256"')
    digest = hashlib.sha256(text[:at]).hexdigest().encode()
    return text[:at] + re.sub(rb"[0-9a-f]{64}", digest, text[at:], count=1)


def seal_object(body):
    """A JSON object as sealed bytes."""
    body = {k: v for k, v in body.items() if k != "sha256"}
    text = json.dumps(body, indent=2).encode()
    return seal(text[:text.rindex(b"\n}")] + b',\n  "sha256": "' + b"0" * 64 + b'"\n}\n')


def edit_sealed(path, change):
    """Rewrites a sealed file as change(object) wants it, with a right seal."""
    with open(path, encoding="utf-8") as f:
        body = json.load(f)
    body = change(body) or body
    with open(path, "wb") as f:
        f.write(seal_object(body))


def main():
    """Usage: test_NAME.py BUILD_DIR [unittest's arguments]; exit 77: nothing could be tested."""
    global BUILD
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD_DIR [TEST...]")
    BUILD = os.path.abspath(sys.argv.pop(1))
    sys.modules["bake"].BUILD = BUILD
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, hard), hard))
    sys.setrecursionlimit(20000)
    if not shutil.which("zstd"):
        print("SKIPPED: no zstd")
        sys.exit(77)
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    done = program.result
    if done.wasSuccessful() and done.testsRun == len(done.skipped):
        sys.exit(77)
    sys.exit(0 if done.wasSuccessful() else 1)
