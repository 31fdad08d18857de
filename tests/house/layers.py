#!/usr/bin/python3
"""Dependencies go one way: each layer of the engine includes only itself and those below it;
plugins and common/ see include/ and common/ alone; the ABI's header includes only the C library."""
import os
import re

import house

LAYERS = ["base", "plugin", "config", "flow", "store", "run", "cli"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)


def common_folders():
    return sorted(d for d in os.listdir(os.path.join(house.TOP, "common"))
                  if os.path.isdir(os.path.join(house.TOP, "common", d)))


def problem_of(name, quoted, target, common):
    """What is wrong with file `name` including `target`, or None."""
    parts, first = name.split("/"), target.split("/")[0]
    ours = first in LAYERS or first in common or target.startswith("bakengine/")
    if not quoted and ours and not target.startswith("bakengine/"):
        return "include it with quotes"
    if not quoted:
        if parts[0] == "include" and ours:
            return "the ABI's header stands alone"
        return None
    beside = "/" not in target
    if ".." in target.split("/") and parts[0] != "tests":  # they look inside
        return "includes do not climb with '..'"
    if parts[0] == "include":
        return "the ABI's header includes only the C library"
    if parts[0] in ("plugins", "examples"):
        return None if beside or first in common else "plugins see include/ and common/ alone"
    if parts[0] == "common":
        return None if first in common else "common/ sees include/ and common/ alone"
    if parts[0] == "engine":
        layer = parts[1]
        if first in common:
            return None if layer in ("store", "run", "cli") else "only store and above use common/"
        if first not in LAYERS:
            return "include engine headers as \"layer/name.h\""
        if LAYERS.index(first) > LAYERS.index(layer):
            return f"{layer} may not use {first}: it stands above"
    return None


def check():
    common, problems = common_folders(), []
    for name in house.c_files():
        text = house.read(name)
        for match in INCLUDE.finditer(text):
            problem = problem_of(name, match.group(1) == '"', match.group(2), common)
            if problem:
                problems.append(f"{name}:{house.line_of(text, match.start())}: "
                                f"includes '{match.group(2)}': {problem}")
    return problems


if __name__ == "__main__":
    house.finish("layers", check())
