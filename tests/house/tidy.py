#!/usr/bin/python3
"""clang-tidy over every .c file of the product, by the build's compile_commands.json. A file that
was clean is not looked at again until it, a header it includes, .clang-tidy or its flags change:
BUILD_DIR/tidy holds one empty file for each clean state. Usage: tidy.py BUILD_DIR [--deep]
--deep has the static analyzer as well, which takes thirty times as long."""
import concurrent.futures
import hashlib
import json
import os
import shutil
import shlex
import subprocess
import sys

import house

CHECKED = ("engine/", "common/", "plugins/", "examples/")
TOGETHER = 8  # files for one process: to start one takes half as long as to look at a file


def tool():
    found = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if not found:
        print("clang-tidy is not installed")
        sys.exit(77)
    return found


def commands(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        for entry in json.load(f):
            name = os.path.relpath(entry["file"], house.TOP)
            if name.startswith(CHECKED) and name.endswith(".c"):
                yield name, entry


def state_of(entry, version):
    """A digest of all that clang-tidy would see: the text after the preprocessor knows the headers,
    the text before it the comments (NOLINT). None if the preprocessor fails."""
    words = shlex.split(entry["command"])
    flags = [w for i, w in enumerate(words)
             if w.startswith(("-D", "-I", "-isystem", "-std", "-f")) or words[i - 1] == "-isystem"]
    expanded = subprocess.run([words[0], *flags, "-E", "-P", entry["file"]], check=False,
                              cwd=entry["directory"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    if expanded.returncode != 0:
        return None
    digest = hashlib.sha256(version + expanded.stdout + "\0".join(flags).encode())
    digest.update(house.read(".clang-tidy").encode())
    digest.update(house.read(os.path.relpath(entry["file"], house.TOP)).encode())
    return digest.hexdigest()


def run(clang_tidy, build, names):
    """What clang-tidy says of these files; "" if nothing."""
    done = subprocess.run([*clang_tidy, "--quiet", "-p", build,
                           *(os.path.join(house.TOP, name) for name in names)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    said = done.stdout.strip()
    if done.returncode == 0 and not said:
        return ""
    return said or done.stderr.strip() or f"{names}: clang-tidy exited with {done.returncode}"


def look_at(clang_tidy, build, cache, version, items):
    """What is wrong with some files. They are looked at by one process; if that finds anything, each
    by one of its own, so that those that are clean are known."""
    said, marks = [], {}
    for name, entry in items:
        state = state_of(entry, version + " ".join(clang_tidy).encode())
        if state is None:
            said.append(f"{name}: does not get through the preprocessor")
        elif not os.path.exists(os.path.join(cache, state)):
            marks[name] = os.path.join(cache, state)
    together = not marks or not run(clang_tidy, build, list(marks))
    for name, mark in marks.items():
        wrong = "" if together else run(clang_tidy, build, [name])
        if wrong:
            said.append(wrong)
        else:
            with open(mark, "w", encoding="utf-8"):
                pass
    return said


def check(build, deep):
    clang_tidy = [tool()] if deep else [tool(), "--checks=-clang-analyzer-*"]
    cache = os.path.join(build, "tidy")
    os.makedirs(cache, exist_ok=True)
    version = subprocess.run([clang_tidy[0], "--version"], check=True, stdout=subprocess.PIPE).stdout
    todo = sorted(dict(commands(build)).items())
    if not todo:
        return [f"'{build}/compile_commands.json' names no file of the product"]
    parts = [todo[i:i + TOGETHER] for i in range(0, len(todo), TOGETHER)]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        said = pool.map(lambda part: look_at(clang_tidy, build, cache, version, part), parts)
        return [text.replace(house.TOP + "/", "") for texts in said for text in texts]


if __name__ == "__main__":
    house.finish("tidy", check(os.path.abspath(sys.argv[1]), "--deep" in sys.argv[2:]))
