#!/usr/bin/python3
"""shellcheck over every shell script: what has a first line for sh or bash can be executed; what
ends in .sh without one is read by another script, as POSIX sh unless it says otherwise."""
import os
import re
import shutil
import subprocess
import sys

import house

SHEBANG = re.compile(r"#!\s*/(usr/)?bin/(env\s+)?(sh|bash|dash)\b")


def scripts():
    for name in house.files(("",)):
        if os.path.islink(os.path.join(house.TOP, name)):
            continue
        with open(os.path.join(house.TOP, name), "rb") as f:
            first = f.readline(200).decode("utf-8", "replace")
        if SHEBANG.match(first):
            yield name, True
        elif name.endswith((".sh", ".bash")):
            yield name, False


def check():
    tool = shutil.which("shellcheck")
    if not tool:
        print("shellcheck is not installed")
        sys.exit(77)
    found = list(scripts())
    problems = [f"{name}: has a first line for sh but cannot be executed (chmod +x)"
                for name, runs in found if runs and not os.access(os.path.join(house.TOP, name),
                                                                  os.X_OK)]
    for more, chosen in ((["-x"], [name for name, runs in found if runs]),
                         (["-x", "-s", "sh"], [name for name, runs in found
                                               if not runs and not name.endswith(".bash")]),
                         (["-x", "-s", "bash"], [name for name, runs in found
                                                 if not runs and name.endswith(".bash")])):
        if not chosen:
            continue
        done = subprocess.run([tool, *more, "-f", "gcc", *chosen], cwd=house.TOP, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        problems += [line for line in done.stdout.splitlines() if line]
    return problems


if __name__ == "__main__":
    house.finish("shell", check())
