"""What a tree on the disk is, in every detail that a backup keeps, and how two trees differ."""
import hashlib
import os
import stat


class Entry:
    """One object of a tree."""
    __slots__ = ("kind", "mode", "uid", "gid", "mtime", "size", "rdev", "target", "xattrs",
                 "digest", "holes", "twin")

    def same(self, other, ignore):
        return [k for k in self.__slots__
                if k not in ignore and getattr(self, k) != getattr(other, k)]


KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}


def data_ranges(fd, size):
    """Where a file has data, as (from, to)."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end
        at = end


def content(dir_fd, name, size):
    """A digest of what is in a file (zeros and holes alike, never read where there are holes), and
    its data ranges in blocks of 64 KiB."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dir_fd)
    sha, block = hashlib.sha256(b"%d" % size), 1 << 16
    zeros, written, at = bytes(block), 0, 0
    try:
        for start, end in data_ranges(fd, size):
            at = max(at, start // block * block)
            while at < end:
                piece = os.pread(fd, block, at)
                if piece.strip(b"\0") if len(piece) < block else piece != zeros:
                    sha.update(b"%d:" % at + piece)
                written += 1
                at += block
    finally:
        os.close(fd)
    return sha.hexdigest(), written * block < size - block


def xattrs(dir_fd, name):
    where = b"/proc/self/fd/%d/%s" % (dir_fd, name)
    try:
        names = os.listxattr(where, follow_symlinks=False)
        return tuple(sorted((n, os.getxattr(where, n, follow_symlinks=False)) for n in names))
    except OSError:
        return ()


def entry(dir_fd, name, st, path, seen, read):
    e = Entry()
    e.kind = KINDS[stat.S_IFMT(st.st_mode)]
    e.mode, e.uid, e.gid = stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid
    e.mtime = st.st_mtime_ns
    e.size = 0 if e.kind == "dir" else st.st_size
    e.rdev = st.st_rdev if e.kind in ("char", "block") else 0
    e.target = os.readlink(name, dir_fd=dir_fd) if e.kind == "link" else b""
    e.xattrs = xattrs(dir_fd, name)
    e.digest, e.holes = "", False
    if e.kind == "file" and read:
        e.digest, e.holes = content(dir_fd, name, st.st_size)
    # Names of one inode are told by the first of them.
    e.twin = path
    if e.kind != "dir" and st.st_nlink > 1:
        e.twin = seen.setdefault((st.st_dev, st.st_ino), path)
    return e


def take(root, read=True, skip=(), sockets=False):
    """{path (bytes, below root): Entry} of a tree of any depth: never names a path as a whole."""
    found, seen = {}, {}

    def walk(fd, at):
        for name in sorted(os.listdir(b"/proc/self/fd/%d" % fd)):
            path = at + b"/" + name if at else name
            st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if path in skip or (stat.S_ISSOCK(st.st_mode) and not sockets):
                continue
            found[path] = entry(fd, name, st, path, seen, read)
            if stat.S_ISDIR(st.st_mode):
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                try:
                    walk(below, path)
                finally:
                    os.close(below)

    top = os.open(os.fsencode(root), os.O_RDONLY | os.O_DIRECTORY)
    try:
        found[b"."] = entry(top, b".", os.fstat(top), b".", seen, read)
        walk(top, b"")
    finally:
        os.close(top)
    return found


def shown(path):
    return repr(path if len(path) < 200 else path[:90] + b"..." + path[-90:])


def differences(want, got, ignore=()):
    """Lines that say how two snapshots differ; none if they are equal."""
    lines = []
    for path in sorted(want.keys() | got.keys()):
        a, b = want.get(path), got.get(path)
        if a is None or b is None:
            lines.append(f"{shown(path)}: {'not expected' if a is None else 'missing'}")
            continue
        for k in a.same(b, ignore):
            lines.append(f"{shown(path)}: {k} is {getattr(b, k)!r:.200}, not {getattr(a, k)!r:.200}")
    return lines
