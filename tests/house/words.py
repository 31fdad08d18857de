#!/usr/bin/python3
"""Calls that are not used here, notes that something is unfinished, and files without a heading."""
import re

import house

BANNED = {
    "strcpy": "say how long: memcpy, snprintf or struct bk_buf",
    "strcat": "struct bk_buf",
    "stpcpy": "struct bk_buf",
    "strncpy": "snprintf",
    "strncat": "struct bk_buf",
    "sprintf": "snprintf or struct bk_buf",
    "vsprintf": "vsnprintf or struct bk_buf",
    "gets": "getline",
    "scanf": "base/num.h",
    "sscanf": "base/num.h",
    "atoi": "base/num.h", "atol": "base/num.h", "atoll": "base/num.h", "atof": "base/num.h",
    "strtol": "base/num.h", "strtoll": "base/num.h", "strtoul": "base/num.h",
    "strtoull": "base/num.h", "strtod": "base/num.h", "strtof": "base/num.h",
    "strtoimax": "base/num.h", "strtoumax": "base/num.h",
    "strtok": "strtok_r",
    "system": "posix_spawn without a shell",
    "popen": "posix_spawn without a shell",
    "alloca": "the heap",
    "tmpnam": "mkstemp", "mktemp": "mkstemp", "tempnam": "mkstemp",
    "abort": "a result; bk_assert where it is a bug",
    "rand": "bk_random", "srand": "bk_random",
    "localtime": "localtime_r", "gmtime": "gmtime_r", "ctime": "strftime", "asctime": "strftime",
    "readdir_r": "readdir",
    "signal": "sigaction", "vfork": "posix_spawn",
}
# Where the rule is kept by being the one place, or where tests need it.
ALLOWED = {
    ("engine/base/num.c", "strtod"), ("engine/base/num.c", "strtoll"),
    ("engine/base/num.c", "strtoull"),
    ("engine/cli/signals.c", "signal"),  # SIGPIPE is ignored
    ("engine/base/digest.c", "abort"),  # the hash library fails without a cause: said there
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
EXIT = re.compile(r"(?<![\w.>_])(exit|quick_exit)\s*\(")
UNFINISHED = re.compile("|".join(r"\b%s\b" % w for w in ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")))
PRODUCT = ("include", "engine", "common", "plugins", "examples")


def calls(name, text):
    code = house.bare(text)
    for match in CALL.finditer(code):
        word = match.group(1)
        if (name, word) not in ALLOWED:
            yield match.start(), f"{word}() is not used here; instead: {BANNED[word]}"
    if not name.startswith("engine/cli/"):
        for match in EXIT.finditer(code):
            yield match.start(), "only engine/cli ends the process"


def check():
    problems = []
    for name in house.c_files(folders=PRODUCT):
        text = house.read(name)
        for offset, problem in calls(name, text):
            problems.append(f"{name}:{house.line_of(text, offset)}: {problem}")
    for name in house.c_files((".c", ".h", ".cc")):
        if not house.read(name).startswith(("/*", "//")):
            problems.append(f"{name}:1: a file starts with a comment that says what it is")
    for name in house.files((".c", ".h", ".cc", ".py", ".sh", ".txt", ".cmake", ".md", ".yaml",
                             ".bats", ".json")) + house.files(("",), ("script",)):
        text = house.read(name)
        for match in UNFINISHED.finditer(text):
            problems.append(f"{name}:{house.line_of(text, match.start())}: '{match.group(0)}': "
                            f"finish it, or make it an issue")
    return problems


if __name__ == "__main__":
    house.finish("words", check())
