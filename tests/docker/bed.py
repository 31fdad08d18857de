#!/usr/bin/python3
"""A Docker daemon of the tests' own, in a network namespace of its own, with everything in one folder;
and stacks on it, brought up by docker-compose. Usage: bed.py up|down FOLDER CACHE
What a killed run has left there goes first: its daemons, their containers, and all that is mounted."""
import concurrent.futures
import glob
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import images
import packages

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = ".own"  # the daemon that a test has for itself beside a bed's


class ApiError(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(120)
        self.sock.connect(self.path)


class Bed:
    """One daemon. What it keeps is below `folder`; `cache` holds images between runs."""

    def __init__(self, folder, cache):
        self.folder, self.cache = os.path.abspath(folder), os.path.abspath(cache)
        self.socket = os.path.join(self.folder, "docker.sock")
        self.host = "unix://" + self.socket
        self.process = None  # if it was started here
        # What the tests work in: a path that sockets have room for.
        name = hashlib.sha256(self.folder.encode()).hexdigest()[:12]
        self.work = os.path.join(tempfile.gettempdir(), "bake-docker." + name)

    # ---- the daemon ----

    def alive(self):
        try:
            self.api("GET", "/_ping", raw=True)
            return True
        except (OSError, ApiError, http.client.HTTPException):
            return False

    def start(self):
        """Starts the daemon and waits until it answers."""
        os.makedirs(self.folder, exist_ok=True)
        command = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec dockerd "$@"', "sh",
                   "--data-root", self.at("data"), "--exec-root", self.at("exec"), "-H", self.host,
                   "--pidfile", self.at("pid"), "--log-level", "warn", "--userland-proxy=false"]
        with open(self.at("log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        wait("the Docker daemon", self.alive, 60, lambda: tail(self.at("log")))

    def stop(self, how=signal.SIGTERM):
        """Ends the daemon; containers end with it unless it is killed."""
        for pid in self.daemons("dockerd"):
            try:
                os.kill(pid, how)
                wait("the end of the Docker daemon", lambda p=pid: self.is_over(p), 60)
            except ProcessLookupError:
                pass
        for path in [self.at("pid"), self.socket]:
            if os.path.exists(path):
                os.remove(path)

    def up(self, tags=None):
        """tags: the images that are needed."""
        if not self.alive():
            self.start()
        tree = packages.unpack(os.path.join(self.cache, "packages"))
        for tag in tags or images.ALL:
            try:
                self.api("GET", f"/images/{tag}/json")
            except ApiError:
                self.api("POST", "/images/load?quiet=1", images.make(tree, self.cache, tag),
                         raw=True)

    def down(self):
        """Nothing is left of it, whoever started it and however that one ended."""
        try:
            self.remove([c["Id"] for c in self.api("GET", "/containers/json?all=1")])
            self.stop()
        except (OSError, ApiError, http.client.HTTPException, TimeoutError):
            pass
        self.kill_all()
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            mounts = [line.split()[4].replace("\\040", " ") for line in f]
        for path in sorted((m for m in mounts if self.is_ours(m)), reverse=True):
            subprocess.run(["umount", "-l", path], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", self.folder, self.work], check=False)

    # ---- what is of it on this machine ----

    def is_ours(self, path):
        return path.startswith((self.folder + "/", self.work + "/"))

    def kill_all(self):
        """Daemons, and what runs in containers that no daemon knows of any more."""
        for pid in self.daemons("dockerd", "containerd", "runc") + self.contained():
            try:
                os.kill(pid, signal.SIGKILL)
                wait(f"the end of process {pid}", lambda p=pid: self.is_over(p), 20)
            except (ProcessLookupError, TimeoutError):
                pass
        for group in self.groups():
            try:
                os.rmdir(group)
            except OSError:
                pass

    def is_over(self, pid):
        """Ended, though nobody may have waited for it yet."""
        if self.process and self.process.pid == pid:
            return self.process.poll() is not None
        return (about(pid, "stat").rpartition(")")[2].split() or ["X"])[0] in "ZX"

    def daemons(self, *names):
        """Process ids of these programs, started for this folder."""
        found = []
        for pid in processes():
            program, *args = about(pid, "cmdline").split("\0")
            if os.path.basename(program).startswith(names) and any(self.folder + "/" in a for a in args):
                found.append(pid)
        return found

    def groups(self):
        """The control groups of the containers."""
        ids = glob.glob(self.at("data/containers/*"))
        return [g for i in ids for top in ["/sys/fs/cgroup", "/sys/fs/cgroup/*"]
                for g in glob.glob(f"{top}/docker/{os.path.basename(i)}")]

    def contained(self):
        found = set()
        for group in self.groups():
            with open(group + "/cgroup.procs", encoding="ascii") as f:
                found |= {int(line) for line in f}
        return sorted(found)

    def at(self, name):
        return os.path.join(self.folder, name)

    # ---- its API ----

    def api(self, method, path, body=None, raw=False):
        """A call; JSON in and out, bytes in and (raw) out."""
        connection = Connection(self.socket)
        headers = {}
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        elif body is not None:
            headers["Content-Type"] = "application/x-tar"
        try:
            connection.request(method, "/v1.41" + path if path != "/_ping" else path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 300 and answer.status != 304:
            raise ApiError(answer.status, data.decode(errors="replace"))
        return data if raw else json.loads(data) if data.strip() else None

    def containers(self, project=None):
        """Name -> what the list says."""
        query = ""
        if project:
            filters = {"label": ["com.docker.compose.project=" + project]}
            query = "&filters=" + urllib.parse.quote(json.dumps(filters))
        found = self.api("GET", "/containers/json?all=1" + query)
        return {c["Names"][0].lstrip("/"): c for c in found}

    def inspect(self, name):
        return self.api("GET", f"/containers/{name}/json")

    def running(self, project=None):
        return sorted(n for n, c in self.containers(project).items() if c["State"] == "running")

    def exec(self, name, *argv, env=(), stdin=None):
        """Runs a program in a container by the docker-independent way the tests need: nsenter."""
        pid = self.inspect(name)["State"]["Pid"]
        full = ["nsenter", "-t", str(pid), "-m", "-n", "-p", "-u", "-i", "-r", "-w", "env", "-i"]
        config = self.inspect(name)["Config"]["Env"] or []
        done = subprocess.run([*full, *config, *env, *argv], input=stdin, capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{argv} in '{name}': {done.stderr.decode(errors='replace')}")
        return done.stdout

    # ---- stacks ----

    def compose(self, project, *args, file=None):
        file = file or os.path.join(HERE, "stack", "docker-compose.yml")
        subprocess.run(["docker-compose", "--ansi", "never", "-f", file, "-p", project, *args],
                       env={**os.environ, "DOCKER_HOST": self.host}, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def drop(self, project):
        """What `docker-compose down -v` does, for half the time: it asks nobody to end in order."""
        self.remove([c["Id"] for c in self.containers(project).values()])
        for kind, found in [("networks", self.api("GET", "/networks")),
                            ("volumes", self.api("GET", "/volumes")["Volumes"] or [])]:
            for thing in found:  # its label or, if it has none, its name tells
                label = (thing["Labels"] or {}).get("com.docker.compose.project")
                if label == project or thing["Name"].startswith(project + "_"):
                    self.api("DELETE", f"/{kind}/{thing['Name']}")

    def remove(self, containers):
        """With their own volumes, whatever they do."""
        self.at_once(lambda c: self.api("DELETE", f"/containers/{c}?force=1&v=1"), containers)

    @staticmethod
    def at_once(do, things):
        """do(thing) for each of them; the daemon has to wait for much."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(do, things))

    def wait_healthy(self, project):
        def healthy():
            states = [self.inspect(n)["State"] for n in self.containers(project)]
            return all(s.get("Health", {}).get("Status", "healthy") == "healthy" for s in states
                       if s["Running"])
        wait(f"stack '{project}'", healthy, 90, every=0.2)

    def volume(self, name):
        """A volume's directory on this machine."""
        return self.api("GET", "/volumes/" + name)["Mountpoint"]


def wait(what, ready, seconds, why=lambda: "", every=0.05):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}\n{why()}")
        time.sleep(every)


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def about(pid, name):
    """What the kernel says of a process; nothing if it has gone."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-2000:]


def main():
    what, folder, cache = sys.argv[1:] if len(sys.argv) == 4 else sys.exit(__doc__)
    if what not in ("up", "down"):
        sys.exit(__doc__)
    for bed in [Bed(folder + OWN, cache), Bed(folder, cache)]:
        bed.down()
    if what == "up":
        bed.up()


if __name__ == "__main__":
    main()
