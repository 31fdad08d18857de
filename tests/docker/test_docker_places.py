#!/usr/bin/python3
"""Where restored content goes: volumes of every kind, directories and files of the host, paths within the
image; read and written directly or through the daemon, replaced as a whole, and undone."""
import io
import os
import tarfile

import dock
import held
import proxy


class Places(held.HeldBench):
    shared = False

    def restore(self, pipeline, *args, code=0):
        return self.bake("restore", pipeline, *args, code=code)

    def tree_in(self, container, path):
        """What the daemon says is there: name -> what matters."""
        data = self.bed.api("GET", f"/containers/{container}/archive?path={path}", raw=True)
        out = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for m in tar:
                text = tar.extractfile(m).read() if m.isreg() else m.linkname
                out[m.name] = (m.type, m.mode, m.uid, m.gid, int(m.mtime), text)
        return out

    def sh(self, container, script):
        return self.bed.exec(container, "sh", "-c", script).decode().strip()

    def seen(self, container, paths):
        return {p: self.tree_in(container, p) for p in paths}

    def same(self, want, got, why):
        for path, tree in want.items():
            self.assertEqual(sorted(tree), sorted(got[path]), f"{path}: {why}")
            for name, what in tree.items():
                self.assertEqual(what, got[path][name], f"{path}: {name}: {why}")

    # ---- a container with everything ----

    def everything(self):
        """Starts it; the paths that its labels name."""
        host = self.path("host")
        os.makedirs(host + "/tree/sub")
        os.makedirs(host + "/device")
        self.write(host + "/tree/sub/a file", b"of the host")
        self.write(host + "/one.conf", b"one=1\n", 0o640)
        self.bed.api("POST", "/volumes/create", {
            "Name": "hard_opts", "Driver": "local",
            "DriverOpts": {"type": "none", "o": "bind", "device": host + "/device"}})
        binds = [f"{host}/tree:/host/tree", f"{host}/one.conf:/etc/one.conf", "hard_opts:/opts"]
        paths = {"tree": "/host/tree", "one": "/etc/one.conf", "opts": "/opts", "image": "/srv/in image",
                 "file": "/v0/only/this one", "part": "/v1/d3"}
        for i in range(4):
            binds.append(self.volume(f"v{i}", 60) + f":/v{i}")
            if i > 1:
                paths[f"v{i}"] = f"/v{i}"
        name = self.container("store", *binds, paths=paths)
        self.sh(name, """
            umask 027; mkdir -p "/srv/in image/deep" /v0/only; echo 1 >"/srv/in image/deep/x"
            ln -s deep/x "/srv/in image/link"; chown -R 33:44 "/srv/in image"
            echo this >"/v0/only/this one"; echo not >/v0/only/beside; echo o >/opts/o; mkdir /opts/d
            chmod 2751 /v2; chown 7:8 /v2; mkfifo /v3/fifo; ln /v3/d1/f00001 /v3/hard""")
        return name, [p.replace(" ", "%20") for p in paths.values()]

    def change(self, name):
        self.sh(name, """
            rm -r "/srv/in image/deep"; echo new >"/srv/in image/new"; echo other >"/v0/only/this one"
            echo other >/v0/only/beside; echo two=2 >/etc/one.conf; rm -r /v1/d3/*; echo n >/v1/n
            rm /host/tree/sub/*; echo n >/host/tree/n; rm -r /opts/*; echo n >/opts/n
            chmod 700 /v2; rm -r /v2/d1; echo n >>/v2/d2/f00002; rm -r /v3/*""")

    def circle(self, **options):
        name, paths = self.everything()
        pipeline = self.drive(**options)
        good = self.seen(name, paths)
        result = self.run_json(pipeline)
        self.assertEqual(result.summary["status"], "ok", str(result))
        self.change(name)
        changed = self.seen(name, paths + ["/v0/only/beside", "/v1/n"])
        self.restore(pipeline)
        self.same(good, self.seen(name, paths), "restored")
        # what is not of a component is not touched
        rest = {p: changed[p] for p in ["/v0/only/beside", "/v1/n"]}
        self.same(rest, self.seen(name, list(rest)), "beside")
        self.assertEqual(self.bed.running(self.project), [name])
        self.assertEqual(self.sh(name, "cat /etc/one.conf '/v0/only/this one' /opts/o"), "one=1\nthis\no")
        self.restore(pipeline, "--undo", "--stack", self.project)
        self.same(changed, self.seen(name, list(changed)), "undone")
        self.assertEqual(self.ours(), ([], []))
        self.assertEqual(sorted(os.listdir(self.path("host"))), ["device", "one.conf", "tree"])

    def test_everything_directly(self):
        self.circle()

    def test_everything_through_the_daemon(self):
        self.circle(read="api", format="archive")

    @dock.long_form
    def test_failure_at_the_end_puts_all_back(self):
        """All is replaced when the container cannot be started: all of it goes back."""
        name, paths = self.everything()
        self.run_json(self.drive())
        self.change(name)
        changed, kept = self.seen(name, paths), self.ours()
        rule = proxy.Rule(r"^POST \S*/start", "status:500", 1, body=b'{"message":"it cannot be"}')
        result = self.restore(self.drive(host=self.proxy(rule).host), code=1)
        self.assertIn("it cannot be", result.text)
        self.assertIn("1 group could not be restored and is as before", result.text)
        self.assertEqual(self.bed.running(self.project), [name])
        self.same(changed, self.seen(name, paths), "put back")
        self.assertEqual(kept, self.ours())
        self.assertEqual(sorted(os.listdir(self.path("host"))), ["device", "one.conf", "tree"])

    # ---- room ----

    def test_no_room(self):
        """Said before anything is stopped, with both numbers."""
        small = self.path("small")
        self.mount(small, "-t", "tmpfs", "-o", "size=16m", "tmpfs")
        os.mkdir(small + "/data")
        self.random_file(small + "/data/big", 9 << 20)
        name = self.container("store", f"{small}/data:/data", paths={"data": "/data"})
        pipeline = self.drive()
        self.run_json(pipeline)
        started = self.bed.inspect(name)["State"]["StartedAt"]
        said = self.restore(pipeline, code=1).err.decode()
        self.assertIn("no room to restore '/data' of container 'hard-store': 10 MiB are needed beside what is"
                      " there, 7 MiB are free", said)
        self.assertEqual(started, self.bed.inspect(name)["State"]["StartedAt"])
        self.assertEqual(os.listdir(small), ["data"])
        os.unlink(small + "/data/big")
        self.restore(pipeline)
        self.assertEqual(os.path.getsize(small + "/data/big"), 9 << 20)

    # ---- volumes without labels ----

    def test_volume_of_nobody(self):
        """Outside of any project: whoever has it is stopped for it; it is made again if it is lost."""
        body = {"Name": "hardsolo", "Labels": {"who": "nobody"}}
        self.bed.api("POST", "/volumes/create", body)
        self.bed.api("POST", "/containers/create?name=hardone", {
            "Image": "bake/app:1", "Cmd": held.QUIET,
            "HostConfig": {"Binds": ["hardsolo:/d"], "NetworkMode": "none"}})
        self.bed.api("POST", "/containers/hardone/start")
        root = self.bed.volume("hardsolo")
        self.write(root + "/sub/x", b"1")
        pipeline = self.drive(volumes=["hardsolo"])
        result = self.run_json(pipeline)
        self.assertEqual([c["name"] for c in result.of("component")], ["volumes/hardsolo"], str(result))
        before = self.bed.inspect("hardone")["State"]["StartedAt"]
        os.unlink(root + "/sub/x")
        result = self.restore(pipeline, "--component", "volume:hardsolo")
        self.assertEqual(os.path.getsize(self.bed.volume("hardsolo") + "/sub/x"), 1)
        self.assertTrue(self.bed.inspect("hardone")["State"]["Running"])
        self.assertNotEqual(before, self.bed.inspect("hardone")["State"]["StartedAt"])
        self.assertIn("hardone", self.happened("die"))
        self.bed.api("DELETE", "/containers/hardone?force=1")
        self.bed.api("DELETE", "/volumes/hardsolo")
        self.restore(pipeline)
        self.assertEqual(os.path.getsize(self.bed.volume("hardsolo") + "/sub/x"), 1)
        self.assertEqual(self.bed.api("GET", "/volumes/hardsolo")["Labels"], {"who": "nobody"})

    # ---- others on it ----

    def test_others_on_the_volume(self):
        """What else runs on a directory stands meanwhile, and runs again; what would go when it is
        stopped is refused."""
        self.up(50)
        pipeline = self.drive()
        self.run_json(pipeline)
        root = self.bed.volume("hard_data")
        os.unlink(root + "/d1/f00001")
        name = "hardother"
        body = {"Image": "bake/app:1", "Cmd": held.QUIET,
                "HostConfig": {"Binds": ["hard_data:/d:ro"], "NetworkMode": "none", "AutoRemove": True}}
        self.bed.api("POST", f"/containers/create?name={name}", body)
        self.bed.api("POST", f"/containers/{name}/start")
        said = self.restore(pipeline, code=1).err.decode()
        self.assertIn("cannot stop container 'hardother': it runs with --rm", said)
        self.assertEqual(self.bed.running(self.project), self.running)
        self.assertFalse(os.path.exists(root + "/d1/f00001"))
        self.bed.api("DELETE", f"/containers/{name}?force=1")
        body["HostConfig"]["AutoRemove"] = False
        self.bed.api("POST", f"/containers/create?name={name}", body)
        self.bed.api("POST", f"/containers/{name}/start")
        self.restore(pipeline, "--skip-start")
        self.assertTrue(os.path.exists(self.bed.volume("hard_data") + "/d1/f00001"))
        self.assertTrue(self.bed.inspect(name)["State"]["Running"])
        self.assertIn(name, self.happened("die"))
        self.assertEqual(self.bed.running(self.project), self.running)


if __name__ == "__main__":
    dock.main()
