"""Debian packages, downloaded and unpacked, not installed: what the test images are made of."""
import os
import re
import shutil
import subprocess

ROOTS = ["postgresql-15", "postgresql-client-15", "mariadb-server-core", "mariadb-client",
         "mariadb-client-core", "busybox-static"]
LEFT_OUT = re.compile(r"^libc6$|^libllvm|^libperl|perl$|^libc-bin|^libpython|^libc6-")
UNWANTED = ["./usr/share/doc", "./usr/share/man", "./usr/share/locale", "*/bitcode"]


def closure():
    """The packages above and the libraries that they need."""
    text = subprocess.run(
        ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
         "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", *ROOTS],
        check=True, capture_output=True, text=True).stdout
    names = {line for line in text.splitlines() if re.match(r"[a-z0-9]", line)}
    libraries = {n for n in names if re.match(r"lib|zlib1g$", n) and not LEFT_OUT.search(n)}
    return ROOTS + sorted(libraries)


def unpack(folder):
    """A tree of them in `folder`; what is there already is kept. Returns the tree's path."""
    tree = os.path.join(folder, "tree")
    if os.path.exists(os.path.join(tree, "whole")):
        return tree
    shutil.rmtree(folder, ignore_errors=True)
    debs = os.path.join(folder, "debs")
    os.makedirs(debs)
    os.makedirs(tree)
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *closure()],
                   cwd=debs, check=True)
    for name in sorted(os.listdir(debs)):
        deb = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", os.path.join(debs, name)],
                               stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", tree, "--keep-directory-symlink", "--no-same-owner",
                        *("--exclude=" + p for p in UNWANTED)], stdin=deb.stdout, check=True)
        deb.stdout.close()
        if deb.wait() != 0:
            raise RuntimeError(f"cannot unpack '{name}'")
    shutil.rmtree(debs)
    with open(os.path.join(tree, "whole"), "w", encoding="ascii"):
        pass
    return tree
