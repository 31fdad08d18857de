"""Three small images, made without a registry from unpacked Debian packages: PostgreSQL 15 and
MariaDB 10.11 with entry points that do what the official images' do, and a bare application."""
import glob
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = "usr/lib/x86_64-linux-gnu"
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PG = "usr/lib/postgresql/15"
PG_TOOLS = ["postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_dumpall", "pg_isready",
            "pg_restore", "pg_basebackup", "pg_controldata"]
MARIA_TOOLS = ["mariadb", "mariadb-dump", "mariadb-admin", "mariadb-check"]


class Root:
    """A root file system in the making."""

    def __init__(self, tree, folder, user):
        self.tree, self.top = tree, folder
        shutil.rmtree(folder, ignore_errors=True)
        for name in ["usr/bin", "usr/sbin", LIB, "usr/lib64", "usr/local/bin", "usr/share", "etc", "tmp",
                     "run", "root", "proc", "sys", "dev", "home", "var/lib", "var/log", "var/tmp",
                     "usr/lib/locale", "usr/share/zoneinfo", "docker-entrypoint-initdb.d"]:
            os.makedirs(self.at(name))
        for name in ["tmp", "var/tmp"]:
            os.chmod(self.at(name), 0o1777)
        os.chmod(self.at("root"), 0o700)
        for name in ["bin", "sbin", "lib", "lib64"]:
            os.symlink("usr/" + name, self.at(name))
        os.symlink("/run", self.at("var/run"))
        self.busybox()
        users = ["root:x:0:0:root:/root:/bin/sh", "www-data:x:33:33:www-data:/var/www:/bin/false",
                 user, "nobody:x:65534:65534:nobody:/nonexistent:/bin/false"]
        self.write("etc/passwd", "\n".join(users) + "\n")
        self.write("etc/group", "".join("{0}:x:{3}:\n".format(*u.split(":")) for u in users))
        self.write("etc/nsswitch.conf", "hosts: files dns\n")

    def at(self, name):
        return os.path.join(self.top, name)

    def read(self, name):
        with open(self.at(name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        with open(self.at(name), "w", encoding="utf-8") as out:
            out.write(text)

    def find(self, name):
        """A file of the packages, else of this machine."""
        for path in [os.path.join(self.tree, name), "/" + name]:
            if os.path.exists(path):
                return path
        raise FileNotFoundError(name)

    def take(self, name, to=None):
        to = self.at(to or name)
        source = self.find(name)
        if os.path.isdir(source):
            shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.mo", "man", "bitcode"))
        else:
            os.makedirs(os.path.dirname(to), exist_ok=True)
            if os.path.lexists(to):  # never through a link of busybox
                os.remove(to)
            shutil.copy2(source, to)

    def busybox(self):
        try:
            source = self.find("usr/bin/busybox")
        except FileNotFoundError:
            source = self.find("bin/busybox")
        shutil.copy2(source, self.at("usr/bin/busybox"))
        applets = subprocess.run([source, "--list"], check=True, capture_output=True, text=True)
        for name in applets.stdout.split():
            if name != "busybox":
                os.symlink("busybox", self.at("usr/bin/" + name))

    def shell(self):
        """bash, dash as sh (busybox's would run its own applets first) and a whole setpriv."""
        for name in ["bash", "dash", "setpriv"]:
            self.take("usr/bin/" + name)
        os.remove(self.at("usr/bin/sh"))
        os.symlink("dash", self.at("usr/bin/sh"))

    def libraries(self, *globs):
        """Copies the shared libraries that these programs need."""
        programs = [p for g in globs for p in glob.glob(self.at(g))]
        where = [os.path.join(self.tree, d) for d in (LIB, "lib/x86_64-linux-gnu", LIB + "/systemd")]
        out = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False,
                             env={**os.environ, "LD_LIBRARY_PATH": ":".join(where)}).stdout
        lost = sorted(set(re.findall(r"(\S+) => not found", out)))
        if lost:
            raise RuntimeError(f"libraries are missing: {' '.join(lost)}")
        for name, path in sorted(set(re.findall(r"(\S+) => (/\S+)", out))):
            if not os.path.exists(self.at(f"{LIB}/{name}")):
                shutil.copy2(os.path.realpath(path), self.at(f"{LIB}/{name}"))
        shutil.copy2("/lib64/ld-linux-x86-64.so.2", self.at("usr/lib64/ld-linux-x86-64.so.2"))

    def template(self, user):
        """What initialising a database begins with, made once: the entry point copies it."""
        folder = self.at("usr/share/bake/data")
        os.makedirs(folder)
        account = re.search(f"^{user}:x:([0-9]+):", self.read("etc/passwd"), re.MULTILINE)
        os.chown(folder, int(account[1]), int(account[1]))
        inside = ["chroot", self.top, "env", "-i", f"PATH={PATHS}:/{PG}/bin", "LANG=C.UTF-8", "gosu", user,
                  "docker-entrypoint.sh", "template", "/usr/share/bake/data"]
        script = 'mount --bind /dev "$0" && exec "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, self.at("dev"), *inside],
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"no database of '{user}': {(done.stdout + done.stderr).decode()}")
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)

    def entry(self, name):
        for source, target in [(name, "docker-entrypoint.sh"), ("gosu", "gosu")]:
            target = self.at("usr/local/bin/" + target)
            shutil.copy(os.path.join(HERE, "entry", source), target)
            os.chmod(target, 0o755)


def postgres(tree, folder):
    root = Root(tree, folder, "postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash")
    for tool in PG_TOOLS:
        root.take(f"{PG}/bin/{tool}")
    for path in glob.glob(os.path.join(root.find(f"{PG}/lib"), "*.so")):
        if not path.endswith("llvmjit.so"):
            root.take(f"{PG}/lib/{os.path.basename(path)}")
    root.take("usr/share/postgresql/15")
    root.take("usr/lib/locale/C.utf8")
    for zone in ["Etc", "UTC", "GMT"]:
        root.take("usr/share/zoneinfo/" + zone)
    os.symlink("/usr/share/zoneinfo/Etc/UTC", root.at("etc/localtime"))
    sample = root.at("usr/share/postgresql/15/postgresql.conf.sample")
    with open(sample, encoding="utf-8") as old:
        text = old.read()
    root.write("usr/share/postgresql/15/postgresql.conf.sample",
               text.replace("#listen_addresses = 'localhost'", "listen_addresses = '*'"))
    os.makedirs(root.at("var/lib/postgresql/data"))
    root.shell()
    root.libraries(f"{PG}/bin/*", f"{PG}/lib/*.so", "usr/bin/bash", "usr/bin/dash",
                   "usr/bin/setpriv")
    root.entry("postgres.sh")
    root.template("postgres")
    return root, {"Env": [f"PATH={PATHS}:/{PG}/bin", "LANG=C.UTF-8", "PG_MAJOR=15",
                          "PGDATA=/var/lib/postgresql/data"],
                  "Volumes": {"/var/lib/postgresql/data": {}}, "StopSignal": "SIGINT",
                  "ExposedPorts": {"5432/tcp": {}}, "Entrypoint": ["docker-entrypoint.sh"],
                  "Cmd": ["postgres"]}


def mariadb(tree, folder):
    root = Root(tree, folder, "mysql:x:999:999:MariaDB:/home/mysql:/bin/sh")
    root.take("usr/sbin/mariadbd")
    for tool in MARIA_TOOLS:
        root.take("usr/bin/" + tool)
    for name, tool in [("bin/mysql", "mariadb"), ("bin/mysqldump", "mariadb-dump"),
                       ("bin/mysqladmin", "mariadb-admin"), ("sbin/mysqld", "mariadbd")]:
        os.symlink(tool, root.at("usr/" + name))
    share = root.find("usr/share/mysql")
    for name in ["charsets", "english"]:
        root.take("usr/share/mysql/" + name)
    for path in glob.glob(os.path.join(share, "*.sql")):
        root.take("usr/share/mysql/" + os.path.basename(path))
    for name in ["etc/mysql/conf.d", "usr/lib/mysql/plugin", "var/lib/mysql"]:
        os.makedirs(root.at(name))
    root.write("etc/mysql/my.cnf",
               "[mariadbd]\nuser=mysql\ndatadir=/var/lib/mysql\nsocket=/run/mysqld/mysqld.sock\n"
               "pid-file=/run/mysqld/mysqld.pid\nbind-address=0.0.0.0\nskip-name-resolve\n"
               "innodb-flush-log-at-trx-commit=0\ninnodb-log-file-size=8M\n"  # they need not last
               "[client]\nsocket=/run/mysqld/mysqld.sock\n!includedir /etc/mysql/conf.d/\n")
    root.take("usr/lib/locale/C.utf8")
    for zone in ["Etc", "UTC", "GMT"]:
        root.take("usr/share/zoneinfo/" + zone)
    root.shell()
    root.libraries("usr/sbin/mariadbd", *("usr/bin/" + t for t in MARIA_TOOLS), "usr/bin/bash",
                   "usr/bin/dash", "usr/bin/setpriv")
    root.entry("mariadb.sh")
    root.template("mysql")
    return root, {"Env": [f"PATH={PATHS}", "LANG=C.UTF-8"], "Volumes": {"/var/lib/mysql": {}},
                  "ExposedPorts": {"3306/tcp": {}}, "Entrypoint": ["docker-entrypoint.sh"],
                  "Cmd": ["mariadbd"]}


def app(tree, folder):
    root = Root(tree, folder, "app:x:1000:1000:app:/data:/bin/sh")
    for name in ["data/uploads", "data/config", "var/cache/app"]:
        os.makedirs(root.at(name))
    return root, {"Env": [f"PATH={PATHS}"], "Cmd": ["sleep", "2147483647"]}


SIDECAR = "bake/sidecar:1"


def sidecar(tree, folder, build):
    """The program as `build` has it now, with its plugins, in an image of its own; as a tar."""
    root = Root(tree, os.path.join(folder, "sidecar.root"), "app:x:1000:1000:app:/data:/bin/sh")
    try:
        shutil.copy2(os.path.join(build, "bin", "bakengine"), root.at("usr/bin/bakengine"))
        shutil.copytree(os.path.join(build, "lib", "bakengine"), root.at("usr/lib/bakengine"))
        root.write("etc/machine-id", "")
        root.libraries("usr/bin/bakengine", "usr/lib/bakengine/plugins/*.so")
        return pack(root, {"Env": [f"PATH={PATHS}"], "Cmd": ["bakengine", "--help"]}, SIDECAR)
    finally:
        shutil.rmtree(root.top)


ALL = {"bake/postgres:15": postgres, "bake/mariadb:10.11": mariadb, "bake/app:1": app}


def pack(root, config, tag):
    """One layer in the form of `docker save`: what POST /images/load takes."""
    layer = subprocess.run(
        ["tar", "--numeric-owner", "--owner=0", "--group=0", "--sort=name", "--mtime=@1700000000",
         "-C", root.top, "-c", "."], check=True, capture_output=True).stdout
    about = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T22:13:20Z", "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "images.py"}],
    }, sort_keys=True).encode()
    name = hashlib.sha256(about).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["l/layer.tar"]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member, data in [(name, about), ("manifest.json", manifest), ("l/layer.tar", layer)]:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make(tree, folder, tag):
    """The image as a tar; made once, and again when what makes it is another."""
    digest = hashlib.sha256()
    for source in [__file__, *sorted(glob.glob(os.path.join(HERE, "entry", "*")))]:
        with open(source, "rb") as f:
            digest.update(f.read())
    name = tag.replace("/", "-").replace(":", "-")
    path = os.path.join(folder, f"{name}-{digest.hexdigest()[:12]}.tar")
    if not os.path.exists(path):
        for old in glob.glob(os.path.join(folder, name + "*.tar")):
            os.remove(old)
        root, config = ALL[tag](tree, path + ".root")
        with open(path + ".part", "wb") as out:
            out.write(pack(root, config, tag))
        shutil.rmtree(root.top)
        os.rename(path + ".part", path)
    with open(path, "rb") as whole:
        return whole.read()
