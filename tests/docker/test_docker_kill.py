#!/usr/bin/python3
"""Runs that die, are ended or find no room while containers stand still for them: what ran before runs
again, by the run itself, by its guard, or by the next one that may act."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

import dock  # first: it knows where the others are
import bake
import bed
import held
import proxy


class Kills(held.HeldBench):
    """Real SIGKILLs over the whole of a run."""

    kills = 200 if bake.LONG else 6
    standing = kills * 4 // 10  # of them so many while something stands still, at least

    def measure(self, pipeline):
        """Seconds from a run's first stop to its last start, and from its beginning to its end."""
        begin = self.before = time.time()
        result = self.run_json(pipeline)
        end = time.time()
        self.assertEqual(result.summary["status"], "ok", str(result))
        stops, starts = self.times("kill"), self.times("start")
        self.assertEqual((len(stops), len(starts)), (3, 3))
        return starts[-1] - stops[0], end - begin

    def kill_one(self, pipeline, inside, delay):
        """Whether it was killed, and whether something stood still then. inside: the delay begins when
        the first one is stopped, else when the run begins."""
        self.before = time.time()
        p = self.start("run", pipeline)
        if inside:
            bed.wait("the first stop", lambda: p.poll() is not None or
                     self.bed.running(self.project) != self.running, 60)
        try:
            p.wait(delay)
        except subprocess.TimeoutExpired:
            pass
        now = time.time()
        p.kill()
        killed = self.finish(p, 60).code == -signal.SIGKILL
        self.slowest = max(self.slowest, self.runs_again())
        return killed, killed and any(t > now for t in self.times("start"))

    def test_at_random_moments(self):
        self.up()
        pipeline = self.drive()
        self.run_json(pipeline)
        stopped, whole = self.measure(pipeline)
        chance = random.Random(4)
        stood, killed, scale, self.slowest = 0, 0, 1.0, 0.0
        for i in range(4 * self.kills):
            # most while something stands still, the rest anywhere
            inside = i % 10 < 7
            delay = (stopped if inside else whole * 1.05) * chance.random() * scale
            dead, still = self.kill_one(pipeline, inside, delay)
            killed, stood = killed + dead, stood + still
            if not dead:
                scale *= 0.9  # the machine has got faster
            done = killed >= self.kills and stood >= self.standing
            if i % 10 == 9 or done:  # and the next run finds nothing wrong
                self.settled()
                result = self.run_json(pipeline)
                self.assertEqual(result.summary["status"], "ok", str(result))
                self.assertEqual(self.bed.running(self.project), self.running)
            if done:
                break
        print(f"{killed} kills, {stood} with something stopped, slowest {self.slowest:.1f} s", flush=True)
        self.assertGreaterEqual(killed, self.kills)
        self.assertGreaterEqual(stood, self.standing)
        self.settled()
        self.assertEqual(self.duties(), [])
        self.bake("verify", pipeline)
        self.assertEqual(self.ours(), ([], []))
        self.assertEqual(self.bed.containers(self.project)["hard-off"]["State"], "created")

    def test_next_run_waits_for_the_guard(self):
        """A run right after the kill: what the dead one stopped must be started before this one
        looks, else it would be started in the middle of its reading."""
        self.up()
        through = self.proxy()
        rule = proxy.Rule(held.READ, "hang", times=1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host, parallel=1)
        p = self.start_held(pipeline, rule)
        p.kill()
        self.finish(p, 60)
        result = self.run_json(pipeline)
        self.assertEqual(result.summary["status"], "ok", str(result))
        shown = self.bake("show", pipeline, "--json").out.decode()
        for name in self.held:
            self.assertIn(f'"{name}": ', shown.split('"stopped":')[1].split("}")[0])
        self.runs_again(0)


class NobodyLeft(held.HeldBench):
    """The guard dies, too: what was stopped stays so until somebody may act."""

    def die(self, files=40, **options):
        """A run that is killed together with its guard; the pipeline, without a fault."""
        self.up(files)
        through = self.proxy()
        rule = proxy.Rule(held.READ, "hang", times=1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host, **options)
        self.kill_both(self.start_held(pipeline, rule))
        self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        self.assertEqual(len(self.duties()), 1)
        return pipeline

    def test_doctor(self):
        pipeline = self.die()
        for verb in [["list", pipeline], ["plugins"], ["validate", pipeline], ["schema"],
                     ["run", pipeline, "--dry-run"], ["restore", pipeline, "--dry-run"]]:
            result = self.bake(*verb, code=None)
            self.assertIn(b"doctor --redeem", result.err, str(result))
            self.assertIn(b"had stopped", result.err, str(result))
            self.assertEqual(self.bed.running(self.project), ["hard-idle"], str(verb))
        result = self.bake("doctor", "--redeem")
        self.runs_again(0)
        for name in self.held:
            self.assertIn(f"'{name}'", result.text)
        self.assertEqual(self.duties(), [])
        self.assertNotIn("--redeem", self.bake("list", pipeline, code=None).text)
        self.assertEqual(self.bed.running(self.project), self.running)

    def test_next_run(self):
        pipeline = self.die()
        result = self.run_json(pipeline)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.runs_again(0)
        self.assertEqual(self.duties(), [])
        # they ran when it looked: it stopped and started them itself
        self.assertEqual(len(self.happened("start")), 2 * 3)

    def test_run_of_another_pipeline(self):
        """One that knows nothing of Docker; the first one's file is gone."""
        os.remove(self.die())
        self.small_tree("files")
        self.bake("run", self.pipeline({"f": self.path("files")}, [self.path("elsewhere")], name="other"))
        self.runs_again(0)
        self.assertEqual(self.duties(), [])

    def test_restore(self):
        self.die()
        files = self.small_tree("files")
        other = self.pipeline({"f": files}, [self.path("elsewhere")], name="other")
        state = dict(self.env, BAKENGINE_STATE_DIR=self.path("state2"))
        self.bake("run", other, env=state)
        self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        self.bake("restore", other, "--target", self.path("out"))
        self.assertEqual(self.bed.running(self.project), ["hard-idle"])
        os.remove(os.path.join(files, "d0", "f000"))
        self.bake("restore", other)
        self.runs_again(0)
        self.assertEqual(self.duties(), [])

    def test_daemon_is_away(self):
        """It cannot be put back now: said, kept, and done later."""
        self.die()
        away = self.bed.socket + ".away"
        os.rename(self.bed.socket, away)
        try:
            result = self.start("doctor", "--redeem")
            time.sleep(3)
            result.send_signal(signal.SIGTERM)
            result = self.finish(result, timeout=10)
        finally:
            os.rename(away, self.bed.socket)
        self.assertEqual(result.code, 128 + signal.SIGTERM, str(result))
        self.assertEqual(len(self.duties()), 1)
        self.bake("doctor", "--redeem")
        self.runs_again(0)


class Admin(held.HeldBench):
    """Somebody works on the containers while they are held."""

    def meddle(self):
        """Starts one, starts and stops one, and makes one anew; `fresh` is not started."""
        self.bed.api("POST", "/containers/hard-store/start")
        self.bed.api("POST", "/containers/hard-web/start")
        self.bed.api("POST", "/containers/hard-web/stop?t=5")
        self.bed.api("DELETE", "/containers/hard-twin?force=1")
        self.container("twin", "hard_data:/mine", start=False)
        return self.bed.inspect("hard-store")["State"]["StartedAt"]

    def as_the_admin_left_it(self, started):
        self.assertEqual(self.bed.running(self.project), ["hard-idle", "hard-store"])
        self.assertEqual(self.bed.inspect("hard-store")["State"]["StartedAt"], started)
        self.assertEqual(self.bed.inspect("hard-twin")["State"]["Status"], "created")
        self.assertEqual(self.duties(), [])

    def begin(self):
        self.up(40)
        through = self.proxy()
        rule = proxy.Rule(held.READ, "hang", times=1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host)
        return pipeline, self.start_held(pipeline, rule)

    def test_nobody_was_left(self):
        _, p = self.begin()
        self.kill_both(p)
        started = self.meddle()
        self.bake("doctor", "--redeem")
        self.as_the_admin_left_it(started)

    def test_run_goes_on(self):
        """A run that ends in order leaves it alone as well, and says so."""
        _, p = self.begin()
        started = self.meddle()
        p.terminate()
        result = self.finish(p, timeout=30)
        self.assertEqual(result.code, 128 + signal.SIGTERM, str(result))
        self.as_the_admin_left_it(started)
        self.assertIn("hard-web", result.text)
        self.assertIn("hard-twin", result.text)

    def test_guard(self):
        """The guard acts at once: what was done before the kill counts."""
        _, p = self.begin()
        started = self.meddle()
        p.kill()
        self.finish(p)
        self.settled()
        self.as_the_admin_left_it(started)


class Signals(held.HeldBench):
    """Ended by a signal in each phase: 128 and its number, everything as before, nothing owed."""

    phases = {
        "looking": (r"^GET \S*/containers/json", "hang", False),
        "stopping": (r"^POST \S*/stop", "late:1.5", False),
        "second stop": (r"^POST \S*hard-store|^POST \S*/stop", "late:1", False),
        "reading": (held.READ, "hang", True),
        "reading on": (held.READ, "stall:20000:30", True),
        "starting": (r"^POST \S*/start", "late:1.5", True),
        "after it": (r"^POST \S*/start", "late:0.3", True),
    }

    def end_in(self, phase, number):
        pattern, do, _ = self.phases[phase]
        through = self.proxy()
        rule = proxy.Rule(pattern, do, times=2 if phase == "second stop" else 1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host)
        p = self.start("run", pipeline)
        self.addCleanup(self.end, p)
        wanted = 2 if phase == "second stop" else 1
        bed.wait(phase, lambda: rule.hits >= wanted or p.poll() is not None, 60)
        if phase == "after it":
            time.sleep(0.4)
        p.send_signal(number)
        result = self.finish(p, timeout=30)
        if phase == "after it":  # it may have ended in order by then
            self.assertIn(result.code, (0, 128 + number), str(result))
        else:
            self.assertEqual(result.code, 128 + number, str(result))
        self.runs_again(0)
        self.assertEqual(self.duties(), [])
        self.assertFalse(os.listdir(self.path("state", "obligations")))
        self.assertNotIn("Sanitizer", result.text)

    def test_each_phase(self):
        self.up(40)
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
        for i, phase in enumerate(self.phases):
            if phase == "after it" and not bake.LONG:
                continue  # it may end in order just as well
            for number in numbers if bake.LONG else [numbers[i % 3]]:
                with self.subTest(phase=phase, signal=number.name):
                    self.end_in(phase, number)

    def test_twice(self):
        """Whoever asks twice does not wait; the guard does the rest."""
        self.up(40)
        through = self.proxy()
        rule = proxy.Rule(held.READ, "hang", times=1)
        through.rules += [rule, proxy.Rule(r"^POST \S*/start", "late:1", times=1)]
        p = self.start_held(self.drive(read="api", host=through.host), rule)
        p.send_signal(signal.SIGINT)
        bed.wait("the start", lambda: through.rules[1].hits > 0, 30)
        p.send_signal(signal.SIGINT)
        result = self.finish(p, timeout=10)
        self.assertEqual(result.code, 128 + signal.SIGINT, str(result))
        self.runs_again()
        self.settled()


class NoRoom(held.HeldBench):
    """Disks that are full or cannot be written."""

    def small_disk(self, name, size, *more):
        self.mount(self.path(name), "-t", "tmpfs", "-o", ",".join([f"size={size}", "mode=700", *more]),
                   "tmpfs")
        return self.path(name)

    def test_sink(self):
        self.up(40)
        root = self.bed.volume("hard_data")
        self.random_file(os.path.join(root, "big"), 6 << 20)
        store = self.small_disk("store", "2m")
        for format in ["repository", "archive"]:
            pipeline = self.drive(format=format, store={"format": format})
            result = self.bake("run", pipeline, code=(1, 3))
            self.runs_again(0)
            self.assertEqual(self.duties(), [])
            self.assertRegex(result.text.lower(), "no space|space left|disk full")
            self.assertEqual(sorted(set(self.happened("kill"))), self.held)
            subprocess.run(["find", store, "-mindepth", "1", "-delete"], check=True)

    def full_state(self):
        """A state directory without room; the file that fills it."""
        filler = self.small_disk("state", "64k") + "/filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        return filler

    def test_state_full(self):
        """What cannot be promised is not done."""
        self.up(40)
        self.full_state()
        result = self.bake("run", self.drive(), code=1)
        self.assertIn("no space left", result.text)
        self.nothing_was_stopped()

    def test_state_full_later(self):
        """There is room for the lock, but none for a promise."""
        self.up(40)
        filler = self.full_state()
        os.truncate(filler, os.path.getsize(filler) - 4096)  # the lock's page
        result = self.bake("run", self.drive(), code=1)
        self.assertIn("no space left", result.text)
        self.assertIn("obligations", result.text)
        self.nothing_was_stopped()

    def test_state_read_only(self):
        self.up(40)
        self.small_disk("state", "64k", "ro")
        result = self.bake("run", self.drive(), code=1)
        self.assertIn("read-only file system", result.text)
        self.nothing_was_stopped()

    def nothing_was_stopped(self):
        self.assertEqual(self.happened("kill", "die", "stop", "pause"), [])
        self.runs_again(0)


class TooLong(held.HeldBench):
    def test_hold_max(self):
        self.up(40)
        through = self.proxy()
        rule = proxy.Rule(held.READ, "hang", times=1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host, hold={"max": "2s"}, parallel=1)
        begin = time.monotonic()
        result = self.run_json(pipeline, code=3)
        self.assertLess(time.monotonic() - begin, 60)
        self.runs_again(0)
        self.assertEqual(self.duties(), [])
        self.assertEqual(result.summary["status"], "partial")
        said = [e for e in result.events if "held for 2.0s" in str(e)]
        self.assertTrue(said, str(result))
        self.assertIn("hold: {max}", str(said))
        # the one that hung, and the one that was not begun
        failed = {e.get("name") for e in said}
        self.assertLessEqual({"hard/store/volumes/data", "hard/web/volumes/web"}, failed, str(result))
        groups = self.show(pipeline)["groups"]
        self.assertEqual(sorted(groups[0]["facts"]["stopped"]), self.held)
        self.assertGreaterEqual(groups[0]["held_seconds"], 1.9)
        pipeline = self.drive(hold={"max": "60s"})  # as long as it may need
        self.assertEqual(self.run_json(pipeline).summary["status"], "ok")

    def show(self, pipeline):
        return json.loads(self.bake("show", pipeline, "--json").out)


class Daemon(held.HeldBench):
    """The Docker daemon ends, in order or not, while containers are held, and comes back."""

    own_daemon = True
    images = ["bake/app:1"]

    def back(self):
        """Starts it again; from here on the time counts."""
        self.bed.start()
        return time.monotonic()

    def lose_it(self, how, worker_lives):
        self.up(40)
        through = self.proxy()
        rule = proxy.Rule(held.READ, "stall:1000:2", times=1)
        through.rules.append(rule)
        pipeline = self.drive(read="api", host=through.host)
        p = self.start_held(pipeline, rule)
        self.bed.stop(how)
        if not worker_lives:
            p.kill()
        time.sleep(2.5)
        self.back()
        self.runs_again(running=self.held)  # `idle` ended with the daemon: not by us
        if worker_lives:
            self.assertIn(p.wait(60), (0, 1, 3))  # 0: all had been sent before
        self.settled()
        self.finish(p, 60)
        self.bed.api("POST", "/containers/hard-idle/start")
        result = self.run_json(pipeline)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.bake("verify", pipeline)
        self.runs_again(0)

    def test_killed_and_the_worker_lives(self):
        self.lose_it(signal.SIGKILL, True)

    def test_restarted_and_the_guard_lives(self):
        self.lose_it(signal.SIGTERM, False)

    @unittest.skipUnless(bake.LONG, "long")
    def test_the_other_two(self):
        self.lose_it(signal.SIGTERM, True)
        self.lose_it(signal.SIGKILL, False)


if __name__ == "__main__":
    dock.main()
