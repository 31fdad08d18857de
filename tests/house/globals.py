#!/usr/bin/python3
"""No writable file-scope or static variable outside engine/base/log.c and its mask.c: what the
objects of the build hold in .data and .bss. Usage: globals.py BUILD_DIR"""
import os
import re
import subprocess
import sys

import house

# Documented process-wide state: the log's level and progress line, and the secrets to mask.
ALLOWED = re.compile(r"/bake_base\.dir/(log|mask)\.c\.o$")
CHECKED = ("engine", "common", "plugins", "examples")
# GCC's own, and constants that only relocation makes writable (.data.rel.ro is 'd' in PIC code).
IGNORED = re.compile(r"^(__func__|__FUNCTION__|__PRETTY_FUNCTION__|completed|__dso_handle|__)")


def objects(build):
    for folder in CHECKED:
        for where, _, names in os.walk(os.path.join(build, folder)):
            for name in sorted(names):
                if name.endswith(".o"):
                    yield os.path.join(where, name)


def writable(path):
    """Names of the variables that lie in a writable section after relocation."""
    table = subprocess.run(["objdump", "--syms", "--wide", path], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    for line in table.splitlines():
        match = re.match(r"^[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$", line)
        if not match or "O" not in match.group(1):
            continue
        section, name = match.group(2), match.group(4)
        if section == "*COM*" or (re.match(r"^\.(data|bss|tdata|tbss)", section) and
                                  not section.startswith(".data.rel.ro")):
            if not IGNORED.match(name):
                yield name


def check(build):
    problems, seen = [], 0
    for path in objects(build):
        seen += 1
        if not ALLOWED.search(path):
            problems += [f"{os.path.relpath(path, build)}: '{name}' is writable: no process-wide "
                         f"state outside base/log.c" for name in writable(path)]
    return problems if seen else [f"no object files found in '{build}': is it built?"]


if __name__ == "__main__":
    house.finish("globals", check(sys.argv[1]))
