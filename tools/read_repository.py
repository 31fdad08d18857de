#!/usr/bin/python3
"""Reads a store of `format: repository` from its files alone, as docs/format.md describes them: the
proof that they can be read without bakengine, and a way out. Needs Python 3.9, Linux and the zstd
command. Owners are restored as numbers, and by root alone. Nothing in the store is ever changed.

  read_repository.py list STORE                          the backups
  read_repository.py list STORE BACKUP [COMPONENT]       its components; the paths in one
  read_repository.py restore STORE BACKUP TARGET         all of it, below an empty directory
  read_repository.py cat STORE BACKUP COMPONENT [PATH]   a blob, or a file, to standard output
  read_repository.py verify STORE BACKUP                 reads and checks everything

BACKUP is an id, the beginning of one, or `latest`. What is damaged is named and the rest restored;
in a damaged file zeros stand for what is missing. Exit code 1: something is damaged, or failed.
"""
import os
import shutil
import stat
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is left beside the program

import packs
import repository as repo

KINDS = {repo.CHARDEV: stat.S_IFCHR, repo.BLOCKDEV: stat.S_IFBLK, repo.FIFO: stat.S_IFIFO}


class Folder:
    """A directory below which things are made: no link in it is followed, so no path leads out."""

    def __init__(self, fd):
        self.top, self.where, self.fd = fd, b"", os.dup(fd)

    def parent(self, path):
        """The directory that a path is in (made if missing) and its name there. The last one stays
        open."""
        where, _, name = path.rpartition(b"/")
        if where != self.where:
            fd = os.dup(self.top)
            for part in where.split(b"/") if where else ():
                above = fd
                try:
                    fd = self.enter(above, part)
                finally:
                    os.close(above)
            os.close(self.fd)
            self.where, self.fd = where, fd
        return self.fd, name

    @staticmethod
    def enter(fd, name):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            return os.open(name, flags, dir_fd=fd)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=fd)
            return os.open(name, flags, dir_fd=fd)

    def below(self, path):
        return Folder(self.enter(*self.parent(path)))

    def make(self, e):
        fd, name = self.parent(e.path)
        if e.type == repo.FILE:
            made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=fd)
            os.ftruncate(made, e.size)
            os.close(made)
        elif e.type == repo.DIR and e.path != b".":
            os.mkdir(name, 0o700, dir_fd=fd)
        elif e.type == repo.SYMLINK:
            os.symlink(e.link, name, dir_fd=fd)
        elif e.type == repo.HARDLINK:
            self.link(e)
        elif e.type in KINDS:
            os.mknod(name, 0o600 | KINDS[e.type], os.makedev(*e.device), dir_fd=fd)

    def link(self, e):
        fd, name = self.parent(e.link)
        earlier = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=fd)
        fd, name = self.parent(e.path)
        os.link(f"/proc/self/fd/{earlier}", name, dst_dir_fd=fd)
        os.close(earlier)

    def write(self, e, at, data):
        fd, name = self.parent(e.path)
        with open(os.open(name, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=fd), "wb", 0) as f:
            write_at(f.fileno(), e, at, data)

    def finish(self, e):
        """Owner, attributes, mode, times. A new owner clears set-id bits and capabilities, so it
        comes first; an ACL and the mode are one thing, so the mode comes before it."""
        fd, name = self.parent(e.path)
        st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        owned = bool(e.valid & repo.HAS_OWNER) and (st.st_uid, st.st_gid) == (e.uid, e.gid)
        if e.valid & repo.HAS_OWNER and not owned and os.geteuid() == 0:
            os.chown(name, e.uid, e.gid, dir_fd=fd, follow_symlinks=False)
            owned = True
        acls = [x for x in e.xattrs if x[0].startswith(b"system.posix_acl_")]
        self.attributes(e, fd, name, [x for x in e.xattrs if x not in acls])
        mode = e.mode & 0o7777 if e.valid & repo.HAS_MODE else stat.S_IMODE(st.st_mode) | 0o044
        if e.type != repo.SYMLINK:
            os.chmod(name, mode if owned or e.type == repo.DIR else mode & 0o1777, dir_fd=fd)
        self.attributes(e, fd, name, acls)
        if e.valid & repo.HAS_MTIME:
            os.utime(name, ns=(e.mtime, e.mtime), dir_fd=fd, follow_symlinks=False)

    @staticmethod
    def attributes(e, fd, name, xattrs):
        for key, value in xattrs:
            try:
                os.setxattr(b"/proc/self/fd/%d/%s" % (fd, name), key, value, follow_symlinks=False)
            except OSError as why:
                print(f"read_repository: '{os.fsdecode(e.path)}': attribute {key!r} is not "
                      f"restored: {why.strerror}", file=sys.stderr)


def write_at(fd, e, at, data):
    for offset, n in e.places(at, len(data)):
        if os.pwrite(fd, data[:n], offset) != n:
            raise OSError("the disk is full")
        data = data[n:]


def entries_of(backup):
    """(component, its entries) of all that can be had."""
    for c in backup.manifest["components"]:
        if not repo.inside(os.fsencode(c["name"])):
            raise packs.Damage(f"'{c['name']}' cannot be a component's name")
        if c["status"] == "failed":
            print(f"read_repository: '{c['name']}' failed when the backup was made: there are no "
                  "data", file=sys.stderr)
            continue
        try:
            yield c, backup.entries(c)
        except packs.Damage as e:
            packs.problem(f"component '{c['name']}': {e}")


def one_component(backup, name):
    for c in backup.manifest["components"]:
        if c["name"] == name and c["status"] != "failed":
            return c, backup.entries(c)
    raise packs.Damage(f"there is no component '{name}' in '{backup.id}'")


def try_each(what, entries):
    """Does it for each; one that fails is named. Returns the others."""
    done = []
    for e in entries:
        try:
            what(e)
            done.append(e)
        except OSError as why:
            packs.problem(f"'{os.fsdecode(e.path)}': {why.strerror or why}")
    return done


def restore(store, name, target):
    backup = repo.Backup(store, name)
    os.makedirs(target, 0o700, exist_ok=True)
    if os.listdir(target):
        sys.exit(f"read_repository: '{target}' is not empty")
    top, made = Folder(os.open(target, os.O_RDONLY | os.O_DIRECTORY)), []
    for c, entries in entries_of(backup):
        folder = top.below(os.fsencode(c["name"])) if c["kind"] == "tree" else top
        for e in try_each(folder.make, entries):
            e.folder = folder
            made.append(e)
    backup.fill([e for e in made if e.type == repo.FILE], lambda e, *x: e.folder.write(e, *x))
    # From the last to the first: what is in a directory before the directory itself.
    made = [e for e in made if e.type != repo.HARDLINK]
    try_each(lambda e: e.folder.finish(e), reversed(made))


def verify(store, name):
    backup = repo.Backup(store, name)
    files = [e for _, entries in entries_of(backup) for e in entries if e.type == repo.FILE]
    backup.fill(files, lambda *_: None)
    for pack in backup.packs.values():
        if not pack.checked:
            list(pack.read(()))
    print(f"{backup.id}: {len(backup.packs)} packs, {len(files)} files and blobs, "
          f"{len(packs.PROBLEMS)} problems")


def cat(store, name, component, path=None):
    backup = repo.Backup(store, name)
    c, entries = one_component(backup, component)
    if (c["kind"] == "tree") != (path is not None):
        sys.exit("read_repository: of a tree a file is wanted, of a blob nothing further")
    found = {e.path: e for e in entries}
    e = found.get(os.fsencode(path if path is not None else component))
    if e and e.type == repo.HARDLINK:
        e = found.get(e.link)
    if not e or e.type != repo.FILE:
        raise packs.Damage(f"there is no file '{path}' in '{component}'")
    with tempfile.TemporaryFile() as f:  # chunks come in the order of the packs
        f.truncate(e.size)
        backup.fill([e], lambda e, at, data: write_at(f.fileno(), e, at, data))
        if not e.missing:
            shutil.copyfileobj(f, sys.stdout.buffer, packs.MIB)


def show(store, name=None, component=None):
    if name is None:
        for _, m in sorted(repo.manifests(store).items(), key=lambda item: item[1]["start"]):
            print(m["id"], m["type"], *(f"{c['name']}:{c['status']}" for c in m["components"]))
        return
    backup = repo.Backup(store, name)
    if component is not None:
        for e in one_component(backup, component)[1]:
            sys.stdout.buffer.write(e.path + b"\n")
        return
    for c in backup.manifest["components"]:
        print(c["name"], c["kind"], c["status"], c["bytes_in"])


VERBS = {"list": (show, 1, 3), "restore": (restore, 3, 3), "cat": (cat, 3, 4), "verify": (verify, 2, 2)}


def main(words):
    verb, least, most = VERBS.get(words[0] if words else None, (None, 0, -1))
    if not least <= len(words) - 1 <= most:
        sys.exit(__doc__)
    try:
        verb(*words[1:])
    except (KeyError, TypeError, ValueError) as e:
        sys.exit(f"read_repository: a document is not as it should be: {e!r}")
    except (packs.Damage, OSError) as e:
        sys.exit(f"read_repository: {e}")
    sys.exit(1 if packs.PROBLEMS else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
