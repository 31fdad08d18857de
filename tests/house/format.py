#!/usr/bin/python3
"""clang-format (version 14) would change nothing."""
import re
import shutil
import subprocess
import sys

import house


def check():
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not tool:
        print("clang-format is not installed")
        sys.exit(77)
    names = house.c_files((".c", ".h", ".cc"))
    done = subprocess.run([tool, "--dry-run", "--Werror", "--style=file", *names], cwd=house.TOP,
                          stderr=subprocess.PIPE, text=True, check=False)
    places = {}
    for match in re.finditer(r"^([^:\n]+):(\d+):\d+: (?:error|warning)", done.stderr, re.M):
        places.setdefault(match.group(1), []).append(match.group(2))
    problems = [f"{name}: lines {', '.join(lines[:10])}{' ...' if len(lines) > 10 else ''}: run "
                f"clang-format-14 -i" for name, lines in sorted(places.items())]
    if done.returncode != 0 and not problems:
        problems = [done.stderr]
    return problems


if __name__ == "__main__":
    house.finish("format", check())
