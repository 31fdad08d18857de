"""Single containers with labels as a test wants them, pretended databases in them, and what a run says of
each. The stack's name is "odd"."""
import io
import tarfile

import held
import proxy

# What a pretended server answers to the question how it is, and how its dump begins and ends.
PSQL = """#!/bin/sh
printf 'V15.3\\nUpostgres\\nL0\\nDshop\\n'
"""
BEGIN = "-- PostgreSQL database cluster dump\\n"
END = "\\n-- PostgreSQL database cluster dump complete\\n--\\n"


class BoxBench(held.HeldBench):
    project = "odd"

    # ---- containers ----

    def box(self, service, *binds, labels=None, files=None, project=None, start=True, number=1,
            **config):
        """A container of a Compose service; files: path -> text of a program that is put there."""
        project = project or self.project
        compose = {"project": project, "service": service, "container-number": str(number),
                   "oneoff": "False"}
        labels = {**{"com.docker.compose." + k: v for k, v in compose.items()},
                  **({"backup.enable": "true"} if labels else {}), **(labels or {})}
        host = {"Binds": list(binds), "NetworkMode": "none", **config.pop("HostConfig", {})}
        name = f"{project}-{service}" + (f"-{number}" if number > 1 else "")
        body = {"Image": "bake/app:1", "Cmd": held.QUIET, "Labels": labels, "HostConfig": host,
                **config}
        self.bed.api("POST", f"/containers/create?name={name}", body)
        for path, text in (files or {}).items():
            self.put(name, path, text)
        if start:
            self.bed.api("POST", f"/containers/{name}/start")
        return name

    def put(self, name, path, text, mode=0o755):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode = len(text.encode()), mode
            tar.addfile(info, io.BytesIO(text.encode()))
        self.bed.api("PUT", f"/containers/{name}/archive?path=/", out.getvalue())

    def keeper(self, service, *paths, **more):
        """One whose paths are backed up: "/data" under the name "data"."""
        paths = paths or ("/data",)
        labels = {"backup.volume-path." + p.strip("/").replace("/", "-"): p for p in paths}
        return self.box(service, labels={**labels, **more.pop("labels", {})}, **more)

    def server(self, service, dump, **more):
        """A PostgreSQL whose pg_dumpall is a script."""
        files = {"/usr/local/bin/psql": PSQL, "/usr/local/bin/pg_dumpall": "#!/bin/sh\n" + dump,
                 **more.pop("files", {})}
        files.pop(more.pop("without", None), None)
        labels = {"backup.database.pg_dumpall": "true", **more.pop("labels", {})}
        return self.box(service, labels=labels, files=files, **more)

    def good_dump(self, lines=10):
        return f"printf -- '{BEGIN}'; seq {lines}; printf -- '{END}'\n"

    # ---- volumes ----

    def data(self, name="data", files=12, size=900):
        """A volume with files, as a bind of "/data"."""
        return self.volume(name, files, size) + ":/data"

    # ---- running ----

    def pipe(self, rules=(), plain=False, name="t", **options):
        """A pipeline; its daemon is behind a proxy if there are rules. plain: it has a source of files,
        too, that nothing of all this concerns."""
        more = {k: options.pop(k) for k in ("hold", "parallel", "parallel_groups") if k in options}
        options = {"projects": [self.project, self.project + "2"], "host": self.bed.host, **options}
        self.through = None
        if rules:
            self.through = self.proxy(*rules)
            options["host"] = self.through.host
        sources = {"stacks": {"plugin": "docker", **options}}
        if plain:
            self.write("plain/file", b"nothing of Docker")
            sources["plain"] = [self.path("plain")]
        return self.pipeline(sources, name=name, store={"format": "repository"}, **more)

    def go(self, pipeline, code=0, **more):
        """A run; afterwards all that ran before runs, and nothing of ours is left."""
        before = self.bed.running()
        result = self.run_json(pipeline, code=code, **more)
        self.assertEqual(result.summary["status"],
                         {0: "ok", 1: "failed", 3: "partial"}[result.code], str(result))
        self.assertEqual(self.bed.running(), before, str(result))
        self.assertEqual(self.duties(), [])
        self.assertEqual(self.ours(), ([], []))
        return result

    def status(self, result):
        """Component -> its status."""
        return {c["name"]: c["status"] for c in result.of("component")}

    def assert_status(self, result, **wanted):
        """Service -> the status of the one component that it has. None: it has none."""
        seen = self.status(result)
        for service, status in wanted.items():
            names = [n for n in seen if n.startswith(f"{self.project}/{service}/")]
            self.assertEqual([seen[n] for n in names], [status] if status else [],
                             f"{service}: {result}")

    def assert_says(self, result, *texts):
        for text in texts:
            self.assertIn(text, result.text.replace("\\n", "\n"))

    def content(self, pipeline, component):
        return self.bake("cat", pipeline, "latest", component).out


def rule(pattern, do, times=1 << 30, body=None):
    return proxy.Rule(pattern, do, times, body)


def lines(n):
    """What `seq n` writes."""
    return "".join(f"{i}\n" for i in range(1, n + 1)).encode()

