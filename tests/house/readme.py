#!/usr/bin/python3
"""What the documents tell people to run is there: scripts by path, and verbs and long options of
`bakengine` as the binary's own help knows them. Usage: readme.py BAKENGINE"""
import os
import re
import subprocess
import sys

import house

SCRIPT = re.compile(r"(?<![\w./-])((?:script|bench|examples|\.ci)/[\w./-]*[\w-])")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)
COMMAND = re.compile(r"(?:^|[;&|(]|\$ |sudo )\s*(?:[\w./-]*/)?bakengine[ \t]+([^\n#|;&>]*)", re.M)
GLOBAL = {"--json", "--quiet", "--help", "--version", "--verbose"}


def help_of(binary, verb=None):
    words = [binary, verb, "--help"] if verb else [binary, "--help"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else None


def blocks(text):
    for match in FENCE.finditer(text):
        yield match.start(1), match.group(1)
    for match in re.finditer(r"`(bakengine [^`\n]+)`", FENCE.sub("", text)):
        yield None, match.group(1)


def check_command(binary, verbs, words):
    if not words or words[0].startswith("-"):
        return None
    verb = words[0]
    if not re.fullmatch(r"[a-z]+", verb):
        return None
    if verb not in verbs:
        verbs[verb] = help_of(binary, verb)
    if verbs[verb] is None:
        return f"bakengine has no verb '{verb}'"
    for word in words[1:]:
        option = re.match(r"\[?(--[a-z][a-z-]*)", word)
        if option and option.group(1) not in GLOBAL and option.group(1) not in verbs[verb]:
            return f"'bakengine {verb} --help' does not know '{option.group(1)}'"
    return None


def check(binary):
    problems, verbs = [], {}
    if help_of(binary) is None:
        return [f"'{binary} --help' fails"]
    for name in house.files((".md",)):
        if name == "CHANGELOG.md":
            continue
        text = house.read(name)
        for match in SCRIPT.finditer(text):
            if not os.path.exists(os.path.join(house.TOP, match.group(1))):
                problems.append(f"{name}:{house.line_of(text, match.start())}: "
                                f"'{match.group(1)}' does not exist")
        for offset, block in blocks(text):
            for match in COMMAND.finditer(block):
                problem = check_command(binary, verbs, match.group(1).split())
                if problem:
                    where = f":{house.line_of(text, offset + match.start())}" if offset else ""
                    problems.append(f"{name}{where}: {problem}")
    return problems


if __name__ == "__main__":
    house.finish("readme", check(os.path.abspath(sys.argv[1])))
