#!/usr/bin/python3
"""Every file in pipelines/ is valid, and stays so read from another folder. Usage:
pipelines.py BAKENGINE"""
import os
import subprocess
import sys
import tempfile

import house


def check(binary):
    names = house.files((".yaml", ".yml"), ("pipelines",))
    problems = [] if names else ["there is no file in pipelines/"]
    with tempfile.TemporaryDirectory() as elsewhere:
        env = dict(os.environ, BAKENGINE_STATE_DIR=elsewhere, BAKENGINE_CACHE_DIR=elsewhere)
        for name in names:
            done = subprocess.run([binary, "validate", os.path.join(house.TOP, name)], env=env,
                                  cwd=elsewhere, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
            if done.returncode != 0:
                problems.append(f"{name}: exit {done.returncode}: {done.stdout.strip()}")
    return problems


if __name__ == "__main__":
    house.finish("pipelines", check(os.path.abspath(sys.argv[1])))
