#!/usr/bin/python3
"""Runs one case folder and compares what `validate` says with the folder's file `expected`.

A case is a folder with pipeline.yaml and expected (the messages on standard error, then a line
'exit N'). It may also hold other files that the pipeline names, `environment` (NAME=value lines:
added to an otherwise nearly empty environment) and `setup.sh` (run in the copy first, for what
cannot be kept in a repository: modes, big files, bytes that are no text).

  run.py [--update] COMMAND FOLDER...     COMMAND is called as: COMMAND validate pipeline.yaml
"""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

KEPT = ("PATH", "BAKENGINE_PLUGIN_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
        "LSAN_OPTIONS", "LD_LIBRARY_PATH")
NOT_COPIED = ("expected", "setup.sh", "environment")


def environment(case, folder):
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env["HOME"] = str(folder)
    env["LC_ALL"] = "C.UTF-8"
    extra = case / "environment"
    if extra.exists():
        for line in extra.read_text().splitlines():
            name, _, value = line.partition("=")
            env[name] = value
    return env


def prepare(case, folder):
    """Copies a case into an empty folder and makes there what cannot be copied."""
    for item in sorted(case.iterdir()):
        if item.name not in NOT_COPIED:
            shutil.copy2(item, folder / item.name)
    env = environment(case, folder)
    if (case / "setup.sh").exists():
        subprocess.run(["sh", "-eu", str(case.resolve() / "setup.sh")], cwd=folder, env=env,
                       check=True, timeout=60)
    return env


def outcome(command, case):
    """What the command says of a copy of the case, with the copy's own path as @DIR@."""
    with tempfile.TemporaryDirectory(prefix="config-case-") as temporary:
        folder = pathlib.Path(os.path.realpath(temporary))
        env = prepare(case, folder)
        done = subprocess.run(shlex.split(command) + ["validate", "pipeline.yaml"], cwd=folder,
                              env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode("utf-8", "backslashreplace").replace(str(folder), "@DIR@")
        return f"{said}exit {done.returncode}\n"


def main(arguments):
    update = arguments[:1] == ["--update"]
    command, *folders = arguments[update:]
    failed = 0
    for case in map(pathlib.Path, folders):
        got = outcome(command, case)
        expected = case / "expected"
        if update:
            expected.write_text(got)
            continue
        wanted = expected.read_text()
        if got != wanted:
            failed += 1
            print(f"{case}:\n--- expected\n{wanted}--- got\n{got}", end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
