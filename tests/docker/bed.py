#!/usr/bin/python3
"""A Docker daemon of the tests' own, in a network namespace of its own, with everything in one folder;
and stacks on it, brought up by docker-compose. Usage: bed.py up|down FOLDER CACHE"""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import images
import packages

HERE = os.path.dirname(os.path.abspath(__file__))


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
                   "--pidfile", self.at("pid"), "--log-level", "warn"]
        with open(self.at("log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        wait("the Docker daemon", self.alive, 60, lambda: tail(self.at("log")))

    def stop(self, how=signal.SIGTERM):
        """Ends the daemon; containers end with it unless it is killed."""
        try:
            with open(self.at("pid"), encoding="ascii") as f:
                pid = int(f.read())
            os.kill(pid, how)
            wait("the end of the Docker daemon", lambda: self.has_ended(pid), 60)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            pass
        for path in [self.at("pid"), self.socket]:
            if os.path.exists(path):
                os.remove(path)

    def has_ended(self, pid):
        if self.process and self.process.pid == pid:  # our own child: it is waited for
            return self.process.poll() is not None
        return not os.path.exists(f"/proc/{pid}")

    def up(self):
        if not self.alive():
            self.start()
        tree = packages.unpack(os.path.join(self.cache, "packages"))
        for tag in images.ALL:
            try:
                self.api("GET", f"/images/{tag}/json")
            except ApiError:
                self.api("POST", "/images/load?quiet=1", images.make(tree, self.cache, tag))

    def down(self):
        try:
            for c in self.api("GET", "/containers/json?all=1"):
                self.api("DELETE", f"/containers/{c['Id']}?force=1&v=1")
        except (OSError, ApiError):
            pass
        self.stop()
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            mounts = [line.split()[4] for line in f]
        for path in sorted((m for m in mounts if m.startswith(self.folder + "/")), reverse=True):
            subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

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

    def wait_healthy(self, project):
        def healthy():
            states = [self.inspect(n)["State"] for n in self.containers(project)]
            return all(s.get("Health", {}).get("Status", "healthy") == "healthy" for s in states
                       if s["Running"])
        wait(f"stack '{project}'", healthy, 60)

    def volume(self, name):
        """A volume's directory on this machine."""
        return self.api("GET", "/volumes/" + name)["Mountpoint"]


def wait(what, ready, seconds, why=lambda: ""):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}\n{why()}")
        time.sleep(0.1)


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-2000:]


def main():
    bed = Bed(sys.argv[2], sys.argv[3])
    if sys.argv[1] == "up":
        bed.up()
    elif sys.argv[1] == "down":
        bed.down()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
