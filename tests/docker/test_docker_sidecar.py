#!/usr/bin/python3
"""bakengine in a container: it backs up the others, never stops itself, reads what it can prove to be
theirs, and whatever happens to its container, what it stopped runs again."""
import json
import os
import re
import shutil
import subprocess
import time
import unittest

import dock  # first: it knows where the others are
import bake
import bed
import held
import proxy
import sidecar

DATA = "hard/store/volumes/data"


class AtWork(sidecar.SidecarBench):
    def facts(self, pipeline, component=DATA):
        shown = json.loads(self.bake("show", pipeline, "--json").out)
        return next(c["facts"] for c in shown["components"] if c["name"] == component)

    def test_never_stops_itself(self):
        """Though it has labels, is of the stack, and mounts what is backed up; from there and back."""
        self.up(40)
        before = {v: self.tree(self.bed.volume(v)) for v in ["hard_data", "hard_web"]}
        labels = {"com.docker.compose.project": "hard", "com.docker.compose.service": "side",
                  "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False",
                  "backup.enable": "true", "backup.volume-path.own": "/data"}
        pipeline = self.drive()
        result = self.run_side("run", pipeline, "--json", labels=labels, binds=["hard_data:/data"])
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.assertEqual(sorted(set(self.happened("kill"))), self.held)
        self.runs_again(0)
        self.assertEqual(self.ours(), ([], []))
        self.assertIn("'hard-side' can write there and keeps running, as bakengine is in it",
                      result.text)
        self.assertNotIn("hostname", result.text)
        self.assertEqual(self.facts(pipeline)["read"], "api")
        for volume in before:
            self.refill(volume, 30, b"spoilt")
        result = self.run_side("restore", pipeline, "--json", "--component", "hard/store",
                               "--component", "hard/web", binds=["hard_data:/data"])
        self.assertIn("this program's own container has it mounted, and goes on seeing what was there "
                      "before", result.text)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.assertEqual(before, {v: self.tree(self.bed.volume(v)) for v in before})
        self.assertEqual(self.bed.running(self.project), sorted(self.running + ["hard-off"]))
        self.assertEqual(self.promises(), [])

    def decoy(self, how):
        """What the daemon calls its volumes' folder, as the container has it: not the same one."""
        real = os.path.join(self.bed.api("GET", "/info")["DockerRootDir"], "volumes")
        copy = self.path("decoy")
        subprocess.run(["cp", "-a", real, copy], check=True)
        if how == "other":
            for root, _, files in os.walk(os.path.join(copy, "hard_data")):
                for name in files:
                    with open(os.path.join(root, name), "r+b") as f:
                        f.write(b"DECOY")
        return f"{copy}:{real}"

    def test_decoy(self):
        """A folder at the place of the daemon's, alike or exactly the same, is never read."""
        self.up(40)
        for how in ["alike", "other"]:
            with self.subTest(how):
                bind = self.decoy(how)
                pipeline = self.drive(name=how)
                self.run_side("run", pipeline, binds=[bind])
                self.assertEqual(self.facts(pipeline)["read"], "api")
                self.bake("restore", pipeline, "--target", self.path("out" + how))
                self.assertEqual(self.tree(self.bed.volume("hard_data")),
                                 self.tree(self.path("out" + how, DATA)))
                shutil.rmtree(self.path("decoy"))
        result = self.run_side("run", self.drive(name=how, read="direct"), code=3)
        self.assertIn("cannot be read directly: the daemon's own directory is not on this machine, "
                      "or not to be seen by this process", result.text)
        self.runs_again(0)

    def test_real_directory(self):
        """With the daemon's volumes mounted, read-only, files come from there."""
        self.up(40)
        real = os.path.join(self.bed.api("GET", "/info")["DockerRootDir"], "volumes")
        pipeline = self.drive()
        self.run_side("run", pipeline, binds=[f"{real}:{real}:ro"])
        self.assertEqual(self.facts(pipeline)["read"], "direct")
        self.bake("restore", pipeline, "--target", self.path("out"))
        self.assertEqual(self.tree(self.bed.volume("hard_data")), self.tree(self.path("out", DATA)))
        self.assertEqual(self.ours(), ([], []))

    @dock.long_form
    def test_no_hostname(self):
        """Its name is another one each time that it is made: said when it backs up, and again by
        who then looks for the backup."""
        self.up(40)
        pipeline = self.drive()
        result = self.run_side("run", pipeline, host="")
        self.assertIn("this container has no hostname of its own", result.text)
        self.assertIn("HINT: give its service a 'hostname:'", result.text)
        name = re.search(r"\b[0-9a-f]{12}\b", result.text).group()
        for verb, code in [("list", 0), ("show", 10), ("restore", 10)]:
            result = self.bake(verb, pipeline, code=code)
            self.assertIn(f"there is no backup of this host, but 1 of others, the newest of '{name}'",
                          result.text)
            self.assertIn(f"HINT: --host '{name}'", result.text)
        self.assertIn(name, self.bake("list", pipeline, "--host", name, "--json").text)

    def test_socket_is_not_mounted(self):
        """What somebody sees who forgot it."""
        self.up(40)
        pipeline = self.drive(host="unix:///run/nothing.sock")
        result = self.run_side("run", pipeline, code=1)
        self.assertIn("/run/nothing.sock", result.text)
        self.assertIn("HINT", result.text)


class Killed(sidecar.SidecarBench):
    """The container goes while it holds a stack, and with it its guard."""

    def begin(self, name=None, state=None, pipeline=None, times=1):
        """A sidecar that stands in the middle of its reading."""
        through = self.proxy()
        rule = proxy.Rule(held.READ, "gate:600", times=times)
        through.rules.append(rule)
        pipeline = pipeline or self.drive(read="api", parallel=1)
        name = self.side("run", pipeline, "--json", name=name, state=state,
                         socket=through.host[len("unix://"):])
        bed.wait("the reading", lambda: rule.reached.is_set() or
                 not self.bed.inspect(name)["State"]["Running"], 60)
        if not rule.reached.is_set():
            self.fail(str(self.said(name)))
        self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        self.assertEqual(len(self.promises()), 1)
        return pipeline, rule

    def kill(self, how):
        if how == "kill":
            self.bed.api("POST", f"/containers/{self.name}/kill")
        else:
            self.bed.api("DELETE", f"/containers/{self.name}?force=1&v=1")
        self.gone()
        # nobody is left who could start them, but who is to be started stands in the daemon
        self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        self.assertEqual(len(self.promises()), 1)

    def drop(self):
        if self.name in self.bed.containers():
            self.bed.api("DELETE", f"/containers/{self.name}?force=1")

    def redeemed(self, result):
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.runs_again(0)
        self.assertEqual(self.promises(), [])
        self.assertEqual(self.ours(), ([], []))
        # started for the promise, and stopped and started by the run that found it
        self.assertEqual(len(self.happened("start")) - self.sides, 2 * 3)

    def test_next_sidecar(self):
        ways = [("rm", None), ("kill", "hard_state"), ("kill", None), ("rm", "hard_state")]
        for how, state in ways if bake.LONG else ways[:2]:
            with self.subTest(how=how, state=state):
                self.tidy()
                self.sides = 2
                self.up(20)
                pipeline, rule = self.begin(state=state)
                self.kill(how)
                rule.open()
                self.drop()
                result = self.run_side("run", pipeline, "--json", name="hard-next", state=state)
                self.redeemed(result)
                if not state:
                    self.assertIn("keeping the promise 'bakengine-promise-", result.text)

    @dock.long_form
    def test_same_container_again(self):
        """As a restart policy would: it has the same name and id, and still is another run."""
        self.up(20)
        self.sides = 2
        pipeline, rule = self.begin()
        self.kill("kill")
        rule.open()
        self.bed.api("POST", f"/containers/{self.name}/start")
        result = self.over()
        self.assertEqual(result.code, 0, str(result))
        self.runs_again(0)
        self.assertEqual(self.promises(), [])

    def test_host(self):
        """A bakengine outside of any container keeps it as well."""
        self.up(20)
        self.sides = 1
        pipeline, rule = self.begin()
        self.kill("rm")
        rule.open()
        self.redeemed(self.run_json(self.drive(host=self.bed.host)))

    def test_alive(self):
        """The others leave its promise alone, and say whose it is."""
        self.up(20)
        pipeline, rule = self.begin()
        own = self.promises()
        short = self.bed.inspect(self.name)["Id"][:12]
        second = self.drive(name="second")
        for result in [self.run_side("run", second, "--json", name="hard-next"),
                       self.run_json(self.drive(name="third", host=self.bed.host))]:
            self.assertEqual(result.summary["status"], "ok", str(result))
            self.assertIn(f"is a promise of container '{short}'", result.text)
            self.assertIn("left to it", result.text)
            self.assertEqual(self.promises(), own)
            self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        rule.open()
        result = self.over()
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.runs_again(0)
        self.assertEqual(self.ours(), ([], []))

    @dock.long_form
    def test_docker_stop(self):
        """Ended in order it starts them itself."""
        self.up(20)
        pipeline, rule = self.begin()
        self.bed.api("POST", f"/containers/{self.name}/stop?t=20")
        self.runs_again(0)
        self.assertEqual(self.promises(), [])
        rule.open()
        self.assertEqual(self.over().code, 128 + 15)

    @unittest.skipUnless(bake.LONG, "long")
    def test_at_random_moments(self):
        """Killed anywhere; each next one finds all that it must."""
        self.up(200)
        pipeline = self.drive()
        for i in range(30):
            name = self.side("run", pipeline, "--json", state="hard_state" if i % 2 else None)
            time.sleep(0.1 + 0.05 * i)
            try:
                self.bed.api("POST", f"/containers/{name}/kill")
            except bed.ApiError:
                pass
            self.gone()
            self.drop()
            result = self.run_side("run", pipeline, "--json", name="hard-next",
                                   state="hard_state" if i % 2 else None)
            self.assertEqual(result.summary["status"], "ok", str(result))
            self.runs_again(0)
            self.assertEqual(self.ours(), ([], []))


if __name__ == "__main__":
    dock.main()
