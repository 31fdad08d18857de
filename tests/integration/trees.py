"""Trees with everything in them that a file system can hold."""
import os
import socket
import stat
import struct
import subprocess

BEFORE_1970 = -86400 * 365 * 10 * 10**9 + 123456789


def put(path, data=b"", mode=None):
    with open(path, "wb") as f:
        f.write(data)
    if mode is not None:
        os.chmod(path, mode)


def noise(path, size):
    with open("/dev/urandom", "rb") as r, open(path, "wb") as w:
        while size > 0:
            size -= w.write(r.read(min(size, 1 << 20)))


def sizes(root, biggest):
    """Files around every size at which something inside changes."""
    os.mkdir(root)
    for n in (0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, (1 << 20) - 1, 1 << 20,
              (1 << 20) + 1, 3 << 20):
        noise(f"{root}/random-{n}", n)
        put(f"{root}/zeros-{n}", bytes(n))
    noise(f"{root}/big", biggest)
    put(f"{root}/text", b"the same line again and again\n" * 100000)


def links(root):
    os.makedirs(f"{root}/one/two")
    put(f"{root}/one/first", b"linked")
    os.link(f"{root}/one/first", f"{root}/one/second")
    os.link(f"{root}/one/first", f"{root}/one/two/third")
    os.link(f"{root}/one/first", f"{root}/zz-last")
    put(f"{root}/empty")
    os.link(f"{root}/empty", f"{root}/empty-too")
    noise(f"{root}/large", 300000)
    os.link(f"{root}/large", f"{root}/a-name-that-comes-first")
    for name, target in (("dangling", "no/such/thing"), ("absolute", "/etc/passwd"), ("self", "self"),
                         ("up", "../../../.."), ("long", "x/" * 2000 + "end"), ("longest", "y" * 4095),
                         ("to-dir", "one/two"), ("odd", "a\nb \\ #=*?")):
        os.symlink(target, f"{root}/{name}")
    os.symlink(b"not utf-8 \xff\xfe", os.fsencode(root) + b"/binary")
    os.link(f"{root}/dangling", f"{root}/dangling-too", follow_symlinks=False)


def special(root):
    os.mkdir(root)
    os.mkfifo(f"{root}/fifo", 0o640)
    os.link(f"{root}/fifo", f"{root}/fifo-too")
    for name, kind, major, minor in (("null", stat.S_IFCHR, 1, 3), ("odd", stat.S_IFCHR, 511, 77777),
                                     ("high", stat.S_IFCHR, 4095, 1048575), ("zero", stat.S_IFCHR, 0, 0),
                                     ("disk", stat.S_IFBLK, 8, 1), ("disk2", stat.S_IFBLK, 259, 1000000)):
        os.mknod(f"{root}/{name}", kind | 0o660, os.makedev(major, minor))
    os.chown(f"{root}/disk", 0, 6)
    os.link(f"{root}/disk", f"{root}/disk-too")


def add_socket(path):
    s = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # a socket's address is short
    try:
        s.bind(os.path.basename(path))
    finally:
        os.chdir(here)
    s.close()


def sparse_file(path, size, pieces):
    with open(path, "wb") as f:
        f.truncate(size)
        for at, data in pieces:
            f.seek(at)
            f.write(data)
        f.truncate(size)


def sparse(root, huge):
    """Holes in every place; huge: the size of the biggest."""
    os.mkdir(root)
    mib, block = 1 << 20, os.urandom(65536)
    sparse_file(f"{root}/start", 4 * mib, [(3 * mib, os.urandom(mib))])
    sparse_file(f"{root}/middle", 8 * mib, [(0, block), (7 * mib, os.urandom(mib))])
    sparse_file(f"{root}/end", 8 * mib, [(0, block)])
    sparse_file(f"{root}/hole", 16 * mib, [])
    sparse_file(f"{root}/odd-end", 5 * mib + 123, [(mib, block), (5 * mib + 100, b"x" * 23)])
    sparse_file(f"{root}/many", 64 * mib, [(i * 128 * 1024, b"%d" % i) for i in range(500)])
    sparse_file(f"{root}/huge", huge, [(0, b"first"), (huge // 2, block), (huge - 4, b"last")])
    sparse_file(f"{root}/" + "long-name-" * 24, 2 * mib, [(mib, b"data")])
    os.link(f"{root}/middle", f"{root}/middle-linked")


def owners_and_modes(root):
    os.mkdir(root)
    for mode in (0o000, 0o111, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777):
        put(f"{root}/file-{mode:05o}", b"x", mode)
    for mode in (0o700, 0o1777, 0o2775, 0o3770, 0o111, 0o000):
        os.mkdir(f"{root}/dir-{mode:05o}")
        put(f"{root}/dir-{mode:05o}/inside", b"y", 0o600)
        os.chmod(f"{root}/dir-{mode:05o}", mode)
    for i, (uid, gid) in enumerate(((1, 2), (12345, 54321), (65534, 65534), (70000, 100000),
                                    (2**31, 2**31 + 5), (2**32 - 2, 2**32 - 2))):
        for kind in ("file", "dir", "link", "setid"):
            path = f"{root}/{kind}-owner-{i}"
            if kind == "dir":
                os.mkdir(path)
            elif kind == "link":
                os.symlink("x", path)
            else:
                put(path, b"z")
            os.lchown(path, uid, gid)
            if kind == "setid":
                os.chmod(path, 0o6755)
    os.mkdir(f"{root}/read-only")
    put(f"{root}/read-only/kept", b"kept", 0o444)
    os.mkdir(f"{root}/read-only/below")
    put(f"{root}/read-only/below/deep", b"deep", 0o400)
    os.chmod(f"{root}/read-only/below", 0o555)
    os.chmod(f"{root}/read-only", 0o555)


def times(root):
    os.mkdir(root)
    for name, ns in (("epoch", 0), ("one", 1), ("before", BEFORE_1970), ("minus-one-ns", -1),
                     ("minus-half", -500000000), ("minus-one", -10**9), ("nanos", 1234567890123456789),
                     ("future", 4102444800 * 10**9 + 1), ("1902", -2145916800 * 10**9 + 999999999)):
        put(f"{root}/{name}", name.encode())
        os.symlink(name, f"{root}/{name}.link")
        os.mkdir(f"{root}/{name}.dir")
        put(f"{root}/{name}.dir/inside", b"")
        for path in (f"{root}/{name}", f"{root}/{name}.link", f"{root}/{name}.dir"):
            os.utime(path, ns=(ns, ns), follow_symlinks=False)


def capability(effective, permitted):
    """security.capability, version 2."""
    return struct.pack("<5I", 0x02000000 | effective, permitted, 0, 0, 0)


def acl(text, *paths, default=False):
    subprocess.run(["setfacl", *(["-d"] if default else []), "-m", text, *paths], check=True)


def attributes(root, acls=True):
    os.mkdir(root)
    for name in ("file", "capable", "acl", "many", "odd"):
        put(f"{root}/{name}", name.encode(), 0o644)
    for name in ("dir", "acl-dir", "acl-dir/sub"):
        os.mkdir(f"{root}/{name}")
    os.setxattr(f"{root}/file", "user.text", b"value")
    os.setxattr(f"{root}/file", "user.empty", b"")
    os.setxattr(f"{root}/file", "user.binary", bytes(range(256)))
    os.setxattr(f"{root}/file", "trusted.secret", b"\0\1\2")
    os.setxattr(f"{root}/dir", "user.on-a-directory", b"d")
    os.setxattr(f"{root}/dir", "trusted.on-a-directory", b"t")
    os.symlink("file", f"{root}/link")
    os.setxattr(f"{root}/link", "trusted.on-a-link", b"l", follow_symlinks=False)
    for i in range(40):
        os.setxattr(f"{root}/many", f"user.n{i}", b"v" * i)
    os.setxattr(f"{root}/odd", b"user.\xff\xfe not = utf-8 \n%41", b"=\n")
    os.setxattr(f"{root}/odd", b"user.a b", b" ")
    os.setxattr(f"{root}/capable", "security.capability", capability(1, 1 << 13))
    os.chown(f"{root}/many", 1000, 1000)
    put(f"{root}/capable-owned", b"c")
    os.chown(f"{root}/capable-owned", 1000, 1000)
    os.setxattr(f"{root}/capable-owned", "security.capability", capability(0, 1 << 10))
    if acls:
        acl("u:1000:rw,u:123456:r,g:99999:rx,m::rw", f"{root}/acl")
        acl("u:1000:rwx,g:4:r", f"{root}/acl-dir")
        acl("u:1000:rwx,u::rwx,g::rx,o::-", f"{root}/acl-dir", default=True)
        acl("g:77777:x", f"{root}/acl-dir/sub", default=True)


def names(root):
    os.mkdir(root)
    top = os.fsencode(root)
    for n in range(1, 256):
        if n not in (ord("/"), ord(".")):
            put(top + b"/" + bytes([n]), b"%d" % n)
    every = bytes(n for n in range(1, 256) if n != ord("/"))
    for name in (every[:200], every[100:], b"new\nline", b" space ", b"-rf", b"--target", b"back\\slash",
                 b"\\012", b"#mtree", b"a=b", b"...", b"..x", b"\xc3\xa4\xe2\x82\xac", b"\xff\xfe\xfd",
                 b"n" * 255, b"\xff" * 255, b"tail ", b"*?[x]", b'"q"', b"%41", b"\r\n", b"\x7f",
                 b"utf-8 cut \xc3", b"x.tar.zst", b"GNUSparseFile.0", b"PaxHeaders.0"):
        put(top + b"/" + name, name)
    for name in (b"dir \n", b"-d", b"\xff" * 255, b"d" * 255):
        os.makedirs(top + b"/dirs/" + name + b"/" + name)
        put(top + b"/dirs/" + name + b"/" + name + b"/" + name, name)
    os.symlink(b"\xff" * 255, top + b"/dirs/link to bytes")


def crowd(root, n):
    os.mkdir(root)
    for i in range(n):
        put(f"{root}/f{i * 7919 % n:06}", b"%d" % i if i % 100 == 0 else b"")


def deep(root, levels, name=b"d"):
    """Many levels; paths longer than any system call takes."""
    os.mkdir(root)
    fd = os.open(root, os.O_RDONLY)
    for i in range(levels):
        put_at(fd, b"f%d" % i, b"%d" % i)
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    put_at(fd, b"bottom", b"bottom")
    os.symlink(b"bottom", b"link", dir_fd=fd)
    os.link(b"bottom", b"hard", src_dir_fd=fd, dst_dir_fd=fd)
    os.close(fd)


def put_at(dir_fd, name, data):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=dir_fd)
    os.write(fd, data)
    os.close(fd)


def everything(root, biggest, huge, many):
    """All of the above that a path of less than 4096 bytes reaches."""
    os.makedirs(root)
    sizes(f"{root}/sizes", biggest)
    links(f"{root}/links")
    special(f"{root}/special")
    sparse(f"{root}/sparse", huge)
    owners_and_modes(f"{root}/owners")
    attributes(f"{root}/attributes")
    names(f"{root}/names")
    crowd(f"{root}/crowd", many)
    times(f"{root}/times")
    os.utime(root, ns=(1, 987654321987654321))
